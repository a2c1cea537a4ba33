"""
Damages the files of the corpus at random and renders each in a child process, looking for what must not be.

    python bench/fuzz.py [--seconds N] [--seed S] [--keep FOLDER]
    python bench/fuzz.py --seed S --only N [--keep FOLDER]

Every execution takes one file (sometimes a part of a second one), flips bytes, writes extreme numbers, cuts,
repeats, moves or removes pieces, and renders seven tiles of it in a random accuracy and fill. Expected are a
sprite set or a clean error. Findings are: the child dies; an exception that isn't a clean error; no end
within the time limit; files, descriptors or threads that are left. The child is started anew after each of
them, and every 200 executions; its memory is limited as in the service.

Execution N of a seed is always the same one: `--only N` repeats it, and `--keep` keeps the damaged files of
findings. Prints a line for each finding, then one JSON object, early if it is interrupted; the exit code is 1
if there are findings.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from vodsprite.errors import VideoError
from vodsprite.testing.corpus import corpus_files

_LARGEST_BYTES = 2 * 1024 * 1024  # of a file taken as it is; of larger ones, the head and the tail
_EXECUTIONS_PER_CHILD = 200
_ADDRESS_SPACE_BYTES = 2048 * 1024 * 1024
_HANG_S = 60.0
_SLOW_CPU_S = 10.0
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def damaged(rng: random.Random, data: bytearray, other: bytes) -> bytearray:
    """Return *data* with one to four random damages; some put in pieces of *other*."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not data:
            return data
        kind = rng.choice(("flip", "flip", "number", "number", "cut", "remove", "repeat", "splice", "swap"))
        at, size = _place(rng, len(data)), min(1 << rng.randrange(1, 17), len(data))
        if kind == "flip":
            for _ in range(1 << rng.randrange(0, 8)):
                data[_place(rng, len(data))] = rng.randrange(256)
        elif kind == "number":
            width = rng.choice((1, 2, 4, 8))
            value = (rng.choice(_EXTREMES) + rng.choice((-1, 0, 0, 1))) % (1 << (8 * width))
            data[at : at + width] = value.to_bytes(width, rng.choice(("big", "little")))
        elif kind == "cut":
            del data[rng.randrange(len(data)) :]
        elif kind == "remove":
            del data[at : at + size]
        elif kind == "repeat":
            data[at:at] = data[at : at + size]
        elif kind == "splice":
            begin = rng.randrange(len(other)) if other else 0
            data[at : at + rng.choice((0, size))] = other[begin : begin + size]
        else:
            to = rng.randrange(len(data))
            data[at : at + size], data[to : to + size] = data[to : to + size], data[at : at + size]
    return data


def _place(rng: random.Random, length: int) -> int:
    """Return a position; headers and indexes, at both ends, are hit more often."""
    area = min(length, rng.choice((64, 1024, 8192, length, length)))
    at = rng.randrange(area)
    return length - 1 - at if rng.random() < 0.25 else at


class _Child:
    """The process that renders: answers a line of JSON for each line it is sent."""

    def __init__(self, folder: Path) -> None:
        self.done = 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=folder,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4"},
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer, or what happened instead of one."""
        self.done += 1
        stdin, stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        with suppress(BrokenPipeError):
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        if not select.select([stdout], [], [], _HANG_S)[0]:
            return {"outcome": "hang"}
        line = stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self._errors.seek(0)
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return {"outcome": "crash", "how": name, "said": self._errors.read()[-300:].decode(errors="replace")}

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for file in (_pipe(self._process.stdin), _pipe(self._process.stdout), self._errors):
            with suppress(BrokenPipeError):
                file.close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _child() -> None:
    """Render what standard input names; started by the parent."""
    import av

    from vodsprite.sprite.render import render
    from vodsprite.sprite.spec import Accuracy, EveryPercent, Fill, Grid, SpriteSpec

    av.logging.set_level(None)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        spec = SpriteSpec(
            sampling=EveryPercent(percent=Fraction(15)),
            grid=Grid(rows=2, columns=2),
            accuracy=Accuracy(request["accuracy"]),
            fill=Fill(request["fill"]),
        )
        began_s = time.process_time()
        answer: dict[str, Any]
        try:
            render(Path(request["path"]), spec, lambda *_: None)
            answer = {"outcome": "ok"}
        except VideoError as error:
            answer = {"outcome": f"clean error: {error.kind.value}"}
        except MemoryError:
            answer = {"outcome": "clean error: no memory"}
        except Exception as error:
            answer = {"outcome": "exception", "how": f"{type(error).__name__}: {error}"[:200]}
            trace = error.__traceback__
            while trace is not None:
                code = trace.tb_frame.f_code
                answer["at"] = f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}"
                trace = trace.tb_next
        answer["cpu_s"] = time.process_time() - began_s
        answer["open"] = len(os.listdir("/proc/self/fd"))
        answer["threads"] = threading.active_count()
        answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


class _Fuzz:
    """One run: its counts and findings."""

    def __init__(self, seed: int, keep: Path | None) -> None:
        self._seed = seed
        self._keep = keep
        self._files = [
            each for folder in ("valid", "odd", "malformed", "hostile") for each in corpus_files(folder)
        ]
        if not self._files:
            raise SystemExit("the corpus is not on this machine")
        self.outcomes: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.slowest_cpu_s = 0.0
        self.peak_mb = 0
        self.is_stopped = False

    def stop(self, *_: object) -> None:
        """Let `run` return after this execution; a signal handler."""
        self.is_stopped = True

    def run(self, numbers: range, seconds: float) -> int:
        """Carry out executions *numbers* for at most *seconds*; return how many there were."""
        begun = time.monotonic()
        executions = 0
        child: _Child | None = None
        before: dict[str, Any] = {}
        with tempfile.TemporaryDirectory(prefix="vodsprite-fuzz-") as name:
            folder = Path(name)
            try:
                for number in numbers:
                    if self.is_stopped or time.monotonic() - begun > seconds:
                        break
                    if executions % 5000 == 4999:
                        print(f"{executions} executions", file=sys.stderr, flush=True)
                    if child is None or child.done >= _EXECUTIONS_PER_CHILD:
                        if child is not None:
                            child.close()
                        child, before = _Child(folder), {}
                    path, request, what = self._execution(number, folder)
                    answer = child.ask(request)
                    executions += 1
                    bad = self._judge(answer, before, folder, path)
                    before = answer
                    if bad is not None:
                        self._tell(number, what, bad, answer, path)
                        child.close()
                        child = None
                    path.unlink()
            finally:
                if child is not None:
                    child.close()
        return executions

    def _execution(self, number: int, folder: Path) -> tuple[Path, dict[str, Any], str]:
        rng = random.Random(f"{self._seed}:{number}")
        file, other = rng.choice(self._files), rng.choice(self._files)
        path = folder / f"{number}{file.path.suffix}"
        path.write_bytes(damaged(rng, bytearray(_content(file.path)), _content(other.path)))
        request = {
            "path": str(path),
            "accuracy": rng.choice(("cue", "exact", "keyframe")),
            "fill": rng.choice(("black", "white", "stretch", "gauss")),
        }
        return path, request, f"{file.name} {request['accuracy']} {request['fill']}"

    def _judge(self, answer: dict[str, Any], before: dict[str, Any], folder: Path, path: Path) -> str | None:
        """Count *answer*; return what is wrong with it, if anything."""
        outcome = str(answer["outcome"])
        self.outcomes[outcome] += 1
        if outcome in ("hang", "crash", "exception"):
            return outcome
        self.slowest_cpu_s = max(self.slowest_cpu_s, answer["cpu_s"])
        self.peak_mb = max(self.peak_mb, answer["peak_mb"])
        if answer["cpu_s"] > _SLOW_CPU_S:
            return "slow"
        if [each for each in folder.iterdir() if each != path]:
            return "leaked file"
        if answer["open"] > before.get("open", answer["open"]):
            return "leaked descriptor"
        if answer["threads"] > 1:
            return "leaked thread"
        return None

    def _tell(self, number: int, what: str, bad: str, answer: dict[str, Any], path: Path) -> None:
        self.findings[bad] += 1
        print(f"{bad}: --seed {self._seed} --only {number}  {what}  {json.dumps(answer)}", flush=True)
        if self._keep is not None:
            self._keep.mkdir(parents=True, exist_ok=True)
            (self._keep / f"{bad}-{self._seed}-{path.name}".replace(" ", "-")).write_bytes(path.read_bytes())


def _content(path: Path) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _LARGEST_BYTES:
            return file.read()
        head = file.read(_LARGEST_BYTES * 3 // 4)
        file.seek(-_LARGEST_BYTES // 4, os.SEEK_END)
        return head + file.read()


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Render randomly damaged files in a child process.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="carry out this execution alone")
    parser.add_argument("--keep", type=Path, help="folder for the damaged files of findings")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child()
        return 0
    fuzz = _Fuzz(arguments.seed, arguments.keep)
    signal.signal(signal.SIGTERM, fuzz.stop)
    signal.signal(signal.SIGINT, fuzz.stop)
    numbers = range(1 << 40) if arguments.only is None else range(arguments.only, arguments.only + 1)
    begun = time.monotonic()
    executions = fuzz.run(numbers, arguments.seconds)
    result = {
        "seed": arguments.seed,
        "executions": executions,
        "seconds": round(time.monotonic() - begun, 1),
        "outcomes": dict(fuzz.outcomes.most_common()),
        "findings": dict(fuzz.findings.most_common()),
        "crashes_of_the_parent": 0,  # or this would not be printed
        "slowest_cpu_s": round(fuzz.slowest_cpu_s, 2),
        "peak_mb": fuzz.peak_mb,
    }
    print(json.dumps(result, indent=2))
    return 1 if fuzz.findings else 0


if __name__ == "__main__":
    sys.exit(main())

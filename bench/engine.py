"""
How fast and how lean the sprite engine is, beside its rivals and beside what decoding alone costs.

    python bench/engine.py [--videos FOLDER] [--quick] [--only ROW ...] [--rounds N] [--rivals PYTHON]

Each row runs its contenders in turn, round after round, each in a process of its own with the file in the
page cache, and prints medians and their ratios. "limit" is the CPU time of decoding in memory only those
packets that the wanted pictures depend on (in `exact` without pictures that no other refers to, as the engine
does it); keyframes also without the deblocking filter, which the engine leaves out for them. It has one
decoder, so the engine beside it has one, too: on several cores at once the same decoding takes more.
There is a tile each 10 s; in `exact` each 10.1 s, so that instants fall all over the 2 s between keyframes,
not on them.

FOLDER holds the videos by the names that the rows use (`h264_1080p_g48_10m.mp4` and so on: 1080p24 at
3 Mbit/s with a keyframe each 48 frames, 10 minutes long); a row without its video is left out and named.
`--quick` makes short clips on the spot instead; marks mean nothing for them. PYTHON is the interpreter of
another environment with opencv-python-headless, eva-decord, or torchcodec and Pillow. What it lacks is left
out and named, as is ffmpeg.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WIDTH_PX, _HEIGHT_PX = 160, 90
_SIZE = (str(_WIDTH_PX), str(_HEIGHT_PX))
_OURS = Path(__file__).with_name("engine_ours.py").absolute()
_ONE = "--one"  # followed by what a child process is to do


# What runs in the children. The rivals' environment has no vodsprite: each imports what it needs.


def _limit(video: str, accuracy: str, interval_s: float, *, deblock: bool) -> dict[str, Any]:
    """Decode the needed packets, and only them, out of memory with one decoder."""
    import av

    with av.open(f"file:{video}") as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        base = stream.time_base
        assert base is not None
        context = stream.codec_context
        context.thread_type, context.thread_count = "NONE", 1
        if not deblock:
            context.options = {"skip_loop_filter": "all"}
        runs = _runs(packets, accuracy, interval_s / float(base))
        needed = sum(packets[at].size for run in runs for at in range(run[0], run[-1] + 1))
        may_skip = accuracy == "exact" and context.name in ("h264", "hevc", "mpeg2video", "mpeg4")
        shown = 0
        begun = time.process_time()
        for start, *targets in runs:
            wanted = set(targets)
            skipping = False
            for at in range(start, targets[-1] + 1):
                if may_skip and skipping != (at not in wanted):
                    skipping = not skipping
                    context.skip_frame = "NONREF" if skipping else "DEFAULT"
                shown += len(context.decode(packets[at]))
            context.skip_frame = "DEFAULT"
            shown += len(context.decode(None))
            context.flush_buffers()
        return {"engine_cpu_s": time.process_time() - begun, "needed_bytes": needed, "pictures": shown}


def _runs(packets: Sequence[Any], accuracy: str, step: float) -> list[list[int]]:
    """Return the packets wanted, in runs: each begins with the number of its keyframe."""
    origin = min(packet.pts for packet in packets)
    end = max(packet.pts + packet.duration for packet in packets)
    keys = [at for at, packet in enumerate(packets) if packet.is_keyframe]
    if accuracy == "keyframe":
        candidates = keys
    else:
        candidates = sorted(range(len(packets)), key=lambda at: int(packets[at].pts))
    runs: list[list[int]] = []
    instant, chosen = float(origin), 0
    while instant < end:
        while chosen + 1 < len(candidates) and packets[candidates[chosen + 1]].pts <= instant:
            chosen += 1
        target = candidates[chosen]
        start = max(key for key in keys if key <= target and packets[key].pts <= packets[target].pts)
        if not runs or runs[-1][0] != start:
            runs.append([start])
        if runs[-1][-1] != target or len(runs[-1]) == 1:
            runs[-1].append(target)
        instant += step
    return runs


def _instants(duration_s: float, interval_s: float) -> list[float]:
    return [index * interval_s for index in range(int(-(-duration_s // interval_s)))]


def _opencv(video: str, interval_s: float, keep: str) -> dict[str, Any]:
    import cv2  # type: ignore[import-not-found,unused-ignore]

    capture = cv2.VideoCapture(video)
    duration_s = capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS)
    instants = _instants(duration_s, interval_s)
    for index, instant in enumerate(instants):
        capture.set(cv2.CAP_PROP_POS_MSEC, instant * 1000)
        _, picture = capture.read()
        small = cv2.resize(picture, (_WIDTH_PX, _HEIGHT_PX), interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", small)
        _keep(keep, index, data.tobytes())
    return _kept(keep, instants, duration_s)


def _decord(video: str, interval_s: float, keep: str) -> dict[str, Any]:
    import cv2
    import decord  # type: ignore[import-not-found,unused-ignore]

    reader = decord.VideoReader(video, width=_WIDTH_PX, height=_HEIGHT_PX)
    rate = reader.get_avg_fps()
    duration_s = len(reader) / rate
    instants = _instants(duration_s, interval_s)
    pictures = reader.get_batch([int(instant * rate + 1e-6) for instant in instants]).asnumpy()
    for index, picture in enumerate(pictures):
        _, data = cv2.imencode(".jpg", picture[..., ::-1])
        _keep(keep, index, data.tobytes())
    return _kept(keep, instants, duration_s)


def _torchcodec(video: str, interval_s: float, keep: str) -> dict[str, Any]:
    from io import BytesIO

    from PIL import Image
    from torchcodec.decoders import VideoDecoder  # type: ignore[import-not-found,unused-ignore]

    decoder = VideoDecoder(video, num_ffmpeg_threads=0)
    duration_s = decoder.metadata.duration_seconds
    instants = _instants(duration_s, interval_s)
    for index, instant in enumerate(instants):  # all at once would hold 360 MB of full pictures
        at_s = decoder.metadata.begin_stream_seconds + instant
        picture = decoder.get_frame_played_at(at_s).data.permute(1, 2, 0).numpy()
        out = BytesIO()
        size = (_WIDTH_PX, _HEIGHT_PX)
        Image.fromarray(picture).resize(size, Image.Resampling.BOX, reducing_gap=2).save(
            out, "JPEG", quality=95
        )
        _keep(keep, index, out.getvalue())
    return _kept(keep, instants, duration_s)


def _seeks(video: str, interval_s: float, keep: str) -> dict[str, Any]:
    """Run ffmpeg with `-ss` for each thumbnail, as many at once as there are cores."""
    entries = "format=start_time,duration:stream=start_time"
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", video],
        check=True,
        capture_output=True,
        text=True,
    )
    facts = json.loads(told.stdout)
    duration_s = float(facts["format"]["duration"])
    # Times of `-ss` begin where the earliest stream does.
    first_s = float(facts["streams"][0]["start_time"]) - float(facts["format"]["start_time"])
    instants = _instants(duration_s, interval_s)

    def one(index: int) -> None:
        output = str(Path(keep, _image(index)))
        scale = f"scale={_WIDTH_PX}:{_HEIGHT_PX}"
        options = ["-frames:v", "1", "-q:v", "2", "-vf", scale]
        subprocess.run(
            [*_FFMPEG, "-ss", str(first_s + instants[index]), "-i", video, *options, output], check=True
        )

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(one, range(len(instants))))
    return _kept(keep, instants, duration_s)


def _image(index: int) -> str:
    return f"{index:04d}.jpg"


def _keep(folder: str, index: int, data: bytes) -> None:
    Path(folder, _image(index)).write_bytes(data)


def _kept(folder: str, instants: Sequence[float], duration_s: float) -> dict[str, Any]:
    """Write a WebVTT file for the thumbnails in *folder*, so that they can be judged."""
    ends = [*instants[1:], duration_s]
    cues = [
        f"{_time(start)} --> {_time(end)}\n{_image(index)}\n"
        for index, (start, end) in enumerate(zip(instants, ends, strict=True))
    ]
    Path(folder, "thumbnails.vtt").write_text("\n".join(["WEBVTT\n", *cues]), encoding="ascii")
    return {"tiles": len(instants)}


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _child(what: str, *arguments: str) -> None:
    if what == "limit":
        answer = _limit(arguments[0], arguments[1], float(arguments[2]), deblock=arguments[3] == "deblock")
    else:
        rivals = {"opencv": _opencv, "decord": _decord, "torchcodec": _torchcodec, "-ss": _seeks}
        answer = rivals[what](arguments[0], float(arguments[1]), arguments[2])
    print(json.dumps(answer))


# What runs in the parent.

_FFMPEG = ("ffmpeg", "-nostdin", "-v", "error", "-y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One contender: medians over its rounds. CPU and memory include the processes that it started."""

    rounds: int
    wall_s: float
    cpu_s: float
    peak_mb: float  # of the largest process
    said: dict[str, float]  # medians of what it printed


def _run_once(command: Sequence[str], folder: Path) -> tuple[float, float, float, dict[str, float]]:
    begun = time.perf_counter()
    with (folder / "said").open("w+b") as out:
        process = subprocess.Popen(command, stdout=out, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise _LeftOut(f"{' '.join(command)}: exit code {process.returncode}")
        out.seek(0)
        text = out.read().decode()
    said = json.loads(text) if text.startswith("{") else {}
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said


def _alternately(commands: Mapping[str, Sequence[str]], rounds: int, folder: Path) -> dict[str, Measured]:
    """Run all *commands* once in every round, and return the medians by name."""
    runs: dict[str, list[tuple[float, float, float, dict[str, float]]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(_run_once(command, folder))
    return {
        name: Measured(
            rounds=rounds,
            wall_s=statistics.median(each[0] for each in made),
            cpu_s=statistics.median(each[1] for each in made),
            peak_mb=statistics.median(each[2] for each in made),
            said={key: statistics.median(each[3][key] for each in made) for key in made[0][3]},
        )
        for name, made in runs.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure of the table."""

    measure: str
    value: float
    mark: float | None = None
    at_least: bool = False  # the mark is a least value, else the most
    unit: str = ""

    def text(self, *, judge: bool) -> str:
        """Return the line as it is printed."""
        mark = verdict = ""
        if self.mark is not None:
            mark = f"{'>=' if self.at_least else '<='} {self.mark:g}{self.unit}"
            reached = self.value >= self.mark if self.at_least else self.value <= self.mark
            verdict = ("reached" if reached else "MISSED") if judge else ""
        return f"  {self.measure:<66}{self.value:>9.3f}{self.unit:<4}{mark:>12}  {verdict}"


class _LeftOut(Exception):
    """A row lacks what it needs."""


class Bench:
    """The rows of the table; each is a method that yields its lines."""

    def __init__(
        self, videos: Path, folder: Path, rivals: str | None, interval_s: float, rounds: int | None
    ) -> None:
        self._videos = videos
        self._folder = folder
        self._rivals = rivals
        self._interval_s = interval_s
        self._rounds = rounds
        self._is_quick = interval_s < 10

    def rows(self) -> dict[str, Callable[[], Iterator[Line]]]:
        """Return the rows by the names that `--only` takes."""
        return {
            "keyframe-limit": lambda: self._beside_the_limit("keyframe", 1.15),
            "exact-limit": lambda: self._beside_the_limit("exact", 1.05),
            "full-10m": lambda: self._beside_full("h264_1080p_g48_10m.mp4", ("keyframe", "cue"), 80, 3),
            "full-60m": lambda: self._beside_full("h264_1080p_g48_60m.mp4", ("keyframe", "cue"), 115, 1),
            "nokey-2s": lambda: self._beside_nokey("h264_1080p_g48_10m.mp4", 7.5, 4, at_least=True, rounds=5),
            "nokey-10s": self._beside_nokey_where_keys_are_rare,
            "exact-full-2s": lambda: self._beside_full("h264_1080p_g48_10m.mp4", ("exact",), 11, 3),
            "exact-full-10s": lambda: self._beside_full("h264_1080p_g250nosc_10m.mp4", ("exact",), 3.8, 3),
            "seekers": self._beside_seekers,
            "hevc": lambda: self._beside_full("hevc_720p_10m.mp4", ("exact",), 7, 3),
            "vp9": lambda: self._beside_full("vp9_720p_10m.webm", ("exact",), 4.5, 3),
            "av1": lambda: self._beside_full("av1_720p_10m.mp4", ("exact",), 2.8, 3),
            "memory": self._memory,
            "bytes": self._bytes,
            "cli": self._cli,
            "cores": self._cores,
        }

    def _video(self, name: str) -> str:
        path = self._videos / name
        if not path.is_file():
            raise _LeftOut(f"no {name}")
        with path.open("rb") as file:  # into the page cache
            while file.read(1 << 24):
                pass
        return str(path.absolute())

    def _run(self, commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Measured]:
        measured = _alternately(commands, self._rounds or rounds, self._folder)
        for name, each in measured.items():
            said = "  ".join(f"{key} {value:.4g}" for key, value in each.said.items())
            print(
                f"    {name:<24}wall {each.wall_s:7.3f} s  cpu {each.cpu_s:7.3f} s  "
                f"peak {each.peak_mb:4.0f} MB  median of {each.rounds}  {said}"
            )
        return measured

    def _between_keys_s(self, accuracy: str) -> float:
        return self._interval_s * (1.01 if accuracy == "exact" else 1)

    def _own(self, video: str, accuracy: str, *, cores: int = 0) -> list[str]:
        interval = str(self._between_keys_s(accuracy))
        return [sys.executable, str(_OURS), video, accuracy, interval, str(cores), *_SIZE]

    def _limit(self, video: str, accuracy: str, deblock: str = "deblock") -> list[str]:
        interval = str(self._between_keys_s(accuracy))
        return [sys.executable, __file__, _ONE, "limit", video, accuracy, interval, deblock]

    def _ffmpeg(self, video: str, *options: str) -> list[str]:
        if shutil.which("ffmpeg") is None:
            raise _LeftOut("no ffmpeg")
        filters = f"fps=1/{self._interval_s:g},scale={_WIDTH_PX}:{_HEIGHT_PX},tile=10x10"
        return [*_FFMPEG, *options, "-i", video, "-an", "-vf", filters, "sheet-%d.jpg"]

    def _beside_the_limit(self, accuracy: str, mark: float) -> Iterator[Line]:
        video = self._video("h264_1080p_g48_10m.mp4")
        commands = {
            "ours": self._own(video, accuracy, cores=1),
            "ours, all cores": self._own(video, accuracy),
            "limit": self._limit(video, accuracy),
        }
        if accuracy == "keyframe":
            commands["limit, not deblocked"] = self._limit(video, accuracy, "no")
        made = self._run(commands, 5)
        cpu_s = {name: each.said["engine_cpu_s"] for name, each in made.items()}
        yield Line(
            measure=f"{accuracy}: engine CPU after imports / limit, both on one core",
            value=cpu_s["ours"] / cpu_s["limit"],
            mark=mark,
        )
        yield Line(
            measure=f"{accuracy}: on all cores, which share caches and memory / limit",
            value=cpu_s["ours, all cores"] / cpu_s["limit"],
        )
        if accuracy == "keyframe":
            yield Line(
                measure=f"{accuracy}: on one core / limit, not deblocked",
                value=cpu_s["ours"] / cpu_s["limit, not deblocked"],
            )

    def _beside_full(self, name: str, accuracies: Sequence[str], mark: float, rounds: int) -> Iterator[Line]:
        video = self._video(name)
        ours = {accuracy: self._own(video, accuracy) for accuracy in accuracies}
        made = self._run({**ours, "ffmpeg full": self._ffmpeg(video)}, rounds)
        if "keyframe" in accuracies:
            yield self._bound(video, made["ffmpeg full"].wall_s)
        for accuracy in accuracies:
            yield Line(
                measure=f"{name}: ffmpeg full / {accuracy}, wall",
                value=made["ffmpeg full"].wall_s / made[accuracy].wall_s,
                mark=mark,
                at_least=True,
                unit="x",
            )
            yield Line(
                measure=f"{name}: the same, CPU",
                value=made["ffmpeg full"].cpu_s / made[accuracy].cpu_s,
                unit="x",
            )

    def _bound(self, video: str, full_s: float) -> Line:
        """Tell what starting Python, loading the libraries and decoding the keyframes leave possible."""
        bare = [sys.executable, "-c", "import av, numpy"]
        made = self._run({"imports alone": bare, "limit": self._limit(video, "keyframe", "no")}, 3)
        least_s = made["imports alone"].wall_s + made["limit"].said["engine_cpu_s"] / (os.cpu_count() or 1)
        return Line(measure="ffmpeg full / (imports + decoding alone)", value=full_s / least_s, unit="x")

    def _beside_nokey(
        self, name: str, nokey: float | None, discard: float | None, *, at_least: bool, rounds: int
    ) -> Iterator[Line]:
        video = self._video(name)
        made = self._run(
            {
                "keyframe": self._own(video, "keyframe"),
                "-skip_frame nokey": self._ffmpeg(video, "-skip_frame", "nokey"),
                "-discard nokey": self._ffmpeg(video, "-skip_frame", "nokey", "-discard", "nokey"),
            },
            rounds,
        )
        for rival, mark in (("-skip_frame nokey", nokey), ("-discard nokey", discard)):
            ratio = made[rival].wall_s / made["keyframe"].wall_s
            if at_least:
                yield Line(
                    measure=f"{name}: ffmpeg {rival} / keyframe, wall",
                    value=ratio,
                    mark=mark,
                    at_least=True,
                    unit="x",
                )
            else:
                yield Line(
                    measure=f"{name}: keyframe / ffmpeg {rival}, wall", value=1 / ratio, mark=mark, unit="x"
                )

    def _beside_nokey_where_keys_are_rare(self) -> Iterator[Line]:
        name = "h264_1080p_g250nosc_10m.mp4"
        yield from self._beside_nokey(name, 1.05, 1.05, at_least=False, rounds=7)

    def _beside_seekers(self) -> Iterator[Line]:
        video = self._video("h264_1080p_g48_10m.mp4")
        interval = str(self._between_keys_s("exact"))
        contenders: dict[str, Sequence[str]] = {"exact": self._own(video, "exact")}

        def rival(name: str, interpreter: str) -> None:
            kept = self._folder / f"kept{name}"
            kept.mkdir()
            contenders[name] = [interpreter, __file__, _ONE, name, video, interval, str(kept)]

        if shutil.which("ffmpeg") is not None:
            rival("-ss", sys.executable)
        for name, module in (("opencv", "cv2"), ("decord", "decord"), ("torchcodec", "torchcodec.decoders")):
            if self._has_rival(module):
                rival(name, str(self._rivals))
            else:
                print(f"    {name:<24}left out: not in the rivals' environment")
        made = self._run(contenders, 3)
        seekers = {name: each.wall_s for name, each in made.items() if name != "exact"}
        if not seekers:
            raise _LeftOut("no rival that seeks")
        for name, wall_s in seekers.items():
            yield Line(measure=f"{name} / exact, wall", value=wall_s / made["exact"].wall_s, unit="x")
            cpu = made[name].cpu_s / made["exact"].cpu_s
            yield Line(measure=f"{name} / exact, CPU", value=cpu, unit="x")
        best = min(seekers.values()) / made["exact"].wall_s
        yield Line(measure="best seeking rival / exact, wall", value=best, mark=1.9, at_least=True, unit="x")
        yield Line(
            measure="exact: share of the frames that are right",
            value=_right(video, self._folder),
            mark=1,
            at_least=True,
        )
        for name in seekers:
            right = _right(video, self._folder / f"kept{name}")
            yield Line(measure=f"{name}: share of the frames that are right", value=right)

    def _has_rival(self, module: str) -> bool:
        if self._rivals is None:
            return False
        tried = subprocess.run([self._rivals, "-c", f"import {module}"], capture_output=True, check=False)
        return tried.returncode == 0

    def _memory(self) -> Iterator[Line]:
        short, long = self._video("h264_1080p_g48_10m.mp4"), self._video("h264_1080p_g48_60m.mp4")
        large = self._video("h264_2160p_2m.mp4")
        made = self._run(
            {
                "keyframe, 10 min": self._own(short, "keyframe"),
                "keyframe, 60 min": self._own(long, "keyframe"),
                "exact, 4K": self._own(large, "exact"),
            },
            3,
        )
        long_mb, short_mb = made["keyframe, 60 min"].peak_mb, made["keyframe, 10 min"].peak_mb
        yield Line(measure="peak RSS, 60 min keyframe", value=long_mb, mark=120, unit=" MB")
        yield Line(measure="peak RSS, 4K exact", value=made["exact, 4K"].peak_mb, mark=260, unit=" MB")
        yield Line(measure="peak RSS, 60 min over 10 min", value=long_mb - short_mb, mark=12, unit=" MB")

    def _bytes(self) -> Iterator[Line]:
        video = self._video("h264_1080p_g48_10m.mp4")
        made = self._run(
            {"ours": [*self._own(video, "keyframe"), "loaded"], "limit": self._limit(video, "keyframe")}, 1
        )
        ratio = made["ours"].said["read_bytes"] / made["limit"].said["needed_bytes"]
        yield Line(measure="bytes read, keyframe, local / of the packets needed", value=ratio, mark=1.2)

    def _cli(self) -> Iterator[Line]:
        video = self._video("h264_1080p_g48_10m.mp4")
        clip = self._folder / "5s.mp4"
        if shutil.which("ffmpeg") is None:
            raise _LeftOut("no ffmpeg")
        subprocess.run([*_FFMPEG, "-t", "5", "-i", video, "-map", "0:v", "-c", "copy", str(clip)], check=True)
        program = Path(sys.executable).with_name("vodsprite")
        if not program.is_file():
            raise _LeftOut(f"no {program.name} beside the interpreter")
        tool = [str(program), "render", "--interval", f"{self._interval_s:g}", "-o", "made", "--quiet"]
        tool += ["--width", str(_WIDTH_PX), "--height", str(_HEIGHT_PX), "--accuracy", "keyframe"]
        library = self._own(video, "keyframe")
        made = self._run({"CLI": [*tool, video], "library": library, "CLI, 5 s": [*tool, str(clip)]}, 7)
        over = made["CLI"].wall_s - made["library"].wall_s
        yield Line(measure="CLI over library, wall", value=over, mark=0.15, unit=" s")
        yield Line(measure="CLI, 5 s clip, wall", value=made["CLI, 5 s"].wall_s, mark=0.45, unit=" s")

    def _cores(self) -> Iterator[Line]:
        video = self._video("h264_1080p_g48_10m.mp4")
        made = self._run(
            {"1 core": self._own(video, "exact", cores=1), "2 cores": self._own(video, "exact", cores=2)}, 3
        )
        gain = made["1 core"].said["engine_wall_s"] / made["2 cores"].said["engine_wall_s"]
        yield Line(measure="exact: wall on 1 core / on 2", value=gain, mark=1.85, at_least=True, unit="x")


def _right(video: str, folder: Path) -> float:
    """Judge the thumbnails in *folder* by a full decode: the share that shows the frame of their instant."""
    command = [sys.executable, "-m", "vodsprite.cli.main", "verify", video, str(folder)]
    done = subprocess.run(
        [*command, "--accuracy", "exact", "--json"], capture_output=True, text=True, check=False
    )
    counts = json.loads(done.stdout)["counts"]
    return float(counts["exact"]) / float(counts["tiles"])


def _make_clips(folder: Path) -> None:
    """Make 20 s clips under the names that the rows use; those whose encoder is missing aren't made."""
    if shutil.which("ffmpeg") is None:
        raise SystemExit("--quick makes its clips with ffmpeg, which isn't installed")
    h264 = ["-c:v", "libx264", "-preset", "veryfast", "-sc_threshold", "0"]
    for name, size, options in (
        ("h264_1080p_g48_10m.mp4", "1280x720", [*h264, "-g", "48"]),
        ("h264_1080p_g250nosc_10m.mp4", "1280x720", [*h264, "-g", "250"]),
        ("hevc_720p_10m.mp4", "640x360", ["-c:v", "libx265", "-preset", "superfast"]),
        ("vp9_720p_10m.webm", "640x360", ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]),
        ("av1_720p_10m.mp4", "640x360", ["-c:v", "libsvtav1", "-preset", "12"]),
    ):
        source = f"testsrc2=size={size}:rate=24:duration=20,noise=alls=6:allf=t"
        made = subprocess.run(
            [*_FFMPEG, "-f", "lavfi", "-i", source, *options, "-pix_fmt", "yuv420p", str(folder / name)],
            capture_output=True,
            check=False,
        )
        if made.returncode:
            (folder / name).unlink(missing_ok=True)


def main() -> None:
    """Parse the command line and print the table."""
    if len(sys.argv) > 1 and sys.argv[1] == _ONE:
        _child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description="Measure the sprite engine beside its rivals.")
    parser.add_argument("--videos", type=Path, default=Path(__file__).parent / "videos")
    parser.add_argument("--quick", action="store_true", help="short clips, made on the spot; one round")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="some rows alone")
    parser.add_argument("--rounds", type=int, help="instead of each row's own number")
    parser.add_argument("--rivals", metavar="PYTHON", help="interpreter of the rivals' environment")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vodsprite-bench-") as name:
        folder = Path(name)
        videos, interval_s, rounds = arguments.videos, 10.0, arguments.rounds
        if arguments.quick:
            videos, interval_s, rounds = folder / "videos", 1.0, rounds or 1
            videos.mkdir()
            _make_clips(videos)
        rows = Bench(videos, folder, arguments.rivals, interval_s, rounds).rows()
        unknown = set(arguments.only or ()) - set(rows)
        if unknown:
            parser.error(f"unknown rows {', '.join(sorted(unknown))}; known are {', '.join(rows)}")
        for row in arguments.only or rows:
            print(row)
            try:
                for line in rows[row]():
                    print(line.text(judge=not arguments.quick), flush=True)
            except _LeftOut as reason:
                print(f"    left out: {reason}", flush=True)


if __name__ == "__main__":
    main()

"""
The parent's side of a render's own process: starts it, reads what it says, ends it when it must end.

What comes back is an outcome, never an exception of the decoder's: a child that crashes, hangs or bloats
costs this one render, and the reason is told in words that help whoever sent the video. `child.py` is the
other side.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from pydantic import TypeAdapter

from vodsprite.errors import FailureKind, StorageFull
from vodsprite.events import Failure
from vodsprite.video import VideoMetadata

_METADATA = TypeAdapter(VideoMetadata)
_LOOK_EVERY_S = 0.2
_LONGEST_ANSWER = 8 * 1024 * 1024
_KEPT_OF_STDERR = 4096
_MIB = 1024 * 1024
# What a decoder may see of our environment: no secret of ours, of a store or of a database.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_INHERITED_PREFIXES = ("LD_LIBRARY", "DYLD_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one render may take."""

    time_base_s: float = 60
    time_factor: float = 2  # s for each second that the video lasts, on top of the base
    time_most_s: float = 12 * 3600  # whatever the video says of its length
    memory_bytes: int = 2048 * _MIB  # address space of the process
    file_bytes: int = 1024 * _MIB  # of one output file
    open_files: int = 256
    tiles: int = 20_000
    cores: int = 0  # decoding threads; 0 is one for each core

    def time_s(self, duration_s: float | None) -> float:
        """Return the time limit for a video of that length; None while it isn't known."""
        return min(self.time_base_s + self.time_factor * (duration_s or 0), self.time_most_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the child is asked for."""

    source: str  # path
    folder: str  # where its files go; empty
    spec: Mapping[str, Any]  # as `spec.to_json` gives it
    definition: int
    vtt_base_url: str  # what the WebVTT file puts before each sheet's name; "" for bare names
    limits: Limits

    def to_json(self) -> str:
        """Return the line that the child reads."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A sprite set, as files in the request's folder."""

    tile_width_px: int
    tile_height_px: int
    total_count: int
    sheets: tuple[str, ...]  # file names, in order
    vtt: str
    metadata: VideoMetadata


class Stopped:
    """The parent did not want the result any more."""


Outcome = Rendered | Failure | Stopped


class _Talk:
    """What a child said so far."""

    def __init__(self) -> None:
        self.duration_s: float | None = None
        self.answer: dict[str, Any] | None = None
        self.stderr = b""
        self._unread = b""

    def hear(self, data: bytes, progress: Callable[[int], None]) -> None:
        """Take in more of its standard output."""
        self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            said = json.loads(line)
            if "percent" in said:
                progress(int(said["percent"]))
            elif "duration_s" in said:
                self.duration_s = float(said["duration_s"])
            else:
                self.answer = said
        if len(self._unread) > _LONGEST_ANSWER:
            raise ValueError("the answer has no end")


def render(
    request: Request,
    *,
    progress: Callable[[int], None],
    is_wanted: Callable[[], bool],
) -> Outcome:
    """
    Render in a process of its own, and return what came of it.

    Args:
        progress: Called with the percentage, now and then, in this thread.
        is_wanted: Asked several times a second; once it says no, the process is ended.

    Raises:
        StorageFull: The child had no room for its files.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "vodsprite.tasks.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=request.folder,
        env=_environment(),
        start_new_session=True,
    )
    talk = _Talk()
    with _ended(process):
        # The pipe stays open: its end tells the child that we are gone.
        _send(process, request.to_json().encode() + b"\n")
        why = _listen(process, talk, request.limits, progress, is_wanted)
        if why is not None:
            process.kill()
        process.wait()
    if why is not None:
        return why
    return _outcome(process.returncode, talk, request.limits)


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    # Thread pools and arenas that nothing here uses take address space, which is limited.
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4"}


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # it died at once; its end tells more
        _pipe(process.stdin).write(line)
        _pipe(process.stdin).flush()


def _listen(
    process: subprocess.Popen[bytes],
    talk: _Talk,
    limits: Limits,
    progress: Callable[[int], None],
    is_wanted: Callable[[], bool],
) -> Failure | Stopped | None:
    """Read until both pipes end; return why the child must be ended before, if it must."""
    begun = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(_pipe(process.stdout), selectors.EVENT_READ)
        selector.register(_pipe(process.stderr), selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(_LOOK_EVERY_S):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    try:
                        talk.hear(data, progress)
                    except (ValueError, TypeError):
                        return Failure(
                            kind=FailureKind.INTERNAL, message="the render's process gave no usable answer"
                        )
                else:
                    talk.stderr = (talk.stderr + data)[-_KEPT_OF_STDERR:]
            if not is_wanted():
                return Stopped()
            limit_s = limits.time_s(talk.duration_s)
            if time.monotonic() - begun > limit_s:
                return Failure(
                    kind=FailureKind.UNSUPPORTED,
                    message=f"the render took longer than {limit_s:.0f} s, the time limit for this video",
                )
    return None


def _outcome(code: int, talk: _Talk, limits: Limits) -> Outcome:
    answer = talk.answer or {}
    if code == 0 and "storage_full" in answer:
        raise StorageFull("the disk of the work folder is full; free some room and it goes on by itself")
    if code == 0 and "failure" in answer:
        return Failure(kind=FailureKind(answer["failure"]["kind"]), message=answer["failure"]["message"])
    if code == 0 and "rendered" in answer:
        rendered = answer["rendered"]
        return Rendered(
            tile_width_px=rendered["tile_width_px"],
            tile_height_px=rendered["tile_height_px"],
            total_count=rendered["total_count"],
            sheets=tuple(rendered["sheets"]),
            vtt=rendered["vtt"],
            metadata=_METADATA.validate_python(rendered["metadata"]),
        )
    return _crash(code, talk, limits)


def _crash(code: int, talk: _Talk, limits: Limits) -> Failure:
    if code >= 0:
        return Failure(
            kind=FailureKind.INTERNAL, message=f"the render's process ended with code {code} and no result"
        )
    if code == -signal.SIGXCPU:
        return Failure(kind=FailureKind.UNSUPPORTED, message="the render took more CPU time than it may")
    if code == -signal.SIGKILL:
        return Failure(
            kind=FailureKind.INTERNAL,
            message="the render's process was killed from outside, most likely because the machine had "
            f"no memory left; one render may take {limits.memory_bytes // _MIB} MiB",
        )
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return Failure(kind=FailureKind.MALFORMED, message=f"the decoder crashed on this video ({name})")


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe

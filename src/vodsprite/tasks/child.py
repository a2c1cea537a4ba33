"""
One render in a process of its own: `python -m vodsprite.tasks.child`.

It reads one line of JSON (`process.Request`), writes lines of JSON (percentage, the video's length, then the
answer) and ends. Whatever the decoder does to this process, the service lives on: the limits are set before
the first byte of the video is read, and it ends when the service does. Nothing else in the service loads a
decoder.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import resource
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vodsprite.errors import FailureKind, VideoError

_LEAST_BYTES_PER_S = 250  # less than any real video has; a few bytes may claim to last for years
_USUAL_BYTES_PER_S = 125_000

_PR_SET_PDEATHSIG = 1
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def main() -> None:
    """Carry out the request on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us too; the service decides
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # EFBIG tells it better
    tell = _Teller()
    _die_with_the_parent()
    request = json.loads(sys.stdin.buffer.readline())
    _watch_the_parent()
    _limit(request["limits"])
    tell.answer(_render(request, tell))


class _Teller:
    """Writes to what was standard output; that itself now goes where errors go, whatever a library prints."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._told_at = 0.0
        self._percent = -1

    def progress(self, done: int, total: int) -> None:
        """Tell how far it is, at most five times a second."""
        percent = min(99, 100 * done // max(total, 1))
        now = time.monotonic()
        if percent != self._percent and now - self._told_at >= 0.2:
            self._told_at, self._percent = now, percent
            self.answer({"percent": percent})

    def answer(self, line: dict[str, Any]) -> None:
        """Write one line."""
        self._out.write(json.dumps(line).encode() + b"\n")
        self._out.flush()


def _die_with_the_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _watch_the_parent() -> None:
    def watch() -> None:
        # Nothing more is ever sent: the read returns when the parent's end of the pipe is closed. It goes
        # around the stream object, whose lock would be held when the interpreter ends.
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _limit(limits: dict[str, Any]) -> None:
    cores = os.cpu_count() or 1
    cpu_s = int(limits["time_most_s"]) * cores + 60
    for what, most in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them
            resource.setrlimit(what, (value, value))


def _render(request: dict[str, Any], tell: _Teller) -> dict[str, Any]:
    memory_mib = request["limits"]["memory_bytes"] // 1024 // 1024
    try:
        return {"rendered": _sprites(request, tell)}
    except VideoError as error:
        return _failure(error.kind, _sentence(error))
    except MemoryError:
        return _failure(FailureKind.UNSUPPORTED, f"the video needs more memory than {memory_mib} MiB")
    except OSError as error:
        if error.errno in _NO_ROOM:
            return {"storage_full": True}
        if error.errno == errno.EFBIG:
            return _failure(FailureKind.CONFIGURATION, "a sheet is larger than an output file may be")
        if error.errno == errno.ENOMEM:
            return _failure(FailureKind.UNSUPPORTED, f"the video needs more memory than {memory_mib} MiB")
        raise


def _sprites(request: dict[str, Any], tell: _Teller) -> dict[str, Any]:
    # Imported under the limits, like everything else that may grow.
    from vodsprite.sprite import render, spec

    source, folder = Path(request["source"]), Path(request["folder"])
    base_url = request["vtt_base_url"].encode()

    def write(name: str, data: bytes) -> None:
        if base_url and name.endswith(".vtt"):
            data = re.sub(rb"^(?=imageSprite_)", lambda _: base_url, data, flags=re.MULTILINE)
        (folder / name).write_bytes(data)

    tell.answer({"duration_s": _claimed_duration_s(source)})
    sprites = render.render(
        source,
        spec.from_json(request["spec"]),
        write,
        definition=request["definition"],
        progress=tell.progress,
        tile_limit=request["limits"]["tiles"],
        cores=request["limits"]["cores"] or None,
    )
    return {
        "tile_width_px": sprites.tile.width_px,
        "tile_height_px": sprites.tile.height_px,
        "total_count": sprites.total_count,
        "sheets": list(sprites.sheets),
        "vtt": sprites.vtt,
        "metadata": asdict(sprites.metadata),
    }


def _claimed_duration_s(source: Path) -> float:
    """Return how long the video says it is, within what its size makes likely; for the time limit."""
    from vodsprite.sprite.opening import opened

    size_bytes = source.stat().st_size
    with opened(source) as video:
        claimed_us = video.container.duration
    if claimed_us is None or claimed_us <= 0:
        return size_bytes / _USUAL_BYTES_PER_S
    return min(claimed_us / 1_000_000, size_bytes / _LEAST_BYTES_PER_S)


def _sentence(error: VideoError) -> str:
    # What is said of the file lacks a subject: "is empty". What is said of the spec is whole.
    return str(error) if error.kind is FailureKind.CONFIGURATION else f"the file {error}"


def _failure(kind: FailureKind, message: str) -> dict[str, Any]:
    return {"failure": {"kind": kind.value, "message": message}}


if __name__ == "__main__":
    main()

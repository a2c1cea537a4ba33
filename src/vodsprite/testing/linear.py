"""What a plain reading from start to end shows: the yardstick for everything that seeks and skips."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One decoded picture, in the order of PTS."""

    at: Fraction  # s from the first one
    is_key: bool


def pictures(path: Path) -> list[Picture]:
    """Decode all of *path*, nothing sought or left out."""
    with av.open(f"file:{path}") as container:
        stream = next(each for each in container.streams.video if not each.disposition & 1024)
        stream.thread_type, stream.thread_count = "NONE", 1
        frames = []
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.error.InvalidDataError:
                continue
            frames += [(frame.pts, frame.key_frame) for frame in decoded if frame.pts is not None]
        base = stream.time_base
    assert base is not None
    frames.sort()
    return [Picture(at=(pts - frames[0][0]) * Fraction(base), is_key=is_key) for pts, is_key in frames]


def on_screen(shown: list[Picture], instant: Fraction) -> Picture:
    """Return the picture on screen at *instant*."""
    return [each for each in shown if each.at <= instant][-1]

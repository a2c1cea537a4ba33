"""
Reading WebVTT files of tiles, as tools write them: cues whose text is an image with `#xywh=` (Media Fragments
URI 1.0, section 4.2.2), or an image alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vodsprite.sprite.geometry import Rectangle

_TIME = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s.*)?")
_RECTANGLE = re.compile(r"(?:.*&)?xywh=(?:pixel:)?(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})(?:&.*)?")
_FAULTS_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCue:
    """A cue as it stands in a file."""

    start_ms: int
    end_ms: int
    target: str  # name or URL of the image
    rectangle: Rectangle | None  # in pixels; None: all of the image


def parse(data: bytes) -> tuple[list[WrittenCue], list[str]]:
    """Return the cues of a file in its order, and what is wrong with the rest of it (20 faults at most)."""
    faults: list[str] = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [], ["the file is not UTF-8"]
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if re.fullmatch(r"WEBVTT(?:[ \t].*)?", lines[0]) is None:
        faults.append("the first line is not WEBVTT")
    cues: list[WrittenCue] = []
    for number, line in enumerate(lines):
        if "-->" not in line:
            continue
        cue = _cue(line, lines[number + 1] if number + 1 < len(lines) else "")
        if isinstance(cue, WrittenCue):
            cues.append(cue)
        else:
            faults.append(f"line {number + 1}: {cue}")
    if not cues:
        faults.append("there is not one cue of a tile")
    return cues, faults[:_FAULTS_MOST]


def _cue(timing: str, payload: str) -> WrittenCue | str:
    """Return the cue of its two lines, or what is wrong with them."""
    times = _TIMING.fullmatch(timing)
    if times is None:
        return f"{timing[:60]!r} is no span of time"
    target, mark, fragment = payload.strip().partition("#")
    if not target:
        return "the cue names no image"
    rectangle: Rectangle | None = None
    if mark:
        numbers = _RECTANGLE.fullmatch(fragment)
        if numbers is None:
            return f"{fragment[:60]!r} is no rectangle in pixels"
        x, y, width, height = map(int, numbers.groups())
        rectangle = Rectangle(x=x, y=y, width_px=width, height_px=height)
    groups = times.groups()
    return WrittenCue(start_ms=_ms(*groups[:4]), end_ms=_ms(*groups[4:]), target=target, rectangle=rectangle)


def _ms(hours: str | None, minutes: str, seconds: str, ms: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(ms)

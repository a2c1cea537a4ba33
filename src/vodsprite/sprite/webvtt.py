"""
Cues and the WebVTT file: which rectangle of which sheet shows which span of time.

The form is the one that every known player parses: hours always written, no cue settings, identifiers or
notes, the bare file name, four plain integers, LF line ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor

from vodsprite.sprite import geometry
from vodsprite.sprite.sampling import SamplingPlan
from vodsprite.sprite.spec import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A half-open span of time, in milliseconds, and the rectangle of its tile."""

    start_ms: int
    end_ms: int
    sheet: int  # from 0
    rectangle: geometry.Rectangle


def cues(plan: SamplingPlan, tile: geometry.Size, grid: Grid) -> Iterator[Cue]:
    """
    Yield the cue of every tile, in order.

    Cues start at their instant, rounded down to the millisecond; they are contiguous from 0, and the last one
    ends at the duration, rounded up. Each lasts at least 1 ms, even if the instants lie closer than that.
    """
    start_ms = 0
    for index in range(plan.count):
        if index == plan.count - 1:
            end_ms = ceil(plan.duration * 1000)
        else:
            end_ms = floor(plan.instant(index + 1) * 1000)
        end_ms = max(end_ms, start_ms + 1)
        place = geometry.place(index, tile, grid)
        yield Cue(
            start_ms=start_ms,
            end_ms=end_ms,
            sheet=place.sheet,
            rectangle=geometry.Rectangle(
                x=place.x, y=place.y, width_px=tile.width_px, height_px=tile.height_px
            ),
        )
        start_ms = end_ms


def render(plan: SamplingPlan, tile: geometry.Size, grid: Grid, sheets: Sequence[str]) -> bytes:
    """Return the WebVTT file. *sheets* are the bare file names of the sheets, in order."""
    lines = ["WEBVTT", ""]
    for cue in cues(plan, tile, grid):
        box = cue.rectangle
        lines += [
            f"{_timestamp(cue.start_ms)} --> {_timestamp(cue.end_ms)}",
            f"{sheets[cue.sheet]}#xywh={box.x},{box.y},{box.width_px},{box.height_px}",
            "",
        ]
    return "\n".join(lines).encode("ascii")


def _timestamp(at_ms: int) -> str:
    seconds, ms = divmod(at_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"

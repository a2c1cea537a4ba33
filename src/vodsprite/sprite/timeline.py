"""
When each picture is on screen: the clock of one video, and which of its pictures stands for an instant.

Times are integer ticks of the stream's time base. Everything here is arithmetic on tables; packets and frames
are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from vodsprite.sprite.sampling import SamplingPlan
from vodsprite.sprite.spec import Accuracy

Ticks = NDArray[np.int64]

# Stands for a missing time in a table. Below every real one: a packet without a time precedes what has one.
UNTIMED = np.iinfo(np.int64).min

# A transport stream whose clock leaps further than this was spliced; players go on as if nothing were.
_SPLICE_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One tile's span of time in ticks; the bounds are exact for integer PTS."""

    at: int  # a picture is on screen at the instant if its PTS is at most this
    first: int  # a picture lies in the span if its PTS is at least this ...
    end: int  # ... and less than this


def spans(plan: SamplingPlan, origin: int, time_base: Fraction) -> list[Span]:
    """Return the span of every tile of *plan*, where the first picture of the video has the PTS *origin*."""

    def ticks(seconds: Fraction) -> Fraction:
        return origin + seconds / time_base

    return [
        Span(
            at=floor(ticks(plan.instant(index))),
            first=ceil(ticks(plan.instant(index))),
            end=ceil(ticks(plan.end(index))),
        )
        for index in range(plan.count)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a packet, or a picture, says of itself."""

    pts: int | None
    dts: int | None
    duration: int
    is_key: bool
    is_dropped: bool  # to be decoded, but not shown


class PacketTable:
    """
    Every packet of a stream in the order of decoding, with a clock that only goes forward.

    Args:
        splices: The container may have joined streams with clocks of their own (MPEG-TS, MPEG-PS).
    """

    def __init__(self, rows: Sequence[Row], time_base: Fraction, *, splices: bool) -> None:
        self.pts: Ticks = _ticks(row.pts for row in rows)
        self.dts: Ticks = _ticks(row.dts for row in rows)
        self.durations: Ticks = np.array([row.duration for row in rows], np.int64)
        self.is_key = np.array([row.is_key for row in rows], np.bool_)
        dropped = np.array([row.is_dropped for row in rows], np.bool_)
        if splices:
            self._join(int(_SPLICE_S / time_base))
        self._keys: NDArray[np.intp] = np.flatnonzero(self.is_key)
        timed = np.flatnonzero((self.pts != UNTIMED) & ~dropped)
        self._shown: NDArray[np.intp] = timed[np.argsort(self.pts[timed], kind="stable")]
        shown_keys = self._shown[self.is_key[self._shown]]
        self._shown_keys: NDArray[np.intp] = shown_keys

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def is_timed(self) -> bool:
        """Whether the packets tell when their pictures are shown; a few in a hundred may not."""
        untimed = int(np.count_nonzero(self.pts == UNTIMED))
        return len(self._shown) > 0 and untimed <= max(8, len(self.pts) // 50)

    @property
    def is_monotonic(self) -> bool:
        """Whether packets come in the order of their decoding times."""
        known = self.dts[self.dts != UNTIMED]
        return bool(np.all(known[1:] >= known[:-1]))

    def end(self, fallback: int) -> int:
        """Return the end of the last picture; *fallback* is the duration of one that states none."""
        durations = np.where(self.durations[self._shown] > 0, self.durations[self._shown], fallback)
        return int(np.max(self.pts[self._shown] + durations))

    def time(self, packet: int) -> int | None:
        """Return the PTS of *packet*, None if it has none."""
        pts = int(self.pts[packet])
        return None if pts == UNTIMED else pts

    def shown_at(self, tick: int) -> int:
        """Return the packet whose picture is on screen at *tick*; the first picture if none is yet."""
        after = int(np.searchsorted(self.pts[self._shown], tick, side="right"))
        return int(self._shown[max(0, after - 1)])

    def first_key_in(self, first: int, end: int) -> int | None:
        """Return the first shown keyframe with `first <= PTS < end`."""
        at = int(np.searchsorted(self.pts[self._shown_keys], first, side="left"))
        if at < len(self._shown_keys) and self.pts[self._shown_keys[at]] < end:
            return int(self._shown_keys[at])
        return None

    def last_key_at(self, tick: int) -> int | None:
        """Return the last shown keyframe with `PTS <= tick`."""
        after = int(np.searchsorted(self.pts[self._shown_keys], tick, side="right"))
        return int(self._shown_keys[after - 1]) if after else None

    def start_for(self, packet: int, *, back: int = 0) -> int:
        """
        Return where decoding must begin for *packet*.

        That is the last keyframe that neither follows it nor is shown later.

        Args:
            back: So many keyframes earlier than that; packet 0 if there are not as many.
        """
        before = self._keys[: int(np.searchsorted(self._keys, packet, side="right"))]
        fit = np.flatnonzero(self.pts[before] <= self.pts[packet])
        at = len(fit) - 1 - back
        return int(before[fit[at]]) if at >= 0 else 0

    def choose(self, span: Span, accuracy: Accuracy) -> tuple[int, bool]:
        """Return the packet whose picture stands for *span*, and whether it is to be decoded alone."""
        key: int | None = None
        if accuracy is Accuracy.CUE:
            key = self.first_key_in(span.first, span.end)
        elif accuracy is Accuracy.KEYFRAME:
            key = self.last_key_at(span.at)
        if key is not None:
            return key, True
        return self.shown_at(span.at), False

    def _join(self, leap: int) -> None:
        """Let the clock go on where it falls, or leaps further than *leap*."""
        known = np.flatnonzero(self.dts != UNTIMED)
        steps = np.diff(self.dts[known])
        breaks = np.flatnonzero((steps < 0) | (steps > leap))
        offset = np.zeros(len(self.dts), np.int64)
        for at in breaks:
            before, after = known[at], known[at + 1]
            offset[after:] += self.dts[before] + max(1, self.durations[before]) - self.dts[after]
        self.dts = np.where(self.dts == UNTIMED, UNTIMED, self.dts + offset)
        self.pts = np.where(self.pts == UNTIMED, UNTIMED, self.pts + offset)


def _ticks(values: Iterable[int | None]) -> Ticks:
    return np.array([UNTIMED if value is None else value for value in values], np.int64)


class PictureTable:
    """
    Every picture of a stream in the order of the decoder's output, for streams whose packets don't tell.

    Of the two times that a picture comes with, the one is believed that rises more faithfully from picture to
    picture, over the whole stream; the presentation time if they are equally good.

    Args:
        rows: The pictures; `is_dropped` means nothing here.
        tick: How long a picture lasts that doesn't say, and how far apart those are that have no time.
    """

    def __init__(self, rows: Sequence[Row], tick: int) -> None:
        believes_pts = _faults([row.pts for row in rows]) <= _faults([row.dts for row in rows])
        self._times: list[int] = []
        for row in rows:
            first, second = (row.pts, row.dts) if believes_pts else (row.dts, row.pts)
            at = second if first is None else first
            if self._times:
                at = self._times[-1] + tick if at is None else max(at, self._times[-1])
            self._times.append(at or 0)
        self._keys = [row.is_key for row in rows]
        # How long a picture without a time lasts is made up by its decoder.
        is_timed = bool(rows) and (rows[-1].pts is not None or rows[-1].dts is not None)
        self._last_duration = (rows[-1].duration if is_timed else 0) or tick

    def __len__(self) -> int:
        return len(self._times)

    @property
    def origin(self) -> int:
        """The time of the first picture."""
        return self._times[0]

    @property
    def end(self) -> int:
        """The end of the last picture."""
        return self._times[-1] + self._last_duration

    def time(self, picture: int) -> int:
        """Return when *picture* (from 0) appears."""
        return self._times[picture]

    def choose(self, spans: Sequence[Span], accuracy: Accuracy) -> list[int]:
        """Return the picture that stands for each of *spans*."""
        times = np.array(self._times, np.int64)
        keys = np.flatnonzero(np.array(self._keys, np.bool_))
        key_times = times[keys]

        def choose(span: Span) -> int:
            if accuracy is Accuracy.CUE:
                at = int(np.searchsorted(key_times, span.first, side="left"))
                if at < len(keys) and key_times[at] < span.end:
                    return int(keys[at])
            if accuracy is Accuracy.KEYFRAME:
                after = int(np.searchsorted(key_times, span.at, side="right"))
                if after:
                    return int(keys[after - 1])
            return max(0, int(np.searchsorted(times, span.at, side="right")) - 1)

        return [choose(span) for span in spans]


def _faults(times: Iterable[int | None]) -> int:
    """Return how many of *times* don't rise."""
    known = [at for at in times if at is not None]
    return sum(after <= before for before, after in pairwise(known))

"""
Which instants are sampled: from a duration and a sampling to exact instants.

Media time is `Fraction` seconds from the first frame: steps such as 1001/30000 s add up exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from vodsprite.errors import FailureKind, VideoError
from vodsprite.sprite.spec import EveryInterval, Sampling

TILE_LIMIT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingPlan:
    """
    The sampled instants of one video, in order.

    Tile `i` stands for the half-open span `[instant(i), end(i))`; together the spans cover `[0, duration)`
    without gap or overlap. Instants are multiples of one step, so a plan of any length takes no room.
    """

    duration: Fraction  # s, at least 0
    step: Fraction  # s
    count: int  # at least 1

    def instant(self, index: int) -> Fraction:
        """Return the instant of tile *index*, in seconds."""
        return self.step * index

    def end(self, index: int) -> Fraction:
        """Return where the span of tile *index* ends, in seconds."""
        return self.duration if index == self.count - 1 else self.step * (index + 1)


def plan(duration: Fraction, sampling: Sampling, *, limit: int = TILE_LIMIT) -> SamplingPlan:
    """
    Return the instants that *sampling* takes from a video of *duration* seconds.

    There is always a tile at 0, even if the duration is 0.

    Raises:
        VideoError: (`CONFIGURATION`) there would be more than *limit* tiles.
    """
    if isinstance(sampling, EveryInterval):
        step = sampling.seconds
        count = max(1, ceil(duration / step))
    else:
        step = duration * sampling.percent / 100
        count = ceil(100 / sampling.percent)
        if duration == 0:
            count = 1
    if count > limit:
        raise VideoError(
            FailureKind.CONFIGURATION,
            f"the sampling gives {count} tiles of a video of {float(duration):.3f} s; "
            f"at most {limit} are allowed",
        )
    return SamplingPlan(duration=duration, step=step, count=count)

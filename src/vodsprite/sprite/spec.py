"""
What to render: the spec of a sprite set and its rules.

Values check themselves when they are built, so whoever receives one checks nothing. `to_json` and `from_json`
carry a spec through a database row or to another process, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any

from vodsprite.errors import InvalidInput
from vodsprite.sprite import formats

TILE_SIDE_MIN_PX = 32
TILE_SIDE_MAX_PX = 4096
SHEET_SIDE_MAX_PX = 15_000


class Fill(Enum):
    """How a picture is fitted into a tile of another shape."""

    BLACK = "black"  # keep the picture's shape, pad with black
    WHITE = "white"  # keep the picture's shape, pad with white
    STRETCH = "stretch"  # scale both sides independently
    GAUSS = "gauss"  # keep the picture's shape, pad with a blurred copy of it


class Accuracy(Enum):
    """Which frame stands for an instant."""

    CUE = "cue"  # the first keyframe inside the tile's own cue; if there is none, as EXACT
    EXACT = "exact"  # the frame on screen at the instant
    KEYFRAME = "keyframe"  # the last keyframe at or before the instant; cheapest, error unbounded


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryInterval:
    """Sample at 0, *seconds*, 2 x *seconds*, ... before the end."""

    seconds: Fraction

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise InvalidInput("sampling_interval", f"is {float(self.seconds):g} s; it must be more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryPercent:
    """Sample at 0 %, *percent*, 2 x *percent*, ... before 100 % of the duration."""

    percent: Fraction

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100:
            raise InvalidInput(
                "sampling_interval", f"is {float(self.percent):g} %; it is more than 0, up to 100"
            )


Sampling = EveryInterval | EveryPercent


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Rows and columns of tiles on a full sheet."""

    rows: int
    columns: int

    def __post_init__(self) -> None:
        for name, value in (("row_count", self.rows), ("column_count", self.columns)):
            if not 1 <= value <= SHEET_SIDE_MAX_PX:
                raise InvalidInput(
                    name, f"is {value}; a sheet has at least 1 and at most {SHEET_SIDE_MAX_PX}"
                )

    @property
    def tiles(self) -> int:
        """How many tiles a full sheet holds."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSize:
    """
    The size asked for, in pixels; 0 follows the source.

    With *adaptive*, the width limits the source's longer side and the height its shorter one: a portrait
    video swaps them. Without, the width is horizontal whatever the video.
    """

    width_px: int
    height_px: int
    adaptive: bool = True

    def __post_init__(self) -> None:
        for name, value in (("tile_width", self.width_px), ("tile_height", self.height_px)):
            if value != 0 and not TILE_SIDE_MIN_PX <= value <= TILE_SIDE_MAX_PX:
                raise InvalidInput(
                    name, f"is {value} px; it is 0 or {TILE_SIDE_MIN_PX} to {TILE_SIDE_MAX_PX} px"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpriteSpec:
    """How to make a sprite set out of any video."""

    sampling: Sampling
    grid: Grid = field(default_factory=lambda: Grid(rows=10, columns=10))
    tile: TileSize = field(default_factory=lambda: TileSize(width_px=142, height_px=80))
    fill: Fill = Fill.BLACK
    format: str = "jpg"  # a name in `formats.FORMATS`
    quality: int | None = None  # 1 to 100; None: the format's own default
    accuracy: Accuracy = Accuracy.CUE

    def __post_init__(self) -> None:
        descriptor = formats.FORMATS.get(self.format)
        if descriptor is None:
            raise InvalidInput("format", f"is {self.format[:20]!r}; known are {', '.join(formats.FORMATS)}")
        if self.quality is not None:
            if descriptor.default_quality is None:
                raise InvalidInput("quality", f"means nothing to {self.format}, which loses nothing")
            if not 1 <= self.quality <= 100:
                raise InvalidInput("quality", f"is {self.quality}; it is 1 to 100")
        for name, tiles, side_px in (
            ("tile_width", self.grid.columns, self.tile.width_px),
            ("tile_height", self.grid.rows, self.tile.height_px),
        ):
            if tiles * side_px > SHEET_SIDE_MAX_PX:
                raise InvalidInput(
                    name,
                    f"makes a sheet side of {tiles} x {side_px} = {tiles * side_px} px; "
                    f"at most {SHEET_SIDE_MAX_PX} px are allowed",
                )


PRESET_10 = SpriteSpec(sampling=EveryInterval(seconds=Fraction(10)))


def to_json(spec: SpriteSpec) -> dict[str, Any]:
    """Return *spec* as plain JSON types; fractions are texts such as "1/3"."""
    if isinstance(spec.sampling, EveryInterval):
        sampling = {"seconds": str(spec.sampling.seconds)}
    else:
        sampling = {"percent": str(spec.sampling.percent)}
    return {
        "sampling": sampling,
        "grid": {"rows": spec.grid.rows, "columns": spec.grid.columns},
        "tile": {
            "width_px": spec.tile.width_px,
            "height_px": spec.tile.height_px,
            "adaptive": spec.tile.adaptive,
        },
        "fill": spec.fill.value,
        "format": spec.format,
        "quality": spec.quality,
        "accuracy": spec.accuracy.value,
    }


def from_json(data: Mapping[str, Any]) -> SpriteSpec:
    """Return the spec that `to_json` wrote as *data*."""
    sampling: Sampling
    if "seconds" in data["sampling"]:
        sampling = EveryInterval(seconds=Fraction(data["sampling"]["seconds"]))
    else:
        sampling = EveryPercent(percent=Fraction(data["sampling"]["percent"]))
    return SpriteSpec(
        sampling=sampling,
        grid=Grid(**data["grid"]),
        tile=TileSize(**data["tile"]),
        fill=Fill(data["fill"]),
        format=data["format"],
        quality=data["quality"],
        accuracy=Accuracy(data["accuracy"]),
    )

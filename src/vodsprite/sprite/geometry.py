"""
Where things lie: a picture in its tile, a tile on its sheet. Integers in pixels, origin at the top left.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vodsprite.errors import FailureKind, VideoError
from vodsprite.sprite.spec import SHEET_SIDE_MAX_PX, TILE_SIDE_MAX_PX, Fill, Grid, TileSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Width and height in pixels, both at least 1."""

    width_px: int
    height_px: int

    @property
    def turned(self) -> Size:
        """The size after a quarter turn."""
        return Size(width_px=self.height_px, height_px=self.width_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A rectangle on a canvas, in pixels."""

    x: int
    y: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """How a stored picture is turned for viewing: transposed first (if at all), then flipped."""

    transposed: bool = False
    flipped_across: bool = False  # left and right change places
    flipped_down: bool = False  # top and bottom change places

    @property
    def rotation_deg(self) -> int:
        """The clockwise turn in it: 0, 90, 180 or 270; a mirror image is counted as flipped across first."""
        if self.transposed:
            return 270 if self.flipped_down else 90
        return 180 if self.flipped_down else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tile lies: on which sheet (from 0), and where on it."""

    sheet: int
    x: int
    y: int


def tile_size(display: tuple[Fraction, Fraction], wanted: TileSize) -> Size:
    """
    Return the size of every tile.

    A side of 0 follows the shape of the source; computed sides are even and at least 2. Both sides 0: the
    size of the source itself.

    Args:
        display: Width and height of the picture as viewers see it: turned, and with square pixels.

    Raises:
        VideoError: (`CONFIGURATION`) a computed side is larger than a tile may be.
    """
    width, height = display
    asked = (wanted.width_px, wanted.height_px)
    if wanted.adaptive and height > width:
        asked = asked[::-1]
    across, down = asked
    if across and down:
        return Size(width_px=across, height_px=down)
    if across:
        size = Size(width_px=across, height_px=_even(across * height / width))
    elif down:
        size = Size(width_px=_even(down * width / height), height_px=down)
    else:
        size = Size(width_px=_even(width), height_px=_even(height))
    if max(size.width_px, size.height_px) > TILE_SIDE_MAX_PX:
        raise VideoError(
            FailureKind.CONFIGURATION,
            f"a tile that follows the source would be {size.width_px} x {size.height_px} px; "
            f"at most {TILE_SIDE_MAX_PX} px a side are allowed",
        )
    return size


def _even(side: Fraction) -> int:
    return max(2, 2 * int(side / 2 + Fraction(1, 2)))


def sheet_size(tile: Size, grid: Grid) -> Size:
    """
    Return the size of every sheet.

    Raises:
        VideoError: (`CONFIGURATION`) a side is larger than a sheet may be.
    """
    size = Size(width_px=tile.width_px * grid.columns, height_px=tile.height_px * grid.rows)
    if max(size.width_px, size.height_px) > SHEET_SIDE_MAX_PX:
        raise VideoError(
            FailureKind.CONFIGURATION,
            f"{grid.rows} rows and {grid.columns} columns of {tile.width_px} x {tile.height_px} px make a "
            f"sheet of {size.width_px} x {size.height_px} px; "
            f"at most {SHEET_SIDE_MAX_PX} px a side are allowed",
        )
    return size


def place(index: int, tile: Size, grid: Grid) -> Place:
    """Return where tile *index* (from 0) lies: row by row, left to right, sheet after sheet."""
    sheet, on_sheet = divmod(index, grid.tiles)
    row, column = divmod(on_sheet, grid.columns)
    return Place(sheet=sheet, x=column * tile.width_px, y=row * tile.height_px)


def fit(display: tuple[Fraction, Fraction], tile: Size, fill: Fill) -> Rectangle:
    """
    Return where the picture lies in its tile.

    That is all of it for `STRETCH`, else as large as the picture's shape allows, centred.

    Args:
        display: Width and height of the picture as viewers see it; only their ratio counts.
    """
    width, height = display
    if fill is Fill.STRETCH:
        return Rectangle(x=0, y=0, width_px=tile.width_px, height_px=tile.height_px)
    scale = min(tile.width_px / width, tile.height_px / height)
    across = min(tile.width_px, max(1, round(width * scale)))
    down = min(tile.height_px, max(1, round(height * scale)))
    return Rectangle(
        x=(tile.width_px - across) // 2, y=(tile.height_px - down) // 2, width_px=across, height_px=down
    )

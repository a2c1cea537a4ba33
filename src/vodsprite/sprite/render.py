"""
The pipeline: a video in, named sheets and their WebVTT file out.

    open and measure -> plan -> pictures -> tiles -> sheets -> bytes

Memory holds a few pictures and one sheet, whatever the length of the video.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vodsprite.errors import VodspriteError
from vodsprite.sprite import decode, geometry, sampling, webvtt
from vodsprite.sprite.formats import FORMATS
from vodsprite.sprite.geometry import Size
from vodsprite.sprite.opening import Source
from vodsprite.sprite.probe import Video, open_video
from vodsprite.sprite.sampling import TILE_LIMIT, SamplingPlan
from vodsprite.sprite.sheet import Sheet
from vodsprite.sprite.spec import Grid, SpriteSpec
from vodsprite.sprite.tile import Pixels, Tiler
from vodsprite.video import VideoMetadata

Write = Callable[[str, bytes], None]

# From here on, what the deblocking filter does to a keyframe is below what the JPEG encoder does.
_MUCH_SMALLER = 8


class Cancelled(VodspriteError):
    """The caller asked to stop."""

    def __init__(self) -> None:
        super().__init__("the render was cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedTile:
    """One tile of a sprite set: when it is meant to be, what it shows, and where it lies."""

    index: int
    instant: Fraction  # s from the first picture
    pts_s: float  # PTS of the picture on the tile, in s from the PTS of the video's first picture
    sheet: str  # file name
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpriteSet:
    """All sheets of one render and their WebVTT file."""

    total_count: int  # tiles over all sheets
    tile: Size
    grid: Grid
    sheets: tuple[str, ...]  # file names
    vtt: str  # file name
    duration_s: float  # of the pictures, measured
    tiles: tuple[RenderedTile, ...]
    metadata: VideoMetadata
    warnings: tuple[str, ...]


def render(
    source: Source,
    spec: SpriteSpec,
    write: Write,
    *,
    definition: int = 10,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    tile_limit: int = TILE_LIMIT,
    cores: int | None = None,
) -> SpriteSet:
    """
    Render the sprite set of *source*.

    Each finished file is handed to *write*: the sheets in order, the WebVTT last.
    Same source, spec and library versions, same bytes.

    Args:
        source: A path, or a seekable binary file; the latter stays open.
        write: Called with the bare file name and the content.
        definition: The number in the file names.
        progress: Called after every tile with the tiles done and the tiles there will be.
        cancelled: Asked again and again; True ends the render.
        tile_limit: The most tiles that a render may have.
        cores: How many pictures to decode at once; None: as many as this process may use.

    Raises:
        VideoError: *source* is no usable video (messages complete "<the file> ..." and name no path), or the
            spec makes of it what a limit forbids (`CONFIGURATION`).
        Cancelled: *cancelled* said so.
    """
    with open_video(source) as video:
        job = _Job(video, spec, tile_limit)
        sheet = Sheet(job.sheet_size, spec)
        names: list[str] = []
        rendered: list[RenderedTile] = []
        for index, (shown, pixels) in enumerate(job.shots(cores, cancelled)):
            if index == 0:
                sheet.prepare()
            place = geometry.place(index, job.tile_size, spec.grid)
            name = sheet_name(definition, place.sheet, spec.format)
            sheet.put(pixels, place.x, place.y)
            rendered.append(
                RenderedTile(
                    index=index,
                    instant=job.plan.instant(index),
                    pts_s=float(shown),
                    sheet=name,
                    x=place.x,
                    y=place.y,
                )
            )
            if (index + 1) % spec.grid.tiles == 0 or index + 1 == job.plan.count:
                write(name, sheet.take())
                names.append(name)
            if progress is not None:
                progress(index + 1, job.plan.count)
        vtt = vtt_name(definition)
        write(vtt, webvtt.render(job.plan, job.tile_size, spec.grid, names))
        return SpriteSet(
            total_count=job.plan.count,
            tile=job.tile_size,
            grid=spec.grid,
            sheets=tuple(names),
            vtt=vtt,
            duration_s=float(job.plan.duration),
            tiles=tuple(rendered),
            metadata=video.metadata,
            warnings=job.warnings(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile as a picture."""

    index: int
    instant: Fraction  # s from the first picture
    pts_s: float  # PTS of the picture, in s from the PTS of the video's first picture


def tiles(
    source: Source,
    spec: SpriteSpec,
    *,
    cancelled: Callable[[], bool] | None = None,
    tile_limit: int = TILE_LIMIT,
    cores: int | None = None,
) -> Iterator[tuple[Tile, Pixels]]:
    """
    Yield every tile with its pixels, `(height, width, 3)` RGB `uint8`, in order.

    Raises:
        VideoError, Cancelled: as `render`.
    """
    with open_video(source) as video:
        job = _Job(video, spec, tile_limit)
        for index, (shown, pixels) in enumerate(job.shots(cores, cancelled)):
            yield Tile(index=index, instant=job.plan.instant(index), pts_s=float(shown)), pixels


def sheet_name(definition: int, sheet: int, image_format: str) -> str:
    """Return the file name of a sheet (from 0)."""
    return f"imageSprite_{definition}_{sheet}{FORMATS[image_format].suffix}"


def vtt_name(definition: int) -> str:
    """Return the name of the WebVTT file."""
    return f"imageSprite_{definition}.vtt"


class _Job:
    """What follows from one video and one spec."""

    def __init__(self, video: Video, spec: SpriteSpec, tile_limit: int) -> None:
        self._video = video
        self._spec = spec
        self.tile_size = geometry.tile_size(video.display, spec.tile)
        self.sheet_size = geometry.sheet_size(self.tile_size, spec.grid)
        self.plan: SamplingPlan = sampling.plan(video.clock.duration, spec.sampling, limit=tile_limit)

    def shots(
        self, cores: int | None, cancelled: Callable[[], bool] | None
    ) -> Iterator[tuple[Fraction, Pixels]]:
        """Yield the time of the picture shown, in seconds from the first one, and the tile, of every span."""

        def check() -> None:
            if cancelled is not None and cancelled():
                raise Cancelled

        frame = self._video.first_frame
        stored = self.tile_size.turned if self._video.orientation.transposed else self.tile_size
        for shot in decode.shots(
            self._video,
            self.plan,
            self._spec.accuracy,
            tiler=self._tiler,
            cores=cores or _usable_cores(),
            is_much_smaller=frame.width >= _MUCH_SMALLER * stored.width_px
            and frame.height >= _MUCH_SMALLER * stored.height_px,
            check=check,
        ):
            yield self._video.clock.seconds(shot.pts), shot.tile

    def warnings(self) -> tuple[str, ...]:
        """Return what a person should know about the result."""
        if not self._video.clock.is_damaged:
            return ()
        return ("the file is damaged or cut short; pictures may be missing or spoilt",)

    def _tiler(self) -> Tiler:
        return Tiler(
            self.tile_size,
            self._spec.fill,
            orientation=self._video.orientation,
            pixel_aspect=self._video.opened.pixel_aspect,
        )


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

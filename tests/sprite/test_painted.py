"""Every tile shows the frame that it must: read from its pixels, in every container and codec."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import pytest

from vodsprite.sprite.render import tiles
from vodsprite.sprite.spec import (
    Accuracy,
    EveryInterval,
    EveryPercent,
    Fill,
    Sampling,
    SpriteSpec,
    TileSize,
)
from vodsprite.testing import linear
from vodsprite.testing.painted import Painting, number_on

Paint = Callable[[str, Painting], Path]

PAINTINGS = {
    "mp4": (".mp4", Painting()),
    "mp4, one GOP": (".mp4", Painting(gop=1000)),
    "mp4, all keyframes": (".mp4", Painting(gop=1)),
    "mp4, late start": (".mp4", Painting(start=Fraction(7))),
    "mp4, open GOPs": (".mp4", Painting(options={"x264-params": "open-gop=1:b-pyramid=normal:bframes=5"})),
    "mp4, variable rate": (".mp4", Painting(steps=(1, 3, 2, 1, 5))),
    "mp4, intra refresh": (".mp4", Painting(gop=30, options={"x264-params": "intra-refresh=1", "bf": "0"})),
    "mp4, fragments": (".mp4", Painting(container_options={"movflags": "frag_keyframe+empty_moov"})),
    "mov": (".mov", Painting()),
    "matroska": (".mkv", Painting()),
    "matroska, late start": (".mkv", Painting(start=Fraction(5))),
    "matroska, no index": (".mkv", Painting(container_options={"live": "1"})),
    "transport stream": (".ts", Painting(start=Fraction(3))),
    "flash": (".flv", Painting()),
    "hevc": (".mp4", Painting(codec="libx265")),
    "hevc in a transport stream": (".ts", Painting(codec="libx265")),
    "vp9": (".webm", Painting(codec="libvpx-vp9")),
    "vp8": (
        ".webm",
        Painting(codec="libvpx", options={"b": "2000000", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    ),
    "mpeg-2": (".mpg", Painting(codec="mpeg2video", rate=Fraction(25))),
    "mpeg-4 in avi": (".avi", Painting(codec="mpeg4", rate=Fraction(25))),
    "motion jpeg": (".avi", Painting(codec="mjpeg", pix_fmt="yuvj420p", rate=Fraction(25))),
    "lossless": (".mkv", Painting(codec="ffv1", gop=1)),
    "4:4:4": (".mp4", Painting(pix_fmt="yuv444p")),
    "10 bit": (".mp4", Painting(codec="libx265", pix_fmt="yuv420p10le")),
    "raw h.264": (".h264", Painting(rate=Fraction(25))),
}
DENSE = EveryInterval(seconds=Fraction(1, 37))
SPARSE = EveryInterval(seconds=Fraction(41, 100))


def spec(sampling: Sampling, accuracy: Accuracy) -> SpriteSpec:
    return SpriteSpec(
        sampling=sampling, tile=TileSize(width_px=64, height_px=48), fill=Fill.STRETCH, accuracy=accuracy
    )


@pytest.fixture(params=list(PAINTINGS.values()), ids=list(PAINTINGS))
def video(request: pytest.FixtureRequest, painted: Paint) -> Path:
    return painted(*request.param)


def _shown(path: Path) -> list[tuple[Fraction, bool]]:
    """Return when frame 0, 1, 2 ... appears, and whether it is a keyframe."""
    shown = [(each.at, each.is_key) for each in linear.pictures(path)]
    if path.suffix == ".h264":  # it has no times at all: 25 frames a second
        count = PAINTINGS["raw h.264"][1].frames
        return [(Fraction(number, 25), number % 25 == 0) for number in range(count)]
    return shown


@pytest.mark.parametrize("sampling", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_an_exact_tile_shows_the_frame_on_screen(video: Path, sampling: EveryInterval) -> None:
    """With `exact` each tile shows the last frame whose PTS is not after the tile's instant."""
    shown = _shown(video)
    for tile, pixels in tiles(video, spec(sampling, Accuracy.EXACT)):
        number = number_on(pixels)
        assert number == max(n for n, (at, _) in enumerate(shown) if at <= tile.instant)
        assert tile.pts_s == pytest.approx(float(shown[number][0]), abs=1e-6)


def test_a_cue_tile_shows_a_frame_of_its_own_cue(video: Path) -> None:
    """With `cue` each tile shows a frame of its own span, and the first keyframe in it if it has one."""
    shown = _shown(video)
    for tile, pixels in tiles(video, spec(SPARSE, Accuracy.CUE)):
        number = number_on(pixels)
        end = tile.instant + SPARSE.seconds
        keys = [n for n, (at, is_key) in enumerate(shown) if is_key and tile.instant <= at < end]
        exact = max(n for n, (at, _) in enumerate(shown) if at <= tile.instant)
        # A point of recovery counts as a keyframe to the container, though not to the decoder.
        assert number == (keys[0] if keys else exact) or tile.instant <= shown[number][0] < end
        assert tile.pts_s == pytest.approx(float(shown[number][0]), abs=1e-6)


def test_a_keyframe_tile_shows_a_keyframe_that_is_not_late(video: Path) -> None:
    """With `keyframe` each tile shows a frame at or before its instant, and reports which."""
    shown = _shown(video)
    for tile, pixels in tiles(video, spec(SPARSE, Accuracy.KEYFRAME)):
        number = number_on(pixels)
        assert shown[number][0] <= tile.instant
        assert tile.pts_s == pytest.approx(float(shown[number][0]), abs=1e-6)
        keys = [n for n, (at, is_key) in enumerate(shown) if is_key and at <= tile.instant]
        assert number >= keys[-1]


def test_percent_samples_the_whole_length(painted: Paint) -> None:
    """Percent 10 gives ten tiles, at 0 %, 10 % ... 90 % of the measured duration."""
    painting = Painting(rate=Fraction(25), frames=100)
    got = list(tiles(painted(".mp4", painting), spec(EveryPercent(percent=Fraction(10)), Accuracy.EXACT)))
    assert [number_on(pixels) for _, pixels in got] == list(range(0, 100, 10))


def test_a_file_object_gives_the_same_tiles(painted: Paint) -> None:
    """A seekable file object is read like a path, and stays open."""
    path = painted(".mp4", Painting())
    wanted = spec(SPARSE, Accuracy.EXACT)
    file = BytesIO(path.read_bytes())
    assert [number_on(pixels) for _, pixels in tiles(file, wanted)] == [
        number_on(pixels) for _, pixels in tiles(path, wanted)
    ]
    assert not file.closed


def test_one_core_gives_the_same_tiles_as_many(painted: Paint) -> None:
    """The number of cores changes the speed only."""
    path = painted(".ts", Painting(frames=200, gop=12))
    wanted = spec(DENSE, Accuracy.EXACT)
    one = [(tile, pixels.tobytes()) for tile, pixels in tiles(path, wanted, cores=1)]
    assert one == [(tile, pixels.tobytes()) for tile, pixels in tiles(path, wanted, cores=5)]

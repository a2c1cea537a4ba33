"""What is on a tile: colours, shapes, turns and fillings, measured on patches."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vodsprite.sprite import tone
from vodsprite.sprite.probe import probe
from vodsprite.sprite.render import tiles
from vodsprite.sprite.spec import Accuracy, EveryInterval, Fill, SpriteSpec, TileSize

Pixels = NDArray[np.uint8]

RED, GREEN, BLUE, WHITE = (200, 40, 40), (40, 170, 60), (50, 60, 190), (235, 235, 235)


def _quarters(width_px: int, height_px: int) -> Pixels:
    """Red and green above, blue and white below."""
    picture = np.empty((height_px, width_px, 3), np.uint8)
    picture[: height_px // 2, : width_px // 2] = RED
    picture[: height_px // 2, width_px // 2 :] = GREEN
    picture[height_px // 2 :, : width_px // 2] = BLUE
    picture[height_px // 2 :, width_px // 2 :] = WHITE
    return picture


def _write(
    path: Path,
    picture: Pixels,
    *,
    pix_fmt: str = "yuv444p",
    matrix: str = "itu709",
    tag: int | None = 1,
    full_range: bool = False,
    turn_deg: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction = Fraction(1),
    codec: str = "libx264",
) -> Path:
    """Write a video of one still *picture*, coded with *matrix* and tagged with the code point *tag*."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, _ = picture.shape
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.sample_aspect_ratio = pixel_aspect
        if codec == "libx264":
            context.options = {"crf": "4", "preset": "ultrafast"}
        if tag is not None:
            context.colorspace = tag
        if full_range:
            context.color_range = 2
        if turn_deg or mirrored:
            stream.set_display_rotation(-turn_deg, hflip=mirrored)
        source = av.VideoFrame.from_ndarray(picture, "rgb24")
        for number in range(3):
            frame = source.reformat(
                format=pix_fmt, dst_colorspace=matrix, dst_color_range="JPEG" if full_range else "MPEG"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _tile(
    path: Path, width_px: int, height_px: int, fill: Fill = Fill.BLACK, *, adaptive: bool = False
) -> Pixels:
    spec = SpriteSpec(
        sampling=EveryInterval(seconds=Fraction(1)),
        tile=TileSize(width_px=width_px, height_px=height_px, adaptive=adaptive),
        fill=fill,
        accuracy=Accuracy.EXACT,
    )
    [(_, pixels)] = tiles(path, spec)
    return pixels


def _corners(tile: Pixels) -> list[tuple[int, ...]]:
    """Return the colours of the four quarters: above left, above right, below left, below right."""
    height, width, _ = tile.shape
    return [
        tuple(int(value) for value in tile[y * height // 4, x * width // 4])
        for y, x in ((1, 1), (1, 3), (3, 1), (3, 3))
    ]


def _assert_close(got: list[tuple[int, ...]], wanted: list[tuple[int, ...]], within: int = 4) -> None:
    assert np.abs(np.array(got, int) - np.array(wanted, int)).max() <= within, f"{got} is not {wanted}"


@pytest.mark.parametrize(
    ("size", "matrix", "tag", "full_range"),
    [
        ((320, 180), "itu709", 1, False),
        ((320, 180), "itu601", 6, False),
        ((320, 180), "itu709", 1, True),
        ((320, 180), "itu601", None, False),
        ((1280, 720), "itu709", None, False),
    ],
    ids=["709", "601", "709 full range", "untagged SD", "untagged HD"],
)
def test_colours_are_those_that_were_coded(
    tmp_path: Path, size: tuple[int, int], matrix: str, tag: int | None, full_range: bool
) -> None:
    """A patch of each colour comes back; untagged HD counts as BT.709, smaller as BT.601."""
    path = _write(tmp_path / "v.mp4", _quarters(*size), matrix=matrix, tag=tag, full_range=full_range)
    _assert_close(_corners(_tile(path, 160, 90)), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(
    ("turn_deg", "mirrored", "corners"),
    [
        (0, False, [RED, GREEN, BLUE, WHITE]),
        (90, False, [BLUE, RED, WHITE, GREEN]),
        (180, False, [WHITE, BLUE, GREEN, RED]),
        (270, False, [GREEN, WHITE, RED, BLUE]),
        (0, True, [GREEN, RED, WHITE, BLUE]),
        (90, True, [RED, BLUE, GREEN, WHITE]),
    ],
)
def test_a_turned_picture_stands_upright(
    tmp_path: Path, turn_deg: int, mirrored: bool, corners: list[tuple[int, ...]]
) -> None:
    """The container's turn and mirroring are applied, and a quarter turn makes an adaptive tile portrait."""
    path = _write(tmp_path / "v.mp4", _quarters(320, 180), turn_deg=turn_deg, mirrored=mirrored)
    tile = _tile(path, 160, 90, adaptive=True)
    assert tile.shape == ((160, 90, 3) if turn_deg % 180 else (90, 160, 3))
    _assert_close(_corners(tile), corners)
    assert probe(path).rotation_deg == turn_deg


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    """A picture of 160 x 180 with pixels twice as wide as high fills a 16:9 tile."""
    path = _write(tmp_path / "v.mp4", _quarters(160, 180), pixel_aspect=Fraction(2))
    tile = _tile(path, 160, 0)
    assert tile.shape == (90, 160, 3)
    _assert_close(_corners(tile), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(("fill", "shade"), [(Fill.BLACK, 0), (Fill.WHITE, 255)])
def test_a_picture_of_another_shape_is_padded(tmp_path: Path, fill: Fill, shade: int) -> None:
    """A square picture lies in the middle of its wide tile, between bars of the fill colour."""
    path = _write(tmp_path / "v.mp4", _quarters(200, 200))
    tile = _tile(path, 160, 80, fill)
    assert (tile[:, :40] == shade).all()
    assert (tile[:, 120:] == shade).all()
    _assert_close(_corners(tile[:, 40:120]), [RED, GREEN, BLUE, WHITE])


def test_stretch_leaves_nothing_to_pad(tmp_path: Path) -> None:
    """With `stretch` the picture fills the tile, whatever its shape."""
    path = _write(tmp_path / "v.mp4", _quarters(200, 200))
    _assert_close(_corners(_tile(path, 160, 80, Fill.STRETCH)), [RED, GREEN, BLUE, WHITE])


def test_gauss_pads_with_a_blurred_copy(tmp_path: Path) -> None:
    """The bars carry the picture's own colours, without its edges; the picture itself is sharp."""
    path = _write(tmp_path / "v.mp4", _quarters(200, 200))
    tile = _tile(path, 160, 80, Fill.GAUSS).astype(int)
    _assert_close(_corners(tile[:, 40:120].astype(np.uint8)), [RED, GREEN, BLUE, WHITE])
    above_left, below_left = tile[10, 5], tile[70, 5]
    assert above_left[0] > above_left[2] + 40  # reddish
    assert below_left[2] > below_left[0] + 40  # bluish
    assert np.abs(np.diff(tile[:, 5], axis=0)).max() < 20


def test_transparency_shows_the_fill_colour(tmp_path: Path) -> None:
    """A transparent pixel is black or white like the bars, a solid one keeps its colour."""
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, :32] = (*RED, 255)
    path = tmp_path / "v.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgba"
        frame = av.VideoFrame.from_ndarray(rgba, "rgba")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for fill, shade in ((Fill.BLACK, 0), (Fill.WHITE, 255)):
        tile = _tile(path, 64, 64, fill)
        _assert_close([tuple(int(value) for value in tile[32, 10])], [RED])
        assert (tile[:, 40:] == shade).all()


def test_interlaced_pictures_show_no_comb(tmp_path: Path) -> None:
    """Two fields of different moments are not woven into one tile: it shows one of them."""
    picture = np.zeros((192, 256, 3), np.uint8)
    picture[::2] = 200  # the upper field is light, the lower one dark
    path = tmp_path / "v.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 256, 192, "yuv422p"
        stream.codec_context.options = {"flags": "+ildct+ilme", "b": "20000000", "profile": "0"}
        stream.codec_context.field_order = 2
        source = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv422p")
        for number in range(3):
            source.pts, source.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(source))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        if not next(container.decode(video=0)).interlaced_frame:
            pytest.skip("this encoder doesn't mark its pictures as interlaced")
    tile = _tile(path, 256, 192, Fill.STRETCH).astype(int)
    assert np.abs(np.diff(tile[4:-4, 100, 1])).max() < 25
    assert abs(tile[4:-4, 100, 1].mean() - 200) < 15


@pytest.mark.parametrize(
    ("nits", "low", "high"),
    [(0.0, 0, 2), (5.0, 35, 60), (26.0, 85, 110), (100.0, 165, 195), (203.0, 200, 235), (1000.0, 253, 255)],
)
def test_hdr_light_becomes_screen_light(nits: float, low: int, high: int) -> None:
    """Dark and middle tones keep their light, reference white is bright, not clipped, the peak is white."""
    power = (nits / 10_000) ** (2610 / 16384)
    code = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    grey = np.full((2, 2, 3), round(code * 65_535), np.uint16)
    got = tone.from_pq(grey, wide=True)
    assert low <= int(got.min()) <= int(got.max()) <= high
    assert np.ptp(got) <= 1  # grey stays grey


def test_hlg_reference_white_is_bright_but_not_clipped() -> None:
    """The white of HLG lies at 75 % of its signal (BT.2408)."""
    got = tone.from_hlg(np.full((1, 1, 3), round(0.75 * 65_535), np.uint16), wide=True)
    assert 200 <= int(got.min()) <= int(got.max()) <= 235
    black = tone.from_hlg(np.zeros((1, 1, 3), np.uint16), wide=True)
    assert int(black.max()) == 0

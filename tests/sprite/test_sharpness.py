"""Tiles are as sharp as Lanczos over the whole decoded picture makes them, within what SSIM can tell."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace, Interpolation
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vodsprite.sprite.render import render, tiles
from vodsprite.sprite.spec import Accuracy, EveryPercent, Fill, Grid, SpriteSpec, TileSize
from vodsprite.testing.corpus import REPOSITORY, corpus_folder

CLIP = REPOSITORY / "src/vodsprite/cli/assets/bottle-detection.mp4"
CORPUS = corpus_folder()
OTHERS = (
    "bbb_2500ms.ts",  # MPEG-2, 1920 x 1080
    "bikes.mp4",
    "cockatoo.mp4",  # 4:4:4
    "flower.mp4",
    "foreman-hevc-384.mp4",
    "sam2_dog.mp4",
    "uuid540.mp4",
)
FILES = [CLIP] + ([] if CORPUS is None else [CORPUS / "valid" / name for name in OTHERS])
SIZES = ((160, 90), (320, 180))

# 0.97 is called good, but leaving out pixels can pass for that. What was measured is 0.997 to 1.
RAW_MIN = 0.995
JPEG_MIN = 0.95  # at quality 80, what JPEG itself loses included: 0.960 to 1

_BEST = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_MATRIX_UNSPECIFIED = 2


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_tile_is_as_sharp_as_lanczos_makes_it(path: Path, size: tuple[int, int]) -> None:
    """Each tile has an SSIM of 0.995 or more with its picture, fully decoded and scaled by Pillow."""
    shown = [(tile.pts_s, Image.fromarray(pixels)) for tile, pixels in tiles(path, _spec(size))]
    for (_, tile), picture in zip(shown, _pictures(path, tuple(at for at, _ in shown)), strict=True):
        assert ssim(tile, _scaled(picture, size)) >= RAW_MIN


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_tile_of_a_jpeg_sheet_is_nearly_as_sharp(path: Path, size: tuple[int, int]) -> None:
    """On the sheet, after JPEG of the default quality, each tile still has 0.95 or more."""
    files: dict[str, bytes] = {}
    made = render(path, _spec(size), files.__setitem__)
    sheet = Image.open(BytesIO(files[made.sheets[0]]))
    pictures = _pictures(path, tuple(tile.pts_s for tile in made.tiles))
    for tile, picture in zip(made.tiles, pictures, strict=True):
        there = sheet.crop((tile.x, tile.y, tile.x + size[0], tile.y + size[1]))
        assert ssim(there, _scaled(picture, size)) >= JPEG_MIN


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_measure_tells_a_worse_tile(size: tuple[int, int]) -> None:
    """A picture equals itself; moved by a pixel, blurred, or scaled by leaving out, it doesn't pass."""
    (picture,) = _pictures(CLIP, (0.0,))
    good = _scaled(picture, size)
    moved = Image.fromarray(np.roll(np.asarray(good), 1, axis=1))
    blurred = good.filter(ImageFilter.GaussianBlur(1.5))
    thinned = picture.resize(size, Image.Resampling.NEAREST)
    assert ssim(good, good) == pytest.approx(1)
    assert ssim(moved, good) == pytest.approx(ssim(good, moved))
    assert ssim(moved, good) < 0.97
    assert ssim(blurred, good) < 0.97
    assert ssim(thinned, good) < RAW_MIN


def test_the_measure_follows_its_formula_where_it_can_be_reckoned() -> None:
    """Of two even greys only the term of luminance is left."""
    dark, light = (Image.new("RGB", (32, 32), (grey, grey, grey)) for grey in (100, 150))
    c1 = (0.01 * 255) ** 2
    assert ssim(dark, light) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Return the mean structural similarity of two pictures' luma (Wang et al., 2004: 11 x 11, sigma 1.5)."""
    x, y = (np.asarray(each.convert("L"), np.float64) for each in (one, other))
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x, variance_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((alike / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))).mean())


def _windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted mean around each pixel whose window lies inside."""
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    across = sliding_window_view(values, 11, axis=1) @ weights
    return np.asarray(sliding_window_view(across, 11, axis=0) @ weights)


def _spec(size: tuple[int, int]) -> SpriteSpec:
    return SpriteSpec(
        sampling=EveryPercent(percent=Fraction(34)),
        grid=Grid(rows=1, columns=3),
        tile=TileSize(width_px=size[0], height_px=size[1], adaptive=False),
        fill=Fill.STRETCH,
        accuracy=Accuracy.EXACT,
    )


def _scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.LANCZOS)


@cache
def _pictures(path: Path, times: tuple[float, ...]) -> list[Image.Image]:
    """Return the pictures of *path* at *times*, in s from the first one, by a plain reading of it."""
    found: list[Image.Image] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        first: float | None = None
        for frame in container.decode(stream):
            assert frame.time is not None
            first = frame.time if first is None else first
            if abs(frame.time - first - times[len(found)]) < 1e-4:
                found.append(_whole(frame))
                if len(found) == len(times):
                    return found
    raise AssertionError(f"{path.name}: no picture at {times[len(found)]} s")


def _whole(frame: av.VideoFrame) -> Image.Image:
    """Return *frame* as RGB of its own size; untagged HD is BT.709."""
    hd = frame.colorspace == _MATRIX_UNSPECIFIED and frame.height >= 720
    matrix = Colorspace.ITU709 if hd else None
    rgb = frame.reformat(format="rgb24", src_colorspace=matrix, dst_color_range="JPEG", interpolation=_BEST)
    return Image.fromarray(rgb.to_ndarray())

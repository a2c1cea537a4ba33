"""The colours of tiles against a chart of 24 that another program coded: see `chart/make.py`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vodsprite.sprite.render import tiles
from vodsprite.sprite.spec import Accuracy, EveryInterval, Fill, SpriteSpec, TileSize

Exact = NDArray[np.float64]

CHART: dict[str, Any] = json.loads(
    Path(__file__).with_name("chart").joinpath("chart.json").read_text("utf-8")
)
COLUMNS, ROWS = 6, 4
SD, HD = (288, 192), (1296, 768)

# Matrix, primaries and transfer as ITU-T H.273 numbers them.
BT709, BT601_625, BT601_525 = (1, 1, 1), (5, 5, 6), (6, 6, 6)
BT2020_10, BT2020_12, PQ, HLG = (9, 9, 14), (9, 9, 15), (9, 9, 16), (9, 9, 18)
UNTAGGED = (2, 2, 2)

SDR = [
    ("601 8 bit limited", BT601_525, SD),
    ("601 8 bit limited", BT601_625, SD),
    ("601 8 bit full", BT601_625, SD),
    ("601 10 bit limited", BT601_525, SD),
    ("601 8 bit limited", UNTAGGED, SD),
    ("709 8 bit limited", BT709, SD),
    ("709 8 bit full", BT709, SD),
    ("709 10 bit limited", BT709, SD),
    ("709 10 bit full", BT709, SD),
    ("709 12 bit limited", BT709, SD),
    ("709 8 bit limited", UNTAGGED, HD),
    ("2020 10 bit limited", BT2020_10, SD),
    ("2020 10 bit full", BT2020_10, SD),
    ("2020 12 bit limited", BT2020_12, SD),
]
HDR = [
    ("pq 10 bit limited", PQ, SD),
    ("pq 10 bit full", PQ, SD),
    ("pq 12 bit limited", PQ, SD),
    ("hlg 10 bit limited", HLG, SD),
    ("hlg 12 bit limited", HLG, SD),
]


def lab(srgb: Exact) -> Exact:
    """Return CIE Lab, of D65, of sRGB from 0 to 255."""
    code = srgb / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    part = linear @ np.array(to_xyz).T / [0.9505, 1.0, 1.0890]
    root = np.where(part > (6 / 29) ** 3, np.cbrt(part), part * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def delta_e(first: Exact, second: Exact) -> Exact:
    """Return the CIEDE2000 difference of colours in Lab."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    mean = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean / (mean + 25.0**7))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    hue = h1 + turn / 2
    chroma, light = (c1 + c2) / 2, (l1 + l2) / 2 - 50
    weight = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    by_light = (l2 - l1) / (1 + 0.015 * light**2 / np.sqrt(20 + light**2))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2) / (1 + 0.015 * chroma * weight)
    blue = np.sin(np.radians(60 * np.exp(-((((hue % 360) - 275) / 25) ** 2))))
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * blue
    return np.asarray(np.sqrt(by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue))


def _write(path: Path, coding: str, tags: tuple[int, int, int], size: tuple[int, int]) -> Path:
    """Write the chart's samples, lossless, as three pictures of a video with these tags."""
    bits = int(coding.split()[1])
    pix_fmt = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    width, height = size
    samples = np.array(CHART["codings"][coding]).reshape(ROWS, COLUMNS, 3)
    picture = samples.repeat(height // ROWS, axis=0).repeat(width // COLUMNS, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = tags
        context.color_range = 2 if coding.endswith("full") else 1
        for number in range(3):
            frame = av.VideoFrame(width, height, pix_fmt)
            frame.colorspace, frame.color_primaries, frame.color_trc = tags
            frame.color_range = context.color_range
            for plane, values in zip(frame.planes, np.moveaxis(picture, -1, 0), strict=True):
                sample = np.uint8 if bits == 8 else np.dtype("<u2")
                rows = np.zeros((height, plane.line_size // np.dtype(sample).itemsize), sample)
                rows[:, :width] = values
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _differences(path: Path) -> Exact:
    """Return how far each colour on the tile is from the chart's, as CIEDE2000."""
    spec = SpriteSpec(
        sampling=EveryInterval(seconds=Fraction(1)),
        tile=TileSize(width_px=144, height_px=96),
        fill=Fill.STRETCH,
        accuracy=Accuracy.EXACT,
    )
    [(_, tile)] = tiles(path, spec)
    patches = tile[12::24, 12::24].reshape(ROWS * COLUMNS, 3)
    return delta_e(lab(patches.astype(np.float64)), np.array(CHART["lab"]))


def _say(differences: Exact) -> str:
    worst = int(differences.argmax())
    return f"{CHART['names'][worst]} is {differences[worst]:.2f} away"


@pytest.mark.parametrize(("coding", "tags", "size"), SDR)
def test_colours_are_the_charts(
    tmp_path: Path, coding: str, tags: tuple[int, int, int], size: tuple[int, int]
) -> None:
    """In standard range no colour of 24 is further than 3 from what the chart has."""
    differences = _differences(_write(tmp_path / "v.mkv", coding, tags, size))
    assert differences.max() <= 3, _say(differences)


@pytest.mark.parametrize(("coding", "tags", "size"), HDR)
def test_colours_of_high_range_are_the_charts(
    tmp_path: Path, coding: str, tags: tuple[int, int, int], size: tuple[int, int]
) -> None:
    """In high range, where light near white makes room for what is brighter, none is further than 6."""
    differences = _differences(_write(tmp_path / "v.mkv", coding, tags, size))
    assert differences.max() <= 6, _say(differences)


def test_the_measure_of_colours_is_the_published_one() -> None:
    """Pairs of G. Sharma, W. Wu and E. N. Dalal (2005) have the differences printed there."""
    pairs = np.array(
        [
            [50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425],
            [50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0],
            [50, 2.5, 0, 50, 0, -2.5, 4.3065],
            [50, 2.5, 0, 73, 25, -18, 27.1492],
            [50, 2.5, 0, 61, -5, 29, 22.8977],
            [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
            [22.7233, 20.0904, -46.694, 23.0331, 14.973, -42.5619, 2.0373],
            [2.0776, 0.0795, -1.135, 0.9033, -0.0636, -0.5514, 0.9082],
        ]
    )
    assert delta_e(pairs[:, :3], pairs[:, 3:6]) == pytest.approx(pairs[:, 6], abs=1e-4)
    assert lab(np.array(CHART["srgb"])) == pytest.approx(np.array(CHART["lab"]), abs=0.05)

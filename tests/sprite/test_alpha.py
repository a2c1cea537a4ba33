"""Transparency that WebM keeps beside its pictures: the fill colour shows through, not what was hidden."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vodsprite.sprite.render import tiles
from vodsprite.sprite.spec import Accuracy, EveryInterval, Fill, SpriteSpec, TileSize

SIDE_PX = 64


@pytest.fixture(params=["libvpx", "libvpx-vp9"])
def see_through(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Ten pictures, a second each: all red, but the left half is transparent in the even ones."""
    path = tmp_path / "v.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(request.param, rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuva420p"
        stream.codec_context.gop_size = 4
        stream.options = {"auto-alt-ref": "0", "deadline": "realtime", "cpu-used": "8"}
        for number in range(10):
            picture = np.full((SIDE_PX, SIDE_PX, 4), (200, 30, 30, 255), np.uint8)
            if number % 2 == 0:
                picture[:, : SIDE_PX // 2, 3] = 0
            frame = av.VideoFrame.from_ndarray(picture, "rgba")
            frame.pts, frame.time_base = number, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("accuracy", list(Accuracy))
@pytest.mark.parametrize(("fill", "shade"), [(Fill.BLACK, 0), (Fill.WHITE, 255)])
def test_the_fill_colour_shows_through(see_through: Path, fill: Fill, shade: int, accuracy: Accuracy) -> None:
    spec = SpriteSpec(
        sampling=EveryInterval(seconds=Fraction(1)),
        tile=TileSize(width_px=SIDE_PX, height_px=SIDE_PX),
        fill=fill,
        accuracy=accuracy,
    )
    shown = [(round(tile.pts_s), pixels) for tile, pixels in tiles(see_through, spec)]
    assert len(shown) == 10
    for number, pixels in shown:
        left, right = pixels[8:-8, 8:24].mean(axis=(0, 1)), pixels[8:-8, 40:56].mean(axis=(0, 1))
        assert right == pytest.approx((200, 30, 30), abs=8)
        assert left == pytest.approx((shade,) * 3 if number % 2 == 0 else (200, 30, 30), abs=8)

"""What a file says of its colours, be it ever so odd."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from vodsprite.sprite.geometry import Orientation, Size
from vodsprite.sprite.spec import Fill
from vodsprite.sprite.tile import Tiler


@pytest.mark.parametrize("matrix", range(24))
def test_a_picture_of_any_matrix_becomes_a_tile(matrix: int) -> None:
    """Matrices that the converter refuses, and code points that mean nothing yet, don't fail a render."""
    planes = np.full((96, 64), 128, np.uint8)
    planes[:64] = 126  # limited range: the middle of the grey scale
    frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
    frame.colorspace = matrix
    tiler = Tiler(
        Size(width_px=32, height_px=32),
        Fill.STRETCH,
        orientation=Orientation(),
        pixel_aspect=Fraction(1),
    )
    tile = tiler.tile(frame).astype(int)
    assert abs(tile - 128).max() <= 2

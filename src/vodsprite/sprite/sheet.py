"""
From tiles to sheets to bytes, with one sheet in memory at a time.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from vodsprite.sprite import geometry
from vodsprite.sprite.formats import FORMATS, ImageFormat
from vodsprite.sprite.spec import Fill, SpriteSpec

Pixels = NDArray[np.uint8]


class Sheet:
    """
    One sheet, filled tile by tile; the memory is used again for the next one.

    Unused places are white for `Fill.WHITE`, else black: the last sheet is as large as the others.
    """

    def __init__(self, size: geometry.Size, spec: SpriteSpec) -> None:
        self._format = FORMATS[spec.format]
        self._quality = spec.quality
        self._blank = 255 if spec.fill is Fill.WHITE else 0
        self._pixels: Pixels = np.full((size.height_px, size.width_px, 3), self._blank, np.uint8)

    @staticmethod
    def prepare() -> None:
        """Load the encoders. It takes some 20 ms, which cost nothing while other threads decode."""
        from PIL import Image

        Image.preinit()

    def put(self, tile: Pixels, x: int, y: int) -> None:
        """Copy *tile*, `(height, width, 3)` RGB `uint8`, to its place."""
        height, width, _ = tile.shape
        self._pixels[y : y + height, x : x + width] = tile

    def take(self) -> bytes:
        """Return the sheet as an encoded image, and begin the next, empty one."""
        data = encode(self._pixels, self._format, self._quality)
        self._pixels[:] = self._blank
        return data


def encode(pixels: Pixels, image_format: ImageFormat, quality: int | None = None) -> bytes:
    """
    Return *pixels*, `(height, width, 3)` RGB `uint8`, as an image file; same input, same bytes.

    Args:
        quality: 1 to 100; None takes the format's default.
    """
    from PIL import Image

    options = dict(image_format.options)
    if image_format.default_quality is not None:
        options["quality"] = image_format.default_quality if quality is None else quality
    out = BytesIO()
    Image.fromarray(pixels).save(out, image_format.encoder, **options)
    return out.getvalue()

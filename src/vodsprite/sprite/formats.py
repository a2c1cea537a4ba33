"""
The image formats of sheets, as data: what an API offers, what a file is called, what its encoder is told.

Only facts; `sheet.py` does the encoding, so this module may be read by code that must not load an encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFormat:
    """One image format."""

    name: str  # as specs and APIs call it
    suffix: str  # of a file, with the dot
    media_type: str
    side_max_px: int  # the format's own limit
    encoder: str  # Pillow's name
    default_quality: int | None  # None: lossless, quality means nothing
    options: Mapping[str, int] = field(default_factory=dict)  # further encoder options, by Pillow's names


FORMATS: Mapping[str, ImageFormat] = {
    each.name: each
    for each in (
        ImageFormat(
            name="jpg",
            suffix=".jpg",
            media_type="image/jpeg",
            side_max_px=65_535,
            encoder="JPEG",
            default_quality=80,
        ),
        ImageFormat(
            name="png",
            suffix=".png",
            media_type="image/png",
            side_max_px=2**31 - 1,
            encoder="PNG",
            default_quality=None,
            # Run-length matching at the lowest level: within 1 % of level 6 on sheets, four times as fast.
            options={"compress_level": 1, "compress_type": 3},
        ),
        ImageFormat(
            name="webp",
            suffix=".webp",
            media_type="image/webp",
            side_max_px=16_383,
            encoder="WEBP",
            default_quality=80,
            options={"method": 4},
        ),
    )
}

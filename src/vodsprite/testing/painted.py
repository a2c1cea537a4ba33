"""
The painted video: every frame carries its number in its pixels, so that a tile tells which frame it shows.

A number is painted as black and white fields, one for each bit, in a grid of 4 x 4: large fields survive
scaling and lossy coding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

_GRID = 4
NUMBERS = 2 ** (_GRID * _GRID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Painting:
    """How to make a painted video. The defaults give B-frames, several GOPs and an uneven rate."""

    frames: int = 120
    codec: str = "libx264"
    rate: Fraction = Fraction(30_000, 1001)
    gop: int = 25  # frames from one keyframe to the next
    start: Fraction = Fraction(0)  # PTS of the first frame, in s
    width_px: int = 160
    height_px: int = 96
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)  # of the codec
    container_options: dict[str, str] = field(default_factory=dict)
    steps: tuple[int, ...] = (1,)  # a frame's duration in turns, in multiples of 1 / rate

    def pts_s(self) -> list[Fraction]:
        """Return when each frame appears, in seconds from the first one."""
        at = [Fraction(0)]
        for number in range(self.frames - 1):
            at.append(at[-1] + self.steps[number % len(self.steps)] / self.rate)
        return at


def paint(path: Path, painting: Painting) -> Path:
    """Write the painted video to *path*, whose suffix names the container; return *path*."""
    with av.open(str(path), "w", container_options=painting.container_options) as container:
        stream = container.add_stream(painting.codec, rate=painting.rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = painting.width_px, painting.height_px
        stream.pix_fmt = painting.pix_fmt
        stream.codec_context.gop_size = painting.gop
        stream.codec_context.time_base = 1 / painting.rate
        stream.codec_context.options = _options(painting)
        ticks = round(painting.start * painting.rate)
        for number in range(painting.frames):
            frame = av.VideoFrame.from_ndarray(_picture(number, painting.width_px, painting.height_px))
            frame.pts, frame.time_base = ticks, 1 / painting.rate
            ticks += painting.steps[number % len(painting.steps)]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def number_on(tile: NDArray[np.uint8]) -> int:
    """Return the number of the frame on *tile*, `(height, width, 3)` RGB, which it fills."""
    height, width, _ = tile.shape
    number = 0
    for bit in range(_GRID * _GRID):
        row, column = divmod(bit, _GRID)
        middle = tile[
            (4 * row + 1) * height // (4 * _GRID) : (4 * row + 3) * height // (4 * _GRID),
            (4 * column + 1) * width // (4 * _GRID) : (4 * column + 3) * width // (4 * _GRID),
        ]
        number |= int(middle.mean() > 127) << bit
    return number


def _picture(number: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
    bits = np.array([number >> bit & 1 for bit in range(_GRID * _GRID)], np.uint8).reshape(_GRID, _GRID)
    rows = np.arange(height_px) * _GRID // height_px
    columns = np.arange(width_px) * _GRID // width_px
    grey = np.where(bits[rows][:, columns] == 1, 225, 30).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _options(painting: Painting) -> dict[str, str]:
    defaults = {
        "libx264": {"preset": "veryfast", "crf": "18", "bf": "3", "sc_threshold": "0"},
        "libx265": {"preset": "ultrafast", "crf": "18", "x265-params": "log-level=none:bframes=3"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20"},
        "libsvtav1": {"preset": "12", "crf": "30"},
        "mpeg2video": {"b": "4000000", "bf": "2"},
        "mpeg4": {"q": "3", "bf": "2"},
    }
    return {**defaults.get(painting.codec, {}), **painting.options}

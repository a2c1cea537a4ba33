"""
One render by the library, as a program of its own for `engine.py`: nothing is imported that it doesn't need.

    python bench/engine_ours.py VIDEO ACCURACY INTERVAL CORES WIDTH HEIGHT [loaded]

It writes the sheets to the working directory and prints one JSON object. With `loaded` the image encoders are
loaded beforehand, else meanwhile.
"""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from pathlib import Path

from vodsprite.sprite.render import render
from vodsprite.sprite.sheet import Sheet
from vodsprite.sprite.spec import Accuracy, EveryInterval, SpriteSpec, TileSize


def _write(name: str, data: bytes) -> None:
    Path(name).write_bytes(data)


def _bytes_read() -> int:
    """Return what this process has read so far, from the page cache too; 0 where the system doesn't tell."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return int(lines[0].removeprefix("rchar: "))


def main(video: str, accuracy: str, interval: str, cores: str, width: str, height: str, *loaded: str) -> None:
    """Render, and print what it took."""
    if loaded:
        Sheet.prepare()
    spec = SpriteSpec(
        sampling=EveryInterval(seconds=Fraction(interval)),
        tile=TileSize(width_px=int(width), height_px=int(height)),
        accuracy=Accuracy(accuracy),
    )
    read, cpu, wall = _bytes_read(), time.process_time(), time.perf_counter()
    sprites = render(Path(video), spec, _write, cores=int(cores) or None)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(
        f'{{"engine_cpu_s": {cpu}, "engine_wall_s": {wall}, "read_bytes": {_bytes_read() - read}, '
        f'"tiles": {sprites.total_count}}}'
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

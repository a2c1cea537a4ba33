"""
Every usable file of the corpus against a full decode by a different program, in all three accuracies.

The references are made by `reference/make.py`; `reference/exceptions.json` names what differs, and why.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vodsprite.sprite import geometry
from vodsprite.sprite.opening import opened
from vodsprite.sprite.probe import open_video
from vodsprite.sprite.render import tiles
from vodsprite.sprite.spec import Accuracy, EveryInterval, Fill, SpriteSpec, TileSize
from vodsprite.sprite.tile import Pixels, Tiler
from vodsprite.testing.corpus import CorpusFile, corpus_files, corpus_folder

pytestmark = pytest.mark.skipif(corpus_folder() is None, reason="the corpus is not on this machine")

FOLDER = Path(__file__).parent / "reference"
REFERENCE: dict[str, Any] = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))
EXCEPTIONS: dict[str, dict[str, Any]] = json.loads((FOLDER / "exceptions.json").read_text(encoding="utf-8"))
FILES = [
    each
    for folder in ("valid", "odd", "malformed")
    for each in corpus_files(folder)
    if each.expected == "ok" and each.name in REFERENCE["files"]
]


def _name(file: CorpusFile) -> str:
    return file.name


def _spec(file: CorpusFile, accuracy: Accuracy) -> SpriteSpec:
    """Return a spec for tiles a quarter as wide and high: large enough for decoding in full quality."""
    with opened(file.path) as video:
        width, height = video.context.width, video.context.height
    return SpriteSpec(
        sampling=EveryInterval(seconds=Fraction(REFERENCE["files"][file.name]["interval"])),
        tile=TileSize(width_px=max(32, width // 4), height_px=max(32, height // 4), adaptive=False),
        fill=Fill.STRETCH,
        accuracy=accuracy,
    )


def _samples(frame: av.VideoFrame) -> Iterator[bytes]:
    """Yield the decoded samples of *frame*, plane after plane, without the padding of rows."""
    for plane in frame.planes:
        if len(frame.planes) == 1 or frame.format.name == "pal8":
            row_bytes = plane.width * frame.format.padded_bits_per_pixel // 8
        else:
            parts = 2 if frame.format.name.startswith(("nv", "p0")) and plane.index else 1
            row_bytes = plane.width * parts * (-(-frame.format.components[0].bits // 8))
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, :row_bytes]
        yield rows.tobytes()


def _digest(frame: av.VideoFrame) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    for row in _samples(frame):
        md5.update(row)
    return md5.hexdigest()[:16]


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_tiles_show_what_another_program_decodes(file: CorpusFile) -> None:
    """
    Each tile shows the picture that follows from another program's full decode: its PTS, its very samples.

    For the samples a plain reading from the start is the link between the two: its pictures have the other
    program's hashes, and its tiles are to the bit those of the sought, skipped and shared decoding.
    """
    if file.name in EXCEPTIONS["pts"]:
        pytest.skip(EXCEPTIONS["pts"][file.name])
    right = REFERENCE["files"][file.name]
    base = Fraction(right["time_base"])
    made: dict[int, list[Pixels]] = {}
    for accuracy in Accuracy:
        if accuracy.value not in right:
            continue
        shown = []
        # Tiles after the last picture's begin depend on how long that one is shown; they aren't compared.
        every = tiles(file.path, _spec(file, accuracy))
        for _, (tile, pixels) in zip(right[accuracy.value], every, strict=False):
            shown.append(round(Fraction(tile.pts_s) / base))
            made.setdefault(shown[-1], []).append(pixels)
        assert shown == right[accuracy.value], accuracy
    with open_video(file.path) as video:
        tiler = Tiler(
            geometry.tile_size(video.display, _spec(file, Accuracy.EXACT).tile),
            Fill.STRETCH,
            orientation=video.orientation,
            pixel_aspect=video.opened.pixel_aspect,
        )
        times = video.clock
    seen: set[int] = set()
    with opened(file.path) as reading:
        for number, frame in enumerate(reading.frames()):
            at = frame.pts if times.pictures is None else times.pictures.time(number)
            pts = -1 if at is None else at - times.origin
            if pts not in made or pts in seen:
                continue
            seen.add(pts)
            if file.name not in EXCEPTIONS["samples"]:
                assert _digest(frame) == right["md5"][str(pts)]
            linear = tiler.tile(frame)
            assert all(np.array_equal(linear, each) for each in made[pts])
    assert seen == set(made)


@pytest.mark.skipif(
    shutil.which("ffmpeg") is None and not os.environ.get("CI"), reason="ffmpeg is not on this machine"
)
@pytest.mark.parametrize("name", EXCEPTIONS["samples"])
def test_where_two_decoders_round_differently_samples_are_near(name: str) -> None:
    """What is excepted from being equal is as near as its exception says, beside the other program itself."""
    folder = corpus_folder()
    assert folder is not None
    frames = 60
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{folder / name}"]
    output = [
        "-autoscale",
        "0",
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-frames:v",
        str(frames),
        "-f",
        "rawvideo",
        "-",
    ]
    decoded = subprocess.run([*command, *output], capture_output=True, check=True).stdout
    with opened(folder / name) as reading:
        ours = b"".join(
            row for frame in itertools.islice(reading.frames(), frames) for row in _samples(frame)
        )
    shared = min(len(ours), len(decoded))
    assert shared > 0.9 * max(len(ours), len(decoded))
    apart = np.abs(
        np.frombuffer(ours, np.uint8, shared).astype(np.int16) - np.frombuffer(decoded, np.uint8, shared)
    )
    assert apart.max() <= EXCEPTIONS["samples"][name]["apart"]


def test_every_usable_file_has_a_reference_or_a_reason_for_none() -> None:
    """Nothing of the corpus is passed over in silence."""
    usable = {
        each.name
        for folder in ("valid", "odd", "malformed")
        for each in corpus_files(folder)
        if each.expected == "ok"
    }
    assert usable == REFERENCE["files"].keys() | REFERENCE["left_out"].keys()
    assert all(REFERENCE["left_out"].values())
    assert usable.issuperset([*EXCEPTIONS["pts"], *EXCEPTIONS["samples"]])

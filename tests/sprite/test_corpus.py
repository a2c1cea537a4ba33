"""Real files, each with the outcome that the corpus's manifest expects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vodsprite.errors import FailureKind, VideoError
from vodsprite.sprite.probe import probe
from vodsprite.sprite.render import SpriteSet, render, tiles
from vodsprite.sprite.spec import Accuracy, EveryInterval, EveryPercent, Fill, Grid, SpriteSpec, TileSize
from vodsprite.testing import linear
from vodsprite.testing.corpus import CorpusFile, corpus_files, corpus_folder

pytestmark = pytest.mark.skipif(corpus_folder() is None, reason="the corpus is not on this machine")

SEVEN = SpriteSpec(sampling=EveryPercent(percent=Fraction(15)), grid=Grid(rows=2, columns=2))
CLEAN = frozenset(FailureKind) - {FailureKind.INTERNAL}
READABLE = [each for folder in ("valid", "odd", "malformed") for each in corpus_files(folder)]
GOOD = [each for each in READABLE if each.expected == "ok"]

# Where the PTS of a plain reading are no yardstick: there are none, or they fall, or some are missing.
UNMEASURED = {
    "malformed/BA_MW_D_P_LOST.264",
    "odd/SarVui.264",
    "odd/fate_mov-3elist.mov",
    "odd/lpms_skip_1.ts",
    "odd/test_res_change.h264",
    "valid/320x180_422p_action-libx264.264",
    "valid/CAPAMA3_Sand_F.264",
    "valid/Cisco_Adobe_PDF_sample_a_1024x768_CAVLC_Bframe_9.264",
    "valid/bgslibrary_video02.avi",
    "valid/cars_320x240.h265",
    "valid/ladybug.wmv",
}
MEASURED = [
    each for each in GOOD if each.name not in UNMEASURED and not each.traits & {"many-frames", "long"}
]


def _name(file: CorpusFile) -> str:
    return file.name


@pytest.mark.parametrize("file", READABLE, ids=_name)
def test_a_file_has_its_expected_outcome(file: CorpusFile) -> None:
    """A file gives sprites or a clean error, as expected of it, within 10 s."""
    began = time.monotonic()
    made: dict[str, bytes] = {}
    sprites: SpriteSet | None = None
    failure: VideoError | None = None
    try:
        sprites = render(file.path, SEVEN, made.__setitem__)
    except VideoError as error:
        failure = error
    if failure is not None:
        assert file.expected in ("clean error", "either")
        assert failure.kind in CLEAN
        assert str(file.path.parent) not in str(failure)
    if sprites is not None:
        assert file.expected in ("ok", "either")
        assert sprites.total_count == 7
        assert [*sprites.sheets, sprites.vtt] == list(made)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("file", MEASURED, ids=_name)
def test_an_exact_tile_of_a_real_file_is_the_picture_on_screen(file: CorpusFile) -> None:
    """Seeking and skipping give the very pictures that a plain reading from the start gives."""
    shown = linear.pictures(file.path)
    duration = Fraction(probe(file.path).duration_s).limit_denominator(100_000)
    spec = SpriteSpec(
        sampling=EveryInterval(seconds=max(duration / 11, Fraction(1, 1000))),
        tile=TileSize(width_px=64, height_px=48, adaptive=False),
        fill=Fill.STRETCH,
        accuracy=Accuracy.EXACT,
    )
    for tile, _ in tiles(file.path, spec):
        right = linear.on_screen(shown, tile.instant)
        assert tile.pts_s == pytest.approx(float(right.at), abs=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "valid/aphill_short.ts",  # fields in packets of their own
        "valid/bbb_2500ms.ts",  # open GOPs
        "valid/cockatoo.mp4",  # 4:4:4 of an old x264
        "valid/dirac.ogg",  # keyframes that don't decode alone
        "valid/foreman-hevc-384.mp4",  # CRA pictures
        "valid/fixture-raw.mts",
        "valid/sample_h265.ts",
        "odd/dolbyVision-hdr.MOV",  # decoded later than shown, by its times
        "odd/fate_h264_extradata-reload-multi-stsd.mov",  # the decoder is set up anew in mid-stream
        "odd/iibbibb_editlist_videoonly.mp4",  # an edit list that begins inside a GOP
        "odd/sample_without_stss.mp4",  # all flagged as keyframes
        "odd/test_pcr_rollover.ts",  # starts below zero
        "odd/go-mp4_sample_fragmented.mp4",
    ],
)
def test_a_sought_picture_is_decoded_bit_by_bit_as_in_a_plain_reading(name: str) -> None:
    """What a tile shows doesn't depend on where decoding began, not even in its noise."""
    [file] = [each for each in READABLE if each.name == name]

    def exact(percent: int) -> SpriteSpec:
        return SpriteSpec(
            sampling=EveryPercent(percent=Fraction(percent)),
            tile=TileSize(width_px=64, height_px=48, adaptive=False),
            fill=Fill.STRETCH,
            accuracy=Accuracy.EXACT,
        )

    dense = {tile.pts_s: pixels for tile, pixels in tiles(file.path, exact(1))}
    for tile, pixels in tiles(file.path, exact(21)):
        if tile.pts_s in dense:
            assert np.array_equal(pixels, dense[tile.pts_s])


@pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("CI"), reason="strace is not on this machine"
)
def test_hostile_files_reach_no_other_file_and_no_socket(tmp_path: Path) -> None:
    """Each hostile file gets its expected outcome within 10 s and 512 MB; nothing but itself is opened."""
    files = corpus_files("hostile")
    log = tmp_path / "strace"
    run = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,socket,connect,execve", "-s", "300"]
        + ["-o", str(log), sys.executable, str(Path(__file__).parent / "render_each.py")]
        + [str(each.path) for each in files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == [str(each.path) for each in files]
    for answer, each in zip(answers, files, strict=True):
        assert answer["outcome"] in {"ok": ("ok",), "clean error": ("clean error",)}.get(
            each.expected, ("ok", "clean error")
        ), each.name
        assert answer["seconds"] < 10, each.name
        assert answer["peak_mb"] < 512, each.name
    calls = log.read_text(errors="replace").split("begin-of-file-")
    assert len(calls) == len(files) + 1
    for each, during in zip(files, calls[1:], strict=True):
        assert "socket(" not in during, each.name
        assert "connect(" not in during, each.name
        opened = [line for line in during.splitlines() if "open" in line and "O_RDONLY" in line]
        strange = [
            line
            for line in opened
            if str(each.path) not in line and ("media" in line or "passwd" in line or "/etc/" in line)
        ]
        assert strange == [], each.name

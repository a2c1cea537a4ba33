"""The command `vodsprite render`: its result, its exit codes, and what it leaves behind when it fails."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from vodsprite.testing.painted import Painting, paint

COMMAND = [sys.executable, "-m", "vodsprite.cli.main", "render"]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint(
        tmp_path_factory.mktemp("video") / "v.mp4", Painting(rate=Fraction(25), frames=1000, gop=100)
    )


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that takes some seconds to render exactly."""
    painting = Painting(
        rate=Fraction(25), frames=600, gop=600, width_px=1280, height_px=720, options={"preset": "ultrafast"}
    )
    return paint(tmp_path_factory.mktemp("long") / "v.mp4", painting)


def run(*arguments: object, in_child: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=in_child,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_it_makes_sheets_and_webvtt_by_preset_10(video: Path, tmp_path: Path) -> None:
    """Without options a 40 s video gives four tiles on one sheet, and says so in a line."""
    done = run(video, "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert sorted(contents(tmp_path / "out")) == ["imageSprite_10.vtt", "imageSprite_10_0.jpg"]
    assert "imageSprite_10_0.jpg#xywh=426,0,142,80" in (tmp_path / "out/imageSprite_10.vtt").read_text()


def test_json_tells_every_tile(video: Path, tmp_path: Path) -> None:
    """With --json standard output is one object with the documented members, and nothing else."""
    done = run(video, "-o", tmp_path, "--json", "--interval", "5", "--rows", 1, "--columns", 3, "--width", 96)
    answer = json.loads(done.stdout)
    assert answer["total_count"] == 8
    assert answer["tile"] == {"width": 96, "height": 58}
    assert answer["grid"] == {"rows": 1, "columns": 3}
    assert answer["sheets"] == [f"imageSprite_10_{n}.jpg" for n in range(3)]
    assert (answer["vtt"], answer["duration_s"]) == ("imageSprite_10.vtt", 40.0)
    assert answer["tiles"][4] == {
        "index": 4,
        "instant_s": 20.0,
        "pts_s": 20.0,
        "sheet": "imageSprite_10_1.jpg",
        "x": 96,
        "y": 0,
    }
    assert answer["elapsed_s"] > 0
    assert done.stderr == ""


def test_every_option_reaches_the_render(video: Path, tmp_path: Path) -> None:
    """All options together: percent, size, format, fill, quality, accuracy, adaptive and the number."""
    done = run(
        *(video, "-o", tmp_path, "--percent", "12.5", "--width", 64, "--height", 64, "--rows", 2),
        *("--columns", 2, "--format", "webp", "--fill", "gauss", "--quality", 50, "--accuracy", "exact"),
        *("--adaptive", "close", "--definition-name", 77, "--quiet"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(contents(tmp_path)) == [
        "imageSprite_77.vtt",
        "imageSprite_77_0.webp",
        "imageSprite_77_1.webp",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--interval", "0"),
        ("--interval", "1e999999999"),
        ("--interval", "soon"),
        ("--percent", "101"),
        ("--interval", "1", "--percent", "1"),
        ("--width", "31"),
        ("--rows", "0"),
        ("--columns", "200"),
        ("--format", "gif"),
        ("--format", "png", "--quality", "80"),
        ("--interval", "0.001"),
        ("--nonsense",),
    ],
)
def test_wrong_usage_is_exit_2(video: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A value that cannot be used, and a limit that it breaks, are the user's to mend."""
    done = run(video, "-o", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "folder", "audio"])
def test_no_usable_video_is_exit_3(tmp_path: Path, kind: str) -> None:
    """The one line on standard error names the file and the cause; nothing is left behind."""
    path = tmp_path / "in.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "audio":
        _write_tone(path)
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"not a video\n" * 100)
    done = run(path, "-o", tmp_path / "out")
    assert done.returncode == 3
    [line] = done.stderr.splitlines()
    assert str(path) in line
    assert not (tmp_path / "out").exists()


def _write_tone(path: Path) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_an_output_that_cannot_be_written_is_exit_4(video: Path, tmp_path: Path) -> None:
    """A file where the folder should be: one line that names it."""
    (tmp_path / "out").write_text("a file")
    done = run(video, "-o", tmp_path / "out")
    assert done.returncode == 4
    [line] = done.stderr.splitlines()
    assert str(tmp_path / "out") in line
    assert (tmp_path / "out").read_text() == "a file"


def test_a_second_render_replaces_the_first_and_its_surplus(video: Path, tmp_path: Path) -> None:
    """Sheets that the new set lacks go; other definitions and strangers' files stay."""
    assert run(video, "-o", tmp_path, "--interval", 2, "--rows", 1, "--columns", 5).returncode == 0
    assert len(contents(tmp_path)) == 5
    for stranger in ("imageSprite_1_0.jpg", "imageSprite_100_0.jpg", "holiday.jpg"):
        (tmp_path / stranger).write_text("mine")
    assert run(video, "-o", tmp_path, "--format", "png").returncode == 0
    left = contents(tmp_path)
    assert sorted(left) == [
        "holiday.jpg",
        "imageSprite_10.vtt",
        "imageSprite_100_0.jpg",
        "imageSprite_10_0.png",
        "imageSprite_1_0.jpg",
    ]
    assert b"imageSprite_10_0.png" in left["imageSprite_10.vtt"]


def test_a_full_disk_leaves_what_was_there(video: Path, tmp_path: Path) -> None:
    """A write that fails half-way is exit 4, and the old set stays whole."""
    out = tmp_path / "out"
    assert run(video, "-o", out).returncode == 0
    before = contents(out)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = run(
        *(video, "-o", out, "--interval", 1, "--rows", 2, "--columns", 2, "--format", "png"),
        in_child=limit,
    )
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert contents(out) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_what_was_there(
    long_video: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM in the middle of the work end it, and the folder is as before."""
    (tmp_path / "imageSprite_10.vtt").write_text("the old one")
    process = subprocess.Popen(
        [
            *(*COMMAND, str(long_video), "-o", str(tmp_path), "--accuracy", "exact", "--interval", "0.04"),
            *("--width", "640", "--height", "360", "--rows", "1", "--columns", "1", "--format", "png"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".*/imageSprite_10_2.png")):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        os.sched_yield()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert contents(tmp_path) == {"imageSprite_10.vtt": b"the old one"}


def test_a_set_takes_its_places_whole_or_not_at_all(video: Path, tmp_path: Path) -> None:
    """Where one of the new files cannot take its place, none does, and the earlier ones are as they were."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "imageSprite_10_0.jpg").write_bytes(b"earlier")
    (out / "imageSprite_10.vtt").mkdir()
    done = run(video, "-o", out)
    assert done.returncode == 4
    assert "imageSprite_10.vtt" in done.stderr
    assert sorted(each.name for each in out.iterdir()) == ["imageSprite_10.vtt", "imageSprite_10_0.jpg"]
    assert (out / "imageSprite_10_0.jpg").read_bytes() == b"earlier"

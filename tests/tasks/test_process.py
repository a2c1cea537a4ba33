"""A render's own process: what it may take, and what its end means."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from vodsprite.errors import FailureKind
from vodsprite.events import Failure
from vodsprite.sprite import spec as specs
from vodsprite.sprite.spec import PRESET_10, EveryInterval, Grid, SpriteSpec, TileSize
from vodsprite.tasks import process
from vodsprite.tasks.process import Limits, Outcome, Rendered, Request, Stopped
from vodsprite.testing.plant import render_processes

MIB = 1024 * 1024

SLOW = replace(PRESET_10, sampling=EveryInterval(seconds=Fraction(1, 790)))
"""So many tiles of the video that its render is caught long before it is over."""


def render(
    source: Path,
    folder: Path,
    *,
    limits: Limits | None = None,
    spec: SpriteSpec = PRESET_10,
    is_wanted: Callable[[], bool] = lambda: True,
    progress: Callable[[int], None] = lambda _: None,
    vtt_base_url: str = "",
) -> Outcome:
    folder.mkdir(exist_ok=True)
    request = Request(
        source=str(source),
        folder=str(folder),
        spec=specs.to_json(spec),
        definition=10,
        vtt_base_url=vtt_base_url,
        limits=limits or Limits(),
    )
    return process.render(request, progress=progress, is_wanted=is_wanted)


def catch(number: signal.Signals) -> None:
    """Send *number* to the render process that this one starts next."""

    def send() -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for pid in render_processes(os.getpid()):
                os.kill(pid, number)
                return

    threading.Thread(target=send, daemon=True).start()


def test_a_video_comes_back_as_files(video: Path, tmp_path: Path) -> None:
    """The files lie in the folder that was named, and the outcome names them."""
    outcome = render(video, tmp_path / "out")

    assert isinstance(outcome, Rendered)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*outcome.sheets, outcome.vtt}
    assert outcome.metadata.duration_s == 25


def test_a_vtt_file_can_carry_whole_urls(video: Path, tmp_path: Path) -> None:
    """Bare names unless told otherwise; with a base URL every cue names its sheet in full."""
    bare, whole = (
        render(video, tmp_path / "bare"),
        render(video, tmp_path / "whole", vtt_base_url="https://vod.example.com/sprites/1/t/"),
    )

    assert isinstance(bare, Rendered)
    assert isinstance(whole, Rendered)
    lines = (tmp_path / "bare" / bare.vtt).read_text().splitlines()
    absolute = (tmp_path / "whole" / whole.vtt).read_text().splitlines()
    assert "imageSprite_10_0.jpg#xywh=142,0,142,80" in lines
    assert "https://vod.example.com/sprites/1/t/imageSprite_10_0.jpg#xywh=142,0,142,80" in absolute
    assert [line for line in absolute if "-->" in line] == [line for line in lines if "-->" in line]


def test_progress_is_told_while_the_render_works(video: Path, tmp_path: Path) -> None:
    """A render of many tiles tells its percentage on the way, rising, and never 100 before its end."""
    told: list[int] = []

    render(video, tmp_path / "out", spec=SLOW, progress=told.append)

    assert len(told) > 1
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] <= 99


def test_a_crash_of_the_decoder_is_a_failure_with_its_signal(video: Path, tmp_path: Path) -> None:
    """A child that dies of a segmentation fault costs its render, and the reason names it."""
    catch(signal.SIGSEGV)

    outcome = render(video, tmp_path / "out", spec=SLOW)

    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.MALFORMED
    assert "SIGSEGV" in outcome.message


def test_a_kill_from_outside_is_the_machines_fault(video: Path, tmp_path: Path) -> None:
    """A child that the system kills for want of memory is not blamed on the video."""
    catch(signal.SIGKILL)

    outcome = render(video, tmp_path / "out", spec=SLOW)

    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.INTERNAL
    assert "memory" in outcome.message


def test_a_hanging_render_is_ended_at_its_limit(video: Path, tmp_path: Path) -> None:
    """A render that takes too long is ended, and the reason names the limit."""
    begun = time.monotonic()
    catch(signal.SIGSTOP)

    outcome = render(video, tmp_path / "out", spec=SLOW, limits=Limits(time_base_s=1))

    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.UNSUPPORTED
    assert "1 s" in outcome.message
    assert time.monotonic() - begun < 10
    assert render_processes(os.getpid()) == []


def test_the_limit_grows_with_the_video_up_to_a_bound() -> None:
    """A long video gets more time; one that claims to last for years does not get years."""
    limits = Limits(time_base_s=60, time_factor=2, time_most_s=3600)

    assert limits.time_s(None) == 60
    assert limits.time_s(100) == 260
    assert limits.time_s(1e12) == 3600


def test_the_limit_of_a_render_is_that_of_its_own_video(video: Path, tmp_path: Path) -> None:
    """What the child says of the video's 25 s counts: 4 s, and 0.04 s for each of them."""

    def hang(_percent: int) -> None:
        for pid in render_processes(os.getpid()):
            os.kill(pid, signal.SIGSTOP)

    outcome = render(
        video, tmp_path / "out", spec=SLOW, limits=Limits(time_base_s=4, time_factor=0.04), progress=hang
    )

    assert isinstance(outcome, Failure)
    assert "longer than 5 s" in outcome.message


def test_a_video_that_needs_too_much_memory_is_a_failure(video: Path, tmp_path: Path) -> None:
    """A sheet of 600 MB does not fit into a process of 400 MiB, and the reason names that limit."""
    huge = replace(PRESET_10, grid=Grid(rows=7, columns=7), tile=TileSize(width_px=2048, height_px=2048))

    outcome = render(video, tmp_path / "out", spec=huge, limits=Limits(memory_bytes=400 * MIB))

    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.UNSUPPORTED
    assert "400 MiB" in outcome.message


def test_a_sheet_larger_than_a_file_may_be_is_a_failure(video: Path, tmp_path: Path) -> None:
    """The limit of one output file holds, and is told."""
    outcome = render(video, tmp_path / "out", limits=Limits(file_bytes=1000))

    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.CONFIGURATION


def test_a_render_that_is_not_wanted_any_more_is_ended(video: Path, tmp_path: Path) -> None:
    """As soon as the answer is no, the process is gone."""
    outcome = render(video, tmp_path / "out", spec=SLOW, is_wanted=lambda: not render_processes(os.getpid()))

    assert isinstance(outcome, Stopped)
    assert render_processes(os.getpid()) == []


def test_the_child_sees_no_secret(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that is taken over finds neither our secrets nor a store's in its environment."""
    monkeypatch.setenv("VODSPRITE_SECRET_KEY", "do-not-tell")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
    seen: list[str] = []

    def look() -> bool:
        for pid in render_processes(os.getpid()):
            listed = subprocess.run(
                ["ps", "eww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
            )
            seen.append(listed.stdout)
        return not seen

    render(video, tmp_path / "out", spec=SLOW, is_wanted=look)

    assert "OPENBLAS_NUM_THREADS" in seen[0]
    assert "do-not-tell" not in seen[0]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_child_does_not_outlive_its_service(video: Path, tmp_path: Path) -> None:
    """When the service is killed, its render processes end by themselves."""
    program = """
import sys
from vodsprite.sprite import spec
from vodsprite.tasks import process
request = process.Request(
    source=sys.argv[1], folder=sys.argv[2], spec=spec.to_json(spec.PRESET_10), definition=10, vtt_base_url="",
    limits=process.Limits(),
)
process.render(request, progress=print, is_wanted=lambda: True)
"""
    service = subprocess.Popen([sys.executable, "-c", program, str(video), str(tmp_path)])
    end = time.monotonic() + 20
    while not (children := render_processes(service.pid)):
        assert time.monotonic() < end
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    service.kill()
    service.wait()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    while any(_lives(pid) for pid in children):
        assert time.monotonic() < end, "the child lives on"
    assert list(tmp_path.iterdir()) == []


def _lives(pid: int) -> bool:
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip() not in ("", "Z")

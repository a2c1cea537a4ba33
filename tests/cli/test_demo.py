"""`vodsprite demo`: what a newcomer sees first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DEMO = [sys.executable, "-m", "vodsprite.cli.main", "demo"]


def test_it_shows_the_main_job_and_leaves_the_files(tmp_path: Path) -> None:
    """Each step is printed with its time; the sheet and the WebVTT are where it says; it ends by itself."""
    done = subprocess.run([*DEMO, "-o", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for shown in (
        "start the service",
        "CreateImageSprite",
        "normal callback",
        "reliable callback",
        "ConfirmEvents",
        '"EventType": "CreateImageSpriteComplete"',
        '"TotalCount": 40',
        "EventHandle",
    ):
        assert shown in done.stdout
    names = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert names == ["imageSprite_10001.vtt", "imageSprite_10001_0.jpg"]
    assert all(str(tmp_path / "out" / name) in done.stdout for name in names)


def test_it_touches_no_other_installation(tmp_path: Path) -> None:
    """What the environment sets for another service is not the demo's business."""
    mine = tmp_path / "mine"
    mine.mkdir()
    environment = os.environ | {
        "VODSPRITE_DATABASE_URL": f"sqlite:///{mine / 'vodsprite.sqlite'}",
        "VODSPRITE_STORE_URL": (mine / "objects").as_uri(),
        "VODSPRITE_PORT": "99999",
    }
    done = subprocess.run(
        [*DEMO, "-o", str(tmp_path / "out")], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(mine.iterdir()) == []


def test_a_failure_is_told_and_exits_1(tmp_path: Path) -> None:
    """An output folder that cannot be is found before anything is started, and named."""
    (tmp_path / "file").write_text("not a folder")
    done = subprocess.run([*DEMO, "-o", str(tmp_path / "file")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("vodsprite demo: ")
    assert str(tmp_path / "file") in done.stderr
    assert done.stdout == ""


def test_kept_up_it_ends_on_ctrl_c_with_its_service(tmp_path: Path) -> None:
    """With --keep the service answers until Ctrl-C; then nothing of it is left."""
    process = subprocess.Popen(
        [*DEMO, "--keep", "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    data = ""
    for line in process.stdout:
        if line.strip().startswith("data "):
            data = line.split()[1]
            break
    pid = int((Path(data) / "serve.pid").read_text())
    os.kill(pid, 0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not Path(data).exists()
    assert _is_gone(pid)


def _is_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False

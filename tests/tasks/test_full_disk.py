"""A full disk puts renders off; they go on by themselves once there is room."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
from pathlib import Path

import structlog

from vodsprite.events import ImageSpriteComplete
from vodsprite.tasks.task import TaskState
from vodsprite.testing.plant import Plant, render_processes

what, home, small, video = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
waits = []

def note(_logger, _method, line):
    if line["event"] in ("a render is put off", "renders wait for room"):
        waits.append(line["reason"])
    return line

structlog.configure(processors=[note, structlog.processors.JSONRenderer()])
everything = what == "everything"
plant = Plant(
    small if everything else home,
    store_url=None if everything else (small / "objects").as_uri(),
    retry_s=0.3,
)
task_id = plant.submit(video)
plant.start()
[child] = plant.eventually(lambda: render_processes(os.getpid()))
os.kill(child, signal.SIGSTOP)
plant.eventually(lambda: plant.state(task_id) is TaskState.PROCESSING)
ballast = small / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
os.kill(child, signal.SIGCONT)
plant.eventually(lambda: len(waits) >= 3)
assert plant.state(task_id) in (TaskState.WAITING, TaskState.PROCESSING)
assert plant.events() == []
ballast.unlink()
plant.finish(task_id)
[event] = plant.events()
assert isinstance(event, ImageSpriteComplete) and event.failure is None, event
task = plant.queue.describe(plant.app_id, task_id, now=plant.clock.now()).task
assert task.attempts == 1, task
plant.close()
print("healed", len(waits), waits[:1])
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """The words that run a command with a disk of 4 MB at `tmp_path/small`, seen by that command alone."""
    small = tmp_path / "small"
    small.mkdir()
    mount = f'mount -t tmpfs -o size=4m small {small} && exec "$@"'
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("needs Linux namespaces")
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no namespaces")
    return words


@pytest.mark.parametrize("what", ["objects", "everything"])
def test_a_full_disk_puts_a_render_off_until_there_is_room(
    tmp_path: Path, video: Path, small_disk: list[str], what: str
) -> None:
    """No room for objects, or for anything: no failure, no event, and the result once there is room."""
    done = subprocess.run(
        [
            *small_disk,
            sys.executable,
            "-c",
            PROGRAM,
            what,
            str(tmp_path),
            str(tmp_path / "small"),
            str(video),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "healed" in done.stdout

"""Small real videos, files that are none, and a plant to render them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vodsprite.testing.plant import Plant, render_processes

Freeze = Callable[[Plant], int]


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 25 s, 320 x 180, five pictures a second, that turns from black to white."""
    path = tmp_path_factory.mktemp("video") / "fading.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.time_base = Fraction(1, 5)
        for number in range(125):
            grey = np.full((180, 320, 3), number * 2, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A second of silence: a media file without a picture."""
    path = tmp_path / "silence.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        for number in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, number * 1024, Fraction(1, 8000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def nonsense(tmp_path: Path) -> Path:
    """A file that is called a video and is none."""
    path = tmp_path / "nonsense.mp4"
    path.write_bytes(b"This is no video. " * 1000)
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A file without a byte."""
    path = tmp_path / "empty.mp4"
    path.touch()
    return path


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """A plant that stands still; a test starts it."""
    plant = Plant(tmp_path)
    yield plant
    plant.close()


@pytest.fixture
def freeze() -> Iterator[Freeze]:
    """Stop the first render process that appears, so that a render lasts until the test says otherwise."""
    frozen: list[int] = []

    def catch(plant: Plant) -> int:
        [pid] = plant.eventually(lambda: render_processes(os.getpid()))
        os.kill(pid, signal.SIGSTOP)
        frozen.append(pid)
        return pid

    yield catch
    for pid in frozen:
        if pid in render_processes(os.getpid()):
            os.kill(pid, signal.SIGKILL)

"""Crashes, late runs, drains and restarts: a task ends once, with one event, whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from vodsprite.errors import FailureKind
from vodsprite.events import ImageSpriteComplete
from vodsprite.ids import TaskId, Token
from vodsprite.tasks import table
from vodsprite.tasks.engine import Run
from vodsprite.tasks.process import Limits
from vodsprite.tasks.task import Task, TaskState
from vodsprite.testing.plant import Plant, render_processes

Freeze = Callable[[Plant], int]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def task_of(plant: Plant, task_id: TaskId) -> Task:
    return plant.queue.describe(plant.app_id, task_id, now=plant.clock.now()).task


def only_event(plant: Plant) -> ImageSpriteComplete:
    [event] = plant.events()
    assert isinstance(event, ImageSpriteComplete)
    return event


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_costs_one_task_and_the_next_one_runs(
    plant: Plant, video: Path, freeze: Freeze, number: signal.Signals
) -> None:
    """A child that dies takes its own task with it, which says why; the worker goes on."""
    first = plant.submit(video)
    plant.start()
    child = freeze(plant)
    os.kill(child, number)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGCONT)
    plant.finish(first)
    second = plant.submit(video)
    plant.finish(second)

    failed, succeeded = plant.events()
    assert isinstance(failed, ImageSpriteComplete)
    assert isinstance(succeeded, ImageSpriteComplete)
    assert failed.failure is not None
    assert failed.failure.kind in (FailureKind.MALFORMED, FailureKind.INTERNAL)
    assert succeeded.failure is None


def test_a_hang_costs_one_task_and_the_next_one_runs(tmp_path: Path, video: Path, freeze: Freeze) -> None:
    """A child that stops moving is ended at its time limit, and its task says so."""
    plant = Plant(tmp_path, limits=Limits(time_base_s=3, time_factor=0))
    try:
        first = plant.submit(video)
        plant.start()
        freeze(plant)
        plant.finish(first)
        second = plant.submit(video)
        plant.finish(second)

        failed, succeeded = plant.events()
        assert isinstance(failed, ImageSpriteComplete)
        assert isinstance(succeeded, ImageSpriteComplete)
        assert failed.failure is not None
        assert "3 s" in failed.failure.message
        assert succeeded.failure is None
    finally:
        plant.close()


def test_a_run_that_lost_its_token_writes_nothing(plant: Plant, video: Path, freeze: Freeze) -> None:
    """A run that was given up meanwhile ends without result, event or media facts."""
    task_id = plant.submit(video)
    plant.start()
    child = freeze(plant)
    with plant.database.transaction() as conn:
        assert table.requeue(conn, task_id, 1) is not None
    os.kill(child, signal.SIGCONT)
    plant.eventually(lambda: not plant.engine.live([Run(task_id, 1)]))

    task = task_of(plant, task_id)
    assert (task.state, task.run) == (TaskState.WAITING, 2)
    assert plant.events() == []
    assert plant.media.sprite_sets(task.file_id) == ()
    assert plant.media.find(plant.app_id, task.file_id).metadata is None


def test_an_earlier_token_can_write_no_more(plant: Plant, video: Path) -> None:
    """When a run begins again, whoever began it before can neither write, finish nor hand back."""
    task_id = plant.submit(video)
    now = plant.clock.now()
    earlier, later = Token("a" * 32), Token("b" * 32)
    with plant.database.transaction() as conn:
        first = table.begin(conn, task_id, 1, earlier, now)
        second = table.begin(conn, task_id, 1, later, now)
        assert first is not None
        assert second is not None
        assert not table.stands(conn, task_id, earlier)
        assert not table.write_steps(conn, task_id, earlier, first.steps)
        assert not table.finish(conn, task_id, earlier, first.steps, now)
        assert table.hand_back(conn, task_id, earlier, is_counted=True) is None
        assert table.finish(conn, task_id, later, second.steps, now)
        assert table.begin(conn, task_id, 1, earlier, now) is None

    assert second.attempts == 2


def test_a_drain_lets_a_render_end(plant: Plant, video: Path, freeze: Freeze) -> None:
    """Told to stop, the worker waits for what runs, takes up nothing more, and the result counts."""
    running, waiting = plant.submit(video), plant.submit(video)
    plant.start()
    os.kill(freeze(plant), signal.SIGCONT)
    plant.stop(grace_s=30)

    assert task_of(plant, running).state is TaskState.FINISHED
    assert task_of(plant, waiting).state is TaskState.WAITING
    assert len(plant.events()) == 1


def test_a_drain_hands_back_what_does_not_end_and_does_not_count_it(
    plant: Plant, video: Path, freeze: Freeze, tmp_path: Path
) -> None:
    """After the grace the child is ended and its task waits as if untouched; the next start takes it up."""
    task_id = plant.submit(video)
    plant.start()
    freeze(plant)
    begun = time.monotonic()
    plant.stop(grace_s=0.3)

    handed_back = task_of(plant, task_id)
    assert time.monotonic() - begun < 8
    assert (handed_back.state, handed_back.attempts, handed_back.run) == (TaskState.WAITING, 0, 2)
    assert render_processes(os.getpid()) == []
    assert plant.events() == []
    plant.close()

    again = Plant(tmp_path)
    try:
        again.start()
        again.finish(task_id)
        assert only_event(again).failure is None
        assert task_of(again, task_id).attempts == 1
    finally:
        again.close()


SERVICE = """
import sys, threading
from pathlib import Path
from vodsprite.testing.plant import Plant
plant = Plant(Path(sys.argv[1]))
plant.start()
print("started", flush=True)
threading.Event().wait()
"""


def kill_a_service_in_a_render(plant: Plant, folder: Path) -> None:
    """Start a service on *folder* in a process of its own, and kill it once it renders."""
    service = subprocess.Popen([sys.executable, "-c", SERVICE, str(folder)], stdout=subprocess.DEVNULL)
    children: list[int] = []
    try:
        children = plant.eventually(lambda: render_processes(service.pid))
        for child in children:
            os.kill(child, signal.SIGSTOP)
    finally:
        service.kill()
        service.wait()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)


def test_a_killed_service_leaves_its_task_to_the_next_one(plant: Plant, video: Path, tmp_path: Path) -> None:
    """After kill -9 in the middle of a render a new process finishes the task; one event comes of it."""
    task_id = plant.submit(video)
    kill_a_service_in_a_render(plant, tmp_path)
    assert plant.state(task_id) is TaskState.PROCESSING

    plant.start()
    plant.finish(task_id)

    assert only_event(plant).failure is None
    assert task_of(plant, task_id).attempts == 2


def test_a_render_that_takes_the_service_down_again_and_again_is_given_up(
    plant: Plant, video: Path, tmp_path: Path
) -> None:
    """After so many attempts that began and never ended, the task fails, and what it left is swept."""
    task_id = plant.submit(video)
    for _ in range(5):
        kill_a_service_in_a_render(plant, tmp_path)
    plant.store.put(f"sprites/{task_of(plant, task_id).file_id}/{task_id}/half", b"half a result")

    plant.start()
    plant.finish(task_id)

    failure = only_event(plant).failure
    assert failure is not None
    assert failure.kind is FailureKind.INTERNAL
    assert "5 times" in failure.message
    assert plant.media.delete_orphans(plant.clock.now() + timedelta(days=2)) == 1


def test_a_store_that_fails_puts_a_render_off(plant: Plant, video: Path) -> None:
    """While the store takes no objects the task waits and tries again; once it does, the task finishes."""
    task_id = plant.submit(video)
    in_the_way = plant.store.local_path("sprites")
    assert in_the_way is not None
    in_the_way.write_bytes(b"a file where a folder should be")
    plant.start()
    plant.eventually(lambda: task_of(plant, task_id).run == 2)
    assert plant.events() == []
    in_the_way.unlink()
    plant.finish(task_id)

    assert only_event(plant).failure is None
    assert task_of(plant, task_id).attempts >= 2


def test_a_store_that_keeps_failing_ends_the_task(tmp_path: Path, video: Path) -> None:
    """A render is not tried for ever: after so many attempts the task fails, and says so."""
    plant = Plant(tmp_path, most_attempts=2)
    try:
        task_id = plant.submit(video)
        (tmp_path / "objects" / "sprites").write_bytes(b"a file where a folder should be")
        plant.start()
        plant.finish(task_id)

        failure = only_event(plant).failure
        assert failure is not None
        assert failure.kind is FailureKind.INTERNAL
        assert "2 times" in failure.message
    finally:
        plant.close()


def test_a_task_without_a_live_run_is_enqueued_again(plant: Plant, video: Path) -> None:
    """Whatever the engine forgot, the reconciler brings back; what lives it leaves alone."""
    lost, fine = plant.submit(video), plant.submit(video)
    with plant.database.transaction() as conn:
        assert table.requeue(conn, lost, 1) is not None  # and nothing is enqueued for run 2
    assert plant.engine.live([Run(lost, 2), Run(fine, 1)]) == {Run(fine, 1)}

    assert plant.reconciler.reconcile() == 1
    assert plant.reconciler.reconcile() == 0

    plant.start()
    plant.finish(lost)
    plant.finish(fine)
    assert len(plant.events()) == 2


def test_a_finished_task_needs_no_run(plant: Plant, video: Path) -> None:
    """The reconciler looks at open tasks only, and the engine forgets runs that are over."""
    task_id = plant.submit(video)
    plant.start()
    plant.finish(task_id)
    plant.eventually(lambda: not plant.engine.live([Run(task_id, 1)]))
    later = plant.clock.now() + timedelta(days=2)

    assert plant.reconciler.reconcile() == 0
    assert plant.reconciler.purge(plant.clock.now()) == 0
    assert plant.reconciler.purge(later) == 1
    assert plant.reconciler.purge(later) == 0
    assert len(plant.events()) == 1


def test_a_run_that_comes_twice_makes_one_result(plant: Plant, video: Path) -> None:
    """The engine may bring a run again after its end was written; nothing comes of it."""
    task_id = plant.submit(video)
    plant.start()
    plant.finish(task_id)

    plant.runner.execute(Run(task_id, 1))
    plant.runner.execute(Run(TaskId("no-such-task"), 1))

    assert len(plant.events()) == 1
    assert task_of(plant, task_id).attempts == 1

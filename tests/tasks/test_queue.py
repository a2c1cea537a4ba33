"""Accepting tasks, and asking what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import sqlalchemy as sa

from vodsprite.database.schema import tasks, templates
from vodsprite.errors import InvalidInput, MediaNotFound, SessionIdUsed, TaskNotFound, TemplateNotFound
from vodsprite.events import NotifyMode, ProcedureStateChanged, StepState
from vodsprite.ids import FileId, TaskId
from vodsprite.media.media import Media
from vodsprite.sprite.spec import PRESET_10, EveryInterval
from vodsprite.tasks.engine import Run
from vodsprite.tasks.task import TaskKind, TaskState
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.plant import BASE_URL, Plant

DAY_S = 24 * 3600


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def plant(tmp_path: Path, clock: FakeClock, database_url: str) -> Iterator[Plant]:
    plant = Plant(tmp_path, clock=clock, database_url=database_url)
    yield plant
    plant.close()


@pytest.fixture
def media(plant: Plant, nonsense: Path) -> Media:
    return plant.media.add_file(plant.app_id, nonsense)


def submit(plant: Plant, media: Media, **how: str) -> TaskId:
    return plant.queue.submit_image_sprite(plant.app_id, media.file_id, 10, base_url=BASE_URL, **how)


def count_tasks(plant: Plant) -> int:
    with plant.database.reading() as conn:
        return conn.execute(sa.select(sa.func.count()).select_from(tasks)).scalar_one()


def test_a_task_waits_and_its_run_is_enqueued(plant: Plant, media: Media, clock: FakeClock) -> None:
    """What was accepted can be asked for at once, and the engine knows of it."""
    task_id = submit(plant, media, session_id="s", session_context="c")

    described = plant.queue.describe(plant.app_id, task_id, now=clock.now())

    task = described.task
    assert task_id.startswith("CreateImageSprite-")
    assert (task.kind, task.state, task.file_id) == (TaskKind.IMAGE_SPRITE, TaskState.WAITING, media.file_id)
    assert (task.session_id, task.session_context, task.created_at) == ("s", "c", clock.now())
    assert [step.definition for step in task.steps] == [10]
    assert described.snapshot is None
    run = Run(task_id, 1)
    assert plant.engine.live([run]) == {run}


def test_a_task_flow_shows_its_steps_while_they_wait(plant: Plant, media: Media, clock: FakeClock) -> None:
    """Who asks for an unfinished flow sees every step as being processed, with what was asked for."""
    custom = plant.templates.create(plant.app_id, PRESET_10).definition
    task_id = plant.queue.submit_procedure(
        plant.app_id, media.file_id, [custom, 10], priority=7, session_context="mine", base_url=BASE_URL
    )

    flow = plant.queue.describe(plant.app_id, task_id, now=clock.now()).snapshot

    assert task_id.startswith(f"{plant.app_id}-procedurev2-")
    assert isinstance(flow, ProcedureStateChanged)
    assert not flow.finished
    assert [(step.definition, step.state) for step in flow.steps] == [
        (custom, StepState.PROCESSING),
        (10, StepState.PROCESSING),
    ]
    assert (flow.file_name, flow.priority, flow.session_context) == (media.name, 7, "mine")
    assert flow.file_url.startswith(f"{BASE_URL}/originals/")


def test_what_does_not_exist_is_refused_and_nothing_is_enqueued(plant: Plant, media: Media) -> None:
    """An unknown media or template is an error at once, not a task that fails later."""
    with pytest.raises(MediaNotFound):
        plant.queue.submit_image_sprite(plant.app_id, FileId("1"), 10, base_url=BASE_URL)
    with pytest.raises(TemplateNotFound):
        plant.queue.submit_image_sprite(plant.app_id, media.file_id, 4711, base_url=BASE_URL)
    with pytest.raises(TemplateNotFound):
        plant.queue.submit_procedure(plant.app_id, media.file_id, [10, 4711], base_url=BASE_URL)

    assert count_tasks(plant) == 0


def test_another_apps_media_and_tasks_are_not_found(plant: Plant, media: Media, clock: FakeClock) -> None:
    """Apps know nothing of each other."""
    other = plant.apps.create("other").app_id
    task_id = submit(plant, media)

    with pytest.raises(MediaNotFound):
        plant.queue.submit_image_sprite(other, media.file_id, 10, base_url=BASE_URL)
    with pytest.raises(TaskNotFound):
        plant.queue.describe(other, task_id, now=clock.now())


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"session_id": "x" * 51}, "session_id"),
        ({"session_context": "x" * 1001}, "session_context"),
        ({"priority": 11}, "priority"),
        ({"priority": -11}, "priority"),
        ({"definitions": []}, "definitions"),
        ({"definitions": [10] * 101}, "definitions"),
    ],
)
def test_an_argument_out_of_range_is_named(
    plant: Plant, media: Media, how: dict[str, object], field: str
) -> None:
    """Limits are those of ProcessMedia; the error says which argument broke one."""
    arguments: dict[str, object] = {"definitions": [10], **how}

    with pytest.raises(InvalidInput) as caught:
        plant.queue.submit_procedure(plant.app_id, media.file_id, base_url=BASE_URL, **arguments)  # type: ignore[arg-type]

    assert caught.value.field == field
    assert count_tasks(plant) == 0


def test_arguments_at_their_limits_are_accepted(plant: Plant, media: Media) -> None:
    """50 and 1000 characters and both ends of the priorities are fine."""
    for priority in (-10, 10):
        plant.queue.submit_procedure(
            plant.app_id,
            media.file_id,
            [10],
            priority=priority,
            session_id=f"{priority}".ljust(50, "é"),
            session_context="é" * 1000,
            base_url=BASE_URL,
        )

    assert count_tasks(plant) == 2


def test_a_session_id_is_refused_for_three_days(plant: Plant, media: Media, clock: FakeClock) -> None:
    """A repeat inside the window is an error and makes no task; after it, the id is free again."""
    submit(plant, media, session_id="once")

    clock.advance(seconds=3 * DAY_S - 1)
    with pytest.raises(SessionIdUsed):
        submit(plant, media, session_id="once")
    assert count_tasks(plant) == 1

    clock.advance(seconds=1)
    submit(plant, media, session_id="once")
    with pytest.raises(SessionIdUsed):
        submit(plant, media, session_id="once")
    assert count_tasks(plant) == 2


def test_session_ids_are_an_apps_own_and_none_is_no_session_id(
    plant: Plant, media: Media, nonsense: Path
) -> None:
    """Two apps may use the same id, and a task without one is never a double."""
    other = plant.apps.create("other").app_id
    theirs = plant.media.add_file(other, nonsense)

    submit(plant, media, session_id="same")
    plant.queue.submit_image_sprite(other, theirs.file_id, 10, session_id="same", base_url=BASE_URL)
    submit(plant, media)
    submit(plant, media)

    assert count_tasks(plant) == 4


def test_a_refused_submission_does_not_use_up_its_session_id(plant: Plant, media: Media) -> None:
    """A caller that named a wrong template may come again with the same id."""
    with pytest.raises(TemplateNotFound):
        plant.queue.submit_image_sprite(plant.app_id, media.file_id, 4711, session_id="s", base_url=BASE_URL)

    submit(plant, media, session_id="s")


def test_of_many_at_once_with_one_session_id_exactly_one_is_accepted(plant: Plant, media: Media) -> None:
    """A client that sends a request twice in the same moment still gets one task."""

    def attempt(_: int) -> bool:
        try:
            submit(plant, media, session_id="race")
        except SessionIdUsed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(attempt, range(16)))

    assert accepted.count(True) == 1
    assert count_tasks(plant) == 1


def test_a_task_keeps_a_copy_of_the_spec(plant: Plant, media: Media, clock: FakeClock) -> None:
    """A template that changes or goes later never changes a task that was accepted."""
    spec = replace(PRESET_10, sampling=EveryInterval(seconds=Fraction(1, 3)))
    definition = plant.templates.create(plant.app_id, spec).definition
    task_id = plant.queue.submit_image_sprite(plant.app_id, media.file_id, definition, base_url=BASE_URL)
    with plant.database.transaction() as conn:
        conn.execute(sa.delete(templates))

    [step] = plant.queue.describe(plant.app_id, task_id, now=clock.now()).task.steps

    assert step.spec == spec


def test_a_task_can_be_asked_for_three_days(plant: Plant, media: Media, clock: FakeClock) -> None:
    """DescribeTaskDetail answers for tasks of the last three days; older ones are unknown to it."""
    task_id = submit(plant, media)

    plant.queue.describe(plant.app_id, task_id, now=clock.advance(seconds=3 * DAY_S))

    with pytest.raises(TaskNotFound):
        plant.queue.describe(plant.app_id, task_id, now=clock.advance(seconds=1))


def test_a_flow_that_tells_of_changes_tells_of_its_acceptance(plant: Plant, media: Media) -> None:
    """With `CHANGE` the first event comes with the task itself; the other modes stay silent until the end."""
    for mode in (NotifyMode.FINISH, NotifyMode.NEVER, NotifyMode.CHANGE):
        plant.queue.submit_procedure(plant.app_id, media.file_id, [10], notify_mode=mode, base_url=BASE_URL)

    [event] = plant.events()
    assert isinstance(event, ProcedureStateChanged)
    assert event.notify_mode is NotifyMode.CHANGE
    assert not event.finished


def test_urls_have_no_double_slash(plant: Plant, media: Media, clock: FakeClock) -> None:
    """A base URL may come with or without a slash at its end."""
    task_id = plant.queue.submit_procedure(plant.app_id, media.file_id, [10], base_url="http://h:1/")

    flow = plant.queue.describe(plant.app_id, task_id, now=clock.now()).snapshot

    assert isinstance(flow, ProcedureStateChanged)
    assert flow.file_url.startswith("http://h:1/originals/")

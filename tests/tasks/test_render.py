"""A task from its submission to its event, through the real engine and real child processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from vodsprite.errors import FailureKind
from vodsprite.events import ImageSpriteComplete, NotifyMode, ProcedureStateChanged, SpriteStep, StepState
from vodsprite.sprite.spec import PRESET_10, EveryInterval
from vodsprite.tasks.engine import Run
from vodsprite.testing.plant import BASE_URL, Plant


def test_a_video_becomes_sprites_and_an_event(plant: Plant, video: Path) -> None:
    """The task finishes, its objects are in the store, the media is known, and one event says so."""
    task_id = plant.submit(video)
    plant.start()
    plant.finish(task_id)

    task = plant.queue.describe(plant.app_id, task_id, now=plant.clock.now()).task
    [event] = plant.events()
    media = plant.media.find(plant.app_id, task.file_id)
    [sprites] = plant.media.sprite_sets(task.file_id)

    assert isinstance(event, ImageSpriteComplete)
    assert event.failure is None
    assert event.sprites is not None
    assert (event.task_id, event.file_id, event.definition) == (task_id, media.file_id, 10)
    assert (event.sprites.tile_width_px, event.sprites.tile_height_px, event.sprites.total_count) == (
        142,
        80,
        3,
    )
    folder = f"sprites/{media.file_id}/{task_id}"
    assert event.sprites.sheet_urls == (f"{BASE_URL}/{folder}/imageSprite_10_0.jpg",)
    assert event.sprites.vtt_url == f"{BASE_URL}/{folder}/imageSprite_10.vtt"
    assert set(plant.store.list("sprites")) == set(sprites.object_keys)
    with plant.store.open(sprites.vtt_key) as vtt:
        assert vtt.read().startswith(b"WEBVTT\n")
    assert media.metadata is not None
    assert (media.metadata.width_px, media.metadata.height_px, media.metadata.duration_s) == (320, 180, 25)
    assert (task.attempts, task.run) == (1, 1)
    assert task.begun_at is not None
    assert task.finished_at is not None
    assert plant.delivery_channels() == ["pull"]
    assert event == plant.queue.describe(plant.app_id, task_id, now=plant.clock.now()).snapshot


def test_a_render_works_on_each_database(tmp_path: Path, video: Path, database_url: str) -> None:
    """Submission, engine and fencing need nothing that only one of the databases has."""
    plant = Plant(tmp_path, database_url=database_url)
    try:
        task_id = plant.submit(video)
        plant.start()
        plant.finish(task_id)
        plant.eventually(lambda: not plant.engine.live([Run(task_id, 1)]))

        [event] = plant.events()
        assert isinstance(event, ImageSpriteComplete)
        assert event.sprites is not None
        assert plant.reconciler.reconcile() == 0
        assert plant.reconciler.purge(plant.clock.now() + timedelta(days=2)) == 1
    finally:
        plant.close()


def test_the_render_leaves_nothing_in_its_work_folder(plant: Plant, video: Path, tmp_path: Path) -> None:
    """What a render wrote on its way is gone once its objects are in the store."""
    task_id = plant.submit(video)
    plant.start()
    plant.finish(task_id)
    plant.stop()

    assert list((tmp_path / "work").iterdir()) == []


def test_a_store_without_paths_renders_too(tmp_path: Path, video: Path) -> None:
    """A render from a store that is no folder works on a copy of the original."""
    plant = Plant(tmp_path, store_url="memory:///")
    try:
        task_id = plant.submit(video)
        plant.start()
        plant.finish(task_id)

        [event] = plant.events()
        assert isinstance(event, ImageSpriteComplete)
        assert event.sprites is not None
        assert len(list(plant.store.list("sprites"))) == 2
    finally:
        plant.close()


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("sound", FailureKind.NO_PICTURE),
        ("nonsense", FailureKind.MALFORMED),
        ("empty", FailureKind.MALFORMED),
    ],
)
def test_a_source_that_is_no_video_is_a_result(
    plant: Plant, request: pytest.FixtureRequest, source: str, kind: FailureKind
) -> None:
    """The task finishes with a failure of the right kind, in words, and the event carries it."""
    task_id = plant.submit(request.getfixturevalue(source))
    plant.start()
    plant.finish(task_id)

    [event] = plant.events()
    assert isinstance(event, ImageSpriteComplete)
    assert event.sprites is None
    assert event.failure is not None
    assert event.failure.kind is kind
    assert event.failure.message
    assert str(plant.store.local_path("x")).removesuffix("x") not in event.failure.message
    assert list(plant.store.list("sprites")) == []


def test_a_sampling_with_too_many_tiles_is_a_configuration_failure(plant: Plant, video: Path) -> None:
    """More tiles than a task may have: the failure says how many it would be."""
    dense = replace(PRESET_10, sampling=EveryInterval(seconds=Fraction(1, 10_000)))
    task_id = plant.submit(video, plant.templates.create(plant.app_id, dense).definition)
    plant.start()
    plant.finish(task_id)

    [event] = plant.events()
    assert isinstance(event, ImageSpriteComplete)
    assert event.failure is not None
    assert event.failure.kind is FailureKind.CONFIGURATION
    assert "250000" in event.failure.message


def test_a_lost_original_is_not_accessible(plant: Plant, video: Path) -> None:
    """When the original is gone from the store, the task says so instead of hanging about."""
    task_id = plant.submit(video)
    plant.store.delete(plant.store.list("originals"))
    plant.start()
    plant.finish(task_id)

    [event] = plant.events()
    assert isinstance(event, ImageSpriteComplete)
    assert event.failure is not None
    assert event.failure.kind is FailureKind.NOT_ACCESSIBLE


def test_a_flow_makes_every_set_and_tells_once(plant: Plant, video: Path) -> None:
    """A flow of two sets ends with one event that carries both, in the order asked for."""
    second = plant.templates.create(
        plant.app_id, replace(PRESET_10, sampling=EveryInterval(seconds=Fraction(5)), format="png")
    ).definition
    media = plant.media.add_file(plant.app_id, video)
    task_id = plant.queue.submit_procedure(
        plant.app_id, media.file_id, [10, second], session_id="s", session_context="c", base_url=BASE_URL
    )
    plant.start()
    plant.finish(task_id)

    [event] = plant.events()
    assert isinstance(event, ProcedureStateChanged)
    assert event.finished
    assert event.metadata is not None
    steps = [step for step in event.steps if isinstance(step, SpriteStep)]
    assert [(step.definition, step.state, step.progress) for step in steps] == [
        (10, StepState.SUCCESS, 100),
        (second, StepState.SUCCESS, 100),
    ]
    assert [step.sprites and step.sprites.total_count for step in steps] == [3, 5]
    assert steps[1].sprites is not None
    assert steps[1].sprites.sheet_urls[0].endswith(f"/imageSprite_{second}_0.png")
    assert all(step.begun_at and step.finished_at for step in steps)
    assert (event.session_id, event.session_context) == ("s", "c")
    assert len(plant.media.sprite_sets(media.file_id)) == 2


def test_a_flow_that_tells_of_changes_tells_of_each_step(plant: Plant, video: Path) -> None:
    """With `CHANGE` there is an event at acceptance, one per ended step, the last of which ends the flow."""
    second = plant.templates.create(plant.app_id, PRESET_10).definition
    media = plant.media.add_file(plant.app_id, video)
    task_id = plant.queue.submit_procedure(
        plant.app_id, media.file_id, [10, second], notify_mode=NotifyMode.CHANGE, base_url=BASE_URL
    )
    plant.start()
    plant.finish(task_id)

    told = [event for event in plant.events() if isinstance(event, ProcedureStateChanged)]
    processing, success = StepState.PROCESSING, StepState.SUCCESS
    assert [(event.finished, [step.state for step in event.steps]) for event in told] == [
        (False, [processing, processing]),
        (False, [success, processing]),
        (True, [success, success]),
    ]


def test_a_flow_that_tells_nothing_still_has_its_result(plant: Plant, video: Path) -> None:
    """With `NEVER` no event is written, but who asks gets the answer."""
    media = plant.media.add_file(plant.app_id, video)
    task_id = plant.queue.submit_procedure(
        plant.app_id, media.file_id, [10], notify_mode=NotifyMode.NEVER, base_url=BASE_URL
    )
    plant.start()
    plant.finish(task_id)

    assert plant.events() == []
    flow = plant.queue.describe(plant.app_id, task_id, now=plant.clock.now()).snapshot
    assert isinstance(flow, ProcedureStateChanged)
    assert flow.finished


def test_the_urgent_comes_first(plant: Plant, video: Path) -> None:
    """Of tasks that wait, a higher priority begins earlier, whatever the order of submission."""
    media = plant.media.add_file(plant.app_id, video)
    by_priority = {
        priority: plant.queue.submit_procedure(
            plant.app_id, media.file_id, [10], priority=priority, base_url=BASE_URL
        )
        for priority in (-10, 0, 10)
    }
    sprite = plant.queue.submit_image_sprite(plant.app_id, media.file_id, 10, base_url=BASE_URL)
    plant.start()
    for task_id in (*by_priority.values(), sprite):
        plant.finish(task_id)

    order = [
        event.task_id
        for event in plant.events()
        if isinstance(event, (ProcedureStateChanged, ImageSpriteComplete))
    ]
    assert order == [by_priority[10], by_priority[0], sprite, by_priority[-10]]


def test_a_second_render_replaces_the_first_set(plant: Plant, video: Path) -> None:
    """The media points to the newest set of a definition; the older objects stay for a day."""
    media = plant.media.add_file(plant.app_id, video)
    first, second = (
        plant.queue.submit_image_sprite(plant.app_id, media.file_id, 10, base_url=BASE_URL) for _ in range(2)
    )
    plant.start()
    plant.finish(first)
    plant.finish(second)

    [current] = plant.media.sprite_sets(media.file_id)
    assert current.task_id == second
    assert len(list(plant.store.list("sprites"))) == 4


def test_the_service_loads_no_decoder() -> None:
    """A process with every part of the rendering service in it has neither PyAV nor Pillow loaded."""
    code = "import sys, vodsprite.testing.plant; print(sorted({'av', 'PIL', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"

"""The sweeps, over everything that grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from vodsprite.database.schema import deliveries, nonces, session_ids, tasks
from vodsprite.delivery.pull import PullQueue, PullSettings
from vodsprite.housekeeping import Housekeeper, Keeping
from vodsprite.ids import RandomIds
from vodsprite.tasks.engine import Run
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.plant import BASE_URL, Plant

DAY_S = 24 * 3600


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def plant(tmp_path: Path, clock: FakeClock) -> Iterator[Plant]:
    plant = Plant(tmp_path, clock=clock)
    yield plant
    plant.close()


@pytest.fixture
def housekeeper(plant: Plant) -> Housekeeper:
    pulls = PullQueue(plant.database, plant.wakeup, plant.clock, RandomIds(), PullSettings())
    return Housekeeper(plant.database, plant.store, plant.media, plant.reconciler, pulls, Keeping())


def count(plant: Plant, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    with plant.database.reading() as conn:
        return conn.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()


def test_replaced_sprites_go_after_a_day(
    plant: Plant, housekeeper: Housekeeper, clock: FakeClock, video: Path
) -> None:
    """A sweep removes the objects of a set that a later task replaced, and no others."""
    media = plant.media.add_file(plant.app_id, video)
    accepted = [
        plant.queue.submit_image_sprite(plant.app_id, media.file_id, 10, base_url=BASE_URL) for _ in range(2)
    ]
    plant.start()
    for task_id in accepted:
        plant.finish(task_id)

    housekeeper.sweep(clock.advance(seconds=DAY_S - 1))
    before = len(list(plant.store.list("sprites")))
    housekeeper.sweep(clock.advance(seconds=1))

    assert before == 4
    [current] = plant.media.sprite_sets(media.file_id)
    assert set(plant.store.list("sprites")) == set(current.object_keys)
    assert plant.store.stat(media.object_key) is not None


def test_used_keys_go_when_their_time_is_over(
    plant: Plant, housekeeper: Housekeeper, clock: FakeClock, video: Path
) -> None:
    """Session ids and nonces are kept for their windows and not a day longer."""
    media = plant.media.add_file(plant.app_id, video)
    plant.queue.submit_image_sprite(plant.app_id, media.file_id, 10, session_id="s", base_url=BASE_URL)
    until = clock.advance(seconds=600)
    plant.apps.use_nonce("AKIDplant", "n", until=until, now=clock.advance(seconds=-600))

    housekeeper.sweep(clock.advance(seconds=599))
    assert (count(plant, nonces), count(plant, session_ids)) == (1, 1)
    housekeeper.sweep(clock.advance(seconds=1))
    assert (count(plant, nonces), count(plant, session_ids)) == (0, 1)
    housekeeper.sweep(clock.advance(seconds=3 * DAY_S))
    assert count(plant, session_ids) == 0


def test_events_that_nobody_pulled_become_dead_letters(
    plant: Plant, housekeeper: Housekeeper, clock: FakeClock, nonsense: Path
) -> None:
    """Four days after the event its pull delivery is given up; it is kept."""
    task_id = plant.submit(nonsense)
    plant.start()
    plant.finish(task_id)

    housekeeper.sweep(clock.advance(seconds=4 * DAY_S - 60))
    assert count(plant, deliveries, deliveries.c.state == "dead") == 0
    housekeeper.sweep(clock.advance(seconds=120))
    assert count(plant, deliveries, deliveries.c.state == "dead") == 1


def test_the_engine_forgets_old_runs(
    plant: Plant, housekeeper: Housekeeper, clock: FakeClock, nonsense: Path
) -> None:
    """A run that was over a day ago leaves nothing in the engine's tables; the task stays."""
    task_id = plant.submit(nonsense)
    plant.start()
    plant.finish(task_id)
    plant.eventually(lambda: not plant.engine.live([Run(task_id, 1)]))
    plant.stop()

    # The engine keeps time by the machine's clock, which is ahead of the one here or behind it by years.
    housekeeper.sweep(clock.advance(seconds=50 * 365 * DAY_S))

    with plant.database.reading() as conn:
        left = conn.execute(sa.text("SELECT count(*) FROM workflow_status")).scalar_one()
    assert left == 0
    assert count(plant, tasks) == 1


def test_half_written_objects_go(plant: Plant, housekeeper: Housekeeper, clock: FakeClock) -> None:
    """What a killed process left in the store's folder is removed a day later."""
    plant.store.put("a/b", b"whole")
    place = plant.store.local_path("a/b")
    assert place is not None
    half = place.with_name("c#1")
    half.write_bytes(b"half")
    os.utime(half, (1, 1))

    housekeeper.sweep(clock.now())

    assert not half.exists()
    assert list(plant.store.list("")) == ["a/b"]

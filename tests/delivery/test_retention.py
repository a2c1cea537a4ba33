"""What is kept of finished deliveries, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from vodsprite import housekeeping
from vodsprite.apps.app import App, DeliveryMode
from vodsprite.clock import to_us
from vodsprite.database.engine import Database
from vodsprite.database.schema import attempts, deliveries, events
from vodsprite.delivery import table
from vodsprite.delivery.delivery import Attempt, DeliveryState, Outcome
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.pull import PullQueue, PullSettings
from vodsprite.housekeeping import Housekeeper, Keeping
from vodsprite.ids import DeliveryId, RandomIds
from vodsprite.samples import IMAGE_SPRITE_COMPLETE
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.plant import Plant

from .conftest import Happenings

DAY_S = 24 * 3600
KEEPING = Keeping(settled_s=2 * DAY_S, dead_s=4 * DAY_S)


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
    return Housekeeper(plant.database, plant.store, plant.media, plant.reconciler, pulls, KEEPING)


def happen(plant: Plant, count: int) -> None:
    """Record events that go both ways."""
    outbox = Outbox(RandomIds())
    plant.apps.change_subscription(plant.app_id, mode=DeliveryMode.BOTH, url="http://a.example/3")
    with plant.database.transaction() as conn:
        for _ in range(count):
            outbox.record(conn, plant.app_id, IMAGE_SPRITE_COMPLETE, now=plant.clock.now())


def finish(plant: Plant, channel: str, state: str) -> None:
    """Bring what waits on *channel* to *state*, after one attempt each."""
    now = plant.clock.now()
    attempt = Attempt(
        number=1,
        url="http://a.example/3",
        started_at=now,
        latency_ms=3,
        outcome=Outcome.DELIVERED,
        status_code=200,
        answer="ok",
    )
    waiting = (deliveries.c.channel == channel, deliveries.c.state == "waiting")
    with plant.database.transaction() as conn:
        ids = conn.execute(sa.select(deliveries.c.delivery_id).where(*waiting)).scalars().all()
        conn.execute(sa.update(deliveries).where(*waiting).values(state=state, settled_at=to_us(now)))
        table.insert_attempts(conn, [(DeliveryId(one), attempt) for one in ids])


def counts(plant: Plant) -> tuple[int, int, int]:
    """How many events, deliveries and attempts there are."""
    with plant.database.reading() as conn:
        events_, deliveries_, attempts_ = (
            conn.execute(sa.select(sa.func.count()).select_from(one)).scalar_one()
            for one in (events, deliveries, attempts)
        )
    return events_, deliveries_, attempts_


def test_an_event_goes_with_its_last_delivery(
    plant: Plant, housekeeper: Housekeeper, clock: FakeClock
) -> None:
    """A settled delivery goes after its time, a dead one after a longer one, the event with the later one."""
    happen(plant, 1)
    finish(plant, "push_v3", "settled")
    finish(plant, "pull", "dead")

    housekeeper.sweep(clock.advance(seconds=2 * DAY_S))
    assert counts(plant) == (1, 2, 2)
    housekeeper.sweep(clock.advance(seconds=1))
    assert counts(plant) == (1, 1, 1)
    housekeeper.sweep(clock.advance(seconds=2 * DAY_S))
    assert counts(plant) == (0, 0, 0)


def test_what_waits_is_never_swept(plant: Plant, housekeeper: Housekeeper, clock: FakeClock) -> None:
    """However old: a push whose receiver is paused waits for a person."""
    happen(plant, 1)
    finish(plant, "pull", "settled")

    housekeeper.sweep(clock.advance(seconds=400 * DAY_S))

    assert counts(plant) == (1, 1, 0)


def test_a_sweep_takes_batches_until_nothing_is_left(
    plant: Plant, housekeeper: Housekeeper, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one batch goes in one sweep; there is an end to what one sweep takes."""
    monkeypatch.setattr(housekeeping, "BATCH_ROWS", 10)
    monkeypatch.setattr(housekeeping, "BATCHES", 4)
    happen(plant, 35)
    finish(plant, "push_v3", "settled")
    finish(plant, "pull", "settled")
    clock.advance(seconds=3 * DAY_S)

    housekeeper.sweep(clock.now())
    assert counts(plant)[1] == 30
    housekeeper.sweep(clock.now())
    assert counts(plant) == (0, 0, 0)


def test_the_tables_stay_flat_under_a_steady_load(
    plant: Plant, housekeeper: Housekeeper, clock: FakeClock
) -> None:
    """Day after day the same load: once the first days are gone, neither rows nor the file grow."""
    rows, pages = [], []
    for _ in range(12):
        happen(plant, 200)
        finish(plant, "push_v3", "settled")
        finish(plant, "pull", "settled")
        housekeeper.sweep(clock.advance(seconds=DAY_S))
        rows.append(counts(plant))
        with plant.database.reading() as conn:
            pages.append(conn.execute(sa.text("PRAGMA page_count")).scalar_one())

    assert set(rows[2:]) == {(400, 800, 800)}
    assert pages[0] < pages[1]
    assert max(pages[4:]) <= pages[3] * 1.02


def test_each_database_deletes_the_oldest_first_and_within_the_limit(
    database: Database, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """The count that comes back says whether there may be more."""
    made = []
    for _ in range(5):
        made.append(happenings.happen(app.app_id))
        clock.advance(seconds=1)
        with database.transaction() as conn:
            conn.execute(
                sa.update(deliveries)
                .where(deliveries.c.event_id == made[-1])
                .values(state="settled", settled_at=to_us(clock.now()))
            )
    taken = []
    for _ in range(3):
        with database.transaction() as conn:
            taken.append(
                table.delete_finished(conn, DeliveryState.SETTLED, before=clock.now(), limit=2),
            )
    with database.reading() as conn:
        left = conn.execute(sa.select(events.c.event_id)).scalars().all()

    # The last one was settled at this very moment, which is not before it.
    assert taken == [2, 2, 0]
    assert left == made[4:]

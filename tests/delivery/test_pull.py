"""The reliable callback: pulling, confirming, coming back."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from datetime import datetime

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from delivery.conftest import Happenings
from vodsprite.apps.app import App
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database
from vodsprite.database.schema import deliveries, events
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import table
from vodsprite.delivery.delivery import DeliveryState, Filter
from vodsprite.delivery.pull import MAX_BATCH, PullQueue, PullSettings
from vodsprite.errors import HandlesStale, InvalidInput
from vodsprite.ids import AppId, EventId
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds

ANOTHER_PROCESS = """
import sys
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.delivery.outbox import Outbox
from vodsprite.events import ImageSpriteComplete
from vodsprite.ids import AppId, FileId, RandomIds, TaskId

database = Database(DatabaseSettings(url=sys.argv[1]))
event = ImageSpriteComplete(
    task_id=TaskId("t"), file_id=FileId("1"), definition=10, sprites=None, failure=None
)
print("ready", flush=True)
for line in sys.stdin:
    with database.transaction() as conn:
        Outbox(RandomIds()).record(conn, AppId(int(sys.argv[2])), event, now=SystemClock().now())
    print("committed", flush=True)
"""


@pytest.fixture
def pulls(database: Database, wakeup: Wakeup, clock: FakeClock, ids: SequentialIds) -> PullQueue:
    return PullQueue(database, wakeup, clock, ids, PullSettings(wait_s=0.3))


@pytest.fixture
def other(apps: AppRegistry, app: App) -> App:
    return apps.create("other")


def test_an_event_is_pulled_with_what_happened(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """A pulled event carries the value, its id, when it happened and how often it was handed out."""
    event = happenings.sprite()
    event_id = happenings.happen(app.app_id, event)
    [pulled] = pulls.pull(app.app_id, limit=16, now=clock.advance(seconds=7))
    assert (pulled.event, pulled.event_id, pulled.times) == (event, event_id, 1)
    assert (clock.now() - pulled.happened_at).total_seconds() == 7


def test_an_unconfirmed_event_comes_back(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """An event that was pulled and not confirmed can be pulled again once its lease has ended."""
    happenings.happen(app.app_id)
    [first] = pulls.pull(app.app_id, limit=16, now=clock.now())
    assert pulls.pull(app.app_id, limit=16, now=clock.advance(seconds=29)) == []

    [again] = pulls.pull(app.app_id, limit=16, now=clock.advance(seconds=1))

    assert again.event_id == first.event_id
    assert again.handle != first.handle
    assert again.times == 2


def test_a_confirmed_event_is_gone(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """After its confirm an event never comes again, and the confirm may be repeated at any later time."""
    happenings.happen(app.app_id)
    [pulled] = pulls.pull(app.app_id, limit=16, now=clock.now())
    pulls.confirm(app.app_id, [pulled.handle], now=clock.advance(seconds=29))
    pulls.confirm(app.app_id, [pulled.handle], now=clock.advance(seconds=3600))
    assert pulls.pull(app.app_id, limit=16, now=clock.now()) == []


def test_a_handle_ends_with_its_lease(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """A late confirm is refused, changes nothing, and the event comes again."""
    happenings.happen(app.app_id)
    [pulled] = pulls.pull(app.app_id, limit=16, now=clock.now())
    with pytest.raises(HandlesStale) as caught:
        pulls.confirm(app.app_id, [pulled.handle], now=clock.advance(seconds=30))
    assert caught.value.handles == (pulled.handle,)
    assert len(pulls.pull(app.app_id, limit=16, now=clock.now())) == 1


def test_good_handles_are_settled_beside_stale_ones(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """One call with good, ended, unreadable and made-up handles settles the good and names the others."""
    happenings.happen(app.app_id)
    [ended] = pulls.pull(app.app_id, limit=16, now=clock.now())
    clock.advance(seconds=30)
    happenings.happen(app.app_id)
    good = pulls.pull(app.app_id, limit=16, now=clock.now())
    assert len(good) == 2
    made_up = f"{good[0].delivery_id}-{'0' * 32}"
    with pytest.raises(HandlesStale) as caught:
        pulls.confirm(
            app.app_id,
            [ended.handle, good[0].handle, "nonsense", good[1].handle, made_up],
            now=clock.now(),
        )
    assert caught.value.handles == (ended.handle, "nonsense", made_up)
    assert pulls.pull(app.app_id, limit=16, now=clock.advance(seconds=60)) == []


def test_an_earlier_handle_of_a_settled_event_is_stale(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """Only the handle that confirmed an event may confirm it again, not one that was late before."""
    happenings.happen(app.app_id)
    [late] = pulls.pull(app.app_id, limit=16, now=clock.now())
    [present] = pulls.pull(app.app_id, limit=16, now=clock.advance(seconds=30))
    with pytest.raises(HandlesStale) as caught:
        pulls.confirm(app.app_id, [late.handle, present.handle], now=clock.now())
    assert caught.value.handles == (late.handle,)
    pulls.confirm(app.app_id, [present.handle, present.handle], now=clock.now())


def test_an_app_cannot_confirm_for_another(
    pulls: PullQueue, app: App, other: App, happenings: Happenings, clock: FakeClock
) -> None:
    """Another app's handle is stale, before and after its own app has confirmed it."""
    happenings.happen(app.app_id)
    [pulled] = pulls.pull(app.app_id, limit=16, now=clock.now())
    with pytest.raises(HandlesStale):
        pulls.confirm(other.app_id, [pulled.handle], now=clock.now())
    pulls.confirm(app.app_id, [pulled.handle], now=clock.now())
    with pytest.raises(HandlesStale):
        pulls.confirm(other.app_id, [pulled.handle], now=clock.now())


def test_calls_have_limits(pulls: PullQueue, app: App, clock: FakeClock) -> None:
    """1 to 16 events are pulled, 1 to 16 handles confirmed at once."""
    for limit in (0, 17):
        with pytest.raises(InvalidInput) as caught:
            pulls.pull(app.app_id, limit=limit, now=clock.now())
        assert caught.value.field == "limit"
        with pytest.raises(InvalidInput):
            asyncio.run(pulls.long_poll(app.app_id, limit=limit))
    for handles in ([], ["a"] * 17):
        with pytest.raises(InvalidInput) as caught:
            pulls.confirm(app.app_id, handles, now=clock.now())
        assert caught.value.field == "event_handles"


def test_the_oldest_events_come_first(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """A batch holds the events that happened first, in order."""
    happened = []
    for _ in range(20):
        happened.append(happenings.happen(app.app_id))
        clock.advance(seconds=1)
    pulled = pulls.pull(app.app_id, limit=16, now=clock.now())
    assert [one.event_id for one in pulled] == happened[:16]


def test_both_generations_drain_one_queue(
    pulls: PullQueue, app: App, database: Database, happenings: Happenings, clock: FakeClock
) -> None:
    """A 2017 pull takes events from the same queue, but leaves those without a 2.0 form."""
    plain, modern = happenings.happen(app.app_id), happenings.happen(app.app_id)
    with database.transaction() as conn:
        conn.execute(sa.update(deliveries).where(deliveries.c.event_id == modern).values(has_v2=False))
    assert [one.event_id for one in pulls.pull(app.app_id, limit=16, now=clock.now(), v2=True)] == [plain]
    assert asyncio.run(pulls.long_poll(app.app_id, v2=True)) == []
    assert [one.event_id for one in asyncio.run(pulls.long_poll(app.app_id))] == [modern]


def test_the_count_is_of_what_can_be_pulled(
    pulls: PullQueue, app: App, other: App, happenings: Happenings, clock: FakeClock
) -> None:
    """Events under a lease, confirmed ones and other apps' are not counted."""
    for _ in range(3):
        happenings.happen(app.app_id)
    happenings.happen(other.app_id)
    assert pulls.waiting(app.app_id, now=clock.now()) == 3
    [pulled] = pulls.pull(app.app_id, limit=1, now=clock.now())
    assert pulls.waiting(app.app_id, now=clock.now()) == 2
    assert pulls.waiting(app.app_id, now=clock.advance(seconds=30)) == 3
    [again] = [one for one in pulls.pull(app.app_id, limit=16, now=clock.now()) if one.times == 2]
    assert again.event_id == pulled.event_id
    pulls.confirm(app.app_id, [again.handle], now=clock.now())
    assert pulls.waiting(app.app_id, now=clock.advance(seconds=30)) == 2


def test_what_nobody_confirms_becomes_a_dead_letter(
    pulls: PullQueue, app: App, database: Database, happenings: Happenings, clock: FakeClock
) -> None:
    """After four days an event is given up, unless somebody holds it just then; it is kept and says why."""
    happenings.happen(app.app_id)
    held = happenings.happen(app.app_id)
    assert pulls.bury_expired(clock.advance(seconds=4 * 24 * 3600)) == 0
    pulls.pull(app.app_id, limit=1, now=clock.now())
    [pulled] = pulls.pull(app.app_id, limit=1, now=clock.now())
    assert pulled.event_id == held
    assert pulls.bury_expired(clock.advance(seconds=1)) == 0
    pulls.confirm(app.app_id, [pulled.handle], now=clock.now())
    assert pulls.bury_expired(clock.advance(seconds=30)) == 1

    with database.reading() as conn:
        [dead] = table.list_deliveries(conn, Filter(dead_only=True))
    assert "retention" in dead.note
    assert pulls.pull(app.app_id, limit=16, now=clock.now()) == []


def test_an_unreadable_event_does_not_block_the_queue(
    pulls: PullQueue, app: App, database: Database, happenings: Happenings, clock: FakeClock
) -> None:
    """An event that this version cannot read is told in the log and left out; the others come."""
    broken, good = happenings.happen(app.app_id), happenings.happen(app.app_id)
    with database.transaction() as conn:
        conn.execute(sa.update(events).where(events.c.event_id == broken).values(data="{}"))
    with capture_logs() as logs:
        pulled = pulls.pull(app.app_id, limit=16, now=clock.now())
    assert [one.event_id for one in pulled] == [good]
    assert [(line["event"], line["event_id"]) for line in logs] == [("event.unreadable", broken)]


def a_newer_version_writes(database: Database, *event_ids: EventId) -> None:
    """Give the events a type that this version does not know."""
    with database.transaction() as conn:
        conn.execute(sa.update(events).where(events.c.event_id.in_(event_ids)).values(type="hologram_made"))


def test_events_of_a_newer_versions_type_are_passed_over(
    pulls: PullQueue, app: App, database: Database, happenings: Happenings, clock: FakeClock
) -> None:
    """A whole batch of them hides nobody behind it; they stay as they are, uncounted, and are told once."""
    newer = [happenings.happen(app.app_id) for _ in range(MAX_BATCH + 4)]
    good = [happenings.happen(app.app_id) for _ in range(MAX_BATCH + 1)]
    a_newer_version_writes(database, *newer)
    with capture_logs() as logs:
        first = pulls.pull(app.app_id, limit=16, now=clock.now())
        then = pulls.pull(app.app_id, limit=16, now=clock.now())
        assert [one.event_id for one in first + then] == good
        pulls.confirm(app.app_id, [one.handle for one in first], now=clock.now())
        pulls.confirm(app.app_id, [one.handle for one in then], now=clock.now())
        assert pulls.pull(app.app_id, limit=16, now=clock.advance(seconds=600)) == []
    assert [(line["event"], line["event_id"], line["type"], line["log_level"]) for line in logs] == [
        ("event.type_unknown", event_id, "hologram_made", "warning") for event_id in newer
    ]
    with database.reading() as conn:
        waiting = table.list_deliveries(conn, event_id=newer[0])
    assert [(one.state, one.attempts, one.lease_until) for one in waiting] == [
        (DeliveryState.WAITING, 0, None)
    ]
    with database.transaction() as conn:  # the newer version is back
        conn.execute(sa.update(events).values(type="image_sprite_complete"))
    late = pulls.pull(app.app_id, limit=16, now=clock.advance(seconds=600))
    assert [(one.event_id, one.times) for one in late] == [(event_id, 1) for event_id in newer[:16]]


def test_a_long_poll_does_not_wait_behind_a_newer_versions_events(
    database: Database, wakeup: Wakeup, ids: SequentialIds, app: App, happenings: Happenings
) -> None:
    """However many they are, one poll brings the event behind them, at once."""
    pulls = PullQueue(database, wakeup, SystemClock(), ids, PullSettings(wait_s=60))
    newer = [happenings.happen(app.app_id) for _ in range(1100)]
    a_newer_version_writes(database, *newer)
    good = happenings.happen(app.app_id)
    begun = time.monotonic()
    with capture_logs():
        [pulled] = asyncio.run(pulls.long_poll(app.app_id, limit=1))
    assert pulled.event_id == good
    assert time.monotonic() - begun < 30


def test_a_long_poll_ends_empty(pulls: PullQueue, app: App) -> None:
    """Nothing happens: the answer is an empty list, after the wait."""
    begun = time.monotonic()
    assert asyncio.run(pulls.long_poll(app.app_id)) == []
    assert time.monotonic() - begun >= 0.29


def test_a_long_poll_wakes_at_the_event(
    database: Database, wakeup: Wakeup, ids: SequentialIds, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """The poll answers as soon as the event is committed, and the lease begins then, not with the poll."""
    pulls = PullQueue(database, wakeup, clock, ids, PullSettings(wait_s=60))

    async def scene() -> float:
        poll = asyncio.create_task(pulls.long_poll(app.app_id))
        await asyncio.sleep(0.1)
        clock.advance(seconds=4)
        begun = time.monotonic()
        await asyncio.to_thread(happenings.happen, app.app_id)
        [pulled] = await poll
        took_s = time.monotonic() - begun
        pulls.confirm(app.app_id, [pulled.handle], now=clock.advance(seconds=29.9))
        return took_s

    assert asyncio.run(scene()) < 5


class HeldClock(FakeClock):
    """Stops whoever asks for the time in another thread until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.let_go = threading.Event()

    def now(self) -> datetime:
        if threading.current_thread() is not threading.main_thread():
            self.asked.set()
            assert self.let_go.wait(20)
        return super().now()


def test_a_client_that_leaves_during_the_claim_hides_nothing(
    database: Database, wakeup: Wakeup, ids: SequentialIds, app: App, happenings: Happenings
) -> None:
    """A consumer hung up at the moment of the claim, and its events were away for 30 s: they come at once."""
    happened = happenings.happen(app.app_id)
    clock = HeldClock()
    pulls = PullQueue(database, wakeup, clock, ids, PullSettings(wait_s=60))

    async def scene() -> None:
        poll = asyncio.create_task(pulls.long_poll(app.app_id))
        await asyncio.to_thread(clock.asked.wait, 20)
        poll.cancel()
        clock.let_go.set()
        with contextlib.suppress(asyncio.CancelledError):
            await poll
        assert poll.cancelled()

    asyncio.run(scene())
    [pulled] = pulls.pull(app.app_id, limit=16, now=clock.now())
    assert pulled.event_id == happened


def test_a_long_poll_takes_what_a_lease_sets_free(
    database: Database, wakeup: Wakeup, ids: SequentialIds, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """A lease that ends during the wait frees its event, although nobody rings."""
    happenings.happen(app.app_id)
    real = SystemClock()
    pulls = PullQueue(database, wakeup, real, ids, PullSettings(wait_s=60, lease_s=0.3))
    [first] = pulls.pull(app.app_id, limit=1, now=real.now())
    [again] = asyncio.run(pulls.long_poll(app.app_id))
    assert again.event_id == first.event_id


def test_a_long_poll_wakes_at_another_process_s_commit(
    database: Database, wakeup: Wakeup, ids: SequentialIds, app: App, database_url: str
) -> None:
    """An event that another process commits is handed out within a moment, with no call between the two."""
    pulls = PullQueue(database, wakeup, SystemClock(), ids, PullSettings(wait_s=60))
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER_PROCESS, database_url, str(app.app_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        stdin, stdout = other.stdin, other.stdout
        assert stdout.readline() == "ready\n"

        def commit() -> float:
            stdin.write("now\n")
            stdin.flush()
            assert stdout.readline() == "committed\n"
            return time.monotonic()

        async def scene() -> float:
            poll = asyncio.create_task(pulls.long_poll(app.app_id))
            await asyncio.sleep(0.3)
            committed = await asyncio.to_thread(commit)
            assert len(await poll) == 1
            return time.monotonic() - committed

        assert asyncio.run(scene()) < 5
        stdin.close()


def test_many_consumers_share_a_queue(
    pulls: PullQueue, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """Consumers that poll at the same time get different events, and together all of them."""
    happened = {happenings.happen(app.app_id) for _ in range(3 * MAX_BATCH)}

    async def scene() -> list[str]:
        batches = await asyncio.gather(*(pulls.long_poll(app.app_id) for _ in range(5)))
        return [one.event_id for batch in batches for one in batch]

    pulled = asyncio.run(scene())
    rest = pulls.pull(app.app_id, limit=16, now=clock.now())
    pulled += [one.event_id for one in rest]
    assert len(pulled) == len(set(pulled))
    assert set(pulled) <= happened
    assert len(pulled) == len(happened)


def test_an_app_that_does_not_exist_has_an_empty_queue(pulls: PullQueue, clock: FakeClock) -> None:
    """Whether the app exists is decided before; the queue itself just has nothing for it."""
    assert pulls.pull(AppId(7), limit=1, now=clock.now()) == []

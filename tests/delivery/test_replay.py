"""Seeing events, delivering them again, and pausing where they go."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from vodsprite.apps.app import App, DeliveryMode
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import to_us
from vodsprite.database.engine import Database
from vodsprite.database.schema import deliveries, events
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import replay
from vodsprite.delivery.delivery import Channel, DeliveryState, Filter
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.pull import PullQueue, PullSettings
from vodsprite.delivery.replay import EventLog, Replayed
from vodsprite.errors import EventNotFound, InvalidInput
from vodsprite.events import DeletedFile, EventType, FileDeleted
from vodsprite.ids import EventId, FileId
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds

from .conftest import Happenings

DELETION = FileDeleted(files=(DeletedFile(file_id=FileId("1")),))


@pytest.fixture
def event_log(database: Database, wakeup: Wakeup, clock: FakeClock, ids: SequentialIds) -> EventLog:
    return EventLog(database, Outbox(ids), wakeup, clock)


def give_up(database: Database, event_id: EventId, clock: FakeClock) -> None:
    """Make dead letters of the deliveries of an event that wait."""
    statement = (
        sa.update(deliveries)
        .where(deliveries.c.event_id == event_id, deliveries.c.state == "waiting")
        .values(state="dead", settled_at=to_us(clock.now()))
    )
    with database.transaction() as conn:
        conn.execute(statement)


def listed(event_log: EventLog, wanted: Filter) -> list[EventId]:
    return [stored.event_id for stored, _ in event_log.list(wanted)]


def test_a_filter_finds_what_it_means(
    event_log: EventLog, apps: AppRegistry, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """App, type and time each leave out the others; the start belongs to the range and the end does not."""
    other = apps.create("other")
    apps.change_subscription(app.app_id, muted=[])
    begun = clock.now()
    first = happenings.happen(app.app_id)
    clock.advance(seconds=60)
    second = happenings.happen(app.app_id, DELETION)
    third = happenings.happen(other.app_id)
    ended = clock.advance(seconds=60)
    fourth = happenings.happen(app.app_id)

    assert listed(event_log, Filter()) == [fourth, third, second, first]
    assert listed(event_log, Filter(app_id=other.app_id)) == [third]
    assert listed(event_log, Filter(kind=EventType.FILE_DELETED)) == [second]
    assert listed(event_log, Filter(since=begun, until=ended)) == [third, second, first]
    assert listed(event_log, Filter(since=ended)) == [fourth]
    found = event_log.deliveries(Filter(app_id=app.app_id, since=begun, until=ended))
    assert [one.delivery.event_id for one in found] == [second, first]
    deleted = event_log.deliveries(Filter(kind=EventType.FILE_DELETED))
    assert [one.delivery.event_id for one in deleted] == [second]


def test_a_replay_makes_new_deliveries_to_where_the_app_wants_them_now(
    event_log: EventLog,
    apps: AppRegistry,
    app: App,
    happenings: Happenings,
    clock: FakeClock,
    database: Database,
) -> None:
    """The event keeps its id; the dead delivery stays as it is; today's destinations get new ones."""
    apps.change_subscription(app.app_id, url="http://a.example/3")
    event_id = happenings.happen(app.app_id)
    give_up(database, event_id, clock)
    apps.change_subscription(app.app_id, mode=DeliveryMode.BOTH, url="", url_v2="http://a.example/2")

    replayed_at = clock.advance(seconds=60)
    assert event_log.replay([event_id]) == Replayed(events=1, deliveries=2, muted=0)

    told = [one.delivery for one in event_log.show(event_id).told]
    assert [(one.channel, one.state) for one in told[-1:]] == [(Channel.PUSH_V3, DeliveryState.DEAD)]
    assert {(one.channel, one.state, one.due_at, one.attempts) for one in told[:-1]} == {
        (Channel.PUSH_V2, DeliveryState.WAITING, replayed_at, 0),
        (Channel.PULL, DeliveryState.WAITING, replayed_at, 0),
    }


def test_a_replayed_event_is_pulled_under_its_old_id(
    event_log: EventLog,
    app: App,
    happenings: Happenings,
    clock: FakeClock,
    database: Database,
    wakeup: Wakeup,
    ids: SequentialIds,
) -> None:
    """A consumer that keys on the id knows it again, also when the event is older than the retention."""
    pulls = PullQueue(database, wakeup, clock, ids, PullSettings())
    event_id = happenings.happen(app.app_id)
    [first] = pulls.pull(app.app_id, limit=1, now=clock.now())
    pulls.confirm(app.app_id, [first.handle], now=clock.now())

    now = clock.advance(seconds=30 * 24 * 3600)
    event_log.replay([event_id])
    pulls.bury_expired(now)

    [again] = pulls.pull(app.app_id, limit=16, now=now)
    assert (again.event_id, again.event) == (event_id, first.event)


def test_dead_letters_are_replayed_once(
    event_log: EventLog,
    apps: AppRegistry,
    app: App,
    happenings: Happenings,
    clock: FakeClock,
    database: Database,
) -> None:
    """What was replayed is no dead letter any more, until its new delivery dies too."""
    apps.change_subscription(app.app_id, mode=DeliveryMode.BOTH, url="http://a.example/3")
    dead = happenings.happen(app.app_id)
    happenings.happen(app.app_id)
    clock.advance(seconds=60)
    give_up(database, dead, clock)

    assert listed(event_log, Filter(dead_only=True)) == [dead]
    assert {one.delivery.event_id for one in event_log.deliveries(Filter(dead_only=True))} == {dead}
    clock.advance(seconds=60)
    assert event_log.replay_all(Filter(dead_only=True)).events == 1
    assert listed(event_log, Filter(dead_only=True)) == []
    assert event_log.replay_all(Filter(dead_only=True)).events == 0
    clock.advance(seconds=60)
    give_up(database, dead, clock)
    assert listed(event_log, Filter(dead_only=True)) == [dead]


def test_a_replay_of_many_takes_each_once(
    event_log: EventLog,
    app: App,
    happenings: Happenings,
    clock: FakeClock,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over several batches, with many events of one instant, none is left out and none comes twice."""
    monkeypatch.setattr(replay, "REPLAY_BATCH", 3)
    made = []
    for number in range(11):
        if number in (4, 9):
            clock.advance(seconds=1)
        made.append(happenings.happen(app.app_id))
    clock.advance(seconds=1)

    assert event_log.replay_all(Filter(app_id=app.app_id)) == Replayed(events=11, deliveries=11, muted=0)

    with database.reading() as conn:
        counted = sa.select(deliveries.c.event_id, sa.func.count()).group_by(deliveries.c.event_id)
        counts = {row[0]: row[1] for row in conn.execute(counted)}
    assert counts == dict.fromkeys(made, 2)


def test_a_range_is_replayed_to_its_end_and_not_beyond(
    event_log: EventLog, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """Only what happened inside the range gets a second delivery."""
    happenings.happen(app.app_id)
    since = clock.advance(seconds=10)
    inside = happenings.happen(app.app_id)
    until = clock.advance(seconds=10)
    happenings.happen(app.app_id)

    assert event_log.replay_all(Filter(since=since, until=until)).events == 1
    assert len(event_log.show(inside).told) == 2
    assert len(event_log.deliveries(Filter())) == 4


def test_a_type_that_was_switched_off_is_not_replayed(
    event_log: EventLog, apps: AppRegistry, app: App, happenings: Happenings
) -> None:
    """The switch of today counts, and who asked is told how many it left alone."""
    event_id = happenings.happen(app.app_id)
    apps.change_subscription(app.app_id, muted=list(EventType))

    assert event_log.replay([event_id]) == Replayed(events=0, deliveries=0, muted=1)


def test_one_unknown_id_replays_nothing(
    event_log: EventLog, app: App, happenings: Happenings, database: Database
) -> None:
    """A mistyped list has no half effect."""
    event_id = happenings.happen(app.app_id)
    with pytest.raises(EventNotFound, match="evt_nonsense"):
        event_log.replay([event_id, EventId("evt_nonsense")])

    with database.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one() == 1


def test_an_event_that_cannot_be_read_is_shown_all_the_same(
    event_log: EventLog, app: App, happenings: Happenings, database: Database
) -> None:
    """Another version wrote it; its deliveries are still worth seeing."""
    event_id = happenings.happen(app.app_id)
    with database.transaction() as conn:
        conn.execute(sa.update(events).values(data="{}"))

    shown = event_log.show(event_id)

    assert shown.event is None
    assert len(shown.told) == 1
    with pytest.raises(EventNotFound):
        event_log.show(EventId("evt_nonsense"))


def test_a_triggered_event_is_marked(event_log: EventLog, app: App, happenings: Happenings) -> None:
    """It takes the way of any other event; only its mark tells it apart."""
    event_id = event_log.trigger(app.app_id, happenings.sprite())

    assert event_id is not None
    shown = event_log.show(event_id)
    assert shown.stored.is_test
    assert [one.delivery.is_test for one in shown.told] == [True]
    assert event_log.trigger(app.app_id, DELETION) is None


def test_a_paused_address_is_one_that_exists(event_log: EventLog, apps: AppRegistry, app: App) -> None:
    """Pausing names the address; another address in its place is not paused."""
    with pytest.raises(InvalidInput):
        event_log.pause(app.app_id)
    apps.change_subscription(app.app_id, url="http://a.example/3")

    [paused] = event_log.pause(app.app_id)
    assert (paused.channel, paused.url) == (Channel.PUSH_V3, "http://a.example/3")
    apps.change_subscription(app.app_id, url="http://b.example/3")
    assert event_log.pauses(app.app_id) == []

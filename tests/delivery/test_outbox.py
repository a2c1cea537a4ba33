"""Which deliveries an event gets."""

from __future__ import annotations

import pytest

from delivery.conftest import Happenings
from vodsprite.apps.app import App, DeliveryMode
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import EPOCH
from vodsprite.database.engine import Database
from vodsprite.delivery import record, table
from vodsprite.delivery.delivery import DeliveryState, Filter
from vodsprite.delivery.outbox import Outbox
from vodsprite.events import Event, EventType, FileDeleted, FileUploaded, MediaFacts
from vodsprite.ids import FileId
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds

V3 = "http://receiver.example.com/3"
V2 = "http://receiver.example.com/2"


@pytest.mark.parametrize(
    ("mode", "url", "url_v2", "expected"),
    [
        (DeliveryMode.PUSH, V3, "", {"push_v3"}),
        (DeliveryMode.PUSH, "", V2, {"push_v2"}),
        (DeliveryMode.PUSH, V3, V2, {"push_v3", "push_v2"}),
        (DeliveryMode.PUSH, "", "", {"pull"}),
        (DeliveryMode.PULL, V3, V2, {"pull"}),
        (DeliveryMode.PULL, "", "", {"pull"}),
        (DeliveryMode.BOTH, V3, "", {"push_v3", "pull"}),
        (DeliveryMode.BOTH, V3, V2, {"push_v3", "push_v2", "pull"}),
        (DeliveryMode.BOTH, "", "", {"pull"}),
    ],
)
def test_an_event_goes_where_the_app_wants_it(
    database: Database,
    apps: AppRegistry,
    app: App,
    happenings: Happenings,
    mode: DeliveryMode,
    url: str,
    url_v2: str,
    expected: set[str],
) -> None:
    """By mode and addresses; without any address an event waits to be pulled, whatever the mode says."""
    apps.change_subscription(app.app_id, mode=mode, url=url, url_v2=url_v2)
    event = happenings.sprite()
    event_id = happenings.happen(app.app_id, event)
    with database.reading() as conn:
        made = table.list_deliveries(conn, event_id=event_id)
        [stored] = table.list_events(conn, Filter(app_id=app.app_id))
    assert {one.channel.value for one in made} == expected
    assert {one.state for one in made} == {DeliveryState.WAITING}
    assert record.from_json(stored.type, stored.data) == event


def test_the_mode_in_force_at_the_event_counts(
    database: Database, apps: AppRegistry, app: App, happenings: Happenings
) -> None:
    """What was queued for pull stays so when the app goes over to push."""
    apps.change_subscription(app.app_id, mode=DeliveryMode.PULL, url=V3)
    before = happenings.happen(app.app_id)
    apps.change_subscription(app.app_id, mode=DeliveryMode.PUSH)
    after = happenings.happen(app.app_id)
    with database.reading() as conn:
        ways = {one.event_id: one.channel.value for one in table.list_deliveries(conn)}
    assert ways == {before: "pull", after: "push_v3"}


def test_a_muted_type_is_not_written(
    database: Database, apps: AppRegistry, app: App, clock: FakeClock
) -> None:
    """Uploads and deletions are silent until an app asks for them; the sprite events speak from the start."""
    outbox = Outbox(SequentialIds())
    facts = MediaFacts(name="a", created_at=EPOCH, updated_at=EPOCH, container_type="mp4")
    events: list[Event] = [FileDeleted(), FileUploaded(file_id=FileId("1"), facts=facts)]
    with database.transaction() as conn:
        for event in events:
            assert outbox.record(conn, app.app_id, event, now=clock.now()) is None
        assert table.list_events(conn, Filter(app_id=app.app_id)) == []

    apps.change_subscription(app.app_id, muted=[EventType.IMAGE_SPRITE_COMPLETE, EventType.FILE_UPLOADED])
    with database.transaction() as conn:
        recorded = [outbox.record(conn, app.app_id, event, now=clock.now()) for event in events]
    assert [one is not None for one in recorded] == [True, False]


def test_an_event_lives_and_dies_with_its_transaction(
    database: Database, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """When the change that it reports is rolled back, the event and its deliveries never were."""

    def change_that_fails() -> None:
        with database.transaction() as conn:
            Outbox(SequentialIds()).record(conn, app.app_id, happenings.sprite(), now=clock.now())
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError, match="the change failed"):
        change_that_fails()
    with database.reading() as conn:
        assert table.list_events(conn, Filter(app_id=app.app_id)) == []
        assert table.list_deliveries(conn) == []


def test_a_test_event_is_marked(
    database: Database, app: App, happenings: Happenings, clock: FakeClock
) -> None:
    """What a person triggered can be told from what really happened."""
    with database.transaction() as conn:
        Outbox(SequentialIds()).record(conn, app.app_id, happenings.sprite(), now=clock.now(), is_test=True)
        assert [one.is_test for one in table.list_deliveries(conn)] == [True]

"""The outbox: an event and its deliveries are written in the transaction of the change that they report."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from vodsprite.apps import table as apps_table
from vodsprite.apps.app import DeliveryMode, Subscription
from vodsprite.delivery import record, table
from vodsprite.delivery.delivery import Channel, StoredEvent
from vodsprite.events import TYPE_OF, Event
from vodsprite.ids import AppId, EventId, IdSource
from vodsprite.wire import payloads


class Outbox:
    """Writes events down, with one delivery for each destination of the app."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids

    def record(
        self, conn: Connection, app_id: AppId, event: Event, *, now: datetime, is_test: bool = False
    ) -> EventId | None:
        """
        Write *event* through the caller's transaction, for the destinations in force at this moment.

        After the commit the owner of the transaction rings the `Wakeup`.

        Returns:
            The event's id; None when the app has muted this type, and nothing was written.
        """
        subscription = apps_table.find_subscription(conn, app_id)
        kind = TYPE_OF[type(event)]
        if kind in subscription.muted:
            return None
        stored = StoredEvent(
            event_id=self._ids.event_id(),
            app_id=app_id,
            type=kind,
            data=record.to_json(event),
            is_test=is_test,
            happened_at=now,
        )
        has_v2 = payloads.has_v2(kind)
        table.insert_event(
            conn, stored, task_id=getattr(event, "task_id", ""), file_id=getattr(event, "file_id", "")
        )
        ways = channels(subscription, has_v2=has_v2)
        table.insert_deliveries(conn, stored, ways, has_v2=has_v2, now=now)
        return stored.event_id


def channels(subscription: Subscription, *, has_v2: bool) -> list[Channel]:
    """
    Return the ways that an event takes.

    An event that has no address to go to is queued for pull, whatever the mode says: a new installation loses
    nothing.
    """
    if subscription.mode is DeliveryMode.PULL:
        return [Channel.PULL]
    ways = []
    if subscription.url:
        ways.append(Channel.PUSH_V3)
    if subscription.url_v2 and has_v2:
        ways.append(Channel.PUSH_V2)
    if subscription.mode is DeliveryMode.BOTH or not ways:
        ways.append(Channel.PULL)
    return ways

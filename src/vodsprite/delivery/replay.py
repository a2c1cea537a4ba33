"""EventLog: what happened and what became of it, sending it again, and trying a receiver out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.engine import Connection

from vodsprite.apps import table as apps_table
from vodsprite.apps.app import Subscription
from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import record, table
from vodsprite.delivery.delivery import (
    PUSH_CHANNELS,
    Attempt,
    Channel,
    Delivery,
    Filter,
    ForeignType,
    Pause,
    StoredEvent,
)
from vodsprite.delivery.outbox import Outbox, channels
from vodsprite.errors import EventNotFound, InvalidInput
from vodsprite.events import Event
from vodsprite.ids import AppId, EventId
from vodsprite.wire import payloads

log = structlog.get_logger()

REPLAY_BATCH = 200
"""Events that one transaction replays: a running service has to write in between."""

BY_HAND = "paused by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A delivery with every attempt that was made to push it, the first one first."""

    delivery: Delivery
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A stored event with its value and its deliveries, the newest first."""

    stored: StoredEvent
    event: Event | None  # None: this version cannot read it
    told: Sequence[Told]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay did."""

    events: int
    deliveries: int
    muted: int  # events left alone: their app has muted their type
    unknown: int = 0  # events left alone: this version does not know their type


class EventLog:
    """The events and deliveries of all apps, for the eyes and hands of people."""

    def __init__(self, database: Database, outbox: Outbox, wakeup: Wakeup, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._wakeup = wakeup
        self._clock = clock

    def list(self, wanted: Filter, *, limit: int = 100) -> Sequence[tuple[StoredEvent, Sequence[Delivery]]]:
        """Return the newest events that *wanted* means, the newest first, each with its deliveries."""
        with self._database.reading() as conn:
            found = table.list_events(conn, wanted, limit=limit)
            made = table.deliveries_of_all(conn, [one.event_id for one in found])
        return [(one, made.get(one.event_id, [])) for one in found]

    def show(self, event_id: EventId) -> Shown:
        """
        Return all that is known of one event.

        Raises:
            EventNotFound: There is none of that id, or it was too old to be kept.
        """
        with self._database.reading() as conn:
            stored = table.events_by_id(conn, [event_id]).get(event_id)
            if stored is None:
                raise EventNotFound(event_id)
            told = _told(conn, table.deliveries_of_all(conn, [event_id]).get(event_id, []))
        try:
            event = record.from_json(stored.type, stored.data)
        except ValueError:
            event = None
        return Shown(stored=stored, event=event, told=told)

    def deliveries(
        self, wanted: Filter, *, event_id: EventId | None = None, limit: int = 100
    ) -> Sequence[Told]:
        """Return the newest deliveries that *wanted* means, the newest first, each with its attempts."""
        with self._database.reading() as conn:
            return _told(conn, table.list_deliveries(conn, wanted, event_id=event_id, limit=limit))

    def replay(self, event_ids: Sequence[EventId]) -> Replayed:
        """
        Deliver these events again, under their old ids, to the destinations that their apps have now.

        Raises:
            EventNotFound: One of them does not exist; nothing was replayed.
        """
        with self._database.transaction() as conn:
            found = table.events_by_id(conn, event_ids)
            missing = [event_id for event_id in event_ids if event_id not in found]
            if missing:
                raise EventNotFound(missing[0])
            done = self._send_again(conn, list(found.values()))
        self._wakeup.ring()
        return done

    def replay_all(self, wanted: Filter) -> Replayed:
        """
        Deliver every event again that *wanted* means at this moment, as `replay` does, the oldest first.

        It works in batches. After a crash half way, a replay of dead letters goes on where this one ended;
        another one begins anew.
        """
        # Ids are unique, and instants grow: what happens meanwhile is left out, however long it takes.
        now = self._clock.now()
        until = now if wanted.until is None else min(wanted.until, now)
        asked = Filter(
            app_id=wanted.app_id,
            kind=wanted.kind,
            since=wanted.since,
            until=until,
            dead_only=wanted.dead_only,
        )
        done = Replayed(events=0, deliveries=0, muted=0, unknown=0)
        after: tuple[datetime, EventId] | None = None
        while True:
            with self._database.transaction() as conn:
                batch = table.list_events(conn, asked, limit=REPLAY_BATCH, after=after, newest_first=False)
                part = self._send_again(conn, batch)
            self._wakeup.ring()
            done = Replayed(
                events=done.events + part.events,
                deliveries=done.deliveries + part.deliveries,
                muted=done.muted + part.muted,
                unknown=done.unknown + part.unknown,
            )
            if len(batch) < REPLAY_BATCH:
                return done
            after = batch[-1].happened_at, batch[-1].event_id

    def trigger(self, app_id: AppId, event: Event) -> EventId | None:
        """
        Let *event* happen as a test: it goes to the app's destinations like any other, and is marked as one.

        Returns:
            Its id; None when the app has muted this type, and nothing was sent.
        """
        with self._database.transaction() as conn:
            event_id = self._outbox.record(conn, app_id, event, now=self._clock.now(), is_test=True)
        self._wakeup.ring()
        if event_id is not None:
            log.info("event.triggered", event_id=event_id, app_id=app_id, is_test=True)
        return event_id

    def pause(self, app_id: AppId, channel: Channel | None = None) -> Sequence[Pause]:
        """
        Have the app's push addresses, or that of one channel, get nothing until they are resumed.

        What is under way still arrives; what happens meanwhile waits, and nothing is lost.

        Raises:
            InvalidInput: There is no such address.
        """
        with self._database.transaction() as conn:
            subscription = apps_table.find_subscription(conn, app_id)
            urls = {Channel.PUSH_V3: subscription.url, Channel.PUSH_V2: subscription.url_v2}
            meant = PUSH_CHANNELS if channel is None else (channel,)
            addresses = [(one, urls[one]) for one in meant if urls[one]]
            if not addresses:
                raise InvalidInput("callback address", f"is what app {app_id} has none of that could pause")
            for one, url in addresses:
                table.pause(conn, app_id, one, url, reason=BY_HAND, now=self._clock.now())
            return table.pauses(conn, app_id)

    def resume(self, app_id: AppId, channel: Channel | None = None) -> int:
        """Let paused addresses of the app flow again, or that of one channel; return how many were paused."""
        with self._database.transaction() as conn:
            count = table.resume(conn, app_id, channel)
        self._wakeup.ring()
        return count

    def pauses(self, app_id: AppId) -> Sequence[Pause]:
        """Return the app's push addresses that are paused."""
        with self._database.reading() as conn:
            return table.pauses(conn, app_id)

    def _send_again(self, conn: Connection, batch: Sequence[StoredEvent]) -> Replayed:
        now = self._clock.now()
        subscriptions: Mapping[AppId, Subscription] = {
            app_id: apps_table.find_subscription(conn, app_id) for app_id in {one.app_id for one in batch}
        }
        muted = unknown = made = 0
        for stored in batch:
            subscription = subscriptions[stored.app_id]
            if isinstance(stored.type, ForeignType):
                unknown += 1
                continue
            if stored.type in subscription.muted:
                muted += 1
                continue
            has_v2 = payloads.has_v2(stored.type)
            ways = channels(subscription, has_v2=has_v2)
            table.insert_deliveries(conn, stored, ways, has_v2=has_v2, now=now)
            made += len(ways)
        sent = len(batch) - muted - unknown
        return Replayed(events=sent, deliveries=made, muted=muted, unknown=unknown)


def _told(conn: Connection, made: Sequence[Delivery]) -> Sequence[Told]:
    attempts = table.attempts_of_all(conn, [one.delivery_id for one in made])
    return [Told(delivery=one, attempts=attempts.get(one.delivery_id, [])) for one in made]

"""SQL of events, deliveries, attempts and paused destinations. Claiming is `database.lease`'s business."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from vodsprite.apps.app import Policy
from vodsprite.clock import from_us, to_us
from vodsprite.database import engine, lease
from vodsprite.database.lease import Lease
from vodsprite.database.schema import attempts, deliveries, destinations, events, subscriptions
from vodsprite.delivery.delivery import (
    Attempt,
    Channel,
    Delivery,
    DeliveryState,
    Destination,
    Filter,
    ForeignType,
    Outcome,
    Pause,
    StoredEvent,
)
from vodsprite.events import EventType
from vodsprite.ids import AppId, DeliveryId, EventId

EVERYTHING = Filter()

_WAITING = DeliveryState.WAITING.value

_EVENT = (
    events.c.event_id,
    events.c.app_id,
    events.c.type,
    events.c.data,
    events.c.is_test,
    events.c.happened_at,
)
_DELIVERY = (
    deliveries.c.delivery_id,
    deliveries.c.event_id,
    events.c.type,
    deliveries.c.app_id,
    deliveries.c.channel,
    deliveries.c.state,
    deliveries.c.attempts,
    deliveries.c.due_at,
    deliveries.c.lease_until,
    deliveries.c.created_at,
    deliveries.c.settled_at,
    deliveries.c.note,
    events.c.is_test,
)

# Built once: every pull and every claim runs it, and building takes longer than running.
_EVENTS_BY_ID = sa.select(*_EVENT).where(events.c.event_id.in_(sa.bindparam("event_ids", expanding=True)))


def insert_event(conn: Connection, event: StoredEvent, *, task_id: str, file_id: str) -> None:
    conn.execute(
        sa.insert(events).values(
            event_id=event.event_id,
            app_id=event.app_id,
            type=event.type.value,
            task_id=task_id,
            file_id=file_id,
            data=event.data,
            is_test=event.is_test,
            happened_at=to_us(event.happened_at),
        )
    )


def insert_deliveries(
    conn: Connection, event: StoredEvent, channels: Sequence[Channel], *, has_v2: bool, now: datetime
) -> None:
    """Insert a waiting delivery of *event* for each of *channels*, due at once."""
    at = to_us(now)
    rows = [
        {
            "event_id": event.event_id,
            "app_id": event.app_id,
            "channel": channel.value,
            "has_v2": has_v2,
            "state": _WAITING,
            "due_at": at,
            "created_at": at,
        }
        for channel in channels
    ]
    conn.execute(sa.insert(deliveries), rows)


def events_by_id(conn: Connection, event_ids: Collection[EventId]) -> dict[EventId, StoredEvent]:
    if not event_ids:
        return {}
    found = conn.execute(_EVENTS_BY_ID, {"event_ids": list(event_ids)}).mappings()
    return {EventId(row["event_id"]): _event(row) for row in found}


def list_events(
    conn: Connection,
    wanted: Filter = EVERYTHING,
    *,
    limit: int = 100,
    after: tuple[datetime, EventId] | None = None,
    newest_first: bool = True,
) -> list[StoredEvent]:
    """
    Return events in the order in which they happened, or the other way round.

    Args:
        after: The last event of the part before, which a walk oldest first goes on from.
    """
    statement = sa.select(*_EVENT).where(*_conditions(wanted, events.c.happened_at))
    if wanted.dead_only:
        statement = statement.where(_is_dead_letter())
    if after is not None:
        happened_at = to_us(after[0])
        statement = statement.where(
            events.c.happened_at >= happened_at,
            sa.or_(events.c.happened_at > happened_at, events.c.event_id > after[1]),
        )
    order = (events.c.happened_at, events.c.event_id)
    statement = statement.order_by(*(column.desc() if newest_first else column for column in order))
    return [_event(row) for row in conn.execute(statement.limit(limit)).mappings()]


def list_deliveries(
    conn: Connection, wanted: Filter = EVERYTHING, *, event_id: EventId | None = None, limit: int = 100
) -> list[Delivery]:
    """Return deliveries, the newest first; the times of *wanted* are those at which they were made."""
    statement = (
        sa.select(*_DELIVERY)
        .join(events, events.c.event_id == deliveries.c.event_id)
        .where(*_conditions(wanted, deliveries.c.created_at))
    )
    if event_id is not None:
        statement = statement.where(deliveries.c.event_id == event_id)
    if wanted.dead_only:
        statement = statement.where(deliveries.c.state == DeliveryState.DEAD.value)
    statement = statement.order_by(deliveries.c.delivery_id.desc()).limit(limit)
    return [_delivery(row) for row in conn.execute(statement).mappings()]


def deliveries_of_all(conn: Connection, event_ids: Collection[EventId]) -> dict[EventId, list[Delivery]]:
    """Return every delivery of each event, the newest first; an event without any has no key."""
    found: dict[EventId, list[Delivery]] = {}
    if not event_ids:
        return found
    statement = (
        sa.select(*_DELIVERY)
        .join(events, events.c.event_id == deliveries.c.event_id)
        .where(deliveries.c.event_id.in_(event_ids))
        .order_by(deliveries.c.delivery_id.desc())
    )
    for row in conn.execute(statement).mappings():
        found.setdefault(EventId(row["event_id"]), []).append(_delivery(row))
    return found


def _conditions(wanted: Filter, instant: sa.Column[int]) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.app_id is not None:
        conditions.append(instant.table.c.app_id == wanted.app_id)
    if wanted.kind is not None:
        conditions.append(events.c.type == wanted.kind.value)
    if wanted.since is not None:
        conditions.append(instant >= to_us(wanted.since))
    if wanted.until is not None:
        conditions.append(instant < to_us(wanted.until))
    return conditions


def _is_dead_letter() -> sa.ColumnElement[bool]:
    """A delivery of the event was given up, and the event was not replayed since."""
    given_up, later = deliveries.alias("given_up"), deliveries.alias("later")
    replayed = sa.exists().where(
        later.c.event_id == given_up.c.event_id, later.c.created_at >= given_up.c.settled_at
    )
    return sa.exists().where(
        given_up.c.event_id == events.c.event_id,
        given_up.c.state == DeliveryState.DEAD.value,
        ~replayed,
    )


def attempts_of(conn: Connection, delivery_id: DeliveryId) -> list[Attempt]:
    """Return every attempt of a delivery, the first one first."""
    return attempts_of_all(conn, [delivery_id]).get(delivery_id, [])


def attempts_of_all(
    conn: Connection, delivery_ids: Collection[DeliveryId]
) -> dict[DeliveryId, list[Attempt]]:
    """Return every attempt of each delivery, the first one first; a delivery without any has no key."""
    found: dict[DeliveryId, list[Attempt]] = {}
    if not delivery_ids:
        return found
    statement = (
        sa.select(
            attempts.c.delivery_id,
            attempts.c.number,
            attempts.c.url,
            attempts.c.started_at,
            attempts.c.latency_ms,
            attempts.c.outcome,
            attempts.c.status_code,
            attempts.c.answer,
        )
        .where(attempts.c.delivery_id.in_(delivery_ids))
        .order_by(attempts.c.attempt_id)
    )
    for row in conn.execute(statement).mappings():
        found.setdefault(DeliveryId(row["delivery_id"]), []).append(_attempt(row))
    return found


def insert_attempts(conn: Connection, made: Sequence[tuple[DeliveryId, Attempt]]) -> None:
    rows = [
        {
            "delivery_id": delivery_id,
            "number": attempt.number,
            "url": attempt.url,
            "started_at": to_us(attempt.started_at),
            "latency_ms": attempt.latency_ms,
            "outcome": attempt.outcome.value,
            "status_code": attempt.status_code,
            "answer": attempt.answer,
        }
        for delivery_id, attempt in made
    ]
    if rows:
        conn.execute(sa.insert(attempts), rows)


def destinations_with_work(conn: Connection) -> list[Destination]:
    """
    Return every push address for which something waits, now or later, the longest due first.

    Paused ones are left out, and so are apps without an address: their deliveries wait for one. Costs one
    step in `ix_deliveries_claim` per app and channel.
    """
    per_channel = sa.union_all(
        _with_work(Channel.PUSH_V3, subscriptions.c.url), _with_work(Channel.PUSH_V2, subscriptions.c.url_v2)
    ).subquery()
    statement = (
        sa.select(*per_channel.c).where(per_channel.c.next_due.is_not(None)).order_by(per_channel.c.next_due)
    )
    return [_destination(row) for row in conn.execute(statement).mappings()]


def _with_work(channel: Channel, url: sa.Column[str]) -> sa.Select[*tuple[object, ...]]:
    next_due = (
        sa.select(sa.func.min(deliveries.c.due_at))
        .where(
            deliveries.c.app_id == subscriptions.c.app_id,
            deliveries.c.channel == channel.value,
            deliveries.c.state == _WAITING,
        )
        .scalar_subquery()
    )
    return (
        sa.select(
            subscriptions.c.app_id,
            sa.literal(channel.value).label("channel"),
            url.label("url"),
            subscriptions.c.sign_key,
            subscriptions.c.secrets,
            subscriptions.c.policy,
            subscriptions.c.timeout_s,
            next_due.label("next_due"),
        )
        .outerjoin(
            destinations,
            sa.and_(
                destinations.c.app_id == subscriptions.c.app_id,
                destinations.c.channel == channel.value,
                destinations.c.url == url,
            ),
        )
        .where(url != "", destinations.c.paused_at.is_(None))
    )


def next_due(conn: Connection, app_id: AppId, channel: Channel, *, v2_only: bool = False) -> datetime | None:
    """Return when the channel's next waiting delivery is due, which may be past; None when nothing waits."""
    statement = sa.select(sa.func.min(deliveries.c.due_at)).where(
        deliveries.c.app_id == app_id,
        deliveries.c.channel == channel.value,
        deliveries.c.state == _WAITING,
    )
    if v2_only:
        statement = statement.where(deliveries.c.has_v2)
    due_us = conn.execute(statement).scalar()
    return None if due_us is None else from_us(due_us)


def count_due(conn: Connection, app_id: AppId, channel: Channel, *, now: datetime) -> int:
    """Return how many deliveries of the channel could be claimed at *now*."""
    statement = sa.select(sa.func.count()).where(
        deliveries.c.app_id == app_id,
        deliveries.c.channel == channel.value,
        deliveries.c.state == _WAITING,
        deliveries.c.due_at <= to_us(now),
    )
    return conn.execute(statement).scalar_one()


def settled_by(
    conn: Connection, app_id: AppId, delivery_ids: Collection[DeliveryId]
) -> dict[DeliveryId, str]:
    """Return which of the app's deliveries are settled, with the token of the lease that did it."""
    if not delivery_ids:
        return {}
    # App and state are looked at here: with an index on either at hand, SQLite would read far more rows.
    statement = sa.select(
        deliveries.c.delivery_id, deliveries.c.app_id, deliveries.c.state, deliveries.c.lease_token
    ).where(deliveries.c.delivery_id.in_(delivery_ids))
    return {
        DeliveryId(row.delivery_id): str(row.lease_token)
        for row in conn.execute(statement)
        if row.app_id == app_id and row.state == DeliveryState.SETTLED.value
    }


def bury_expired(conn: Connection, *, created_before: datetime, now: datetime) -> int:
    """Give up the pull deliveries that are older and that nobody holds; return how many."""
    statement = (
        sa.update(deliveries)
        .where(
            deliveries.c.state == _WAITING,
            deliveries.c.created_at < to_us(created_before),
            deliveries.c.channel == Channel.PULL.value,
            deliveries.c.lease_until <= to_us(now),
        )
        .values(
            state=DeliveryState.DEAD.value, settled_at=to_us(now), note="not confirmed within the retention"
        )
    )
    return conn.execute(statement).rowcount


def delete_finished(conn: Connection, state: DeliveryState, *, before: datetime, limit: int) -> int:
    """
    Delete up to *limit* deliveries that came to *state* earlier, and the events that none is left of.

    Their attempts go with them. Returns how many deliveries there were.

    Uses the index `ix_deliveries_state_settled_at`.
    """
    chosen = conn.execute(
        sa.select(deliveries.c.delivery_id, deliveries.c.event_id)
        .where(deliveries.c.state == state.value, deliveries.c.settled_at < to_us(before))
        .order_by(deliveries.c.settled_at)
        .limit(limit)
        # On PostgreSQL two houses may be kept at once.
        .with_for_update(skip_locked=True)
    ).all()
    if not chosen:
        return 0
    conn.execute(
        sa.delete(deliveries).where(deliveries.c.delivery_id.in_([row.delivery_id for row in chosen]))
    )
    conn.execute(
        sa.delete(events).where(
            events.c.event_id.in_({row.event_id for row in chosen}),
            ~sa.exists().where(deliveries.c.event_id == events.c.event_id),
        )
    )
    return len(chosen)


def pause(conn: Connection, app_id: AppId, channel: Channel, url: str, *, reason: str, now: datetime) -> None:
    """Have the address get nothing until somebody resumes it."""
    values = {"url": url, "paused_at": to_us(now), "reason": reason}
    conn.execute(
        engine.insert(conn, destinations)
        .values(app_id=app_id, channel=channel.value, **values)
        .on_conflict_do_update(index_elements=["app_id", "channel"], set_=values)
    )


def resume(conn: Connection, app_id: AppId, channel: Channel | None = None) -> int:
    """Let the app's paused addresses flow again, or that of one channel; return how many were paused."""
    statement = sa.delete(destinations).where(destinations.c.app_id == app_id)
    if channel is not None:
        statement = statement.where(destinations.c.channel == channel.value)
    return conn.execute(statement).rowcount


def pauses(conn: Connection, app_id: AppId) -> list[Pause]:
    """Return the app's addresses that are paused. One whose URL was changed since is not."""
    current = sa.case(
        (destinations.c.channel == Channel.PUSH_V3.value, subscriptions.c.url), else_=subscriptions.c.url_v2
    )
    statement = (
        sa.select(
            destinations.c.app_id,
            destinations.c.channel,
            destinations.c.url,
            destinations.c.paused_at,
            destinations.c.reason,
        )
        .join(subscriptions, subscriptions.c.app_id == destinations.c.app_id)
        .where(
            destinations.c.app_id == app_id,
            destinations.c.paused_at.is_not(None),
            destinations.c.url == current,
        )
        .order_by(destinations.c.channel)
    )
    return [_pause(row) for row in conn.execute(statement).mappings()]


def put_off_uncounted(conn: Connection, leases: Sequence[Lease], *, due_at: datetime, note: str) -> None:
    """Give counted claims back as if they had not been made, to be claimed again from *due_at* on."""
    changes = {
        "lease_token": None,
        "lease_until": 0,
        "due_at": to_us(due_at),
        "attempts": deliveries.c.attempts - 1,
        "note": note,
    }
    lease.settle(conn, leases, changes)


def _event(row: RowMapping) -> StoredEvent:
    return StoredEvent(
        event_id=EventId(row["event_id"]),
        app_id=AppId(row["app_id"]),
        type=_type(row["type"]),
        data=row["data"],
        is_test=row["is_test"],
        happened_at=from_us(row["happened_at"]),
    )


def _type(value: str) -> EventType | ForeignType:
    return _TYPES.get(value) or ForeignType(value=value)


_TYPES = {one.value: one for one in EventType}


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        delivery_id=DeliveryId(row["delivery_id"]),
        event_id=EventId(row["event_id"]),
        event_type=_type(row["type"]),
        app_id=AppId(row["app_id"]),
        channel=Channel(row["channel"]),
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        due_at=from_us(row["due_at"]),
        lease_until=from_us(row["lease_until"]) if row["lease_until"] else None,
        created_at=from_us(row["created_at"]),
        settled_at=None if row["settled_at"] is None else from_us(row["settled_at"]),
        note=row["note"],
        is_test=row["is_test"],
    )


def _attempt(row: RowMapping) -> Attempt:
    return Attempt(
        number=row["number"],
        url=row["url"],
        started_at=from_us(row["started_at"]),
        latency_ms=row["latency_ms"],
        outcome=Outcome(row["outcome"]),
        status_code=row["status_code"],
        answer=row["answer"],
    )


def _destination(row: RowMapping) -> Destination:
    return Destination(
        app_id=AppId(row["app_id"]),
        channel=Channel(row["channel"]),
        url=row["url"],
        sign_key=row["sign_key"],
        secrets=tuple(json.loads(row["secrets"])),
        policy=Policy(row["policy"]),
        timeout_s=row["timeout_s"],
        next_due=from_us(row["next_due"]),
    )


def _pause(row: RowMapping) -> Pause:
    return Pause(
        app_id=AppId(row["app_id"]),
        channel=Channel(row["channel"]),
        url=row["url"],
        paused_at=from_us(row["paused_at"]),
        reason=row["reason"],
    )

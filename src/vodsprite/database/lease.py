"""
Leases on deliveries: a row is held by whoever knows its token, until a time.

One claim serves push and pull on both databases. While a row is held, its `due_at` lies at the lease's end,
so a lease that ended needs no one to notice it: the row is due again. And no claim steps over held rows.
Every statement that ends a lease asks for its token: a holder that was too late changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import ReturningUpdate

from vodsprite.clock import from_us, to_us
from vodsprite.database.schema import deliveries
from vodsprite.ids import AppId, DeliveryId, EventId, Token

WAITING = "waiting"
"""The only state in which a delivery can be held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to decide over one delivery."""

    delivery_id: DeliveryId
    token: Token
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery and the lease on it."""

    lease: Lease
    event_id: EventId
    attempts: int  # as the row has it after the claim


def claim(
    conn: Connection,
    app_id: AppId,
    channel: str,
    *,
    limit: int,
    token: Token,
    now: datetime,
    until: datetime,
    counted: bool,
    v2_only: bool = False,
) -> list[Claimed]:
    """
    Lease up to *limit* due deliveries of an app's channel until *until*.

    They are those that are due longest, in the order in which they were made.

    Uses the index `ix_deliveries_claim`. On PostgreSQL rows that another claim has locked are passed over.

    Args:
        token: Never used before; all rows of one claim share it.
        counted: Whether the claim itself is an attempt.
        v2_only: Pass over events that have no 2.0 form.
    """
    params = {
        "of_app": app_id,
        "of_channel": channel,
        "now": to_us(now),
        "at_most": limit,
        "new_token": token,
        "new_until": to_us(until),
        "counts": 1 if counted else 0,
    }
    statement = _CLAIM_V2 if v2_only else _CLAIM
    rows = sorted(conn.execute(statement, params).all(), key=lambda row: int(row.delivery_id))
    return [
        Claimed(
            lease=Lease(delivery_id=DeliveryId(row.delivery_id), token=token, until=from_us(to_us(until))),
            event_id=EventId(row.event_id),
            attempts=row.attempts,
        )
        for row in rows
    ]


def settle(conn: Connection, leases: Sequence[Lease], changes: Mapping[str, Any]) -> set[DeliveryId]:
    """Apply *changes* to the deliveries whose lease nobody else took meanwhile; return which those were."""
    changed = _change(conn, [(lease.delivery_id, lease.token) for lease in leases], changes)
    return {delivery_id for delivery_id, _ in changed}


def settle_standing(
    conn: Connection,
    app_id: AppId,
    held: Sequence[tuple[DeliveryId, Token]],
    changes: Mapping[str, Any],
    *,
    now: datetime,
) -> set[tuple[DeliveryId, Token | None]]:
    """
    Apply *changes*, which leave the token, to deliveries of *app_id* whose lease runs at *now*.

    Returns:
        Those of *held* that it was done to.
    """
    # As a sum, or SQLite would take the app's index and read all its rows instead of these few by their keys.
    of_app = deliveries.c.app_id + 0 == sa.bindparam("of_app", app_id)
    return _change(conn, held, changes, of_app, deliveries.c.lease_until > to_us(now))


def release(conn: Connection, leases: Sequence[Lease], *, due_at: datetime, note: str | None = None) -> None:
    """Give deliveries back, to be claimed again from *due_at* on; those that were lost stay as they are."""
    changes: dict[str, Any] = {"lease_token": None, "lease_until": 0, "due_at": to_us(due_at)}
    if note is not None:
        changes["note"] = note
    _change(conn, [(lease.delivery_id, lease.token) for lease in leases], changes)


def take_back(conn: Connection, channels: Sequence[str], *, now: datetime) -> int:
    """
    End every lease on *channels* at once and return how many there were.

    Only for who knows that every holder is dead: it asks for no token.
    """
    statement = (
        sa.update(deliveries)
        .where(
            deliveries.c.channel.in_(channels),
            deliveries.c.state == WAITING,
            deliveries.c.lease_until > 0,
        )
        .values(lease_token=None, lease_until=0, due_at=to_us(now))
    )
    return conn.execute(statement).rowcount


def _claim_statement(*, v2_only: bool) -> ReturningUpdate[tuple[int, str, int]]:
    conditions = [
        deliveries.c.app_id == sa.bindparam("of_app"),
        deliveries.c.channel == sa.bindparam("of_channel"),
        deliveries.c.state == WAITING,
        deliveries.c.due_at <= sa.bindparam("now"),
    ]
    if v2_only:
        conditions.append(deliveries.c.has_v2)
    candidates = (
        sa.select(deliveries.c.delivery_id)
        .where(*conditions)
        .order_by(deliveries.c.due_at, deliveries.c.delivery_id)
        .limit(sa.bindparam("at_most"))
    )
    # Materialised: PostgreSQL might else run the sub-select once per row and lock more than it returns.
    chosen = candidates.with_for_update(skip_locked=True).cte("chosen").prefix_with("MATERIALIZED")
    return (
        sa.update(deliveries)
        .where(deliveries.c.delivery_id == chosen.c.delivery_id)
        .values(
            lease_token=sa.bindparam("new_token"),
            lease_until=sa.bindparam("new_until"),
            due_at=sa.bindparam("new_until"),
            attempts=deliveries.c.attempts + sa.bindparam("counts"),
        )
        # SQLite refuses RETURNING with columns of another table than the updated one.
        .returning(deliveries.c.delivery_id, deliveries.c.event_id, deliveries.c.attempts)
    )


# Built once: putting it together takes longer than SQLite takes to run it.
_CLAIM = _claim_statement(v2_only=False)
_CLAIM_V2 = _claim_statement(v2_only=True)

_BY_KEY = deliveries.c.delivery_id.in_(sa.bindparam("held_ids", expanding=True))
_BY_TOKEN = sa.tuple_(deliveries.c.delivery_id, deliveries.c.lease_token).in_(
    sa.bindparam("held_pairs", expanding=True)
)


def _change(
    conn: Connection,
    held: Sequence[tuple[DeliveryId, Token]],
    changes: Mapping[str, Any],
    *conditions: sa.ColumnElement[bool],
) -> set[tuple[DeliveryId, Token | None]]:
    if not held:
        return set()
    statement = (
        sa.update(deliveries)
        .where(
            # The first condition finds the rows by key; pairs alone are no use to SQLite's planner.
            _BY_KEY,
            _BY_TOKEN,
            # Waiting, said without the state: its index would make SQLite read every waiting row.
            deliveries.c.settled_at.is_(None),
            *conditions,
        )
        .values(**changes)
        .returning(deliveries.c.delivery_id, deliveries.c.lease_token)
    )
    params = {"held_ids": [delivery_id for delivery_id, _ in held], "held_pairs": list(held)}
    return {(DeliveryId(row.delivery_id), row.lease_token) for row in conn.execute(statement, params)}

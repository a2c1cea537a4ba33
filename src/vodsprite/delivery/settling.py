"""What is written down of pushes that were made or given back; only for who still holds the delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.engine import Connection

from vodsprite.clock import to_us
from vodsprite.database import lease
from vodsprite.database.lease import Lease
from vodsprite.database.schema import deliveries
from vodsprite.delivery import table
from vodsprite.delivery.delivery import DeliveryState
from vodsprite.delivery.push import Sent
from vodsprite.delivery.retry import RetryDecision, Verdict
from vodsprite.ids import DeliveryId

ONE_BY_ONE = 32
"""What needs a statement of its own is written that many at once, so that a turn stays short."""


@dataclass(slots=True)
class Done:
    """What was done since it was last written down."""

    decided: list[tuple[Sent, RetryDecision]] = field(default_factory=list)
    returned: list[tuple[Lease, datetime, str | None]] = field(default_factory=list)  # with due time and note

    def __bool__(self) -> bool:
        return bool(self.decided or self.returned)

    def take(self) -> Done:
        """
        Take out what the next turn writes: what was delivered, in one statement, and some of the rest.

        A hundred sends that time out at one moment must not hold up the first attempts of others.
        """
        others = [one for one in self.decided if not _settles(one[1])]
        taken = Done(
            decided=[one for one in self.decided if _settles(one[1])] + others[:ONE_BY_ONE],
            returned=self.returned[: max(0, ONE_BY_ONE - len(others))],
        )
        self.decided = others[ONE_BY_ONE:]
        self.returned = self.returned[len(taken.returned) :]
        return taken


def write_down(conn: Connection, done: Done, *, now: datetime) -> None:
    """
    Settle, postpone, bury or give back, and keep the attempts.

    A delivery that somebody else has claimed meanwhile stays theirs, and the attempt at it is not kept.
    """
    written = _settle(conn, [sent for sent, decision in done.decided if _settles(decision)], now)
    for sent, decision in done.decided:
        if not _settles(decision):
            written |= lease.settle(conn, [sent.pending.lease], _changes(sent, decision, now))
        if decision.verdict is Verdict.PAUSE:
            to = sent.pending.destination
            table.pause(conn, to.app_id, to.channel, to.url, reason="it answered 410 Gone", now=now)
    made = [(sent.pending.lease.delivery_id, sent.attempt) for sent, _ in done.decided]
    table.insert_attempts(conn, [one for one in made if one[0] in written])
    for held, due_at, note in done.returned:
        lease.release(conn, [held], due_at=due_at, note=note)


def _settles(decision: RetryDecision) -> bool:
    return decision.verdict is Verdict.SETTLE


def _settle(conn: Connection, delivered: Sequence[Sent], now: datetime) -> set[DeliveryId]:
    changes = {
        "state": DeliveryState.SETTLED.value,
        "settled_at": to_us(now),
        "attempts": deliveries.c.attempts + 1,
        "note": "",
    }
    return lease.settle(conn, [sent.pending.lease for sent in delivered], changes)


def _changes(sent: Sent, decision: RetryDecision, now: datetime) -> dict[str, object]:
    changes: dict[str, object] = {"attempts": sent.attempt.number, "note": _note(sent)}
    if decision.verdict is Verdict.BURY:
        return changes | {"state": DeliveryState.DEAD.value, "settled_at": to_us(now)}
    due_at = now if decision.due_at is None else decision.due_at
    return changes | {"lease_token": None, "lease_until": 0, "due_at": to_us(due_at)}


def _note(sent: Sent) -> str:
    attempt = sent.attempt
    what = attempt.answer if attempt.status_code is None else f"answered {attempt.status_code}"
    return f"attempt {attempt.number}: {what}"

"""What is kept of an event, of its deliveries, and of each attempt to push one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from vodsprite.apps.app import Policy
from vodsprite.events import EventType
from vodsprite.ids import AppId, DeliveryId, EventId


class Channel(Enum):
    """The way a delivery takes; with the app it names a destination."""

    PUSH_V3 = "push_v3"  # to the app's 3.0 address
    PUSH_V2 = "push_v2"  # to the app's 2.0 address
    PULL = "pull"  # waits for the app to fetch it, in either format


PUSH_CHANNELS = (Channel.PUSH_V3, Channel.PUSH_V2)


class DeliveryState(Enum):
    """Where a delivery stands. Only a waiting one can be held under a lease, and only its holder moves it."""

    WAITING = "waiting"  # to be handed out, or held by somebody
    SETTLED = "settled"  # the receiver has it
    DEAD = "dead"  # given up; kept, and can be replayed


MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.WAITING: frozenset({DeliveryState.SETTLED, DeliveryState.DEAD}),
    DeliveryState.SETTLED: frozenset(),
    DeliveryState.DEAD: frozenset(),
}
"""The allowed moves. A replay makes a new delivery and moves none."""


class Outcome(Enum):
    """What became of one attempt to push."""

    DELIVERED = "delivered"  # answered with a 2xx
    REJECTED = "rejected"  # answered with anything else, redirects included
    GONE = "gone"  # answered with 410: the receiver wants no more
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"  # no connection, or it broke before an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignType:
    """A type of event that this version does not know: a newer one wrote it."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as the outbox keeps it; `record.from_json` gives the value."""

    event_id: EventId
    app_id: AppId
    type: EventType | ForeignType
    data: str  # JSON
    is_test: bool  # triggered by a person
    happened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one destination."""

    delivery_id: DeliveryId
    event_id: EventId
    event_type: EventType | ForeignType
    app_id: AppId
    channel: Channel
    state: DeliveryState
    attempts: int  # pushes sent, or times pulled
    due_at: datetime  # when it is handed out next; the lease's end while it is held
    lease_until: datetime | None  # None: nobody holds it
    created_at: datetime
    settled_at: datetime | None  # when it was settled or given up
    note: str  # why it waits or was given up
    is_test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to push."""

    number: int  # from 1
    url: str  # as it may be shown: no password, no query
    started_at: datetime
    latency_ms: int
    outcome: Outcome
    status_code: int | None  # None: no answer came
    answer: str  # its first characters, or the cause of failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events or deliveries are meant; what is None restricts nothing."""

    app_id: AppId | None = None
    kind: EventType | None = None
    since: datetime | None = None
    until: datetime | None = None  # itself not included
    dead_only: bool = False  # dead deliveries; events that have one and were not replayed since


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An address that has deliveries waiting, and how to push to it."""

    app_id: AppId
    channel: Channel
    url: str = field(repr=False)  # may hold a password
    sign_key: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    policy: Policy
    timeout_s: int
    next_due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An address that gets nothing until a person resumes it."""

    app_id: AppId
    channel: Channel
    url: str = field(repr=False)
    paused_at: datetime
    reason: str

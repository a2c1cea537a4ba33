"""
The reliable callback: events wait in a queue until the app has pulled and confirmed them.

Both generations of the API drain the same queue. A pulled event is hidden while its lease runs; unless
confirmed by then it comes again, under a new handle.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from vodsprite.clock import Clock, to_us
from vodsprite.database import lease
from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import foreign, record, table
from vodsprite.delivery.delivery import Channel, DeliveryState, ForeignType, StoredEvent
from vodsprite.errors import HandlesStale, InvalidInput
from vodsprite.events import Event
from vodsprite.ids import AppId, DeliveryId, EventId, IdSource, Token

log = structlog.get_logger()

MAX_BATCH = 16
"""The most that one call pulls or confirms (PullEvents, ConfirmEvents, 2018-07-17)."""

CLAIMS_AT_MOST = 64
"""In one pull, when it meets events of types that this version does not know."""

SOON_S = 0.01
"""What was due and could not be claimed is looked at again after that."""

_HANDLE = re.compile(r"([1-9]\d{0,17})-([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSettings:
    """How long things last."""

    lease_s: float = 30  # that a pulled event is hidden
    wait_s: float = 5  # that a long poll waits for the first event
    retention_s: float = 4 * 24 * 3600  # from the event until it is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """An event under a lease."""

    event_id: EventId  # the same each time the event comes
    event: Event
    handle: str  # confirms it while the lease runs
    delivery_id: DeliveryId
    times: int  # it was pulled, this one included
    happened_at: datetime


class PullQueue:
    """The queues of all apps."""

    def __init__(
        self, database: Database, wakeup: Wakeup, clock: Clock, ids: IdSource, settings: PullSettings
    ) -> None:
        self._database = database
        self._wakeup = wakeup
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._foreign = foreign.ForeignEvents()
        self._full: set[AppId] = set()  # the last look at these filled an answer: there is likely more

    def pull(self, app_id: AppId, *, limit: int, now: datetime, v2: bool = False) -> list[Pulled]:
        """
        Lease up to *limit* events of the app, those that wait longest.

        A pulled event is hidden until its lease ends; unless confirmed by then, it can be pulled again, under
        a new handle, by anyone. An event may therefore arrive twice: consumers key on `Pulled.event_id`.

        Args:
            limit: 1 to 16.
            now: Aware; the lease ends `settings.lease_s` seconds later.
            v2: Pass over events that have no 2.0 form; they stay for who pulls 3.0.

        Raises:
            InvalidInput: *limit* is out of range.
        """
        if not 1 <= limit <= MAX_BATCH:
            raise InvalidInput("limit", f"is {limit}; one call pulls 1 to {MAX_BATCH} events")
        with self._database.transaction() as conn:
            claimed, put_off = self._claim(conn, app_id, limit=limit, now=now, v2=v2)
        for event in put_off:
            self._foreign.tell(event)
        pulled = []
        for one, event in claimed:
            try:
                value = record.from_json(event.type, event.data)
            except ValueError:
                # It must not keep the others from coming. It returns when its lease has ended.
                log.exception("event.unreadable", event_id=event.event_id, app_id=app_id)
                continue
            pulled.append(
                Pulled(
                    event_id=event.event_id,
                    event=value,
                    handle=_handle(one.lease),
                    delivery_id=one.lease.delivery_id,
                    times=one.attempts,
                    happened_at=event.happened_at,
                )
            )
        return pulled

    async def long_poll(self, app_id: AppId, *, limit: int = MAX_BATCH, v2: bool = False) -> list[Pulled]:
        """
        Pull, and when nothing is there wait for the first event, `settings.wait_s` seconds at most.

        The lease begins when the events are claimed, so waiting takes nothing from it. Whoever cancels the
        wait hides no event: what is being claimed at that moment is given back before the cancellation ends.

        Raises:
            InvalidInput: *limit* is out of range.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.wait_s
        while True:
            rings = self._wakeup.rings()
            pulled, due_in_s = await self._look_or_give_back(app_id, limit, v2)
            left_s = deadline - loop.time()
            if pulled or left_s <= 0:
                return pulled
            # A lease that ends meanwhile frees an event without anybody ringing.
            await self._wakeup.wait(min(left_s, due_in_s), since=rings)

    def confirm(self, app_id: AppId, handles: Sequence[str], *, now: datetime) -> None:
        """
        Settle the events of *handles*; those whose handle is good are settled even when others are stale.

        Confirming again what the same handle has confirmed is a success: the answer may have been lost.

        Args:
            handles: 1 to 16, from `pull`.

        Raises:
            InvalidInput: None, or more than 16.
            HandlesStale: Some handles' leases have ended, or were never the app's; their events stay queued.
        """
        if not 1 <= len(handles) <= MAX_BATCH:
            raise InvalidInput("event_handles", f"are {len(handles)}; one call confirms 1 to {MAX_BATCH}")
        held = {handle: pair for handle in handles if (pair := _read_handle(handle)) is not None}
        changes = {"state": DeliveryState.SETTLED.value, "settled_at": to_us(now)}
        with self._database.transaction() as conn:
            settled = lease.settle_standing(conn, app_id, list(held.values()), changes, now=now)
            good = {handle for handle, pair in held.items() if pair in settled}
            # Those that were settled before are good too: what counts is that this handle's token did it.
            earlier = {handle: pair for handle, pair in held.items() if handle not in good}
            settled_by = table.settled_by(conn, app_id, {delivery_id for delivery_id, _ in earlier.values()})
        good |= {
            handle for handle, (delivery_id, token) in earlier.items() if settled_by.get(delivery_id) == token
        }
        stale = [handle for handle in handles if handle not in good]
        if stale:
            raise HandlesStale([handle[:80] for handle in stale])

    def waiting(self, app_id: AppId, *, now: datetime) -> int:
        """Return how many events could be pulled at *now*; those under a lease are not among them."""
        with self._database.reading() as conn:
            return table.count_due(conn, app_id, Channel.PULL, now=now)

    def bury_expired(self, now: datetime) -> int:
        """Make dead letters of events that nobody confirmed within the retention; return how many."""
        before = now - timedelta(seconds=self._settings.retention_s)
        with self._database.transaction() as conn:
            return table.bury_expired(conn, created_before=before, now=now)

    def _claim(
        self, conn: Connection, app_id: AppId, *, limit: int, now: datetime, v2: bool
    ) -> tuple[list[tuple[lease.Claimed, StoredEvent]], list[StoredEvent]]:
        """Lease what this version can know, putting off what it cannot; return both."""
        held: list[tuple[lease.Claimed, StoredEvent]] = []
        put_off: list[StoredEvent] = []
        for _ in range(CLAIMS_AT_MOST):
            claimed = lease.claim(
                conn,
                app_id,
                Channel.PULL.value,
                limit=limit - len(held),
                token=self._ids.token(),
                now=now,
                until=now + timedelta(seconds=self._settings.lease_s),
                counted=True,
                v2_only=v2,
            )
            stored = table.events_by_id(conn, {one.event_id for one in claimed})
            unknown = [one for one in claimed if isinstance(stored[one.event_id].type, ForeignType)]
            held += [(one, stored[one.event_id]) for one in claimed if one not in unknown]
            if not unknown:
                break
            leases = [one.lease for one in unknown]
            table.put_off_uncounted(conn, leases, due_at=now + foreign.PUT_OFF, note=foreign.NOTE)
            put_off += [stored[one.event_id] for one in unknown]
            if len(held) == limit:
                break
        return held, put_off

    async def _look_or_give_back(self, app_id: AppId, limit: int, v2: bool) -> tuple[list[Pulled], float]:
        # No task: what ends all tasks at the end of a loop must not end this one in the middle.
        look = asyncio.get_running_loop().run_in_executor(
            None, contextvars.copy_context().run, self._look, app_id, limit, v2
        )
        try:
            return await asyncio.shield(look)
        except asyncio.CancelledError:
            # The thread knows nothing of it, and claims for somebody who has left.
            pulled, _ = await look
            if pulled:
                await asyncio.to_thread(self._give_back, pulled)
            raise

    def _give_back(self, pulled: Sequence[Pulled]) -> None:
        now = self._clock.now()
        held = [pair for one in pulled if (pair := _read_handle(one.handle)) is not None]
        leases = [lease.Lease(delivery_id=found, token=token, until=now) for found, token in held]
        with self._database.transaction() as conn:
            lease.release(conn, leases, due_at=now)
        self._wakeup.ring()

    def _look(self, app_id: AppId, limit: int, v2: bool) -> tuple[list[Pulled], float]:
        """Pull if anything is due; else, taking no write lock, say in how many seconds something may be."""
        now = self._clock.now()
        if app_id in self._full and (pulled := self._pull_more(app_id, limit, v2, now)):
            return pulled, self._settings.wait_s
        due_at = self._next_due(app_id, v2)
        if due_at is None and 1 <= limit <= MAX_BATCH:
            return [], self._settings.wait_s
        if due_at is None or due_at <= now:
            if pulled := self._pull_more(app_id, limit, v2, now):
                return pulled, self._settings.wait_s
            # Others were quicker, or what was due is put off.
            due_at = self._next_due(app_id, v2)
            if due_at is None:
                return [], self._settings.wait_s
        return [], max(SOON_S, (due_at - now).total_seconds())

    def _next_due(self, app_id: AppId, v2: bool) -> datetime | None:
        with self._database.reading() as conn:
            return table.next_due(conn, app_id, Channel.PULL, v2_only=v2)

    def _pull_more(self, app_id: AppId, limit: int, v2: bool, now: datetime) -> list[Pulled]:
        pulled = self.pull(app_id, limit=limit, now=now, v2=v2)
        if len(pulled) == limit:
            self._full.add(app_id)
        else:
            self._full.discard(app_id)
        return pulled


def _handle(held: lease.Lease) -> str:
    return f"{held.delivery_id}-{held.token}"


def _read_handle(handle: str) -> tuple[DeliveryId, Token] | None:
    match = _HANDLE.fullmatch(handle)
    return None if match is None else (DeliveryId(int(match[1])), Token(match[2]))

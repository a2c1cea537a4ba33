"""
The loop that pushes: claims what is due, sends it, and writes down what came of it.

All database work is done in one thread, a turn at a time: a turn settles in one commit whatever was sent
since the last one, and claims what there is room for. Sends run beside it, each destination in a lane of its
own with a breaker, so that a dead or slow one delays no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import structlog
from sqlalchemy.engine import Connection

from vodsprite.clock import Clock
from vodsprite.database import lease
from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import foreign, push, retry, table
from vodsprite.delivery.breaker import Breaker, BreakerSettings
from vodsprite.delivery.delivery import PUSH_CHANNELS, Channel, Destination, ForeignType
from vodsprite.delivery.push import Pending, Sent
from vodsprite.delivery.retry import Verdict
from vodsprite.delivery.settling import Done, write_down
from vodsprite.errors import AddressRefused
from vodsprite.ids import AppId, IdSource
from vodsprite.outbound.http import Outbound

log = structlog.get_logger()

UNREADABLE_WAIT_S = 600
"""An event that this version cannot render is tried again after that, for ever: a mended version heals it."""

FAULT_WAIT_S = 1.0
"""After a turn that failed (a full disk, a lost database), until the next."""

LEASE_RESERVE_S = 2.0
"""What a lease must have left beyond the push's own time."""

HELD_IN_ALL = 1024
"""About how many deliveries are held beforehand, over all destinations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherSettings:
    """How the loop behaves."""

    lease_s: float = 90  # must outlast a push and its wait in the lane
    poll_s: float = 1  # how often the tables are looked at when nobody rings
    ahead: int = 56  # deliveries held beyond those in flight, for a destination that answers fast
    fast_ms: int = 250  # what counts as fast
    sends_at_once: int = 512  # beyond that, a destination that has something in flight waits
    grace_s: float = 3  # that sends get to end when the loop is told to stop
    alone: bool = False  # no other dispatcher works on this database: leases found at start are taken back
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


_Key = tuple[AppId, Channel, str]
"""A destination's app, channel and address: with another address everything begins anew."""


class _Lane:
    """What is known of one destination while there is work for it."""

    def __init__(self, key: _Key, breaker: Breaker) -> None:
        self.key = key
        self.breaker = breaker
        self.ready: deque[Pending] = deque()
        self.in_flight = 0
        self.is_fast = False
        self.is_gone = False  # answered 410, and that may not be written down yet

    def slots(self, now: datetime) -> int:
        return 0 if self.is_gone else self.breaker.slots(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What a turn brought."""

    claimed: list[Pending]
    next_due: datetime | None  # of any destination, room or not
    with_work: frozenset[_Key]  # destinations for which something waits, held or not
    did_work: bool


class Dispatcher:
    """Pushes the deliveries of all apps, from `run` until `stop`."""

    def __init__(
        self,
        database: Database,
        outbound: Outbound,
        clock: Clock,
        ids: IdSource,
        random: Random,
        wakeup: Wakeup,
        settings: DispatcherSettings,
    ) -> None:
        self._database = database
        self._outbound = outbound
        self._clock = clock
        self._ids = ids
        self._random = random
        self._wakeup = wakeup
        self._settings = settings
        self._first_room = min(settings.breaker.at_first, settings.breaker.in_flight)
        self._lanes: dict[_Key, _Lane] = {}
        self._done = Done()
        self._foreign = foreign.ForeignEvents()
        self._sends: set[asyncio.Task[None]] = set()
        self._stir = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    async def run(self) -> None:
        """
        Push until `stop` is called; then give sends under way a short grace, and what is held back.

        It outlives whatever fails in between: a full disk, a lost database, an event that cannot be rendered.
        """
        self._loop = asyncio.get_running_loop()
        # A thread of its own, so that nobody else's blocking work delays a push.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="dispatcher") as thread:
            listener = asyncio.create_task(self._listen())
            try:
                if self._settings.alone:
                    await self._loop.run_in_executor(thread, self._take_back)
                while not self._stopping:
                    await self._step(thread)
                await self._drain(thread)
            finally:
                listener.cancel()
                for send in self._sends:
                    send.cancel()
                await asyncio.gather(listener, *self._sends, return_exceptions=True)

    def stop(self) -> None:
        """Ask `run` to come to its end; from any thread."""
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stir.set)

    async def _step(self, thread: ThreadPoolExecutor) -> None:
        self._stir.clear()
        turn = await self._take_turn(thread)
        if turn is None:
            await self._rest(FAULT_WAIT_S)
            return
        self._hand_out(turn.claimed)
        self._start_sends()
        self._forget_idle_lanes(turn.with_work)
        if not turn.did_work and not self._done:
            await self._rest(self._idle_s(turn.next_due))

    async def _take_turn(self, thread: ThreadPoolExecutor) -> _Turn | None:
        now = self._clock.now()
        done = self._done.take()
        room = {key: self._room(lane, now) for key, lane in self._lanes.items()}
        loop = asyncio.get_running_loop()
        try:
            turn = await loop.run_in_executor(thread, self._turn, done, room, now)
        except Exception:  # the loop's fence: what was sent is kept and written down later
            log.exception("dispatcher.turn_failed", unsettled=len(done.decided))
            self._done.decided[:0] = done.decided
            self._done.returned[:0] = done.returned
            return None
        for sent, decision in done.decided:
            if decision.verdict is Verdict.PAUSE:
                self._lanes.pop(_key(sent.pending.destination), None)
        return turn

    # What happens in the database's thread

    def _take_back(self) -> None:
        now = self._clock.now()
        with self._database.transaction() as conn:
            count = lease.take_back(conn, [channel.value for channel in PUSH_CHANNELS], now=now)
        if count:
            log.info("dispatcher.took_back", deliveries=count)

    def _turn(self, done: Done, room: Mapping[_Key, int], now: datetime) -> _Turn:
        if done:
            with self._database.transaction() as conn:
                write_down(conn, done, now=now)
                return self._claim(conn, table.destinations_with_work(conn), room, now, did_work=True)
        # Nothing to write yet: look without the write lock, and without waking whoever watches for commits.
        with self._database.reading() as conn:
            destinations = table.destinations_with_work(conn)
        if not any(self._wants(one, room, now) for one in destinations):
            return _Turn(
                claimed=[],
                next_due=_earliest(destinations, now),
                with_work=_keys(destinations),
                did_work=False,
            )
        with self._database.transaction() as conn:
            return self._claim(conn, destinations, room, now, did_work=False)

    def _claim(
        self,
        conn: Connection,
        destinations: Sequence[Destination],
        room: Mapping[_Key, int],
        now: datetime,
        *,
        did_work: bool,
    ) -> _Turn:
        token = self._ids.token()
        until = now + timedelta(seconds=self._settings.lease_s)
        claims: list[tuple[Destination, lease.Claimed]] = []
        for destination in destinations:
            if self._wants(destination, room, now):
                claimed = lease.claim(
                    conn,
                    destination.app_id,
                    destination.channel.value,
                    limit=room.get(_key(destination), self._first_room),
                    token=token,
                    now=now,
                    until=until,
                    counted=False,
                )
                claims.extend((destination, one) for one in claimed)
        stored = table.events_by_id(conn, {one.event_id for _, one in claims})
        unknown = [one for _, one in claims if isinstance(stored[one.event_id].type, ForeignType)]
        if unknown:
            due_at = now + foreign.PUT_OFF
            lease.release(conn, [one.lease for one in unknown], due_at=due_at, note=foreign.NOTE)
            for one in unknown:
                self._foreign.tell(stored[one.event_id])
        pending = [
            Pending(
                lease=one.lease,
                number=one.attempts + 1,
                event=stored[one.event_id],
                destination=destination,
            )
            for destination, one in claims
            if one not in unknown
        ]
        return _Turn(
            claimed=pending,
            next_due=_earliest(destinations, now),
            with_work=_keys(destinations),
            did_work=did_work or bool(claims),
        )

    def _wants(self, destination: Destination, room: Mapping[_Key, int], now: datetime) -> bool:
        if destination.next_due > now:
            return False
        return room.get(_key(destination), self._first_room) > 0

    # What happens in the event loop

    async def _listen(self) -> None:
        rings = self._wakeup.rings()
        while True:
            await self._wakeup.wait(3600, since=rings)
            rings = self._wakeup.rings()
            self._stir.set()

    async def _rest(self, seconds: float) -> None:
        """Wait until something stirs, at most *seconds*."""
        stirred = asyncio.create_task(self._stir.wait())
        slept = asyncio.create_task(self._clock.sleep(seconds))
        try:
            await asyncio.wait({stirred, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stirred.cancel()
            slept.cancel()
            await asyncio.gather(stirred, slept, return_exceptions=True)

    def _idle_s(self, next_due: datetime | None) -> float:
        now = self._clock.now()
        instants = [next_due, *(lane.breaker.open_until for lane in self._lanes.values())]
        # What is past already and was not claimed waits for a send under way, which stirs when it ends.
        coming = [(at - now).total_seconds() for at in instants if at is not None and at > now]
        return min([self._settings.poll_s, *coming])

    def _room(self, lane: _Lane, now: datetime) -> int:
        """Return how many more deliveries the lane takes."""
        slots = lane.slots(now)
        if slots == 0:
            return 0
        ahead = 0
        if lane.is_fast and lane.breaker.is_healthy:
            ahead = min(self._settings.ahead, HELD_IN_ALL // len(self._lanes))
        return max(0, slots + ahead - lane.in_flight - len(lane.ready))

    def _hand_out(self, claimed: Sequence[Pending]) -> None:
        for pending in claimed:
            key = _key(pending.destination)
            if key not in self._lanes:
                self._lanes[key] = _Lane(key, Breaker(self._settings.breaker))
            self._lanes[key].ready.append(pending)

    def _start_sends(self) -> None:
        for lane in self._lanes.values():
            self._start_sends_of(lane)

    def _start_sends_of(self, lane: _Lane) -> None:
        now = self._clock.now()
        slots = 0 if self._stopping else lane.slots(now)
        while lane.ready and lane.in_flight < slots:
            if lane.in_flight and len(self._sends) >= self._settings.sends_at_once:
                return
            pending = lane.ready.popleft()
            reserve = timedelta(seconds=pending.destination.timeout_s + LEASE_RESERVE_S)
            if pending.lease.until - now < reserve:
                self._give_back(pending, now)
                continue
            lane.in_flight += 1
            send = asyncio.create_task(self._send(lane, pending))
            self._sends.add(send)
        if slots == 0:
            while lane.ready:
                self._give_back(lane.ready.popleft(), now)

    async def _send(self, lane: _Lane, pending: Pending) -> None:
        try:
            sent = await push.send(self._outbound, pending, now=self._clock.now())
        except asyncio.CancelledError:
            self._give_back(pending, self._clock.now())
            raise
        except AddressRefused as refused:
            self._refused(lane, pending, refused)
        except Exception as error:  # the send's fence: one event must not end the loop
            log.exception("delivery.not_sendable", **_ids(pending))
            due_at = self._clock.now() + timedelta(seconds=UNREADABLE_WAIT_S)
            self._give_back(pending, due_at, note=f"could not be sent: {type(error).__name__}")
        else:
            self._sent(lane, sent)
        finally:
            lane.in_flight -= 1
            task = asyncio.current_task()
            assert task is not None, "a send is a task"
            self._sends.discard(task)
            self._start_sends_of(lane)
            self._stir.set()

    def _sent(self, lane: _Lane, sent: Sent) -> None:
        now = self._clock.now()
        attempt = sent.attempt
        destination = sent.pending.destination
        decision = retry.decide(
            destination.policy,
            attempt.number,
            attempt.outcome,
            status_code=attempt.status_code,
            retry_after=sent.retry_after,
            now=now,
            random=self._random,
        )
        self._done.decided.append((sent, decision))
        if decision.verdict is Verdict.SETTLE:
            if not lane.breaker.is_healthy:
                log.info(
                    "destination.recovered", app_id=destination.app_id, channel=destination.channel.value
                )
            lane.breaker.succeeded()
            lane.is_fast = attempt.latency_ms <= self._settings.fast_ms
            return
        log.warning(
            f"delivery.{_SAYS[decision.verdict]}",
            **_ids(sent.pending),
            attempt=attempt.number,
            outcome=attempt.outcome.value,
            status=attempt.status_code,
            url=attempt.url,
            due_at=None if decision.due_at is None else decision.due_at.isoformat(),
        )
        if decision.verdict is Verdict.PAUSE:
            lane.is_gone = True
        elif lane.breaker.failed(now):
            log.warning("destination.failing", app_id=destination.app_id, channel=destination.channel.value)

    def _refused(self, lane: _Lane, pending: Pending, refused: AddressRefused) -> None:
        """Have the delivery wait, and its destination be asked again only now and then."""
        now = self._clock.now()
        self._give_back(pending, now, note=str(refused))
        # Those in flight beside it meet the same refusal; one line says it.
        if lane.slots(now) > 0:
            lane.breaker.open(now)
            log.warning(
                "delivery.refused",
                **_ids(pending),
                url=push.shown(pending.destination.url),
                address=refused.address,
                rule=refused.rule,
                setting=refused.setting,
            )

    def _give_back(self, pending: Pending, due_at: datetime, *, note: str | None = None) -> None:
        self._done.returned.append((pending.lease, due_at, note))

    def _forget_idle_lanes(self, with_work: frozenset[_Key]) -> None:
        # What a destination has proven stands for as long as anything waits for it.
        idle = [
            key
            for key, lane in self._lanes.items()
            if key not in with_work
            and not lane.in_flight
            and not lane.ready
            and lane.breaker.is_healthy
            and not lane.is_gone
        ]
        for key in idle:
            del self._lanes[key]

    async def _drain(self, thread: ThreadPoolExecutor) -> None:
        now = self._clock.now()
        for lane in self._lanes.values():
            while lane.ready:
                self._give_back(lane.ready.popleft(), now)
        if self._sends:
            _, slow = await asyncio.wait(set(self._sends), timeout=self._settings.grace_s)
            for send in slow:
                send.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        done, self._done = self._done, Done()
        if done:
            await asyncio.get_running_loop().run_in_executor(thread, self._write, done)

    def _write(self, done: Done) -> None:
        with self._database.transaction() as conn:
            write_down(conn, done, now=self._clock.now())


_SAYS = {Verdict.RETRY: "failed", Verdict.BURY: "dead", Verdict.PAUSE: "paused"}


def _key(destination: Destination) -> _Key:
    return destination.app_id, destination.channel, destination.url


def _keys(destinations: Sequence[Destination]) -> frozenset[_Key]:
    return frozenset(_key(one) for one in destinations)


def _ids(pending: Pending) -> dict[str, object]:
    return {
        "event_id": pending.event.event_id,
        "delivery_id": pending.lease.delivery_id,
        "app_id": pending.destination.app_id,
        "channel": pending.destination.channel.value,
        "is_test": pending.event.is_test,
    }


def _earliest(destinations: Sequence[Destination], now: datetime) -> datetime | None:
    """Return when the next destination that is not due yet will be."""
    return min((one.next_due for one in destinations if one.next_due > now), default=None)

"""Any order of claims, sends, ended leases, crashes and clock jumps, against a model of a push's settling."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from vodsprite.apps.app import DeliveryMode, Policy
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import from_us
from vodsprite.database import lease
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.schema import deliveries
from vodsprite.database.upgrade import upgrade
from vodsprite.delivery import retry, settling, table
from vodsprite.delivery.delivery import Attempt, Channel, DeliveryState, Destination, Outcome
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.push import Pending, Sent
from vodsprite.delivery.retry import Verdict
from vodsprite.delivery.settling import Done
from vodsprite.events import ImageSpriteComplete
from vodsprite.ids import EventId, FileId, TaskId
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds

LEASE_S = 90
STATUS = {Outcome.DELIVERED: 200, Outcome.REJECTED: 500, Outcome.GONE: 410}


class Middle(Random):
    """Chance that always lands in the middle: no jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@dataclass(slots=True)
class Waiting:
    """What the model knows of a delivery."""

    due_s: float
    state: DeliveryState = DeliveryState.WAITING
    holder: int | None = None  # the claim that may decide
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery in the hands of a dispatcher, which may be the last to know that it lost it."""

    claim: int
    pending: Pending


class PushModel(RuleBasedStateMachine):
    hands: Bundle[Held] = Bundle("hands")

    @initialize(policy=st.sampled_from(Policy))
    def open(self, policy: Policy) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'vodsprite.sqlite'}"
        self.clock = FakeClock()
        self.begun = self.clock.now()
        self.ids = SequentialIds()
        self.claims = 0
        self.model: dict[EventId, Waiting] = {}
        self.delivered: set[EventId] = set()
        self.database = Database(DatabaseSettings(url=self.url))
        upgrade(self.database, backup_folder=None)
        apps = AppRegistry(self.database, self.clock, self.ids)
        self.app_id = apps.ensure_primary("a", "b").app_id
        apps.change_subscription(
            self.app_id, mode=DeliveryMode.PUSH, url="http://receiver.example.com/", policy=policy
        )
        self.to = Destination(
            app_id=self.app_id,
            channel=Channel.PUSH_V3,
            url="http://receiver.example.com/",
            sign_key="",
            secrets=(),
            policy=policy,
            timeout_s=5,
            next_due=self.begun,
        )

    @property
    def now_s(self) -> float:
        return (self.clock.now() - self.begun).total_seconds()

    @rule(count=st.integers(1, 4))
    def happen(self, count: int) -> None:
        for _ in range(count):
            event = ImageSpriteComplete(
                task_id=TaskId("t"), file_id=FileId("1"), definition=10, sprites=None, failure=None
            )
            with self.database.transaction() as conn:
                event_id = Outbox(self.ids).record(conn, self.app_id, event, now=self.clock.now())
            assert event_id is not None
            self.model[event_id] = Waiting(due_s=self.now_s)

    @rule(target=hands, limit=st.integers(1, 8))
    def claim(self, limit: int) -> MultipleResults[Held]:
        return multiple(*self._claim(limit))

    def _claim(self, limit: int) -> list[Held]:
        now = self.clock.now()
        due = {
            event_id: one
            for event_id, one in self.model.items()
            if one.state is DeliveryState.WAITING and one.due_s <= self.now_s
        }
        with self.database.transaction() as conn:
            claimed = lease.claim(
                conn,
                self.app_id,
                Channel.PUSH_V3.value,
                limit=limit,
                token=self.ids.token(),
                now=now,
                until=now + timedelta(seconds=LEASE_S),
                counted=False,
            )
            stored = table.events_by_id(conn, {one.event_id for one in claimed})
        assert len(claimed) == min(limit, len(due))
        longest = sorted(one.due_s for one in due.values())[: len(claimed)]
        assert sorted(due[one.event_id].due_s for one in claimed) == longest
        self.claims += 1
        for one in claimed:
            waiting = due[one.event_id]
            assert one.attempts == waiting.attempts
            waiting.holder, waiting.due_s = self.claims, self.now_s + LEASE_S
        return [
            Held(
                self.claims,
                Pending(
                    lease=one.lease,
                    number=one.attempts + 1,
                    event=stored[one.event_id],
                    destination=self.to,
                ),
            )
            for one in claimed
        ]

    @rule(chosen=st.lists(hands, min_size=1, max_size=4, unique=True), outcome=st.sampled_from(Outcome))
    def send(self, chosen: list[Held], outcome: Outcome) -> None:
        """Sends end, however late, and a turn writes them down."""
        now = self.clock.now()
        done = Done()
        for held in chosen:
            decision = retry.decide(self.to.policy, held.pending.number, outcome, now=now, random=Middle())
            attempt = Attempt(
                number=held.pending.number,
                url=self.to.url,
                started_at=now,
                latency_ms=1,
                outcome=outcome,
                status_code=STATUS.get(outcome),
                answer="",
            )
            done.decided.append((Sent(pending=held.pending, attempt=attempt, retry_after=None), decision))
            one = self.model[held.pending.event.event_id]
            if one.holder != held.claim or one.state is not DeliveryState.WAITING:
                continue
            one.attempts = held.pending.number
            if decision.verdict is Verdict.SETTLE:
                one.state = DeliveryState.SETTLED
                self.delivered.add(held.pending.event.event_id)
            elif decision.verdict is Verdict.BURY:
                one.state = DeliveryState.DEAD
            else:
                due_at = decision.due_at or now
                one.holder, one.due_s = None, (due_at - self.begun).total_seconds()
        with self.database.transaction() as conn:
            settling.write_down(conn, done, now=now)

    @rule(held=hands, after_s=st.sampled_from([0, 5, 600]))
    def give_back(self, held: Held, after_s: int) -> None:
        """It could not be sent: nothing is counted."""
        due_at = self.clock.now() + timedelta(seconds=after_s)
        with self.database.transaction() as conn:
            settling.write_down(
                conn, Done(returned=[(held.pending.lease, due_at, None)]), now=self.clock.now()
            )
        one = self.model[held.pending.event.event_id]
        if one.holder == held.claim and one.state is DeliveryState.WAITING:
            one.holder, one.due_s = None, self.now_s + after_s

    @rule(alone=st.booleans())
    def crash(self, alone: bool) -> None:
        """The tables stay; who is alone takes everything back at its start."""
        self.database.close()
        self.database = Database(DatabaseSettings(url=self.url))
        if not alone:
            return
        with self.database.transaction() as conn:
            lease.take_back(conn, [Channel.PUSH_V3.value], now=self.clock.now())
        for one in self.model.values():
            if one.state is DeliveryState.WAITING and one.holder is not None:
                one.holder, one.due_s = None, self.now_s

    @rule(seconds=st.sampled_from([0.001, 4, 5, 31, 89.999, 90, 3600, 40_000]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 90, 3600]))
    def clock_jumps_back(self, seconds: float) -> None:
        self.clock.advance(seconds=-seconds)

    @invariant()
    def tables_agree(self) -> None:
        if not hasattr(self, "to"):
            return
        with self.database.reading() as conn:
            rows = conn.execute(sa.select(deliveries)).all()
            kept = {one.event_id: table.attempts_of(conn, one.delivery_id) for one in rows}
        assert {one.event_id for one in rows} == set(self.model)
        for row in rows:
            one = self.model[row.event_id]
            assert (row.state, row.attempts) == (one.state.value, one.attempts)
            # Each attempt that counts is kept, once, in order.
            assert [attempt.number for attempt in kept[row.event_id]] == list(range(1, one.attempts + 1))
            if one.state is DeliveryState.WAITING:
                assert abs((from_us(row.due_at) - self.begun).total_seconds() - one.due_s) < 1e-5

    def teardown(self) -> None:
        if not hasattr(self, "to"):
            return
        # In the end, whatever happened: each event was delivered or given up, or comes.
        rest = {event_id for event_id, one in self.model.items() if one.state is DeliveryState.WAITING}
        came: set[EventId] = set()
        while rest - came:
            self.clock.advance(seconds=200_000)
            held = self._claim(8)
            assert held, "a delivery waits for ever"
            came |= {one.pending.event.event_id for one in held}
            self.send(held, Outcome.DELIVERED)
        self.tables_agree()
        self.database.close()
        self.folder.cleanup()


PushModel.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestPushSettling = PushModel.TestCase

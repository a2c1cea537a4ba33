"""Any order of events, pulls, confirms, ended leases, crashes and clock jumps, against a model."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

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

from vodsprite.apps.registry import AppRegistry
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.upgrade import upgrade
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.pull import PullQueue, PullSettings
from vodsprite.errors import HandlesStale
from vodsprite.events import FileDeleted, ImageSpriteComplete
from vodsprite.ids import EventId, FileId, TaskId
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds

LEASE_S = 30


@dataclass(slots=True)
class Waiting:
    """What the model knows of an event: who holds it, until when."""

    due_s: float
    handle: str | None = None
    confirmed_by: str | None = None
    handles: set[str] = field(default_factory=set)


class PullQueueModel(RuleBasedStateMachine):
    handles: Bundle[str] = Bundle("handles")

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'vodsprite.sqlite'}"
        self.clock = FakeClock()
        self.begun = self.clock.now()
        self.ids = SequentialIds()
        self.events: dict[EventId, Waiting] = {}
        self.seen: set[EventId] = set()
        self.database = Database(DatabaseSettings(url=self.url))
        upgrade(self.database, backup_folder=None)
        self.app_id = AppRegistry(self.database, self.clock, self.ids).ensure_primary("a", "b").app_id
        self.start()

    def start(self) -> None:
        self.wakeup = Wakeup(self.database)
        self.pulls = PullQueue(
            self.database, self.wakeup, self.clock, self.ids, PullSettings(lease_s=LEASE_S)
        )

    @property
    def now_s(self) -> float:
        return (self.clock.now() - self.begun).total_seconds()

    @rule(count=st.integers(1, 5))
    def happen(self, count: int) -> None:
        for _ in range(count):
            with self.database.transaction() as conn:
                event = ImageSpriteComplete(
                    task_id=TaskId("t"), file_id=FileId("1"), definition=10, sprites=None, failure=None
                )
                event_id = Outbox(self.ids).record(conn, self.app_id, event, now=self.clock.now())
                assert Outbox(self.ids).record(conn, self.app_id, FileDeleted(), now=self.clock.now()) is None
            assert event_id is not None
            self.events[event_id] = Waiting(due_s=self.now_s)

    @rule(target=handles, limit=st.integers(1, 16))
    def pull(self, limit: int) -> MultipleResults[str]:
        due = {
            event_id
            for event_id, one in self.events.items()
            if one.confirmed_by is None and one.due_s <= self.now_s
        }
        pulled = self.pulls.pull(self.app_id, limit=limit, now=self.clock.now())
        assert len(pulled) == min(limit, len(due))
        longest = sorted(self.events[event_id].due_s for event_id in due)[: len(pulled)]
        assert sorted(self.events[one.event_id].due_s for one in pulled) == longest
        for one in pulled:
            assert one.event_id in due
            waiting = self.events[one.event_id]
            assert one.handle not in waiting.handles
            waiting.handle = one.handle
            waiting.handles.add(one.handle)
            waiting.due_s = self.now_s + LEASE_S
            self.seen.add(one.event_id)
        return multiple(*(one.handle for one in pulled))

    @rule(chosen=st.lists(handles, min_size=1, max_size=16))
    def confirm(self, chosen: list[str]) -> None:
        by_handle = {handle: one for one in self.events.values() for handle in one.handles}
        good: set[str] = set()
        for handle in chosen:
            one = by_handle[handle]
            stands = one.handle == handle and one.confirmed_by is None and self.now_s < one.due_s
            if stands or one.confirmed_by == handle:
                one.confirmed_by = handle
                good.add(handle)
        stale = tuple(handle for handle in chosen if handle not in good)
        refused: tuple[str, ...] = ()
        try:
            self.pulls.confirm(self.app_id, chosen, now=self.clock.now())
        except HandlesStale as error:
            refused = error.handles
        assert refused == stale

    @rule(seconds=st.sampled_from([0.001, 1, 10, 29.999, 30, 31, 3600]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 30, 3600]))
    def clock_jumps_back(self, seconds: float) -> None:
        self.clock.advance(seconds=-seconds)

    @rule()
    def crash(self) -> None:
        """Everything in memory is gone; the tables stay."""
        self.wakeup.close()
        self.database.close()
        self.database = Database(DatabaseSettings(url=self.url))
        self.start()

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "pulls"):
            return
        due = sum(one.confirmed_by is None and one.due_s <= self.now_s for one in self.events.values())
        assert self.pulls.waiting(self.app_id, now=self.clock.now()) == due

    def teardown(self) -> None:
        if not hasattr(self, "pulls"):
            return
        # In the end, whatever happened: each event was confirmed, or comes.
        self.clock.advance(seconds=7200 * 100)
        rest: set[EventId] = set()
        while batch := self.pulls.pull(self.app_id, limit=16, now=self.clock.now()):
            rest |= {one.event_id for one in batch}
        assert rest == {event_id for event_id, one in self.events.items() if one.confirmed_by is None}
        self.wakeup.close()
        self.database.close()
        self.folder.cleanup()


PullQueueModel.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestPullQueue = PullQueueModel.TestCase

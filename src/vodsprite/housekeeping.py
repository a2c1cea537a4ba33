"""The sweeps: what nobody needs any more goes. Each may be cut short at any point, and repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from vodsprite.apps import table as apps_table
from vodsprite.database.engine import Database
from vodsprite.delivery import table as delivery_table
from vodsprite.delivery.delivery import DeliveryState
from vodsprite.delivery.pull import PullQueue
from vodsprite.errors import StorageFull
from vodsprite.media.registry import MediaRegistry
from vodsprite.storage.store import Store
from vodsprite.tasks import table as tasks_table
from vodsprite.tasks.failover import Reconciler

log = structlog.get_logger()

LEFTOVERS_AFTER = timedelta(days=1)
LEFTOVERS_EVERY = timedelta(hours=1)


BATCH_ROWS = 500
"""Deliveries that one transaction deletes."""

BATCHES = 200
"""Such transactions in one sweep; what is left then is the next one's."""

BREATH_S = 0.005
"""Between two of them, so that whoever waits to write gets in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long a delivery is kept once nothing more will come of it."""

    settled_s: float = 7 * 24 * 3600  # its receiver has it
    dead_s: float = 30 * 24 * 3600  # it was given up


class Housekeeper:
    """Sweeps when told to; who calls it decides how often."""

    def __init__(
        self,
        database: Database,
        store: Store,
        media: MediaRegistry,
        reconciler: Reconciler,
        pulls: PullQueue,
        keeping: Keeping,
    ) -> None:
        self._database = database
        self._store = store
        self._media = media
        self._reconciler = reconciler
        self._pulls = pulls
        self._keeping = keeping
        self._leftovers_due_at: datetime | None = None

    def sweep(self, now: datetime) -> None:
        """Remove what is over by *now*; a sweep that has no room to work is left for the next time."""
        sweeps: dict[str, Callable[[datetime], int]] = {
            "orphaned objects": self._media.delete_orphans,
            "half-written objects": self._delete_leftovers,
            "nonces": self._delete_nonces,
            "session ids": self._delete_session_ids,
            "events too old to be pulled": self._pulls.bury_expired,
            "settled deliveries": self._delete_settled,
            "dead letters": self._delete_dead,
            "finished runs": self._reconciler.purge,
        }
        for what, remove in sweeps.items():
            try:
                count = remove(now)
            except StorageFull as error:
                log.warning("a sweep must wait", what=what, reason=str(error))
                continue
            if count:
                log.info("swept", what=what, count=count)

    def _delete_settled(self, now: datetime) -> int:
        return self._delete_finished(DeliveryState.SETTLED, now - timedelta(seconds=self._keeping.settled_s))

    def _delete_dead(self, now: datetime) -> int:
        return self._delete_finished(DeliveryState.DEAD, now - timedelta(seconds=self._keeping.dead_s))

    def _delete_finished(self, state: DeliveryState, before: datetime) -> int:
        """Delete deliveries with their attempts, and events that none is left of."""
        deleted = 0
        for _ in range(BATCHES):
            with self._database.transaction() as conn:
                count = delivery_table.delete_finished(conn, state, before=before, limit=BATCH_ROWS)
            deleted += count
            if count < BATCH_ROWS:
                break
            time.sleep(BREATH_S)
        return deleted

    def _delete_nonces(self, now: datetime) -> int:
        with self._database.transaction() as conn:
            return apps_table.delete_expired_nonces(conn, now=now)

    def _delete_session_ids(self, now: datetime) -> int:
        with self._database.transaction() as conn:
            return tasks_table.delete_session_ids(conn, now)

    def _delete_leftovers(self, now: datetime) -> int:
        if self._leftovers_due_at is not None and now < self._leftovers_due_at:
            return 0
        self._leftovers_due_at = now + LEFTOVERS_EVERY
        return self._store.delete_leftovers(older_than_s=LEFTOVERS_AFTER.total_seconds())

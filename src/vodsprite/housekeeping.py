"""The sweeps: what nobody needs any more goes. Each may be cut short at any point, and repeated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from vodsprite.apps import table as apps_table
from vodsprite.database.engine import Database
from vodsprite.delivery.pull import PullQueue
from vodsprite.errors import StorageFull
from vodsprite.media.registry import MediaRegistry
from vodsprite.storage.store import Store
from vodsprite.tasks import table as tasks_table
from vodsprite.tasks.failover import Reconciler

log = structlog.get_logger()

LEFTOVERS_AFTER = timedelta(days=1)
LEFTOVERS_EVERY = timedelta(hours=1)


class Housekeeper:
    """Sweeps when told to; who calls it decides how often."""

    def __init__(
        self,
        database: Database,
        store: Store,
        media: MediaRegistry,
        reconciler: Reconciler,
        pulls: PullQueue,
    ) -> None:
        self._database = database
        self._store = store
        self._media = media
        self._reconciler = reconciler
        self._pulls = pulls
        self._leftovers_due_at: datetime | None = None

    def sweep(self, now: datetime) -> None:
        """Remove what is over by *now*; a sweep that has no room to work is left for the next time."""
        sweeps: dict[str, Callable[[datetime], int]] = {
            "orphaned objects": self._media.delete_orphans,
            "half-written objects": self._delete_leftovers,
            "nonces": self._delete_nonces,
            "session ids": self._delete_session_ids,
            "events too old to be pulled": self._pulls.bury_expired,
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

"""
"There may be work": who waits for rows is told when somebody commits some.

It is a hint. It may come for nothing, and it may be lost together with the process that rang; whoever waits
looks at the tables now and then of its own accord.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from vodsprite.database.engine import Database

log = structlog.get_logger()

WATCH_EVERY_S = 0.02
"""How often SQLite is asked whether another process committed, while somebody waits."""

LOOK_EVERY_S = 0.25
"""How often a waiter on another database is sent to look for itself."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    rung: asyncio.Event


class Wakeup:
    """A bell that any thread may ring and that any event loop may wait for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._rings = 0
        self._somebody_waits = threading.Event()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def ring(self) -> None:
        """Wake everybody who waits. Call it after the commit, from any thread."""
        with self._lock:
            self._rings += 1
            waiters = list(self._waiters)
        for waiter in waiters:
            try:
                waiter.loop.call_soon_threadsafe(waiter.rung.set)
            except RuntimeError:  # its loop was closed meanwhile: nobody waits there any more
                continue

    def rings(self) -> int:
        """Return how often it rang. Taken before a look at the tables, it makes `wait` miss nothing."""
        with self._lock:
            return self._rings

    async def wait(self, timeout_s: float, *, since: int | None = None) -> None:
        """
        Return when the bell rings, at the latest after *timeout_s* seconds.

        Args:
            since: What `rings` said before the caller looked: a ring since then returns at once.
        """
        if not self._database.is_sqlite:
            timeout_s = min(timeout_s, LOOK_EVERY_S)
        waiter = _Waiter(asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if since is not None and since != self._rings:
                return
            self._waiters.add(waiter)
            self._watch()
        try:
            # Not `wait_for`: in Python 3.11 it forgets a cancellation that comes as the bell rings.
            async with asyncio.timeout(timeout_s):
                await waiter.rung.wait()
        except TimeoutError:
            return
        finally:
            with self._lock:
                self._waiters.discard(waiter)
                if not self._waiters:
                    self._somebody_waits.clear()

    def close(self) -> None:
        """End the thread that watches the database."""
        self._closed.set()
        self._somebody_waits.set()
        if self._watcher is not None:
            self._watcher.join()

    def _watch(self) -> None:
        """Have the database watched (the lock is held)."""
        self._somebody_waits.set()
        if self._database.is_sqlite and self._watcher is None and not self._closed.is_set():
            self._watcher = threading.Thread(target=self._notice_commits, name="wakeup", daemon=True)
            self._watcher.start()

    def _notice_commits(self) -> None:
        while not self._closed.is_set():
            try:
                self._ring_on_commits()
            except (SQLAlchemyError, sqlite3.Error):
                log.warning("wakeup.watch_failed", exc_info=True)
                self._closed.wait(1)

    def _ring_on_commits(self) -> None:
        # A connection of its own, outside any transaction: the pragma's value changes exactly when another
        # connection, of this process or another, has committed something.
        with self._database.engine.connect() as conn:
            raw = conn.connection.cursor()
            seen: object = None
            try:
                while not self._closed.wait(WATCH_EVERY_S):
                    self._somebody_waits.wait()
                    version = raw.execute("PRAGMA data_version").fetchone()[0]
                    if version != seen:
                        seen = version
                        self.ring()
            finally:
                raw.close()

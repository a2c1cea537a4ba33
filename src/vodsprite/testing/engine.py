"""A job engine that executes nothing: it remembers, as the real one does, what was enqueued and committed."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from vodsprite.tasks.engine import Execute, Run


class RecordingEngine:
    """An `Engine` for tests that need no render."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: list[Run] = []

    @property
    def runs(self) -> list[Run]:
        """Every run whose enqueue was committed, in order."""
        with self._lock:
            return list(self._runs)

    def prepare(self) -> None:
        """Need nothing."""

    def enqueue(self, conn: Connection, run: Run, *, priority: int, delay_s: float = 0) -> None:
        """Remember *run* once the caller's transaction commits."""
        sa.event.listen(conn, "commit", lambda _conn: self._remember(run), once=True)

    def start(self, execute: Execute) -> None:
        """Execute nothing."""

    def stop(self, *, grace_s: float) -> None:
        """Have nothing to wait for."""

    def live(self, runs: Collection[Run]) -> set[Run]:
        """Everything that was enqueued waits for ever."""
        return set(self.runs) & set(runs)

    def purge(self, *, finished_before: datetime) -> int:
        """Nothing is ever over."""
        return 0

    def _remember(self, run: Run) -> None:
        with self._lock:
            self._runs.append(run)

"""
No task is forgotten: an open one without a live run gets another.

Our rows say which tasks are open, the engine says which runs live. What they disagree about (a run whose end
could not be written, a database restored from a copy) is put right here, at the start and every minute.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from vodsprite.database.engine import Database
from vodsprite.ids import TaskId
from vodsprite.tasks import table
from vodsprite.tasks.engine import Engine, Run

log = structlog.get_logger()

RUNS_KEPT = timedelta(days=1)
"""How long the engine remembers a run that is over."""

_AT_ONCE = 500


class Reconciler:
    """Compares our tasks with the engine's runs."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = engine

    def reconcile(self) -> int:
        """Enqueue again every open task without a live run; return how many those were."""
        count = 0
        after = TaskId("")
        while True:
            # The tasks first: one that ends meanwhile has no run any more, and then no open row either.
            with self._database.reading() as conn:
                tasks = table.list_open(conn, after=after, limit=_AT_ONCE)
            if not tasks:
                return count
            after = tasks[-1].task_id
            runs = [Run(task.task_id, task.run) for task in tasks]
            live = self._engine.live(runs)
            count += sum(self._enqueue_again(run) for run in runs if run not in live)

    def purge(self, now: datetime) -> int:
        """Let the engine forget runs that were over a day ago; return how many."""
        return self._engine.purge(finished_before=now - RUNS_KEPT)

    def _enqueue_again(self, run: Run) -> bool:
        with self._database.transaction() as conn:
            enqueued = table.requeue(conn, run.task_id, run.number)
            if enqueued is None:
                return False
            self._engine.enqueue(conn, Run(enqueued.task_id, enqueued.run), priority=enqueued.priority)
        log.warning("a task had no live run and was enqueued again", task_id=run.task_id, run=enqueued.run)
        return True

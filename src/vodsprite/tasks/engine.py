"""
The port to the job engine, which brings each enqueued run to a worker, at least once.

Our own rows are the truth about tasks. The engine is told which run of which task to execute, and an
execution that is no longer wanted finds that out by itself. A run is a task id and the number of its enqueue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.engine import Connection

from vodsprite.ids import TaskId


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One enqueue of a task."""

    task_id: TaskId
    number: int  # from 1


Execute = Callable[[Run], None]
"""Carries out a run to its end. It returns normally whatever became of the task."""


class Engine(Protocol):
    """What is asked of a job engine."""

    def prepare(self) -> None:
        """Bring the engine's own tables up, so that runs can be enqueued."""
        ...

    def enqueue(self, conn: Connection, run: Run, *, priority: int, delay_s: float = 0) -> None:
        """
        Enqueue *run* in the caller's transaction: it exists if and only if that commits.

        Args:
            priority: -10 to 10, higher first.
            delay_s: Earliest start after the enqueue, in s; coarse.
        """
        ...

    def start(self, execute: Execute) -> None:
        """Begin to execute runs, each in a thread of its own; those that a killed process left come again."""
        ...

    def stop(self, *, grace_s: float) -> None:
        """Take up no more runs; return when none is executing, or after *grace_s* seconds."""
        ...

    def live(self, runs: Collection[Run]) -> set[Run]:
        """Return those of *runs* that are waiting or executing."""
        ...

    def purge(self, *, finished_before: datetime) -> int:
        """Forget runs that were over before that instant; return how many."""
        ...

"""
The engine port on DBOS Transact. No other module imports it, and none of its objects leaves here.

DBOS keeps its tables in our database, so that an enqueue commits with the rows it belongs to. It is one per
process, by its own design; so is an engine that was started.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from vodsprite.database.engine import Database, is_disk_full
from vodsprite.errors import StorageFull
from vodsprite.ids import TaskId
from vodsprite.tasks.engine import Execute, Run

log = structlog.get_logger()

_NAME = "vodsprite"
_VERSION = "1"  # fixed: a run may be executed by any version of ours, since it only names a task
_QUEUE = "renders"
_WORKFLOW = "render"
_PENDING = "PENDING"
_WAITING = ("ENQUEUED", "DELAYED")
_OVER = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_LOWEST = 11  # priority 10 becomes 1, the first that DBOS serves among those that have one
_AT_ONCE = 500
_TAKEN_UP_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How this process executes runs."""

    concurrency: int = 2  # runs at once
    poll_s: float = 0.05  # how often an idle worker looks for runs; half of it is the usual wait
    executor_id: str = "embedded"  # stable, so that a restart takes up what the process before it left


class DbosEngine:
    """Runs in DBOS, kept in our own database."""

    def __init__(self, database: Database, settings: EngineSettings | None = None) -> None:
        self._database = database
        self._settings = settings or EngineSettings()
        self._jobs = database.jobs_engine()
        self._serializer = DBOSPortableJSONSerializer()  # the default is pickle, which executes what it reads
        self._client: DBOSClient | None = None
        self._lock = threading.Lock()
        self._executing: set[Run] = set()
        self._started_at = math.inf
        _quieten()

    def prepare(self) -> None:
        """Bring DBOS's tables up. Does nothing when they are."""
        DBOS.migrate(self._jobs.url.render_as_string(hide_password=False))

    def enqueue(self, conn: Connection, run: Run, *, priority: int, delay_s: float = 0) -> None:
        """Enqueue *run* in the caller's transaction; see `Engine.enqueue`."""
        options: EnqueueOptions = {
            "workflow_name": _WORKFLOW,
            "queue_name": _QUEUE,
            "workflow_id": _id_of(run),
            "app_version": _VERSION,
            "priority": _LOWEST - priority,
        }
        if delay_s > 0:
            options["delay_seconds"] = delay_s
        self._enqueuer().enqueue_in_transaction(conn, options, run.task_id, run.number)

    def start(self, execute: Execute) -> None:
        """
        Begin to execute runs; those that an earlier process of this executor left come first.

        Raises:
            StorageFull: The database has no room left.
        """
        config: DBOSConfig = {
            "name": _NAME,
            "system_database_engine": self._jobs,
            "application_version": _VERSION,
            "executor_id": self._settings.executor_id,
            "serializer": self._serializer,
            "use_listen_notify": not self._database.is_sqlite,
            "log_level": "WARNING",
        }
        DBOS(config=config)

        # Our rows count the attempts; DBOS must not give a task up by a count of its own.
        @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)
        def render(task_id: str, number: int) -> None:
            with self._noted(Run(TaskId(task_id), number)) as run:
                execute(run)

        try:
            DBOS.launch()
            DBOS.register_queue(
                _QUEUE,
                worker_concurrency=self._settings.concurrency,
                polling_interval_sec=self._settings.poll_s,
                on_conflict="always_update",
            )
        except OperationalError as error:
            DBOS.destroy(destroy_registry=True)
            if is_disk_full(error):
                raise StorageFull("the database's disk is full; free some room and start again") from error
            raise
        self._started_at = time.time()

    def stop(self, *, grace_s: float) -> None:
        """Take up no more runs; return when none is executing, or after *grace_s* seconds."""
        with self._lock:
            busy = bool(self._executing)
        # DBOS looks once a second whether its workflows are over, first after a second: not for an idle stop.
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=math.ceil(grace_s) if busy else 0)
        self._started_at = math.inf

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.destroy()
            self._client = None
        self._jobs.dispose()

    def live(self, runs: Collection[Run]) -> set[Run]:
        """Return those of *runs* that are waiting or executing."""
        by_id = {_id_of(run): run for run in runs}
        ids = list(by_id)
        live: set[Run] = set()
        for start in range(0, len(ids), _AT_ONCE):
            found = self._enqueuer().list_workflows(
                workflow_ids=ids[start : start + _AT_ONCE],
                status=[*_WAITING, _PENDING],
                load_input=False,
                load_output=False,
            )
            live |= {by_id[status.workflow_id] for status in found if self._is_live(status, by_id)}
        return live

    def purge(self, *, finished_before: datetime) -> int:
        """Forget runs that were over before that instant; return how many."""
        count = 0
        while True:
            found = self._enqueuer().list_workflows(
                status=list(_OVER),
                name=_WORKFLOW,
                completed_before=finished_before.isoformat(),
                limit=_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if not found:
                return count
            self._enqueuer().delete_workflows([status.workflow_id for status in found])
            count += len(found)

    def _is_live(self, status: WorkflowStatus, by_id: dict[str, Run]) -> bool:
        if status.status != _PENDING or status.executor_id != self._settings.executor_id:
            return True
        with self._lock:
            if by_id[status.workflow_id] in self._executing:
                return True
        # Ours by name, but nobody here executes it: it has just been handed out and its thread is about to
        # start, or its end could not be written (a full disk), or we were killed and DBOS is about to
        # hand it out again.
        handed_out_at = (status.dequeued_at or status.updated_at or 0) / 1000
        return time.time() - max(handed_out_at, self._started_at) < _TAKEN_UP_WITHIN_S

    @contextmanager
    def _noted(self, run: Run) -> Iterator[Run]:
        with self._lock:
            self._executing.add(run)
        try:
            yield run
        except Exception:  # a fence: DBOS would print it in its own way
            log.exception("a run failed", task_id=run.task_id, run=run.number)
            raise
        finally:
            with self._lock:
                self._executing.discard(run)

    def _enqueuer(self) -> DBOSClient:
        with self._lock:
            if self._client is None:
                self._client = DBOSClient(
                    system_database_engine=self._jobs,
                    serializer=self._serializer,
                    application_name=_NAME,
                    lazy=True,
                    retry_connection_errors=False,
                )
            return self._client


def _id_of(run: Run) -> str:
    return f"{run.task_id}-{run.number}"


class _OncePerMinute(logging.Filter):
    """Lets a message through once a minute: on a full disk DBOS would repeat it at every poll."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place = (record.pathname, record.lineno)
        now = time.monotonic()
        if now - self._passed.get(place, -math.inf) < 60:
            return False
        self._passed[place] = now
        return True


def _quieten() -> None:
    # A logger that has a handler keeps DBOS from adding its own, and what it says goes the way of our lines.
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.addFilter(_OncePerMinute())
        logger.setLevel(logging.WARNING)

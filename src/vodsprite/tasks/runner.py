"""
One run of a task to its end: source, render, objects, and the one transaction that makes it all true.

A run holds an attempt token. Everything that it writes asks for that token, so a run that was given up and
is done again elsewhere changes nothing any more, however late it comes.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy.engine import Connection

from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.outbox import Outbox
from vodsprite.errors import FailureKind, StorageFull, Transient
from vodsprite.events import Failure, NotifyMode
from vodsprite.ids import IdSource, Token
from vodsprite.media.links import Links
from vodsprite.media.media import Media, MediaState, sprite_folder
from vodsprite.media.registry import MediaRegistry
from vodsprite.media.source import local_copy
from vodsprite.sprite import spec as specs
from vodsprite.storage.store import Store, disk_errors_translated
from vodsprite.tasks import process, table
from vodsprite.tasks.engine import Engine, Run
from vodsprite.tasks.process import Limits, Outcome, Rendered, Stopped
from vodsprite.tasks.task import SpriteResult, SpriteWork, Task, TaskKind, record_of, snapshot

log = structlog.get_logger()
T = TypeVar("T")

_CHECK_EVERY_S = 2.0  # progress is written and the token looked at that often
_END_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """Where renders work, and what they may take."""

    work_folder: Path  # this process's own; whatever lies there at its start is deleted
    limits: Limits = field(default_factory=Limits)
    most_attempts: int = 5  # begun and never ended so often, a task fails
    retry_s: float = 15  # wait after a full disk or a store that failed
    absolute_vtt_urls: bool = False


@dataclass(slots=True, eq=False)
class _Attempt:
    """A run that has begun."""

    task: Task
    token: Token
    is_stopped: threading.Event = field(default_factory=threading.Event)  # by a drain
    is_fenced: bool = False  # the token stands no more
    percent: int = 0


class Runner:
    """Carries out runs, each in the thread that calls it."""

    def __init__(
        self,
        database: Database,
        store: Store,
        media: MediaRegistry,
        engine: Engine,
        outbox: Outbox,
        wakeup: Wakeup,
        links: Links,
        clock: Clock,
        ids: IdSource,
        settings: RunnerSettings,
    ) -> None:
        self._database = database
        self._store = store
        self._media = media
        self._engine = engine
        self._outbox = outbox
        self._wakeup = wakeup
        self._links = links
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._draining = threading.Event()
        self._is_grace_over = False
        self._idle = threading.Condition()
        self._running = 0
        self._attempts: set[_Attempt] = set()

    def prepare(self) -> None:
        """Make the work folder, without what a killed process left in it."""
        shutil.rmtree(self._settings.work_folder, ignore_errors=True)
        with disk_errors_translated():
            self._settings.work_folder.mkdir(parents=True, exist_ok=True)

    def execute(self, run: Run) -> None:
        """Carry out *run*: afterwards the task is over, or waits for another run, or was not ours to do."""
        with self._idle:
            is_taken = not self._draining.is_set()
            self._running += is_taken
        if not is_taken:
            self._requeue(run)
            return
        try:
            self._carry_out(run)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def drain(self, *, grace_s: float) -> None:
        """Let running renders end by themselves for *grace_s* seconds; then hand their tasks back."""
        with self._idle:
            self._draining.set()
            if self._idle.wait_for(lambda: not self._running, grace_s):
                return
            self._is_grace_over = True
            for attempt in self._attempts:
                attempt.is_stopped.set()
            if not self._idle.wait_for(lambda: not self._running, _END_WITHIN_S):
                log.warning("renders did not end in time; the next start takes them up")

    def _carry_out(self, run: Run) -> None:
        attempt = self._once_there_is_room(lambda: self._begin(run))
        if attempt is None:
            return
        with self._noted(attempt):
            try:
                self._work(attempt)
            except StorageFull as error:
                self._put_off(attempt, error, is_counted=False)
            except Transient as error:
                self._put_off(attempt, error, is_counted=True)

    def _begin(self, run: Run) -> _Attempt | None:
        now = self._clock.now()
        token = self._ids.token()
        with self._database.transaction() as conn:
            task = table.begin(conn, run.task_id, run.number, token, now)
            if task is None:
                log.info("a run is no longer wanted", task_id=run.task_id, run=run.number)
                return None
            task = _next_step_begun(task, now)
            table.write_steps(conn, task.task_id, token, task.steps)
        return _Attempt(task=task, token=token)

    def _work(self, attempt: _Attempt) -> None:
        if attempt.task.attempts > self._settings.most_attempts:
            self._give_up(attempt)
            return
        while (index := attempt.task.open_step) is not None:
            with self._folder() as folder:
                begun = time.monotonic()
                outcome = self._render(attempt, index, folder)
                if isinstance(outcome, Stopped):
                    self._stopped(attempt)
                    return
                if isinstance(outcome, Rendered):
                    self._store_files(attempt.task, outcome, folder)
                if not self._settle(attempt, index, outcome):
                    return
                _log_outcome(attempt.task, outcome, time.monotonic() - begun)

    def _render(self, attempt: _Attempt, index: int, folder: Path) -> Outcome:
        task = attempt.task
        work = task.steps[index]
        with self._database.reading() as conn:
            media = self._media.of_task_in(conn, task.file_id)
        if media.state is MediaState.DELETED:
            return Failure(kind=FailureKind.NOT_ACCESSIBLE, message="the media was deleted")
        try:
            with local_copy(self._store, media, self._settings.work_folder) as source:
                return process.render(
                    self._request(task, work, source, folder),
                    progress=lambda percent: setattr(attempt, "percent", percent),
                    is_wanted=self._watch(attempt, index),
                )
        except FileNotFoundError:
            return Failure(
                kind=FailureKind.NOT_ACCESSIBLE, message="the original is not in the store any more"
            )

    def _request(self, task: Task, work: SpriteWork, source: Path, folder: Path) -> process.Request:
        here = sprite_folder(task.file_id, task.task_id)
        return process.Request(
            source=str(source),
            folder=str(folder),
            spec=specs.to_json(work.spec),
            definition=work.definition,
            vtt_base_url=f"{task.base_url}/{here}/" if self._settings.absolute_vtt_urls else "",
            limits=self._settings.limits,
        )

    def _watch(self, attempt: _Attempt, index: int) -> Callable[[], bool]:
        """Return the question whether the attempt is still wanted; asking it also writes the progress."""
        checked_at = time.monotonic()
        written = 0

        def is_wanted() -> bool:
            nonlocal checked_at, written
            if attempt.is_stopped.is_set():
                return False
            if time.monotonic() - checked_at >= _CHECK_EVERY_S:
                checked_at = time.monotonic()
                try:
                    attempt.is_fenced = not self._still_stands(attempt, index, attempt.percent != written)
                    written = attempt.percent
                except StorageFull:
                    log.warning("the progress of a task could not be written", task_id=attempt.task.task_id)
            return not attempt.is_fenced

        return is_wanted

    def _still_stands(self, attempt: _Attempt, index: int, has_moved: bool) -> bool:
        task = attempt.task
        if not has_moved:
            with self._database.reading() as conn:
                return table.stands(conn, task.task_id, attempt.token)
        step = task.steps[index].at(attempt.percent)
        with self._database.transaction() as conn:
            return table.write_steps(conn, task.task_id, attempt.token, task.with_step(index, step).steps)

    def _store_files(self, task: Task, rendered: Rendered, folder: Path) -> None:
        for name in (*rendered.sheets, rendered.vtt):
            self._store.put_file(_key(task, name), folder / name)

    def _settle(self, attempt: _Attempt, index: int, outcome: Rendered | Failure) -> bool:
        """Write what came of a step, with its event, in one transaction; return False when fenced."""
        now = self._clock.now()
        task = attempt.task
        work = task.steps[index]
        if isinstance(outcome, Rendered):
            result = _result(task, outcome)
            task = task.with_step(index, work.succeeded(result, now))
        else:
            task = task.with_step(index, work.failed(outcome, now))
        task = _next_step_begun(task, now)
        with self._database.transaction() as conn:
            ended = self._write(conn, task, attempt.token, now)
            if ended is None:
                attempt.is_fenced = True
                self._stopped(attempt)
                return False
            if isinstance(outcome, Rendered):
                self._media.set_metadata(conn, task.file_id, outcome.metadata, now)
                self._media.point_to(conn, record_of(task, work, result, now), now)
            if _is_told(ended):
                self._record_event(conn, ended, now)
        self._wakeup.ring()
        attempt.task = ended
        return True

    def _write(self, conn: Connection, task: Task, token: Token, now: datetime) -> Task | None:
        if task.open_step is not None:
            return task if table.write_steps(conn, task.task_id, token, task.steps) else None
        ended = task.finished(now)
        return ended if table.finish(conn, task.task_id, token, task.steps, now) else None

    def _give_up(self, attempt: _Attempt) -> None:
        failure = Failure(
            kind=FailureKind.INTERNAL,
            message=f"the render was begun {self._settings.most_attempts} times, and each time the service "
            "or its store failed before it ended",
        )
        self._abandon_objects(attempt.task)
        while (index := attempt.task.open_step) is not None:
            if not self._settle(attempt, index, failure):
                return
        log.error("a task was given up", task_id=attempt.task.task_id)

    def _abandon_objects(self, task: Task) -> None:
        kept = {key for work in task.steps if work.result for key in work.result.object_keys}
        try:
            keys = set(self._store.list(sprite_folder(task.file_id, task.task_id))) - kept
        except Transient as error:
            # A store that fails may be the very reason for giving up.
            log.warning("objects of a task may be left over", task_id=task.task_id, reason=str(error))
            return
        with self._database.transaction() as conn:
            self._media.abandon(conn, sorted(keys), self._clock.now())

    def _stopped(self, attempt: _Attempt) -> None:
        task_id = attempt.task.task_id
        if attempt.is_fenced:
            log.warning("a run came too late and was dropped", task_id=task_id)
        else:
            self._hand_back(attempt, is_counted=False, delay_s=0)
            log.info("a render was stopped and its task handed back", task_id=task_id)

    def _put_off(self, attempt: _Attempt, error: Transient, *, is_counted: bool) -> None:
        retry_s = self._settings.retry_s
        log.warning(
            "a render is put off", task_id=attempt.task.task_id, reason=str(error), again_in_s=retry_s
        )
        self._once_there_is_room(lambda: self._hand_back(attempt, is_counted=is_counted, delay_s=retry_s))

    def _hand_back(self, attempt: _Attempt, *, is_counted: bool, delay_s: float) -> None:
        with self._database.transaction() as conn:
            enqueued = table.hand_back(conn, attempt.task.task_id, attempt.token, is_counted=is_counted)
            if enqueued is not None:
                self._engine.enqueue(
                    conn,
                    Run(enqueued.task_id, enqueued.run),
                    priority=enqueued.priority,
                    delay_s=delay_s,
                )

    def _requeue(self, run: Run) -> None:
        with self._database.transaction() as conn:
            enqueued = table.requeue(conn, run.task_id, run.number)
            if enqueued is not None:
                self._engine.enqueue(conn, Run(enqueued.task_id, enqueued.run), priority=enqueued.priority)

    def _record_event(self, conn: Connection, task: Task, now: datetime) -> None:
        media = self._media.of_task_in(conn, task.file_id)
        event = snapshot(task, media, self._file_url(task, media, now))
        if event is not None:
            self._outbox.record(conn, task.app_id, event, now=now)

    def _file_url(self, task: Task, media: Media, now: datetime) -> str:
        return self._links.original_url(task.base_url, media, now=now)

    def _once_there_is_room(self, write: Callable[[], T]) -> T | None:
        """Try a small write until the disk has room for it, or the service ends."""
        while True:
            try:
                return write()
            except StorageFull as error:
                log.warning("renders wait for room", reason=str(error), again_in_s=self._settings.retry_s)
                if self._draining.wait(self._settings.retry_s):
                    return None

    @contextmanager
    def _noted(self, attempt: _Attempt) -> Iterator[None]:
        with self._idle:
            self._attempts.add(attempt)
            if self._is_grace_over:
                attempt.is_stopped.set()
        try:
            yield
        finally:
            with self._idle:
                self._attempts.discard(attempt)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with disk_errors_translated():
            folder = tempfile.mkdtemp(dir=self._settings.work_folder, prefix="render-")
        try:
            yield Path(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _next_step_begun(task: Task, now: datetime) -> Task:
    index = task.open_step
    return task if index is None else task.with_step(index, task.steps[index].begun(now))


def _is_told(task: Task) -> bool:
    if task.kind is TaskKind.IMAGE_SPRITE or task.notify_mode is NotifyMode.CHANGE:
        return True
    return task.notify_mode is NotifyMode.FINISH and task.open_step is None


def _key(task: Task, name: str) -> str:
    return f"{sprite_folder(task.file_id, task.task_id)}/{name}"


def _result(task: Task, rendered: Rendered) -> SpriteResult:
    return SpriteResult(
        tile_width_px=rendered.tile_width_px,
        tile_height_px=rendered.tile_height_px,
        total_count=rendered.total_count,
        sheet_keys=tuple(_key(task, name) for name in rendered.sheets),
        vtt_key=_key(task, rendered.vtt),
    )


def _log_outcome(task: Task, outcome: Rendered | Failure, seconds: float) -> None:
    if isinstance(outcome, Rendered):
        log.info(
            "rendered",
            task_id=task.task_id,
            tiles=outcome.total_count,
            sheets=len(outcome.sheets),
            seconds=round(seconds, 3),
        )
    else:
        log.warning(
            "a render failed",
            task_id=task.task_id,
            kind=outcome.kind.value,
            reason=outcome.message,
            seconds=round(seconds, 3),
        )

"""The way into the service for work, and the way to ask what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.outbox import Outbox
from vodsprite.errors import InvalidInput, SessionIdUsed, TaskNotFound
from vodsprite.events import ImageSpriteComplete, NotifyMode, ProcedureStateChanged
from vodsprite.ids import AppId, FileId, IdSource, TaskId
from vodsprite.media.links import Links
from vodsprite.media.media import Media
from vodsprite.media.registry import MediaRegistry
from vodsprite.sprite.spec import Accuracy
from vodsprite.tasks import table
from vodsprite.tasks.engine import Engine, Run
from vodsprite.tasks.task import SpriteWork, Task, TaskKind, TaskState, snapshot
from vodsprite.templates.catalog import TemplateCatalog

LONGEST_SESSION_ID = 50
LONGEST_SESSION_CONTEXT = 1000
LARGEST_PRIORITY = 10
MOST_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """What holds for every task."""

    accuracy: Accuracy = Accuracy.CUE  # which frame a tile shows; no template of the API says so
    session_window: timedelta = timedelta(days=3)  # a session id is refused that long (ProcessMedia)
    describe_window: timedelta = timedelta(days=3)  # a task can be asked for that long (DescribeTaskDetail)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedTask:
    """A task and how the outside sees it; a sprite task on its own shows nothing before it is over."""

    task: Task
    snapshot: ImageSpriteComplete | ProcedureStateChanged | None


class TaskQueue:
    """Accepts tasks and describes them."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        media: MediaRegistry,
        templates: TemplateCatalog,
        outbox: Outbox,
        wakeup: Wakeup,
        links: Links,
        clock: Clock,
        ids: IdSource,
        settings: TaskSettings | None = None,
    ) -> None:
        self._database = database
        self._engine = engine
        self._media = media
        self._templates = templates
        self._outbox = outbox
        self._wakeup = wakeup
        self._links = links
        self._clock = clock
        self._ids = ids
        self._settings = settings or TaskSettings()

    def submit_image_sprite(
        self,
        app_id: AppId,
        file_id: FileId,
        definition: int,
        *,
        session_id: str = "",
        session_context: str = "",
        base_url: str,
    ) -> TaskId:
        """
        Accept a sprite task of its own; its end raises `ImageSpriteComplete`.

        Args:
            session_id: The caller's key against doubles, at most 50 characters; "" asks for no check.
            session_context: Echoed, at most 1000 characters.
            base_url: What the URLs of the result start with, as in "https://vod.example.com".

        Raises:
            InvalidInput: An argument is out of range.
            MediaNotFound, TemplateNotFound: There is no such thing for this app.
            SessionIdUsed: The app used that session id within the last three days.
            StorageFull: There is no room for another task.
        """
        return self._submit(
            self._ids.sprite_task_id(),
            TaskKind.IMAGE_SPRITE,
            app_id,
            file_id,
            [definition],
            priority=0,
            notify_mode=NotifyMode.FINISH,
            session_id=session_id,
            session_context=session_context,
            base_url=base_url,
        )

    def submit_procedure(
        self,
        app_id: AppId,
        file_id: FileId,
        definitions: Sequence[int],
        *,
        priority: int = 0,
        notify_mode: NotifyMode = NotifyMode.FINISH,
        session_id: str = "",
        session_context: str = "",
        base_url: str,
    ) -> TaskId:
        """
        Accept a task flow with one sprite set per definition; it raises `ProcedureStateChanged`.

        Args and errors are those of `submit_image_sprite`, and:
            definitions: 1 to 100, made in this order.
            priority: -10 to 10, higher first.
        """
        return self._submit(
            self._ids.procedure_task_id(app_id),
            TaskKind.PROCEDURE,
            app_id,
            file_id,
            definitions,
            priority=priority,
            notify_mode=notify_mode,
            session_id=session_id,
            session_context=session_context,
            base_url=base_url,
        )

    def describe(self, app_id: AppId, task_id: TaskId, *, now: datetime) -> DescribedTask:
        """
        Return the app's task and how the outside sees it now.

        Raises:
            TaskNotFound: There is none, it is another app's, or it was submitted more than three days ago.
        """
        with self._database.reading() as conn:
            task = table.find(conn, app_id, task_id, created_from=now - self._settings.describe_window)
            if task is None:
                raise TaskNotFound(task_id[:100])
            media = self._media.of_task_in(conn, task.file_id)
        url = self._links.original_url(task.base_url, media, now=now)
        return DescribedTask(task=task, snapshot=snapshot(task, media, url))

    def _submit(
        self,
        task_id: TaskId,
        kind: TaskKind,
        app_id: AppId,
        file_id: FileId,
        definitions: Sequence[int],
        *,
        priority: int,
        notify_mode: NotifyMode,
        session_id: str,
        session_context: str,
        base_url: str,
    ) -> TaskId:
        _check(definitions, priority, session_id, session_context)
        now = self._clock.now()
        with self._database.transaction() as conn:
            media = self._media.find_in(conn, app_id, file_id)
            steps = tuple(self._step(conn, app_id, definition) for definition in definitions)
            self._use_session_id(conn, app_id, session_id, now)
            task = Task(
                task_id=task_id,
                app_id=app_id,
                kind=kind,
                file_id=file_id,
                state=TaskState.WAITING,
                steps=steps,
                priority=priority,
                notify_mode=notify_mode,
                session_id=session_id,
                session_context=session_context,
                base_url=base_url.rstrip("/"),
                run=1,
                attempts=0,
                created_at=now,
                begun_at=None,
                finished_at=None,
            )
            table.insert(conn, task)
            self._engine.enqueue(conn, Run(task_id, task.run), priority=priority)
            if notify_mode is NotifyMode.CHANGE:
                self._tell(conn, task, media, now)
        self._wakeup.ring()
        return task_id

    def _step(self, conn: Connection, app_id: AppId, definition: int) -> SpriteWork:
        spec = self._templates.find_in(conn, app_id, definition).spec
        return SpriteWork(definition=definition, spec=replace(spec, accuracy=self._settings.accuracy))

    def _tell(self, conn: Connection, task: Task, media: Media, now: datetime) -> None:
        event = snapshot(task, media, self._links.original_url(task.base_url, media, now=now))
        if event is not None:
            self._outbox.record(conn, task.app_id, event, now=now)

    def _use_session_id(self, conn: Connection, app_id: AppId, session_id: str, now: datetime) -> None:
        if not session_id:
            return
        until = now + self._settings.session_window
        if not table.use_session_id(conn, app_id, session_id, now=now, until=until):
            raise SessionIdUsed(session_id)


def _check(definitions: Sequence[int], priority: int, session_id: str, session_context: str) -> None:
    if not 1 <= len(definitions) <= MOST_STEPS:
        raise InvalidInput("definitions", f"has {len(definitions)} members; it has 1 to {MOST_STEPS}")
    if len(session_id) > LONGEST_SESSION_ID:
        raise InvalidInput(
            "session_id", f"has {len(session_id)} characters; the most is {LONGEST_SESSION_ID}"
        )
    if len(session_context) > LONGEST_SESSION_CONTEXT:
        raise InvalidInput(
            "session_context", f"has {len(session_context)} characters; the most is {LONGEST_SESSION_CONTEXT}"
        )
    if abs(priority) > LARGEST_PRIORITY:
        raise InvalidInput("priority", f"is {priority}; it is {-LARGEST_PRIORITY} to {LARGEST_PRIORITY}")

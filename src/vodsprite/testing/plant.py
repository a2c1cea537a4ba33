"""Everything that it takes to render, on one folder: real database, store, job engine and child processes."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import Clock, SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.schema import deliveries, events
from vodsprite.database.upgrade import upgrade
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import record
from vodsprite.delivery.outbox import Outbox
from vodsprite.events import Event, EventType
from vodsprite.ids import AppId, RandomIds, TaskId
from vodsprite.media.links import Links, ensure_path_key
from vodsprite.media.registry import MediaRegistry
from vodsprite.storage.store import Store
from vodsprite.tasks.dbos_engine import DbosEngine, EngineSettings
from vodsprite.tasks.failover import Reconciler
from vodsprite.tasks.process import Limits
from vodsprite.tasks.queue import TaskQueue
from vodsprite.tasks.runner import Runner, RunnerSettings
from vodsprite.tasks.task import TaskState
from vodsprite.tasks.worker import RenderWorker
from vodsprite.templates.catalog import TemplateCatalog

BASE_URL = "http://vod.test:8266"
T = TypeVar("T")


class Plant:
    """Real parts on *folder*. A second one on the same folder is what a restart would be."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        database_url: str | None = None,
        store_url: str | None = None,
        concurrency: int = 1,
        limits: Limits | None = None,
        retry_s: float = 0.2,
        most_attempts: int = 5,
    ) -> None:
        ids = RandomIds()
        self.clock = clock or SystemClock()
        url = database_url or f"sqlite:///{folder / 'vodsprite.sqlite'}"
        self.database = Database(DatabaseSettings(url=url))
        upgrade(self.database, backup_folder=None)
        self.store = Store.from_url(store_url or (folder / "objects").as_uri())
        self.apps = AppRegistry(self.database, self.clock, ids)
        self.app_id: AppId = self.apps.ensure_primary("AKIDplant", "key").app_id
        self.media = MediaRegistry(self.database, self.store, self.clock, ids)
        self.templates = TemplateCatalog(self.database, self.clock)
        self.wakeup = Wakeup(self.database)
        outbox = Outbox(ids)
        links = Links(ensure_path_key(self.database), ttl_s=3600)
        self.engine = DbosEngine(self.database, EngineSettings(concurrency=concurrency))
        self.engine.prepare()
        self.queue = TaskQueue(
            self.database,
            self.engine,
            self.media,
            self.templates,
            outbox,
            self.wakeup,
            links,
            self.clock,
            ids,
        )
        self.runner = Runner(
            self.database,
            self.store,
            self.media,
            self.engine,
            outbox,
            self.wakeup,
            links,
            self.clock,
            ids,
            RunnerSettings(
                work_folder=folder / "work",
                limits=limits or Limits(),
                retry_s=retry_s,
                most_attempts=most_attempts,
            ),
        )
        self.reconciler = Reconciler(self.database, self.engine)
        self.worker = RenderWorker(self.engine, self.runner, self.reconciler)
        self._is_started = False

    def start(self) -> None:
        """Begin to render."""
        self._is_started = True
        self.worker.start()

    def stop(self, grace_s: float = 30) -> None:
        """Stop rendering, as a service does that is told to end."""
        if self._is_started:
            self._is_started = False
            self.worker.stop(grace_s)

    def close(self) -> None:
        """Stop, and let go of the files."""
        self.stop(grace_s=0)
        self.wakeup.close()
        self.engine.close()
        self.database.close()

    def submit(self, video: Path, definition: int = 10) -> TaskId:
        """Register *video* and accept a sprite task for it."""
        media = self.media.add_file(self.app_id, video)
        return self.queue.submit_image_sprite(self.app_id, media.file_id, definition, base_url=BASE_URL)

    def state(self, task_id: TaskId) -> TaskState:
        """Return where the task stands."""
        return self.queue.describe(self.app_id, task_id, now=self.clock.now()).task.state

    def eventually(self, check: Callable[[], T], *, within_s: float = 30) -> T:
        """Look again after every commit until the answer is true, and return it."""
        end = time.monotonic() + within_s
        while not (answer := check()):
            assert time.monotonic() < end, "it did not happen in time"
            asyncio.run(self.wakeup.wait(0.1))
        return answer

    def finish(self, task_id: TaskId, *, within_s: float = 30) -> None:
        """Wait until the task is over."""
        self.eventually(lambda: self.state(task_id) is TaskState.FINISHED, within_s=within_s)

    def events(self) -> list[Event]:
        """Return every event that was recorded, in order."""
        with self.database.reading() as conn:
            rows = conn.execute(sa.select(events.c.type, events.c.data).order_by(events.c.happened_at)).all()
        return [record.from_json(EventType(row.type), row.data) for row in rows]

    def delivery_channels(self) -> list[str]:
        """Return the channel of every delivery."""
        with self.database.reading() as conn:
            return sorted(conn.execute(sa.select(deliveries.c.channel)).scalars())


def render_processes(parent: int) -> list[int]:
    """Return the ids of the render processes that the process *parent* has started and that live."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,command="],  # noqa: S607  wherever the system has it
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for line in listed.stdout.splitlines():
        pid, ppid, stat, command = line.split(None, 3)
        if int(ppid) == parent and "vodsprite.tasks.child" in command and not stat.startswith("Z"):
            found.append(int(pid))
    return found

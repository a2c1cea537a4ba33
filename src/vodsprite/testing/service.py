"""Real parts on a temporary folder, and the web application around them on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vodsprite.api.app import ApiSettings, create_app
from vodsprite.apps.app import App
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import Clock, SystemClock
from vodsprite.database import upgrade
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.pull import PullQueue, PullSettings
from vodsprite.delivery.replay import EventLog
from vodsprite.events import Event, ImageSpriteComplete, SpriteLinks
from vodsprite.ids import AppId, EventId, FileId, RandomIds, TaskId
from vodsprite.media.links import Links, ensure_path_key
from vodsprite.media.media import Media
from vodsprite.media.registry import MediaRegistry
from vodsprite.parts import Parts
from vodsprite.storage.store import Store
from vodsprite.tasks.queue import TaskQueue
from vodsprite.templates.catalog import TemplateCatalog
from vodsprite.testing.calls import SignedCaller
from vodsprite.testing.engine import RecordingEngine
from vodsprite.testing.web import serving

SECRET_ID = "AKIDcontractvector00000000000000001"  # noqa: S105  published with the vectors
SECRET_KEY = "contractVectorSecretKey000000001"  # noqa: S105  published with the vectors


class WatchedWakeup(Wakeup):
    """The bell, and how many wait for it, so that a test can act once somebody or nobody does."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._waiting = 0
        self._changed = threading.Condition()

    async def wait(self, timeout_s: float, *, since: int | None = None) -> None:
        """Wait, and be counted meanwhile."""
        self._count(1)
        try:
            await super().wait(timeout_s, since=since)
        finally:
            self._count(-1)

    def until_waiting(self, count: int, *, timeout_s: float = 10) -> None:
        """Return once exactly *count* wait."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting == count, timeout_s)

    def _count(self, change: int) -> None:
        with self._changed:
            self._waiting += change
            self._changed.notify_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service whose renders are not executed."""

    parts: Parts
    engine: RecordingEngine
    outbox: Outbox
    wakeup: WatchedWakeup
    port: int
    primary: App
    caller: SignedCaller
    """Signs with the first credential, which may act for every app."""

    def caller_of(self, app_id: AppId | None) -> SignedCaller:
        """Return a caller with a new credential bound to that app."""
        made = self.parts.apps.create_credential(app_id)
        return SignedCaller(
            port=self.port, secret_id=made.secret_id, secret_key=made.secret_key, clock=self.parts.clock
        )

    def add_media(self, folder: Path, *, app_id: AppId | None = None, name: str = "harbour.mp4") -> Media:
        """Register a small file; nothing here looks into it."""
        path = folder / name
        path.write_bytes(b"not looked at")
        return self.parts.media.add_file(app_id or self.primary.app_id, path)

    def record(self, event: Event, *, app_id: AppId | None = None) -> EventId | None:
        """Let *event* have happened."""
        with self.parts.database.transaction() as conn:
            event_id = self.outbox.record(
                conn, app_id or self.primary.app_id, event, now=self.parts.clock.now()
            )
        self.parts.wakeup.ring()
        return event_id


def sprite_event(number: int = 1) -> ImageSpriteComplete:
    """A sprite task's success."""
    base = f"http://media.example.com/sprites/14508071098244931777/task-{number}"
    return ImageSpriteComplete(
        task_id=TaskId(f"CreateImageSprite-{number:032x}"),
        file_id=FileId("14508071098244931777"),
        definition=10,
        sprites=SpriteLinks(
            tile_width_px=142,
            tile_height_px=80,
            total_count=131,
            sheet_urls=(f"{base}/imageSprite_10_0.jpg", f"{base}/imageSprite_10_1.jpg"),
            vtt_url=f"{base}/imageSprite_10.vtt",
        ),
        failure=None,
    )


@contextmanager
def start_service(
    folder: Path,
    *,
    clock: Clock | None = None,
    settings: ApiSettings | None = None,
    wait_s: float = 0.2,
    store_url: str | None = None,
) -> Iterator[Service]:
    """Build real parts in *folder* and serve them."""
    clock = clock or SystemClock()
    ids = RandomIds()
    database = Database(DatabaseSettings(url=f"sqlite:///{folder / 'vodsprite.sqlite'}"))
    upgrade.upgrade(database, backup_folder=None)
    store = Store.from_url(store_url or (folder / "objects").as_uri())
    apps = AppRegistry(database, clock, ids)
    primary = apps.ensure_primary(SECRET_ID, SECRET_KEY)
    media = MediaRegistry(database, store, clock, ids)
    templates = TemplateCatalog(database, clock)
    wakeup = WatchedWakeup(database)
    outbox = Outbox(ids)
    links = Links(ensure_path_key(database), ttl_s=3600)
    engine = RecordingEngine()
    parts = Parts(
        database=database,
        apps=apps,
        templates=templates,
        media=media,
        links=links,
        tasks=TaskQueue(database, engine, media, templates, outbox, wakeup, links, clock, ids),
        pulls=PullQueue(database, wakeup, clock, ids, PullSettings(wait_s=wait_s)),
        events=EventLog(database, outbox, wakeup, clock),
        store=store,
        wakeup=wakeup,
        clock=clock,
        ids=ids,
    )
    app = create_app(parts, settings or ApiSettings(trust_host=True))
    try:
        with serving(app) as port:
            caller = SignedCaller(port=port, secret_id=SECRET_ID, secret_key=SECRET_KEY, clock=clock)
            yield Service(
                parts=parts,
                engine=engine,
                outbox=outbox,
                wakeup=wakeup,
                port=port,
                primary=primary,
                caller=caller,
            )
    finally:
        wakeup.close()
        database.close()

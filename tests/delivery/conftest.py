"""Apps with events, on SQLite, and on PostgreSQL where there is a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vodsprite.apps.app import App
from vodsprite.apps.registry import AppRegistry
from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.outbox import Outbox
from vodsprite.events import Event, ImageSpriteComplete, SpriteLinks
from vodsprite.ids import AppId, EventId, FileId, TaskId
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds


@pytest.fixture
def wakeup(database: Database) -> Iterator[Wakeup]:
    wakeup = Wakeup(database)
    yield wakeup
    wakeup.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids() -> SequentialIds:
    return SequentialIds()


@pytest.fixture
def apps(database: Database, clock: FakeClock, ids: SequentialIds) -> AppRegistry:
    return AppRegistry(database, clock, ids)


@pytest.fixture
def app(apps: AppRegistry) -> App:
    return apps.ensure_primary("AKIDtest", "key")


class Happenings:
    """Lets events happen."""

    def __init__(self, database: Database, wakeup: Wakeup, clock: FakeClock, ids: SequentialIds) -> None:
        self._database = database
        self._wakeup = wakeup
        self._clock = clock
        self._ids = ids
        self._outbox = Outbox(ids)

    def sprite(self) -> Event:
        """Return a new sprite task's success."""
        task_id, file_id = self._ids.sprite_task_id(), self._ids.file_id()
        return ImageSpriteComplete(
            task_id=TaskId(task_id),
            file_id=FileId(file_id),
            definition=10,
            sprites=SpriteLinks(
                tile_width_px=142,
                tile_height_px=80,
                total_count=106,
                sheet_urls=(f"http://media.example.com/{file_id}/imageSprite_10_0.jpg",),
                vtt_url=f"http://media.example.com/{file_id}/imageSprite_10.vtt",
            ),
            failure=None,
        )

    def happen(self, app_id: AppId, event: Event | None = None, *, is_test: bool = False) -> EventId:
        """Record *event*, by default a new sprite task's success, in a transaction of its own."""
        with self._database.transaction() as conn:
            event_id = self._outbox.record(
                conn, app_id, event or self.sprite(), now=self._clock.now(), is_test=is_test
            )
        self._wakeup.ring()
        assert event_id is not None, "the type is muted"
        return event_id


@pytest.fixture
def happenings(database: Database, wakeup: Wakeup, clock: FakeClock, ids: SequentialIds) -> Happenings:
    return Happenings(database, wakeup, clock, ids)

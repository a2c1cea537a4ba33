"""A registry on a real database and a real store of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from vodsprite.apps.registry import AppRegistry
from vodsprite.database.engine import Database
from vodsprite.ids import AppId
from vodsprite.media.registry import MediaRegistry
from vodsprite.storage.store import Store
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def app_id(database: Database, clock: FakeClock) -> AppId:
    return AppRegistry(database, clock, SequentialIds()).ensure_primary("AKIDtest", "key").app_id


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = (tmp_path / "objects").as_uri() if request.param == "folder" else "memory:///"
    return Store.from_url(url)


@pytest.fixture
def registry(database: Database, store: Store, clock: FakeClock) -> MediaRegistry:
    return MediaRegistry(database, store, clock, SequentialIds())


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A file that is called like a video; the registry never looks inside."""
    path = tmp_path / "Summer Holiday.MP4"
    path.write_bytes(b"not really a video")
    return path

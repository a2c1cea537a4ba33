"""Registering media, and keeping the store free of what nothing points to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vodsprite.apps.registry import AppRegistry
from vodsprite.database.engine import Database
from vodsprite.errors import InvalidInput, MediaNotFound
from vodsprite.ids import AppId, FileId, TaskId
from vodsprite.media.media import Media, SpriteSetRecord
from vodsprite.media.registry import MediaRegistry
from vodsprite.media.source import local_copy
from vodsprite.storage.store import Store
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds
from vodsprite.video import VideoMetadata, VideoStream

METADATA = VideoMetadata(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    size_bytes=18,
    duration_s=40.5,
    bitrate_bps=1000,
    width_px=640,
    height_px=360,
    rotation_deg=90,
    video_streams=(VideoStream(codec="h264", width_px=640, height_px=360, fps=30),),
    audio_streams=(),
)


def record(media: Media, clock: FakeClock, task: str, *names: str) -> SpriteSetRecord:
    """A sprite set of *media* by preset 10, made by the task of that name."""
    folder = f"sprites/{media.file_id}/{task}"
    return SpriteSetRecord(
        file_id=media.file_id,
        definition=10,
        task_id=TaskId(task),
        tile_width_px=142,
        tile_height_px=80,
        total_count=5,
        sheet_keys=tuple(f"{folder}/{name}" for name in names),
        vtt_key=f"{folder}/imageSprite_10.vtt",
        created_at=clock.now(),
    )


def keep(
    registry: MediaRegistry, database: Database, store: Store, clock: FakeClock, made: SpriteSetRecord
) -> None:
    """Store a set's objects and make it current, as a render does."""
    for key in made.object_keys:
        store.put(key, b"x")
    with database.transaction() as conn:
        registry.point_to(conn, made, clock.now())


def test_a_file_is_copied_and_can_be_found(
    registry: MediaRegistry, store: Store, app_id: AppId, video: Path
) -> None:
    """Adding a file gives it an id, keeps a copy, and takes name and type from what it is called."""
    added = registry.add_file(app_id, video)
    video.unlink()

    media = registry.find(app_id, added.file_id)

    assert media == added
    assert (media.name, media.type, media.size_bytes) == ("Summer Holiday", "mp4", 18)
    assert media.object_key == f"originals/{media.file_id}/{media.file_id}.mp4"
    assert media.metadata is None
    with store.open(media.object_key) as file:
        assert file.read() == b"not really a video"


@pytest.mark.parametrize(
    ("file_name", "name", "type_"),
    [
        ("plain", "plain", ""),
        ("archive.tar.gz", "archive.tar", "gz"),
        (".hidden", ".hidden", ""),
        ("odd.m p4", "odd.m p4", ""),
        ("dots...mkv", "dots..", "mkv"),
        ("a" * 70 + ".mp4", "a" * 64, "mp4"),
        ("ünïcode 视频.webm", "ünïcode 视频", "webm"),
        ("new\nline.mp4", "new_line", "mp4"),
    ],
)
def test_odd_file_names_give_usable_names(
    registry: MediaRegistry, app_id: AppId, tmp_path: Path, file_name: str, name: str, type_: str
) -> None:
    """Whatever a file is called, it can be added, and its object has a plain key."""
    path = tmp_path / file_name
    path.write_bytes(b"1")

    media = registry.add_file(app_id, path)

    assert (media.name, media.type) == (name, type_)


def test_an_empty_file_can_be_added(registry: MediaRegistry, app_id: AppId, tmp_path: Path) -> None:
    """Whether a file is a video is for the render to say."""
    path = tmp_path / "empty.mp4"
    path.touch()

    assert registry.add_file(app_id, path).size_bytes == 0


@pytest.mark.parametrize("name", ["", "x" * 65, "a/b", "a\\b", "a\0b", "a\nb"])
def test_an_unusable_name_is_refused_and_nothing_is_kept(
    registry: MediaRegistry, store: Store, app_id: AppId, video: Path, name: str
) -> None:
    """A name that could not be shown or saved is refused before anything is copied."""
    with pytest.raises(InvalidInput, match="name"):
        registry.add_file(app_id, video, name=name)

    assert list(store.list("")) == []


def test_a_path_that_is_no_file_is_refused(registry: MediaRegistry, app_id: AppId, tmp_path: Path) -> None:
    """A folder, a pipe or nothing at all cannot be added, and the error names it."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "absent.mp4", tmp_path / "pipe"):
        with pytest.raises(InvalidInput, match=path.name):
            registry.add_file(app_id, path)


def test_another_apps_media_is_not_found(
    registry: MediaRegistry, database: Database, clock: FakeClock, app_id: AppId, video: Path
) -> None:
    """An app sees its own media only, and an unknown id is told in the same words."""
    other = AppRegistry(database, clock, SequentialIds()).create("other").app_id
    media = registry.add_file(app_id, video)

    for asked_by, file_id in ((other, media.file_id), (app_id, FileId("1"))):
        with pytest.raises(MediaNotFound):
            registry.find(asked_by, file_id)


def test_what_a_render_learned_is_kept(
    registry: MediaRegistry, database: Database, clock: FakeClock, app_id: AppId, video: Path
) -> None:
    """Metadata reads back as it was written, and moves the time of the last change."""
    media = registry.add_file(app_id, video)
    now = clock.advance(seconds=5)

    with database.transaction() as conn:
        registry.set_metadata(conn, media.file_id, METADATA, now)

    found = registry.find(app_id, media.file_id)
    assert found.metadata == METADATA
    assert found.updated_at == now


def test_a_replaced_sprite_sets_objects_go_a_day_later(
    registry: MediaRegistry, database: Database, store: Store, clock: FakeClock, app_id: AppId, video: Path
) -> None:
    """Players that still hold the earlier URLs get a day; then the objects go, and only those."""
    media = registry.add_file(app_id, video)
    first, second = record(media, clock, "t1", "a.jpg", "b.jpg"), record(media, clock, "t2", "a.jpg")
    keep(registry, database, store, clock, first)
    keep(registry, database, store, clock, second)

    early = registry.delete_orphans(clock.advance(seconds=24 * 3600 - 1))
    still_there = set(store.list("sprites"))
    late = registry.delete_orphans(clock.advance(seconds=1))

    assert registry.sprite_sets(media.file_id) == (second,)
    assert early == 0
    assert still_there == {*first.object_keys, *second.object_keys}
    assert late == 3
    assert set(store.list("sprites")) == set(second.object_keys)
    assert store.stat(media.object_key) is not None


def test_a_set_that_the_same_task_made_again_keeps_its_objects(
    registry: MediaRegistry, database: Database, store: Store, clock: FakeClock, app_id: AppId, video: Path
) -> None:
    """A run that is repeated writes the same names; they must not count as replaced."""
    media = registry.add_file(app_id, video)
    made = record(media, clock, "t1", "a.jpg")
    keep(registry, database, store, clock, made)
    keep(registry, database, store, clock, made)

    assert registry.delete_orphans(clock.advance(seconds=2 * 24 * 3600)) == 0
    assert set(store.list("sprites")) == set(made.object_keys)


def test_deleting_orphans_survives_objects_that_are_gone(
    registry: MediaRegistry, database: Database, store: Store, clock: FakeClock, app_id: AppId, video: Path
) -> None:
    """A sweep that was killed between object and row is simply repeated."""
    media = registry.add_file(app_id, video)
    first = record(media, clock, "t1", "a.jpg")
    keep(registry, database, store, clock, first)
    keep(registry, database, store, clock, record(media, clock, "t2", "a.jpg"))
    store.delete(first.object_keys)

    assert registry.delete_orphans(clock.advance(seconds=2 * 24 * 3600)) == 2
    assert registry.delete_orphans(clock.now()) == 0


def test_a_copy_whose_registration_never_came_is_swept(
    registry: MediaRegistry, database: Database, clock: FakeClock, app_id: AppId, tmp_path: Path, video: Path
) -> None:
    """A process that is killed after the copy and before the row leaves no object for ever."""
    url = (tmp_path / "killed").as_uri()
    program = f"""
import os, signal, sys
from pathlib import Path
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.ids import AppId, RandomIds
from vodsprite.media.registry import MediaRegistry
from vodsprite.storage.store import Store

class Killed(Store):
    def put_file(self, key, path):
        super().put_file(key, path)
        os.kill(os.getpid(), signal.SIGKILL)

database = Database(DatabaseSettings(url=sys.argv[1]))
store = Killed.from_url(sys.argv[2])
MediaRegistry(database, store, SystemClock(), RandomIds()).add_file(AppId({app_id}), Path(sys.argv[3]))
"""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            database.engine.url.render_as_string(hide_password=False),
            url,
            str(video),
        ],
        check=False,
    )
    assert done.returncode < 0
    store = Store.from_url(url)
    assert len(list(store.list("originals"))) == 1

    swept = MediaRegistry(database, store, clock, SequentialIds())
    # The killed process lived by the machine's clock, which this one need not agree with.
    assert swept.delete_orphans(clock.advance(seconds=100 * 365 * 24 * 3600)) == 1
    assert list(store.list("")) == []


def test_the_original_is_there_as_a_local_file(
    registry: MediaRegistry, store: Store, app_id: AppId, tmp_path: Path, video: Path
) -> None:
    """Whatever the store, a render gets a path; a copy that was made for it is gone afterwards."""
    media = registry.add_file(app_id, video)
    work = tmp_path / "work"
    work.mkdir()

    with local_copy(store, media, work) as path:
        content = path.read_bytes()
        suffix = path.suffix

    assert content == b"not really a video"
    assert suffix == ".mp4"
    assert list(work.iterdir()) == []


def test_a_lost_original_is_told_as_such(
    registry: MediaRegistry, store: Store, app_id: AppId, tmp_path: Path, video: Path
) -> None:
    """An object that somebody removed behind our back is a missing file, in every store."""
    media = registry.add_file(app_id, video)
    store.delete([media.object_key])

    with pytest.raises(FileNotFoundError), local_copy(store, media, tmp_path):
        pass

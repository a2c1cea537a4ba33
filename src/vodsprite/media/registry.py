"""The registry of videos: what there is, what is known of it, and which sprite sets are current."""

from __future__ import annotations

import stat
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import Connection

from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.errors import InvalidInput, MediaNotFound
from vodsprite.ids import AppId, FileId, IdSource
from vodsprite.media import table
from vodsprite.media.media import (
    LONGEST_NAME,
    Media,
    MediaState,
    SpriteSetRecord,
    check_name,
    original_key,
    type_of,
)
from vodsprite.storage.store import Store
from vodsprite.video import VideoMetadata

ORPHAN_DELAY = timedelta(days=1)
"""How long replaced objects stay, so that a player that holds their URLs can finish."""

_ORPHANS_AT_ONCE = 200


class MediaRegistry:
    """Registers media and keeps the store free of objects that nothing points to."""

    def __init__(self, database: Database, store: Store, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._ids = ids

    def add_file(self, app_id: AppId, path: Path, *, name: str | None = None) -> Media:
        """
        Copy the file at *path* into the store and register it; its content is not looked at.

        Args:
            name: What it is called, without extension. None takes the file's own name, cut to 64 characters.

        Raises:
            InvalidInput: *path* is no readable file, or *name* cannot be used.
            StorageFull: There is no room for the copy; nothing was registered.
        """
        size_bytes = _size_of(path)
        file_id = self._ids.file_id()
        type_ = type_of(path.name)
        key = original_key(file_id, type_)
        checked = check_name(_name_of(path, type_) if name is None else name)
        # Should this process be killed between the copy and the row, the copy is already marked as garbage.
        with self._database.transaction() as conn:
            table.add_orphans(conn, [key], self._clock.now() + ORPHAN_DELAY)
        try:
            self._store.put_file(key, path)
        except OSError as error:
            raise InvalidInput("file", f"{path.name} cannot be read: {error.strerror}") from error
        now = self._clock.now()
        media = Media(
            file_id=file_id,
            app_id=app_id,
            name=checked,
            type=type_,
            object_key=key,
            size_bytes=size_bytes,
            state=MediaState.NORMAL,
            metadata=None,
            created_at=now,
            updated_at=now,
        )
        with self._database.transaction() as conn:
            table.insert(conn, media)
            table.remove_orphans(conn, [key])
        return media

    def find(self, app_id: AppId, file_id: FileId) -> Media:
        """
        Return the app's media of that id.

        Raises:
            MediaNotFound: There is none, it is another app's, or it was deleted.
        """
        with self._database.reading() as conn:
            return self.find_in(conn, app_id, file_id)

    def find_in(self, conn: Connection, app_id: AppId, file_id: FileId) -> Media:
        """Do as `find`, inside the caller's transaction."""
        media = table.find(conn, app_id, file_id)
        if media is None:
            raise MediaNotFound(file_id[:64])
        return media

    def of_task_in(self, conn: Connection, file_id: FileId) -> Media:
        """Return the media that a task refers to, even when it was deleted since."""
        media = table.find_even_deleted(conn, file_id)
        if media is None:
            raise MediaNotFound(file_id[:64])
        return media

    def set_metadata(self, conn: Connection, file_id: FileId, metadata: VideoMetadata, now: datetime) -> None:
        """Write what a render learned of the media."""
        table.set_metadata(conn, file_id, metadata, now)

    def point_to(self, conn: Connection, record: SpriteSetRecord, now: datetime) -> None:
        """Make *record* current for its media and definition; the earlier set's objects go a day later."""
        earlier = table.find_sprite_set(conn, record.file_id, record.definition)
        if earlier is not None:
            replaced = set(earlier.object_keys) - set(record.object_keys)
            table.add_orphans(conn, replaced, now + ORPHAN_DELAY)
            table.delete_sprite_set(conn, record.file_id, record.definition)
        table.insert_sprite_set(conn, record)
        table.remove_orphans(conn, record.object_keys)

    def abandon(self, conn: Connection, keys: list[str], now: datetime) -> None:
        """Note objects that nothing will ever point to."""
        table.add_orphans(conn, keys, now + ORPHAN_DELAY)

    def sprite_sets(self, file_id: FileId) -> tuple[SpriteSetRecord, ...]:
        """Return the media's current sprite sets, by definition."""
        with self._database.reading() as conn:
            return table.list_sprite_sets(conn, file_id)

    def delete_orphans(self, now: datetime) -> int:
        """Delete the objects that are due to go by *now*; return how many."""
        count = 0
        while True:
            with self._database.reading() as conn:
                keys = table.due_orphans(conn, now, limit=_ORPHANS_AT_ONCE)
            if not keys:
                return count
            # The object first: killed in between, the row brings us here again.
            self._store.delete(keys)
            with self._database.transaction() as conn:
                table.remove_orphans(conn, keys)
            count += len(keys)


def _size_of(path: Path) -> int:
    try:
        facts = path.stat()
    except OSError as error:
        raise InvalidInput("file", f"{path.name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(facts.st_mode):
        raise InvalidInput("file", f"{path.name} is not a file")
    return facts.st_size


def _name_of(path: Path, type_: str) -> str:
    stem = path.name.removesuffix(path.suffix) if type_ else path.name
    plain = "".join(char if char.isprintable() and char != "\\" else "_" for char in stem)
    return plain[:LONGEST_NAME] or "untitled"

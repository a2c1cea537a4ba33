"""SQL of media, their sprite sets, orphaned objects, and the key that signs paths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.engine import Connection

from vodsprite.clock import from_us, to_us
from vodsprite.database.schema import facts, media, orphans, sprite_sets
from vodsprite.ids import AppId, FileId, TaskId
from vodsprite.media.media import Media, MediaState, SpriteSetRecord
from vodsprite.video import VideoMetadata

_METADATA = TypeAdapter(VideoMetadata)
_MEDIA_COLUMNS = (
    media.c.file_id,
    media.c.app_id,
    media.c.name,
    media.c.type,
    media.c.object_key,
    media.c.size_bytes,
    media.c.state,
    media.c.metadata,
    media.c.created_at,
    media.c.updated_at,
)
_SET_COLUMNS = (
    sprite_sets.c.file_id,
    sprite_sets.c.definition,
    sprite_sets.c.task_id,
    sprite_sets.c.tile_width_px,
    sprite_sets.c.tile_height_px,
    sprite_sets.c.total_count,
    sprite_sets.c.sheet_keys,
    sprite_sets.c.vtt_key,
    sprite_sets.c.created_at,
)


def insert(conn: Connection, value: Media) -> None:
    """Add a media."""
    conn.execute(
        sa.insert(media).values(
            file_id=value.file_id,
            app_id=value.app_id,
            name=value.name,
            type=value.type,
            object_key=value.object_key,
            size_bytes=value.size_bytes,
            state=value.state.value,
            metadata=None if value.metadata is None else _METADATA.dump_json(value.metadata).decode(),
            created_at=to_us(value.created_at),
            updated_at=to_us(value.updated_at),
        )
    )


def find(conn: Connection, app_id: AppId, file_id: FileId) -> Media | None:
    """Return the app's media of that id, unless it is deleted."""
    row = conn.execute(
        sa.select(*_MEDIA_COLUMNS).where(
            media.c.file_id == file_id, media.c.app_id == app_id, media.c.state == MediaState.NORMAL.value
        )
    ).one_or_none()
    return None if row is None else _media(row)


def find_even_deleted(conn: Connection, file_id: FileId) -> Media | None:
    """Return the media of that id, whatever became of it; for tasks that refer to it."""
    row = conn.execute(sa.select(*_MEDIA_COLUMNS).where(media.c.file_id == file_id)).one_or_none()
    return None if row is None else _media(row)


def set_metadata(conn: Connection, file_id: FileId, metadata: VideoMetadata, now: datetime) -> None:
    """Write what was learned of a media."""
    conn.execute(
        sa.update(media)
        .where(media.c.file_id == file_id)
        .values(metadata=_METADATA.dump_json(metadata).decode(), updated_at=to_us(now))
    )


def list_sprite_sets(conn: Connection, file_id: FileId) -> tuple[SpriteSetRecord, ...]:
    """Return the media's current sprite sets, by definition."""
    rows = conn.execute(
        sa.select(*_SET_COLUMNS).where(sprite_sets.c.file_id == file_id).order_by(sprite_sets.c.definition)
    )
    return tuple(_sprite_set(row) for row in rows)


def find_sprite_set(conn: Connection, file_id: FileId, definition: int) -> SpriteSetRecord | None:
    """Return the media's current sprite set of that definition."""
    row = conn.execute(
        sa.select(*_SET_COLUMNS).where(
            sprite_sets.c.file_id == file_id, sprite_sets.c.definition == definition
        )
    ).one_or_none()
    return None if row is None else _sprite_set(row)


def delete_sprite_set(conn: Connection, file_id: FileId, definition: int) -> None:
    """Forget the media's sprite set of that definition."""
    conn.execute(
        sa.delete(sprite_sets).where(sprite_sets.c.file_id == file_id, sprite_sets.c.definition == definition)
    )


def insert_sprite_set(conn: Connection, record: SpriteSetRecord) -> None:
    """Add a sprite set."""
    conn.execute(
        sa.insert(sprite_sets).values(
            file_id=record.file_id,
            definition=record.definition,
            task_id=record.task_id,
            tile_width_px=record.tile_width_px,
            tile_height_px=record.tile_height_px,
            total_count=record.total_count,
            sheet_keys=json.dumps(record.sheet_keys),
            vtt_key=record.vtt_key,
            created_at=to_us(record.created_at),
        )
    )


def add_orphans(conn: Connection, keys: Iterable[str], due_at: datetime) -> None:
    """Note objects that may go at *due_at*; the latest word counts."""
    unique = sorted(set(keys))
    remove_orphans(conn, unique)
    if unique:
        conn.execute(sa.insert(orphans), [{"object_key": key, "due_at": to_us(due_at)} for key in unique])


def remove_orphans(conn: Connection, keys: Sequence[str]) -> None:
    """Forget that these objects may go."""
    for start in range(0, len(keys), 500):
        conn.execute(sa.delete(orphans).where(orphans.c.object_key.in_(keys[start : start + 500])))


def due_orphans(conn: Connection, now: datetime, *, limit: int) -> list[str]:
    """Return up to *limit* objects that may go by now, the longest due first."""
    rows = conn.execute(
        sa.select(orphans.c.object_key)
        .where(orphans.c.due_at <= to_us(now))
        .order_by(orphans.c.due_at, orphans.c.object_key)
        .limit(limit)
    )
    return list(rows.scalars())


def find_fact(conn: Connection, name: str) -> str | None:
    """Return the installation's value of that name."""
    return conn.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar_one_or_none()


def insert_fact(conn: Connection, name: str, value: str) -> None:
    """Add a value of the installation."""
    conn.execute(sa.insert(facts).values(name=name, value=value))


def _media(row: Any) -> Media:
    return Media(
        file_id=FileId(row.file_id),
        app_id=AppId(row.app_id),
        name=row.name,
        type=row.type,
        object_key=row.object_key,
        size_bytes=row.size_bytes,
        state=MediaState(row.state),
        metadata=None if row.metadata is None else _METADATA.validate_json(row.metadata),
        created_at=from_us(row.created_at),
        updated_at=from_us(row.updated_at),
    )


def _sprite_set(row: Any) -> SpriteSetRecord:
    return SpriteSetRecord(
        file_id=FileId(row.file_id),
        definition=row.definition,
        task_id=TaskId(row.task_id),
        tile_width_px=row.tile_width_px,
        tile_height_px=row.tile_height_px,
        total_count=row.total_count,
        sheet_keys=tuple(json.loads(row.sheet_keys)),
        vtt_key=row.vtt_key,
        created_at=from_us(row.created_at),
    )

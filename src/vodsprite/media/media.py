"""Media and sprite sets as values; where their objects lie in the store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from vodsprite.errors import InvalidInput
from vodsprite.ids import AppId, FileId, TaskId
from vodsprite.video import VideoMetadata

LONGEST_NAME = 64
_TYPE = re.compile(r"[a-z0-9]{1,16}")


class MediaState(Enum):
    """Whether a media may be used."""

    NORMAL = "normal"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A registered video."""

    file_id: FileId
    app_id: AppId
    name: str  # without extension; 1 to 64 characters
    type: str  # extension in lower case, as in "mp4"; may be ""
    object_key: str  # of the original, in the store
    size_bytes: int
    state: MediaState
    metadata: VideoMetadata | None  # None until the first render
    created_at: datetime
    updated_at: datetime

    @property
    def file_name(self) -> str:
        """Name and extension, as in "holiday.mp4"."""
        return f"{self.name}.{self.type}" if self.type else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SpriteSetRecord:
    """The current sprite set of a media for one definition."""

    file_id: FileId
    definition: int
    task_id: TaskId  # the task that made it; part of every object key
    tile_width_px: int
    tile_height_px: int
    total_count: int  # tiles over all sheets
    sheet_keys: tuple[str, ...]  # in order
    vtt_key: str
    created_at: datetime

    @property
    def object_keys(self) -> tuple[str, ...]:
        """The keys of all its objects."""
        return (*self.sheet_keys, self.vtt_key)


def original_key(file_id: FileId, type_: str) -> str:
    """Return the object key of an original."""
    return f"originals/{file_id}/{file_id}.{type_}" if type_ else f"originals/{file_id}/{file_id}"


def sprite_folder(file_id: FileId, task_id: TaskId) -> str:
    """Return the folder of object keys that one task's sprite sets lie in."""
    return f"sprites/{file_id}/{task_id}"


def type_of(file_name: str) -> str:
    """Return the extension of *file_name* in lower case; "" when it has none that a URL could carry."""
    extension = file_name.rpartition(".")[2].lower() if "." in file_name.strip(".") else ""
    return extension if _TYPE.fullmatch(extension) else ""


def check_name(name: str) -> str:
    """
    Return *name* if a media may be called so.

    Raises:
        InvalidInput: It is empty, longer than 64 characters, or has control characters or slashes.
    """
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInput("name", f"has {len(name)} characters; it has 1 to {LONGEST_NAME}")
    if not name.isprintable() or "/" in name or "\\" in name:
        raise InvalidInput("name", f"is {name!r}; it has no slash and no control character")
    return name

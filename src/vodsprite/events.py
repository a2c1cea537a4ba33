"""
Every event as a value: what happened, in domain words.

Events are stored as these values and rendered when they are delivered (`wire/payloads.py`), so one event can
leave as 3.0 to one address and as 2.0 to another, and a mended payload heals what still waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from vodsprite.errors import FailureKind
from vodsprite.ids import FileId, TaskId
from vodsprite.video import VideoMetadata


class EventType(Enum):
    """The kinds of event; the value is what tables and logs keep."""

    IMAGE_SPRITE_COMPLETE = "image_sprite_complete"  # a sprite task of its own ended
    PROCEDURE_STATE_CHANGED = "procedure_state_changed"  # a task flow changed or ended
    SNAPSHOT_COMPLETE = "snapshot_complete"  # a time-point snapshot task of its own ended
    FILE_UPLOADED = "file_uploaded"  # a new media exists
    PULL_COMPLETE = "pull_complete"  # a media was fetched from a URL, or could not be
    FILE_DELETED = "file_deleted"  # media were deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a piece of work gave no result."""

    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpriteLinks:
    """A finished sprite set, as the outside reaches it."""

    tile_width_px: int
    tile_height_px: int
    total_count: int  # tiles over all sheets
    sheet_urls: tuple[str, ...]
    vtt_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpriteComplete:
    """A sprite task that was started on its own (not as part of a task flow) ended."""

    task_id: TaskId
    file_id: FileId
    definition: int
    sprites: SpriteLinks | None  # None exactly when it failed
    failure: Failure | None


class NotifyMode(Enum):
    """When a task flow raises its event."""

    FINISH = "finish"  # once, at the end
    CHANGE = "change"  # at every change of a subtask's state
    NEVER = "never"


class StepState(Enum):
    """The state of one subtask."""

    PROCESSING = "processing"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpriteStep:
    """The sprite subtask of a task flow."""

    definition: int
    state: StepState
    sprites: SpriteLinks | None = None
    failure: Failure | None = None
    progress: int = 0  # 0 to 100
    begun_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSnapshotStep:
    """The sampled-snapshot subtask of a task flow."""

    definition: int
    state: StepState
    by_percent: bool = False
    interval: int = 0  # percent or seconds
    image_urls: tuple[str, ...] = ()
    failure: Failure | None = None
    progress: int = 0
    begun_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One picture taken at a time."""

    offset_ms: int
    url: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePointStep:
    """The time-point snapshot subtask of a task flow; `offsets` as the caller wrote them ("3.5s", "10%")."""

    definition: int
    state: StepState
    offsets: tuple[str, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    failure: Failure | None = None
    progress: int = 0
    begun_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverStep:
    """The cover subtask of a task flow."""

    definition: int
    state: StepState
    by_percent: bool = False
    position: float = 0.0  # percent or seconds
    cover_url: str = ""
    failure: Failure | None = None
    progress: int = 0
    begun_at: datetime | None = None
    finished_at: datetime | None = None


Step = SpriteStep | SampleSnapshotStep | TimePointStep | CoverStep


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureStateChanged:
    """A task flow changed or ended. It also is the answer to who asks for such a task."""

    task_id: TaskId
    file_id: FileId
    file_name: str
    file_url: str
    finished: bool
    metadata: VideoMetadata | None
    steps: tuple[Step, ...]
    priority: int = 0  # -10 to 10
    notify_mode: NotifyMode = NotifyMode.FINISH
    session_context: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotComplete:
    """A time-point snapshot task that was started on its own ended."""

    task_id: TaskId
    file_id: FileId
    definition: int
    snapshots: tuple[Snapshot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What is told of a media when it appears."""

    name: str
    created_at: datetime
    updated_at: datetime
    container_type: str  # the extension, as in "mp4"
    media_url: str = ""
    cover_url: str = ""
    description: str = ""
    class_id: int = 0
    class_name: str = ""
    class_path: str = ""
    expires_at: datetime | None = None  # None: never
    source_context: str = ""
    tags: tuple[str, ...] = ()
    region: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUploaded:
    """A new media exists."""

    file_id: FileId
    facts: MediaFacts
    metadata: VideoMetadata | None = None
    procedure_task_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullComplete:
    """A media was fetched from a URL, or could not be."""

    task_id: TaskId
    file_id: FileId
    file_url: str
    facts: MediaFacts | None
    metadata: VideoMetadata | None = None
    failure: Failure | None = None
    procedure_task_id: str = ""
    session_context: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedPart:
    """A kind of derived files that was deleted; definition 0 means all of the kind."""

    kind: str
    definition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedFile:
    """One media of a deletion; no parts means everything."""

    file_id: FileId
    parts: tuple[DeletedPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDeleted:
    """Media were deleted."""

    files: tuple[DeletedFile, ...] = field(default=())


Event = (
    ImageSpriteComplete | ProcedureStateChanged | SnapshotComplete | FileUploaded | PullComplete | FileDeleted
)

TYPE_OF: dict[type, EventType] = {
    ImageSpriteComplete: EventType.IMAGE_SPRITE_COMPLETE,
    ProcedureStateChanged: EventType.PROCEDURE_STATE_CHANGED,
    SnapshotComplete: EventType.SNAPSHOT_COMPLETE,
    FileUploaded: EventType.FILE_UPLOADED,
    PullComplete: EventType.PULL_COMPLETE,
    FileDeleted: EventType.FILE_DELETED,
}
"""Which type each value is of."""

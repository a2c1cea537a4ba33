"""
Events out of the `data` of 2.0 bodies: the way back of `structures_v2.py`.

2.0 carries less than 3.0. What it lacks comes back as a default: times as 1970 or `None`, names and ids as
empty texts, tile sizes as 0; bitrates are whole kbps, durations whole seconds, and every failure of a source
is `MALFORMED`, every other one `INTERNAL`.

Raises, in all functions: `InvalidInput` with the member's path, see `reader.Reader`.
"""

from __future__ import annotations

from decimal import Decimal

from vodsprite.clock import EPOCH
from vodsprite.errors import FailureKind
from vodsprite.events import (
    CoverStep,
    DeletedFile,
    Failure,
    FileDeleted,
    FileUploaded,
    ImageSpriteComplete,
    MediaFacts,
    ProcedureStateChanged,
    PullComplete,
    SampleSnapshotStep,
    Snapshot,
    SnapshotComplete,
    SpriteLinks,
    SpriteStep,
    Step,
    StepState,
    TimePointStep,
)
from vodsprite.ids import FileId, TaskId
from vodsprite.video import AudioStream, VideoMetadata, VideoStream
from vodsprite.wire.reader import Reader
from vodsprite.wire.structures import STEP_STATUS

_SOURCE_FAILED = 30009
_STEP_STATES = {word: state for state, word in STEP_STATUS.items()}


def image_sprite_complete(data: Reader) -> ImageSpriteComplete:
    """Read the data of `CreateImageSpriteComplete`."""
    failure = _failure(data, "status")
    return ImageSpriteComplete(
        task_id=TaskId(data.text("vodTaskId")),
        file_id=FileId(data.text("fileId")),
        definition=data.integer("definition"),
        sprites=None if failure else _sprites(data, "imageSpriteUrl"),
        failure=failure,
    )


def snapshot_complete(data: Reader) -> SnapshotComplete:
    """Read the data of `CreateSnapshotByTimeOffsetComplete`."""
    return SnapshotComplete(
        task_id=TaskId(data.text("vodTaskId")),
        file_id=FileId(data.text("fileId")),
        definition=data.integer("definition"),
        snapshots=_snapshots(data, "picInfo"),
    )


def file_uploaded(data: Reader) -> FileUploaded:
    """Read the data of `NewFileUpload`."""
    return FileUploaded(
        file_id=FileId(data.text("fileId")),
        facts=MediaFacts(
            name=data.text("fileName", ""),
            created_at=EPOCH,
            updated_at=EPOCH,
            container_type="",
            media_url=data.text("fileUrl", ""),
            cover_url=data.text("coverUrl", ""),
            source_context=data.text("sourceContext", ""),
        ),
        procedure_task_id=data.text("procedureTaskId", ""),
    )


def pull_complete(data: Reader) -> PullComplete:
    """Read the data of `PullComplete`."""
    return PullComplete(
        task_id=TaskId(data.text("vodTaskId")),
        file_id=FileId(data.text("fileId", "")),
        file_url=data.text("fileUrl", ""),
        facts=None,
        failure=_failure(data, "status"),
    )


def file_deleted(data: Reader) -> FileDeleted:
    """Read the data of `FileDeleted`."""
    return FileDeleted(
        files=tuple(DeletedFile(file_id=FileId(file.text("fileId"))) for file in data.children("fileInfo"))
    )


def procedure_state_changed(data: Reader) -> ProcedureStateChanged:
    """
    Read the data of `ProcedureStateChanged`; kinds of subtask that this product has no value for are left
    out.
    """
    steps = (_step(task) for task in data.children("processTaskList"))
    return ProcedureStateChanged(
        task_id=TaskId(data.text("vodTaskId", "")),
        file_id=FileId(data.text("fileId", "")),
        file_name="",
        file_url="",
        finished=data.text("status") == "FINISH",
        metadata=_metadata(data.child("metaData")),
        steps=tuple(step for step in steps if step is not None),
    )


def _step(task: Reader) -> Step | None:
    kind = task.text("taskType")
    asked = task.child("input") or Reader({})
    output = task.child("output") or Reader({})
    definition = asked.integer("definition", 0)
    state = task.choice("status", _STEP_STATES)
    failure = None
    if state is StepState.FAIL:
        failure = _failure(task, "errCode") or Failure(
            kind=FailureKind.INTERNAL, message=task.text("message", "")
        )
    match kind:
        case "ImageSprites":
            sprites = _sprites(output, "urlList") if state is StepState.SUCCESS else None
            return SpriteStep(definition=definition, state=state, failure=failure, sprites=sprites)
        case "SampleSnapshot":
            return SampleSnapshotStep(
                definition=definition, state=state, failure=failure, image_urls=output.texts("imageUrls")
            )
        case "SnapshotByTimeOffset":
            return TimePointStep(
                definition=definition,
                state=state,
                failure=failure,
                offsets=tuple(_offset_text(offset) for offset in asked.integers("timeOffset")),
                snapshots=_snapshots(output, "imgInfo"),
            )
        case "CoverBySnapshot":
            return CoverStep(
                definition=definition,
                state=state,
                failure=failure,
                by_percent=asked.text("positionType", "Time") == "Percent",
                position=asked.number("position", 0.0),
                cover_url=output.text("imageUrl", ""),
            )
        case _:
            return None


def _sprites(output: Reader, url_member: str) -> SpriteLinks:
    return SpriteLinks(
        tile_width_px=0,
        tile_height_px=0,
        total_count=output.integer("totalCount", 0),
        sheet_urls=output.texts(url_member),
        vtt_url=output.text("webVttUrl", ""),
    )


def _snapshots(output: Reader, member: str) -> tuple[Snapshot, ...]:
    return tuple(
        Snapshot(
            offset_ms=picture.integer("timeOffset", 0),
            url=picture.text("url", ""),
            failure=_failure(picture, "status"),
        )
        for picture in output.children(member)
    )


def _offset_text(offset_ms: int) -> str:
    """3500 as "3.5s"."""
    return f"{Decimal(offset_ms).scaleb(-3).normalize():f}s"


def _failure(data: Reader, member: str) -> Failure | None:
    code = data.integer(member, 0)
    if code == 0:
        return None
    kind = FailureKind.MALFORMED if code == _SOURCE_FAILED else FailureKind.INTERNAL
    return Failure(kind=kind, message=data.text("message", ""))


def _metadata(data: Reader | None) -> VideoMetadata | None:
    """`metaData` is there even when nothing is known: no container, no size."""
    if data is None or not (data.text("container", "") or data.integer("size", 0)):
        return None
    return VideoMetadata(
        container=data.text("container", ""),
        size_bytes=data.integer("size", 0),
        duration_s=data.number("duration", 0.0),
        bitrate_bps=data.integer("bitrate", 0) * 1000,
        width_px=data.integer("width", 0),
        height_px=data.integer("height", 0),
        rotation_deg=data.integer("rotate", 0),
        video_streams=tuple(
            VideoStream(
                codec=stream.text("codec", ""),
                width_px=stream.integer("width", 0),
                height_px=stream.integer("height", 0),
                fps=stream.integer("fps", 0),
                bitrate_bps=stream.integer("bitrate", 0) * 1000,
            )
            for stream in data.children("videoStreamList")
        ),
        audio_streams=tuple(
            AudioStream(
                codec=stream.text("codec", ""),
                sampling_rate_hz=stream.integer("samplingRate", 0),
                bitrate_bps=stream.integer("bitrate", 0) * 1000,
            )
            for stream in data.children("audioStreamList")
        ),
        md5=data.text("md5", ""),
    )

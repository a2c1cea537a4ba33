"""
Events out of the CamelCase structures that any sender of the 2018-07-17 API writes: the way back of
`structures.py`.

Members that are absent, `null` or unknown to us do not hurt. What the wire does not carry comes back as a
default: the tile size of a sprite task as 0, the kind of a failure that has only a number as the likeliest
one of its group, the message of a single failed picture as an empty text, fractions of a second not at all.

Raises, in all functions: `InvalidInput` with the member's path, see `reader.Reader`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from vodsprite.clock import EPOCH
from vodsprite.errors import FailureKind
from vodsprite.events import (
    CoverStep,
    DeletedFile,
    DeletedPart,
    Failure,
    FileDeleted,
    FileUploaded,
    ImageSpriteComplete,
    MediaFacts,
    NotifyMode,
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
from vodsprite.wire.structures import FAILURE_CODES, NEVER, NOTIFY_MODE, STEP_STATUS

_KIND_OF_EXT = {codes.ext: kind for kind, codes in FAILURE_CODES.items()}
_KIND_OF_GROUP = {"InvalidInput": FailureKind.CONFIGURATION, "SourceFileError": FailureKind.MALFORMED}
_KIND_OF_CODE = {40000: FailureKind.CONFIGURATION, 60000: FailureKind.MALFORMED}
_STEP_STATES = {word: state for state, word in STEP_STATUS.items()}
_NOTIFY_MODES = {word: mode for mode, word in NOTIFY_MODE.items()}


def create_image_sprite_task(task: Reader) -> ImageSpriteComplete:
    """Read `CreateImageSpriteTask2017`."""
    failure = _failure_of_code(task)
    sprites = SpriteLinks(
        tile_width_px=0,
        tile_height_px=0,
        total_count=task.integer("TotalCount", 0),
        sheet_urls=task.texts("ImageSpriteUrlSet"),
        vtt_url=task.text("WebVttUrl", ""),
    )
    return ImageSpriteComplete(
        task_id=TaskId(task.text("TaskId")),
        file_id=FileId(task.text("FileId")),
        definition=task.integer("Definition"),
        sprites=None if failure else sprites,
        failure=failure,
    )


def snapshot_by_time_offset_task(task: Reader) -> SnapshotComplete:
    """Read `SnapshotByTimeOffsetTask2017`."""
    return SnapshotComplete(
        task_id=TaskId(task.text("TaskId")),
        file_id=FileId(task.text("FileId")),
        definition=task.integer("Definition"),
        snapshots=tuple(
            Snapshot(
                offset_ms=round(picture.number("TimeOffset", 0.0)),
                url=picture.text("Url", ""),
                failure=_failure_of_code(picture),
            )
            for picture in task.children("SnapshotInfoSet")
        ),
    )


def procedure_task(task: Reader) -> ProcedureStateChanged:
    """Read `ProcedureTask`; results of kinds of subtask that this product has no value for are left out."""
    steps = (media_process_task_result(result) for result in task.children("MediaProcessResultSet"))
    return ProcedureStateChanged(
        task_id=TaskId(task.text("TaskId")),
        file_id=FileId(task.text("FileId", "")),
        file_name=task.text("FileName", ""),
        file_url=task.text("FileUrl", ""),
        finished=task.text("Status") == "FINISH",
        metadata=media_meta_data(task.child("MetaData")),
        steps=tuple(step for step in steps if step is not None),
        priority=task.integer("TasksPriority", 0),
        notify_mode=task.choice("TasksNotifyMode", _NOTIFY_MODES, NotifyMode.FINISH),
        session_context=task.text("SessionContext", ""),
        session_id=task.text("SessionId", ""),
    )


class _Frame(TypedDict):
    """What all kinds of subtask have."""

    definition: int
    state: StepState
    failure: Failure | None
    progress: int
    begun_at: datetime | None
    finished_at: datetime | None


def media_process_task_result(result: Reader) -> Step | None:
    """Read `MediaProcessTaskResult`; `None` for a kind of subtask that this product has no value for."""
    match result.text("Type"):
        case "ImageSprites":
            task = result.required_child("ImageSpriteTask")
            item = task.child("Output")
            return SpriteStep(**_frame(task), sprites=media_image_sprite_item(item) if item else None)
        case "SampleSnapshot":
            task = result.required_child("SampleSnapshotTask")
            output = task.child("Output") or Reader({})
            return SampleSnapshotStep(
                **_frame(task),
                by_percent=output.text("SampleType", "Time") == "Percent",
                interval=output.integer("Interval", 0),
                image_urls=output.texts("ImageUrlSet"),
            )
        case "SnapshotByTimeOffset":
            task = result.required_child("SnapshotByTimeOffsetTask")
            output = task.child("Output") or Reader({})
            return TimePointStep(
                **_frame(task),
                offsets=task.required_child("Input").texts("ExtTimeOffsetSet"),
                snapshots=tuple(
                    Snapshot(offset_ms=round(picture.number("TimeOffset", 0.0)), url=picture.text("Url", ""))
                    for picture in output.children("PicInfoSet")
                ),
            )
        case "CoverBySnapshot":
            task = result.required_child("CoverBySnapshotTask")
            asked = task.required_child("Input")
            output = task.child("Output") or Reader({})
            return CoverStep(
                **_frame(task),
                by_percent=asked.text("PositionType", "Time") == "Percent",
                position=asked.number("PositionValue", 0.0),
                cover_url=output.text("CoverUrl", ""),
            )
        case _:
            return None


def _frame(task: Reader) -> _Frame:
    state = task.choice("Status", _STEP_STATES)
    failure = None
    if state is StepState.FAIL:
        failure = Failure(kind=_kind_of_ext(task), message=task.text("Message", ""))
    return {
        "definition": task.required_child("Input").integer("Definition"),
        "state": state,
        "failure": failure,
        "progress": task.integer("Progress", 0),
        "begun_at": task.time("BeginProcessTime"),
        "finished_at": task.time("FinishTime"),
    }


def media_image_sprite_item(item: Reader) -> SpriteLinks:
    """Read `MediaImageSpriteItem`."""
    return SpriteLinks(
        tile_width_px=item.integer("Width", 0),
        tile_height_px=item.integer("Height", 0),
        total_count=item.integer("TotalCount", 0),
        sheet_urls=item.texts("ImageUrlSet"),
        vtt_url=item.text("WebVttUrl", ""),
    )


def media_meta_data(data: Reader | None) -> VideoMetadata | None:
    """Read `MediaMetaData`."""
    if data is None:
        return None
    return VideoMetadata(
        container=data.text("Container", ""),
        size_bytes=data.integer("Size", 0),
        duration_s=data.number("Duration", 0.0),
        bitrate_bps=data.integer("Bitrate", 0),
        width_px=data.integer("Width", 0),
        height_px=data.integer("Height", 0),
        rotation_deg=data.integer("Rotate", 0),
        video_streams=tuple(
            VideoStream(
                codec=stream.text("Codec", ""),
                codec_tag=stream.text("CodecTag", ""),
                width_px=stream.integer("Width", 0),
                height_px=stream.integer("Height", 0),
                fps=stream.integer("Fps", 0),
                bitrate_bps=stream.integer("Bitrate", 0),
            )
            for stream in data.children("VideoStreamSet")
        ),
        audio_streams=tuple(
            AudioStream(
                codec=stream.text("Codec", ""),
                sampling_rate_hz=stream.integer("SamplingRate", 0),
                bitrate_bps=stream.integer("Bitrate", 0),
            )
            for stream in data.children("AudioStreamSet")
        ),
        audio_duration_s=data.number("AudioDuration", 0.0),
        md5=data.text("Md5", ""),
    )


def media_basic_info(info: Reader) -> MediaFacts:
    """Read `MediaBasicInfo`; a time that it lacks comes back as 1970."""
    source = info.child("SourceInfo") or Reader({})
    expires = info.text("ExpireTime", "")
    return MediaFacts(
        name=info.text("Name", ""),
        created_at=info.time("CreateTime") or EPOCH,
        updated_at=info.time("UpdateTime") or EPOCH,
        container_type=info.text("Type", ""),
        media_url=info.text("MediaUrl", ""),
        cover_url=info.text("CoverUrl", ""),
        description=info.text("Description", ""),
        class_id=info.integer("ClassId", 0),
        class_name=info.text("ClassName", ""),
        class_path=info.text("ClassPath", ""),
        expires_at=None if expires == NEVER else info.time("ExpireTime"),
        source_context=source.text("SourceContext", ""),
        tags=info.texts("TagSet"),
        region=info.text("StorageRegion", ""),
        path=info.text("StoragePath", ""),
    )


def file_upload_task(task: Reader) -> FileUploaded:
    """Read `FileUploadTask`."""
    return FileUploaded(
        file_id=FileId(task.text("FileId")),
        facts=media_basic_info(task.required_child("MediaBasicInfo")),
        metadata=media_meta_data(task.child("MetaData")),
        procedure_task_id=task.text("ProcedureTaskId", ""),
    )


def pull_upload_task(task: Reader) -> PullComplete:
    """Read `PullUploadTask`."""
    info = task.child("MediaBasicInfo")
    return PullComplete(
        task_id=TaskId(task.text("TaskId")),
        file_id=FileId(task.text("FileId", "")),
        file_url=task.text("FileUrl", ""),
        facts=media_basic_info(info) if info else None,
        metadata=media_meta_data(task.child("MetaData")),
        failure=_failure_of_code(task),
        procedure_task_id=task.text("ProcedureTaskId", ""),
        session_context=task.text("SessionContext", ""),
        session_id=task.text("SessionId", ""),
    )


def file_delete_task(task: Reader) -> FileDeleted:
    """Read `FileDeleteTask`, also of senders before 2022, which only list the ids."""
    results = task.children("FileDeleteResultInfo")
    if not results:
        ids = task.texts("FileIdSet")
        return FileDeleted(files=tuple(DeletedFile(file_id=FileId(file_id)) for file_id in ids))
    return FileDeleted(
        files=tuple(
            DeletedFile(
                file_id=FileId(result.text("FileId")),
                parts=tuple(
                    DeletedPart(kind=part.text("Type"), definition=part.integer("Definition", 0))
                    for part in result.children("DeleteParts")
                ),
            )
            for result in results
        )
    )


def _failure_of_code(task: Reader) -> Failure | None:
    """The failure behind a bare number."""
    code = task.integer("ErrCode", 0)
    if code == 0:
        return None
    kind = _KIND_OF_CODE.get(code, FailureKind.INTERNAL)
    return Failure(kind=kind, message=task.text("Message", ""))


def _kind_of_ext(task: Reader) -> FailureKind:
    """The kind behind a text code, else the one of its group, else the one of the number beside it."""
    ext = task.text("ErrCodeExt", "")
    group = ext.partition(".")[0]
    by_code = _KIND_OF_CODE.get(task.integer("ErrCode", 0), FailureKind.INTERNAL)
    return _KIND_OF_EXT.get(ext) or _KIND_OF_GROUP.get(group) or by_code

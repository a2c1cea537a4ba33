"""
CamelCase structures of the 2018-07-17 API that events and answers share.

Each is rendered by the function of its name, its members in one fixed order. `parsing.py` is the way back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from vodsprite.errors import FailureKind
from vodsprite.events import (
    CoverStep,
    Failure,
    FileDeleted,
    FileUploaded,
    ImageSpriteComplete,
    MediaFacts,
    NotifyMode,
    ProcedureStateChanged,
    PullComplete,
    SampleSnapshotStep,
    SnapshotComplete,
    SpriteLinks,
    SpriteStep,
    Step,
    StepState,
    TimePointStep,
)
from vodsprite.video import VideoMetadata

Json = dict[str, Any]
"""A JSON object, its members in the order in which they are written."""

UNSET_TIME = "0000-00-00T00:00:00Z"
"""A time inside a subtask that has not come yet."""

NEVER = "9999-12-31T23:59:59Z"
"""The expiry time of a media that does not expire."""


class FailureCodes(NamedTuple):
    """How the wire writes a failure."""

    ext: str  # ErrCodeExt of a subtask
    code: int  # ErrCode, 3.0
    code_v2: int  # errCode and status, 2.0


FAILURE_CODES = {
    FailureKind.NO_PICTURE: FailureCodes("SourceFileError.NoVideoMedia", 60000, 30009),
    FailureKind.MALFORMED: FailureCodes("SourceFileError.ContentMalformed", 60000, 30009),
    FailureKind.UNSUPPORTED: FailureCodes("SourceFileError.ContentUnsupported", 60000, 30009),
    FailureKind.NOT_ACCESSIBLE: FailureCodes("SourceFileError.DownloadNotAccessible", 60000, 30009),
    FailureKind.CONFIGURATION: FailureCodes("InvalidInput.ConfigurationUnsupported", 40000, 30010),
    FailureKind.INTERNAL: FailureCodes("InternalError", 70000, 30010),
}
"""Every kind of failure. 3.0 counts 40000 as bad input, 60000 as a bad source, 70000 as ours."""

_SUCCESS = FailureCodes("", 0, 0)

STEP_STATUS = {
    StepState.PROCESSING: "PROCESSING",
    StepState.SUCCESS: "SUCCESS",
    StepState.FAIL: "FAIL",
}
"""Words for the state of a subtask, in both formats."""

NOTIFY_MODE = {NotifyMode.FINISH: "Finish", NotifyMode.CHANGE: "Change", NotifyMode.NEVER: "None"}
"""Words of `TasksNotifyMode`, in both APIs."""

_STEP_MEMBERS = (
    "TranscodeTask",
    "AnimatedGraphicTask",
    "SnapshotByTimeOffsetTask",
    "SampleSnapshotTask",
    "ImageSpriteTask",
    "CoverBySnapshotTask",
    "AdaptiveDynamicStreamingTask",
)


def failure_codes(failure: Failure | None) -> FailureCodes:
    """Return the codes of *failure*; of `None`, those of success."""
    return FAILURE_CODES[failure.kind] if failure else _SUCCESS


def time_text(instant: datetime) -> str:
    """Return *instant* in ISO 8601, UTC, whole seconds, with `Z`."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def number(value: float) -> float:
    """Return *value* so that JSON writes a whole number without a fraction."""
    return int(value) if float(value).is_integer() else value


def create_image_sprite_task(event: ImageSpriteComplete) -> Json:
    """Render `CreateImageSpriteTask2017`, its members in the order of the documented callback."""
    sprites = event.sprites
    return {
        "ErrCode": failure_codes(event.failure).code,
        "Message": event.failure.message if event.failure else "",
        "TaskId": event.task_id,
        "FileId": event.file_id,
        "Definition": event.definition,
        "TotalCount": sprites.total_count if sprites else 0,
        "ImageSpriteUrlSet": list(sprites.sheet_urls) if sprites else [],
        "WebVttUrl": sprites.vtt_url if sprites else "",
    }


def snapshot_by_time_offset_task(event: SnapshotComplete) -> Json:
    """Render `SnapshotByTimeOffsetTask2017`. A failed picture has a code and no message of its own."""
    return {
        "TaskId": event.task_id,
        "FileId": event.file_id,
        "Definition": event.definition,
        "SnapshotInfoSet": [
            {
                "ErrCode": failure_codes(snapshot.failure).code,
                "TimeOffset": snapshot.offset_ms,
                "Url": snapshot.url,
            }
            for snapshot in event.snapshots
        ],
    }


def procedure_task(event: ProcedureStateChanged) -> Json:
    """Render `ProcedureTask`, which is `FINISH` also when subtasks failed."""
    return {
        "TaskId": event.task_id,
        "Status": "FINISH" if event.finished else "PROCESSING",
        # Deprecated in favour of the subtasks' codes, but receivers read both without looking.
        "ErrCode": 0,
        "Message": "SUCCESS",
        "FileId": event.file_id,
        "FileName": event.file_name,
        "FileUrl": event.file_url,
        "MetaData": media_meta_data(event.metadata),
        "MediaProcessResultSet": [media_process_task_result(step) for step in event.steps],
        "AiContentReviewResultSet": [],
        "AiAnalysisResultSet": [],
        "AiRecognitionResultSet": [],
        "TasksPriority": event.priority,
        "TasksNotifyMode": NOTIFY_MODE[event.notify_mode],
        "SessionContext": event.session_context,
        "SessionId": event.session_id,
        "Operator": "",
        "OperationType": "",
    }


def media_process_task_result(step: Step) -> Json:
    """Render `MediaProcessTaskResult`: the type, and every kind's member, one of them filled."""
    kind, filled, input_, output = _step_parts(step)
    codes = _SUCCESS
    message = "SUCCESS" if step.state is StepState.SUCCESS else ""
    if step.state is StepState.FAIL:
        failure = step.failure or Failure(kind=FailureKind.INTERNAL, message="")
        codes, message = failure_codes(failure), failure.message
    result: Json = {"Type": kind} | dict.fromkeys(_STEP_MEMBERS)
    result[filled] = {
        "Status": STEP_STATUS[step.state],
        "ErrCodeExt": codes.ext,
        "ErrCode": codes.code,
        "Message": message,
        "Input": input_,
        "Output": output if step.state is StepState.SUCCESS else None,
        "Progress": step.progress,
        "BeginProcessTime": time_text(step.begun_at) if step.begun_at else UNSET_TIME,
        "FinishTime": time_text(step.finished_at) if step.finished_at else UNSET_TIME,
    }
    return result


def _step_parts(step: Step) -> tuple[str, str, Json, Json | None]:
    """The type, the member's name, the input and the output of *step*."""
    match step:
        case SpriteStep():
            output = media_image_sprite_item(step.definition, step.sprites) if step.sprites else None
            return "ImageSprites", "ImageSpriteTask", {"Definition": step.definition}, output
        case SampleSnapshotStep():
            return (
                "SampleSnapshot",
                "SampleSnapshotTask",
                {"Definition": step.definition, "WatermarkSet": []},
                {
                    "Definition": step.definition,
                    "SampleType": unit(step.by_percent),
                    "Interval": step.interval,
                    "ImageUrlSet": list(step.image_urls),
                    "WaterMarkDefinition": [],
                },
            )
        case TimePointStep():
            return (
                "SnapshotByTimeOffset",
                "SnapshotByTimeOffsetTask",
                {
                    "Definition": step.definition,
                    "ExtTimeOffsetSet": list(step.offsets),
                    "TimeOffsetSet": [],
                    "WatermarkSet": [],
                },
                {
                    "Definition": step.definition,
                    "PicInfoSet": [
                        {"TimeOffset": picture.offset_ms, "Url": picture.url, "WaterMarkDefinition": []}
                        for picture in step.snapshots
                    ],
                },
            )
        case CoverStep():
            return (
                "CoverBySnapshot",
                "CoverBySnapshotTask",
                {
                    "Definition": step.definition,
                    "PositionType": unit(step.by_percent),
                    "PositionValue": number(step.position),
                    "WatermarkSet": [],
                },
                {"CoverUrl": step.cover_url},
            )


def media_image_sprite_item(definition: int, sprites: SpriteLinks) -> Json:
    """Render `MediaImageSpriteItem`: a sprite set as task flows and media descriptions show it."""
    return {
        "Definition": definition,
        "Height": sprites.tile_height_px,
        "Width": sprites.tile_width_px,
        "TotalCount": sprites.total_count,
        "ImageUrlSet": list(sprites.sheet_urls),
        "WebVttUrl": sprites.vtt_url,
    }


def media_meta_data(metadata: VideoMetadata | None) -> Json | None:
    """
    Render `MediaMetaData`; `None` while nothing is known. Both durations are the picture's, as measured.
    """
    if metadata is None:
        return None
    return {
        "Size": metadata.size_bytes,
        "Container": metadata.container,
        "Bitrate": metadata.bitrate_bps,
        "Height": metadata.height_px,
        "Width": metadata.width_px,
        "Duration": number(metadata.duration_s),
        "Rotate": metadata.rotation_deg,
        "VideoStreamSet": [
            {
                "Bitrate": stream.bitrate_bps,
                "Height": stream.height_px,
                "Width": stream.width_px,
                "Codec": stream.codec,
                "Fps": stream.fps,
                "CodecTag": stream.codec_tag,
                "DynamicRangeInfo": None,
            }
            for stream in metadata.video_streams
        ],
        "AudioStreamSet": [
            {
                "Bitrate": stream.bitrate_bps,
                "SamplingRate": stream.sampling_rate_hz,
                "Codec": stream.codec,
            }
            for stream in metadata.audio_streams
        ],
        "VideoDuration": number(metadata.duration_s),
        "AudioDuration": number(metadata.audio_duration_s),
        "Md5": metadata.md5,
    }


def media_basic_info(facts: MediaFacts) -> Json:
    """Render `MediaBasicInfo`."""
    return {
        "Name": facts.name,
        "Description": facts.description,
        "CreateTime": time_text(facts.created_at),
        "UpdateTime": time_text(facts.updated_at),
        "ExpireTime": time_text(facts.expires_at) if facts.expires_at else NEVER,
        "ClassId": facts.class_id,
        "ClassName": facts.class_name,
        "ClassPath": facts.class_path,
        "CoverUrl": facts.cover_url,
        "Type": facts.container_type,
        "MediaUrl": facts.media_url,
        "SourceInfo": {
            "SourceType": "Upload",
            "SourceContext": facts.source_context,
            "LiveRecordInfo": None,
            "TrtcRecordInfo": None,
            "WebPageRecordInfo": None,
        },
        "StorageRegion": facts.region,
        "StoragePath": facts.path,
        "TagSet": list(facts.tags),
        "Vid": "",
        "Category": "Video",
        "Status": "Normal",
        "StorageClass": "STANDARD",
    }


def file_upload_task(event: FileUploaded) -> Json:
    """Render `FileUploadTask`."""
    return {
        "FileId": event.file_id,
        "MediaBasicInfo": media_basic_info(event.facts),
        "ProcedureTaskId": event.procedure_task_id,
        "ReviewAudioVideoTaskId": "",
        "MetaData": media_meta_data(event.metadata),
    }


def pull_upload_task(event: PullComplete) -> Json:
    """Render `PullUploadTask` of a pull that has ended."""
    return {
        "TaskId": event.task_id,
        "Status": "FINISH",
        "ErrCode": failure_codes(event.failure).code,
        "Message": event.failure.message if event.failure else "SUCCESS",
        "FileId": event.file_id,
        "MediaBasicInfo": media_basic_info(event.facts) if event.facts else None,
        "MetaData": media_meta_data(event.metadata),
        "FileUrl": event.file_url,
        "ProcedureTaskId": event.procedure_task_id,
        "ReviewAudioVideoTaskId": "",
        "SessionContext": event.session_context,
        "SessionId": event.session_id,
        "Progress": 0 if event.failure else 100,
    }


def file_delete_task(event: FileDeleted) -> Json:
    """Render `FileDeleteTask`."""
    return {
        "FileIdSet": [file.file_id for file in event.files],
        "FileDeleteResultInfo": [
            {
                "FileId": file.file_id,
                "DeleteParts": [{"Type": part.kind, "Definition": part.definition} for part in file.parts],
            }
            for file in event.files
        ],
    }


def unit(by_percent: bool) -> str:
    """Return the word for what a position or an interval counts."""
    return "Percent" if by_percent else "Time"

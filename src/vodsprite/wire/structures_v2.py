"""
The `data` of 2.0 events, which the 2017 API also answers with for a task.

Absent values are left out and `null` is never written, but for two cases in which receivers index without a
guard: a sprite task that failed has all members of one that did not, and `metaData` is there before anything
is known.
"""

from __future__ import annotations

import re
from decimal import Decimal

from vodsprite.errors import FailureKind
from vodsprite.events import (
    CoverStep,
    Failure,
    FileDeleted,
    FileUploaded,
    ImageSpriteComplete,
    ProcedureStateChanged,
    PullComplete,
    SampleSnapshotStep,
    SnapshotComplete,
    SpriteStep,
    Step,
    StepState,
    TimePointStep,
)
from vodsprite.video import VideoMetadata
from vodsprite.wire.structures import STEP_STATUS, Json, failure_codes, unit

_OFFSET = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(s|%)", re.ASCII)
_NOTHING_KNOWN = VideoMetadata(
    container="",
    size_bytes=0,
    duration_s=0.0,
    bitrate_bps=0,
    width_px=0,
    height_px=0,
    rotation_deg=0,
    video_streams=(),
    audio_streams=(),
)


def image_sprite_complete(event: ImageSpriteComplete) -> Json:
    """Render the data of `CreateImageSpriteComplete`."""
    sprites = event.sprites
    return {
        "vodTaskId": event.task_id,
        "status": failure_codes(event.failure).code_v2,
        "message": event.failure.message if event.failure else "",
        "fileId": event.file_id,
        "definition": event.definition,
        "totalCount": sprites.total_count if sprites else 0,
        "imageSpriteUrl": list(sprites.sheet_urls) if sprites else [],
        "webVttUrl": sprites.vtt_url if sprites else "",
    }


def snapshot_complete(event: SnapshotComplete) -> Json:
    """Render the data of `CreateSnapshotByTimeOffsetComplete`."""
    return {
        "vodTaskId": event.task_id,
        "fileId": event.file_id,
        "definition": event.definition,
        "picInfo": [
            {
                "timeOffset": snapshot.offset_ms,
                "url": snapshot.url,
                "status": failure_codes(snapshot.failure).code_v2,
            }
            for snapshot in event.snapshots
        ],
    }


def file_uploaded(event: FileUploaded) -> Json:
    """Render the data of `NewFileUpload`."""
    facts = event.facts
    data: Json = {
        "fileId": event.file_id,
        "fileName": facts.name,
        "coverUrl": facts.cover_url,
        "fileUrl": facts.media_url,
        "author": "",
        "sourceType": "ServerUpload",
        "sourceContext": facts.source_context,
    }
    if event.procedure_task_id:
        data["procedureTaskId"] = event.procedure_task_id
    return data


def pull_complete(event: PullComplete) -> Json:
    """Render the data of `PullComplete`."""
    return {
        "vodTaskId": event.task_id,
        "status": failure_codes(event.failure).code_v2,
        "message": event.failure.message if event.failure else "",
        "fileId": event.file_id,
        "fileUrl": event.file_url,
    }


def file_deleted(event: FileDeleted) -> Json:
    """Render the data of `FileDeleted`, which has no word for parts of a media."""
    return {
        "status": 0,
        "message": "",
        "fileInfo": [{"fileId": file.file_id} for file in event.files],
    }


def procedure_state_changed(event: ProcedureStateChanged) -> Json:
    """Render the data of `ProcedureStateChanged`."""
    duration_s = event.metadata.duration_s if event.metadata else None
    return {
        "vodTaskId": event.task_id,
        "status": "FINISH" if event.finished else "PROCESSING",
        "errCode": 0,
        "message": "",
        "fileId": event.file_id,
        "metaData": _meta_data(event.metadata or _NOTHING_KNOWN),
        "processTaskList": [_process_task(step, duration_s) for step in event.steps],
    }


def offset_ms(text: str, duration_s: float | None) -> int | None:
    """
    Return the milliseconds of an offset as callers write it ("3.5s", "10%"); `None` if that can't be known.
    """
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    value = Decimal(match[1])
    if match[2] == "s":
        return round(value * 1000)
    return None if duration_s is None else round(value * Decimal(duration_s) * 10)


def _process_task(step: Step, duration_s: float | None) -> Json:
    kind, asked, output = _process_parts(step, duration_s)
    failure = None
    if step.state is StepState.FAIL:
        failure = step.failure or Failure(kind=FailureKind.INTERNAL, message="")
    task: Json = {
        "taskType": kind,
        "status": STEP_STATUS[step.state],
        "errCode": failure_codes(failure).code_v2,
        "message": failure.message if failure else "",
        "input": asked,
    }
    if step.state is StepState.SUCCESS:
        task["output"] = output
    return task


def _process_parts(step: Step, duration_s: float | None) -> tuple[str, Json, Json]:
    """The type, the input and the output of *step*."""
    match step:
        case SpriteStep():
            sprites = step.sprites
            return (
                "ImageSprites",
                {"definition": step.definition},
                {
                    "totalCount": sprites.total_count if sprites else 0,
                    "urlList": list(sprites.sheet_urls) if sprites else [],
                    "webVttUrl": sprites.vtt_url if sprites else "",
                },
            )
        case SampleSnapshotStep():
            return (
                "SampleSnapshot",
                {"definition": step.definition},
                {"imageUrls": list(step.image_urls)},
            )
        case TimePointStep():
            offsets = (offset_ms(text, duration_s) for text in step.offsets)
            return (
                "SnapshotByTimeOffset",
                {
                    "definition": step.definition,
                    "timeOffset": [offset for offset in offsets if offset is not None],
                },
                {
                    "imgInfo": [
                        {"timeOffset": picture.offset_ms, "url": picture.url} for picture in step.snapshots
                    ]
                },
            )
        case CoverStep():
            return (
                "CoverBySnapshot",
                {
                    "definition": step.definition,
                    "positionType": unit(step.by_percent),
                    "position": round(step.position),
                },
                {"imageUrl": step.cover_url},
            )


def _meta_data(metadata: VideoMetadata) -> Json:
    """
    `metaData`: bitrates in kbps as its description says (published samples look like bps), whole seconds.
    """
    return {
        "size": metadata.size_bytes,
        "container": metadata.container,
        "bitrate": _kbps(metadata.bitrate_bps),
        "height": metadata.height_px,
        "width": metadata.width_px,
        "md5": metadata.md5,
        "duration": round(metadata.duration_s),
        "rotate": metadata.rotation_deg,
        "videoStreamList": [
            {
                "bitrate": _kbps(stream.bitrate_bps),
                "height": stream.height_px,
                "width": stream.width_px,
                "codec": stream.codec,
                "fps": stream.fps,
            }
            for stream in metadata.video_streams
        ],
        "audioStreamList": [
            {
                "bitrate": _kbps(stream.bitrate_bps),
                "samplingRate": stream.sampling_rate_hz,
                "codec": stream.codec,
            }
            for stream in metadata.audio_streams
        ],
    }


def _kbps(bps: int) -> int:
    return round(bps / 1000)

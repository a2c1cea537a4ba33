"""Asking what became of a task."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from vodsprite.api.call import Call, Fields
from vodsprite.api.params import Request
from vodsprite.events import ImageSpriteComplete, ProcedureStateChanged
from vodsprite.ids import TaskId
from vodsprite.tasks.task import TaskKind, TaskState
from vodsprite.wire import structures

STATUS = {
    TaskState.WAITING: "WAITING",
    TaskState.PROCESSING: "PROCESSING",
    TaskState.FINISHED: "FINISH",
    TaskState.ABORTED: "ABORTED",
}
"""Words for the state of a task."""

TASK_TYPES = {TaskKind.IMAGE_SPRITE: "ImageSprites", TaskKind.PROCEDURE: "Procedure"}
"""Words for the kind of a task."""

TASK_MEMBERS = (
    "ProcedureTask",
    "EditMediaTask",
    "WechatPublishTask",
    "ComposeMediaTask",
    "SplitMediaTask",
    "WechatMiniProgramPublishTask",
    "PullUploadTask",
    "TranscodeTask",
    "ConcatTask",
    "ClipTask",
    "CreateImageSpriteTask",
    "SnapshotByTimeOffsetTask",
    "RemoveWatermarkTask",
    "RebuildMediaTask",
    "ExtractTraceWatermarkTask",
    "ExtractCopyRightWatermarkTask",
    "ReviewAudioVideoTask",
    "ReduceMediaBitrateTask",
    "DescribeFileAttributesTask",
    "QualityInspectTask",
    "QualityEnhanceTask",
    "ComplexAdaptiveDynamicStreamingTask",
)
"""Every kind's member of the answer, in its order; all are null but for the one that the type fills."""


class DescribeTaskDetailRequest(Request):
    """DescribeTaskDetail, 2018-07-17."""

    model_config = ConfigDict(alias_generator=to_pascal)

    task_id: str = Field(min_length=1, max_length=256)


def describe_task_detail(call: Call, request: DescribeTaskDetailRequest) -> Fields:
    """Tell how a task of the last three days stands. A sprite task's own member is null until it is over."""
    found = call.parts.tasks.describe(call.app.app_id, TaskId(request.task_id), now=call.now)
    task = found.task
    members: Fields = dict.fromkeys(TASK_MEMBERS)
    match found.snapshot:
        case ProcedureStateChanged() as procedure:
            members["ProcedureTask"] = structures.procedure_task(procedure)
        case ImageSpriteComplete() as sprites:
            members["CreateImageSpriteTask"] = structures.create_image_sprite_task(sprites)
    return {
        "TaskType": TASK_TYPES[task.kind],
        "Status": STATUS[task.state],
        "CreateTime": _time(task.created_at),
        "BeginProcessTime": _time(task.begun_at),
        "FinishTime": _time(task.finished_at),
        **members,
    }


def _time(instant: datetime | None) -> str:
    return structures.time_text(instant) if instant else ""

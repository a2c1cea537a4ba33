"""Every action of the 2017 API, and at the end the table of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from vodsprite.api.call import Action, Call, Fields, action
from vodsprite.api.params import Request
from vodsprite.clock import to_us
from vodsprite.ids import FileId, TaskId
from vodsprite.tasks.task import TaskKind, TaskState
from vodsprite.wire import payloads

_LARGEST_DEFINITION = 2**31 - 1

_STATUS = {
    TaskState.WAITING: "WAITING",
    TaskState.PROCESSING: "PROCESSING",
    TaskState.FINISHED: "FINISH",
    TaskState.ABORTED: "FINISH",  # this generation has no word for it
}

_TYPES = {TaskKind.IMAGE_SPRITE: "imageSprite", TaskKind.PROCEDURE: "Procedure"}


class CreateImageSpriteRequest(Request):
    """CreateImageSprite, 2017."""

    model_config = ConfigDict(alias_generator=to_camel)

    file_id: str = Field(min_length=1, max_length=64)
    definition: int = Field(ge=0, le=_LARGEST_DEFINITION)


class PullEventRequest(Request):
    """PullEvent, 2017."""


class ConfirmEventRequest(Request):
    """ConfirmEvent, 2017."""

    model_config = ConfigDict(alias_generator=to_camel)

    msg_handle: list[Annotated[str, Field(max_length=256)]]


class GetTaskInfoRequest(Request):
    """GetTaskInfo, 2017."""

    model_config = ConfigDict(alias_generator=to_camel)

    vod_task_id: str = Field(min_length=1, max_length=256)


def create_image_sprite(call: Call, request: CreateImageSpriteRequest) -> Fields:
    """Start a sprite task of its own, which raises CreateImageSpriteComplete."""
    task_id = call.parts.tasks.submit_image_sprite(
        call.app.app_id, FileId(request.file_id), request.definition, base_url=call.base_url
    )
    return {"vodTaskId": task_id}


async def pull_event(call: Call, request: PullEventRequest) -> Fields:
    """Lease up to 16 events that have a 2.0 form, waiting for the first; an empty list when none came."""
    pulled = await call.parts.pulls.long_poll(call.app.app_id, v2=True)
    return {
        "eventList": [
            {"msgHandle": one.handle, "eventContent": payloads.render_v2(one.event)} for one in pulled
        ]
    }


def confirm_event(call: Call, request: ConfirmEventRequest) -> Fields:
    """Settle the events of these handles, whichever generation pulled them."""
    call.parts.pulls.confirm(call.app.app_id, request.msg_handle, now=call.now)
    return {}


def get_task_info(call: Call, request: GetTaskInfoRequest) -> Fields:
    """Tell how a task of the last three days stands; `data` is that of its 2.0 event, once there is any."""
    found = call.parts.tasks.describe(call.app.app_id, TaskId(request.vod_task_id), now=call.now)
    task = found.task
    fields: Fields = {
        "type": _TYPES[task.kind],
        "status": _STATUS[task.state],
        "createTime": _seconds(task.created_at),
        "beginProcessTime": _seconds(task.begun_at),
        "finishTime": _seconds(task.finished_at),
    }
    body = payloads.render_v2(found.snapshot) if found.snapshot else None
    if body is not None and task.state is not TaskState.WAITING:
        fields["data"] = body["data"]
    return fields


def _seconds(instant: datetime | None) -> int:
    return to_us(instant) // 1_000_000 if instant else 0


ACTIONS: dict[str, Action] = {
    "CreateImageSprite": action(CreateImageSpriteRequest, create_image_sprite),
    "PullEvent": action(PullEventRequest, pull_event),
    "ConfirmEvent": action(ConfirmEventRequest, confirm_event),
    "GetTaskInfo": action(GetTaskInfoRequest, get_task_info),
}
"""Name -> action."""

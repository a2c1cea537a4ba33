"""Starting work on a media: ProcessMedia, and CreateImageSprite, our extension of this generation."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from vodsprite.api.call import Call, Fields
from vodsprite.api.params import Request, RequestModel
from vodsprite.errors import MissingInput, Unsupported, WrongType
from vodsprite.events import NotifyMode
from vodsprite.ids import FileId

LARGEST_DEFINITION = 2**31 - 1
"""The widest integer that every database keeps for a definition."""

_NOTIFY_MODES = {"Finish": NotifyMode.FINISH, "Change": NotifyMode.CHANGE, "None": NotifyMode.NEVER}
_ONLY_SPRITES = "is not supported: this service makes image sprites (MediaProcessTask.ImageSpriteTaskSet)"


class ImageSpriteTaskInput(RequestModel):
    """One sprite subtask."""

    model_config = ConfigDict(alias_generator=to_pascal)

    definition: int = Field(ge=0, le=LARGEST_DEFINITION)


class MediaProcessTaskInput(RequestModel):
    """The subtasks of a task flow. Kinds of work that are not declared here are refused, not ignored."""

    model_config = ConfigDict(alias_generator=to_pascal)

    image_sprite_task_set: list[ImageSpriteTaskInput] = Field(default=[], max_length=100)


class ProcessMediaRequest(Request):
    """ProcessMedia, 2018-07-17."""

    model_config = ConfigDict(alias_generator=to_pascal)

    file_id: str = Field("", max_length=64)
    media_storage_path: str = ""
    url: str = ""
    media_process_task: MediaProcessTaskInput | None = None
    tasks_priority: int = 0
    tasks_notify_mode: Literal["Finish", "Change", "None"] = "Finish"
    session_context: str = ""
    session_id: str = ""
    ext_info: str = ""
    output_as_independent_media: str = ""  # concerns transcodes only


class CreateImageSpriteRequest(Request):
    """CreateImageSprite with the members of this generation."""

    model_config = ConfigDict(alias_generator=to_pascal)

    file_id: str = Field(min_length=1, max_length=64)
    definition: int = Field(ge=0, le=LARGEST_DEFINITION)
    session_context: str = ""
    session_id: str = ""


def process_media(call: Call, request: ProcessMediaRequest) -> Fields:
    """Start a task flow of one sprite subtask per element of `ImageSpriteTaskSet`."""
    _refuse_other_work(request)
    task = request.media_process_task
    if task is None or not task.image_sprite_task_set:
        raise WrongType("MediaProcessTask", "asks for no work; ImageSpriteTaskSet needs an element")
    task_id = call.parts.tasks.submit_procedure(
        call.app.app_id,
        _file_id(request),
        [one.definition for one in task.image_sprite_task_set],
        priority=request.tasks_priority,
        notify_mode=_NOTIFY_MODES[request.tasks_notify_mode],
        session_id=request.session_id,
        session_context=request.session_context,
        base_url=call.base_url,
    )
    return {"TaskId": task_id}


def create_image_sprite(call: Call, request: CreateImageSpriteRequest) -> Fields:
    """Start a sprite task of its own, which raises CreateImageSpriteComplete."""
    task_id = call.parts.tasks.submit_image_sprite(
        call.app.app_id,
        FileId(request.file_id),
        request.definition,
        session_id=request.session_id,
        session_context=request.session_context,
        base_url=call.base_url,
    )
    return {"TaskId": task_id}


def _file_id(request: ProcessMediaRequest) -> FileId:
    """The media to work on. `Url` and `MediaStoragePath` only count while there is no `FileId`."""
    if request.file_id:
        return FileId(request.file_id)
    for name, value in (("Url", request.url), ("MediaStoragePath", request.media_storage_path)):
        if value:
            raise Unsupported(name, "is not supported; register the file and name it by FileId")
    raise MissingInput("FileId")


def _refuse_other_work(request: ProcessMediaRequest) -> None:
    """Refuse work that would be dropped: members named `…Task` or `…TaskSet` that we do not do."""
    for name, value in (request.model_extra or {}).items():
        if name.endswith("Task") and value:
            raise Unsupported(name, _ONLY_SPRITES)
    task = request.media_process_task
    for name, value in ((task and task.model_extra) or {}).items():
        if name.endswith("TaskSet") and value:
            raise Unsupported(f"MediaProcessTask.{name}", _ONLY_SPRITES)

"""Bodies of other senders, and of strangers: read into an event or refused by the member's name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vodsprite import samples
from vodsprite.errors import FailureKind, InvalidInput, MissingInput, WrongType
from vodsprite.events import (
    DeletedFile,
    Failure,
    FileDeleted,
    ProcedureStateChanged,
    SpriteStep,
    StepState,
)
from vodsprite.ids import FileId, TaskId
from vodsprite.wire import payloads, structures

SPRITE_TASK = structures.create_image_sprite_task(samples.IMAGE_SPRITE_COMPLETE)
FLOW_TASK = structures.procedure_task(samples.PROCEDURE_FINISHED)


def test_members_that_newer_or_older_senders_have_or_lack_do_not_hurt() -> None:
    """A body of another implementation is read when members are missing, null, unknown or of other kinds."""
    task = {
        "TaskId": "1500000001-procedurev2-1tt0",
        "Status": "FINISH",
        "MetaData": None,
        "MediaProcessResultSet": [
            {"Type": "Transcode", "TranscodeTask": {"Status": "SUCCESS"}},
            {
                "Type": "ImageSprites",
                "ImageSpriteTask": {
                    "Status": "FAIL",
                    "ErrCode": 60000,
                    "Input": {"Definition": 10},
                    "BeginProcessTime": "0001-01-01T00:00:00Z",
                    "FinishTime": "2026-03-02T16:16:05+08:00",
                },
            },
        ],
        "AiContentReviewResultSet": None,
        "SomethingNewer": [1],
    }

    event = payloads.parse_v3({"EventType": "ProcedureStateChanged", "ProcedureStateChangeEvent": task})

    assert event == ProcedureStateChanged(
        task_id=TaskId("1500000001-procedurev2-1tt0"),
        file_id=FileId(""),
        file_name="",
        file_url="",
        finished=True,
        metadata=None,
        steps=(
            SpriteStep(
                definition=10,
                state=StepState.FAIL,
                failure=Failure(kind=FailureKind.MALFORMED, message=""),
                finished_at=datetime(2026, 3, 2, 8, 16, 5, tzinfo=UTC),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"ErrCodeExt": "SourceFileError.NoVideoMedia"}, FailureKind.NO_PICTURE),
        ({"ErrCodeExt": "SourceFileError.NoVideoResolution"}, FailureKind.MALFORMED),
        ({"ErrCodeExt": "InvalidInput"}, FailureKind.CONFIGURATION),
        ({"ErrCodeExt": "SomethingNewer", "ErrCode": 40000}, FailureKind.CONFIGURATION),
        ({"ErrCode": 1}, FailureKind.INTERNAL),
        ({}, FailureKind.INTERNAL),
    ],
)
def test_a_failed_subtask_is_read_by_its_best_code(told: dict[str, Any], kind: FailureKind) -> None:
    """The text code says most, then its group, then the number beside it."""
    task = {"Status": "FAIL", "Input": {"Definition": 10}, "Message": "no", **told}
    results = [{"Type": "ImageSprites", "ImageSpriteTask": task}]

    event = payloads.parse_v3(
        {
            "EventType": "ProcedureStateChanged",
            "ProcedureStateChangeEvent": {**FLOW_TASK, "MediaProcessResultSet": results},
        }
    )

    assert isinstance(event, ProcedureStateChanged)
    assert event.steps[0].failure == Failure(kind=kind, message="no")


def test_a_2_0_subtask_that_is_not_done_has_no_sprites() -> None:
    """Only success brings sprites; an empty set is not what an unfinished subtask has."""
    body = payloads.render_v2(samples.PROCEDURE_FAILED)

    event = payloads.parse_v2(body)

    assert isinstance(event, ProcedureStateChanged)
    [step] = event.steps
    assert isinstance(step, SpriteStep)
    assert step.sprites is None


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-01:00", "2026-13-01T00:00:00Z", "noon"]
)
def test_a_time_that_is_none_is_refused_by_the_member_s_path(text: str) -> None:
    """A time beyond the calendar is refused like any other that can't be read."""
    info = {**structures.media_basic_info(samples.FILE_UPLOADED.facts), "CreateTime": text}
    body = {"EventType": "NewFileUpload", "FileUploadEvent": {"FileId": "1", "MediaBasicInfo": info}}

    with pytest.raises(WrongType) as caught:
        payloads.parse_v3(body)

    assert caught.value.field == "FileUploadEvent.MediaBasicInfo.CreateTime"


def test_deletions_of_older_senders_list_ids_only() -> None:
    """Before 2022 a deletion had no results."""
    body = {"EventType": "FileDeleted", "FileDeleteEvent": {"FileIdSet": ["1", "2"]}}

    assert payloads.parse_v3(body) == FileDeleted(
        files=(DeletedFile(file_id=FileId("1")), DeletedFile(file_id=FileId("2")))
    )


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        (None, WrongType, "body"),
        ([], WrongType, "body"),
        ({}, MissingInput, "EventType"),
        ({"EventType": 1}, WrongType, "EventType"),
        ({"EventType": "FileDeleted"}, MissingInput, "FileDeleteEvent"),
        ({"EventType": "FileDeleted", "FileDeleteEvent": "x"}, WrongType, "FileDeleteEvent"),
        (
            {"EventType": "FileDeleted", "FileDeleteEvent": {"FileIdSet": [1]}},
            WrongType,
            "FileDeleteEvent.FileIdSet",
        ),
        (
            {"EventType": "FileDeleted", "FileDeleteEvent": {"FileDeleteResultInfo": [{}]}},
            MissingInput,
            "FileDeleteEvent.FileDeleteResultInfo[0].FileId",
        ),
        (
            {"EventType": "FileDeleted", "FileDeleteEvent": {"FileDeleteResultInfo": {}}},
            WrongType,
            "FileDeleteEvent.FileDeleteResultInfo",
        ),
        (
            {
                "EventType": "CreateImageSpriteComplete",
                "CreateImageSpriteCompleteEvent": {**SPRITE_TASK, "FileId": 5285890000000000001},
            },
            WrongType,
            "CreateImageSpriteCompleteEvent.FileId",
        ),
        (
            {
                "EventType": "CreateImageSpriteComplete",
                "CreateImageSpriteCompleteEvent": {**SPRITE_TASK, "TotalCount": True},
            },
            WrongType,
            "CreateImageSpriteCompleteEvent.TotalCount",
        ),
        (
            {
                "EventType": "ProcedureStateChanged",
                "ProcedureStateChangeEvent": {**FLOW_TASK, "TasksNotifyMode": "Sometimes"},
            },
            InvalidInput,
            "ProcedureStateChangeEvent.TasksNotifyMode",
        ),
        (
            {
                "EventType": "ProcedureStateChanged",
                "ProcedureStateChangeEvent": {
                    **FLOW_TASK,
                    "MetaData": {**FLOW_TASK["MetaData"], "Duration": 10**400},
                },
            },
            WrongType,
            "ProcedureStateChangeEvent.MetaData.Duration",
        ),
        (
            {
                "EventType": "ProcedureStateChanged",
                "ProcedureStateChangeEvent": {
                    **FLOW_TASK,
                    "MediaProcessResultSet": [
                        {
                            "Type": "ImageSprites",
                            "ImageSpriteTask": {
                                "Status": "SUCCESS",
                                "Input": {"Definition": 10},
                                "FinishTime": "2026-03-02T08:16:05",
                            },
                        }
                    ],
                },
            },
            WrongType,
            "ProcedureStateChangeEvent.MediaProcessResultSet[0].ImageSpriteTask.FinishTime",
        ),
    ],
)
def test_a_malformed_body_is_refused_by_the_member_s_path(
    body: object, error: type[InvalidInput], field: str
) -> None:
    """Whoever reads a broken body learns which member is broken, wherever it lies."""
    with pytest.raises(error) as caught:
        payloads.parse_v3(body)

    assert type(caught.value) is error
    assert caught.value.field == field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value inside *value*."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    if isinstance(value, list):
        inner = list(enumerate(value))
    return [at, *(path for name, item in inner for path in paths(item, (*at, name)))]


@settings(deadline=None, max_examples=300)
@given(data=st.data(), name=st.sampled_from(list(samples.SAMPLES)), junk=json_values, v2=st.booleans())
def test_a_body_with_anything_anywhere_is_read_or_refused(
    data: st.DataObject, name: str, junk: Any, v2: bool
) -> None:
    """Whatever JSON stands in for whichever member, a receiver gets an event or an `InvalidInput`."""
    event = samples.SAMPLES[name]
    body: Any = payloads.render_v2(event) if v2 else payloads.render_v3(event)
    body = json.loads(json.dumps(body))
    path = data.draw(st.sampled_from(paths(body)[1:]))
    holder = body
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = junk

    try:
        payloads.parse_v2(body) if v2 else payloads.parse_v3(body)
    except InvalidInput as error:
        assert error.field  # noqa: PT017  being refused is one of the two ways out

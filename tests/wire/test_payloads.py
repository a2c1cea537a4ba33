"""Event bodies: the documented examples, member by member, and the way back."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vodsprite import samples
from vodsprite.errors import FailureKind, Unsupported
from vodsprite.events import (
    TYPE_OF,
    Event,
    EventType,
    Failure,
    ProcedureStateChanged,
    SampleSnapshotStep,
    Snapshot,
    SpriteStep,
    StepState,
    TimePointStep,
)
from vodsprite.video import VideoMetadata
from vodsprite.wire import payloads, structures, webhook

EXAMPLES = Path(__file__).parent / "examples"

Example = Callable[[str], Any]

_PULL_FACTS = samples.PULL_COMPLETE.facts
assert _PULL_FACTS is not None

EXAMPLES_V3: dict[str, Event] = {
    "event-create-image-sprite-complete.json": samples.IMAGE_SPRITE_COMPLETE,
    "event-create-image-sprite-complete-failed.json": samples.IMAGE_SPRITE_FAILED,
    "event-create-snapshot-by-time-offset-complete.json": samples.SNAPSHOT_COMPLETE,
    "event-file-deleted.json": samples.FILE_DELETED,
    "event-new-file-upload.json": samples.FILE_UPLOADED,
    "event-procedure-state-changed.json": samples.PROCEDURE_FINISHED,
    "event-procedure-state-changed-processing.json": samples.PROCEDURE_PROCESSING,
    # The example's media is called lagoon and lies under another name.
    "event-pull-complete.json": replace(
        samples.PULL_COMPLETE,
        facts=replace(_PULL_FACTS, media_url=samples.FILE_UPLOADED.facts.media_url),
    ),
}

_FINISHED_STEPS = samples.PROCEDURE_FINISHED.steps
_METADATA = samples.PROCEDURE_FINISHED.metadata
assert _METADATA is not None

EXAMPLES_V2: dict[str, Event] = {
    "event2-create-image-sprite-complete.json": samples.IMAGE_SPRITE_COMPLETE,
    "event2-create-snapshot-by-time-offset-complete.json": replace(
        samples.SNAPSHOT_COMPLETE, snapshots=samples.SNAPSHOT_COMPLETE.snapshots[:1]
    ),
    "event2-file-deleted.json": samples.FILE_DELETED,
    "event2-new-file-upload.json": samples.FILE_UPLOADED,
    "event2-pull-complete.json": samples.PULL_COMPLETE,
    "event2-procedure-state-changed.json": replace(
        samples.PROCEDURE_FINISHED,
        metadata=replace(
            _METADATA,
            container="mp4",
            md5="6f8f57715090da2632453988d9a1501b",
            bitrate_bps=1_024_000,
            video_streams=(replace(_METADATA.video_streams[0], bitrate_bps=896_000),),
            audio_streams=(replace(_METADATA.audio_streams[0], bitrate_bps=128_000),),
        ),
        steps=(
            _FINISHED_STEPS[0],
            SampleSnapshotStep(
                definition=10,
                state=StepState.FAIL,
                failure=Failure(kind=FailureKind.INTERNAL, message="internal error"),
            ),
            TimePointStep(
                definition=10,
                state=StepState.SUCCESS,
                offsets=("3.5s",),
                snapshots=(
                    Snapshot(
                        offset_ms=3500,
                        url=samples.SNAPSHOT_COMPLETE.snapshots[0].url,
                    ),
                ),
            ),
            _FINISHED_STEPS[3],
        ),
    ),
}

# What a service that makes no such thing never sends.
FOREIGN_V3 = {
    "event-clip-complete.json",
    "event-concat-complete.json",
    "event-edit-media-complete.json",
    "event-transcode-complete.json",
    "event-wechat-publish-complete.json",
}
FOREIGN_V2 = {
    "event2-clip-complete.json",
    "event2-concat-complete.json",
    "event2-transcode-complete.json",
}
OWN_TESTS = {"event-signed.json", "event-procedure-state-changed-failed.json"}


def ordered(body: Any) -> str:
    """*body* as text, so that the order of members and the type of every number count."""
    return json.dumps(body, ensure_ascii=False, indent=1)


def test_every_event_example_is_looked_at() -> None:
    """An example that is added is one that these tests compare."""
    assert {path.name for path in EXAMPLES.glob("event-*.json")} == {*EXAMPLES_V3, *FOREIGN_V3, *OWN_TESTS}
    assert {path.name for path in EXAMPLES.glob("event2-*.json")} == {*EXAMPLES_V2, *FOREIGN_V2}


@pytest.mark.parametrize("name", EXAMPLES_V3)
def test_a_3_0_body_is_the_documented_one(example: Example, name: str) -> None:
    """What we push is the example, with every member in its place."""
    assert ordered(payloads.render_v3(EXAMPLES_V3[name])) == ordered(example(name))


@pytest.mark.parametrize("name", EXAMPLES_V2)
def test_a_2_0_body_is_the_documented_one(example: Example, name: str) -> None:
    """What we push to a 2.0 address is the example, with every member in its place."""
    assert ordered(payloads.render_v2(EXAMPLES_V2[name])) == ordered(example(name))


def test_a_signed_body_ends_in_sign_and_t(example: Example, vectors: Any) -> None:
    """With a SignKey a pushed body ends in `Sign` and `T`, computed from the moment of sending."""
    vector = vectors["callbackSign"]
    sent_at = datetime.fromtimestamp(vector["T"] - 600, UTC)

    body = payloads.render_v3(
        samples.IMAGE_SPRITE_COMPLETE, sign=webhook.callback_sign(vector["SignKey"], sent_at)
    )

    assert ordered(body) == ordered(example("event-signed.json"))


def test_a_failure_that_we_have_no_code_for_comes_back_as_its_group(example: Example) -> None:
    """A foreign failure of a subtask is read as the likeliest of its group; all else of the body stays."""
    body = example("event-procedure-state-changed-failed.json")
    event = payloads.parse_v3(body)
    assert isinstance(event, ProcedureStateChanged)
    assert event.steps[0].failure == Failure(
        kind=FailureKind.CONFIGURATION, message="template 4711 does not exist"
    )

    task = body["ProcedureStateChangeEvent"]["MediaProcessResultSet"][0]["ImageSpriteTask"]
    task["ErrCodeExt"] = "InvalidInput.ConfigurationUnsupported"
    assert ordered(payloads.render_v3(event)) == ordered(body)


def test_pulled_events_carry_their_handle_first(example: Example) -> None:
    """A pulled event is a pushed one behind its handle."""
    pulled = example("pull-events.json")["Response"]["EventSet"]

    rendered = [
        payloads.render_v3(samples.IMAGE_SPRITE_COMPLETE, handle="eh-c4ca4238a0b923820dcc509a6f75849b"),
        payloads.render_v3(samples.PROCEDURE_FINISHED, handle="eh-c81e728d9d4c2f636f067f89cc14862c"),
    ]

    assert ordered(rendered) == ordered(pulled)


def test_a_sprite_event_has_the_shape_of_the_documented_callback() -> None:
    """
    The callback's page lists eleven members and eight in the payload: ours come in that order, and after them
    whatever later receivers look for, empty.
    """
    body = payloads.render_v3(samples.IMAGE_SPRITE_COMPLETE)

    names = list(body)
    assert names[:11] == [
        "EventType",
        "FileUploadEvent",
        "ProcedureStateChangeEvent",
        "FileDeleteEvent",
        "PullCompleteEvent",
        "EditMediaComplete",
        "WechatPublishComplete",
        "TranscodeCompleteEvent",
        "ConcatCompleteEvent",
        "ClipCompleteEvent",
        "CreateImageSpriteCompleteEvent",
    ]
    assert all(body[name] is None for name in names[1:10] + names[11:])
    assert {name: type(value) for name, value in body["CreateImageSpriteCompleteEvent"].items()} == {
        "ErrCode": int,
        "Message": str,
        "TaskId": str,
        "FileId": str,
        "Definition": int,
        "TotalCount": int,
        "ImageSpriteUrlSet": list,
        "WebVttUrl": str,
    }
    assert list(body["CreateImageSpriteCompleteEvent"]) == [
        "ErrCode",
        "Message",
        "TaskId",
        "FileId",
        "Definition",
        "TotalCount",
        "ImageSpriteUrlSet",
        "WebVttUrl",
    ]


@pytest.mark.parametrize("name", sorted(FOREIGN_V3))
def test_events_of_other_services_have_the_same_envelope(example: Example, name: str) -> None:
    """The members around the payload are the same for every type, also for those that we never send."""
    assert list(example(name)) == list(payloads.render_v3(samples.FILE_DELETED))


@pytest.mark.parametrize("name", sorted(FOREIGN_V3))
def test_an_event_that_we_have_no_value_for_is_refused_by_name(example: Example, name: str) -> None:
    """A receiver that gets another service's event learns its type."""
    body = example(name)
    with pytest.raises(Unsupported, match=body["EventType"]):
        payloads.parse_v3(body)


@pytest.mark.parametrize("name", sorted(FOREIGN_V2))
def test_a_2_0_event_that_we_have_no_value_for_is_refused_by_name(example: Example, name: str) -> None:
    """The same in the older format."""
    body = example(name)
    with pytest.raises(Unsupported, match=body["eventType"]):
        payloads.parse_v2(body)


def test_task_answers_use_the_structures_of_events(example: Example) -> None:
    """What a description of a task or a media shows is what its event shows."""
    detail = example("action-DescribeTaskDetail.json")["response"]["Response"]["ProcedureTask"]
    assert ordered(structures.procedure_task(samples.PROCEDURE_FINISHED)) == ordered(detail)

    sprite = example("action-DescribeTaskDetail-image-sprite-2017.json")["response"]["Response"]
    assert (
        structures.create_image_sprite_task(samples.IMAGE_SPRITE_COMPLETE) == sprite["CreateImageSpriteTask"]
    )

    [media] = example("action-DescribeMediaInfos.json")["response"]["Response"]["MediaInfoSet"]
    assert ordered(structures.media_basic_info(samples.FILE_UPLOADED.facts)) == ordered(media["BasicInfo"])
    step = samples.PROCEDURE_FINISHED.steps[0]
    assert isinstance(step, SpriteStep)
    assert step.sprites is not None
    item = structures.media_image_sprite_item(step.definition, step.sprites)
    assert ordered([item]) == ordered(media["ImageSpriteInfo"]["ImageSpriteSet"])


def test_2017_answers_use_the_data_of_2_0_events(example: Example) -> None:
    """`GetTaskInfo` and `PullEvent` show what the 2.0 callback shows."""
    body = payloads.render_v2(samples.IMAGE_SPRITE_COMPLETE)
    assert body is not None

    assert ordered(body["data"]) == ordered(example("action2017-GetTaskInfo.json")["response"]["data"])
    [pulled] = example("action2017-PullEvent.json")["response"]["eventList"]
    assert ordered(body) == ordered(pulled["eventContent"])


def test_every_event_type_has_a_sample_and_a_name() -> None:
    """A type that is added is one with a sample, a name of its own and a way back from it."""
    names = {event_type: payloads.event_type_name(event_type) for event_type in EventType}

    assert len(set(names.values())) == len(EventType)
    for event_type, name in names.items():
        assert payloads.type_from_name(name) is event_type
        assert TYPE_OF[type(samples.sample(event_type))] is event_type
        assert payloads.has_v2(event_type)


def test_an_unknown_type_name_is_refused() -> None:
    """The refusal shows the names that exist."""
    with pytest.raises(Unsupported, match="CreateImageSpriteComplete"):
        payloads.type_from_name("Nonsense")


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_the_sdk_reads_every_member(name: str) -> None:
    """The vendor's SDK finds each member of our payloads by the name under which it looks, and loses none."""
    models: Any = importlib.import_module("tencentcloud.vod.v20180717.models")
    body = payloads.render_v3(samples.SAMPLES[name], handle="eh-1")
    content = models.EventContent()

    with warnings.catch_warnings():
        # The members that only the documented callback has are unknown to the SDK, and null.
        warnings.simplefilter("ignore", UserWarning)
        content.from_json_string(payloads.to_bytes(body).decode())

    assert without_nulls(json.loads(content.to_json_string())) == without_nulls(body)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def test_bodies_are_compact_utf_8() -> None:
    """Bytes are JSON without spaces, and text is UTF-8 rather than escapes."""
    assert (
        payloads.to_bytes({"Name": "雪碧图", "Set": [1, None]}) == '{"Name":"雪碧图","Set":[1,null]}'.encode()
    )


def test_what_json_has_no_form_for_is_refused_here() -> None:
    """A number that JSON cannot write would be a body that no receiver can read."""
    with pytest.raises(ValueError, match="JSON"):
        payloads.to_bytes({"Duration": float("nan")})


def test_text_that_has_no_utf_8_form_does_not_stop_an_event() -> None:
    """A client can put half a surrogate pair into its own context; the event still goes out."""
    event = replace(samples.PROCEDURE_FINISHED, session_context=json.loads(r'"a\ud83dz"'))

    body = json.loads(payloads.to_bytes(payloads.render_v3(event)))

    assert body["ProcedureStateChangeEvent"]["SessionContext"] == "a?z"


def test_2_0_leaves_out_a_task_that_an_upload_did_not_start() -> None:
    """An upload without a procedure has no word of one in the older format, and an empty one in the newer."""
    event = replace(samples.FILE_UPLOADED, procedure_task_id="")
    body = payloads.render_v2(event)
    assert body is not None

    assert "procedureTaskId" not in body["data"]
    assert payloads.render_v3(event)["FileUploadEvent"]["ProcedureTaskId"] == ""


@pytest.mark.parametrize(("duration_s", "told"), [(59.96, 60), (0.6, 1), (98.66, 99), (125.4, 125)])
def test_2_0_tells_the_nearest_whole_second(duration_s: float, told: int) -> None:
    """The older format has whole seconds, kilobits and no fractions."""
    assert _METADATA is not None
    metadata = replace(_METADATA, duration_s=duration_s)

    body = payloads.render_v2(replace(samples.PROCEDURE_FINISHED, metadata=metadata))

    assert body is not None
    assert body["data"]["metaData"]["duration"] == told


def test_a_procedure_of_which_nothing_is_known_yet_renders() -> None:
    """Before a file was looked at, 3.0 says null and 2.0 has an empty object, which is never absent there."""
    event = replace(samples.PROCEDURE_PROCESSING, metadata=None)

    assert payloads.render_v3(event)["ProcedureStateChangeEvent"]["MetaData"] is None
    body = payloads.render_v2(event)
    assert body is not None
    assert body["data"]["metaData"]["size"] == 0
    assert body["data"]["metaData"]["videoStreamList"] == []
    back = payloads.parse_v2(body)
    assert isinstance(back, ProcedureStateChanged)
    assert back.metadata is None


@pytest.mark.parametrize(
    ("kind", "ext", "code", "code_v2"),
    [
        (FailureKind.NO_PICTURE, "SourceFileError.NoVideoMedia", 60000, 30009),
        (FailureKind.MALFORMED, "SourceFileError.ContentMalformed", 60000, 30009),
        (FailureKind.UNSUPPORTED, "SourceFileError.ContentUnsupported", 60000, 30009),
        (FailureKind.NOT_ACCESSIBLE, "SourceFileError.DownloadNotAccessible", 60000, 30009),
        (FailureKind.CONFIGURATION, "InvalidInput.ConfigurationUnsupported", 40000, 30010),
        (FailureKind.INTERNAL, "InternalError", 70000, 30010),
    ],
)
def test_a_failure_has_its_documented_codes(kind: FailureKind, ext: str, code: int, code_v2: int) -> None:
    """Every kind of failure shows as the codes of its group, in each structure that has room for them."""
    failure = Failure(kind=kind, message="what went wrong")
    alone = replace(samples.IMAGE_SPRITE_FAILED, failure=failure)
    step = SpriteStep(definition=10, state=StepState.FAIL, failure=failure)
    flow = replace(samples.PROCEDURE_FAILED, steps=(step,))

    task = payloads.render_v3(alone)["CreateImageSpriteCompleteEvent"]
    assert (task["ErrCode"], task["Message"]) == (code, "what went wrong")
    [result] = payloads.render_v3(flow)["ProcedureStateChangeEvent"]["MediaProcessResultSet"]
    subtask = result["ImageSpriteTask"]
    assert (subtask["Status"], subtask["ErrCodeExt"], subtask["ErrCode"]) == ("FAIL", ext, code)
    assert (subtask["Message"], subtask["Output"]) == ("what went wrong", None)
    body, flow_body = payloads.render_v2(alone), payloads.render_v2(flow)
    assert body is not None
    assert flow_body is not None
    assert (body["data"]["status"], body["data"]["imageSpriteUrl"]) == (code_v2, [])
    [process] = flow_body["data"]["processTaskList"]
    assert (process["status"], process["errCode"], "output" in process) == ("FAIL", code_v2, False)


def test_every_kind_of_failure_has_codes() -> None:
    """A kind that is added is one that the wire can tell."""
    assert set(structures.FAILURE_CODES) == set(FailureKind)


@pytest.mark.parametrize(
    ("offsets", "metadata", "expected"),
    [
        (("3.5s", "0s", "0.0004s"), _METADATA, [3500, 0, 0]),
        (("10%", "50%", "33.3%"), _METADATA, [12540, 62700, 41758]),
        (("10%", "2s"), None, [2000]),
        (("soon", "-1s", "٣s", "1e9s"), _METADATA, []),
    ],
)
def test_2_0_tells_offsets_in_milliseconds(
    offsets: tuple[str, ...], metadata: VideoMetadata | None, expected: list[int]
) -> None:
    """Percentages need the duration; what can't be known in milliseconds is left out."""
    step = TimePointStep(definition=10, state=StepState.PROCESSING, offsets=offsets)
    body = payloads.render_v2(replace(samples.PROCEDURE_PROCESSING, steps=(step,), metadata=metadata))
    assert body is not None

    assert body["data"]["processTaskList"][0]["input"]["timeOffset"] == expected

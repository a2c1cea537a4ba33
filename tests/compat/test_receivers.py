"""What a started service pushes, taken by receivers that others wrote, or that know little."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError as StandardRefusal
from svix.webhooks import Webhook as SvixWebhook
from svix.webhooks import WebhookVerificationError as SvixRefusal

from vodsprite.apps.app import DeliveryMode
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.delivery.outbox import Outbox
from vodsprite.ids import RandomIds
from vodsprite.samples import SAMPLES
from vodsprite.testing.receiver import Received, Receiver
from vodsprite.testing.served import Served

OLD, NEW = "whsec_dGhlIG9sZCBzZWNyZXQgb2YgMjQgYnl0", "whsec_dGhlIG5ldyBzZWNyZXQgb2YgMjQgYnl0"
ANOTHER = "whsec_b25lIG1vcmUgc2VjcmV0IG9mIDI0IGJ5"

DOCUMENTED = (
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
)
"""The members that the documented sample of the sprite event shows, in its order."""

OTHERS = (
    "EditMediaCompleteEvent",
    "ComposeMediaCompleteEvent",
    "WechatPublishCompleteEvent",
    "SnapshotByTimeOffsetCompleteEvent",
    "WechatMiniProgramPublishCompleteEvent",
    "WechatMiniProgramPublishEvent",
)
"""Those that the SDKs and a captured callback add."""


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Received]:
    """Every sample event, by its name, as a started service pushed it while two secrets were valid."""
    data = tmp_path_factory.mktemp("compat") / "data"
    with Receiver() as receiver, Served(data, settings={"outbound_allow": "loopback"}):
        database = Database(DatabaseSettings(url=f"sqlite:///{data / 'vodsprite.sqlite'}"))
        with contextlib.closing(database):
            apps = AppRegistry(database, SystemClock(), RandomIds())
            app_id = apps.find(None).app_id
            apps.change_subscription(
                app_id, mode=DeliveryMode.PUSH, url=receiver.url, secrets=[NEW, OLD], muted=()
            )
            names = {}
            for name, event in SAMPLES.items():
                with database.transaction() as conn:
                    event_id = Outbox(RandomIds()).record(conn, app_id, event, now=SystemClock().now())
                assert event_id is not None
                names[event_id] = name
            received = receiver.wait_for(len(SAMPLES))
    return {names[one.headers["webhook-id"]]: one for one in received}  # type: ignore[index]


@pytest.mark.parametrize("secret", [NEW, OLD])
@pytest.mark.parametrize("name", SAMPLES)
def test_their_libraries_verify_our_signatures(pushed: dict[str, Received], name: str, secret: str) -> None:
    """Standard Webhooks' own library and Svix's accept what we sign, with either of two valid secrets."""
    one = pushed[name]
    body, headers = one.body.decode(), dict(one.headers)
    assert StandardWebhook(secret).verify(body, headers) == one.json()
    SvixWebhook(secret).verify(body, headers)


def test_their_libraries_refuse_what_is_not_ours(pushed: dict[str, Received]) -> None:
    """A changed body, another event's id and another secret are refused: acceptance means something."""
    one, other = list(pushed.values())[:2]
    body, headers = one.body.decode(), dict(one.headers)
    forgeries: list[tuple[str, str, dict[str, str]]] = [
        (NEW, body.replace('"EventType":"', '"EventType":"X'), headers),
        (NEW, body, headers | {"webhook-id": other.headers["webhook-id"]}),
        (ANOTHER, body, headers),
    ]
    for secret, text, signed in forgeries:
        with pytest.raises(StandardRefusal):
            StandardWebhook(secret).verify(text, signed)
        with pytest.raises(SvixRefusal):
            SvixWebhook(secret).verify(text, signed)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_receiver_that_guards_nothing_survives(pushed: dict[str, Received], name: str) -> None:
    """It takes every member that any source names by its key; exactly one is filled."""
    event = pushed[name].json()
    filled = [member for member in (*DOCUMENTED, *OTHERS) if event[member] is not None]
    assert len(filled) == 1
    assert _read_all(filled[0], event[filled[0]])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_receiver_of_the_documented_sample_survives(pushed: dict[str, Received], name: str) -> None:
    """It knows one type and that sample's members, and asks of others only that their own members be null."""
    event = pushed[name].json()
    if event["EventType"] != "CreateImageSpriteComplete":
        assert event["CreateImageSpriteCompleteEvent"] is None
        return
    assert [member for member in event if member in DOCUMENTED] == list(DOCUMENTED)
    assert [event[member] for member in DOCUMENTED[:-1]] == [None] * (len(DOCUMENTED) - 1)
    sprite = event["CreateImageSpriteCompleteEvent"]
    urls: list[str] = sprite["ImageSpriteUrlSet"]
    if sprite["ErrCode"] == 0:
        assert urls[0].startswith("http")
        assert sprite["WebVttUrl"].endswith(".vtt")
        assert sprite["TotalCount"] > 0
    else:
        assert (urls, sprite["WebVttUrl"], sprite["TotalCount"]) == ([], "", 0)
        assert sprite["Message"]
    assert sprite["TaskId"].startswith("CreateImageSprite-")
    assert int(sprite["FileId"]) > 0
    assert sprite["Definition"] == 10


def _read_all(member: str, payload: dict[str, Any]) -> str:
    """Read as a script does that was written from the tables of the reference; a missing key is its end."""
    if member == "ProcedureStateChangeEvent":
        parts = [payload[key] for key in ("TaskId", "Status", "ErrCode", "Message", "FileId", "FileName")]
        parts += [payload[key] for key in ("FileUrl", "MetaData", "TasksPriority", "TasksNotifyMode")]
        parts += [payload[key] for key in ("SessionContext", "SessionId", "AiAnalysisResultSet")]
        parts += [payload[key] for key in ("AiContentReviewResultSet", "AiRecognitionResultSet")]
        parts += [_read_result(result) for result in payload["MediaProcessResultSet"]]
        return json.dumps(parts)
    if member == "CreateImageSpriteCompleteEvent":
        names = ["ErrCode", "Message", "TaskId", "FileId", "Definition", "TotalCount"]
        return json.dumps([payload[key] for key in (*names, "ImageSpriteUrlSet", "WebVttUrl")])
    if member == "SnapshotByTimeOffsetCompleteEvent":
        pictures = [(one["ErrCode"], one["TimeOffset"], one["Url"]) for one in payload["SnapshotInfoSet"]]
        return json.dumps([payload["TaskId"], payload["FileId"], payload["Definition"], pictures])
    if member == "FileUploadEvent":
        basic = payload["MediaBasicInfo"]
        names = ["Name", "Description", "CreateTime", "ClassId", "ClassName", "CoverUrl", "MediaUrl", "Type"]
        facts = [payload["FileId"], payload["ProcedureTaskId"], payload["MetaData"]]
        return json.dumps([*facts, *(basic[key] for key in names)])
    if member == "PullCompleteEvent":
        names = ["TaskId", "Status", "ErrCode", "Message", "FileId", "MediaBasicInfo", "MetaData", "FileUrl"]
        return json.dumps(
            [payload[key] for key in (*names, "ProcedureTaskId", "SessionContext", "SessionId")]
        )
    assert member == "FileDeleteEvent"
    parts = [(one["FileId"], one["DeleteParts"]) for one in payload["FileDeleteResultInfo"]]
    return json.dumps([payload["FileIdSet"], parts])


def _read_result(result: dict[str, Any]) -> list[Any]:
    members = ["TranscodeTask", "AnimatedGraphicTask", "SnapshotByTimeOffsetTask", "SampleSnapshotTask"]
    members += ["ImageSpriteTask", "CoverBySnapshotTask", "AdaptiveDynamicStreamingTask"]
    [task] = [result[name] for name in members if result[name] is not None]
    parts = [result["Type"]]
    parts += [task[key] for key in ("Status", "ErrCodeExt", "ErrCode", "Message", "Input", "Output")]
    if result["Type"] == "ImageSprites" and task["Status"] == "SUCCESS":
        output = task["Output"]
        names = ("Definition", "Height", "Width", "TotalCount", "ImageUrlSet", "WebVttUrl")
        parts += [output[key] for key in names]
    return parts

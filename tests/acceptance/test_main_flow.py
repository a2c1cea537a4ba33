"""The main job, driven as its users drive it: the official SDK, a real receiver, the older API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.vod.v20180717 import models, vod_client

from acceptance.support import (
    SECRET_ID,
    SECRET_KEY,
    VIDEO,
    Admin,
    call_2018,
    confirm,
    eventually,
    pull,
    sdk_client,
)
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served

# The shape that the documentation of the event gives: its members, in its order, with values of our own.
DOCUMENTED: dict[str, Any] = {
    "EventType": "CreateImageSpriteComplete",
    "FileUploadEvent": None,
    "ProcedureStateChangeEvent": None,
    "FileDeleteEvent": None,
    "PullCompleteEvent": None,
    "EditMediaComplete": None,
    "WechatPublishComplete": None,
    "TranscodeCompleteEvent": None,
    "ConcatCompleteEvent": None,
    "ClipCompleteEvent": None,
    "CreateImageSpriteCompleteEvent": {
        "ErrCode": 0,
        "Message": "",
        "TaskId": "CreateImageSprite-00000000000000000000000000000001",
        "FileId": "1000000000000000001",
        "Definition": 10,
        "TotalCount": 4,
        "ImageSpriteUrlSet": ["http://127.0.0.1:1/a_0.jpg"],
        "WebVttUrl": "http://127.0.0.1:1/a.vtt",
    },
}


def fetch(url: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(url) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def test_the_official_sdk_drives_a_sprite_task_to_its_end(
    served: Served, admin: Admin, sdk: vod_client.VodClient
) -> None:
    """ProcessMedia, PullEvents, ConfirmEvents and DescribeTaskDetail, through the SDK's own models."""
    file_id = admin("media", "add", str(VIDEO))
    request = models.ProcessMediaRequest()
    request.from_json_string(
        json.dumps(
            {
                "FileId": file_id,
                "MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 10}]},
                "SessionId": "job-1",
                "SessionContext": "order=77",
            }
        )
    )
    task_id = sdk.ProcessMedia(request).TaskId

    [event] = eventually(lambda: pull(sdk))
    assert event.EventType == "ProcedureStateChanged"
    told = event.ProcedureStateChangeEvent
    assert (told.TaskId, told.Status, told.FileId) == (task_id, "FINISH", file_id)
    assert (told.SessionId, told.SessionContext) == ("job-1", "order=77")
    [result] = told.MediaProcessResultSet
    assert result.Type == "ImageSprites"
    sprite = result.ImageSpriteTask
    assert (sprite.Status, sprite.ErrCodeExt, sprite.Output.TotalCount) == ("SUCCESS", "", 4)
    assert (sprite.Output.Width, sprite.Output.Height) == (142, 80)
    assert told.MetaData.VideoStreamSet[0].Codec == "h264"

    confirm(sdk, event.EventHandle)
    assert pull(sdk) == []

    detail_request = models.DescribeTaskDetailRequest()
    detail_request.TaskId = task_id
    detail = sdk.DescribeTaskDetail(detail_request)
    assert (detail.TaskType, detail.Status) == ("Procedure", "FINISH")
    assert detail.ProcedureTask.MediaProcessResultSet[0].ImageSpriteTask.Output.ImageUrlSet == list(
        sprite.Output.ImageUrlSet
    )

    sheet, headers = fetch(sprite.Output.ImageUrlSet[0])
    assert sheet.startswith(b"\xff\xd8\xff")
    assert headers["content-type"] == "image/jpeg"
    assert headers["access-control-allow-origin"] == "*"
    vtt, headers = fetch(sprite.Output.WebVttUrl)
    assert headers["content-type"] == "text/vtt; charset=utf-8"
    assert vtt.decode().splitlines()[:4] == [
        "WEBVTT",
        "",
        "00:00:00.000 --> 00:00:10.000",
        "imageSprite_10_0.jpg#xywh=0,0,142,80",
    ]

    with pytest.raises(TencentCloudSDKException) as refused:
        sdk.ProcessMedia(request)
    assert refused.value.get_code() == "InvalidParameterValue.SessionId"


def test_the_receiver_gets_the_documented_body(
    served: Served, admin: Admin, sdk: vod_client.VodClient, receiver: Receiver
) -> None:
    """The POST of a sprite task has the documented members first and in order, then ours; types are equal."""
    admin("app", "set", "--mode", "BOTH", "--url", receiver.url)
    file_id = admin("media", "add", str(VIDEO))
    task_id = call_2018(sdk, "CreateImageSprite", {"FileId": file_id, "Definition": 10})["TaskId"]

    received = receiver.wait_for(1)[0]
    assert received.method == "POST"
    assert received.headers["content-type"] == "application/json"
    body = received.json()
    names = list(DOCUMENTED)
    assert list(body)[: len(names)] == names
    assert all(body[name] is None for name in list(body)[len(names) :])
    payload, documented = body["CreateImageSpriteCompleteEvent"], DOCUMENTED["CreateImageSpriteCompleteEvent"]
    assert list(payload) == list(documented)
    assert [type(value) for value in payload.values()] == [type(value) for value in documented.values()]
    assert all(isinstance(url, str) for url in payload["ImageSpriteUrlSet"])
    assert {name: body[name] for name in names if name != "CreateImageSpriteCompleteEvent"} == {
        name: DOCUMENTED[name] for name in names if name != "CreateImageSpriteCompleteEvent"
    }
    assert (payload["ErrCode"], payload["TaskId"], payload["FileId"]) == (0, task_id, file_id)
    assert payload["TotalCount"] == 4
    assert payload["WebVttUrl"].startswith(served.url)

    # The same event waits in the queue, with a handle in front, and the same members behind it.
    [pulled] = call_2018(sdk, "PullEvents", {})["EventSet"]
    assert list(pulled) == ["EventHandle", *body]
    assert {name: value for name, value in pulled.items() if name != "EventHandle"} == body


def test_an_unconfirmed_event_comes_back_and_a_confirmed_one_does_not(
    served: Served, admin: Admin, sdk: vod_client.VodClient
) -> None:
    """After the lease (2 s here) an event that nobody confirmed is pulled again under a new handle."""
    file_id = admin("media", "add", str(VIDEO))
    call_2018(sdk, "CreateImageSprite", {"FileId": file_id, "Definition": 10})
    [first] = eventually(lambda: pull(sdk))

    [again] = eventually(lambda: pull(sdk))

    assert again.CreateImageSpriteCompleteEvent.TaskId == first.CreateImageSpriteCompleteEvent.TaskId
    assert again.EventHandle != first.EventHandle
    with pytest.raises(TencentCloudSDKException) as late:
        confirm(sdk, first.EventHandle)
    assert late.value.get_code() == "InvalidParameterValue"
    confirm(sdk, again.EventHandle)
    assert pull(sdk) == []


def test_an_app_set_to_push_through_the_api_is_pushed_to(
    served: Served, admin: Admin, sdk: vod_client.VodClient, receiver: Receiver
) -> None:
    """ModifyEventConfig sets the address, DescribeEventConfig tells it; only the receiver gets the event."""
    change = models.ModifyEventConfigRequest()
    change.Mode, change.NotificationUrl, change.SignKey = "PUSH", receiver.url, "callbackKey0001"
    sdk.ModifyEventConfig(change)
    told = sdk.DescribeEventConfig(models.DescribeEventConfigRequest())
    assert (told.Mode, told.NotificationUrl) == ("PUSH", receiver.url)

    file_id = admin("media", "add", str(VIDEO))
    call_2018(sdk, "CreateImageSprite", {"FileId": file_id, "Definition": 10})

    body = receiver.wait_for(1)[0].json()
    assert body["Sign"] == hashlib.md5(f"callbackKey0001{body['T']}".encode()).hexdigest()
    assert pull(sdk) == []


def signed_2017(
    url: str, params: dict[str, str], *, method: str = "GET", sha256: bool = False
) -> dict[str, Any]:
    """Call the 2017 API, signed here by hand."""
    given = {
        **params,
        "SecretId": SECRET_ID,
        "Timestamp": str(int(time.time())),
        "Nonce": str(time.time_ns()),
    }
    if sha256:
        given["SignatureMethod"] = "HmacSHA256"
    host = url.removeprefix("http://")
    given["Signature"] = hand_signature(method, host, given, SECRET_KEY)
    query = urllib.parse.urlencode(given)
    address = f"{url}/v2/index.php"
    if method == "GET":
        request = urllib.request.Request(f"{address}?{query}")
    else:
        request = urllib.request.Request(address, data=query.encode())
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
        read: dict[str, Any] = json.loads(answer.read())
        return read


def hand_signature(method: str, host: str, params: dict[str, str], key: str) -> str:
    """The signature of the 2017 API from its description: sorted, joined, HMAC, Base64."""
    digest = hashlib.sha256 if params.get("SignatureMethod") == "HmacSHA256" else hashlib.sha1
    joined = "&".join(f"{name}={params[name]}" for name in sorted(params))
    source = f"{method}{host}/v2/index.php?{joined}"
    return base64.b64encode(hmac.new(key.encode(), source.encode(), digest).digest()).decode()


def test_the_hand_made_signature_is_the_one_of_the_vectors() -> None:
    """What signs the next test's requests reproduces every published vector of the 2017 API."""
    kept = json.loads(
        (Path(__file__).parents[1] / "wire/examples/auth-vectors.json").read_text(encoding="utf-8")
    )
    vectors = [vector for vector in kept["vectors"] if vector["name"].startswith("2017-")]
    assert len(vectors) == 3
    for vector in vectors:
        made = hand_signature(vector["method"], vector["host"], vector["params"], kept["secretKey"])
        assert made == vector["signature"]


@pytest.mark.parametrize(("method", "sha256"), [("GET", False), ("GET", True), ("POST", False)])
def test_the_2017_api_drives_a_sprite_task(served: Served, admin: Admin, method: str, sha256: bool) -> None:
    """CreateImageSprite, PullEvent, ConfirmEvent and GetTaskInfo of the older API, each signed by hand."""
    file_id = admin("media", "add", str(VIDEO))

    def call(action: str, **params: str) -> dict[str, Any]:
        given = {"Action": action, **{name.replace("__", "."): value for name, value in params.items()}}
        return signed_2017(served.url, given, method=method, sha256=sha256)

    made = call("CreateImageSprite", fileId=file_id, definition="10")
    assert (made["code"], made["message"]) == (0, "")

    [event] = eventually(lambda: call("PullEvent")["eventList"])
    content = event["eventContent"]
    assert (content["version"], content["eventType"]) == ("4.0", "CreateImageSpriteComplete")
    data = content["data"]
    assert (data["vodTaskId"], data["status"], data["totalCount"]) == (made["vodTaskId"], 0, 4)

    assert call("ConfirmEvent", msgHandle__1=event["msgHandle"])["code"] == 0
    assert call("PullEvent")["eventList"] == []

    info = call("GetTaskInfo", vodTaskId=made["vodTaskId"])
    assert (info["code"], info["type"], info["status"]) == (0, "imageSprite", "FINISH")
    assert info["data"] == data


def test_two_apps_do_not_see_each_other(served: Served, admin: Admin, sdk: vod_client.VodClient) -> None:
    """A second app's media, tasks and events are its own."""
    other = int(admin("app", "create", "second"))
    file_id = admin("media", "add", str(VIDEO), "--app", str(other))

    with pytest.raises(TencentCloudSDKException) as unknown:
        call_2018(sdk, "CreateImageSprite", {"FileId": file_id, "Definition": 10})
    assert unknown.value.get_code() == "InvalidParameterValue.FileId"

    call_2018(sdk, "CreateImageSprite", {"FileId": file_id, "Definition": 10, "SubAppId": other})
    [event] = eventually(lambda: call_2018(sdk, "PullEvents", {"SubAppId": other})["EventSet"])
    assert event["CreateImageSpriteCompleteEvent"]["FileId"] == file_id
    assert pull(sdk) == []


@pytest.mark.parametrize("profile", [{"signMethod": "HmacSHA1"}, {"signMethod": "HmacSHA256"}])
def test_the_sdks_older_signatures_are_taken(served: Served, profile: dict[str, Any]) -> None:
    """The SDK set to HmacSHA1 or HmacSHA256 is served as with TC3."""
    client = sdk_client(served.url, **profile)
    answer = client.DescribeImageSpriteTemplates(models.DescribeImageSpriteTemplatesRequest())
    assert [template.Definition for template in answer.ImageSpriteTemplateSet] == [10]

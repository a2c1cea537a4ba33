"""The official Python SDK, unchanged, in each of its ways to send and sign."""

# mypy: disable-error-code="no-untyped-call"
# The SDK has no types.

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.vod.v20180717 import models, vod_client

from vodsprite.testing.service import SECRET_ID, SECRET_KEY, Service, sprite_event

WAYS = [
    ("POST", "TC3-HMAC-SHA256"),
    ("GET", "TC3-HMAC-SHA256"),
    ("POST", "HmacSHA1"),
    ("GET", "HmacSHA1"),
    ("POST", "HmacSHA256"),
    ("GET", "HmacSHA256"),
]


@pytest.fixture(params=WAYS, ids=lambda way: "-".join(way))
def client(request: pytest.FixtureRequest, service: Service) -> vod_client.VodClient:
    """The SDK's client, as an application would point it at a server of its own."""
    method, sign = request.param
    return sdk(service, method=method, sign=sign)


def sdk(service: Service, *, method: str = "POST", sign: str = "TC3-HMAC-SHA256") -> vod_client.VodClient:
    """A client for the service."""
    http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{service.port}", reqMethod=method, reqTimeout=10)
    return vod_client.VodClient(
        credential.Credential(SECRET_ID, SECRET_KEY),
        "ap-guangzhou",
        ClientProfile(httpProfile=http, signMethod=sign),
    )


def test_submit_and_describe(client: vod_client.VodClient, service: Service, tmp_path: Path) -> None:
    """A task flow is started with nested members and read back by the SDK's model."""
    media = service.add_media(tmp_path)
    request = models.ProcessMediaRequest()
    members = {
        "FileId": media.file_id,
        "SubAppId": service.primary.app_id,
        "TasksPriority": -2,
        "SessionContext": "a b+c&d=é/%",
        "MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 10}, {"Definition": 10}]},
    }
    request.from_json_string(json.dumps(members))
    task_id = client.ProcessMedia(request).TaskId

    ask = models.DescribeTaskDetailRequest()
    ask.TaskId = task_id
    detail = client.DescribeTaskDetail(ask)

    assert detail.Status == "WAITING"
    assert detail.ProcedureTask.SessionContext == "a b+c&d=é/%"
    assert detail.ProcedureTask.TasksPriority == -2
    assert [one.ImageSpriteTask.Input.Definition for one in detail.ProcedureTask.MediaProcessResultSet] == [
        10,
        10,
    ]


@pytest.mark.filterwarnings("ignore:.*fileds are useless")
def test_pull_and_confirm(client: vod_client.VodClient, service: Service) -> None:
    """
    Events are read by the SDK's model and confirmed by their handles; none is an empty list.

    The SDK warns of members that it does not know, which receivers of pushed events do.
    """
    service.record(sprite_event(1))
    service.record(sprite_event(2))

    events = client.PullEvents(models.PullEventsRequest()).EventSet
    confirmation = models.ConfirmEventsRequest()
    confirmation.EventHandles = [event.EventHandle for event in events]
    client.ConfirmEvents(confirmation)

    assert [event.CreateImageSpriteCompleteEvent.TotalCount for event in events] == [131, 131]
    assert client.PullEvents(models.PullEventsRequest()).EventSet == []
    assert service.parts.pulls.waiting(service.primary.app_id, now=service.parts.clock.now()) == 0


def test_configure(client: vod_client.VodClient) -> None:
    """What was set is described."""
    change = models.ModifyEventConfigRequest()
    change.Mode = "PULL"
    change.NotificationUrl = "https://app.example.com/cb?x=1&y=2"
    change.UploadMediaCompleteEventSwitch = "ON"
    client.ModifyEventConfig(change)

    described = client.DescribeEventConfig(models.DescribeEventConfigRequest())

    assert described.Mode == "PULL"
    assert described.NotificationUrl == "https://app.example.com/cb?x=1&y=2"
    assert described.UploadMediaCompleteEventSwitch == "ON"
    assert described.DeleteMediaCompleteEventSwitch == "OFF"


def test_templates(client: vod_client.VodClient) -> None:
    """A list of numbers goes in, structures come out."""
    request = models.DescribeImageSpriteTemplatesRequest()
    request.Definitions = [10]
    request.Limit = 1

    answer = client.DescribeImageSpriteTemplates(request)

    assert answer.TotalCount == 1
    assert answer.ImageSpriteTemplateSet[0].SampleInterval == 10


def test_an_error_is_raised_with_code_and_request_id(client: vod_client.VodClient) -> None:
    """The SDK finds the error in the answer, whatever way it asked."""
    request = models.DescribeTaskDetailRequest()
    request.TaskId = "unknown"

    with pytest.raises(TencentCloudSDKException) as raised:
        client.DescribeTaskDetail(request)

    assert raised.value.get_code() == "InvalidParameterValue.TaskId"
    assert raised.value.get_request_id()


def test_the_extension_is_called_by_its_name(
    client: vod_client.VodClient, service: Service, tmp_path: Path
) -> None:
    """The SDK has no method for CreateImageSprite of this generation, and needs none."""
    media = service.add_media(tmp_path)

    answer = client.call_json("CreateImageSprite", {"FileId": media.file_id, "Definition": 10})

    assert answer["Response"]["TaskId"].startswith("CreateImageSprite-")


def test_the_sdks_multipart_form_is_read(service: Service, tmp_path: Path) -> None:
    """Texts and structures arrive as they would in JSON."""
    media = service.add_media(tmp_path)
    task = {"ImageSpriteTaskSet": [{"Definition": 10}]}

    answer = sdk(service).call_json(
        "ProcessMedia",
        {"FileId": media.file_id, "MediaProcessTask": task, "SessionId": "ä"},
        options={"IsMultipart": True},
    )

    assert "TaskId" in answer["Response"]


def test_an_unsigned_payload_is_accepted(service: Service) -> None:
    """The SDK's option leaves the body out of the signature."""
    client = sdk(service)
    client.profile.unsignedPayload = True

    assert client.DescribeEventConfig(models.DescribeEventConfigRequest()).Mode == "PUSH"

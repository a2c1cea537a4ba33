"""Who may call: the contract's own vectors sent over HTTP, and everything that must not pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vodsprite.api.app import ApiSettings
from vodsprite.clock import to_us
from vodsprite.testing.calls import HttpAnswer, SignedCaller, request
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.service import SECRET_ID, Service, start_service
from vodsprite.wire import signing

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "wire" / "examples" / "auth-vectors.json").read_text()
)
SIGNED_AT = datetime.fromtimestamp(VECTORS["timestamp"], UTC)
FILE_ID = "5285890000000000001"  # what the vectors ask about; no such media exists here
PAST_AUTHENTICATION = {
    # action of a vector -> what it gets once it is known who sent it
    "ProcessMedia": "InvalidParameterValue.FileId",
    "ConfirmEvents": "InvalidParameterValue",
    "CreateImageSprite": 10008,
    "ConfirmEvent": 4000,
}


@pytest.fixture
def clock() -> FakeClock:
    """A clock that shows the time at which the vectors were signed."""
    return FakeClock(SIGNED_AT)


@pytest.fixture
def frozen(tmp_path: Path, clock: FakeClock) -> Iterator[Service]:
    """A service at that time; all vectors carry one nonce, so each test has a service of its own."""
    with start_service(tmp_path, clock=clock) as running:
        yield running


def code(answer: HttpAnswer) -> str:
    """The error code of a 2018-07-17 answer, "" when there is none."""
    assert answer.status == 200
    found: str = answer.json()["Response"].get("Error", {}).get("Code", "")
    return found


def number(answer: HttpAnswer) -> int:
    """The code of a 2017 answer."""
    assert answer.status == 200
    found: int = answer.json()["code"]
    return found


def send_vector(port: int, vector: dict[str, Any], *, wire: str | None = None) -> HttpAnswer:
    """Send a parameter-signed vector as it is written on the wire."""
    text = wire or vector["wire"]
    headers = {"Host": vector["host"]}
    if vector["method"] == "GET":
        return request(port, "GET", f"{vector['path']}?{text}", headers=headers)
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return request(port, "POST", vector["path"], headers=headers, body=text.encode())


def vector_named(name: str) -> dict[str, Any]:
    """The vector of that name."""
    found: dict[str, Any] = next(one for one in VECTORS["vectors"] if one["name"] == name)
    return found


TC3 = [one for one in VECTORS["vectors"] if one["name"].startswith("tc3-")]
V1 = [one for one in VECTORS["vectors"] if not one["name"].startswith("tc3-")]


def send_tc3(port: int, vector: dict[str, Any], **changed: str) -> HttpAnswer:
    """Send a TC3 vector, with some headers changed; names with underscores for dashes."""
    headers = {
        "Host": vector["host"],
        "Content-Type": vector["contentType"],
        "X-TC-Action": vector["action"],
        "X-TC-Version": "2018-07-17",
        "X-TC-Timestamp": str(VECTORS["timestamp"]),
        "Authorization": (
            f"TC3-HMAC-SHA256 Credential={VECTORS['secretId']}/2026-01-01/vod/tc3_request, "
            f"SignedHeaders=content-type;host, Signature={vector['signature']}"
        ),
    }
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    target = f"/?{vector['query']}" if vector["query"] else "/"
    body = vector["body"].encode() or None
    return request(port, vector["method"], target, headers=headers, body=body)


@pytest.mark.parametrize("vector", TC3, ids=lambda vector: vector["name"])
def test_a_tc3_vector_is_let_in(frozen: Service, vector: dict[str, Any]) -> None:
    """A request signed by the SDK's own code passes, byte for byte as it was recorded."""
    answer = send_tc3(frozen.port, vector)

    assert code(answer) == PAST_AUTHENTICATION.get(vector["action"], "")


@pytest.mark.parametrize("vector", V1, ids=lambda vector: vector["name"])
def test_a_parameter_signed_vector_is_let_in(frozen: Service, vector: dict[str, Any]) -> None:
    """Both digests, both generations; those of 2017 were signed for vod.api.qcloud.com."""
    answer = send_vector(frozen.port, vector)

    expected = PAST_AUTHENTICATION.get(vector["params"]["Action"])
    if vector["path"] == "/":
        assert code(answer) == (expected or "")
    else:
        assert number(answer) == (expected or 0)


def test_a_2017_request_passes_under_any_host_name(frozen: Service) -> None:
    """Clients of the old API sign for its own host, whatever name they were pointed at."""
    vector = {**vector_named("2017-get-sha1-createimagesprite"), "host": "sprites.example.com:8266"}

    assert number(send_vector(frozen.port, vector)) == 10008


@pytest.mark.parametrize("vector", V1, ids=lambda vector: vector["name"])
def test_a_changed_parameter_breaks_the_signature(frozen: Service, vector: dict[str, Any]) -> None:
    """Nothing that was signed can be changed on the way."""
    answer = send_vector(frozen.port, vector, wire=vector["wire"].replace("Nonce=4242", "Nonce=4243"))

    if vector["path"] == "/":
        assert code(answer) == "AuthFailure.SignatureFailure"
    else:
        assert number(answer) == 4100


def test_a_changed_body_breaks_the_signature(frozen: Service) -> None:
    """TC3 signs the body."""
    vector = {**vector_named("tc3-post-processmedia")}
    vector["body"] = vector["body"].replace("job-1", "job-2")

    assert code(send_tc3(frozen.port, vector)) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "SKIP",
        "Basic dXNlcjpwYXNz",
        "TC3-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=y",
        "TC3-HMAC-SHA256 " + "x" * 10_000,
    ],
)
def test_an_authorization_of_another_form_is_refused(frozen: Service, authorization: str) -> None:
    """What cannot be read proves nothing."""
    vector = vector_named("tc3-post-pullevents")

    assert code(send_tc3(frozen.port, vector, Authorization=authorization)) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "99999999999999999999"])
def test_a_timestamp_that_is_none_is_refused(frozen: Service, timestamp: str) -> None:
    """Absent and unreadable timestamps get a documented code."""
    answer = send_tc3(frozen.port, vector_named("tc3-post-pullevents"), X_TC_Timestamp=timestamp)

    assert code(answer) in ("MissingParameter", "AuthFailure.SignatureFailure")


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_timestamp_of_another_time_has_expired(frozen: Service, clock: FakeClock, seconds: int) -> None:
    """The clocks may differ by five minutes, in either direction, under both signatures."""
    clock.advance(seconds=seconds)

    assert code(send_tc3(frozen.port, TC3[0])) == "AuthFailure.SignatureExpire"
    assert code(send_vector(frozen.port, V1[0])) == "AuthFailure.SignatureExpire"


@pytest.mark.parametrize("seconds", [-299, 299])
def test_a_timestamp_within_five_minutes_is_good(frozen: Service, clock: FakeClock, seconds: int) -> None:
    """A client whose clock is a little off is served."""
    clock.advance(seconds=seconds)

    assert code(send_tc3(frozen.port, TC3[0])) == ""


def test_the_allowed_skew_is_a_setting(tmp_path: Path, clock: FakeClock) -> None:
    """Who lives with bad clocks can allow more."""
    settings = ApiSettings(trust_host=True, clock_skew_s=1000)
    with start_service(tmp_path, clock=clock, settings=settings) as service:
        clock.advance(seconds=900)

        assert code(send_tc3(service.port, TC3[0])) == ""


def test_the_2017_api_allows_two_hours(frozen: Service, clock: FakeClock) -> None:
    """The old API's documented span, beyond which it speaks of a replay."""
    vector = vector_named("2017-get-sha1-createimagesprite")
    clock.advance(seconds=7199)
    assert number(send_vector(frozen.port, vector)) == 10008

    clock.advance(seconds=2)
    assert number(send_vector(frozen.port, vector)) == 4500


def test_a_replayed_request_is_refused(frozen: Service) -> None:
    """A parameter-signed request is good once."""
    assert number(send_vector(frozen.port, V1[-1])) == 0
    assert number(send_vector(frozen.port, V1[-1])) == 4500


def test_a_nonce_is_used_up_together_with_its_timestamp(frozen: Service) -> None:
    """Old SDKs draw small nonces, so one comes again: at another second it is no replay."""
    common = [("Action", "GetTaskInfo"), ("vodTaskId", "x"), ("Nonce", "7")]
    at = VECTORS["timestamp"]

    def ask(timestamp: int) -> int:
        params = [*common, ("Timestamp", str(timestamp))]
        return number(frozen.caller.v1(params, path="/v2/index.php"))

    assert [ask(at), ask(at + 1), ask(at)] == [70014, 70014, 4500]


def test_a_replay_in_the_new_api_is_a_signature_failure(frozen: Service) -> None:
    """The 2018-07-17 API has no code of its own for it."""
    assert code(send_vector(frozen.port, V1[0])) == ""
    assert code(send_vector(frozen.port, V1[0])) == "AuthFailure.SignatureFailure"


def test_a_wrong_signature_uses_up_no_nonce(frozen: Service) -> None:
    """Nobody can spoil a client's nonces without its key."""
    vector = vector_named("2017-get-sha1-createimagesprite")
    forged = vector["wire"].replace("definition=10", "definition=11")

    assert number(send_vector(frozen.port, vector, wire=forged)) == 4100
    assert number(send_vector(frozen.port, vector)) == 10008


def test_the_nonce_check_can_be_switched_off(tmp_path: Path, clock: FakeClock) -> None:
    """For clients that resend signed requests."""
    settings = ApiSettings(trust_host=True, nonce_check=False)
    with start_service(tmp_path, clock=clock, settings=settings) as service:
        assert [number(send_vector(service.port, V1[-1])) for _ in range(2)] == [0, 0]


def test_an_unknown_secret_id_is_told_as_such(service: Service) -> None:
    """A key that nobody knows is told apart from a wrong signature."""
    stranger = SignedCaller(
        port=service.port, secret_id="AKIDnobody", secret_key="x" * 32, clock=service.parts.clock
    )

    assert code(stranger.tc3("PullEvents", b"{}")) == "AuthFailure.SecretIdNotFound"
    assert stranger.call_2017("PullEvent")["code"] == 4104


def test_a_wrong_key_is_a_signature_failure(service: Service) -> None:
    """The right id with another key proves nothing."""
    impostor = SignedCaller(
        port=service.port, secret_id=SECRET_ID, secret_key="x" * 32, clock=service.parts.clock
    )

    assert code(impostor.tc3("PullEvents", b"{}")) == "AuthFailure.SignatureFailure"
    assert impostor.call_2017("PullEvent")["code"] == 4100


@pytest.mark.parametrize("missing", ["SecretId", "Timestamp", "Nonce", "Signature"])
def test_what_signs_must_be_there(frozen: Service, missing: str) -> None:
    """Each of the common parameters is required, in both generations."""
    for vector in (V1[0], vector_named("2017-get-sha1-createimagesprite")):
        pairs = [pair for pair in vector["wire"].split("&") if not pair.startswith(f"{missing}=")]
        answer = send_vector(frozen.port, vector, wire="&".join(pairs))
        if vector["path"] == "/":
            assert code(answer) == "MissingParameter"
        else:
            assert number(answer) == 4000


def test_a_parameter_that_was_not_signed_is_not_believed(frozen: Service) -> None:
    """Old SDKs leave POST values that start with @ unsigned: one may come from anybody, and is dropped."""
    params = [
        ("Action", "GetTaskInfo"),
        ("vodTaskId", "x"),
        ("SecretId", SECRET_ID),
        ("Timestamp", str(VECTORS["timestamp"])),
        ("Nonce", "9"),
    ]
    signature = signing.sign_v1("POST", frozen.caller.host, "/v2/index.php", params, frozen.caller.secret_key)
    sent = [*params, ("Signature", signature), ("SubAppId", "@1500000001")]

    assert number(frozen.caller.unsigned(sent, method="POST", path="/v2/index.php")) == 70014


def test_unsigned_payload_is_accepted_where_the_client_says_so(service: Service) -> None:
    """The SDK's option unsignedPayload signs a constant in place of the body."""
    headers = {
        "content-type": "application/json",
        "host": service.caller.host,
        "x-tc-content-sha256": "UNSIGNED-PAYLOAD",
    }
    signed = signing.sign_tc3(
        signing.SignedRequest(method="POST", headers=headers, body=b"anything"),
        secret_id=SECRET_ID,
        secret_key=service.caller.secret_key,
        timestamp=to_us(service.parts.clock.now()) // 1_000_000,
    )
    sent = {**headers, **signed, "X-TC-Action": "DescribeEventConfig", "X-TC-Version": "2018-07-17"}

    assert code(request(service.port, "POST", "/", headers=sent, body=b"{}")) == ""


class TestApps:
    """Which app a request acts for."""

    def test_no_app_named_is_the_primary_one(self, service: Service) -> None:
        """A request without SubAppId acts for the primary app."""
        service.caller.call("ModifyEventConfig", Mode="PULL")

        primary = service.caller.call("DescribeEventConfig", SubAppId=service.primary.app_id)
        assert primary["Mode"] == "PULL"

    def test_apps_are_apart(self, service: Service) -> None:
        """What one app sets, another does not see."""
        other = service.parts.apps.create("other")
        service.caller.call("ModifyEventConfig", Mode="PULL", SubAppId=other.app_id)

        assert service.caller.call("DescribeEventConfig")["Mode"] == "PUSH"
        assert service.caller.call("DescribeEventConfig", SubAppId=other.app_id)["Mode"] == "PULL"

    @pytest.mark.parametrize("app_id", [0, 1, -1, 2**63, 2**64 - 1, 10**30])
    def test_an_unknown_app_has_the_code_that_the_action_documents(
        self, service: Service, app_id: int
    ) -> None:
        """Actions that list InvalidParameterValue.SubAppId use it; others say UnauthorizedOperation."""
        listed = service.caller.call("DescribeTaskDetail", TaskId="x", SubAppId=app_id)
        unlisted = service.caller.call("PullEvents", SubAppId=app_id)
        answer_2017 = service.caller.call_2017("GetTaskInfo", vodTaskId="x", SubAppId=str(app_id))

        assert listed["Error"]["Code"] == "InvalidParameterValue.SubAppId"
        assert unlisted["Error"]["Code"] == "UnauthorizedOperation"
        assert answer_2017["code"] == 5000

    def test_a_bound_credential_acts_for_its_app_only(self, service: Service) -> None:
        """It is refused for others, for the primary one that no name means, and told nothing of existence."""
        mine = service.parts.apps.create("mine")
        bound = service.caller_of(mine.app_id)

        assert "Error" not in bound.call("DescribeEventConfig", SubAppId=mine.app_id)
        assert bound.call_2017("GetTaskInfo", vodTaskId="x", SubAppId=str(mine.app_id))["code"] == 70014
        for named in ({}, {"SubAppId": service.primary.app_id}, {"SubAppId": 4}):
            error = bound.call("DescribeEventConfig", **named)["Error"]
            assert error["Code"] == "UnauthorizedOperation"
            assert str(mine.app_id) in error["Message"]
        assert bound.call_2017("PullEvent")["code"] == 4102

    def test_another_apps_media_and_tasks_are_not_there(self, service: Service, tmp_path: Path) -> None:
        """Whoever names them hears what they would hear of something that does not exist."""
        other = service.parts.apps.create("other")
        media = service.add_media(tmp_path, app_id=other.app_id)
        made = service.caller.call(
            "CreateImageSprite", FileId=media.file_id, Definition=10, SubAppId=other.app_id
        )

        refused = service.caller.call("CreateImageSprite", FileId=media.file_id, Definition=10)
        unseen = service.caller.call("DescribeTaskDetail", TaskId=made["TaskId"])

        assert refused["Error"]["Code"] == "InvalidParameterValue.FileId"
        assert unseen["Error"]["Code"] == "InvalidParameterValue.TaskId"

    def test_a_number_as_text_is_refused_in_json(self, service: Service) -> None:
        """JSON says types itself."""
        answer = service.caller.call("DescribeEventConfig", SubAppId=str(service.primary.app_id))

        assert answer["Error"]["Code"] == "InvalidParameter"

"""What every answer has in common: status, content type, envelope; and what every bad request gets."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from vodsprite.api.app import ApiSettings
from vodsprite.clock import to_us
from vodsprite.errors import SettingsError, StorageFull
from vodsprite.testing.calls import HttpAnswer, SignedCaller, request, send_raw
from vodsprite.testing.service import SECRET_ID, Service, start_service
from vodsprite.wire import signing


def error_code(answer: HttpAnswer) -> str:
    """The code of a 2018-07-17 error answer, after checking its frame."""
    check_frame(answer)
    response = answer.json()["Response"]
    assert list(response) == ["Error", "RequestId"]
    assert list(response["Error"]) == ["Code", "Message"]
    uuid.UUID(response["RequestId"])
    code: str = response["Error"]["Code"]
    return code


def check_frame(answer: HttpAnswer) -> None:
    """Every API answer is HTTP 200 and JSON by exactly that name."""
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"


def error_code_2017(answer: HttpAnswer) -> int:
    """The number of a 2017 error answer, after checking its frame."""
    check_frame(answer)
    body = answer.json()
    assert list(body) == ["code", "message", "codeDesc"]
    code: int = body["code"]
    return code


def test_a_success_is_wrapped_and_carries_a_request_id(service: Service) -> None:
    """The members of an answer come first, the request id last."""
    answer = service.caller.tc3("DescribeEventConfig", b"{}")

    check_frame(answer)
    response = answer.json()["Response"]
    assert list(response)[-1] == "RequestId"
    uuid.UUID(response["RequestId"])


def test_every_request_has_an_id_of_its_own(service: Service) -> None:
    """Two answers never share a request id."""
    ids = {service.caller.call("DescribeEventConfig")["RequestId"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"\xff", b'{"a":NaN}', b"null"])
def test_malformed_json_is_an_invalid_parameter(service: Service, body: bytes) -> None:
    """A signed body that is no JSON object is refused, and the service goes on."""
    assert error_code(service.caller.tc3("DescribeEventConfig", body)) == "InvalidParameter"
    assert "Error" not in service.caller.call("DescribeEventConfig")


def test_an_unknown_action_is_invalid(service: Service) -> None:
    """An action that does not exist is told apart from one that failed."""
    assert error_code(service.caller.tc3("EditMedia", b"{}")) == "InvalidAction"


def test_an_unknown_version_does_not_exist(service: Service) -> None:
    """A version other than 2018-07-17 is told apart from an unknown action."""
    answer = service.caller.tc3("PullEvents", b"{}", version="2024-07-18")

    assert error_code(answer) == "NoSuchVersion"


@pytest.mark.parametrize("missing", ["Action", "Version"])
def test_action_and_version_are_required(service: Service, missing: str) -> None:
    """A signed request must say what it wants, of which version."""
    params = [("Action", "DescribeEventConfig"), ("Version", "2018-07-17")]

    answer = service.caller.v1([pair for pair in params if pair[0] != missing])

    assert error_code(answer) == "MissingParameter"
    assert missing in answer.json()["Response"]["Error"]["Message"]


def test_a_request_without_anything_gets_a_documented_error(service: Service) -> None:
    """Whoever opens the endpoint in a browser reads what is missing."""
    assert error_code(request(service.port, "GET", "/")) == "MissingParameter"
    assert error_code_2017(request(service.port, "GET", "/v2/index.php")) == 4000


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_supported(service: Service, method: str) -> None:
    """Only GET and POST are spoken; the answer keeps the API's form."""
    assert error_code(request(service.port, method, "/")) == "UnsupportedProtocol"
    assert error_code_2017(request(service.port, method, "/v2/index.php")) == 4600


def test_an_unsupported_content_type_is_an_invalid_parameter(service: Service) -> None:
    """A signed body of a kind that holds no parameters is refused by name."""
    answer = service.caller.tc3("DescribeEventConfig", b"{}", content_type="text/plain")

    assert error_code(answer) == "InvalidParameter"
    assert "text/plain" in answer.json()["Response"]["Error"]["Message"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_known_whatever_its_parameters(service: Service, content_type: str) -> None:
    """Some SDKs add a charset, and sign it."""
    answer = service.caller.tc3("DescribeEventConfig", b"{}", content_type=content_type)

    assert answer.json()["Response"]["Mode"] == "PUSH"


def test_parameters_come_as_form_and_multipart_too(service: Service) -> None:
    """Under TC3 a POST may carry a form in either encoding."""
    form = service.caller.tc3(
        "DescribeImageSpriteTemplates",
        b"Definitions.0=10&Limit=1",
        content_type="application/x-www-form-urlencoded",
    )
    multipart = service.caller.tc3(
        "DescribeImageSpriteTemplates",
        b'--b\r\nContent-Disposition: form-data; name="Definitions"\r\n'
        b"Content-Type: application/json\r\n\r\n[10]\r\n--b--\r\n",
        content_type="multipart/form-data; boundary=b",
    )

    assert form.json()["Response"]["TotalCount"] == 1
    assert multipart.json()["Response"]["TotalCount"] == 1


def test_unknown_parameters_are_ignored(service: Service) -> None:
    """Newer SDKs send newer members; they must not fail here."""
    assert "Error" not in service.caller.call("DescribeEventConfig", NewerMember={"A": 1})
    answer = service.caller.call_2017("ConfirmEvent", newerParameter="1")
    assert "msgHandle" in answer["message"]


def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """10 MB under TC3, here a smaller limit: the error comes back on a connection that goes on."""
    with start_service(tmp_path, settings=ApiSettings(trust_host=True, body_limit_bytes=100_000)) as service:
        fits = service.caller.tc3("DescribeEventConfig", b"{}" + b" " * 90_000)
        too_long = service.caller.tc3("DescribeEventConfig", b"{}" + b" " * 100_000)

    assert fits.json()["Response"]["Mode"] == "PUSH"
    assert error_code(too_long) == "InvalidParameterValue"


def test_the_documented_limits_are_the_defaults(service: Service) -> None:
    """10 MB for TC3, 1 MB for signed parameters, 32 KB for a query."""
    padded = b"{}" + b" " * (10 * 1024 * 1024 - 2)
    assert "Error" not in service.caller.tc3("DescribeEventConfig", padded).json()["Response"]
    assert error_code(service.caller.tc3("DescribeEventConfig", padded + b" ")) == "InvalidParameterValue"

    params = [("Action", "DescribeEventConfig"), ("Version", "2018-07-17"), ("Pad", "x" * 1024 * 1024)]
    assert error_code(service.caller.v1(params, method="POST")) == "InvalidParameterValue"
    assert error_code(service.caller.v1([*params[:2], ("Pad", "x" * 33_000)])) == "InvalidParameterValue"
    assert "Error" not in service.caller.v1([*params[:2], ("Pad", "x" * 30_000)]).json()["Response"]
    assert error_code_2017(service.caller.v1(params, method="POST", path="/v2/index.php")) == 4000


def test_a_strangers_long_body_is_not_read(service: Service) -> None:
    """Who announces much and is not known gets the error before sending any of it."""
    stranger = SignedCaller(
        port=service.port, secret_id="AKIDnobody", secret_key="x" * 32, clock=service.parts.clock
    )
    head = stranger.tc3  # signs the empty body; the announced one never comes
    assert error_code(head("PullEvents")) == "AuthFailure.SecretIdNotFound"
    answer = send_raw(
        service.port,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n"
        b"X-TC-Action: PullEvents\r\nX-TC-Version: 2018-07-17\r\nX-TC-Timestamp: 1767225600\r\n\r\n",
    )
    assert error_code(answer) == "AuthFailure.SignatureFailure"


def test_a_fault_of_ours_tells_nothing_but_the_request_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen exception becomes InternalError; the log has its text, the caller has the id to quote."""
    with start_service(tmp_path) as service:
        service.parts.database.engine.dispose()
        with service.parts.database.transaction() as conn:
            conn.exec_driver_sql("DROP TABLE subscriptions")
        answer = service.caller.tc3("DescribeEventConfig", b"{}")

    assert error_code(answer) == "InternalError"
    response = answer.json()["Response"]
    assert response["RequestId"] in response["Error"]["Message"]
    assert b"subscriptions" not in answer.body
    logged = capsys.readouterr().out
    assert response["RequestId"] in logged
    assert "no such table: subscriptions" in logged


def test_a_fault_of_ours_is_6000_in_the_2017_api(tmp_path: Path) -> None:
    """The old generation tells as little, with a request id in its message."""
    with start_service(tmp_path) as service:
        with service.parts.database.transaction() as conn:
            conn.exec_driver_sql("PRAGMA foreign_keys=OFF")
            conn.exec_driver_sql("DROP TABLE sprite_sets")
            conn.exec_driver_sql("DROP TABLE tasks")
        answer = service.caller.call_2017("GetTaskInfo", vodTaskId="x")

    assert answer["code"] == 6000
    assert "tasks" not in answer["message"].replace("request id", "")


def test_a_full_disk_is_told_as_such(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who cannot be served for lack of room reads so, in either generation."""

    def full(*args: object, **options: object) -> None:
        raise StorageFull("the database's disk is full; free some room and try again")

    monkeypatch.setattr(type(service.parts.tasks), "submit_image_sprite", full)
    answer = service.caller.call("CreateImageSprite", FileId="1", Definition=10)
    answer_2017 = service.caller.call_2017("CreateImageSprite", fileId="1", definition="10")

    assert answer["Error"]["Code"] == "FailedOperation"
    assert "disk is full" in answer["Error"]["Message"]
    assert answer_2017["code"] == 5100
    assert "disk is full" in answer_2017["message"]


def test_result_urls_need_a_public_url_or_a_trusted_host() -> None:
    """Settings that leave no way to name results are refused where they are made."""
    with pytest.raises(SettingsError):
        ApiSettings()


def test_the_public_url_wins_over_the_host(tmp_path: Path) -> None:
    """Results start with the set URL, and with the request's own host where there is none."""
    for settings, expected in (
        (ApiSettings(public_url="https://vod.example.com/", trust_host=True), "https://vod.example.com"),
        (ApiSettings(trust_host=True), None),
    ):
        with start_service(tmp_path, settings=settings) as service:
            media = service.add_media(tmp_path)
            task_id = service.caller.call("ProcessMedia", FileId=media.file_id, MediaProcessTask=TASK)[
                "TaskId"
            ]
            detail = service.caller.call("DescribeTaskDetail", TaskId=task_id)
            url = detail["ProcedureTask"]["FileUrl"]
            assert url.startswith(f"{expected or f'http://127.0.0.1:{service.port}'}/originals/")


def test_a_host_that_cannot_be_part_of_a_url_is_refused(service: Service, tmp_path: Path) -> None:
    """A Host with a path or user in it would turn result URLs into something else."""
    media = service.add_media(tmp_path)
    body = json.dumps({"FileId": media.file_id, "Definition": 10}).encode()

    answer = send_raw(service.port, signed_with_host(service, "a@b/c?d", "CreateImageSprite", body))

    assert error_code(answer) == "InvalidParameterValue"
    assert service.engine.runs == []


def signed_with_host(service: Service, host: str, action: str, body: bytes) -> bytes:
    """A raw TC3 request whose Host is *host*, signed over it."""
    headers = {"content-type": "application/json", "host": host}
    signed = signing.sign_tc3(
        signing.SignedRequest(method="POST", headers=headers, body=body),
        secret_id=SECRET_ID,
        secret_key=service.caller.secret_key,
        timestamp=to_us(service.parts.clock.now()) // 1_000_000,
    )
    lines = ["POST / HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in signed.items()]
    lines += [f"X-TC-Action: {action}", "X-TC-Version: 2018-07-17", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


TASK = {"ImageSpriteTaskSet": [{"Definition": 10}]}

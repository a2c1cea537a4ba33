"""Request signatures as the vendor's Python SDK makes them, taken off a real connection."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest

from vodsprite.errors import SignatureMismatch
from vodsprite.wire import signing
from vodsprite.wire.signing import SignedRequest

# The SDK is untyped.
credential: Any = importlib.import_module("tencentcloud.common.credential")
client_profile: Any = importlib.import_module("tencentcloud.common.profile.client_profile")
http_profile: Any = importlib.import_module("tencentcloud.common.profile.http_profile")
vod_client: Any = importlib.import_module("tencentcloud.vod.v20180717.vod_client")

SECRET_ID = "AKIDsdk"
SECRET_KEY = "sdkSecretKey"
PARAMS = {
    "FileId": "5285890000000000001",
    "MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 10}, {"Definition": 10001}]},
    "SessionContext": "a b+c/d=e&f?雪碧图 %41",
    "SessionId": "",
}

pytestmark = pytest.mark.filterwarnings(
    "ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"  # the SDK's own, from Python 3.12 on
)


class Recorder:
    """A server that keeps the last request it was sent."""

    def __init__(self) -> None:
        self.requests: list[SignedRequest] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                recorder.requests.append(
                    SignedRequest(
                        method=self.command,
                        headers={name.lower(): value for name, value in self.headers.items()},
                        raw_query=self.path.partition("?")[2],
                        body=body,
                    )
                )
                content = b'{"Response": {"RequestId": "1"}}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def last(self) -> SignedRequest:
        return self.requests[-1]


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


def call(
    recorder: Recorder,
    *,
    method: str,
    scheme: str,
    unsigned_payload: bool = False,
    options: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
) -> SignedRequest:
    """Let the SDK make one call, and return what arrived."""
    http = http_profile.HttpProfile(protocol="http", endpoint=recorder.host, reqMethod=method, reqTimeout=10)
    profile = client_profile.ClientProfile(httpProfile=http, signMethod=scheme)
    profile.unsignedPayload = unsigned_payload
    client = vod_client.VodClient(credential.Credential(SECRET_ID, SECRET_KEY), "ap-guangzhou", profile)
    try:
        client.call("ProcessMedia", params or PARAMS, options)
    finally:
        client.request.conn._session.close()
    return recorder.last


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would ask a proxy of the environment, for the loopback too."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def verify_tc3(request: SignedRequest, key: str = SECRET_KEY) -> signing.Tc3Claim:
    claim = signing.parse_tc3(request)
    signing.verify_tc3(request, claim, key, datetime.fromtimestamp(claim.timestamp, UTC))
    return claim


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_sdk_is_let_in_by_tc3(recorder: Recorder, method: str) -> None:
    """What the SDK signs by default verifies, as JSON and as a query, and with no other key."""
    request = call(recorder, method=method, scheme="TC3-HMAC-SHA256")

    assert verify_tc3(request).secret_id == SECRET_ID
    with pytest.raises(SignatureMismatch):
        verify_tc3(request, "anotherKey")


def test_the_sdk_is_let_in_with_a_body_left_unsigned(recorder: Recorder) -> None:
    """The SDK's option `unsignedPayload` works."""
    request = call(recorder, method="POST", scheme="TC3-HMAC-SHA256", unsigned_payload=True)

    assert request.headers["x-tc-content-sha256"] == "UNSIGNED-PAYLOAD"
    verify_tc3(request)


def test_the_sdk_is_let_in_with_a_multipart_body(recorder: Recorder) -> None:
    """A multipart body with bytes that are no text verifies, boundary and all."""
    request = call(
        recorder,
        method="POST",
        scheme="TC3-HMAC-SHA256",
        options={"IsMultipart": True, "BinaryParams": ["Cover"]},
        params={"FileId": "1", "Cover": b"\xff\xd8\x00\r\n"},
    )

    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    verify_tc3(request)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("scheme", ["HmacSHA1", "HmacSHA256"])
def test_the_sdk_is_let_in_by_the_older_signature(recorder: Recorder, method: str, scheme: str) -> None:
    """The older signature verifies in a form and in a query, by both its methods, and with no other key."""
    request = call(recorder, method=method, scheme=scheme)
    text = request.raw_query if method == "GET" else request.body.decode()
    params = parse_qsl(text, keep_blank_values=True)
    hosts = signing.host_forms(request.headers["host"])

    claim = signing.parse_v1(params)
    covered = signing.verify_v1(method, hosts, "/", params, SECRET_KEY)

    assert claim.secret_id == SECRET_ID
    assert dict(covered)["SessionContext"] == PARAMS["SessionContext"]
    with pytest.raises(SignatureMismatch):
        signing.verify_v1(method, hosts, "/", params, "anotherKey")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_our_client_signs_what_the_sdk_signs(recorder: Recorder, method: str) -> None:
    """For the same request at the same second our signer and the SDK's come to the same header."""
    request = call(recorder, method=method, scheme="TC3-HMAC-SHA256")

    added = signing.sign_tc3(
        request,
        secret_id=SECRET_ID,
        secret_key=SECRET_KEY,
        timestamp=int(request.headers["x-tc-timestamp"]),
    )

    assert added["Authorization"] == request.headers["authorization"]

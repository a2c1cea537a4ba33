"""Signed calls of both generations that a test can bend: raw in, raw out, over real HTTP."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from vodsprite.clock import Clock, to_us
from vodsprite.wire import signing

_nonces = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


def request(
    port: int,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 30.0,
) -> HttpAnswer:
    """Send one request to 127.0.0.1 and return the answer. *target* goes out as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        return _read(connection.getresponse())
    finally:
        connection.close()


def send_raw(port: int, sent: bytes, *, timeout_s: float = 30.0) -> HttpAnswer:
    """Send *sent*, which need not be a whole request, to 127.0.0.1 and return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return _read(answer)


def _read(answer: http.client.HTTPResponse) -> HttpAnswer:
    return HttpAnswer(
        status=answer.status,
        headers={name.lower(): value for name, value in answer.getheaders()},
        body=answer.read(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCaller:
    """Signs requests to a server on 127.0.0.1 with one key pair."""

    port: int
    secret_id: str
    secret_key: str
    clock: Clock

    @property
    def host(self) -> str:
        """The `Host` that requests carry and sign."""
        return f"127.0.0.1:{self.port}"

    def tc3(
        self,
        action: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        query: str = "",
        content_type: str = "application/json",
        version: str = "2018-07-17",
        extra: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Call a 2018-07-17 action under TC3 with any *body*; *extra* headers are not signed."""
        headers = {"content-type": content_type, "host": self.host}
        signed = signing.sign_tc3(
            signing.SignedRequest(method=method, headers=headers, raw_query=query, body=body),
            secret_id=self.secret_id,
            secret_key=self.secret_key,
            timestamp=self._timestamp(),
        )
        sent = {**headers, **signed, "X-TC-Action": action, "X-TC-Version": version, **(extra or {})}
        target = f"/?{query}" if query else "/"
        return request(self.port, method, target, headers=sent, body=body or None)

    def call(self, action: str, **members: Any) -> Any:
        """Call a 2018-07-17 action with JSON members and return what is inside `Response`."""
        answer = self.tc3(action, json.dumps(members).encode())
        assert answer.status == 200
        return answer.json()["Response"]

    def v1(
        self,
        params: Sequence[tuple[str, str]],
        *,
        method: str = "GET",
        path: str = "/",
        host: str | None = None,
    ) -> HttpAnswer:
        """
        Send parameter-signed *params* as a query or form, after adding what signing needs and they lack.

        Args:
            path: `/` or `/v2/index.php`.
            host: What is signed for, when it is not the `Host` that is sent.
        """
        given = dict(params)
        common = {
            "SecretId": self.secret_id,
            "Timestamp": str(self._timestamp()),
            "Nonce": str(next(_nonces)),
        }
        whole = [*params, *((name, value) for name, value in common.items() if name not in given)]
        signature = signing.sign_v1(method, host or self.host, path, whole, self.secret_key)
        return self.unsigned([*whole, ("Signature", signature)], method=method, path=path)

    def unsigned(
        self, params: Sequence[tuple[str, str]], *, method: str = "GET", path: str = "/"
    ) -> HttpAnswer:
        """Send *params* as they are."""
        text = urlencode(params)
        if method == "GET":
            return request(self.port, method, f"{path}?{text}")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return request(self.port, method, path, headers=form, body=text.encode())

    def call_2017(self, action: str, *, method: str = "GET", **params: str) -> Any:
        """Call a 2017 action and return its answer. Dots in names are written as double underscores."""
        pairs = [("Action", action), *((name.replace("__", "."), value) for name, value in params.items())]
        answer = self.v1(pairs, method=method, path="/v2/index.php")
        assert answer.status == 200
        return answer.json()

    def _timestamp(self) -> int:
        return to_us(self.clock.now()) // 1_000_000

"""Signed calls to any action of a service that speaks the 2018-07-17 API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from vodsprite.errors import VodspriteError
from vodsprite.wire import signing

VERSION = "2018-07-17"


class CallFailed(VodspriteError):
    """The service answered with an error. `code` is the wire's, as in `InvalidParameterValue.FileId`."""

    def __init__(self, code: str, message: str, request_id: str) -> None:
        super().__init__(f"{code}: {message} (request {request_id})")
        self.code = code
        self.request_id = request_id


class Client:
    """
    Calls actions with one credential; an async context manager that closes its connections.

    Args:
        endpoint: Scheme, host and port, as in `http://127.0.0.1:8266`.
        timeout_s: Of one call in all; a pull may be held for 5 s.
    """

    def __init__(self, endpoint: str, secret_id: str, secret_key: str, *, timeout_s: float = 10) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._secret_id = secret_id
        self._secret_key = secret_key
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, action: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        Call *action* and return the members of its answer, `RequestId` among them.

        Raises:
            CallFailed: The service answered with an error.
        """
        if self._session is None:
            raise RuntimeError("a Client is used as an async context manager")
        body = json.dumps(dict(params or {}), ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json",
            "host": self._endpoint.split("://", 1)[1],
            "x-tc-action": action,
            "x-tc-version": VERSION,
        }
        request = signing.SignedRequest(method="POST", raw_query="", headers=headers, body=body)
        headers |= signing.sign_tc3(
            request,
            secret_id=self._secret_id,
            secret_key=self._secret_key,
            timestamp=int(time.time()),
        )
        async with self._session.post(self._endpoint + "/", data=body, headers=headers) as answer:
            members: dict[str, Any] = (await answer.json())["Response"]
        if "Error" in members:
            fault = members["Error"]
            raise CallFailed(fault["Code"], fault["Message"], members["RequestId"])
        return members

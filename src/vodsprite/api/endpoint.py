"""
One generation of the API at its path: read, authenticate, run, answer; and the fence that lets nothing leak.

What differs between the generations is a `Generation`; order, threads, limits and logging are the same here.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vodsprite.api.call import Action, Answer, Call, Caller, Fields, find_app
from vodsprite.api.incoming import Gone, Head, read_body, read_head, too_long
from vodsprite.api.params import Params, read, unknown_members
from vodsprite.errors import Unsupported
from vodsprite.parts import Parts
from vodsprite.wire import payloads

log = structlog.get_logger()

LARGEST_QUERY_BYTES = 32 * 1024
"""A GET request's parameters; documented for both generations' signatures."""

_ADMITTED_BYTES = 64 * 1024
"""A body that announces more is only read once its sender is known."""

_HIGHEST_PORT = 65_535
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([1-9]\d{0,4}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A request whose sender is known: what it asks for."""

    caller: Caller
    action: Action
    params: Params


@dataclass(slots=True, kw_only=True)
class Trace:
    """What is known of a request so far, for its log line and its error."""

    request_id: str
    action_name: str = ""
    action: Action | None = None
    app_id: int | None = None
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a caller is told of an error."""

    code: str  # as the wire writes it; for the log
    internal: bool  # no fault of the caller's: the text stays in the log
    answer: Fields


class Generation(Protocol):
    """What one generation of the API does its own way."""

    def body_limit(self, head: Head) -> int:
        """Return how long the body of such a request may be, in bytes."""
        ...

    def admit(self, head: Head, now: datetime) -> None:
        """Refuse, by its head alone, a request whose sender cannot be known; raises as `open`."""
        ...

    def open(self, head: Head, body: bytes, now: datetime, trace: Trace) -> Opened:
        """
        Say who sent the request and what it asks for, filling in *trace* on the way.

        Raises:
            Unauthenticated: Nobody we know signed it.
            ActionUnknown, VersionUnknown: It asks for what does not exist.
            InvalidInput: Its parameters cannot be read.
        """
        ...

    def success(self, fields: Fields, request_id: str) -> Fields:
        """Return the whole answer around *fields*."""
        ...

    def failure(self, error: Exception, action: Action | None, request_id: str) -> Told:
        """Return what the caller is told of *error*."""
        ...


class Endpoint:
    """An ASGI application that answers every request with HTTP 200 and JSON, errors included."""

    def __init__(
        self, generation: Generation, parts: Parts, *, public_url: str | None, trust_host: bool
    ) -> None:
        self._generation = generation
        self._parts = parts
        self._public_url = public_url
        self._trust_host = trust_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        trace = Trace(request_id=self._parts.ids.request_id())
        with structlog.contextvars.bound_contextvars(request_id=trace.request_id):
            try:
                fields = await self._fields(read_head(scope), receive, trace)
                answer = self._generation.success(fields, trace.request_id)
            except Gone:
                return
            except Exception as error:  # noqa: BLE001  the fence: whatever went wrong, the caller gets an answer
                answer = self._failure(error, trace)
            body = payloads.to_bytes(answer)
            # The Python SDK looks for errors only under exactly this content type, without a charset.
            await Response(body, headers={"content-type": "application/json"})(scope, receive, send)

    async def _fields(self, head: Head, receive: Receive, trace: Trace) -> Fields:
        now = self._parts.clock.now()
        trace.client = head.headers.get("x-tc-requestclient", "")[:100]
        if head.method not in ("GET", "POST"):
            raise Unsupported("method", f"{head.method[:20]!r} is not supported; send GET or POST")
        if len(head.raw_query) > LARGEST_QUERY_BYTES:
            raise too_long(LARGEST_QUERY_BYTES)
        limit = self._generation.body_limit(head)
        announced = head.announced_bytes
        if announced is not None and announced > limit:
            raise too_long(limit)
        if announced is None or announced > _ADMITTED_BYTES:
            await run_in_threadpool(self._generation.admit, head, now)
        body = await read_body(receive, limit)
        answer = await run_in_threadpool(self._answer, head, body, now, trace)
        if inspect.isawaitable(answer):
            return await _unless_gone(answer, receive)
        return answer

    def _answer(self, head: Head, body: bytes, now: datetime, trace: Trace) -> Answer:
        opened = self._generation.open(head, body, now, trace)
        trace.action = opened.action
        request = read(opened.action.model, opened.params)
        app = find_app(self._parts, opened.caller, request.sub_app_id)
        trace.app_id = app.app_id
        unknown = unknown_members(request)
        if unknown:
            log.info("unknown_parameters_ignored", action=trace.action_name, names=unknown)
        call = Call(
            parts=self._parts,
            app=app,
            now=now,
            request_id=trace.request_id,
            origin=self._origin(head),
        )
        return opened.action.run(call, request)

    def _origin(self, head: Head) -> str | None:
        if self._public_url is not None:
            return self._public_url
        host = _HOST.fullmatch(head.host) if self._trust_host else None
        if host is None or int(host[2] or 0) > _HIGHEST_PORT:
            return None
        return f"{head.scheme}://{head.host}"

    def _failure(self, error: Exception, trace: Trace) -> Fields:
        told = self._generation.failure(error, trace.action, trace.request_id)
        facts = {
            "action": trace.action_name,
            "app_id": trace.app_id,
            "code": told.code,
            "client": trace.client,
        }
        if told.internal:
            log.error("api_call_failed", **facts, exc_info=error)
        else:
            log.info("api_call_refused", **facts, reason=str(error)[:300])
        return told.answer


async def _unless_gone(answer: Awaitable[Fields], receive: Receive) -> Fields:
    """
    Await *answer* for as long as the client is there.

    Raises:
        Gone: The client left first; what was awaited has been cancelled by then.
    """
    work = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Gone
        return work.result()
    finally:
        for task in (work, leaving):
            task.cancel()
        await asyncio.gather(work, leaving, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

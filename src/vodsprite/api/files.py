"""
Serves objects of the store: sprites to everybody, originals to who holds a signed link.

One way for every kind of store: the object's facts, then the bytes that were asked for, block by block.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.errors import Forbidden, InvalidInput, MediaNotFound, Transient
from vodsprite.ids import FileId
from vodsprite.media.links import Links
from vodsprite.media.media import MediaState
from vodsprite.media.registry import MediaRegistry
from vodsprite.parts import Parts
from vodsprite.sprite.formats import FORMATS
from vodsprite.storage.store import ObjectStat, Store

log = structlog.get_logger()

BLOCK_BYTES = 256 * 1024

MEDIA_TYPES = {each.suffix: each.media_type for each in FORMATS.values()} | {
    ".vtt": "text/vtt; charset=utf-8"
}
"""What is served below `/sprites`, by file name suffix; there is nothing else to see."""

_SPRITE_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    # A path names one run of one task, so what it holds never changes.
    "Cache-Control": "public, max-age=86400, immutable",
}
_ERROR_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """An object, open at its start."""

    facts: ObjectStat
    file: BinaryIO


class Files:
    """The two places that files are served from."""

    def __init__(self, parts: Parts) -> None:
        self._store: Store = parts.store
        self._database: Database = parts.database
        self._media: MediaRegistry = parts.media
        self._links: Links = parts.links
        self._clock: Clock = parts.clock

    async def sprite(self, request: Request) -> Response:
        """Serve a sheet or a WebVTT file, to pages of any origin."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT_HEADERS)
        path = request.path_params["path"]
        media_type = MEDIA_TYPES.get(PurePosixPath(path).suffix)
        if media_type is None:
            return _not_found()
        headers = {**_SPRITE_HEADERS, "Content-Type": media_type}
        return await self._serve(request, f"sprites/{path}", headers)

    async def original(self, request: Request) -> Response:
        """Serve an original to who holds a link that stands, as a download that no browser interprets."""
        file_id = FileId(request.path_params["file_id"])
        try:
            self._links.open_original(request.path_params["signature"], file_id, now=self._clock.now())
            key, name = await run_in_threadpool(self._original, file_id)
        except Forbidden as error:
            return PlainTextResponse(str(error), status_code=403, headers=_ERROR_HEADERS)
        except MediaNotFound:
            return _not_found()
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        return await self._serve(request, key, headers)

    def _original(self, file_id: FileId) -> tuple[str, str]:
        with self._database.reading() as conn:
            media = self._media.of_task_in(conn, file_id)
        if media.state is not MediaState.NORMAL:
            raise MediaNotFound(file_id)
        return media.object_key, media.file_name

    async def _serve(self, request: Request, key: str, headers: Mapping[str, str]) -> Response:
        try:
            found = await run_in_threadpool(self._open, key)
        except Transient:
            log.warning("object_store_failed", key=key, exc_info=True)
            return PlainTextResponse(
                "Try again later", status_code=503, headers={**_ERROR_HEADERS, "Retry-After": "5"}
            )
        if found is None:
            return _not_found()
        return _respond(request, found, headers)

    def _open(self, key: str) -> _Found | None:
        try:
            local = self._store.local_path(key)
            # A folder's store calls it a failure when a path leads through a file or has too long a name.
            if local is not None and not os.path.isfile(local):
                return None
            facts = self._store.stat(key)
            return None if facts is None else _Found(facts=facts, file=self._store.open(key))
        except (InvalidInput, FileNotFoundError):
            return None


def _respond(request: Request, found: _Found, headers: Mapping[str, str]) -> Response:
    facts, file = found.facts, found.file
    validators = {
        **headers,
        "ETag": facts.etag,
        "Last-Modified": format_datetime(facts.modified_at, usegmt=True),
        "Accept-Ranges": "bytes",
    }
    if _is_unchanged(request, facts):
        file.close()
        return Response(status_code=304, headers=validators)
    start, end, status = 0, facts.size_bytes, 200
    wanted = _RANGE.fullmatch(request.headers.get("range", ""))
    if wanted and wanted[0] != "bytes=-" and _may_be_partial(request, validators):
        start, end = _span(wanted[1], wanted[2], facts.size_bytes)
        status = 206
        if start >= end:
            file.close()
            unsatisfied = {**validators, "Content-Range": f"bytes */{facts.size_bytes}"}
            return Response(status_code=416, headers=unsatisfied)
        validators["Content-Range"] = f"bytes {start}-{end - 1}/{facts.size_bytes}"
    validators["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=validators)
    return StreamingResponse(_blocks(file, start, end), status_code=status, headers=validators)


def _blocks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = end - start
        while left:
            block = file.read(min(left, BLOCK_BYTES))
            if not block:
                return  # shorter than it was: the server sees the missing bytes and breaks the connection
            left -= len(block)
            yield block


def _span(first: str, last: str, size_bytes: int) -> tuple[int, int]:
    """The half-open span that a single range asks for; empty when the object has none of it (RFC 9110)."""
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    return int(first), min(int(last) + 1 if last else size_bytes, size_bytes)


def _may_be_partial(request: Request, validators: Mapping[str, str]) -> bool:
    condition = request.headers.get("if-range")
    return condition is None or condition in (validators["ETag"], validators["Last-Modified"])


def _is_unchanged(request: Request, facts: ObjectStat) -> bool:
    known = request.headers.get("if-none-match")
    if known is not None:
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return "*" in tags or facts.etag in tags
    since = _http_date(request.headers.get("if-modified-since", ""))
    return since is not None and facts.modified_at.replace(microsecond=0) <= since


def _http_date(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def _not_found() -> Response:
    return PlainTextResponse("Not Found", status_code=404, headers=_ERROR_HEADERS)

"""A request as it came over the wire: its head, and its body within a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Receive, Scope

from vodsprite.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """All of a request but its body."""

    method: str
    scheme: str  # http, https
    raw_query: str  # what follows "?", neither decoded nor sorted
    headers: Mapping[str, str] = field(repr=False)  # names in lower case; of a repeated header the first

    @property
    def host(self) -> str:
        """The `Host` header, port included; "" when there is none."""
        return self.headers.get("host", "")

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; "" when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def announced_bytes(self) -> int | None:
        """How long the body is said to be; None when it comes in chunks until it ends."""
        if "transfer-encoding" in self.headers:
            return None
        return int(self.headers.get("content-length", "0"))  # the HTTP server refuses what is no number


class Gone(Exception):
    """The client went away before its request was complete."""


def read_head(scope: Scope) -> Head:
    """Return the head of the request that *scope* describes."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return Head(
        method=scope["method"],
        scheme=scope["scheme"],
        raw_query=scope["query_string"].decode("latin-1"),
        headers=headers,
    )


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """
    Read the body, of which at most *limit_bytes* are kept.

    Raises:
        InvalidInput: It is longer.
        Gone: The client left.
    """
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        length += len(chunk)
        if length > limit_bytes:
            raise too_long(limit_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def too_long(limit_bytes: int) -> InvalidInput:
    """Return the error for a body or query of more than *limit_bytes*."""
    return InvalidInput("request", f"is too long; at most {limit_bytes} bytes are accepted")

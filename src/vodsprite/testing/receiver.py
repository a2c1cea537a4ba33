"""A real HTTP receiver on the loopback interface that keeps what it gets and answers as told."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at_s: float  # `time.monotonic`

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class _Manner(Enum):
    ANSWER = "answer"
    HANG = "hang"
    STALL = "stall"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the receiver does with one request. Build others with `status`, `hang`, `stall`, `reset`."""

    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    manner: _Manner = _Manner.ANSWER


OK = Reply()


def status(
    code: int, *, retry_after: int | str | None = None, location: str | None = None, body: bytes = b""
) -> Reply:
    """Answer with *code*."""
    headers: dict[str, str] = {}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if location is not None:
        headers["Location"] = location
    return Reply(code=code, headers=headers, body=body)


def hang() -> Reply:
    """Never answer; the connection stays open until the client or the receiver goes."""
    return Reply(manner=_Manner.HANG)


def stall(code: int = 200, *, body: bytes = b"") -> Reply:
    """Answer with *code* and the beginning of a body whose rest never comes."""
    return Reply(code=code, body=body, manner=_Manner.STALL)


def reset() -> Reply:
    """Break the connection with a TCP reset instead of an answer."""
    return Reply(manner=_Manner.RESET)


class Receiver:
    """
    An HTTP server on 127.0.0.1 and a free port, for a `with` block, at whose end it is gone.

    Every request is kept, then answered by the script of its path, then by the script of all paths, then by
    `otherwise` (200 with an empty body).
    """

    def __init__(self, *, otherwise: Reply = OK) -> None:
        self.otherwise = otherwise
        self._changed = threading.Condition()
        self._received: list[Received] = []
        self._scripts: defaultdict[str | None, deque[Reply]] = defaultdict(deque)
        self._over = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="receiver", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def received(self) -> list[Received]:
        """Everything that came so far, in order."""
        with self._changed:
            return list(self._received)

    def script(self, *replies: Reply, path: str | None = None) -> None:
        """Queue *replies* for the next requests, of *path* only when it is given."""
        with self._changed:
            self._scripts[path].extend(replies)

    def wait_for(self, count: int, *, timeout_s: float = 20.0, path: str | None = None) -> list[Received]:
        """
        Wait until *count* requests came (of *path*, when given), and return all such.

        Raises:
            AssertionError: Fewer came within *timeout_s*.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._of(path)) >= count, timeout_s)
            found = self._of(path)
        assert len(found) >= count, f"{len(found)} of {count} requests came within {timeout_s} s"
        return found

    def _of(self, path: str | None) -> list[Received]:
        return [one for one in self._received if path is None or one.path == path]

    def _take(self, request: Received) -> Reply:
        with self._changed:
            self._received.append(request)
            self._changed.notify_all()
            for key in (request.path, None):
                if self._scripts[key]:
                    return self._scripts[key].popleft()
            return self.otherwise

    def _opened(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.add(connection)

    def _closed(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.discard(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the handlers, so nothing outlives the `with` block
    block_on_close = True
    request_queue_size = 128

    def __init__(self, owner: Receiver) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients that go away in the middle are what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.owner._opened(self.connection)

    def finish(self) -> None:
        self.server.owner._closed(self.connection)
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.owner._take(
            Received(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
                at_s=time.monotonic(),
            )
        )
        if reply.manner is _Manner.HANG:
            self._hang()
        elif reply.manner is _Manner.STALL:
            self._answer(reply, promised_bytes=len(reply.body) + 1)
            self._hang()
        elif reply.manner is _Manner.RESET:
            self._reset()
        else:
            self._answer(reply, promised_bytes=len(reply.body))

    do_GET = do_POST
    do_PUT = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the test reads `received`."""

    def _hang(self) -> None:
        # Ends when the client hangs up (or the receiver ends, which shuts the connection).
        self.close_connection = True
        while not self.server.owner._over.is_set():
            if not self.connection.recv(1024):
                return

    def _reset(self) -> None:
        # The server would say a polite FIN first; closing the descriptor itself sends RST at once.
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _answer(self, reply: Reply, *, promised_bytes: int) -> None:
        self.send_response(reply.code)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(promised_bytes))
        self.end_headers()
        self.wfile.write(reply.body)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was closed meanwhile

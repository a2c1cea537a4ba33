"""
A real web server for one file, that serves ranges well or badly, on a free port, and counts what it sends.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(slots=True, kw_only=True)
class Conduct:
    """How a server behaves. The defaults are good manners."""

    ranges: bool = True
    tells_length: bool = True
    redirects: dict[str, str] = field(default_factory=dict)  # path -> location
    statuses: list[int] = field(default_factory=list)  # answers of the first requests, instead of the file
    short: list[int] = field(default_factory=list)  # after so many bytes the first answers break off
    reset: bool = False  # break off by a reset rather than an end
    etag: Callable[[int], str] = lambda number: '"1"'  # by the number of the request
    closes: bool = False  # after every answer
    delay_s: float = 0.0  # of every answer
    shift: int = 0  # serve another range than was asked for


class RangedServer:
    """
    Serves *data* at every path on 127.0.0.1, for a `with` block.

    `requests` are path and range of each, `sent` counts the bytes of bodies, `connections` those accepted.
    """

    def __init__(
        self, data: bytes, conduct: Conduct | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.data = data
        self.conduct = conduct or Conduct()
        self.requests: list[tuple[str, str]] = []
        self.sent = 0
        self.connections = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """The port that was free."""
        return int(self._server.server_address[1])

    def url(self, path: str = "/video.mp4") -> str:
        """Return the URL of *path*."""
        return f"http://127.0.0.1:{self.port}{path}"

    def note(self, path: str, span: str) -> int:
        """Take note of a request, and return its number from 0."""
        with self._lock:
            self.requests.append((path, span))
            return len(self.requests) - 1

    def count(self, sent: int) -> None:
        """Take note of bytes sent."""
        with self._lock:
            self.sent += sent

    def __enter__(self) -> RangedServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: RangedServer) -> None:
        self.owner = owner
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.owner.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        owner, conduct = self.server.owner, self.server.owner.conduct
        number = owner.note(self.path, self.headers.get("Range", ""))
        if conduct.delay_s:
            time.sleep(conduct.delay_s)
        location = conduct.redirects.get(self.path)
        if location is not None:
            self._bare(302, ("Location", location))
            return
        if conduct.statuses:
            self._bare(conduct.statuses.pop(0))
            return
        self._file(owner, conduct, number)

    def _file(self, owner: RangedServer, conduct: Conduct, number: int) -> None:
        size = len(owner.data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, end = 0, size
        if asked is not None and conduct.ranges:
            first = int(asked[1]) + conduct.shift
            end = min(size, int(asked[2]) + 1 + conduct.shift) if asked[2] else size
            if first >= size:
                self._bare(416, ("Content-Range", f"bytes */{size}"))
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
        else:
            self.send_response(200)
        if conduct.tells_length:
            self.send_header("Content-Length", str(end - first))
        self.send_header("ETag", conduct.etag(number))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        if conduct.closes or not conduct.tells_length:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        body = owner.data[first:end]
        if conduct.short:
            body = body[: conduct.short.pop(0)]
            self.close_connection = True
        self.wfile.write(body)
        owner.count(len(body))
        if len(body) < end - first and conduct.reset:
            # An abortive close: the client meets ECONNRESET.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()

    def _bare(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()

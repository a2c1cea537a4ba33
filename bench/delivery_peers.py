"""
What stands at the other end of `delivery.py`, each in a process of its own.

    python bench/delivery_peers.py receiver PORTS HANGING   a receiver that answers 200 at once
    python bench/delivery_peers.py rival DATABASE           a bare Starlette queue with the same commits

Each prints one line of JSON once it listens.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import sys
import threading
import time
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Notes:
    """When the first byte of each event came, by `webhook-id`; and how many pushes came in all."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.count = 0

    def take(self) -> bytes:
        """Return the notes as JSON and begin anew."""
        text = json.dumps({"first": self.first, "count": self.count}).encode()
        self.first, self.count = {}, 0
        return text


class Receiving(asyncio.Protocol):
    """Just enough HTTP: a POST is noted and answered, a GET is answered with the notes."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._read = bytearray()
        self._begun = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        if not self._read:
            self._begun = time.monotonic()
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        lines = bytes(head).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        if len(body) < int(headers.get("content-length", 0)):
            return
        self._read.clear()
        if lines[0].startswith("GET"):
            text = self._notes.take()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            return
        self._notes.count += 1
        self._notes.first.setdefault(headers.get("webhook-id", ""), self._begun)
        self._transport.write(OK)


async def receive(ports: int, hanging: int) -> None:
    """Listen on *ports* ports that answer and *hanging* ones that never do."""
    notes = Notes()
    loop = asyncio.get_running_loop()
    good = [await loop.create_server(lambda: Receiving(notes), "127.0.0.1", 0) for _ in range(ports)]
    dead = [await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) for _ in range(hanging)]
    told = {
        "ports": [server.sockets[0].getsockname()[1] for server in good],
        "hanging": [server.sockets[0].getsockname()[1] for server in dead],
    }
    print(json.dumps(told), flush=True)
    await asyncio.Event().wait()


class Rival:
    """The same two commits as pull and confirm, and nothing else: no signature, no apps, no models."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._own = threading.local()

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._own, "connection"):
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._own.connection = connection
        found: sqlite3.Connection = self._own.connection
        return found

    async def pull(self, _: Request) -> Response:
        """Lease 16 events."""
        return Response(await run_in_threadpool(self._pull))

    async def confirm(self, request: Request) -> Response:
        """Settle them."""
        ids = json.loads(await request.body())
        return Response(await run_in_threadpool(self._confirm, ids))

    def _pull(self) -> bytes:
        connection, now = self._connection(), time.time()
        connection.execute("BEGIN IMMEDIATE")
        rows = connection.execute(
            "UPDATE queue SET due_at = ? WHERE id IN (SELECT id FROM queue WHERE state = 0 AND due_at <= ?"
            " ORDER BY due_at, id LIMIT 16) RETURNING id, data",
            (now + 30, now),
        ).fetchall()
        connection.execute("COMMIT")
        return json.dumps([{"id": key, "event": json.loads(data)} for key, data in rows]).encode()

    def _confirm(self, ids: list[int]) -> bytes:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        marks = ",".join("?" * len(ids))
        connection.execute(f"UPDATE queue SET state = 1 WHERE id IN ({marks})", ids)
        connection.execute("COMMIT")
        return b"{}"


def serve_rival(path: str) -> None:
    """Serve the rival on a free port."""
    rival = Rival(path)
    app = Starlette(
        routes=[
            Route("/pull", rival.pull, methods=["POST"]),
            Route("/confirm", rival.confirm, methods=["POST"]),
        ]
    )
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    if sys.argv[1] == "receiver":
        asyncio.run(receive(int(sys.argv[2]), int(sys.argv[3])))
    else:
        serve_rival(sys.argv[2])

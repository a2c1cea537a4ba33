"""
A receiver that notes what it gets before it answers, and often answers badly: 500, nothing, a reset.

    python flaky.py PORT NOTES SEED SHARE

A note is one line, written in one go to a file opened for appending: `webhook-id task-id manner`. So what was
noted outlives a SIGKILL, and a noted `ok` may still not have reached the sender. SHARE is the part that goes
wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import struct
import sys

from aiohttp import web

PAYLOAD = "CreateImageSpriteCompleteEvent"


class Flaky:
    """Handles the requests."""

    def __init__(self, notes: str, seed: str, share: float) -> None:
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._random = random.Random(seed)
        self._share = share

    async def handle(self, request: web.Request) -> web.Response:
        """Note the event, then do what chance says."""
        event = json.loads(await request.read())
        manner = "ok"
        if self._random.random() < self._share:
            # A hanging request holds one of the few that may be in flight for its whole time-out: rarer.
            [manner] = self._random.choices(("error", "reset", "hang"), (6, 6, 1))
        line = f"{request.headers['webhook-id']} {event[PAYLOAD]['TaskId']} {manner}\n"
        os.write(self._notes, line.encode())
        if manner == "hang":
            await asyncio.sleep(3600)
        if manner == "reset" and request.transport is not None:
            peer: socket.socket = request.transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
        return web.Response(status=500 if manner == "error" else 200)


if __name__ == "__main__":
    flaky = Flaky(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    app = web.Application()
    app.router.add_post("/", flaky.handle)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, reuse_address=True, access_log=None)

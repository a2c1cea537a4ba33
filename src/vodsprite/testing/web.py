"""A real web server around an ASGI application, for a `with` block."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_START_S = 20.0


class _Server(uvicorn.Server):
    """Tells when it began to listen, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()


@contextmanager
def serving(app: ASGIApp) -> Iterator[int]:
    """Serve *app* on 127.0.0.1 and yield the free port that was taken; the server is gone at the end."""
    server = _Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=5))
    # asyncio sets TCP_NODELAY only where the protocol is named; without it, answers wait for delayed ACKs.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="serving", daemon=True
        )
        thread.start()
        try:
            assert server.listening.wait(_START_S), f"the server did not listen within {_START_S} s"
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()

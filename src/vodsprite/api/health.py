"""Whether the service lives, and whether it can do its work."""

from __future__ import annotations

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from vodsprite.apps.registry import AppRegistry

log = structlog.get_logger()

_NEVER_CACHED = {"Cache-Control": "no-store"}


class Health:
    """Two checks for whoever supervises the process."""

    def __init__(self, apps: AppRegistry) -> None:
        self._apps = apps

    async def live(self, request: Request) -> Response:
        """Answer 200 as long as the process serves requests at all."""
        return JSONResponse({"status": "ok"}, headers=_NEVER_CACHED)

    async def ready(self, request: Request) -> Response:
        """Answer 200 when the database has the primary app to show, else 503; why is in the log."""
        try:
            await run_in_threadpool(self._apps.find, None)
        except Exception:  # a fence: whatever keeps the database from answering, we are not ready
            log.warning("not_ready", exc_info=True)
            return JSONResponse({"status": "database unavailable"}, status_code=503, headers=_NEVER_CACHED)
        return JSONResponse({"status": "ok"}, headers=_NEVER_CACHED)

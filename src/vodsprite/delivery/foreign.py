"""Events of types that a newer version wrote: this one leaves them to it, and nobody waits behind them."""

from __future__ import annotations

from datetime import timedelta

import structlog

from vodsprite.delivery.delivery import StoredEvent
from vodsprite.ids import EventId

log = structlog.get_logger()

PUT_OFF = timedelta(seconds=600)
"""After that it is looked at again, for ever."""

NOTE = "waits for a newer version: this one does not know its type"

_TOLD_AT_MOST = 10_000


class ForeignEvents:
    """Tells of each such event once."""

    def __init__(self) -> None:
        self._told: set[EventId] = set()

    def tell(self, event: StoredEvent) -> None:
        """Log that *event* is put off, unless that was said before."""
        if event.event_id in self._told:
            return
        if len(self._told) >= _TOLD_AT_MOST:
            self._told.clear()
        self._told.add(event.event_id)
        log.warning(
            "event.type_unknown",
            event_id=event.event_id,
            type=event.type.value,
            app_id=event.app_id,
            is_test=event.is_test,
        )

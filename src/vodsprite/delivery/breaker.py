"""A circuit breaker: how many pushes a destination may have in flight, by how the last ones went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When it opens, and what it lets through."""

    in_flight: int = 8  # of a healthy destination
    at_first: int = 1  # of one that has not taken anything yet
    failures: int = 5  # in a row open it
    probe_every_s: float = 30  # while it is open, one push every so often may close it


class Breaker:
    """
    The state of one destination.

    Closed and healthy: `in_flight` pushes at once, and `at_first` until the first one went well. After a
    failure: one at once. So many dead destinations together hold few sockets. Open: none, but
    for a probe when its time has come.
    """

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._is_proven = False
        self._open_until: datetime | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether the last push went well, or there was none yet."""
        return self._failures == 0 and self._open_until is None

    @property
    def open_until(self) -> datetime | None:
        """When the next probe may go; None while it is closed."""
        return self._open_until

    def slots(self, now: datetime) -> int:
        """Return how many pushes may be in flight at *now*."""
        if self._open_until is not None and now < self._open_until:
            return 0
        if not self.is_healthy:
            return 1
        settings = self._settings
        return settings.in_flight if self._is_proven else min(settings.at_first, settings.in_flight)

    def succeeded(self) -> None:
        """A push went well: close."""
        self._is_proven = True
        self._failures = 0
        self._open_until = None

    def failed(self, now: datetime) -> bool:
        """A push went wrong: perhaps open. Return whether that opened it just now."""
        self._failures += 1
        if self._open_until is None and self._failures < self._settings.failures:
            return False
        return self.open(now)

    def open(self, now: datetime) -> bool:
        """Open at once, or stay open for another while. Return whether it was closed."""
        was_closed = self._open_until is None
        self._open_until = now + timedelta(seconds=self._settings.probe_every_s)
        return was_closed

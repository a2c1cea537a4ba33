"""The clock that loops and handlers hold. Whatever decides takes `now` instead."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What the time is, and how to wait."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        return time.monotonic()


def to_us(instant: datetime) -> int:
    """Return *instant* as whole microseconds since 1970, the form in which tables keep it."""
    if instant.tzinfo is None:
        raise ValueError("a datetime without a zone has no instant")
    return (instant - EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Return the instant that is *microseconds* after 1970, aware and in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)

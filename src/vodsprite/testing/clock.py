"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """
    A `Clock` whose hands a test moves; safe to use from several threads.

    A sleeper wakes once the clock was advanced to its time. With `sleeping_advances=True` a sleeper moves the
    clock itself and goes on at once, for code that sleeps where no test could reach it.
    """

    def __init__(self, start: datetime = START, *, sleeping_advances: bool = False) -> None:
        self._now = start
        self._sleeping_advances = sleeping_advances
        self._lock = threading.Lock()
        self._sleepers: list[tuple[datetime, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the instant that the hands show."""
        with self._lock:
            return self._now

    def advance(self, *, seconds: float) -> datetime:
        """Move the hands by *seconds* (negative: back), wake whose time has come, return the instant."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            now = self._now
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= now]
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > now]
        for _, loop, future in due:
            loop.call_soon_threadsafe(_wake, future)
        return now

    @property
    def sleepers(self) -> int:
        """How many are asleep, so that a test can advance once everybody waits."""
        with self._lock:
            return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by *seconds*."""
        if self._sleeping_advances:
            self.advance(seconds=seconds)
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            sleeper = (self._now + timedelta(seconds=seconds), loop, future)
            if seconds <= 0:
                future.set_result(None)
            else:
                self._sleepers.append(sleeper)
        try:
            await future
        finally:
            with self._lock:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

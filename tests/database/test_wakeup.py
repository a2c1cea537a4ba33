"""The bell: who waits for rows hears of them at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.testing.databases import opened

ANOTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
for line in sys.stdin:
    connection.execute("INSERT INTO facts (name, value) VALUES (?, '')", (line.strip(),))
    connection.commit()
    print("committed", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vodsprite.sqlite"


@pytest.fixture
def sqlite(path: Path) -> Iterator[Database]:
    with opened(f"sqlite:///{path}") as database:
        yield database


@pytest.fixture
def wakeup(sqlite: Database) -> Iterator[Wakeup]:
    wakeup = Wakeup(sqlite)
    yield wakeup
    wakeup.close()


async def quiet(wakeup: Wakeup) -> int:
    """Wait until the bell is silent: the first look at a database rings for what may have been before."""
    rings = -1
    while rings != wakeup.rings():
        rings = wakeup.rings()
        await wakeup.wait(0.2, since=rings)
    return rings


def test_a_ring_from_any_thread_wakes_who_waits(wakeup: Wakeup) -> None:
    """Several waiters wake as soon as a thread without an event loop rings."""

    async def scene() -> float:
        await quiet(wakeup)
        waiters = [asyncio.create_task(wakeup.wait(30, since=wakeup.rings())) for _ in range(3)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        threading.Thread(target=wakeup.ring).start()
        await asyncio.gather(*waiters)
        return time.monotonic() - begun

    assert asyncio.run(scene()) < 5


def test_a_ring_between_the_look_and_the_wait_is_not_lost(wakeup: Wakeup) -> None:
    """Who looked before the ring and waits after it returns at once."""

    async def scene() -> float:
        rings = await quiet(wakeup)
        wakeup.ring()
        begun = time.monotonic()
        await wakeup.wait(30, since=rings)
        return time.monotonic() - begun

    assert asyncio.run(scene()) < 5


def test_silence_ends_with_the_timeout(wakeup: Wakeup) -> None:
    """Nobody rings, nothing is committed: the wait lasts as long as it was told."""

    async def scene() -> float:
        rings = await quiet(wakeup)
        begun = time.monotonic()
        await wakeup.wait(0.3, since=rings)
        assert wakeup.rings() == rings
        return time.monotonic() - begun

    assert asyncio.run(scene()) >= 0.29


def test_another_process_s_commit_wakes_who_waits(wakeup: Wakeup, path: Path) -> None:
    """On SQLite a commit by a process that cannot ring is noticed within a fraction of a second."""
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER_PROCESS, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        stdin, stdout = other.stdin, other.stdout

        def commit(name: str) -> float:
            stdin.write(f"{name}\n")
            stdin.flush()
            assert stdout.readline() == "committed\n"
            return time.monotonic()

        async def scene(name: str) -> float:
            rings = await quiet(wakeup)
            waiter = asyncio.create_task(wakeup.wait(30, since=rings))
            committed = await asyncio.to_thread(commit, name)
            await waiter
            return time.monotonic() - committed

        delays = [asyncio.run(scene(f"fact-{number}")) for number in range(5)]
        stdin.close()

    assert min(delays) < 0.5
    assert max(delays) < 5


def test_a_reader_does_not_wake_anybody(wakeup: Wakeup, sqlite: Database) -> None:
    """Looking at the tables is no commit, or loops that look when they are woken would never rest."""

    async def scene() -> bool:
        rings = await quiet(wakeup)
        waiter = asyncio.create_task(wakeup.wait(0.3, since=rings))
        for _ in range(5):
            with sqlite.reading() as conn:
                conn.exec_driver_sql("SELECT count(*) FROM facts").all()
        await waiter
        return wakeup.rings() == rings

    assert asyncio.run(scene())


def test_waiting_goes_on_in_another_event_loop(wakeup: Wakeup) -> None:
    """A waiter whose loop was closed in the middle leaves nothing behind that could break a ring."""

    async def abandoned() -> None:
        waiter = asyncio.create_task(wakeup.wait(30))
        await asyncio.sleep(0)
        del waiter

    async def served() -> None:
        rings = wakeup.rings()
        wakeup.ring()
        await wakeup.wait(30, since=rings)

    asyncio.run(abandoned())
    asyncio.run(served())


def test_who_is_cancelled_as_the_bell_rings_stops_waiting(wakeup: Wakeup) -> None:
    """A service that was told to stop at the very moment of a commit waited on for an hour."""

    async def is_still_there(steps: int) -> bool:
        waiting = asyncio.create_task(wakeup.wait(60))
        for _ in range(3):
            await asyncio.sleep(0)
        wakeup.ring()
        for _ in range(steps):
            await asyncio.sleep(0)
        if not waiting.cancel():
            return False
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled(), f"{steps} steps after the bell"
        return True

    # Until the bell has been heard before the cancellation: at every moment in between it counts.
    steps = 0
    while asyncio.run(is_still_there(steps)):
        steps += 1
    assert steps > 0

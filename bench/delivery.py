"""
How fast events reach their receivers, each figure beside its rival in the same run.

    python bench/delivery.py [--quick] [--only NAME ...] [--size EVENTS]

Prints a table and one JSON line. Figures belong to the machine; ratios are what can be quoted. `--quick`
takes about a minute and a half; the full run fills a database with a million events.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from vodsprite import logs
from vodsprite.apps.app import DeliveryMode
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import SystemClock, to_us
from vodsprite.database import lease
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.schema import deliveries, events
from vodsprite.database.upgrade import upgrade
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import record, table
from vodsprite.delivery.delivery import Channel, DeliveryState
from vodsprite.delivery.dispatcher import Dispatcher, DispatcherSettings
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.pull import PullQueue, PullSettings
from vodsprite.events import TYPE_OF, ImageSpriteComplete, SpriteLinks
from vodsprite.ids import AppId, EventId, FileId, RandomIds
from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import AddrInfo, LookUp, Outbound, ask_system
from vodsprite.testing.served import Served
from vodsprite.wire import signing

PEERS = Path(__file__).with_name("delivery_peers.py")
SECRET_ID, SECRET_KEY = "AKIDbench0000000000000000000000000001", "benchSecretKey000000000000000001"
CLOCK, IDS = SystemClock(), RandomIds()
ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    figure: float
    unit: str
    rival: str = ""
    ratio: float | None = None  # ours to the rival's
    goal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    pulled: int
    pushed: int
    samples: int
    stored: int
    due: int


QUICK = Sizes(pulled=2_000, pushed=2_000, samples=150, stored=50_000, due=20_000)
FULL = Sizes(pulled=16_000, pushed=15_000, samples=500, stored=1_000_000, due=100_000)


# Pull and confirm


def pulling(sizes: Sizes) -> Iterator[Row]:
    """PullEvents and ConfirmEvents over HTTP against a bare handler that does the same commits."""
    count = sizes.pulled // ROUNDS
    took: dict[str, list[float]] = {"ours 1": [], "ours 8": [], "rival 1": [], "rival 8": []}
    with (
        tempfile.TemporaryDirectory() as place,
        tempfile.TemporaryDirectory() as other_place,
        served(Path(place)) as (started, database, app_id),
    ):
        path = Path(other_place, "rival.sqlite")
        fill_rival(path, 0)
        with peer("rival", str(path)) as told:
            # By turns, so that what else the machine does meets all of them.
            for _ in range(ROUNDS):
                for consumers in (1, 8):
                    fill(database, app_id, count, [Channel.PULL])
                    rate = consume(consumers, count, lambda: signed_consumer(started.url))
                    took[f"ours {consumers}"].append(rate)
                    fill_rival(path, count)
                    rate = consume(consumers, count, lambda: bare_consumer(told["port"]))
                    took[f"rival {consumers}"].append(rate)
    ours, ours_by_8, rival, rival_by_8 = (
        statistics.median(took[name]) for name in ("ours 1", "ours 8", "rival 1", "rival 8")
    )
    yield Row(
        what="pull + confirm over HTTP, TC3, 1 consumer",
        figure=ours,
        unit="events/s",
        rival=f"bare Starlette {rival:.0f}",
        ratio=ours / rival,
        goal=">= 2000, >= 0.5x",
    )
    yield Row(
        what="pull + confirm over HTTP, TC3, 8 consumers",
        figure=ours_by_8,
        unit="events/s",
        rival=f"bare Starlette {rival_by_8:.0f}",
        ratio=ours_by_8 / rival_by_8,
    )
    yield Row(
        what="8 consumers against 1",
        figure=ours_by_8 / ours,
        unit="x",
        rival=f"bare Starlette {rival_by_8 / rival:.2f}",
        goal=">= 1",
    )


Batch = list[tuple[str, str]]
"""Pairs of a handle and what tells events apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """One consumer's two calls, over a connection of its own."""

    pull: Callable[[], Batch]
    confirm: Callable[[Batch], None]


def consume(consumers: int, count: int, connect: Callable[[], Consumer]) -> float:
    """Pull and confirm *count* events and return how many a second; none may come twice."""
    seen: list[str] = []
    faults: list[BaseException] = []

    def loop() -> None:
        try:
            consumer = connect()
            while len(seen) < count:
                batch = consumer.pull()
                seen.extend(name for _, name in batch)
                if batch:
                    consumer.confirm(batch)
        except BaseException as fault:
            faults.append(fault)
            raise

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(consumers)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    while len(seen) < count and not faults:
        time.sleep(0.005)
    took_s = time.monotonic() - begun
    for thread in threads:
        thread.join(30)
    if faults or len(set(seen)) != count or len(seen) != count:
        raise AssertionError(f"{len(seen)} events, {len(set(seen))} different, of {count}: {faults}")
    return count / took_s


def signed_consumer(url: str) -> Consumer:
    """A consumer of a running service."""
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)

    def call(action: str, members: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(members).encode()
        headers = {
            "content-type": "application/json",
            "host": host,
            "x-tc-action": action,
            "x-tc-version": "2018-07-17",
        }
        request = signing.SignedRequest(method="POST", raw_query="", headers=headers, body=body)
        headers |= signing.sign_tc3(
            request, secret_id=SECRET_ID, secret_key=SECRET_KEY, timestamp=int(time.time())
        )
        connection.request("POST", "/", body, headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())["Response"]
        if "Error" in answer:
            raise AssertionError(answer)
        return answer

    def pull() -> Batch:
        found = call("PullEvents", {})["EventSet"]
        return [(one["EventHandle"], one["CreateImageSpriteCompleteEvent"]["TaskId"]) for one in found]

    def confirm(batch: Batch) -> None:
        call("ConfirmEvents", {"EventHandles": [handle for handle, _ in batch]})

    return Consumer(pull=pull, confirm=confirm)


def bare_consumer(port: int) -> Consumer:
    """A consumer of the rival."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def call(path: str, body: str) -> Any:
        connection.request("POST", path, body)
        return json.loads(connection.getresponse().read())

    def pull() -> Batch:
        return [(str(one["id"]), str(one["id"])) for one in call("/pull", "")]

    def confirm(batch: Batch) -> None:
        call("/confirm", json.dumps([int(handle) for handle, _ in batch]))

    return Consumer(pull=pull, confirm=confirm)


# Push


def pushing(sizes: Sizes) -> Iterator[Row]:
    """Deliveries a second to one receiver and over a hundred, against a `requests` loop."""
    rival = requests_loop(sizes.pushed // 4)
    for spread in (1, 100):
        with (
            tempfile.TemporaryDirectory() as place,
            installation(Path(place)) as (database, apps),
            peer("receiver", str(spread), "0") as told,
        ):
            for number, port in enumerate(told["ports"]):
                app_id = push_app(apps, number, f"http://127.0.0.1:{port}/")
                fill(database, app_id, sizes.pushed // spread, [Channel.PUSH_V3])
            begun = time.monotonic()
            with dispatching(database):
                until(lambda: waiting(database) == 0, within_s=300)
                took_s = time.monotonic() - begun
            count = notes(told)["count"]
        if count != sizes.pushed // spread * spread:
            raise AssertionError(f"{count} pushes came of {sizes.pushed}")
        yield Row(
            what=f"push, {spread} destination{'s' * (spread > 1)}",
            figure=count / took_s,
            unit="deliveries/s",
            rival=f"requests loop {rival:.0f}",
            ratio=count / took_s / rival,
            goal=">= 1500, >= 1.5x",
        )


def requests_loop(count: int) -> float:
    """Push *count* bodies as a simple script would, one durable commit each; return how many a second."""
    body = record.to_json(sprite())
    with (
        tempfile.TemporaryDirectory() as place,
        peer("receiver", "1", "0") as told,
        requests.Session() as session,
        contextlib.closing(sqlite3.connect(Path(place, "loop.sqlite"), isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE attempts (id INTEGER PRIMARY KEY, status INTEGER, at REAL)")
        url = f"http://127.0.0.1:{told['ports'][0]}/"
        begun = time.monotonic()
        for number in range(count):
            answer = session.post(url, body, headers={"webhook-id": str(number)}, timeout=5)
            values = (answer.status_code, time.time())
            connection.execute("INSERT INTO attempts (status, at) VALUES (?, ?)", values)
        return count / (time.monotonic() - begun)


# Latency


def latency_of_push(sizes: Sizes) -> Iterator[Row]:
    """From the commit of an event to the first byte at its receiver."""
    with (
        tempfile.TemporaryDirectory() as place,
        installation(Path(place)) as (database, apps),
        peer("receiver", "1", "0") as told,
    ):
        app_id = push_app(apps, 0, f"http://127.0.0.1:{told['ports'][0]}/")
        with dispatching(database) as wakeup:
            time.sleep(0.5)
            waits = first_bytes(database, app_id, sizes.samples, told, wakeup)
            others = first_bytes(database, app_id, sizes.samples, told, None)
    yield from percentiles("commit -> first byte", waits)
    yield from percentiles("commit in another process -> first byte", others)


def first_bytes(
    database: Database, app_id: AppId, samples: int, told: dict[str, Any], wakeup: Wakeup | None
) -> list[float]:
    """Return the waits in ms; without *wakeup*, nobody rings, as when another process commits."""
    committed: dict[EventId, float] = {}
    outbox = Outbox(IDS)
    for _ in range(samples):
        time.sleep(random.uniform(0.02, 0.08))
        with database.transaction() as conn:
            event_id = outbox.record(conn, app_id, sprite(), now=CLOCK.now())
        assert event_id is not None
        committed[event_id] = time.monotonic()
        if wakeup is not None:
            wakeup.ring()
    until(lambda: waiting(database) == 0, within_s=30)
    first = notes(told)["first"]
    return [(first[event_id] - at) * 1000 for event_id, at in committed.items()]


def latency_of_pull(sizes: Sizes) -> Iterator[Row]:
    """From a commit in another process to the answer of a waiting long poll; and what waiting costs."""
    with tempfile.TemporaryDirectory() as place, served(Path(place)) as (started, database, app_id):
        answered: list[float] = []
        over = threading.Event()

        def poll() -> None:
            consumer = signed_consumer(started.url)
            while not over.is_set():
                batch = consumer.pull()
                if batch:
                    answered.append(time.monotonic())
                    consumer.confirm(batch)

        thread = threading.Thread(target=poll)
        thread.start()
        time.sleep(2)
        before, idle_s = cpu_s(started.process.pid), 8.0
        time.sleep(idle_s)
        share = (cpu_s(started.process.pid) - before) / idle_s
        outbox, committed = Outbox(IDS), []
        for number in range(sizes.samples):
            time.sleep(random.uniform(0.03, 0.08))
            with database.transaction() as conn:
                outbox.record(conn, app_id, sprite(), now=CLOCK.now())
            committed.append(time.monotonic())
            until(lambda: len(answered) > number, within_s=10, every_s=0.0005)  # noqa: B023
        over.set()
        thread.join(30)
    waits = [(end - begin) * 1000 for begin, end in zip(committed, answered, strict=True)]
    yield from percentiles("commit in another process -> long poll", waits)
    yield Row(
        what="waiting for events: dispatcher and a long poll",
        figure=idle_share() * 100,
        unit="% of a core",
        rival=f"whole service {share * 100:.1f}",
        goal="<= 2",
    )


def idle_share() -> float:
    """Return what a dispatcher and an open long poll take of a core while nothing happens."""
    with tempfile.TemporaryDirectory() as place, installation(Path(place)) as (database, apps):
        app_id = push_app(apps, 0, "http://127.0.0.1:9/")
        with dispatching(database) as wakeup:
            pulls = PullQueue(database, wakeup, CLOCK, IDS, PullSettings(wait_s=5))
            begun = time.process_time(), time.monotonic()
            assert asyncio.run(pulls.long_poll(app_id)) == []
            return (time.process_time() - begun[0]) / (time.monotonic() - begun[1])


def percentiles(what: str, waits_ms: Sequence[float]) -> Iterator[Row]:
    """Return the two rows."""
    yield Row(what=f"{what}, p50", figure=statistics.median(waits_ms), unit="ms", goal="<= 15")
    yield Row(what=f"{what}, p99", figure=p99(waits_ms), unit="ms", goal="<= 60")


# Many rows


def full_tables(sizes: Sizes) -> Iterator[Row]:
    """What a call costs with many events in the tables, against the same with a thousand."""
    with (
        tempfile.TemporaryDirectory() as place,
        tempfile.TemporaryDirectory() as other_place,
        calls(Path(place), 1_000) as few,
        calls(Path(other_place), sizes.stored) as many,
    ):
        took: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in CALLS}
        # By turns, so that what else the machine does meets both.
        for _ in range(25):
            for name in CALLS:
                for call, all_ in zip((few[name], many[name]), took[name], strict=True):
                    with timed(all_):
                        call()
    for name, (of_few, of_many) in took.items():
        cost, little = statistics.median(of_many), statistics.median(of_few)
        yield Row(
            what=f"{name}, {sizes.stored:,} events",
            figure=cost,
            unit="ms",
            rival=f"1,000 events {little:.2f}",
            ratio=cost / little,
            goal="<= 1.5x",
        )


CALLS = ("pull of 16", "confirm of 16", "claim of 16", "look")


@contextmanager
def calls(place: Path, stored: int) -> Iterator[dict[str, Callable[[], object]]]:
    """Yield the calls by name, on a database that holds *stored* events, half of them settled."""
    with installation(place) as (database, apps):
        app_id = push_app(apps, 0, "http://127.0.0.1:9/")
        ways = [Channel.PULL, Channel.PUSH_V3]
        fill(database, app_id, stored // 2, ways, state=DeliveryState.SETTLED)
        fill(database, app_id, stored // 2, ways)
        with database.engine.connect() as conn:
            conn.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.sync()
        with contextlib.closing(Wakeup(database)) as wakeup:
            pulls = PullQueue(database, wakeup, CLOCK, IDS, PullSettings(lease_s=3600))
            pulled: list[str] = []

            def pull() -> None:
                found = pulls.pull(app_id, limit=16, now=CLOCK.now())
                pulled[:] = [one.handle for one in found]

            def look() -> None:
                with database.reading() as conn:
                    table.destinations_with_work(conn)

            def claim_pushes() -> None:
                with database.transaction() as conn:
                    claim(conn, app_id)

            def confirm() -> None:
                pulls.confirm(app_id, pulled, now=CLOCK.now())

            yield dict(zip(CALLS, (pull, confirm, claim_pushes, look), strict=True))


def claim(conn: sa.Connection, app_id: AppId) -> None:
    """Claim as the dispatcher does."""
    now = CLOCK.now()
    claimed = lease.claim(
        conn,
        app_id,
        Channel.PUSH_V3.value,
        limit=16,
        token=IDS.token(),
        now=now,
        until=now + timedelta(seconds=600),
        counted=False,
    )
    assert len(table.events_by_id(conn, {one.event_id for one in claimed})) == 16


def memory(sizes: Sizes) -> Iterator[Row]:
    """What a service's memory grows by when very many deliveries fall due."""
    with (
        tempfile.TemporaryDirectory() as place,
        served(Path(place)) as (started, database, _),
        peer("receiver", "20", "0") as told,
    ):
        apps = AppRegistry(database, CLOCK, IDS)
        made = [push_app(apps, n, f"http://127.0.0.1:{port}/") for n, port in enumerate(told["ports"])]
        with database.transaction() as conn:
            Outbox(IDS).record(conn, made[0], sprite(), now=CLOCK.now())
        until(lambda: waiting(database) == 0, within_s=30)
        idle_mb = rss_mb(started.process.pid)
        for one in made:
            fill(database, one, sizes.due // len(made), [Channel.PUSH_V3])
        seen = []
        end = time.monotonic() + 15
        while time.monotonic() < end:
            seen.append(rss_mb(started.process.pid))
            time.sleep(0.1)
        assert notes(told)["count"] > 1_000
    yield Row(
        what=f"service with {sizes.due:,} due deliveries, beyond idle",
        figure=max(seen) - idle_mb,
        unit="MB",
        rival=f"idle {idle_mb:.0f}",
        goal="<= 30",
    )


# Dead neighbours


def neighbours(sizes: Sizes) -> Iterator[Row]:
    """First attempts at a healthy destination, alone and beside fifty dead ones, half hanging in DNS."""

    def look_up(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        if host.endswith(".hangs.test"):
            time.sleep(30)
            raise OSError("no answer")
        return ask_system(host, port, family)

    waits: dict[int, list[float]] = {}
    for dead in (0, 50):
        with (
            tempfile.TemporaryDirectory() as place,
            installation(Path(place)) as (database, apps),
            peer("receiver", "1", str(dead // 2)) as told,
        ):
            app_id = push_app(apps, 0, f"http://127.0.0.1:{told['ports'][0]}/")
            urls = [f"http://127.0.0.1:{port}/" for port in told["hanging"]]
            urls += [f"http://n{number}.hangs.test/" for number in range(dead // 2)]
            for number, url in enumerate(urls, start=1):
                fill(database, push_app(apps, number, url), 100, [Channel.PUSH_V3])
            with dispatching(database, look_up) as wakeup:
                waits[dead] = healthy_waits(database, app_id, sizes.samples, told, wakeup)
    yield Row(
        what="first attempt beside 50 dead destinations, p50",
        figure=statistics.median(waits[50]),
        unit="ms",
        rival=f"alone {statistics.median(waits[0]):.1f}",
        ratio=statistics.median(waits[50]) / statistics.median(waits[0]),
    )
    yield Row(
        what="first attempt beside 50 dead destinations, p99",
        figure=p99(waits[50]),
        unit="ms",
        rival=f"alone {p99(waits[0]):.1f}",
        ratio=p99(waits[50]) / p99(waits[0]),
        goal="<= 2x",
    )


def healthy_waits(
    database: Database, app_id: AppId, samples: int, told: dict[str, Any], wakeup: Wakeup
) -> list[float]:
    """Return the waits in ms of the events of one app, while others' stay undelivered."""
    committed: dict[EventId, float] = {}
    outbox = Outbox(IDS)
    for _ in range(samples):
        time.sleep(random.uniform(0.02, 0.08))
        with database.transaction() as conn:
            event_id = outbox.record(conn, app_id, sprite(), now=CLOCK.now())
        assert event_id is not None
        committed[event_id] = time.monotonic()
        wakeup.ring()
    until(lambda: waiting(database, app_id) == 0, within_s=30)
    first = notes(told)["first"]
    return [(first[event_id] - at) * 1000 for event_id, at in committed.items()]


# What they stand on


@contextmanager
def served(place: Path) -> Iterator[tuple[Served, Database, AppId]]:
    """Start the service on *place*; yield it, its database and the primary app."""
    settings = {"secret_id": SECRET_ID, "secret_key": SECRET_KEY, "outbound_allow": "loopback"}
    with Served(place / "data", settings=settings) as started:
        database = Database(DatabaseSettings(url=f"sqlite:///{place / 'data' / 'vodsprite.sqlite'}"))
        with contextlib.closing(database):
            yield started, database, AppRegistry(database, CLOCK, IDS).find(None).app_id


@contextmanager
def installation(place: Path) -> Iterator[tuple[Database, AppRegistry]]:
    """Yield a new database on the disk, with its tables and the primary app."""
    database = Database(DatabaseSettings(url=f"sqlite:///{place / 'vodsprite.sqlite'}"))
    with contextlib.closing(database):
        upgrade(database, backup_folder=None)
        apps = AppRegistry(database, CLOCK, IDS)
        apps.ensure_primary(SECRET_ID, SECRET_KEY)
        yield database, apps


@contextmanager
def dispatching(database: Database, look_up: LookUp = ask_system) -> Iterator[Wakeup]:
    """Run a dispatcher in a thread with an event loop of its own; yield its bell."""
    outbound = Outbound(AddressRules.parse("loopback"), user_agent="vodsprite/bench", look_up=look_up)
    with contextlib.closing(Wakeup(database)) as wakeup:
        settings = DispatcherSettings(alone=True, grace_s=0.1)
        dispatcher = Dispatcher(database, outbound, CLOCK, IDS, random.Random(), wakeup, settings)

        async def run() -> None:
            await dispatcher.run()
            await outbound.close()

        thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        thread.start()
        try:
            yield wakeup
        finally:
            dispatcher.stop()
            thread.join(30)


@contextmanager
def peer(*words: str) -> Iterator[dict[str, Any]]:
    """Start a process of `delivery_peers.py`; yield what it tells."""
    with subprocess.Popen([sys.executable, str(PEERS), *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def notes(told: dict[str, Any]) -> dict[str, Any]:
    """Fetch the receiver's notes."""
    connection = http.client.HTTPConnection("127.0.0.1", told["ports"][0], timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        found: dict[str, Any] = json.loads(connection.getresponse().read())
    return found


def push_app(apps: AppRegistry, number: int, url: str) -> AppId:
    """Make an app that wants its events pushed to *url*."""
    app_id = apps.create(f"bench {number}").app_id
    apps.change_subscription(app_id, mode=DeliveryMode.PUSH, url=url)
    return app_id


def sprite() -> ImageSpriteComplete:
    """Return the event of a sprite task that went well."""
    return ImageSpriteComplete(
        task_id=IDS.sprite_task_id(),
        file_id=FileId("1000000000000000001"),
        definition=10,
        sprites=SpriteLinks(
            tile_width_px=142,
            tile_height_px=80,
            total_count=106,
            sheet_urls=tuple(f"https://media.example.com/imageSprite_10_{number}.jpg" for number in range(2)),
            vtt_url="https://media.example.com/imageSprite_10.vtt",
        ),
        failure=None,
    )


def fill(
    database: Database,
    app_id: AppId,
    count: int,
    ways: Sequence[Channel],
    *,
    state: DeliveryState = DeliveryState.WAITING,
) -> None:
    """Put *count* events with their deliveries into the tables, thousands in a commit."""
    begin = CLOCK.now() - timedelta(hours=1)
    for start in range(0, count, 10_000):
        at = [to_us(begin + timedelta(milliseconds=n)) for n in range(start, min(count, start + 10_000))]
        happened = [_event_row(app_id, when) for when in at]
        with database.transaction() as conn:
            conn.execute(sa.insert(events), happened)
            conn.execute(
                sa.insert(deliveries), [_delivery_row(one, way, state) for one in happened for way in ways]
            )


def _event_row(app_id: AppId, at: int) -> dict[str, Any]:
    event = sprite()
    return {
        "event_id": IDS.event_id(),
        "app_id": app_id,
        "type": TYPE_OF[ImageSpriteComplete].value,
        "task_id": event.task_id,
        "file_id": event.file_id,
        "data": record.to_json(event),
        "is_test": False,
        "happened_at": at,
    }


def _delivery_row(event: dict[str, Any], way: Channel, state: DeliveryState) -> dict[str, Any]:
    is_settled = state is DeliveryState.SETTLED
    return {
        "event_id": event["event_id"],
        "app_id": event["app_id"],
        "channel": way.value,
        "has_v2": True,
        "state": state.value,
        "attempts": int(is_settled),
        "due_at": event["happened_at"],
        "created_at": event["happened_at"],
        "settled_at": event["happened_at"] if is_settled else None,
    }


def fill_rival(path: Path, count: int) -> None:
    """Give the rival *count* waiting events."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS queue (id INTEGER PRIMARY KEY, state INTEGER, due_at REAL, data TEXT)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS by_due ON queue (state, due_at)")
        connection.execute("BEGIN")
        rows = [(0, time.time() - 3600 + n / 1000, record.to_json(sprite())) for n in range(count)]
        connection.executemany("INSERT INTO queue (state, due_at, data) VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")


def waiting(database: Database, app_id: AppId | None = None) -> int:
    """Return how many deliveries are not settled."""
    statement = sa.select(sa.func.count()).where(deliveries.c.state == DeliveryState.WAITING.value)
    if app_id is not None:
        statement = statement.where(deliveries.c.app_id == app_id)
    with database.reading() as conn:
        return conn.execute(statement).scalar_one()


def until(is_true: Callable[[], bool], *, within_s: float, every_s: float = 0.02) -> None:
    """Wait until it is true."""
    end = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s} s")
        time.sleep(every_s)


@contextmanager
def timed(took_ms: list[float]) -> Iterator[None]:
    """Append how long the block took."""
    begun = time.perf_counter()
    yield
    took_ms.append((time.perf_counter() - begun) * 1000)


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Return a process' resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


MEASURES: dict[str, Callable[[Sizes], Iterator[Row]]] = {
    "pull": pulling,
    "push": pushing,
    "first-byte": latency_of_push,
    "long-poll": latency_of_pull,
    "rows": full_tables,
    "memory": memory,
    "neighbours": neighbours,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast events reach their receivers.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="what to measure")
    parser.add_argument("--size", type=int, help="events in the tables for `rows`")
    given = parser.parse_args()
    sizes = QUICK if given.quick else FULL
    if given.size is not None:
        sizes = Sizes(**(asdict(sizes) | {"stored": given.size}))
    # What the dispatcher logs costs what it costs in a service, and is not shown.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        logs.set_up("json")
        run(given.only, sizes)


def run(names: Sequence[str], sizes: Sizes) -> None:
    """Measure what is named, and print it."""
    at = datetime.now().astimezone()
    print(f"{os.cpu_count()} cores, {at:%Y-%m-%d %H:%M}, load {os.getloadavg()[0]:.1f}")
    rows: list[Row] = []
    for name in names:
        for row in MEASURES[name](sizes):
            rows.append(row)
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
            print(
                f"{row.what:52} {row.figure:10,.2f} {row.unit:13} {row.rival:24} {ratio:8} {row.goal}",
                flush=True,
            )
    print(json.dumps({"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()

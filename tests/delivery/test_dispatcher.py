"""Pushing, against a receiver that speaks HTTP. Time and chance are set by the test."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from delivery.conftest import Happenings
from vodsprite.apps.app import App, DeliveryMode, Policy
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database
from vodsprite.database.schema import events
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery import table
from vodsprite.delivery.delivery import Attempt, Delivery, DeliveryState, Outcome
from vodsprite.delivery.dispatcher import Dispatcher, DispatcherSettings
from vodsprite.errors import StorageFull
from vodsprite.ids import EventId
from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import AddrInfo, Outbound, ask_system
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds
from vodsprite.testing.receiver import Receiver, hang, reset, status
from vodsprite.wire import payloads

LOOPBACK = AddressRules.parse("loopback")
NOTHING = AddressRules.parse("")
WAITING, SETTLED, DEAD = DeliveryState.WAITING, DeliveryState.SETTLED, DeliveryState.DEAD


class Middle(Random):
    """Chance that always lands in the middle: no jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Pushing:
    """A dispatcher that runs in a thread of its own, and what the tables say of its work."""

    def __init__(
        self, database: Database, wakeup: Wakeup, clock: FakeClock, ids: SequentialIds, apps: AppRegistry
    ) -> None:
        self.database = database
        self.wakeup = wakeup
        self.clock = clock
        self.ids = ids
        self.apps = apps

    @contextmanager
    def running(
        self,
        rules: AddressRules = LOOPBACK,
        *,
        settings: DispatcherSettings | None = None,
        look_up: Callable[[str, int, int], Sequence[AddrInfo]] = ask_system,
    ) -> Iterator[Dispatcher]:
        dispatcher = Dispatcher(
            self.database,
            outbound := Outbound(rules, user_agent="vodsprite/test", look_up=look_up),
            self.clock,
            self.ids,
            Middle(),
            self.wakeup,
            settings or DispatcherSettings(grace_s=0.2),
        )

        async def run() -> None:
            await dispatcher.run()
            await outbound.close()

        thread = threading.Thread(target=lambda: asyncio.run(run()), name="dispatcher-test")
        thread.start()
        try:
            yield dispatcher
        finally:
            dispatcher.stop()
            thread.join(20)
            assert not thread.is_alive(), "the dispatcher does not stop"

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)
        self.wakeup.ring()

    def deliveries(self) -> list[Delivery]:
        with self.database.reading() as conn:
            return table.list_deliveries(conn)

    def of(self, event_id: EventId, channel: str = "push_v3") -> Delivery:
        with self.database.reading() as conn:
            made = table.list_deliveries(conn, event_id=event_id)
        [found] = [one for one in made if one.channel.value == channel]
        return found

    def attempts(self, event_id: EventId, channel: str = "push_v3") -> list[Attempt]:
        delivery = self.of(event_id, channel)
        with self.database.reading() as conn:
            return table.attempts_of(conn, delivery.delivery_id)

    def wait(self, condition: Callable[[], object], within_s: float = 20) -> None:
        """Wait until the tables say so; asked again whenever somebody committed."""

        async def look() -> None:
            end = time.monotonic() + within_s
            while not condition():
                assert time.monotonic() < end, f"it did not come to that: {self.deliveries()}"
                await self.wakeup.wait(0.02)

        asyncio.run(look())

    def wait_for_length(self, logs: Sequence[object], length: int) -> None:
        self.wait(lambda: len(logs) >= length)

    def wait_for_attempt(self, event_id: EventId, number: int, channel: str = "push_v3") -> Attempt:
        self.wait(lambda: len(self.attempts(event_id, channel)) >= number)
        return self.attempts(event_id, channel)[number - 1]

    def wait_for_state(self, event_id: EventId, state: DeliveryState, channel: str = "push_v3") -> Delivery:
        self.wait(lambda: self.of(event_id, channel).state is state)
        return self.of(event_id, channel)


@pytest.fixture
def pushing(
    database: Database, wakeup: Wakeup, clock: FakeClock, ids: SequentialIds, apps: AppRegistry
) -> Pushing:
    return Pushing(database, wakeup, clock, ids, apps)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def subscribed(apps: AppRegistry, app: App, receiver: Receiver) -> App:
    """The primary app, which wants its events at the receiver."""
    apps.change_subscription(app.app_id, url=f"{receiver.url}/v3")
    return app


def due_in_s(delivery: Delivery, now: datetime) -> float:
    return (delivery.due_at - now).total_seconds()


def test_an_event_is_pushed_as_it_is_written(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings, clock: FakeClock
) -> None:
    """One POST of the 3.0 body, with id and timestamp; a 2xx settles it and is kept as an attempt."""
    receiver.script(status(204))
    event = happenings.sprite()
    with pushing.running():
        event_id = happenings.happen(subscribed.app_id, event)
        delivery = pushing.wait_for_state(event_id, SETTLED)
    [request] = receiver.received
    assert (request.method, request.path) == ("POST", "/v3")
    assert request.body == payloads.to_bytes(payloads.render_v3(event))
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "vodsprite/test"
    assert request.headers["webhook-id"] == event_id
    assert request.headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    assert "webhook-signature" not in request.headers
    [attempt] = pushing.attempts(event_id)
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, Outcome.DELIVERED, 204)
    assert (delivery.attempts, delivery.note) == (1, "")


def test_a_failure_is_tried_again_by_the_schedule(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings, clock: FakeClock
) -> None:
    """After a 500 the event waits its time, comes again under the same id, and the answers are kept."""
    receiver.script(status(500, body=b"not today"), status(404))
    with pushing.running():
        event_id = happenings.happen(subscribed.app_id)
        first = pushing.wait_for_attempt(event_id, 1)
        assert due_in_s(pushing.of(event_id), clock.now()) == pytest.approx(5)
        pushing.advance(4.9)
        pushing.advance(0.1)
        second = pushing.wait_for_attempt(event_id, 2)
        assert due_in_s(pushing.of(event_id), clock.now()) == pytest.approx(30)
        pushing.advance(30)
        delivery = pushing.wait_for_state(event_id, SETTLED)
    assert (first.outcome, first.status_code, first.answer) == (Outcome.REJECTED, 500, "not today")
    assert (second.outcome, second.status_code) == (Outcome.REJECTED, 404)
    assert second.started_at - first.started_at == timedelta(seconds=5)
    assert delivery.attempts == 3
    assert {request.headers["webhook-id"] for request in receiver.received} == {event_id}
    assert len({request.headers["webhook-timestamp"] for request in receiver.received}) == 3


def test_a_dead_letter_at_the_end(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """After the twelfth failure the delivery is given up: kept, with all its attempts and the last cause."""
    receiver.otherwise = status(503)
    with pushing.running(), capture_logs() as logs:
        event_id = happenings.happen(subscribed.app_id)
        for number in range(1, 12):
            pushing.wait_for_attempt(event_id, number)
            pushing.advance(36_000)
        delivery = pushing.wait_for_state(event_id, DEAD)
    assert [attempt.number for attempt in pushing.attempts(event_id)] == list(range(1, 13))
    assert delivery.note == "attempt 12: answered 503"
    assert len(receiver.received) == 12
    assert [line["event_id"] for line in logs if line["event"] == "delivery.dead"] == [event_id]


@pytest.mark.parametrize(
    ("make", "outcome", "cause"),
    [
        (hang, Outcome.TIMED_OUT, "no answer within 1 s"),
        (reset, Outcome.UNREACHABLE, "reset by peer"),
        (lambda: status(302, location="/elsewhere"), Outcome.REJECTED, ""),
    ],
    ids=["hangs", "resets", "redirects"],
)
def test_what_is_no_2xx_is_a_failure(
    pushing: Pushing,
    subscribed: App,
    apps: AppRegistry,
    receiver: Receiver,
    happenings: Happenings,
    make: Callable[[], Any],
    outcome: Outcome,
    cause: str,
) -> None:
    """A receiver that hangs, breaks off or redirects gets the event again later; no redirect is followed."""
    apps.change_subscription(subscribed.app_id, timeout_s=1)
    receiver.script(make())
    with pushing.running():
        event_id = happenings.happen(subscribed.app_id)
        attempt = pushing.wait_for_attempt(event_id, 1)
        assert pushing.of(event_id).state is WAITING
        assert len(receiver.received) == 1
        pushing.advance(5)
        pushing.wait_for_state(event_id, SETTLED)
    assert attempt.outcome is outcome
    assert cause in attempt.answer


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:1/", "no connection to 127.0.0.1:1: Connection refused"),
        ("http://no-such-host.invalid/", "the name no-such-host.invalid does not resolve"),
    ],
    ids=["nobody listens", "the name does not resolve"],
)
def test_an_address_that_cannot_be_reached_is_a_failure(
    pushing: Pushing, apps: AppRegistry, app: App, happenings: Happenings, url: str, cause: str
) -> None:
    """No connection: kept as an attempt with its cause, and tried again."""

    def knows_nothing(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        raise OSError(f"{host} is unknown")

    apps.change_subscription(app.app_id, url=url)
    with pushing.running(look_up=knows_nothing):
        event_id = happenings.happen(app.app_id)
        attempt = pushing.wait_for_attempt(event_id, 1)
    assert attempt.outcome is Outcome.UNREACHABLE
    assert attempt.status_code is None
    assert cause in attempt.answer
    assert pushing.of(event_id).state is WAITING


def test_gone_pauses_until_a_person_resumes(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """After a 410 the destination's events wait, however long; once resumed they all come."""
    receiver.script(status(410))
    with pushing.running():
        first = happenings.happen(subscribed.app_id)
        pushing.wait_for_attempt(first, 1)
        with pushing.database.reading() as conn:
            [pause] = table.pauses(conn, subscribed.app_id)
        assert "410" in pause.reason
        second = happenings.happen(subscribed.app_id)
        pushing.advance(10 * 24 * 3600)
        other = pushing.apps.create("other")
        pushing.apps.change_subscription(other.app_id, url=f"{receiver.url}/other")
        pushing.wait_for_state(happenings.happen(other.app_id), SETTLED)
        assert len(receiver.wait_for(1, path="/v3")) == 1

        with pushing.database.transaction() as conn:
            assert table.resume(conn, subscribed.app_id) == 1
        pushing.wakeup.ring()
        pushing.wait_for_state(first, SETTLED)
        pushing.wait_for_state(second, SETTLED)


def test_a_new_address_is_not_paused(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """A pause is about an address: with another one the events flow."""
    receiver.script(status(410))
    with pushing.running():
        event_id = happenings.happen(subscribed.app_id)
        pushing.wait_for_attempt(event_id, 1)
        pushing.apps.change_subscription(subscribed.app_id, url=f"{receiver.url}/moved")
        pushing.wakeup.ring()
        pushing.wait_for_state(event_id, SETTLED)
    assert receiver.received[-1].path == "/moved"
    with pushing.database.reading() as conn:
        assert table.pauses(conn, subscribed.app_id) == []


@pytest.mark.parametrize(("asked", "waits"), [("60", 60), ("1", 5)])
def test_retry_after_lengthens_a_wait(
    pushing: Pushing,
    subscribed: App,
    receiver: Receiver,
    happenings: Happenings,
    clock: FakeClock,
    asked: str,
    waits: float,
) -> None:
    """A receiver that is too busy may ask for more time, not for less."""
    receiver.script(status(429, retry_after=asked))
    with pushing.running():
        event_id = happenings.happen(subscribed.app_id)
        pushing.wait_for_attempt(event_id, 1)
        assert due_in_s(pushing.of(event_id), clock.now()) == pytest.approx(waits)


def test_a_refused_address_waits_and_flows_once_allowed(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """Nothing is sent and no attempt used up; the log names address and setting; allowed, the event comes."""
    with capture_logs() as logs, pushing.running(NOTHING):
        event_id = happenings.happen(subscribed.app_id)
        pushing.wait(lambda: pushing.of(event_id).note)
        for _ in range(20):  # as long as it likes: it is never given up
            before = len(logs)
            pushing.advance(30)
            pushing.wait_for_length(logs, before + 1)
    line = next(line for line in logs if line["event"] == "delivery.refused")
    assert line["address"] == "127.0.0.1"
    assert line["setting"] == "VODSPRITE_OUTBOUND_ALLOW=loopback"
    assert line["log_level"] == "warning"
    delivery = pushing.of(event_id)
    assert (delivery.state, delivery.attempts) == (WAITING, 0)
    assert "VODSPRITE_OUTBOUND_ALLOW=loopback" in delivery.note
    assert receiver.received == []

    with pushing.running(LOOPBACK):
        pushing.wait_for_state(event_id, SETTLED)


def test_a_name_that_points_inside_is_refused(
    pushing: Pushing, apps: AppRegistry, app: App, receiver: Receiver, happenings: Happenings
) -> None:
    """What counts is the address that is dialled, not the name it hides behind."""

    def inside(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        return ask_system("127.0.0.1", port, family)

    apps.change_subscription(app.app_id, url=f"http://receiver.example.com:{receiver.port}/")
    with pushing.running(NOTHING, look_up=inside):
        event_id = happenings.happen(app.app_id)
        pushing.wait(lambda: "loopback" in pushing.of(event_id).note)
    assert receiver.received == []


def test_by_the_tencent_policy_any_answer_settles(
    pushing: Pushing, subscribed: App, apps: AppRegistry, receiver: Receiver, happenings: Happenings
) -> None:
    """500 and 410 count as received; no connection is tried three times, then given up."""
    apps.change_subscription(subscribed.app_id, policy=Policy.TENCENT)
    receiver.script(status(500), status(410), reset(), reset(), reset())
    with pushing.running():
        for _ in range(2):
            pushing.wait_for_state(happenings.happen(subscribed.app_id), SETTLED)
        event_id = happenings.happen(subscribed.app_id)
        pushing.wait_for_attempt(event_id, 1)
        pushing.advance(5)
        pushing.wait_for_attempt(event_id, 2)
        pushing.advance(30)
        pushing.wait_for_state(event_id, DEAD)
    assert len(receiver.received) == 5


def test_a_sign_key_signs_the_3_0_body_only(
    pushing: Pushing, subscribed: App, apps: AppRegistry, receiver: Receiver, happenings: Happenings
) -> None:
    """Sign and T are the last members of a 3.0 body; a 2.0 body beside it has neither."""
    key = "callbackKey0001"
    apps.change_subscription(subscribed.app_id, sign_key=key, url_v2=f"{receiver.url}/v2")
    with pushing.running():
        event_id = happenings.happen(subscribed.app_id)
        pushing.wait_for_state(event_id, SETTLED)
        pushing.wait_for_state(event_id, SETTLED, "push_v2")
    [request] = receiver.wait_for(1, path="/v3")
    body = request.json()
    assert list(body)[-2:] == ["Sign", "T"]
    assert body["T"] == int(request.headers["webhook-timestamp"]) + 600
    assert body["Sign"] == hashlib.md5(f"{key}{body['T']}".encode()).hexdigest()
    [old] = receiver.wait_for(1, path="/v2")
    assert not {"Sign", "T"} & set(old.json())


def test_two_secrets_sign_side_by_side(
    pushing: Pushing, subscribed: App, apps: AppRegistry, receiver: Receiver, happenings: Happenings
) -> None:
    """During a rotation each secret's holder finds a signature of its own over id, timestamp and body."""
    keys = [bytes(range(32)), bytes(range(100, 132))]
    secrets = [f"whsec_{base64.b64encode(key).decode()}" for key in keys]
    apps.change_subscription(subscribed.app_id, secrets=secrets)
    with pushing.running():
        pushing.wait_for_state(happenings.happen(subscribed.app_id), SETTLED)
    [request] = receiver.received
    signed = (
        f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    )
    expected = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    assert request.headers["webhook-signature"] == " ".join(f"v1,{one}" for one in expected)


def test_both_formats_side_by_side(
    pushing: Pushing, subscribed: App, apps: AppRegistry, receiver: Receiver, happenings: Happenings
) -> None:
    """Each address gets the event in its own format; the failure of one is not the other's."""
    apps.change_subscription(subscribed.app_id, url_v2=f"{receiver.url}/v2", mode=DeliveryMode.BOTH)
    receiver.script(status(500), path="/v2")
    event = happenings.sprite()
    with pushing.running():
        event_id = happenings.happen(subscribed.app_id, event)
        pushing.wait_for_state(event_id, SETTLED, "push_v3")
        pushing.wait_for_attempt(event_id, 1, "push_v2")
        pushing.advance(5)
        pushing.wait_for_state(event_id, SETTLED, "push_v2")
    assert receiver.wait_for(1, path="/v3")[0].json()["EventType"] == "CreateImageSpriteComplete"
    assert receiver.wait_for(2, path="/v2")[1].json() == payloads.render_v2(event)
    assert pushing.of(event_id, "pull").state is WAITING


def test_a_dead_destination_delays_no_other(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """Beside one that hangs with a hundred events before it, a healthy destination gets its event at once."""
    with Receiver(otherwise=hang()) as dead:
        other = pushing.apps.create("dead")
        pushing.apps.change_subscription(other.app_id, url=dead.url, timeout_s=30)
        for _ in range(100):
            happenings.happen(other.app_id)
        with pushing.running():
            dead.wait_for(1)
            begun = time.monotonic()
            happenings.happen(subscribed.app_id)
            receiver.wait_for(1)
            assert time.monotonic() - begun < 5
            assert len(dead.received) == 1, "one at once until it has taken a push"


def test_a_destination_that_took_a_push_gets_eight_at_once(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """One push tries it; once that went well, eight are under way together, and no more."""
    receiver.script(status(200))
    receiver.otherwise = hang()
    for _ in range(20):
        happenings.happen(subscribed.app_id)
    with pushing.running():
        receiver.wait_for(1 + 8)
        time.sleep(0.3)
        assert len(receiver.received) == 1 + 8


def test_a_breaker_holds_back_what_would_fail(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """After five failures in a row what is due stays untouched; a probe per half minute may reopen it."""
    receiver.otherwise = status(500)
    with capture_logs() as logs, pushing.running(settings=DispatcherSettings(grace_s=0.2, poll_s=1000)):
        for number in range(1, 6):
            happenings.happen(subscribed.app_id)
            receiver.wait_for(number)
            wait_until_tried(pushing, number)
        assert [line["event"] for line in logs].count("destination.failing") == 1
        held = [happenings.happen(subscribed.app_id) for _ in range(20)]
        pushing.advance(29)
        other = pushing.apps.create("other")
        pushing.apps.change_subscription(other.app_id, url=f"{receiver.url}/other")
        receiver.script(status(200), path="/other")
        pushing.wait_for_state(happenings.happen(other.app_id), SETTLED)
        assert len(receiver.wait_for(5, path="/v3")) == 5

        pushing.advance(1)
        wait_until_tried(pushing, 6)
        assert len(receiver.wait_for(6, path="/v3")) == 6

        receiver.otherwise = status(200)
        pushing.advance(30)
        for event_id in held:
            pushing.wait_for_state(event_id, SETTLED)
    assert [line["event"] for line in logs].count("destination.recovered") == 1


def wait_until_tried(pushing: Pushing, times: int) -> None:
    pushing.wait(lambda: sum(one.attempts for one in pushing.deliveries() if one.state is WAITING) == times)


def test_a_crowd_is_delivered_once_each(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """Hundreds of events, some waiting from before and some arriving: all come, none twice, eight at once."""
    before = [happenings.happen(subscribed.app_id) for _ in range(150)]
    with pushing.running():
        during = [happenings.happen(subscribed.app_id) for _ in range(50)]
        pushing.wait(lambda: all(one.state is SETTLED for one in all_deliveries(pushing)))
    came = [request.headers["webhook-id"] for request in receiver.received]
    assert sorted(came) == sorted(before + during)


def all_deliveries(pushing: Pushing) -> list[Delivery]:
    with pushing.database.reading() as conn:
        return table.list_deliveries(conn, limit=1000)


def test_an_event_that_cannot_be_rendered_waits_for_a_mended_version(
    pushing: Pushing, subscribed: App, database: Database, receiver: Receiver, happenings: Happenings
) -> None:
    """It is logged and kept, and the events behind it go out."""
    with capture_logs() as logs:
        broken = happenings.happen(subscribed.app_id)
        with database.transaction() as conn:
            [data] = conn.execute(sa.select(events.c.data)).scalars()
            conn.execute(sa.update(events).values(data="{}"))
        with pushing.running():
            pushing.wait(lambda: "could not be sent" in pushing.of(broken).note)
            pushing.wait_for_state(happenings.happen(subscribed.app_id), SETTLED)
            with database.transaction() as conn:
                conn.execute(sa.update(events).where(events.c.event_id == broken).values(data=data))
            pushing.advance(600)
            pushing.wait_for_state(broken, SETTLED)
    assert [line["event_id"] for line in logs if line["event"] == "delivery.not_sendable"] == [broken]


def test_an_event_of_a_newer_versions_type_waits_for_that_version(
    pushing: Pushing, subscribed: App, database: Database, receiver: Receiver, happenings: Happenings
) -> None:
    """It is told once and kept, uncounted, and the events behind it go out; the newer version pushes it."""
    with capture_logs() as logs:
        newer = [happenings.happen(subscribed.app_id) for _ in range(20)]
        with database.transaction() as conn:
            conn.execute(sa.update(events).values(type="hologram_made"))
        with pushing.running():
            pushing.wait_for_state(happenings.happen(subscribed.app_id), SETTLED)
            pushing.wait(lambda: all("newer version" in pushing.of(one).note for one in newer))
            again = pushing.of(newer[0]).due_at + timedelta(seconds=600)
            pushing.advance(600)
            pushing.wait(lambda: all(pushing.of(one).due_at >= again for one in newer))
            waiting = pushing.of(newer[0])
            with database.transaction() as conn:
                conn.execute(sa.update(events).values(type="image_sprite_complete"))
            pushing.advance(600)
            for one in newer:
                pushing.wait_for_state(one, SETTLED)
    assert (waiting.state, waiting.attempts, waiting.lease_until) == (WAITING, 0, None)
    assert len(receiver.received) == 21
    told = [line for line in logs if line["event"] == "event.type_unknown"]
    assert sorted(line["event_id"] for line in told) == sorted(newer)
    assert {line["type"] for line in told} == {"hologram_made"}
    assert not [line for line in logs if line["event"] == "dispatcher.turn_failed"]


def test_the_log_tells_test_events_apart(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """A failed push of a triggered event is told as a test, that of a real event is not."""
    receiver.script(status(500), status(500))
    with capture_logs() as logs, pushing.running():
        real = happenings.happen(subscribed.app_id)
        triggered = happenings.happen(subscribed.app_id, is_test=True)
        for event_id in (real, triggered):
            pushing.wait_for_attempt(event_id, 1)
    failed = {line["event_id"]: line["is_test"] for line in logs if line["event"] == "delivery.failed"}
    assert failed == {real: False, triggered: True}


def test_a_turn_that_fails_loses_nothing(
    pushing: Pushing,
    subscribed: App,
    receiver: Receiver,
    happenings: Happenings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was sent while the disk was full is written down once there is room, and not sent again."""
    full = threading.Event()
    transaction = pushing.database.transaction

    def without_room() -> Any:
        if full.is_set():
            raise StorageFull("the database's disk is full")
        return transaction()

    def answer_and_fill() -> None:
        receiver.wait_for(1)
        full.set()

    event_id = happenings.happen(subscribed.app_id)
    receiver.script(hang())
    pushing.apps.change_subscription(subscribed.app_id, timeout_s=1)
    monkeypatch.setattr(pushing.database, "transaction", without_room)
    with capture_logs() as logs, pushing.running():
        answer_and_fill()
        pushing.wait(lambda: any(line["event"] == "dispatcher.turn_failed" for line in logs))
        full.clear()
        pushing.advance(1)
        attempt = pushing.wait_for_attempt(event_id, 1)
    assert attempt.outcome is Outcome.TIMED_OUT
    assert len(receiver.received) == 1


def test_stopping_gives_back_what_is_under_way(
    pushing: Pushing, subscribed: App, receiver: Receiver, happenings: Happenings
) -> None:
    """A push that hangs when the service stops costs no attempt, and is due at once for the next start."""
    receiver.script(hang())
    event_id = happenings.happen(subscribed.app_id)
    with pushing.running():
        receiver.wait_for(1)
    delivery = pushing.of(event_id)
    assert (delivery.state, delivery.attempts, delivery.lease_until) == (WAITING, 0, None)
    with pushing.running():
        pushing.wait_for_state(event_id, SETTLED)


def test_secrets_stay_out_of_logs_and_tables(
    pushing: Pushing, apps: AppRegistry, app: App, receiver: Receiver, happenings: Happenings
) -> None:
    """Neither a password nor a query of the address, no key and no secret shows in the log or an attempt."""
    secret = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
    apps.change_subscription(
        app.app_id,
        url=f"http://user:opensesame@127.0.0.1:{receiver.port}/v3?token=opensesame",
        sign_key="opensesame",
        secrets=[secret],
    )
    receiver.script(status(500), status(410))
    with capture_logs() as logs, pushing.running():
        event_id = happenings.happen(app.app_id)
        pushing.wait_for_attempt(event_id, 1)
        pushing.advance(5)
        pushing.wait_for_attempt(event_id, 2)
    with capture_logs() as refused, pushing.running(NOTHING):
        with pushing.database.transaction() as conn:
            table.resume(conn, app.app_id)
        pushing.wakeup.ring()
        pushing.wait(lambda: "refused" in pushing.of(event_id).note)
    told = repr(
        (logs, refused, pushing.attempts(event_id), pushing.of(event_id), apps.subscription(app.app_id))
    )
    assert "opensesame" not in told.replace(repr(apps.subscription(app.app_id).url), "")
    assert secret not in told
    assert receiver.received[0].path == "/v3?token=opensesame"


DOOMED = """
import asyncio, random, sys
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.breaker import BreakerSettings
from vodsprite.delivery.dispatcher import Dispatcher, DispatcherSettings
from vodsprite.ids import RandomIds
from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import Outbound

async def main():
    database = Database(DatabaseSettings(url=sys.argv[1]))
    outbound = Outbound(AddressRules.parse("loopback"), user_agent="vodsprite/test")
    bell, chance = Wakeup(database), random.Random()
    settings = DispatcherSettings(breaker=BreakerSettings(at_first=3))
    await Dispatcher(
        database, outbound, SystemClock(), RandomIds(), chance, bell, settings
    ).run()

asyncio.run(main())
"""


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside others"])
def test_a_kill_between_claim_and_settle_loses_nothing(
    pushing: Pushing,
    subscribed: App,
    receiver: Receiver,
    happenings: Happenings,
    clock: FakeClock,
    database_url: str,
    alone: bool,
) -> None:
    """What a killed dispatcher held comes again: at once to who is alone, else after its lease."""
    clock.advance(seconds=(SystemClock().now() - clock.now()).total_seconds())
    receiver.script(*[hang()] * 3)
    happened = [happenings.happen(subscribed.app_id) for _ in range(3)]
    with subprocess.Popen([sys.executable, "-c", DOOMED, database_url]) as doomed:
        receiver.wait_for(3)
        doomed.kill()
    assert {pushing.of(event_id).lease_until is None for event_id in happened} == {False}

    with pushing.running(settings=DispatcherSettings(grace_s=0.2, alone=alone)):
        if not alone:
            pushing.advance(60)
            assert len(receiver.received) == 3
            pushing.advance(60)
        for event_id in happened:
            pushing.wait_for_state(event_id, SETTLED)
    assert sorted(request.headers["webhook-id"] for request in receiver.received) == sorted(happened * 2)

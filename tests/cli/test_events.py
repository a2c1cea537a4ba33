"""`vodsprite events` and `vodsprite deliveries`, beside a service and without one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from vodsprite.database.schema import deliveries, events
from vodsprite.errors import InvalidInput
from vodsprite.parts import Parts
from vodsprite.samples import FILE_DELETED, IMAGE_SPRITE_COMPLETE
from vodsprite.testing import receiver as replies
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served
from vodsprite.wire import payloads

Command = Callable[..., str]
Told = Callable[..., Any]


@pytest.fixture
def sent(parts: Parts) -> list[str]:
    """The ids of a sprite event and of a deletion, both tests, waiting to be pulled."""
    app_id = parts.apps.find(None).app_id
    parts.apps.change_subscription(app_id, muted=[])
    ids = [parts.events.trigger(app_id, event) for event in (IMAGE_SPRITE_COMPLETE, FILE_DELETED)]
    return [event_id for event_id in ids if event_id is not None]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


def test_an_event_of_a_newer_versions_type_is_shown_and_left_alone(
    command: Command, told: Told, sent: list[str], parts: Parts
) -> None:
    """It stands in every list by the name that the table has, and no replay sends it."""
    with parts.database.transaction() as conn:
        conn.execute(sa.update(events).where(events.c.event_id == sent[0]).values(type="hologram_made"))
    assert [row["type"] for row in told("events", "list")] == ["FileDeleted", "hologram_made"]
    assert [row["type"] for row in told("deliveries", "list")] == ["FileDeleted", "hologram_made"]
    assert "this version cannot read it" in command("events", "show", sent[0])
    assert told("events", "replay", *sent) == {"events": 1, "deliveries": 1, "muted": 0, "unknown": 1}
    assert "1 left alone, this version does not know their type" in command("events", "replay", *sent)


def test_the_list_shows_what_happened_and_what_became_of_it(
    command: Command, told: Told, sent: list[str]
) -> None:
    """The newest first, flagged as tests, with the state at each destination; every filter narrows it."""
    newest, oldest = told("events", "list")
    assert [oldest["event"], newest["event"]] == sent
    assert (oldest["type"], oldest["test"]) == ("CreateImageSpriteComplete", True)
    assert [(one["channel"], one["state"]) for one in oldest["deliveries"]] == [("pull", "waiting")]

    assert [row["event"] for row in told("events", "list", "--type", "FileDeleted")] == sent[1:]
    assert len(told("events", "list", "--app", str(oldest["app"]), "--since", "1h")) == 2
    assert len(told("events", "list", "--limit", "1")) == 1
    assert told("events", "list", "--until", "1h") == []
    assert told("events", "list", "--since", "2999-01-01T00:00:00+08:00") == []
    assert told("events", "list", "--app", "1") == []
    assert told("events", "list", "--dead") == []
    head, *lines = command("events", "list").splitlines()
    assert head.split() == ["event", "happened", "app", "type", "test", "deliveries"]
    assert [line.split()[0] for line in lines] == sent[::-1]


def test_one_event_is_shown_with_its_body(command: Command, told: Told, sent: list[str]) -> None:
    """The body is the one that a 3.0 address gets."""
    shown = told("events", "show", sent[0])

    assert shown["body"] == payloads.render_v3(IMAGE_SPRITE_COMPLETE)
    assert [one["state"] for one in shown["deliveries"]] == ["waiting"]
    text = command("events", "show", sent[0])
    assert json.loads(text[text.index("{") :]) == shown["body"]


def test_events_are_replayed_by_id_by_type_by_time_and_when_dead(
    told: Told, sent: list[str], parts: Parts
) -> None:
    """Each way finds its own events."""
    assert told("events", "replay", sent[0]) == {"events": 1, "deliveries": 1, "muted": 0, "unknown": 0}
    assert told("events", "replay", "--type", "FileDeleted")["events"] == 1
    assert told("events", "replay", "--since", "1h")["events"] == 2
    assert told("events", "replay", "--dead")["events"] == 0
    with parts.database.transaction() as conn:
        conn.execute(
            sa.update(deliveries)
            .where(deliveries.c.event_id == sent[1])
            .values(state="dead", settled_at=deliveries.c.created_at + 60_000_000)
        )
    assert [row["event"] for row in told("events", "list", "--dead")] == sent[1:]
    assert told("events", "replay", "--dead")["events"] == 1
    assert len(told("deliveries", "list", "--event", sent[1], "--dead")) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("events", "replay"),
        ("events", "replay", "--app", "1500000001"),
        ("events", "replay", "evt_1", "--dead"),
        ("events", "list", "--since", "yesterday"),
        ("events", "list", "--type", "Nonsense"),
        ("events", "trigger", "CreateImageSpriteComplete", "--set", "Definition"),
    ],
)
def test_what_cannot_be_meant_is_refused(command: Command, words: tuple[str, ...]) -> None:
    """Nothing is replayed by mistake; a bad value is named."""
    with pytest.raises(InvalidInput):
        command(*words)


def test_texts_of_others_do_not_reach_the_terminal_as_commands() -> None:
    """A receiver's answer may hold anything; in a table it is one line without control characters."""
    from vodsprite.cli.printing import shown

    assert shown("a\x1b[2Jb\nc\u2028d") == r"a\x1b[2Jb\nc\u2028d"
    assert shown("雪碧图") == "雪碧图"


def test_an_integrator_tries_a_receiver_out(
    data: Path, command: Command, told: Told, parts: Parts, receiver: Receiver
) -> None:
    """
    Beside a running service: a triggered event arrives, every attempt can be seen, an address that was paused
    is resumed, and a replay arrives under the same id.
    """
    receiver.script(replies.status(410, body=b"not now\n"))
    with Served(data, settings={"outbound_allow": "loopback"}) as served:
        command("app", "set", "--url", receiver.url, "--sign-key", "callbackKey0001")
        event_id = triggered(data, "CreateImageSpriteComplete", "--set", "Definition=20")
        first = receiver.wait_for(1)[0]
        assert first.headers["webhook-id"] == event_id
        body = first.json()
        assert body["CreateImageSpriteCompleteEvent"]["Definition"] == 20
        assert list(body)[-2:] == ["Sign", "T"]

        [gone] = until(parts, lambda: [one for one in told("deliveries", "list") if one["attempts"]])
        assert (gone["state"], gone["test"]) == ("waiting", True)
        [attempt] = gone["attempts"]
        assert (attempt["status"], attempt["answer"], attempt["outcome"]) == (410, "not now\n", "gone")
        assert attempt["latency_ms"] >= 0
        assert r"not now\n" in command("deliveries", "list", "--event", event_id)
        assert told("app", "list")[0]["paused"] == ["push_v3"]

        command("app", "resume")
        second = receiver.wait_for(2)[1]
        assert second.headers["webhook-id"] == event_id
        until(parts, lambda: [one for one in told("deliveries", "list") if one["state"] == "settled"])
        command("events", "replay", event_id)
        third = receiver.wait_for(3)[2]
        assert third.headers["webhook-id"] == event_id
        assert third.json()["CreateImageSpriteCompleteEvent"] == body["CreateImageSpriteCompleteEvent"]
        assert served.process.poll() is None


def triggered(data: Path, *words: str) -> str:
    """The id of an event that was triggered by a process of its own; its log, on stderr, tells of a test."""
    done = subprocess.run(
        [sys.executable, "-m", "vodsprite.cli.main", "events", "trigger", *words, "--data", str(data)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    [line] = [json.loads(line) for line in done.stderr.splitlines() if "event.triggered" in line]
    assert line["is_test"] is True
    assert line["event_id"] == done.stdout.strip()
    return done.stdout.strip()


def until(parts: Parts, look: Callable[[], list[Any]], *, within_s: float = 20) -> list[Any]:
    """Look again after every commit until something is found."""
    end = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen in time"
        asyncio.run(parts.wakeup.wait(0.2))
    return found

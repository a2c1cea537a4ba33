"""Secrets print nowhere: a service with marked ones goes through good and bad, and all it says is read."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vodsprite import settings
from vodsprite.assembly import open_parts
from vodsprite.cli.main import app as program
from vodsprite.clock import SystemClock
from vodsprite.delivery import table
from vodsprite.testing import receiver as replies
from vodsprite.testing.calls import SignedCaller
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served
from vodsprite.wire.webhook import WebhookSecret

SECRET_ID, SECRET_KEY = "AKIDmarked000000000000000000000000001", "markedSecretKey00000000000000001"
SIGN_KEY = "markedSignKey0001"
WEBHOOK_KEY = b"marked webhook secret bytes 0001"
WEBHOOK_SECRET = WebhookSecret(key=WEBHOOK_KEY).reveal()
URL_TOKEN = "markedUrlToken"
MARKS = [
    SECRET_KEY,
    SIGN_KEY,
    # The beginning is enough: a refused one was cut short.
    WEBHOOK_KEY[:15].decode(),
    WEBHOOK_KEY[:15].hex(),
    WEBHOOK_SECRET.removeprefix("whsec_")[:16],
]


class Story:
    """A service on a folder, and everything that anybody could read of it."""

    def __init__(self, folder: Path, form: str) -> None:
        self.data = folder / "data"
        self.port = _free_port()
        self.served = Served(
            self.data,
            settings={
                "log_format": form,
                "port": str(self.port),
                "secret_id": SECRET_ID,
                "secret_key": SECRET_KEY,
                "outbound_allow": "loopback",
            },
        )
        self.told: list[str] = []

    def logs(self) -> str:
        return "\n".join(line.get("text") or json.dumps(line) for line in self.served.lines)

    def command(self, *words: str, is_read: bool = True) -> str:
        """Run a command and keep what it prints, or the error that it ends with, its traceback included."""
        done = CliRunner().invoke(program, [*words, "--data", str(self.data)])
        if is_read:
            self.told.append(done.output)
        if done.exception is not None:
            self.told += [str(done.exception), *traceback.format_exception(done.exception)]
        return done.stdout

    def call(self, action: str, *, secret_key: str = SECRET_KEY, **members: Any) -> Any:
        """Call an action and keep an error's answer."""
        caller = SignedCaller(port=self.port, secret_id=SECRET_ID, secret_key=secret_key, clock=SystemClock())
        answer = caller.call(action, **members)
        if "Error" in answer:
            self.told.append(json.dumps(answer))
        return answer

    def deliveries(self) -> list[Any]:
        found: list[Any] = json.loads(self.command("deliveries", "list", "--json"))
        return found

    def trigger(self) -> str:
        return self.command("events", "trigger", "CreateImageSpriteComplete").strip()

    def until(self, is_true: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not is_true():
            assert time.monotonic() < end, f"it did not happen in time:\n{self.logs()[-4000:]}"
            time.sleep(0.1)

    def sql(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.data / "vodsprite.sqlite", timeout=30)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    @contextlib.contextmanager
    def broken(self, table_name: str) -> Iterator[None]:
        """Nothing can be put into that table, as with a damaged database."""
        self.sql(
            f"CREATE TRIGGER broken BEFORE INSERT ON {table_name} "
            "BEGIN SELECT RAISE(ABORT, 'the table is broken'); END"
        )
        try:
            yield
        finally:
            self.sql("DROP TRIGGER broken")


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_ever_printed(tmp_path: Path, form: str) -> None:
    """Not by logs, commands, errors or values: at success, at each kind of failure, with a broken table."""
    story = Story(tmp_path, form)
    with Receiver() as receiver, story.served.start(wait=False):
        story.until(lambda: "listening" in story.logs())
        made = _set_up(story, f"{receiver.url}/?token={URL_TOKEN}")
        _push(story, receiver)
        _break(story)
        _list(story)
        [first, *_] = receiver.received
        assert {"Sign", "T"} <= first.json().keys()
        assert "webhook-signature" in first.headers
    _look_at_values(story)

    everything = {"logs": story.logs(), "commands and errors": "\n".join(story.told)}
    for where, text in everything.items():
        assert len(text) > 1000
        for mark in [*MARKS, made]:
            assert mark not in text, f"{where}: {_around(text, mark)}"
    assert URL_TOKEN not in everything["logs"], _around(everything["logs"], URL_TOKEN)
    for words in (("deliveries", "list", "--json"), ("events", "list"), ("deliveries", "list")):
        assert URL_TOKEN not in story.command(*words)


def _set_up(story: Story, url: str) -> str:
    """Set every secret, well and badly; return the key of a credential that was made."""
    set_url = story.call("ModifyEventConfig", Mode="PUSH", NotificationUrl=url, SignKey=SIGN_KEY)
    assert "Error" not in set_url
    assert "Error" in story.call("ModifyEventConfig", SignKey=f"{SIGN_KEY}!")
    assert "Error" in story.call("DescribeEventConfig", secret_key=f"{SECRET_KEY}x")
    story.command("app", "set", "--sign-key", SIGN_KEY)
    story.command("app", "set", "--sign-key", f"{SIGN_KEY}!")
    # What `add` prints is meant for who configures the receiver, this one time.
    assert WEBHOOK_SECRET in story.command("app", "secret", "add", "--secret", WEBHOOK_SECRET, is_read=False)
    story.command("app", "secret", "add", "--secret", WEBHOOK_SECRET)
    story.command("app", "secret", "add", "--secret", f"{WEBHOOK_SECRET}!!")
    story.command("app", "secret", "add", "--secret", WEBHOOK_SECRET[:-20])
    printed = story.command("key", "create", "--label", "second", is_read=False)
    return printed.split("SecretKey: ")[1].strip()


def _push(story: Story, receiver: Receiver) -> None:
    """Have pushes succeed and fail in every way."""
    story.trigger()
    story.until(lambda: story.deliveries()[0]["state"] == "settled")
    for reply, outcome in (
        (replies.status(500, body=b"no"), "rejected"),
        (replies.reset(), "unreachable"),
        (replies.Reply(headers={"X": "x" * 10_000}), "unreachable"),
    ):
        receiver.script(reply)
        story.until(partial(_came_to, story, story.trigger(), outcome))
    story.command("app", "pause")
    unreadable = story.trigger()
    story.sql(f"UPDATE events SET data = '{{}}' WHERE event_id = '{unreadable}'")
    story.command("app", "resume")
    story.until(lambda: "delivery.not_sendable" in story.logs())


def _came_to(story: Story, event_id: str, outcome: str) -> bool:
    """Whether the first attempt to push that event was made, with that outcome."""
    [found] = [one for one in story.deliveries() if one["event"] == event_id]
    return [one["outcome"] for one in found["attempts"][:1]] == [outcome]


def _break(story: Story) -> None:
    """Have the database fail while secrets are on their way into it, and while pushes are settled."""
    with story.broken("subscriptions"):
        assert "Error" in story.call("ModifyEventConfig", SignKey=SIGN_KEY)
        story.command("app", "set", "--sign-key", SIGN_KEY)
        story.command("app", "secret", "add", "--secret", WEBHOOK_SECRET)
    with story.broken("credentials"):
        story.command("key", "create")
    with story.broken("attempts"):
        story.trigger()
        story.until(lambda: "dispatcher.turn_failed" in story.logs())


def _list(story: Story) -> None:
    event_id = story.deliveries()[0]["event"]
    for words in (
        ("app", "list"),
        ("app", "set"),
        ("app", "secret", "list"),
        ("key", "list"),
        ("events", "list"),
        ("events", "show", event_id),
        ("deliveries", "list"),
    ):
        assert story.command(*words)
        if words != ("app", "set"):
            assert json.loads(story.command(*words, "--json"))


def _look_at_values(story: Story) -> None:
    """Keep how everything prints that holds a secret."""
    set_up = settings.load(data=story.data, secret_id=SECRET_ID, secret_key=SECRET_KEY)
    with open_parts(set_up) as parts:
        app_id = parts.apps.find(None).app_id
        subscription = parts.apps.subscription(app_id)
        assert (subscription.sign_key, subscription.secrets) == (SIGN_KEY, (WEBHOOK_SECRET,))
        with parts.database.reading() as conn:
            destinations = table.destinations_with_work(conn)
        assert destinations[0].sign_key == SIGN_KEY
        values = [set_up, subscription, *parts.apps.credentials(), *destinations]
        values.append(WebhookSecret(key=WEBHOOK_KEY))
    story.told += [f"{value!r} {value}" for value in values]


def _around(text: str, mark: str) -> str:
    at = text.find(mark)
    return text[max(0, at - 400) : at + 100]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

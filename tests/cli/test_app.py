"""`vodsprite app`: all that can be said of how an app is told of its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vodsprite.apps.app import DeliveryMode, Policy
from vodsprite.errors import InvalidInput, LimitReached, SecretNotFound, Unsupported
from vodsprite.events import EventType
from vodsprite.parts import Parts
from vodsprite.wire.webhook import WebhookSecret

Command = Callable[..., str]
Told = Callable[..., Any]


def test_every_member_of_a_subscription_can_be_set(command: Command, told: Told, parts: Parts) -> None:
    """What is named changes, and what is not named stays, over several calls."""
    command("app", "set", "--mode", "both", "--url", "http://a.example/3", "--url-v2", "http://a.example/2")
    command("app", "set", "--sign-key", "callbackKey0001", "--policy", "tencent", "--timeout", "30")
    command("app", "set", "--event", "NewFileUpload=ON", "--event", "CreateImageSpriteComplete=off")

    app = parts.apps.find(None)
    now_set = parts.apps.subscription(app.app_id)
    assert now_set.mode is DeliveryMode.BOTH
    assert (now_set.url, now_set.url_v2) == ("http://a.example/3", "http://a.example/2")
    assert (now_set.sign_key, now_set.policy, now_set.timeout_s) == ("callbackKey0001", Policy.TENCENT, 30)
    assert now_set.muted == {EventType.FILE_DELETED, EventType.IMAGE_SPRITE_COMPLETE}
    [row] = told("app", "list")
    assert row["off"] == ["CreateImageSpriteComplete", "FileDeleted"]
    assert (row["policy"], row["timeout_s"], row["sign_key"]) == ("tencent", 30, True)
    assert "callbackKey0001" not in command("app", "list") + command("app", "set")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--event", "NewFileUpload"), InvalidInput),
        (("--event", "NewFileUpload=maybe"), InvalidInput),
        (("--event", "Nonsense=ON"), Unsupported),
        (("--sign-key", "not-alphanumeric"), InvalidInput),
        (("--timeout", "31"), InvalidInput),
    ],
)
def test_a_bad_value_changes_nothing(
    command: Command, parts: Parts, words: tuple[str, ...], error: type[Exception]
) -> None:
    """The error names what is wrong, and what stood beside it is not set either."""
    with pytest.raises(error):
        command("app", "set", "--mode", "PULL", *words)

    assert parts.apps.subscription(parts.apps.find(None).app_id).mode is DeliveryMode.PUSH


def test_a_secret_is_rotated_with_two_valid_at_once(command: Command, told: Told, parts: Parts) -> None:
    """Add the new one, change the receiver, remove the old one; a third at once is refused."""
    app_id = parts.apps.find(None).app_id
    old = added(command("app", "secret", "add"))
    new = added(command("app", "secret", "add"))
    assert parts.apps.subscription(app_id).secrets == (new.reveal(), old.reveal())
    with pytest.raises(LimitReached, match="2 secrets"):
        command("app", "secret", "add")

    assert [row["name"] for row in told("app", "secret", "list")] == [new.name, old.name]
    command("app", "secret", "remove", old.name)
    assert parts.apps.subscription(app_id).secrets == (new.reveal(),)
    with pytest.raises(SecretNotFound):
        command("app", "secret", "remove", old.name)


def test_a_secret_is_never_shown_again(command: Command) -> None:
    """Whoever lists learns the name, from which nothing follows."""
    secret = added(command("app", "secret", "add"))
    shown = command("app", "secret", "list") + command("app", "list") + command("app", "set")

    assert secret.name in shown
    assert secret.reveal().removeprefix("whsec_") not in shown


def test_a_given_secret_is_taken_once(command: Command, parts: Parts) -> None:
    """A secret that the receiver has already can be given; twice, with or without padding, it is refused."""
    given = WebhookSecret(key=bytes(range(25))).reveal()
    command("app", "secret", "add", "--secret", given)
    with pytest.raises(InvalidInput, match="already"):
        command("app", "secret", "add", "--secret", given.rstrip("="))
    with pytest.raises(InvalidInput, match="bytes"):
        command("app", "secret", "add", "--secret", "whsec_c2hvcnQ=")

    assert parts.apps.subscription(parts.apps.find(None).app_id).secrets == (given,)


def test_addresses_are_paused_and_resumed(command: Command, told: Told) -> None:
    """Both at once, or one of them; what is paused is seen in the list."""
    command("app", "set", "--url", "http://a.example/3", "--url-v2", "http://a.example/2")

    assert "paused by hand" in command("app", "pause")
    assert told("app", "list")[0]["paused"] == ["push_v2", "push_v3"]
    assert command("app", "resume", "--format", "2.0") == "resumed 1\n"
    assert told("app", "list")[0]["paused"] == ["push_v3"]
    assert command("app", "resume") == "resumed 1\n"
    assert command("app", "resume") == "resumed 0\n"
    assert told("app", "list")[0]["paused"] == []


def test_there_must_be_something_to_pause(command: Command) -> None:
    """An app without an address is told so instead of nothing being done."""
    command("app", "set", "--url", "http://a.example/3")
    with pytest.raises(InvalidInput, match="none"):
        command("app", "pause", "--format", "2.0")


def added(printed: str) -> WebhookSecret:
    """The secret that `secret add` printed."""
    lines = dict(line.split(None, 1) for line in printed.splitlines())
    secret = WebhookSecret.parse(lines["Secret"])
    assert secret.name == lines["Name"]
    return secret

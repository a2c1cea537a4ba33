"""Addresses that are no http or https URL: refused where they are set, and again where they are called."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import Outbound, SendFailed
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.service import Service, start_service

HOSTILE = [
    "ftp://{host}/",
    "file:///etc/passwd",
    "file://{host}/etc/passwd",
    "gopher://{host}/_POST",
    "javascript:alert(1)",
    "data:text/plain,x",
    "ws://{host}/",
    "wss://{host}/",
    "tcp://{host}/",
    "unix:///var/run/docker.sock",
    "httpx://{host}/",
    "//{host}/",
    "{host}/",
    "/callback",
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_no_other_scheme_can_be_set(tmp_path: Path) -> None:
    """ModifyEventConfig and the console's action refuse each, name the member, and keep what stood there."""
    good = "http://a.example/cb"
    with start_service(tmp_path) as service:
        service.caller.call("ModifyEventConfig", NotificationUrl=good)
        for url in HOSTILE:
            given = url.format(host="a.example")
            assert_refused(service, "ModifyEventConfig", "NotificationUrl", given)
            for member in ("NotificationUrlV3", "NotificationUrlV2"):
                assert_refused(service, "ModifyEventNotificationConfigForConsole", member, given)
        assert service.caller.call("DescribeEventConfig")["NotificationUrl"] == good


def assert_refused(service: Service, action: str, member: str, url: str) -> None:
    error = service.caller.call(action, **{member: url}).get("Error")
    assert error is not None, f"{action} took {url}"
    assert error["Code"] == "InvalidParameter"
    assert error["Message"].startswith(member)


@pytest.mark.parametrize("url", HOSTILE)
def test_no_other_scheme_is_called(receiver: Receiver, url: str) -> None:
    """However such an address came into the tables, a push to it fails, and no connection is made."""

    async def run() -> None:
        outbound = Outbound(AddressRules.parse("loopback"), user_agent="vodsprite/test")
        try:
            await outbound.post(url.format(host=f"127.0.0.1:{receiver.port}"), b"{}", {}, timeout_s=10)
        finally:
            await outbound.close()

    with pytest.raises(SendFailed) as caught:
        asyncio.run(run())
    assert caught.value.reason == "the address is no URL that can be called"
    assert receiver.received == []

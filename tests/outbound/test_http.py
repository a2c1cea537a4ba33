"""The client for requests that leave the house, against a receiver that speaks HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from vodsprite.errors import AddressRefused
from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import BODY_LIMIT_BYTES, AddrInfo, Answer, Outbound, SendFailed, ask_system
from vodsprite.testing.receiver import Receiver, Reply, hang, reset, stall, status

LOOPBACK = AddressRules.parse("loopback")
NOTHING = AddressRules.parse("")

T = TypeVar("T")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def use(
    scene: Callable[[Outbound], Awaitable[T]],
    rules: AddressRules = LOOPBACK,
    look_up: Callable[[str, int, int], Sequence[AddrInfo]] = ask_system,
) -> T:
    async def run() -> T:
        outbound = Outbound(rules, user_agent="vodsprite/test", look_up=look_up)
        try:
            return await scene(outbound)
        finally:
            await outbound.close()

    return asyncio.run(run())


def post(url: str, rules: AddressRules = LOOPBACK, *, timeout_s: float = 10) -> Answer:
    return use(lambda outbound: outbound.post(url, b"{}", {"X-Own": "1"}, timeout_s=timeout_s), rules)


def test_what_is_given_is_sent(receiver: Receiver) -> None:
    """Body and headers travel as given, with our user agent; no cookie comes back on the next request."""
    receiver.script(Reply(headers={"Set-Cookie": "a=b; Path=/"}, body=b"thanks"))

    async def scene(outbound: Outbound) -> Answer:
        answer = await outbound.post(f"{receiver.url}/x?y=1", b'{"a":1}', {"X-Own": "1"}, timeout_s=10)
        await outbound.post(receiver.url, b"", {}, timeout_s=10)
        return answer

    answer = use(scene)
    first, second = receiver.received
    assert (answer.status, answer.head, answer.retry_after) == (200, "thanks", None)
    assert (first.path, first.body, first.headers["x-own"]) == ("/x?y=1", b'{"a":1}', "1")
    assert first.headers["user-agent"] == "vodsprite/test"
    assert "cookie" not in second.headers


def test_any_status_is_an_answer(receiver: Receiver) -> None:
    """What a status means is the caller's business; Retry-After is handed on as it came."""
    receiver.script(status(503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT"))
    answer = post(receiver.url)
    assert (answer.status, answer.retry_after) == (503, "Fri, 31 Dec 1999 23:59:59 GMT")


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, code: int) -> None:
    """The body goes to nobody who was not checked."""
    receiver.script(status(code, location=f"{receiver.url}/elsewhere"))
    assert post(receiver.url).status == code
    assert [request.path for request in receiver.received] == ["/"]


def test_a_long_answer_is_cut(receiver: Receiver) -> None:
    """Not more than the limit is read, and only the beginning is kept; the next request works."""
    receiver.script(Reply(body=b"x" * (BODY_LIMIT_BYTES * 40)))

    async def scene(outbound: Outbound) -> list[Answer]:
        return [await outbound.post(receiver.url, b"", {}, timeout_s=10) for _ in range(2)]

    long, after = use(scene)
    assert set(long.head) == {"x"}
    assert len(long.head) <= 1000
    assert after.status == 200


def test_an_answer_whose_body_stalls_is_an_answer(receiver: Receiver) -> None:
    """The status came in time: what is missing of the body changes nothing, and the time-out holds."""
    receiver.script(stall(202, body=b"the begin"))
    answer = post(receiver.url, timeout_s=0.5)
    assert (answer.status, answer.head) == (202, "the begin")
    assert answer.latency_ms < 5000


def test_silence_is_a_time_out(receiver: Receiver) -> None:
    """A receiver that never answers costs the time-out and no more."""
    receiver.script(hang())
    with pytest.raises(SendFailed) as caught:
        post(receiver.url, timeout_s=0.3)
    assert caught.value.timed_out
    assert 290 <= caught.value.latency_ms < 5000


def test_a_broken_connection_is_a_failure(receiver: Receiver) -> None:
    """A reset is no time-out, and says what happened."""
    receiver.script(reset())
    with pytest.raises(SendFailed, match="reset") as caught:
        post(receiver.url)
    assert not caught.value.timed_out


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://localhost:{port}/",
        "http://0.0.0.0:{port}/",
    ],
)
def test_inside_addresses_are_refused_at_the_socket(receiver: Receiver, url: str) -> None:
    """Literal, wrapped or behind a name: no connection is made."""
    with pytest.raises(AddressRefused):
        post(url.format(port=receiver.port), NOTHING)
    assert receiver.received == []


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f000001"])
def test_odd_spellings_of_addresses_reach_nothing(receiver: Receiver, host: str) -> None:
    """An address in another spelling is refused or not understood, never dialled unseen."""
    with pytest.raises((AddressRefused, SendFailed)):
        post(f"http://{host}:{receiver.port}/", NOTHING)
    assert receiver.received == []


def test_a_name_that_changes_its_mind_gains_nothing(receiver: Receiver) -> None:
    """A resolver that shows a public address first and an inside one later never gets us inside."""
    answers = iter(["192.0.2.1", "127.0.0.1", "127.0.0.1"])

    def rebinding(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        return ask_system(next(answers), port, family)

    # A documentation address stands for the public one: it is allowed here and leads nowhere.
    rules = AddressRules.parse("192.0.2.0/24")
    url = f"http://rebind.example.com:{receiver.port}/"

    async def scene(outbound: Outbound) -> None:
        with pytest.raises(SendFailed):
            await outbound.post(url, b"", {}, timeout_s=0.3)

    use(scene, rules, rebinding)
    for _ in range(2):
        with pytest.raises(AddressRefused):
            use(lambda outbound: outbound.post(url, b"", {}, timeout_s=5), rules, rebinding)
    assert receiver.received == []


def test_what_was_checked_is_what_is_dialled(receiver: Receiver) -> None:
    """A name is asked once for a connection: there is no second answer between the check and the socket."""
    asked: list[str] = []

    def changing(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        asked.append(host)
        return ask_system("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port, family)

    url = f"http://rebind.example.com:{receiver.port}/"
    answer = use(
        lambda outbound: outbound.post(url, b"", {}, timeout_s=5),
        AddressRules.parse("127.0.0.1"),
        changing,
    )
    assert answer.status == 200
    assert asked == ["rebind.example.com"]
    assert receiver.received[0].headers["host"] == f"rebind.example.com:{receiver.port}"


def test_of_several_addresses_only_allowed_ones_are_dialled(receiver: Receiver) -> None:
    """A name with an inside and an allowed address is reached by the allowed one."""

    def two(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        return [*ask_system("10.0.0.1", port, family), *ask_system("127.0.0.1", port, family)]

    url = f"http://two.example.com:{receiver.port}/"
    assert use(lambda outbound: outbound.post(url, b"", {}, timeout_s=10), LOOPBACK, two).status == 200


def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go where they are addressed to, whatever the environment says."""
    with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert post(receiver.url).status == 200
        assert proxy.received == []


def test_names_that_hang_do_not_hold_up_others(receiver: Receiver) -> None:
    """While thirty names hang in look-up, another resolves and answers at once; closing waits for none."""
    over = threading.Event()

    def partly_hanging(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        if host.startswith("hangs"):
            over.wait(60)
            raise OSError("gave up")
        return ask_system("127.0.0.1", port, family)

    async def scene(outbound: Outbound) -> float:
        stuck = [
            asyncio.create_task(
                outbound.post(f"http://hangs{number % 30}.example.com/", b"", {}, timeout_s=1)
            )
            for number in range(240)
        ]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await outbound.post(f"http://works.example.com:{receiver.port}/", b"", {}, timeout_s=10)
        took_s = time.monotonic() - begun
        results = await asyncio.gather(*stuck, return_exceptions=True)
        assert all(isinstance(one, SendFailed) and one.timed_out for one in results)
        return took_s

    try:
        assert use(scene, LOOPBACK, partly_hanging) < 0.9
    finally:
        over.set()


@pytest.mark.parametrize("url", ["http://a..b/", "http://\N{SNOWMAN}\N{COMBINING GRAVE ACCENT}.invalid:0/"])
def test_a_url_that_cannot_be_called_is_a_failure(url: str) -> None:
    """Whatever the address looks like, the caller hears of one kind of failure."""
    with pytest.raises(SendFailed):
        post(url)

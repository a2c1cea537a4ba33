"""Receivers whose answers have no end, against the client for requests that leave the house."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import HEAD_CHARS, Answer, Outbound, SendFailed

MIB = 1024 * 1024
PIECE = b"x" * 65536
CHUNK = b"10000\r\n" + PIECE + b"\r\n"
LINES = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(64))


class Endless:
    """Answers one request on a free port with *head* and then *piece*, over and over, until it is cut off."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._parts = itertools.chain([head], itertools.repeat(piece))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="endless")
        self.was_cut_off = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    @contextmanager
    def serving(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._thread.join(20)
            self._listener.close()
        assert not self._thread.is_alive(), "the answer is still being read"

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(20)
            connection.recv(65536)
            try:
                for part in self._parts:
                    connection.sendall(part)
            except TimeoutError:
                return
            except OSError:
                self.was_cut_off = True


def post(url: str, *, timeout_s: float) -> Answer:
    async def run() -> Answer:
        outbound = Outbound(AddressRules.parse("loopback"), user_agent="vodsprite/test")
        try:
            return await outbound.post(url, b"{}", {}, timeout_s=timeout_s)
        finally:
            await outbound.close()

    return asyncio.run(run())


@contextmanager
def little_memory(limit_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < limit_bytes, f"{peak / MIB:.1f} MiB were held"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", PIECE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n", PIECE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 5000),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", PIECE),
    ],
    ids=["until it closes", "of some length", "in chunks", "in tiny chunks", "that says it is packed"],
)
def test_an_endless_body_is_cut_at_the_limit(head: bytes, piece: bytes) -> None:
    """The status counts, long before the time-out; the receiver is hung up on, and little is held of it."""
    endless = Endless(head, piece)
    with endless.serving(), little_memory(8 * MIB):
        begun = time.monotonic()
        answer = post(endless.url, timeout_s=30)
        took_s = time.monotonic() - begun
    assert (answer.status, answer.head) == (200, "x" * HEAD_CHARS)
    assert endless.was_cut_off
    assert took_s < 15


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", LINES),
        (b"HTTP/1.1 200 OK\r\nX: ", PIECE),
        (b"HTTP/1.1 200 ", PIECE),
    ],
    ids=["header lines", "one header", "the status line"],
)
def test_an_endless_head_is_no_answer(head: bytes, piece: bytes) -> None:
    """It fails long before the time-out, and little is held of it."""
    endless = Endless(head, piece)
    with endless.serving(), little_memory(8 * MIB):
        with pytest.raises(SendFailed, match="the answer cannot be read") as caught:
            post(endless.url + "?token=tellNobody", timeout_s=30)
        assert not caught.value.timed_out
    assert endless.was_cut_off
    assert "tellNobody" not in caught.value.reason


def test_preliminary_answers_without_end_are_a_time_out() -> None:
    """No number of `100 Continue` is an answer: they cost the push's own time, and little memory."""
    endless = Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
    with endless.serving(), little_memory(16 * MIB):
        with pytest.raises(SendFailed) as caught:
            post(endless.url, timeout_s=1)
        assert caught.value.timed_out
        assert caught.value.latency_ms < 10_000
    assert endless.was_cut_off


def test_a_chunk_whose_extension_never_ends_leaves_the_status_standing() -> None:
    """Not a byte of a body comes: the wait ends with the push's own time, and little is held."""
    endless = Endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", PIECE)
    with endless.serving(), little_memory(16 * MIB):
        answer = post(endless.url, timeout_s=1)
    assert (answer.status, answer.head) == (200, "")
    assert answer.latency_ms < 10_000
    assert endless.was_cut_off

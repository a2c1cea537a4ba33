"""
The one HTTP client for requests that leave the house.

Every address is checked when its socket is made: after the name was resolved, for literal addresses too,
and again for every new connection, so that a name that changes its mind gains nothing. No redirect is
followed (it would resend the body to an address that nobody checked), no proxy of the environment is used, no
cookie is kept.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from vodsprite.errors import AddressRefused, VodspriteError
from vodsprite.outbound.addresses import AddressRules

BODY_LIMIT_BYTES = 64 * 1024
HEAD_CHARS = 500
LOOK_UPS_AT_ONCE = 64
SLOW_LOOK_UPS_AT_ONCE = 64
SLOW_AFTER_S = 1.0
KEEP_ALIVE_S = 4.0
"""Shorter than common servers allow (5 s): they must not close a connection as we take it up again."""

AddrInfo = tuple[int, int, int, str, tuple[object, ...]]
"""Family, type, protocol, name, address: what `socket.getaddrinfo` gives."""

LookUp = Callable[[str, int, int], Sequence[AddrInfo]]
"""Host, port, family -> its addresses; raises OSError. It may block."""


def ask_system(host: str, port: int, family: int) -> Sequence[AddrInfo]:
    """Look a name up as the operating system does."""
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    head: str  # the body's beginning, for a person
    retry_after: str | None  # the header as it came
    latency_ms: int  # until the body was read, or given up


class SendFailed(VodspriteError):
    """No answer came."""

    def __init__(self, reason: str, *, timed_out: bool = False, latency_ms: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timed_out = timed_out
        self.latency_ms = latency_ms


class Outbound:
    """A client with the house rules. All calls must come from one event loop."""

    def __init__(self, rules: AddressRules, *, user_agent: str, look_up: LookUp = ask_system) -> None:
        self._rules = rules
        self._user_agent = user_agent
        self._look_up = look_up
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Answer:
        """
        Send *body* once and return the answer, whatever its status.

        The answer's body is read up to 64 KiB. When it stalls or breaks after the status came, what was read
        until then is returned.

        Args:
            timeout_s: Of everything: look-up, connection, request and answer.

        Raises:
            AddressRefused: The rules forbid an address of *url*; nothing was sent.
            SendFailed: No answer came.
        """
        refusals: list[AddressRefused] = []
        _refusals.set(refusals)
        begun = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._post(url, body, headers, begun, timeout_s)
        except TimeoutError as error:
            if refusals:
                raise refusals[0] from error
            reason = f"no answer within {timeout_s:g} s"
            raise SendFailed(reason, timed_out=True, latency_ms=_since_ms(begun)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if refusals:
                raise refusals[0] from error
            raise SendFailed(_explain(error), latency_ms=_since_ms(begun)) from error

    async def close(self) -> None:
        """Close every connection; look-ups that hang are left to themselves."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], begun: float, timeout_s: float
    ) -> Answer:
        async with self._opened().post(url, data=body, headers=headers, allow_redirects=False) as response:
            head = await _read_head(response, begun + timeout_s)
            return Answer(
                status=response.status,
                head=head.decode("utf-8", "replace")[:HEAD_CHARS],
                retry_after=response.headers.get("Retry-After"),
                latency_ms=_since_ms(begun),
            )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = _Connector(
                limit=0,  # who sends counts its requests itself
                keepalive_timeout=KEEP_ALIVE_S,
                resolver=_Resolver(self._look_up),
                socket_factory=self._make_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,  # a small answer could unpack to a huge one
            )
        return self._session

    def _make_socket(self, info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        try:
            self._rules.check(str(address[0]))
        except AddressRefused as refused:
            _refusals.get().append(refused)
            # The connector knows OSErrors: it goes on to the name's next address.
            raise OSError(str(refused)) from refused
        return socket.socket(family, kind, protocol)


_refusals: ContextVar[list[AddressRefused]] = ContextVar("refusals")
"""What the sockets of the present request met. Tasks that the connector starts inherit the list."""


class _Connector(aiohttp.TCPConnector):
    """Makes connections for http and https alone; the library's own takes `ws`, `tcp` and no scheme too."""

    allowed_protocol_schema_set = frozenset({"http", "https"})


class _Resolver(AbstractResolver):
    """
    Looks names up in threads of its own, so many at once that names that hang leave room for others.

    A name that once took long is looked up beside the others from then on. (The connector sees to it that one
    name is looked up once at a time, and remembers the result for ten seconds.)
    """

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._quick = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        self._slow = asyncio.Semaphore(SLOW_LOOK_UPS_AT_ONCE)
        self._slow_names: dict[str, None] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        lane = self._slow if host in self._slow_names else self._quick
        await lane.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[AddrInfo]] = loop.create_future()
        begun = time.monotonic()

        def deliver(infos: Sequence[AddrInfo] | None, error: OSError | None) -> None:
            lane.release()
            self._remember_pace(host, time.monotonic() - begun)
            if found.done():
                return
            if infos is None:
                found.set_exception(error or OSError("the look-up failed"))
            else:
                found.set_result(infos)

        def look_up() -> None:
            infos: Sequence[AddrInfo] | None = None
            failure: OSError | None = None
            try:
                infos = self._look_up(host, port, family)
            except OSError as error:
                failure = error
            except UnicodeError:  # a label that IDNA can't encode
                failure = OSError(f"{host[:80]!r} is no host name")
            try:
                loop.call_soon_threadsafe(deliver, infos, failure)
            except RuntimeError:
                return  # the loop was closed while the look-up hung

        # A daemon: the interpreter doesn't wait at its end for a look-up that hangs.
        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        return [_result(host, info) for info in await found]

    async def close(self) -> None:
        """Nothing is held."""

    def _remember_pace(self, host: str, took_s: float) -> None:
        self._slow_names.pop(host, None)
        if took_s > SLOW_AFTER_S:
            self._slow_names[host] = None
            if len(self._slow_names) > 10_000:
                del self._slow_names[next(iter(self._slow_names))]


def _result(host: str, info: AddrInfo) -> ResolveResult:
    family, _, protocol, _, address = info
    return ResolveResult(
        hostname=host,
        host=str(address[0]),
        port=int(str(address[1])),
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


async def _read_head(response: aiohttp.ClientResponse, deadline: float) -> bytes:
    read = bytearray()
    try:
        # A little before the deadline of the whole: the status that came must not be lost to a slow body.
        async with asyncio.timeout(max(0.0, deadline - time.monotonic() - 0.05)):
            while len(read) < BODY_LIMIT_BYTES:
                chunk = await response.content.read(BODY_LIMIT_BYTES - len(read))
                if not chunk:
                    return bytes(read)
                read += chunk
    except (TimeoutError, aiohttp.ClientError):
        pass
    response.close()  # the rest is not wanted, so the connection can't be used again
    return bytes(read)


def _explain(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} does not resolve"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {error.host} is not valid: {error.certificate_error}"[:HEAD_CHARS]
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"no TLS with {error.host}:{error.port}: {error.os_error}"[:HEAD_CHARS]
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = os.strerror(error.os_error.errno) if error.os_error.errno else str(error.os_error)
        return f"no connection to {error.host}:{error.port}: {cause}"[:HEAD_CHARS]
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return "the address is no URL that can be called"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    if isinstance(error, aiohttp.ClientResponseError):
        # Not its whole text, which holds the URL, and with it what a query or a password keep secret.
        return f"the answer cannot be read: {error.message}"[:HEAD_CHARS]
    return f"{type(error).__name__}: {error}"[:HEAD_CHARS]


def _since_ms(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)

"""
Reading a file at a distance as if it were at hand: a seekable binary file over HTTP range requests (RFC 9110,
section 14), or over an object store's ranged reads.

Only what is read is fetched. Every address is checked when its socket is made, on every hop of a redirect,
too; no proxy of the environment is used. Bytes and time are capped.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from vodsprite import __version__
from vodsprite.errors import AddressRefused, FailureKind, VideoError
from vodsprite.outbound.addresses import AddressRules

if TYPE_CHECKING:
    from obstore import GetOptions

SCHEMES = frozenset({"http", "https", "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss"})
"""What `open_url` takes."""

REDIRECTS_MOST = 5
CACHE_BYTES = 8 * 1024 * 1024
AHEAD_MOST_BYTES = 1024 * 1024

_HEAD_BYTES = 32 * 1024
_TRIES = 5
_WAIT_S = 0.1
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one file may cost."""

    silence_s: float = 20.0  # from one sign of the server to the next
    total_s: float = 3600.0  # of all waiting for servers
    received_bytes: int = 64 * 1024**3  # of all bodies
    download_bytes: int = 2 * 1024**3  # of a file from a server without range requests


class Transport(Protocol):
    """Where the bytes come from."""

    size: int
    received: int  # bytes of bodies so far

    def read(self, first: int, end: int) -> bytes:
        """Return bytes *first* to *end* (exclusive), which lie in the file."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class RangeFile(io.RawIOBase):
    """
    A seekable file over a transport.

    What was read last is kept, up to 8 MiB; reading on fetches a little ahead.

    Each thread has a position of its own, so that several readers may use one file.

    Raises:
        VideoError: (`NOT_ACCESSIBLE`, from reading) the bytes can't be had. That is told once and kept in
            `failure`; the file ends there.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._blocks: OrderedDict[int, bytes] = OrderedDict()  # by their first byte
        self._held = 0
        self._lock = threading.Lock()
        self._of_thread = threading.local()
        self._run_began = self._run_end = 0  # of reading on without a leap
        self.failure: Exception | None = None

    @property
    def received(self) -> int:
        """How many bytes came from the server."""
        return self._transport.received

    @property
    def held(self) -> int:
        """How many bytes are kept in memory."""
        return self._held

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(getattr(self._of_thread, "position", 0))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._transport.size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the file")
        self._of_thread.position = base + offset
        return base + offset

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to *size* bytes, fewer only at the end of the file."""
        first = self.tell()
        end = self._transport.size if size < 0 else min(self._transport.size, first + size)
        if first >= end:
            return b""
        with self._lock:
            if self.failure is not None:
                return b""  # a second error would only be in the way of the first
            try:
                data = self._span(first, end)
            except Exception as error:
                self.failure = error
                raise
        self._of_thread.position = first + len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def close(self) -> None:
        if not self.closed:
            self._transport.close()
        super().close()

    def _span(self, first: int, end: int) -> bytes:
        parts: list[bytes] = []
        at = first
        while at < end:
            found = self._held_at(at)
            if found is None:
                found = self._fetch(at, end)
            parts.append(found[: end - at])
            at += len(parts[-1])
        return b"".join(parts)

    def _held_at(self, at: int) -> bytes | None:
        for begin, block in self._blocks.items():
            if begin <= at < begin + len(block):
                self._blocks.move_to_end(begin)
                return block[at - begin :]
        return None

    def _fetch(self, at: int, end: int) -> bytes:
        """Fetch from *at* to *end*, and a quarter of what was read in one go ahead; no byte that is held."""
        if at != self._run_end:
            self._run_began = at
        ahead = min(AHEAD_MOST_BYTES, (at - self._run_began) // 4)
        end = min(self._transport.size, max(end, at + ahead))
        end = min([end, *(begin for begin in self._blocks if begin > at)])
        data = self._transport.read(at, end)
        self._run_end = end
        self._keep(at, data)
        return data

    def _keep(self, at: int, data: bytes) -> None:
        if len(data) > CACHE_BYTES // 2:  # a picture too large to be read twice
            return
        self._blocks[at] = data
        self._held += len(data)
        while self._held > CACHE_BYTES:
            _, oldest = self._blocks.popitem(last=False)
            self._held -= len(oldest)


@contextmanager
def open_url(
    url: str, rules: AddressRules, *, limits: Limits | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[BinaryIO]:
    """
    Open *url* for reading.

    Args:
        url: `http://`, `https://`, or an object's as obstore knows them (`s3://bucket/key`, `gs://`, `az://`);
            those take endpoint and credentials from the environment of their vendor (`AWS_…`).
        rules: What may be dialled for http(s). An object store's endpoint is the caller's own word.
        tls: Whom to trust; None: the system's authorities.

    Raises:
        AddressRefused: *url*, or where it redirects to, has an address that the rules forbid.
        VideoError: (`NOT_ACCESSIBLE`) it can't be had. Messages complete "<the file> ...". Reading raises the
            same, and the block ends with it even if a decoder took it for the end of the file.
    """
    scheme = urlsplit(url).scheme.lower()
    transport: Transport
    if scheme in ("http", "https"):
        transport = HttpRanges(url, rules, limits or Limits(), tls)
        if transport.whole is not None:
            with transport.whole as file:
                yield file
            return
    else:
        transport = StoreRanges(url, limits or Limits())
    with RangeFile(transport) as file:
        try:
            yield cast(BinaryIO, file)
        except VideoError as error:
            if file.failure is not None and error is not file.failure:
                raise file.failure from error
            raise
        if file.failure is not None:
            raise file.failure


def is_url(text: str) -> bool:
    """Whether *text* is for `open_url`, rather than the name of a file."""
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.lower() in SCHEMES


def shown(url: str) -> str:
    """Return *url* for messages: without user, query and fragment, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class HttpRanges:
    """
    One file on a web server, read by ranges over one connection that is kept.

    `whole` is the file itself where the server knows no ranges.
    """

    def __init__(self, url: str, rules: AddressRules, limits: Limits, tls: ssl.SSLContext | None) -> None:
        self.size = 0
        self.received = 0
        self.requests = 0
        self.whole: BinaryIO | None = None
        self._rules = rules
        self._limits = limits
        self._tls = tls
        self._waited_s = 0.0
        self._url = url
        self._version: str | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._place: tuple[str, str] = ("", "")
        self._head = b""
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def read(self, first: int, end: int) -> bytes:
        """Return bytes *first* to *end*; a connection that breaks is made anew, to go on where it broke."""
        data = bytearray(self._head[first:end])
        failures = 0
        while len(data) < end - first:
            before = len(data)
            try:
                with self._timed():
                    self._read_on(data, first + len(data), end)
            except (OSError, http.client.HTTPException) as error:
                self._disconnect()
                failures = 0 if len(data) > before else failures + 1
                if failures >= _TRIES:
                    raise _not_accessible(_explain(error)) from error
                self._pause(failures)
        return bytes(data)

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()

    def _begin(self) -> None:
        """Follow redirects, learn the size, and fetch the first bytes."""
        failures = 0
        while True:
            try:
                with self._timed():
                    response = self._request(f"bytes=0-{_HEAD_BYTES - 1}")
                    self._take_first(response)
                return
            except (OSError, http.client.HTTPException) as error:
                self._disconnect()
                failures += 1
                if failures >= _TRIES or isinstance(error, (ssl.SSLCertVerificationError, socket.gaierror)):
                    raise _not_accessible(_explain(error)) from error
                self._pause(failures)

    def _take_first(self, response: http.client.HTTPResponse) -> None:
        if response.status == 206:
            first, end, self.size = _content_range(response)
            self._version = _version(response)
            if first != 0:
                raise _not_accessible("cannot be read: the server sent another range than was asked for")
            self._head = self._body(response, end)
        elif response.status == 416:
            raise VideoError(FailureKind.MALFORMED, "is empty")
        else:
            self.whole = self._download(response)

    def _read_on(self, data: bytearray, first: int, end: int) -> None:
        response = self._request(f"bytes={first}-{end - 1}")
        if response.status == 200 or response.status == 416:
            raise _not_accessible("changed while it was read, or its server stopped to serve ranges")
        began, stopped, size = _content_range(response)
        if size != self.size or _version(response) != self._version:
            raise _not_accessible("changed while it was read")
        if began != first or stopped > end:
            raise _not_accessible("cannot be read: the server sent another range than was asked for")
        while first < stopped:
            piece = response.read1(min(stopped - first, 256 * 1024))
            if not piece:
                raise http.client.IncompleteRead(b"", stopped - first)
            self._count(len(piece))
            data += piece
            first += len(piece)
        self._end(response)

    def _body(self, response: http.client.HTTPResponse, length: int) -> bytes:
        data = response.read(length)
        self._count(len(data))
        if len(data) < length:
            raise http.client.IncompleteRead(data, length - len(data))
        self._end(response)
        return data

    def _end(self, response: http.client.HTTPResponse) -> None:
        """Read what ends the message, so that the connection can go on; one that sends more is closed."""
        if not response.isclosed() and response.read(1):
            self._disconnect()

    def _download(self, response: http.client.HTTPResponse) -> BinaryIO:
        """Fetch all of a file whose server knows no ranges, into a file without a name."""
        most = self._limits.download_bytes
        told = response.getheader("Content-Length", "")
        refusal = _not_accessible(
            "cannot be read in part (its server knows no range requests), and is larger than "
            f"the {most} bytes that are downloaded"
        )
        if told.isdigit() and int(told) > most:
            raise refusal
        file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
        try:
            while piece := response.read1(256 * 1024):
                self._count(len(piece))
                if file.tell() + len(piece) > most:
                    raise refusal
                file.write(piece)
            if told.isdigit() and file.tell() != int(told):
                raise http.client.IncompleteRead(b"", int(told) - file.tell())
        except BaseException:
            file.close()
            raise
        finally:
            self._disconnect()
        file.seek(0)
        return cast(BinaryIO, file)

    def _request(self, span: str) -> http.client.HTTPResponse:
        """Ask for *span* and return an answer with status 200, 206 or 416, after redirects."""
        for _ in range(REDIRECTS_MOST + 1):
            parts = _checked(self._url)
            connection = self._connected(parts)
            target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
            if parts.query:
                target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
            self.requests += 1
            connection.request(
                "GET",
                target,
                headers={
                    "Range": span,
                    "Accept-Encoding": "identity",
                    "User-Agent": f"vodsprite/{__version__}",
                },
            )
            response = self._response = connection.getresponse()
            if response.status in _REDIRECTS:
                self._url = _next_hop(self._url, response.getheader("Location"))
                self._disconnect()
                continue
            if response.status in _BUSY:
                raise _Busy(f"the server answers {response.status}")
            if response.status not in (200, 206, 416):
                raise _not_accessible(f"cannot be read: the server answers {response.status}")
            if response.getheader("Content-Encoding", "identity").lower() != "identity":
                raise _not_accessible("cannot be read: the server packs what it was asked to send as it is")
            return response
        raise _not_accessible(f"cannot be read: more than {REDIRECTS_MOST} redirects")

    def _connected(self, parts: SplitResult) -> http.client.HTTPConnection:
        place = (parts.scheme, parts.netloc)
        if self._connection is not None and self._place == place:
            return self._connection
        self._disconnect()
        try:
            host = (parts.hostname or "").encode("idna").decode("ascii")
        except UnicodeError as error:
            raise _not_accessible("cannot be read: the address names no host") from error
        if ":" in host:
            host = f"[{host}]"  # or its last part would be taken for a port
        timeout = self._limits.silence_s
        if parts.scheme == "https":
            context = self._tls or ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        # Where the standard library makes its sockets.
        self._connection._create_connection = self._dial  # type: ignore[attr-defined]
        self._place = place
        return self._connection

    def _dial(self, address: tuple[str, int], timeout: float, source: object = None) -> socket.socket:
        """Connect to the first address of a host that answers; each is checked before its socket is made."""
        host, port = address
        failure: Exception = OSError(f"the name {host} does not resolve")
        for family, kind, protocol, _, found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                self._rules.check(str(found[0]))
                made = socket.socket(family, kind, protocol)
            except (AddressRefused, OSError) as error:
                failure = error
                continue
            try:
                made.settimeout(timeout)
                made.connect(found)
            except OSError as error:
                made.close()
                failure = error
                continue
            return made
        raise failure

    def _disconnect(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the time of the block, and hang up when all of it is used: servers may drip for ever."""
        began = time.monotonic()
        over = threading.Event()

        def hang_up() -> None:
            over.set()
            connection = self._connection
            if connection is not None and connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, self._limits.total_s - self._waited_s), hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            if over.is_set():
                raise _not_accessible(f"takes more than {self._limits.total_s:g} s to be read") from error
            raise
        finally:
            timer.cancel()
            self._waited_s += time.monotonic() - began

    def _count(self, received: int) -> None:
        self.received += received
        if self.received > self._limits.received_bytes:
            raise _not_accessible(f"takes more than {self._limits.received_bytes} bytes to be read")

    def _pause(self, failures: int) -> None:
        """Wait before another try, but for the first: a kept connection may just have grown old."""
        if failures > 1:
            wait_s = _WAIT_S * 2 ** (failures - 2)
            self._waited_s += wait_s
            time.sleep(wait_s)


class _Busy(OSError):
    """The server asks to come again."""


class StoreRanges:
    """One object of an object store."""

    def __init__(self, url: str, limits: Limits) -> None:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        self._limits = limits
        self.received = 0
        base, _, self._key = url.rpartition("/")
        try:
            self._store = from_url(base)
            found = obstore.head(self._store, self._key)
        except (BaseError, ValueError, OSError) as error:
            raise _not_accessible(f"cannot be read: {_first_line(error)}") from error
        self.size = found["size"]
        if self.size == 0:
            raise VideoError(FailureKind.MALFORMED, "is empty")
        self._options: GetOptions = {"if_match": found["e_tag"]} if found["e_tag"] else {}

    def read(self, first: int, end: int) -> bytes:
        """Return bytes *first* to *end*."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            options: GetOptions = {**self._options, "range": (first, end)}
            answer = obstore.get(self._store, self._key, options=options)
            data = bytes(answer.bytes())
        except (BaseError, ValueError, OSError) as error:
            raise _not_accessible(f"cannot be read: {_first_line(error)}") from error
        if len(data) != end - first:
            raise _not_accessible("changed while it was read")
        self.received += len(data)
        if self.received > self._limits.received_bytes:
            raise _not_accessible(f"takes more than {self._limits.received_bytes} bytes to be read")
        return data

    def close(self) -> None:
        """Nothing is held."""


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _not_accessible("cannot be read: the address is no URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _not_accessible("cannot be read: the address is no http or https URL")
    if "@" in parts.netloc:
        raise _not_accessible("cannot be read: a URL with a user name in it is not handled")
    return parts


def _next_hop(url: str, location: str | None) -> str:
    if not location:
        raise _not_accessible("cannot be read: a redirect to nowhere")
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise _not_accessible("cannot be read: a redirect from https to http")
    return target


def _content_range(response: http.client.HTTPResponse) -> tuple[int, int, int]:
    """Return first byte, end and size as the answer tells them."""
    found = _CONTENT_RANGE.fullmatch(response.getheader("Content-Range", ""))
    if found is None:
        raise _not_accessible("cannot be read: the server does not say which range it sends")
    first, last, size = map(int, found.groups())
    if not first <= last < size:
        raise _not_accessible("cannot be read: the server contradicts itself about its ranges")
    return first, last + 1, size


def _version(response: http.client.HTTPResponse) -> str | None:
    return response.getheader("ETag") or response.getheader("Last-Modified")


def _not_accessible(message: str) -> VideoError:
    return VideoError(FailureKind.NOT_ACCESSIBLE, message)


def _explain(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "cannot be read: the server is silent"
    if isinstance(error, socket.gaierror):
        return "cannot be read: the host's name does not resolve"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"cannot be read: the server's certificate is not valid: {error.verify_message}"
    if isinstance(error, http.client.HTTPException):
        return "cannot be read: the server breaks off"
    if isinstance(error, _Busy):
        return f"cannot be read: {error}"
    return f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

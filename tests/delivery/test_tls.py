"""Pushes over TLS, by a service in a process of its own, to receivers whose certificates are good or not."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from click.testing import CliRunner

from vodsprite.cli.main import app as program
from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import Outbound, SendFailed
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served

OPENSSL = shutil.which("openssl") or ""
pytestmark = pytest.mark.skipif(not OPENSSL, reason="no openssl to make certificates with")

EXTENSIONS = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[here]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[elsewhere]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:elsewhere.example
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Certificates:
    """A CA, and certificates in files `<name>.pem` with keys in `<name>.key`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "openssl.cnf").write_text(EXTENSIONS)
        self._sign_by_itself("ca", "authority")
        self._sign_by_itself("self-signed", "here")
        self._sign_by_ca("good", "here")
        self._sign_by_ca("misnamed", "elsewhere")

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def _sign_by_itself(self, name: str, extensions: str) -> None:
        self._request(name, "-x509", "-days", "2", "-extensions", extensions, "-out", f"{name}.pem")

    def _sign_by_ca(self, name: str, extensions: str) -> None:
        self._request(name, "-out", f"{name}.csr")
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", "2"),
            *("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-extfile", "openssl.cnf", "-extensions", extensions),
        )

    def _request(self, name: str, *words: str) -> None:
        self._openssl(
            *("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"),
            *("-subj", f"/CN={name}", "-config", "openssl.cnf", *words),
        )

    def _openssl(self, *words: str) -> None:
        done = subprocess.run([OPENSSL, *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class TlsReceiver:
    """Serves HTTPS on a free port with the certificate of that name, for a `with` block."""

    def __init__(self, certificates: Certificates, name: str) -> None:
        path = certificates.path(name)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path, path.with_suffix(".key"))
        self.heard: list[tuple[dict[str, str], bytes]] = []  # headers, their names in lower case, and body
        self.broken_off: list[str] = []  # handshakes that the other side did not finish
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: TlsReceiver) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: `broken_off` tells."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(20)
        try:
            self.request = self.server.owner.context.wrap_socket(self.request, server_side=True)
        except OSError as error:
            self.server.owner.broken_off.append(str(error))
            raise
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.owner.heard.append((headers, body))
        self.send_response(204)
        self.end_headers()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the test reads `heard`."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Path]:
    """The data folder of a running service that trusts our CA, as SSL_CERT_FILE tells it."""
    folder = tmp_path_factory.mktemp("served") / "data"
    with Served(
        folder,
        settings={"outbound_allow": "loopback"},
        environment={"SSL_CERT_FILE": str(certificates.path("ca"))},
    ):
        yield folder


def command(data: Path, *words: str) -> str:
    done = CliRunner().invoke(program, [*words, "--data", str(data)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def tried(data: Path, url: str) -> tuple[str, dict[str, Any]]:
    """Trigger an event for a new app at *url*; return its id and its delivery once there was an attempt."""
    app_id = command(data, "app", "create", "tls")
    command(data, "app", "set", "--app", app_id, "--url", url)
    event_id = command(data, "events", "trigger", "CreateImageSpriteComplete", "--app", app_id)
    end = time.monotonic() + 20
    while True:
        [delivery] = json.loads(command(data, "deliveries", "list", "--event", event_id, "--json"))
        if delivery["attempts"]:
            return event_id, delivery
        assert time.monotonic() < end, "no attempt was made in time"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("certificate", "host", "said"),
    [
        ("self-signed", "127.0.0.1", "self-signed certificate"),
        ("misnamed", "127.0.0.1", "not valid for '127.0.0.1'"),
        ("misnamed", "localhost", "not valid for 'localhost'"),
    ],
)
def test_a_receiver_that_cannot_prove_who_it_is_gets_nothing(
    data: Path, certificates: Certificates, certificate: str, host: str, said: str
) -> None:
    """Not a byte of the event leaves; the delivery waits, and its list says what is wrong with whom."""
    with TlsReceiver(certificates, certificate) as receiver:
        event_id, delivery = tried(data, f"https://{host}:{receiver.port}/")

        assert receiver.heard == []
        assert receiver.broken_off
    first = delivery["attempts"][0]
    assert (delivery["state"], first["outcome"], first["status"]) == ("waiting", "unreachable", None)
    shown = command(data, "deliveries", "list", "--event", event_id)
    for text in (first["answer"], shown):
        assert f"the certificate of {host} is not valid" in text
        assert said in text.replace("self signed", "self-signed")  # as older OpenSSL writes it


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_receiver_whose_ca_is_trusted_gets_the_event(
    data: Path, certificates: Certificates, host: str
) -> None:
    """A CA of one's own is named by SSL_CERT_FILE; nothing has to be switched off."""
    with TlsReceiver(certificates, "good") as receiver:
        event_id, delivery = tried(data, f"https://{host}:{receiver.port}/")

        [(headers, body)] = receiver.heard
        assert receiver.broken_off == []
    assert headers["webhook-id"] == event_id
    assert json.loads(body)["EventType"] == "CreateImageSpriteComplete"
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("settled", 204)


def test_a_ca_is_trusted_only_where_it_is_named(certificates: Certificates) -> None:
    """The same receiver is refused by a process that was not told of its CA."""
    with TlsReceiver(certificates, "good") as receiver:
        assert "certificate of 127.0.0.1 is not valid" in refusal(f"https://127.0.0.1:{receiver.port}/")
        assert receiver.heard == []


def test_a_receiver_without_tls_is_told_apart() -> None:
    """An https address where plain HTTP is spoken: the reason names TLS."""
    with Receiver() as receiver:
        assert f"no TLS with 127.0.0.1:{receiver.port}" in refusal(f"https://127.0.0.1:{receiver.port}/")


def refusal(url: str) -> str:
    """What a push to *url* from this process fails of."""

    async def run() -> None:
        outbound = Outbound(AddressRules.parse("loopback"), user_agent="vodsprite/test")
        try:
            await outbound.post(url, b"{}", {}, timeout_s=10)
        finally:
            await outbound.close()

    with pytest.raises(SendFailed) as caught:
        asyncio.run(run())
    return caught.value.reason

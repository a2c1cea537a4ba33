"""A PostgreSQL server for one test run, on a free port of the loopback interface, gone afterwards."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

_INSTALLED = Path("/usr/lib/postgresql")
_ACCOUNT = "postgres"  # the server refuses to run as root


class PostgresMissing(Exception):
    """This machine has no PostgreSQL server, or none that may run here."""


class PostgresServer:
    """A running cluster that hands out empty databases."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count(1)

    def new_database(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = f"vodsprite_{next(self._numbers)}"
        engine = sa.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://{_ACCOUNT}@127.0.0.1:{self._port}/{name}"


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """
    Start a throw-away server; stop and delete it at the end.

    Raises:
        PostgresMissing: There is no server to start.
    """
    binaries = _binaries()
    account = _account()
    port = _free_port()
    folder = Path(tempfile.mkdtemp(prefix="vodsprite-postgres-"))
    if account is not None:
        shutil.chown(folder, account)
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(
            [str(binaries / command[0]), *command[1:]],
            check=True,
            cwd=folder,
            user=account,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    try:
        run("initdb", "-D", str(data), "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield PostgresServer(port)
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(_INSTALLED.glob("*/bin/initdb"))
    if not versions:
        raise PostgresMissing("no PostgreSQL server is installed")
    return versions[-1].parent


def _account() -> str | None:
    """Return the account to run the server as; None is our own."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        pwd.getpwnam(_ACCOUNT)
    except KeyError:
        raise PostgresMissing(
            f"there is no account {_ACCOUNT}, and the server refuses to run as root"
        ) from None
    return _ACCOUNT


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

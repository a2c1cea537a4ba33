"""
A database from its URL: transactions that never deadlock on SQLite, durable commits, one class for both.

This module and `lease.py` are the only code that knows SQLite from PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError

from vodsprite.errors import DataFolderError, StorageFull

BUSY_TIMEOUT_S = 30.0
_DEFERRED = {"vodsprite_deferred": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the tables are."""

    url: str  # sqlite:///… or postgresql+psycopg://…
    pool_size: int = 10


class Database:
    """The engine, and the two ways to talk to it."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.engine = _engine(settings)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """
        Open a transaction that may write; commit at the end, roll back on an exception.

        On SQLite it takes the write lock at once, so that it can't fail half way because another writer came
        between its first read and its first write.

        Raises:
            StorageFull: The disk has no room; nothing was written.
            DataFolderError: The file is no database.
        """
        with _faults_told(), self.engine.begin() as conn:
            yield conn

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads; on SQLite it neither waits for writers nor hinders them."""
        with _faults_told(), self.engine.connect().execution_options(**_DEFERRED) as conn, conn.begin():
            yield conn

    def jobs_engine(self) -> Engine:
        """
        Return another engine on the same database, for a library that opens its transactions itself.

        The caller disposes of it. On SQLite the driver's own transaction mode (IMMEDIATE) is on, so what
        the library sends, `BEGIN` included, means what it expects; durability is as in the rest.
        """
        if not self.is_sqlite:
            return sa.create_engine(self.engine.url, pool_pre_ping=True, hide_parameters=True)
        engine = _sqlite_engine(self.engine.url, pool_size=5)
        event.listen(engine, "connect", _let_the_driver_begin)
        return engine

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def insert(conn: Connection, table: sa.Table) -> sqlite_dialect.Insert | postgresql_dialect.Insert:
    """Return an INSERT into *table* that knows `on_conflict_do_update`, which plain SQL doesn't have."""
    if conn.dialect.name == "sqlite":
        return sqlite_dialect.insert(table)
    return postgresql_dialect.insert(table)


def is_disk_full(error: BaseException) -> bool:
    """Tell whether a driver's error means that no room is left on the device."""
    text = str(error)
    return "database or disk is full" in text or "No space left on device" in text or "disk I/O error" in text


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        if is_disk_full(error):
            raise StorageFull("the database's disk is full; free some room and try again") from error
        if "file is not a database" in str(error):
            raise DataFolderError("the database file is damaged, or no database at all") from error
        raise


def _engine(settings: DatabaseSettings) -> Engine:
    url = sa.make_url(settings.url)
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_size=settings.pool_size, pool_pre_ping=True, hide_parameters=True)
    engine = _sqlite_engine(url, settings.pool_size)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _sqlite_engine(url: sa.URL, pool_size: int) -> Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=20,
        poolclass=sa.QueuePool,
        hide_parameters=True,  # an error's text goes to the log, and a parameter may be a secret
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver would open transactions by itself, and only before a write: we say BEGIN ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # In WAL mode, NORMAL may lose the last commits when the power fails. A promised event must not go.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    cursor.close()


def _let_the_driver_begin(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"


def _begin_sqlite(conn: Connection) -> None:
    deferred = conn.get_execution_options().get("vodsprite_deferred", False)
    conn.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")

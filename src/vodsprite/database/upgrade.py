"""Brings a database's tables to the form that this version knows; never back."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from vodsprite.database.engine import Database, is_disk_full
from vodsprite.errors import SchemaTooNew, StorageFull

log = structlog.get_logger()

MIGRATIONS = Path(__file__).with_name("migrations")

_ONE_AT_A_TIME = 0x766F6473  # PostgreSQL's advisory lock of whoever upgrades: "vods"


def is_current(database: Database, *, migrations: Path = MIGRATIONS) -> bool:
    """Tell whether the tables have exactly the form that this version knows."""
    with database.reading() as conn:
        return _revision(conn) == _head(migrations)


def upgrade(database: Database, *, backup_folder: Path | None, migrations: Path = MIGRATIONS) -> Path | None:
    """
    Bring the tables up, in one transaction: afterwards all of it happened, or nothing.

    Args:
        backup_folder: Where an existing SQLite database is copied before it is changed; made when absent.
            None makes no copy.

    Returns:
        The copy, when one was made.

    Raises:
        SchemaTooNew: A newer version wrote this database; nothing was changed.
        StorageFull: There is no room for the copy or the new tables; nothing was changed.
    """
    with database.reading() as conn:
        revision = _revision(conn)
    _refuse_unknown(revision, migrations)
    if revision == _head(migrations):
        return None
    copy = None
    if revision is not None and backup_folder is not None and database.is_sqlite:
        copy = _back_up(database, backup_folder / f"before-upgrade-from-{revision}.sqlite")
        log.info("database.copied", revision=revision, copy=str(copy))
    with database.transaction() as conn:
        _migrate(conn, migrations)
    log.info("database.upgraded", before=revision, after=_head(migrations))
    return copy


def _migrate(conn: Connection, migrations: Path) -> None:
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    # Looked up again: who waited for the lock finds the work done.
    _refuse_unknown(_revision(conn), migrations)
    scripts = ScriptDirectory(str(migrations))
    with EnvironmentContext(
        Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs("head", revision)
    ) as environment:
        environment.configure(connection=conn, transactional_ddl=True)
        environment.run_migrations()


def _revision(conn: Connection) -> str | None:
    return MigrationContext.configure(conn).get_current_revision()


def _head(migrations: Path) -> str:
    head = ScriptDirectory(str(migrations)).get_current_head()
    assert head is not None, "there is always a first migration"
    return head


def _refuse_unknown(revision: str | None, migrations: Path) -> None:
    known = {script.revision for script in ScriptDirectory(str(migrations)).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaTooNew(
            f"a newer version of vodsprite wrote this database (revision {revision} is unknown here); "
            "start that version, or restore the copy that it made before it upgraded"
        )


def _back_up(database: Database, path: Path) -> Path:
    """Copy the SQLite database to *path*, whole or not at all; an earlier copy there is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds secrets
        with database.engine.connect() as conn, contextlib.closing(sqlite3.connect(unfinished)) as target:
            source = conn.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            source.backup(target)
        os.replace(unfinished, path)
    except (sqlite3.OperationalError, OSError) as error:
        unfinished.unlink(missing_ok=True)
        if is_disk_full(error):
            raise StorageFull(
                "there is no room for the copy that is made before an upgrade; free some and start again"
            ) from error
        raise
    return path

"""Bringing the tables up: whole or not at all, with a copy before, never back."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from vodsprite.database import schema
from vodsprite.database.engine import Database
from vodsprite.database.schema import facts
from vodsprite.database.upgrade import MIGRATIONS, is_current, upgrade
from vodsprite.errors import SchemaTooNew
from vodsprite.testing.databases import opened

NEXT = '''
"""A revision of the future."""
import sqlalchemy as sa
from alembic import op

revision = "r9999"
down_revision = "{head}"


def upgrade():
    op.create_table("novelties", sa.Column("name", sa.Text))
    {more}
'''


def with_next(folder: Path, head: str, more: str = "") -> Path:
    """Make a newer version's migrations: ours and one more."""
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "r9999_next.py").write_text(NEXT.format(head=head, more=more))
    return folder


def head_of(database: Database) -> str:
    with database.reading() as conn:
        revision = MigrationContext.configure(conn).get_current_revision()
    assert revision is not None
    return revision


@pytest.fixture
def fresh_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'vodsprite.sqlite'}"


def test_the_schema_is_the_sum_of_the_migrations(database: Database) -> None:
    """Tables, columns, keys and indexes of a migrated database are those that schema.py declares."""
    with database.reading() as conn:
        context = MigrationContext.configure(conn, opts={"target_metadata": schema.metadata})
        assert compare_metadata(context, schema.metadata) == []


def test_the_migrated_tables_are_the_declared_ones_word_for_word(tmp_path: Path) -> None:
    """SQLite keeps each table's own text: a migrated database's is what the schema would have made."""

    def texts(database: Database) -> dict[str, str]:
        with database.reading() as conn:
            rows = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
        return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}

    with (
        opened(f"sqlite:///{tmp_path / 'migrated'}") as migrated,
        opened(f"sqlite:///{tmp_path / 'declared'}", upgraded=False) as declared,
    ):
        schema.metadata.create_all(declared.engine)
        assert texts(migrated) == texts(declared)


def test_a_fresh_database_gets_everything_and_no_copy(database_url: str, tmp_path: Path) -> None:
    """There is nothing to lose in a database without tables, so nothing is copied."""
    with opened(database_url, upgraded=False) as database:
        assert not is_current(database)
        assert upgrade(database, backup_folder=tmp_path / "backups") is None
        assert is_current(database)
        assert upgrade(database, backup_folder=tmp_path / "backups") is None
    assert not (tmp_path / "backups").exists()


def test_an_older_file_is_copied_before_it_is_changed(fresh_url: str, tmp_path: Path) -> None:
    """The copy holds the data as it was, in the old form, for its owner's eyes only."""
    with opened(fresh_url) as database:
        head = head_of(database)
        newer = with_next(tmp_path / "newer", head)
        with database.transaction() as conn:
            conn.execute(sa.insert(facts).values(name="kept", value="yes"))

        copy = upgrade(database, backup_folder=tmp_path / "backups", migrations=newer)

        assert copy is not None
        assert head in copy.name
        assert is_current(database, migrations=newer)
        with database.reading() as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM novelties").scalar() == 0
    with contextlib.closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT value FROM facts WHERE name = 'kept'").fetchall() == [("yes",)]
        assert old.execute("SELECT count(*) FROM sqlite_master WHERE name = 'novelties'").fetchone() == (0,)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_newer_database_is_refused_untouched(fresh_url: str, tmp_path: Path) -> None:
    """What a newer version wrote, an older one neither changes nor copies; the error says what to do."""
    with opened(fresh_url) as database:
        newer = with_next(tmp_path / "newer", head_of(database))
        upgrade(database, backup_folder=None, migrations=newer)

        with pytest.raises(SchemaTooNew, match="newer version"):
            upgrade(database, backup_folder=tmp_path / "backups")

        assert not is_current(database)
        assert is_current(database, migrations=newer)
    assert not (tmp_path / "backups").exists()


def test_a_migration_that_fails_leaves_nothing_behind(database_url: str, tmp_path: Path) -> None:
    """An upgrade that breaks half way is as if it had never begun, and can be tried again."""
    with opened(database_url) as database:
        head = head_of(database)
        broken = with_next(tmp_path / "broken", head, more='op.execute("this is no SQL")')
        with pytest.raises(sa.exc.DBAPIError):
            upgrade(database, backup_folder=None, migrations=broken)

        assert head_of(database) == head
        upgrade(database, backup_folder=None, migrations=with_next(tmp_path / "mended", head))
        with database.reading() as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM novelties").scalar() == 0

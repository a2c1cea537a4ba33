"""Databases for tests: the contract of the tables is run on each kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.upgrade import upgrade


@contextmanager
def opened(url: str, *, upgraded: bool = True) -> Iterator[Database]:
    """Open the database of *url*, with its tables unless told otherwise, and close it at the end."""
    database = Database(DatabaseSettings(url=url))
    try:
        if upgraded:
            upgrade(database, backup_folder=None)
        yield database
    finally:
        database.close()

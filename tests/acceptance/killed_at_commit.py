"""
The program `vodsprite`, ended by SIGKILL before or after the n-th commit of a task's life.

    python killed_at_commit.py {before|after} N serve ...

Commits count from the first one whose transaction sees a task, and only those that changed a row: an idle
service commits nothing. Each is told on standard error, so that a reader of the log sees how many there are.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from vodsprite.cli.main import main

_commit: Any = DefaultDialect.do_commit
_lock = threading.Lock()
_seen_changes: dict[int, int] = {}
_count = 0


def _changed(connection: Any) -> bool:
    raw = getattr(connection, "driver_connection", connection)
    before = _seen_changes.get(id(raw), 0)
    _seen_changes[id(raw)] = raw.total_changes
    return bool(raw.total_changes > before)


def _sees_a_task(connection: Any) -> bool:
    cursor = connection.cursor()
    try:
        tables = "SELECT 1 FROM sqlite_master WHERE name = 'tasks'"
        return bool(
            cursor.execute(tables).fetchone() and cursor.execute("SELECT 1 FROM tasks LIMIT 1").fetchone()
        )
    finally:
        cursor.close()


def _tell(**line: Any) -> None:
    os.write(2, (json.dumps(line) + "\n").encode())


def _commit_or_die(when: str, number: int) -> Any:
    def do_commit(self: DefaultDialect, connection: Any) -> None:
        global _count
        with _lock:
            counted = _changed(connection) and (_count > 0 or _sees_a_task(connection))
            if counted:
                _count += 1
            at = _count if counted else 0
        if at == number and when == "before":
            _tell(event="killed", at=at, when=when)
            os.kill(os.getpid(), signal.SIGKILL)
        _commit(self, connection)
        if at:
            _tell(event="commit", at=at)
        if at == number and when == "after":
            _tell(event="killed", at=at, when=when)
            os.kill(os.getpid(), signal.SIGKILL)

    return do_commit


if __name__ == "__main__":
    when, number = sys.argv[1], int(sys.argv[2])
    sys.argv[1:3] = []
    DefaultDialect.do_commit = _commit_or_die(when, number)  # type: ignore[method-assign]
    main()

"""Ids that a test can foretell."""

from __future__ import annotations

import itertools

from vodsprite.ids import AppId, EventId, FileId, TaskId, Token


class SequentialIds:
    """An `IdSource` that counts: each kind from 1, in the shapes that real ids have; safe across threads."""

    def __init__(self) -> None:
        self._files = itertools.count(1)
        self._tasks = itertools.count(1)
        self._events = itertools.count(1)
        self._tokens = itertools.count(1)
        self._requests = itertools.count(1)
        self._secrets = itertools.count(1)

    def file_id(self) -> FileId:
        return FileId(str(10**18 + next(self._files)))

    def sprite_task_id(self) -> TaskId:
        return TaskId(f"CreateImageSprite-{next(self._tasks):032x}")

    def procedure_task_id(self, app_id: AppId) -> TaskId:
        return TaskId(f"{app_id}-procedurev2-{next(self._tasks):032x}tt0")

    def event_id(self) -> EventId:
        return EventId(f"evt_{next(self._events):032x}")

    def token(self) -> Token:
        return Token(f"{next(self._tokens):032x}")

    def request_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._requests):012x}"

    def secret_id(self) -> str:
        return f"AKID{next(self._secrets):032d}"

    def secret_key(self) -> str:
        return f"{next(self._secrets):032d}"

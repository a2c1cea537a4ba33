"""Shapes of ids, and the source of new ones. Every id is an opaque text to whoever receives it."""

from __future__ import annotations

import secrets
import string
import uuid
from typing import NewType, Protocol

AppId = NewType("AppId", int)
FileId = NewType("FileId", str)
TaskId = NewType("TaskId", str)
EventId = NewType("EventId", str)
DeliveryId = NewType("DeliveryId", int)
Token = NewType("Token", str)

_ALPHANUMERIC = string.ascii_letters + string.digits

FIRST_APP_ID = AppId(1_500_000_001)
"""The primary app's id; further apps count up from here."""


class IdSource(Protocol):
    """Makes ids that were never handed out before."""

    def file_id(self) -> FileId:
        """A decimal number of 19 digits, as text: consumers must not read it as a JSON number."""
        ...

    def sprite_task_id(self) -> TaskId:
        """`CreateImageSprite-<32 hex>`, the form that the 2017 API gives its sprite tasks."""
        ...

    def procedure_task_id(self, app_id: AppId) -> TaskId:
        """`<app id>-procedurev2-<32 hex>tt0`, the form of a task flow."""
        ...

    def event_id(self) -> EventId:
        """`evt_<32 hex>`, the `webhook-id` of the event on every attempt."""
        ...

    def token(self) -> Token:
        """32 hex digits that nobody can guess: lease tokens and attempt tokens."""
        ...

    def request_id(self) -> str:
        """A UUID in its text form."""
        ...

    def secret_id(self) -> str:
        """`AKID` and 32 letters and digits."""
        ...

    def secret_key(self) -> str:
        """32 letters and digits that nobody can guess."""
        ...


class RandomIds:
    """Ids from the operating system's randomness."""

    def file_id(self) -> FileId:
        return FileId(str(10**18 + secrets.randbelow(9 * 10**18)))

    def sprite_task_id(self) -> TaskId:
        return TaskId(f"CreateImageSprite-{secrets.token_hex(16)}")

    def procedure_task_id(self, app_id: AppId) -> TaskId:
        return TaskId(f"{app_id}-procedurev2-{secrets.token_hex(16)}tt0")

    def event_id(self) -> EventId:
        return EventId(f"evt_{secrets.token_hex(16)}")

    def token(self) -> Token:
        return Token(secrets.token_hex(16))

    def request_id(self) -> str:
        return str(uuid.uuid4())

    def secret_id(self) -> str:
        return "AKID" + self.secret_key()

    def secret_key(self) -> str:
        return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(32))

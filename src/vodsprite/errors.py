"""
Domain errors: what went wrong, where, and what a person can do.

    VodspriteError
    ├── InvalidInput              a value that a caller gave cannot be used; carries the field
    │   ├── MissingInput          a required value is absent
    │   ├── WrongType             a value has the wrong type
    │   └── Unsupported           a well-formed request for something that this service does not do
    ├── NotFound                  nothing has that name
    │   ├── MediaNotFound
    │   ├── TemplateNotFound
    │   ├── TaskNotFound
    │   ├── AppNotFound
    │   ├── SecretNotFound
    │   └── EventNotFound
    ├── LimitReached              there are as many of these as there may be
    ├── SessionIdUsed             the caller's key against doubles was seen inside its window
    ├── HandlesStale              some handles no longer stand for a lease
    ├── Unauthenticated           nobody we know signed this
    │   ├── CredentialUnknown
    │   ├── SignatureMalformed
    │   ├── SignatureMismatch
    │   ├── SignatureExpired
    │   └── NonceReplayed
    ├── Forbidden                 the credential may not do this here
    ├── ActionUnknown
    ├── VersionUnknown
    ├── VideoError                the source is no video that can be used; carries the failure kind
    ├── OutputError               the place that was asked for cannot be written
    ├── AddressRefused            the outbound rules forbid this address
    ├── Transient                 may succeed when tried again
    │   └── StorageFull           no room left; heals by itself once there is room
    ├── SettingsError             a setting has a value that cannot be used
    └── DataFolderError           the data folder cannot be used
        ├── DataFolderLocked      another process has it
        └── SchemaTooNew          a newer version wrote it

Messages speak domain words; codes belong to the wire. No message carries a secret or a path of the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum


class FailureKind(Enum):
    """Why a render gave no sprite set."""

    NO_PICTURE = "no_picture"  # readable, but without a video stream
    MALFORMED = "malformed"  # missing, damaged or undecodable content
    UNSUPPORTED = "unsupported"  # a format, size or duration that is not handled
    NOT_ACCESSIBLE = "not_accessible"  # the source cannot be fetched
    CONFIGURATION = "configuration"  # the spec asks for what the format or a limit forbids
    INTERNAL = "internal"  # our fault, or the machine's; trying again may help


class VodspriteError(Exception):
    """Base of all errors that vodsprite raises on purpose."""


class InvalidInput(VodspriteError):
    """A value that a caller gave cannot be used.

    Args:
        field: The domain name of the value, as in `tile_width`.
        reason: A clause that completes "<field> …", with the value and the rule.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class MissingInput(InvalidInput):
    """A required value is absent."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "is required")


class WrongType(InvalidInput):
    """A value has the wrong type."""


class Unsupported(InvalidInput):
    """A well-formed request for something that this service does not do."""


class NotFound(VodspriteError):
    """Nothing has that name. `kind` is a noun ("media"), `name` what was asked for."""

    kind = "thing"

    def __init__(self, name: object) -> None:
        super().__init__(f"there is no {self.kind} {name}")
        self.name = str(name)


class MediaNotFound(NotFound):
    kind = "media"


class TemplateNotFound(NotFound):
    kind = "template"


class TaskNotFound(NotFound):
    kind = "task"


class AppNotFound(NotFound):
    kind = "app"


class SecretNotFound(NotFound):
    kind = "secret"


class EventNotFound(NotFound):
    kind = "event"


class LimitReached(VodspriteError):
    """There are as many of these as there may be."""


class SessionIdUsed(VodspriteError):
    """The caller's key against doubles was seen inside its window."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session id {session_id} was used within the dedupe window")
        self.session_id = session_id


class HandlesStale(VodspriteError):
    """Some handles no longer stand for a lease; the others of the same call were confirmed."""

    def __init__(self, handles: Sequence[str]) -> None:
        super().__init__(
            f"{len(handles)} handle(s) confirm nothing (an event not confirmed in time comes again): "
            + ", ".join(handles)
        )
        self.handles = tuple(handles)


class Unauthenticated(VodspriteError):
    """Nobody we know signed this request."""


class CredentialUnknown(Unauthenticated):
    """The secret id is not one of ours, or it was disabled."""


class SignatureMalformed(Unauthenticated):
    """The authorization cannot be read."""


class SignatureMismatch(Unauthenticated):
    """The signature was made with another key or over another request."""


class SignatureExpired(Unauthenticated):
    """The timestamp is too far from the server's clock."""


class NonceReplayed(Unauthenticated):
    """The same nonce came before with the same credential."""


class Forbidden(VodspriteError):
    """The credential may not do this here."""


class ActionUnknown(VodspriteError):
    """No action of that name exists in this version of the API."""


class VersionUnknown(VodspriteError):
    """No version of that name exists."""


class VideoError(VodspriteError):
    """The source is no video that can be used."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class OutputError(VodspriteError):
    """The place that was asked for cannot be written."""


class AddressRefused(VodspriteError):
    """The outbound rules forbid this address.

    `setting` is the value that would allow it, as in `VODSPRITE_OUTBOUND_ALLOW=loopback`.
    """

    def __init__(self, address: str, rule: str, setting: str) -> None:
        super().__init__(f"address {address} is refused ({rule}); {setting} would allow it")
        self.address = address
        self.rule = rule
        self.setting = setting


class Transient(VodspriteError):
    """May succeed when tried again."""


class StorageFull(Transient):
    """No room left on the device; heals by itself once there is room."""


class SettingsError(VodspriteError):
    """A setting has a value that cannot be used."""


class DataFolderError(VodspriteError):
    """The data folder cannot be used."""


class DataFolderLocked(DataFolderError):
    """Another process has the data folder."""


class SchemaTooNew(DataFolderError):
    """A newer version of vodsprite wrote this database."""

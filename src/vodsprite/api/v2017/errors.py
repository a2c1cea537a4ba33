"""Domain errors as numbers of the 2017 API: one table, looked up along the class's MRO."""

from __future__ import annotations

from typing import NamedTuple

from vodsprite import errors


class Number(NamedTuple):
    """How the 2017 API writes an error."""

    code: int
    desc: str  # `codeDesc`
    module_code: int | None = None  # in brackets before the message, when it differs from `code`


_PARAMETER = Number(4000, "InvalidParameter", 1000)
_AUTH = Number(4100, "AuthFailure")
_REPLAY = Number(4500, "ReplayAttack")
_INTERNAL = Number(6000, "InternalError")
_NOT_FOUND = Number(5000, "ResourceNotFound")

CODES: dict[type[errors.VodspriteError], Number] = {
    errors.VodspriteError: _INTERNAL,
    errors.InvalidInput: _PARAMETER,
    errors.MissingInput: _PARAMETER,
    errors.WrongType: _PARAMETER,
    errors.Unsupported: _PARAMETER,
    errors.NotFound: _NOT_FOUND,
    errors.MediaNotFound: Number(10008, "FileNotExist"),
    errors.TemplateNotFound: Number(1000, "InvalidParameter"),
    errors.TaskNotFound: Number(70014, "TaskNotExist"),
    errors.AppNotFound: _NOT_FOUND,
    errors.SecretNotFound: _NOT_FOUND,
    errors.EventNotFound: _NOT_FOUND,
    errors.LimitReached: Number(4400, "LimitExceeded"),
    errors.SessionIdUsed: _PARAMETER,
    errors.HandlesStale: Number(4000, "InvalidParameter"),
    errors.Unauthenticated: _AUTH,
    errors.CredentialUnknown: Number(4104, "SecretIdNotFound"),
    errors.SignatureMalformed: _AUTH,
    errors.SignatureMismatch: _AUTH,
    errors.SignatureExpired: Number(4200, "RequestExpired"),
    errors.NonceReplayed: _REPLAY,
    errors.Forbidden: Number(4102, "UnauthorizedOperation"),
    errors.ActionUnknown: Number(6100, "InvalidAction"),
    errors.VersionUnknown: Number(6100, "NoSuchVersion"),
    errors.VideoError: Number(5100, "FailedOperation"),
    errors.OutputError: _INTERNAL,
    errors.AddressRefused: Number(5100, "FailedOperation"),
    errors.Transient: Number(5100, "FailedOperation"),
    errors.StorageFull: Number(5100, "FailedOperation"),
    errors.SettingsError: _INTERNAL,
    errors.DataFolderError: _INTERNAL,
    errors.DataFolderLocked: _INTERNAL,
    errors.SchemaTooNew: _INTERNAL,
}
"""Every domain error. An error that became 6000 keeps its text to itself."""

_MEMBERS: dict[str, str] = {
    "definition": "definition",
    "event_handles": "msgHandle",
    "file_id": "fileId",
    "task_id": "vodTaskId",
}
"""Field of a domain error -> parameter of a request. What is not listed is the parameter's name already."""


def number_of(error: Exception) -> Number:
    """Return how *error* is written."""
    if isinstance(error, errors.Unsupported) and error.field == "method":
        return Number(4600, "UnsupportedProtocol")
    return next((CODES[cls] for cls in type(error).__mro__ if cls in CODES), _INTERNAL)


def is_internal(number: Number) -> bool:
    """Return whether *number* is the one for faults that the caller has no part in."""
    return number.code == _INTERNAL.code


def message_of(error: Exception) -> str:
    """Return what to tell the caller of *error*, which is not an internal one."""
    if isinstance(error, errors.InvalidInput):
        return f"{_MEMBERS.get(error.field, error.field)} {error.reason}"
    return str(error)

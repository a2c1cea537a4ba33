"""Domain errors as codes of the 2018-07-17 API: one table, looked up along the class's MRO."""

from __future__ import annotations

from vodsprite import errors
from vodsprite.api.call import Action

INTERNAL = "InternalError"

CODES: dict[type[errors.VodspriteError], str] = {
    errors.VodspriteError: INTERNAL,
    errors.InvalidInput: "InvalidParameterValue",
    errors.MissingInput: "MissingParameter",
    errors.WrongType: "InvalidParameter",
    errors.Unsupported: "UnsupportedOperation",
    errors.NotFound: "ResourceNotFound",
    errors.MediaNotFound: "InvalidParameterValue.FileId",
    errors.TemplateNotFound: "InvalidParameterValue",
    errors.TaskNotFound: "InvalidParameterValue.TaskId",
    errors.AppNotFound: "InvalidParameterValue.SubAppId",
    errors.SecretNotFound: "ResourceNotFound",
    errors.EventNotFound: "ResourceNotFound",
    errors.LimitReached: "LimitExceeded",
    errors.SessionIdUsed: "InvalidParameterValue.SessionId",
    errors.HandlesStale: "InvalidParameterValue",
    errors.Unauthenticated: "AuthFailure.SignatureFailure",
    errors.CredentialUnknown: "AuthFailure.SecretIdNotFound",
    errors.SignatureMalformed: "AuthFailure.SignatureFailure",
    errors.SignatureMismatch: "AuthFailure.SignatureFailure",
    errors.SignatureExpired: "AuthFailure.SignatureExpire",
    errors.NonceReplayed: "AuthFailure.SignatureFailure",
    errors.Forbidden: "UnauthorizedOperation",
    errors.ActionUnknown: "InvalidAction",
    errors.VersionUnknown: "NoSuchVersion",
    errors.VideoError: "FailedOperation",
    errors.OutputError: INTERNAL,
    errors.AddressRefused: "FailedOperation",
    errors.Transient: "FailedOperation",
    errors.StorageFull: "FailedOperation",
    errors.SettingsError: INTERNAL,
    errors.DataFolderError: INTERNAL,
    errors.DataFolderLocked: INTERNAL,
    errors.SchemaTooNew: INTERNAL,
}
"""Every domain error. An error that became `InternalError` keeps its text to itself."""

MEMBERS: dict[str, str] = {
    "session_id": "SessionId",
    "session_context": "SessionContext",
    "priority": "TasksPriority",
    "definition": "Definition",
    "definitions": "Definitions",
    "offset": "Offset",
    "limit": "Limit",
    "event_handles": "EventHandles",
    "mode": "Mode",
    "url": "NotificationUrl",
    "url_v2": "NotificationUrlV2",
    "sign_key": "SignKey",
    "file_id": "FileId",
    "task_id": "TaskId",
}
"""Field of a domain error -> member of a request. What is not listed is the member's name already."""

_CODES_OF_MEMBERS: dict[str, str] = {
    "SessionId": "SessionIdTooLong",
    "SessionContext": "SessionContextTooLong",
}
"""Members whose own code is not called after them. Their length is all that can be wrong with them."""


def code_of(error: Exception, action: Action | None) -> str:
    """Return the code of *error*; *action* decides which members have codes of their own."""
    found = next((CODES[cls] for cls in type(error).__mro__ if cls in CODES), INTERNAL)
    if isinstance(error, errors.Unsupported) and error.field == "method":
        return "UnsupportedProtocol"
    if action is None:
        return found
    if isinstance(error, errors.AppNotFound) and "SubAppId" not in action.values:
        return "UnauthorizedOperation"
    if isinstance(error, errors.InvalidInput) and found == "InvalidParameterValue":
        member = MEMBERS.get(error.field, error.field).partition(".")[0]
        own = _CODES_OF_MEMBERS.get(member, member)
        return f"InvalidParameterValue.{own}" if own in action.values else action.bad_value
    return found


def message_of(error: Exception) -> str:
    """Return what to tell the caller of *error*, which is not an internal one."""
    if isinstance(error, errors.InvalidInput):
        return f"{MEMBERS.get(error.field, error.field)} {error.reason}"
    return str(error)

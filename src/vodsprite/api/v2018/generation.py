"""The 2018-07-17 API at `/`: where a request says its action, how it is signed, how it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vodsprite.api import params
from vodsprite.api.authenticate import Authenticator
from vodsprite.api.call import Action, Fields
from vodsprite.api.endpoint import Opened, Told, Trace
from vodsprite.api.incoming import Head
from vodsprite.api.v2018 import envelope, errors
from vodsprite.errors import ActionUnknown, MissingInput, VersionUnknown, WrongType

VERSION = "2018-07-17"

_COMMON = frozenset(
    {
        "Action",
        "Version",
        "Region",
        "Timestamp",
        "Nonce",
        "SecretId",
        "SignatureMethod",
        "Signature",
        "Token",
        "Language",
        "RequestClient",
    }
)
"""Parameters of a v1-signed request that belong to no action."""


class Generation2018:
    """See `endpoint.Generation`."""

    def __init__(
        self,
        actions: Mapping[str, Action],
        authenticator: Authenticator,
        *,
        tc3_limit_bytes: int,
        v1_limit_bytes: int,
    ) -> None:
        self._actions = actions
        self._authenticator = authenticator
        self._tc3_limit_bytes = tc3_limit_bytes
        self._v1_limit_bytes = v1_limit_bytes

    def body_limit(self, head: Head) -> int:
        """10 MB under TC3, 1 MB under v1, unless set otherwise."""
        return self._tc3_limit_bytes if _is_tc3(head) else min(self._v1_limit_bytes, self._tc3_limit_bytes)

    def admit(self, head: Head, now: datetime) -> None:
        """A v1 signature lies in the body; its limit is what bounds the harm."""
        if _is_tc3(head):
            self._authenticator.admit_tc3(head, now)

    def open(self, head: Head, body: bytes, now: datetime, trace: Trace) -> Opened:
        """Authenticate first: to strangers nothing is said of actions and parameters."""
        if _is_tc3(head):
            trace.action_name = head.headers.get("x-tc-action", "")[:100]
            caller = self._authenticator.tc3(head, body, now)
            action = self._action(
                head.headers.get("x-tc-action"), head.headers.get("x-tc-version"), prefix="X-TC-"
            )
            return Opened(caller=caller, action=action, params=_read(head, body))
        found = params.pairs(head.raw_query if head.method == "GET" else params.form_text(_form(head, body)))
        said = dict(found)
        trace.action_name = said.get("Action", "")[:100]
        caller, covered = self._authenticator.v1(head, found, now)
        said = dict(covered)
        action = self._action(said.get("Action"), said.get("Version"), prefix="")
        own = params.from_pairs((name, value) for name, value in covered if name not in _COMMON)
        return Opened(caller=caller, action=action, params=own)

    def success(self, fields: Fields, request_id: str) -> Fields:
        """Wrap the members of a success."""
        return envelope.success(fields, request_id)

    def failure(self, error: Exception, action: Action | None, request_id: str) -> Told:
        """Wrap an error; one of ours says no more than the id under which the log tells all."""
        code = errors.code_of(error, action)
        internal = code == errors.INTERNAL
        message = (
            f"internal error; the server's log has it under request id {request_id}"
            if internal
            else errors.message_of(error)
        )
        return Told(code=code, internal=internal, answer=envelope.failure(code, message, request_id))

    def _action(self, name: str | None, version: str | None, *, prefix: str) -> Action:
        if not name:
            raise MissingInput(f"{prefix}Action")
        if not version:
            raise MissingInput(f"{prefix}Version")
        if version != VERSION:
            raise VersionUnknown(f"there is no version {version[:40]!r}; use {VERSION}")
        if name not in self._actions:
            raise ActionUnknown(f"there is no action {name[:60]!r} in version {VERSION}")
        return self._actions[name]


def _is_tc3(head: Head) -> bool:
    return "authorization" in head.headers or "x-tc-action" in head.headers


def _read(head: Head, body: bytes) -> params.Params:
    """The parameters of a TC3 request, by its method and content type."""
    if head.method == "GET":
        return params.from_pairs(params.pairs(head.raw_query))
    match head.media_type:
        case "application/json":
            return params.from_json(body)
        case "application/x-www-form-urlencoded":
            return params.from_pairs(params.pairs(params.form_text(body)))
        case "multipart/form-data":
            return params.from_multipart(head.headers["content-type"], body)
    raise WrongType("Content-Type", f"{head.media_type[:60]!r} is not supported; send application/json")


def _form(head: Head, body: bytes) -> bytes:
    """The body of a v1 request, if it is a form: anything else has no parameters that could be signed."""
    return body if head.media_type == "application/x-www-form-urlencoded" else b""

"""The 2017 API at `/v2/index.php`: where a request says its action, how it is signed, how it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vodsprite.api import params
from vodsprite.api.authenticate import Authenticator
from vodsprite.api.call import Action, Fields
from vodsprite.api.endpoint import Opened, Told, Trace
from vodsprite.api.incoming import Head
from vodsprite.api.v2017 import envelope, errors
from vodsprite.errors import ActionUnknown, MissingInput, WrongType

_COMMON = frozenset(
    {
        "Action",
        "Region",
        "Timestamp",
        "Nonce",
        "SecretId",
        "SignatureMethod",
        "Signature",
        "Token",
        "RequestClient",
    }
)
"""Parameters that belong to no action."""


class Generation2017:
    """See `endpoint.Generation`."""

    def __init__(
        self, actions: Mapping[str, Action], authenticator: Authenticator, *, limit_bytes: int
    ) -> None:
        self._actions = actions
        self._authenticator = authenticator
        self._limit_bytes = limit_bytes

    def body_limit(self, head: Head) -> int:
        """1 MB, unless set otherwise."""
        return self._limit_bytes

    def admit(self, head: Head, now: datetime) -> None:
        """The signature lies in the body; its limit is what bounds the harm."""

    def open(self, head: Head, body: bytes, now: datetime, trace: Trace) -> Opened:
        """Authenticate first: to strangers nothing is said of actions and parameters."""
        found = params.pairs(head.raw_query if head.method == "GET" else _form(head, body))
        trace.action_name = dict(found).get("Action", "")[:100]
        caller, covered = self._authenticator.v1_2017(head, found, now)
        name = dict(covered).get("Action")
        if not name:
            raise MissingInput("Action")
        if name not in self._actions:
            raise ActionUnknown(f"there is no action {name[:60]!r} in the 2017 API")
        own = params.from_pairs((name, value) for name, value in covered if name not in _COMMON)
        return Opened(caller=caller, action=self._actions[name], params=own)

    def success(self, fields: Fields, request_id: str) -> Fields:
        """Wrap the members of a success. This generation's answers carry no request id."""
        return envelope.success(fields)

    def failure(self, error: Exception, action: Action | None, request_id: str) -> Told:
        """Wrap an error; one of ours says no more than the id under which the log tells all."""
        number = errors.number_of(error)
        internal = errors.is_internal(number)
        message = (
            f"internal error; the server's log has it under request id {request_id}"
            if internal
            else errors.message_of(error)
        )
        return Told(code=str(number.code), internal=internal, answer=envelope.failure(number, message))


def _form(head: Head, body: bytes) -> str:
    if body and head.media_type != "application/x-www-form-urlencoded":
        raise WrongType("Content-Type", f"{head.media_type[:60]!r} is not supported; send a form")
    return params.form_text(body)

"""One call of an action: who calls, for which app, when; and what an action is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from vodsprite.api.params import Model, Request
from vodsprite.apps.app import App
from vodsprite.errors import AppNotFound, Forbidden, InvalidInput
from vodsprite.ids import AppId
from vodsprite.parts import Parts

Fields = dict[str, object]
"""Members of an answer, in the order in which they are sent."""

Answer = Fields | Awaitable[Fields]
"""What an action gives: its members, or for one that waits, something to await them from."""

_MAX_APP_ID = 2**63 - 1  # the widest integer that a database keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who signed a request."""

    secret_id: str
    app_id: AppId | None  # None: may act for every app


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What an action is given beside its request."""

    parts: Parts
    app: App
    now: datetime
    request_id: str
    origin: str | None  # scheme and host that results may be reached under; None when the request named none

    @property
    def base_url(self) -> str:
        """
        What the URLs in this call's results start with.

        Raises:
            InvalidInput: No public URL is set, and the request's `Host` cannot be part of a URL.
        """
        if self.origin is None:
            raise InvalidInput("Host", "is no host that result URLs could start with; set public_url")
        return self.origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """
    One row of an action table; made by `action`.

    `run` is called in a worker thread with a request of `model`. What it returns to be awaited is awaited on
    the event loop, and dropped when the client leaves.
    """

    model: type[Request]
    run: Callable[[Call, Request], Answer]
    values: frozenset[str]  # which members have an `InvalidParameterValue` code of their own here
    bad_value: str  # code of the others


def action(
    model: type[Model],
    run: Callable[[Call, Model], Answer],
    *,
    values: tuple[str, ...] = (),
    bad_value: str = "InvalidParameterValue",
) -> Action:
    """Return the row that gives requests of *model* to *run*."""

    def checked(call: Call, request: Request) -> Answer:
        assert isinstance(request, model)
        return run(call, request)

    checked.__doc__ = run.__doc__
    return Action(model=model, run=checked, values=frozenset(values), bad_value=bad_value)


def find_app(parts: Parts, caller: Caller, sub_app_id: int | None) -> App:
    """
    Return the app that *caller* acts for: the named one, or the primary one when none is named.

    Raises:
        Forbidden: The credential is bound to another app; whether the named one exists is not told.
        AppNotFound: There is no such app.
    """
    if sub_app_id is None:
        app = parts.apps.known(None)
        _check_bound(caller, app.app_id)
        return app
    _check_bound(caller, sub_app_id)
    if not 0 <= sub_app_id <= _MAX_APP_ID:
        raise AppNotFound(sub_app_id)
    return parts.apps.known(AppId(sub_app_id))


def _check_bound(caller: Caller, app_id: int) -> None:
    if caller.app_id is not None and caller.app_id != app_id:
        raise Forbidden(f"the credential acts for SubAppId {caller.app_id} only, not for {app_id}")

"""Sample events to try a receiver out with, changed here and there in the words of the 3.0 format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vodsprite import samples
from vodsprite.errors import InvalidInput
from vodsprite.events import TYPE_OF, Event
from vodsprite.wire import payloads


def sample_event(name: str, changes: Mapping[str, str] | None = None) -> Event:
    """
    Return a well-formed event, as its receiver would get it if it had happened.

    Args:
        name: An event type, as in `CreateImageSpriteComplete`, for the sample in which all went well; or a
            sample's own name, as in `image-sprite-failed`.
        changes: Members of the 3.0 payload -> values. A name with dots leads into objects and, by numbers
            from 0, into lists. Where the sample has a text the value is one; elsewhere it is JSON.

    Raises:
        Unsupported: No event type and no sample has that name.
        InvalidInput: There is no such member, or it cannot have that value beside the others.
    """
    event = samples.SAMPLES.get(name)
    if event is None:
        event = samples.sample(payloads.type_from_name(name))
    if not changes:
        return event
    member = payloads.member_of(TYPE_OF[type(event)])
    body = payloads.render_v3(event)
    wanted: dict[str, Any] = {path: _set(body[member], path, text) for path, text in changes.items()}
    changed = payloads.parse_v3(body)
    shown = payloads.render_v3(changed)[member]
    for path, value in wanted.items():
        try:
            told = _get(shown, path)
        except InvalidInput:
            told = None
        if told != value:
            raise InvalidInput(path, f"cannot be {json.dumps(value)} beside the other members of this sample")
    return changed


def _set(payload: Any, path: str, text: str) -> Any:
    parent, _, last = path.rpartition(".")
    holder = _get(payload, parent) if parent else payload
    old = _member(holder, last, path)
    value = text if isinstance(old, str) else _read(path, text, or_text=old is None)
    holder[int(last) if isinstance(holder, list) else last] = value
    return value


def _get(payload: Any, path: str) -> Any:
    for name in path.split("."):
        payload = _member(payload, name, path)
    return payload


def _member(holder: Any, name: str, path: str) -> Any:
    if isinstance(holder, dict):
        if name in holder:
            return holder[name]
        raise InvalidInput(path, f"is no member; there are {', '.join(holder)}")
    if isinstance(holder, list) and name.isascii() and name.isdecimal() and int(name) < len(holder):
        return holder[int(name)]
    count = f"a list of {len(holder)}" if isinstance(holder, list) else "no object and no list"
    raise InvalidInput(path, f"leads nowhere: {name!r} is asked of {count}")


def _read(path: str, text: str, *, or_text: bool) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        if or_text:
            return text
        raise InvalidInput(path, f"is no text, and {text[:40]!r} is not JSON") from None

"""Event values to JSON text and back, for the tables. What leaves the house is `wire.payloads`' business."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from vodsprite.delivery.delivery import ForeignType
from vodsprite.events import TYPE_OF, Event, EventType

_ADAPTERS: dict[EventType, TypeAdapter[Any]] = {kind: TypeAdapter(value) for value, kind in TYPE_OF.items()}


def to_json(event: Event) -> str:
    """Return *event* as JSON. A lone surrogate, which no database keeps, becomes a question mark."""
    plain = _ADAPTERS[TYPE_OF[type(event)]].dump_python(event, mode="json")
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


def from_json(kind: EventType | ForeignType, text: str) -> Event:
    """
    Return the event that `to_json` wrote.

    Raises:
        ValueError: *text* is no event of that type.
    """
    if isinstance(kind, ForeignType):
        raise ValueError(f"this version knows no events of type {kind.value!r}")
    event: Event = _ADAPTERS[kind].validate_json(text)
    return event

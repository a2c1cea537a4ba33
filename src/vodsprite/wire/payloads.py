"""
Bodies of events, in both formats: one table, a row per event type.

A 3.0 body is flat: `EventType`, then every known member, `null` but for the one that the type fills. A 2.0
body is an envelope of `version`, `eventType` and `data`. Both name the types alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vodsprite.errors import Unsupported
from vodsprite.events import (
    TYPE_OF,
    Event,
    EventType,
    FileDeleted,
    FileUploaded,
    ImageSpriteComplete,
    ProcedureStateChanged,
    PullComplete,
    SnapshotComplete,
)
from vodsprite.wire import parsing, parsing_v2, structures, structures_v2
from vodsprite.wire.reader import Reader
from vodsprite.wire.structures import Json

_E = TypeVar("_E", bound=Event)

MEMBERS = (
    # The documented callback's own, in its order.
    "FileUploadEvent",
    "ProcedureStateChangeEvent",
    "FileDeleteEvent",
    "PullCompleteEvent",
    "EditMediaComplete",
    "WechatPublishComplete",
    "TranscodeCompleteEvent",
    "ConcatCompleteEvent",
    "ClipCompleteEvent",
    "CreateImageSpriteCompleteEvent",
    # Those of the SDKs and of bodies seen in the wild: receivers index either set without a guard.
    "EditMediaCompleteEvent",
    "ComposeMediaCompleteEvent",
    "WechatPublishCompleteEvent",
    "SnapshotByTimeOffsetCompleteEvent",
    "WechatMiniProgramPublishCompleteEvent",
    "WechatMiniProgramPublishEvent",
)
"""The members of a 3.0 body between `EventType` and `Sign`."""

VERSION_V2 = "4.0"
"""The constant `version` of a 2.0 body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _V2(Generic[_E]):
    """The 2.0 form of an event type."""

    build: Callable[[_E], Json]
    parse: Callable[[Reader], _E]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row(Generic[_E]):
    """How one event type travels."""

    value: type[_E]
    name: str
    member: str
    build: Callable[[_E], Json]
    parse: Callable[[Reader], _E]
    v2: _V2[_E] | None


_ROWS: tuple[_Row[Any], ...] = (
    _Row(
        value=ImageSpriteComplete,
        name="CreateImageSpriteComplete",
        member="CreateImageSpriteCompleteEvent",
        build=structures.create_image_sprite_task,
        parse=parsing.create_image_sprite_task,
        v2=_V2(build=structures_v2.image_sprite_complete, parse=parsing_v2.image_sprite_complete),
    ),
    _Row(
        value=ProcedureStateChanged,
        name="ProcedureStateChanged",
        member="ProcedureStateChangeEvent",
        build=structures.procedure_task,
        parse=parsing.procedure_task,
        v2=_V2(build=structures_v2.procedure_state_changed, parse=parsing_v2.procedure_state_changed),
    ),
    _Row(
        value=SnapshotComplete,
        name="CreateSnapshotByTimeOffsetComplete",
        member="SnapshotByTimeOffsetCompleteEvent",
        build=structures.snapshot_by_time_offset_task,
        parse=parsing.snapshot_by_time_offset_task,
        v2=_V2(build=structures_v2.snapshot_complete, parse=parsing_v2.snapshot_complete),
    ),
    _Row(
        value=FileUploaded,
        name="NewFileUpload",
        member="FileUploadEvent",
        build=structures.file_upload_task,
        parse=parsing.file_upload_task,
        v2=_V2(build=structures_v2.file_uploaded, parse=parsing_v2.file_uploaded),
    ),
    _Row(
        value=PullComplete,
        name="PullComplete",
        member="PullCompleteEvent",
        build=structures.pull_upload_task,
        parse=parsing.pull_upload_task,
        v2=_V2(build=structures_v2.pull_complete, parse=parsing_v2.pull_complete),
    ),
    _Row(
        value=FileDeleted,
        name="FileDeleted",
        member="FileDeleteEvent",
        build=structures.file_delete_task,
        parse=parsing.file_delete_task,
        v2=_V2(build=structures_v2.file_deleted, parse=parsing_v2.file_deleted),
    ),
)

_BY_TYPE = {TYPE_OF[row.value]: row for row in _ROWS}
_BY_NAME = {row.name: row for row in _ROWS}


def event_type_name(event_type: EventType) -> str:
    """Return the wire's name of *event_type*, the same in both formats."""
    return _BY_TYPE[event_type].name


def member_of(event_type: EventType) -> str:
    """Return the member of a 3.0 body that *event_type* fills."""
    return _BY_TYPE[event_type].member


def type_from_name(name: str) -> EventType:
    """
    Return the type that the wire calls *name*.

    Raises:
        Unsupported: None of ours has that name.
    """
    return TYPE_OF[_row(name, "EventType").value]


def has_v2(event_type: EventType) -> bool:
    """Return whether *event_type* has a 2.0 form; those without go to 3.0 destinations only."""
    return _BY_TYPE[event_type].v2 is not None


def render_v3(event: Event, *, handle: str | None = None, sign: tuple[str, int] | None = None) -> Json:
    """
    Render the 3.0 form of *event*.

    Args:
        handle: The `EventHandle` of a pulled event; a pushed one has none.
        sign: `Sign` and `T` of a pushed event (`webhook.callback_sign`), the last two members.
    """
    row = _BY_TYPE[TYPE_OF[type(event)]]
    body: Json = {} if handle is None else {"EventHandle": handle}
    body["EventType"] = row.name
    body.update(dict.fromkeys(MEMBERS))
    body[row.member] = row.build(event)
    if sign is not None:
        body["Sign"], body["T"] = sign
    return body


def render_v2(event: Event) -> Json | None:
    """Render the 2.0 form of *event*; `None` if its type has none."""
    row = _BY_TYPE[TYPE_OF[type(event)]]
    if row.v2 is None:
        return None
    return {"version": VERSION_V2, "eventType": row.name, "data": row.v2.build(event)}


def to_bytes(body: Mapping[str, Any]) -> bytes:
    """
    Return *body* as compact JSON in UTF-8.

    A lone surrogate, which some client may have put into a text of its own, becomes `?`: UTF-8 has no form
    for it, and an event must never be undeliverable for what it quotes.
    """
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def parse_v3(body: object) -> Event:
    """
    Read a 3.0 body, pushed or pulled, signed or not, of any sender; see `parsing.py` for what is lost on the
    way.

    Raises:
        Unsupported: The event is of a type that this product has no value for.
        InvalidInput: The body is not of the documented form; `field` is the member's path.
    """
    reader = Reader(body)
    row = _row(reader.text("EventType"), "EventType")
    event: Event = row.parse(reader.required_child(row.member))
    return event


def parse_v2(body: object) -> Event:
    """
    Read a 2.0 body of any sender; see `parsing_v2.py` for what is lost on the way.

    Raises:
        Unsupported: The event is of a type that this product has no value for.
        InvalidInput: The body is not of the documented form; `field` is the member's path.
    """
    reader = Reader(body)
    row = _row(reader.text("eventType"), "eventType")
    if row.v2 is None:
        raise Unsupported("eventType", f"{row.name} has no 2.0 form")
    event: Event = row.v2.parse(reader.required_child("data"))
    return event


def _row(name: str, field: str) -> _Row[Any]:
    row = _BY_NAME.get(name)
    if row is None:
        raise Unsupported(field, f"is {name[:60]!r}, none of {', '.join(_BY_NAME)}")
    return row

"""Events in the tables: what is written is what comes back."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vodsprite.delivery.record import from_json, to_json
from vodsprite.events import TYPE_OF, Event, EventType, FileDeleted, ImageSpriteComplete
from vodsprite.ids import FileId, TaskId


def any_value(kind: Any) -> st.SearchStrategy[Any]:
    """Build any value of a type that events are made of, within what JSON and the tables can say."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{one.name: any_value(hints[one.name]) for one in dataclasses.fields(kind)})
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return st.one_of(*(any_value(one) for one in typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return st.lists(any_value(typing.get_args(kind)[0]), max_size=4).map(tuple)
    kind = getattr(kind, "__supertype__", kind)
    if kind is str:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if kind is datetime:
        return st.datetimes(timezones=st.just(UTC))
    return st.from_type(kind)


@given(event=st.one_of(*(any_value(kind) for kind in TYPE_OF)))
def test_an_event_survives_the_tables(event: Event) -> None:
    """Any event, with any kinds of steps in any order, reads back equal."""
    assert from_json(TYPE_OF[type(event)], to_json(event)) == event


def test_a_lone_surrogate_does_not_keep_an_event_from_being_written() -> None:
    """A text that no database keeps costs a question mark, not the event."""
    event = ImageSpriteComplete(
        task_id=TaskId("t\ud800"), file_id=FileId("1"), definition=10, sprites=None, failure=None
    )
    back = from_json(EventType.IMAGE_SPRITE_COMPLETE, to_json(event))
    assert isinstance(back, ImageSpriteComplete)
    assert back == dataclasses.replace(event, task_id=TaskId("t?"))


def test_what_is_no_event_is_a_value_error() -> None:
    """A row that this version cannot read is told by one kind of error."""
    with pytest.raises(ValueError, match="files"):
        from_json(EventType.FILE_DELETED, json.dumps({"files": 3}))
    assert from_json(EventType.FILE_DELETED, "{}") == FileDeleted()

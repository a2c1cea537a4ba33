"""Reads members of foreign JSON objects, so that whatever is wrong is told by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from vodsprite.errors import InvalidInput, MissingInput, WrongType

_T = TypeVar("_T")

_UNSET_TIMES = ("", "0000-00-00T00:00:00Z", "0001-01-01T00:00:00Z")  # all seen for "not yet"


class Reader:
    """
    One JSON object.

    A member that is absent or `null` has the default of the method that asks for it; without a default it is
    required. Members that nobody asks for don't matter: newer senders add some.

    Raises:
        MissingInput: A required member is absent or `null`.
        WrongType: A member has another type than asked for.
        InvalidInput: A member is none of the words asked for.
    """

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping):
            raise WrongType(path or "body", f"is {_kind(value)}, not an object")
        self._members: Mapping[str, object] = value
        self._path = path

    def text(self, name: str, default: str | None = None) -> str:
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, value, "an integer")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self._value(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._wrong(name, value, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise WrongType(self._at(name), "is beyond the range of numbers")
        return number

    def time(self, name: str) -> datetime | None:
        """An instant, aware and in UTC; `None` for the forms in which "not yet" is written."""
        text = self.text(name, "")
        if text in _UNSET_TIMES:
            return None
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise WrongType(self._at(name), "is no time of ISO 8601 with an offset")

    def child(self, name: str) -> Reader | None:
        value = self._members.get(name)
        return None if value is None else Reader(value, self._at(name))

    def required_child(self, name: str) -> Reader:
        return Reader(self._value(name, None), self._at(name))

    def children(self, name: str) -> list[Reader]:
        """The objects of a list; none when it is absent."""
        return [Reader(item, f"{self._at(name)}[{index}]") for index, item in enumerate(self._list(name))]

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a list; none when it is absent."""
        items = self._list(name)
        for item in items:
            if not isinstance(item, str):
                raise self._wrong(name, item, "a list of texts")
        return tuple(str(item) for item in items)

    def integers(self, name: str) -> tuple[int, ...]:
        """The integers of a list; none when it is absent."""
        items = self._list(name)
        found = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))
        if len(found) < len(items):
            raise WrongType(self._at(name), "is not a list of integers")
        return found

    def choice(self, name: str, meanings: Mapping[str, _T], default: _T | None = None) -> _T:
        """What the text of *name* means."""
        if default is not None and self._members.get(name) is None:
            return default
        text = self.text(name)
        if text not in meanings:
            raise InvalidInput(self._at(name), f"is {text[:40]!r}, none of {', '.join(meanings)}")
        return meanings[text]

    def _list(self, name: str) -> list[object]:
        value = self._members.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, value, "a list")
        return value

    def _value(self, name: str, default: object) -> object:
        value = self._members.get(name)
        if value is None:
            value = default
        if value is None:
            raise MissingInput(self._at(name))
        return value

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _wrong(self, name: str, value: object, wanted: str) -> WrongType:
        return WrongType(self._at(name), f"is {_kind(value)}, not {wanted}")


def _kind(value: object) -> str:
    """The JSON word for the type of *value*."""
    if value is None:
        return "null"
    for kinds, word in (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a number"),
        (str, "a text"),
        (list, "a list"),
        (Mapping, "an object"),
    ):
        if isinstance(value, kinds):
            return word
    return type(value).__name__

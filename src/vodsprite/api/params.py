"""
What a request asks for: JSON, query, form or multipart as one nested dict, and that dict as a typed request.

Requests are pydantic models; `read` turns their complaints into domain errors whose field is the wire's own
name, as in `MediaProcessTask.ImageSpriteTaskSet.0.Definition`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vodsprite.errors import InvalidInput, MissingInput, WrongType

Pairs = list[tuple[str, str]]

_MAX_DEPTH = 32
_MAX_PAIRS = 2000
_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The parameters of one request, nested; members that are null were left out."""

    values: dict[str, Any] = field(repr=False)
    textual: bool  # numbers come as text, as they must in a query or form


class RequestModel(BaseModel):
    """Base of every structure in a request. Members that it does not declare are kept apart, to be logged."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Request(RequestModel):
    """Base of every action's request. Both generations spell the one common member alike."""

    sub_app_id: int | None = Field(None, alias="SubAppId")


Model = TypeVar("Model", bound=Request)

_COMPLAINTS: dict[str, type[InvalidInput]] = {
    "missing": MissingInput,
    "string_type": WrongType,
    "int_type": WrongType,
    "int_parsing": WrongType,
    "int_parsing_size": WrongType,
    "int_from_float": WrongType,
    "float_type": WrongType,
    "float_parsing": WrongType,
    "bool_type": WrongType,
    "bool_parsing": WrongType,
    "list_type": WrongType,
    "dict_type": WrongType,
    "model_type": WrongType,
    "model_attributes_type": WrongType,
}
"""pydantic's error type -> domain error; what is not listed is a value that breaks a rule."""


def read(model: type[Model], params: Params) -> Model:
    """
    Return *params* as the request that *model* declares.

    Raises:
        MissingInput: A required member is absent.
        WrongType: A member has the wrong type. JSON says types itself, so a number given as text is one.
        InvalidInput: A member breaks a rule.
    """
    try:
        return model.model_validate(params.values, strict=not params.textual)
    except ValidationError as error:
        _complain(error)


def unknown_members(request: Request) -> list[str]:
    """Return the names that the caller sent and the request does not declare, cut short, at most 20."""
    return [name[:_SHOWN_CHARS] for name in _unknown(request, "")][:20]


def from_json(body: bytes) -> Params:
    """
    Read a JSON object; an empty body is an empty one.

    Raises:
        WrongType: It is no JSON object, or holds what no parameter can be.
    """
    if not body.strip():
        return Params(values={}, textual=False)
    values = _json(body, "the request body")
    if not isinstance(values, dict):
        raise WrongType("the request body", "is no JSON object")
    return Params(values=_cleaned(values, 0), textual=False)


def pairs(text: str) -> Pairs:
    """
    Split a query or form into its names and values, decoded, in order.

    Raises:
        WrongType: It is not UTF-8, or has too many parts.
    """
    try:
        found = parse_qsl(
            text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MAX_PAIRS
        )
    except UnicodeDecodeError as error:
        raise WrongType("the request", "is not UTF-8") from error
    except ValueError as error:
        raise WrongType("the request", f"has more than {_MAX_PAIRS} parameters") from error
    for pair in found:
        for part in pair:
            _check_text(part)
    return found


def form_text(body: bytes) -> str:
    """
    Return a form's body as text.

    Raises:
        WrongType: It is not UTF-8.
    """
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise WrongType("the request body", "is not UTF-8") from error


def from_pairs(found: Iterable[tuple[str, Any]]) -> Params:
    """
    Nest flat parameters: `A.B=1` is a member of an object, `A.0=x` an item of a list.

    Lists may begin at any number and have gaps; items keep the order of their numbers.

    Raises:
        WrongType: A name came twice, or is both a value and an object.
    """
    tree: dict[str, Any] = {}
    for name, value in found:
        _place(tree, name, value)
    return Params(values=_with_lists(tree), textual=True)


def from_multipart(content_type: str, body: bytes) -> Params:
    """
    Read a multipart form: one part per parameter; objects and lists are parts of type `application/json`.

    Raises:
        WrongType: It is no multipart form.
    """
    boundary = _header(f"Content-Type: {content_type}".encode("latin-1")).get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise WrongType("the request body", "is multipart without a boundary")
    separator = b"\r\n--" + boundary.encode("latin-1", "replace")
    found: list[tuple[str, Any]] = []
    for chunk in (b"\r\n" + body).split(separator, _MAX_PAIRS)[1:]:
        if chunk.startswith(b"--"):
            return from_pairs(found)
        head, _, content = chunk.partition(b"\r\n\r\n")
        found.append(_part(head.lstrip(), content))
    raise WrongType("the request body", "is multipart without an end")


def _complain(error: ValidationError) -> NoReturn:
    fault = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in fault["loc"]) or "the request"
    kind = _COMPLAINTS.get(fault["type"], InvalidInput)
    if kind is MissingInput:
        raise MissingInput(name) from None
    message = fault["msg"].removeprefix("Value error, ").replace(" after validation", "")
    for what in ("Input ", "String ", "List "):
        message = message.removeprefix(what)
    raise kind(name, f"cannot be used: {message[:300]}") from None


def _unknown(request: BaseModel, prefix: str) -> Iterable[str]:
    yield from (prefix + name for name in request.model_extra or {})
    for name, declared in type(request).model_fields.items():
        value = getattr(request, name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, BaseModel):
                yield from _unknown(item, f"{prefix}{declared.alias or name}.")


def _json(text: bytes, what: str) -> Any:
    try:
        return json.loads(text.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WrongType(what, "is not JSON") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _cleaned(value: Any, depth: int) -> Any:
    """*value* without null members: to a client in another language, null and absent are one."""
    if depth > _MAX_DEPTH:
        raise WrongType("the request body", f"is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {_checked(name): _cleaned(item, depth + 1) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    return _checked(value) if isinstance(value, str) else value


def _checked(text: str) -> str:
    _check_text(text)
    return text


def _check_text(text: str) -> None:
    # Neither can be kept by every database: PostgreSQL refuses NUL, and a lone surrogate has no UTF-8.
    if "\0" in text:
        raise WrongType("the request", "contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WrongType("the request", "contains half of a surrogate pair") from error


def _place(tree: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".", _MAX_DEPTH)
    at = tree
    for part in path:
        below = at.setdefault(part, {})
        if not isinstance(below, dict):
            raise WrongType(name[:_SHOWN_CHARS], "is both a value and an object")
        at = below
    if last in at:
        raise WrongType(name[:_SHOWN_CHARS], "came twice")
    at[last] = value


def _with_lists(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _listed(value) if isinstance(value, dict) else value for name, value in tree.items()}


def _listed(tree: dict[str, Any]) -> Any:
    nested = _with_lists(tree)
    if not nested or not all(name.isascii() and name.isdecimal() and len(name) < 10 for name in nested):
        return nested
    return [nested[name] for name in sorted(nested, key=int)]


def _part(head: bytes, content: bytes) -> tuple[str, Any]:
    headers = _header(head)
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str) or not name:
        raise WrongType("the request body", "has a part without a name")
    if headers.get_content_type() == "application/json":
        return name, _cleaned(_json(content, name[:_SHOWN_CHARS]), 1)
    text = form_text(content)
    _check_text(name + text)
    return name, text


def _header(head: bytes) -> Any:
    return BytesHeaderParser().parsebytes(head + b"\r\n\r\n")

"""JSON, query, form and multipart become one nested dict; complaints name the wire's member."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vodsprite.api import params
from vodsprite.api.v2018.process import ProcessMediaRequest
from vodsprite.errors import InvalidInput, MissingInput, WrongType

TASK = {"ImageSpriteTaskSet": [{"Definition": 10}]}


def test_dotted_names_become_objects_and_lists() -> None:
    """`A.0.B=1` is member B of the first item of list A."""
    found = params.from_pairs(params.pairs("M.S.0.Definition=10&M.S.1.Definition=11&FileId=5"))

    assert found.values == {"M": {"S": [{"Definition": "10"}, {"Definition": "11"}]}, "FileId": "5"}


@pytest.mark.parametrize("numbers", [[0, 1, 2], [1, 2, 3], [7, 9, 10], [2, 0, 11]])
def test_lists_begin_anywhere_and_may_have_gaps(numbers: list[int]) -> None:
    """Items keep the order of their numbers, whichever comes first and in whatever order they arrive."""
    found = params.from_pairs((f"msgHandle.{number}", f"h{number}") for number in numbers)

    assert found.values == {"msgHandle": [f"h{number}" for number in sorted(numbers)]}


@pytest.mark.parametrize("text", ["A=1&A.B=2", "A.B=2&A=1", "A=1&A=2", "A.0=1&A.0=2"])
def test_contradicting_names_are_refused(text: str) -> None:
    """A name is one value or one object, once."""
    with pytest.raises(WrongType):
        params.from_pairs(params.pairs(text))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"A": NaN}',
        b'{"A": "\\ud800"}',
        b'{"A": "\\u0000"}',
        b'{"A": ' + b"9" * 5000 + b"}",
        b'{"A":' * 5000 + b"1" + b"}" * 5000,
        b'{"A":' * 40 + b"1" + b"}" * 40,
    ],
    ids=["cut", "list", "text", "not-utf8", "nan", "surrogate", "nul", "long-number", "deep", "nested"],
)
def test_what_is_no_json_object_of_parameters_is_refused(body: bytes) -> None:
    """Malformed bodies are the caller's mistake, whatever shape they take."""
    with pytest.raises(WrongType):
        params.from_json(body)


def test_null_and_absent_are_one() -> None:
    """Clients write a member without value either way."""
    found = params.from_json(b'{"A": null, "B": [{"C": null, "D": 1}]}')

    assert found.values == {"B": [{"D": 1}]}


def test_an_empty_body_is_an_empty_object() -> None:
    """A call without parameters needs no body."""
    assert params.from_json(b"").values == {}


def test_multipart_carries_texts_and_json_parts() -> None:
    """The SDK's multipart form puts texts as they are and structures as JSON parts."""
    body = (
        b'--b1\r\nContent-Disposition: form-data; name="FileId"\r\n\r\n52858\r\n'
        b'--b1\r\nContent-Disposition: form-data; name="MediaProcessTask"\r\n'
        b"Content-Type: application/json\r\n\r\n"
        + json.dumps(TASK).encode()
        + b'\r\n--b1\r\nContent-Disposition: form-data; name="TasksPriority"\r\n\r\n3\r\n--b1--\r\n'
    )

    request = params.read(
        ProcessMediaRequest, params.from_multipart("multipart/form-data; boundary=b1", body)
    )

    assert request.file_id == "52858"
    assert request.tasks_priority == 3
    assert request.media_process_task is not None
    assert request.media_process_task.image_sprite_task_set[0].definition == 10


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--b1--"),
        ("multipart/form-data; boundary=b1", b"nothing of it"),
        ("multipart/form-data; boundary=b1", b'--b1\r\nContent-Disposition: form-data; name="A"\r\n\r\nx'),
        ("multipart/form-data; boundary=b1", b"--b1\r\n\r\nx\r\n--b1--"),
    ],
    ids=["no-boundary", "no-part", "no-end", "no-name"],
)
def test_a_broken_multipart_form_is_refused(content_type: str, body: bytes) -> None:
    """A form whose parts cannot be told apart is the caller's mistake."""
    with pytest.raises(WrongType):
        params.from_multipart(content_type, body)


def test_numbers_come_as_text_in_a_form_only() -> None:
    """A form has nothing but text; JSON says types itself."""
    form = params.from_pairs(params.pairs("FileId=5&TasksPriority=3"))
    assert params.read(ProcessMediaRequest, form).tasks_priority == 3

    with pytest.raises(WrongType) as raised:
        params.read(ProcessMediaRequest, params.from_json(b'{"TasksPriority": "3"}'))
    assert raised.value.field == "TasksPriority"


@pytest.mark.parametrize(
    ("values", "error", "field"),
    [
        ({"MediaProcessTask": {"ImageSpriteTaskSet": [{}]}}, MissingInput, "Definition"),
        ({"MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": "10"}]}}, WrongType, "Definition"),
        ({"MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 1.5}]}}, WrongType, "Definition"),
        ({"MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": -1}]}}, InvalidInput, "Definition"),
    ],
)
def test_a_complaint_names_the_path_of_the_member(
    values: dict[str, Any], error: type[InvalidInput], field: str
) -> None:
    """The caller reads where in the request the fault is."""
    with pytest.raises(InvalidInput) as raised:
        params.read(ProcessMediaRequest, params.from_json(json.dumps(values).encode()))

    assert type(raised.value) is error
    assert raised.value.field == f"MediaProcessTask.ImageSpriteTaskSet.0.{field}"


def test_undeclared_members_are_found_at_every_depth() -> None:
    """What will be ignored can be logged."""
    body = {"X": 1, "MediaProcessTask": {"Y": 2, "ImageSpriteTaskSet": [{"Definition": 10, "Z": 3}]}}
    request = params.read(ProcessMediaRequest, params.from_json(json.dumps(body).encode()))

    assert params.unknown_members(request) == [
        "X",
        "MediaProcessTask.Y",
        "MediaProcessTask.ImageSpriteTaskSet.Z",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(values=st.dictionaries(st.sampled_from(["FileId", "MediaProcessTask", "TasksPriority"]), json_values))
def test_any_json_is_read_or_refused_as_the_callers_mistake(values: dict[str, Any]) -> None:
    """No value makes reading fail in any other way."""
    try:
        found = params.from_json(json.dumps(values).encode())
        request = params.read(ProcessMediaRequest, found)
    except InvalidInput:
        return
    assert isinstance(request.file_id, str)


@given(text=st.text(alphabet="Aa0.1=&%+;é\x00", max_size=40))
def test_any_query_is_read_or_refused_as_the_callers_mistake(text: str) -> None:
    """No query makes reading fail in any other way."""
    try:
        params.from_pairs(params.pairs(text))
    except InvalidInput:
        return


@given(body=st.binary(max_size=200))
def test_any_multipart_body_is_read_or_refused_as_the_callers_mistake(body: bytes) -> None:
    """No body makes reading fail in any other way."""
    framed = b"--b\r\n" + body.replace(b"|", b"\r\n--b\r\n") + b"\r\n--b--"
    try:
        params.from_multipart("multipart/form-data; boundary=b", framed)
    except InvalidInput:
        return

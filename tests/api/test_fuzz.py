"""Whatever is sent, the answer is an answer of the API: no fault, no leak."""

from __future__ import annotations

import json
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vodsprite.api.v2017.actions import ACTIONS as ACTIONS_2017
from vodsprite.api.v2018.actions import ACTIONS as ACTIONS_2018
from vodsprite.testing.calls import HttpAnswer, request
from vodsprite.testing.service import Service, start_service

LEAKS = (b"Traceback", b"sqlite", b"SELECT", b".py", b"pydantic", tempfile.gettempdir().encode())
relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service that has to survive everything below; pulls don't wait."""
    with start_service(tmp_path_factory.mktemp("fuzzed"), wait_s=0) as running:
        yield running


def check(answer: HttpAnswer, *, sent: bytes = b"") -> None:
    """The answer keeps the API's form, and what it tells is no fault of ours."""
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if "Response" in body:
        assert body["Response"]["RequestId"]
        assert body["Response"].get("Error", {}).get("Code") != "InternalError", body
    else:
        assert body["code"] not in (6000, 5100), body
    assert not [leak for leak in LEAKS if leak in answer.body and leak not in sent]


def declared(actions: Any) -> list[str]:
    """Every member name that some action knows, so that values reach deeper than names made up."""
    names: set[str] = set()
    for row in actions.values():
        names |= {one.alias or name for name, one in row.model.model_fields.items()}
    return sorted(names)


text = st.text(max_size=80)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**400])
    | st.floats(allow_nan=False)
    | text
)
members = st.sampled_from(["ImageSpriteTaskSet", "TranscodeTaskSet", "Definition"]) | st.text(max_size=6)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(members, inner, max_size=4),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(declared(ACTIONS_2018)) | text, values, max_size=6)


@relaxed
@given(action=st.sampled_from(sorted(ACTIONS_2018)), body=bodies)
def test_any_json_object(fuzzed: Service, action: str, body: dict[str, Any]) -> None:
    """Signed, well-formed, and full of what no action expects."""
    sent = json.dumps(body).encode()

    check(fuzzed.caller.tc3(action, sent), sent=sent)


@relaxed
@given(
    action=st.sampled_from(sorted(ACTIONS_2018)),
    body=st.binary(max_size=300),
    content_type=st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            'multipart/form-data; boundary="',
            "multipart/form-data; boundary*=x''%ff",
            "text/plain",
        ]
    ),
)
def test_any_bytes(fuzzed: Service, action: str, body: bytes, content_type: str) -> None:
    """Signed, and of no form at all."""
    check(fuzzed.caller.tc3(action, body, content_type=content_type), sent=body)


pieces = st.sampled_from([*declared(ACTIONS_2018), *declared(ACTIONS_2017), "0", "1", "99", ""]) | st.text(
    alphabet=string.printable, max_size=4
)
names = st.lists(pieces, min_size=1, max_size=4).map(".".join)
flat = st.lists(st.tuples(names, text), max_size=6, unique_by=lambda pair: pair[0])


@relaxed
@given(action=st.sampled_from(sorted(ACTIONS_2017)), params=flat, method=st.sampled_from(["GET", "POST"]))
def test_any_2017_parameters(
    fuzzed: Service, action: str, params: list[tuple[str, str]], method: str
) -> None:
    """Signed parameters of the old generation, nested any way."""
    pairs = [("Action", action), *(pair for pair in params if pair[0] != "Action")]
    sent = json.dumps(params).encode()

    check(fuzzed.caller.v1(pairs, method=method, path="/v2/index.php"), sent=sent)


@relaxed
@given(action=st.sampled_from(sorted(ACTIONS_2018)), params=flat, method=st.sampled_from(["GET", "POST"]))
def test_any_parameters_of_the_new_generation(
    fuzzed: Service, action: str, params: list[tuple[str, str]], method: str
) -> None:
    """Signed by the older scheme."""
    pairs = [("Action", action), ("Version", "2018-07-17"), *params]
    sent = json.dumps(params).encode()

    check(fuzzed.caller.v1(pairs, method=method), sent=sent)


@relaxed
@given(
    query=st.text(alphabet=string.ascii_letters + string.digits + "%&=.+-_~;:@/?", max_size=200),
    path=st.sampled_from(["/", "/v2/index.php"]),
)
def test_any_unsigned_query(fuzzed: Service, query: str, path: str) -> None:
    """Strangers get a refusal."""
    check(request(fuzzed.port, "GET", f"{path}?{query}"), sent=query.encode())


headers = st.dictionaries(
    st.sampled_from(
        [
            "Authorization",
            "X-TC-Action",
            "X-TC-Version",
            "X-TC-Timestamp",
            "X-TC-Content-SHA256",
            "Content-Type",
            "X-TC-RequestClient",
        ]
    ),
    st.text(alphabet=string.ascii_letters + string.digits + " =/,;-._:\xe9", max_size=120).map(str.strip),
)


@relaxed
@given(sent=headers, body=st.binary(max_size=100))
def test_any_headers(fuzzed: Service, sent: dict[str, str], body: bytes) -> None:
    """Heads of any shape get a refusal."""
    check(request(fuzzed.port, "POST", "/", headers=sent, body=body), sent=repr(sent).encode() + body)


@relaxed
@given(
    path=st.text(max_size=60).map(lambda raw: quote(raw.encode("utf-8", "surrogatepass"), safe="/.%")),
    place=st.sampled_from(["/sprites/", "/originals/", "/originals/a.b/1/", "/"]),
)
def test_any_path(fuzzed: Service, path: str, place: str) -> None:
    """No path is a fault, and none reaches out of its place."""
    answer = request(fuzzed.port, "GET", f"{place}{path}")

    assert answer.status in (200, 403, 404, 405)
    if answer.status == 200:
        check(answer, sent=path.encode())


def test_the_service_still_works(fuzzed: Service, tmp_path: Path) -> None:
    """After whatever came before, an honest request is served."""
    media = fuzzed.add_media(tmp_path)

    assert "TaskId" in fuzzed.caller.call("CreateImageSprite", FileId=media.file_id, Definition=10)

"""Request signatures, against vectors and against a second signer written from the documentation."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vodsprite.errors import (
    MissingInput,
    NonceReplayed,
    SignatureExpired,
    SignatureMalformed,
    SignatureMismatch,
)
from vodsprite.wire import signing
from vodsprite.wire.signing import SignedRequest

SECRET_ID = "AKIDcontractvector00000000000000001"
SECRET_KEY = "contractVectorSecretKey000000001"
TIMESTAMP = 1767225600
NOW = datetime(2026, 1, 1, tzinfo=UTC)

TC3_VECTORS = ("tc3-post-pullevents", "tc3-post-processmedia", "tc3-get-confirmevents")
V1_VECTORS = (
    "v1-get-sha1-pullevents",
    "v1-post-sha256-processmedia",
    "2017-get-sha1-createimagesprite",
    "2017-get-sha256-confirmevent",
    "2017-post-sha1-pullevent",
)

REFERENCE = {
    "method": "POST",
    "host": "127.0.0.1:9000",
    "content_type": "application/json",
    "raw_query": "",
    "body": b'{"SessionId": "job-1"}',
    "service": "vod",
    "payload": None,
    "extra": (),
}


def reference_tc3(
    *,
    method: str,
    host: str,
    content_type: str,
    raw_query: str,
    body: bytes,
    service: str,
    payload: bytes | None,
    extra: tuple[tuple[str, str], ...],
) -> str:
    """The Authorization header by the documentation's steps: a second signer, itself held to the vectors."""

    def mac(key: bytes, text: str) -> bytes:
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    signed = sorted([("content-type", content_type), ("host", host), *extra])
    names = ";".join(name for name, _ in signed)
    digest = hashlib.sha256(body if payload is None else payload).hexdigest()
    lines = "".join(f"{name}:{value}\n" for name, value in signed)
    canonical = f"{method}\n/\n{raw_query}\n{lines}\n{names}\n{digest}"
    scope = f"2026-01-01/{service}/tc3_request"
    to_sign = f"TC3-HMAC-SHA256\n{TIMESTAMP}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = mac(mac(mac(b"TC3" + SECRET_KEY.encode(), "2026-01-01"), service), "tc3_request")
    signature = mac(key, to_sign).hex()
    return f"TC3-HMAC-SHA256 Credential={SECRET_ID}/{scope}, SignedHeaders={names}, Signature={signature}"


def request(
    *, received: Mapping[str, str] | None = None, unsigned_payload: bool = False, **changes: Any
) -> SignedRequest:
    """A signed request as the server sees it; *received* headers differ from what the client signed."""
    parts = REFERENCE | changes
    headers = {
        "content-type": parts["content_type"],
        "host": parts["host"],
        "x-tc-timestamp": str(TIMESTAMP),
        "authorization": reference_tc3(**parts),
    }
    headers |= dict(parts["extra"])
    if unsigned_payload:
        headers["x-tc-content-sha256"] = "UNSIGNED-PAYLOAD"
    return SignedRequest(
        method=parts["method"],
        headers=headers | dict(received or {}),
        raw_query=parts["raw_query"],
        body=parts["body"],
    )


def verify(signed: SignedRequest, *, key: str = SECRET_KEY, now: datetime = NOW) -> None:
    signing.verify_tc3(signed, signing.parse_tc3(signed), key, now)


def vector_named(vectors: Any, name: str) -> Any:
    [vector] = [vector for vector in vectors["vectors"] if vector["name"] == name]
    return vector


def vector_request(vector: Any) -> SignedRequest:
    return SignedRequest(
        method=vector["method"],
        headers={name.lower(): value for name, value in vector["headers"].items()},
        raw_query=vector["query"],
        body=vector["body"].encode(),
    )


def test_every_vector_is_looked_at(vectors: Any) -> None:
    """A vector that is added to the file is one that these tests run."""
    assert {vector["name"] for vector in vectors["vectors"]} == {*TC3_VECTORS, *V1_VECTORS}
    assert (vectors["secretId"], vectors["secretKey"], vectors["timestamp"]) == (
        SECRET_ID,
        SECRET_KEY,
        TIMESTAMP,
    )


@pytest.mark.parametrize("name", TC3_VECTORS)
def test_a_tc3_vector_verifies(vectors: Any, name: str) -> None:
    """A request signed by the documented steps is let in, and tells who claims to have signed it."""
    signed = vector_request(vector_named(vectors, name))

    claim = signing.parse_tc3(signed)

    assert (claim.secret_id, claim.timestamp, claim.service) == (SECRET_ID, TIMESTAMP, "vod")
    signing.verify_tc3(signed, claim, SECRET_KEY, NOW)


@pytest.mark.parametrize("name", TC3_VECTORS)
def test_a_client_signs_tc3_as_the_vector(vectors: Any, name: str) -> None:
    """Our client's Authorization header is the vector's, character by character."""
    vector = vector_named(vectors, name)

    added = signing.sign_tc3(
        vector_request(vector), secret_id=SECRET_ID, secret_key=SECRET_KEY, timestamp=TIMESTAMP
    )

    assert added == {
        "X-TC-Timestamp": str(TIMESTAMP),
        "Authorization": vector["headers"]["Authorization"],
    }


@pytest.mark.parametrize("name", TC3_VECTORS)
def test_the_second_signer_agrees_with_the_vectors(vectors: Any, name: str) -> None:
    """The signer that these tests use for odd clients is right where the vectors can tell."""
    vector = vector_named(vectors, name)

    authorization = reference_tc3(
        method=vector["method"],
        host=vector["host"],
        content_type=vector["contentType"],
        raw_query=vector["query"],
        body=vector["body"].encode(),
        service="vod",
        payload=None,
        extra=(),
    )

    assert authorization == vector["headers"]["Authorization"]


@pytest.mark.parametrize("name", V1_VECTORS)
def test_a_v1_vector_verifies(vectors: Any, name: str) -> None:
    """A query or form signed by the older method is let in, for either API, and all of it is covered."""
    vector = vector_named(vectors, name)
    params = parse_qsl(vector["wire"])

    claim = signing.parse_v1(params)
    covered = signing.verify_v1(vector["method"], [vector["host"]], vector["path"], params, SECRET_KEY)

    assert (claim.secret_id, claim.timestamp, claim.nonce) == (SECRET_ID, TIMESTAMP, 4242)
    assert dict(covered) == vector["params"]


@pytest.mark.parametrize("name", V1_VECTORS)
def test_a_client_signs_v1_as_the_vector(vectors: Any, name: str) -> None:
    """Our client's Signature parameter is the vector's."""
    vector = vector_named(vectors, name)

    signature = signing.sign_v1(
        vector["method"], vector["host"], vector["path"], list(vector["params"].items()), SECRET_KEY
    )

    assert signature == vector["signature"]


ODD_CLIENTS: dict[str, SignedRequest] = {
    "a service after the host's first label": request(service="127"),
    "a service with a port in it": request(service="localhost:9000", host="localhost:9000"),
    "a host signed without its port": request(
        host="127.0.0.1", service="127", received={"host": "127.0.0.1:9000"}
    ),
    "an IPv6 host signed without its port": request(host="[::1]", received={"host": "[::1]:9000"}),
    "a host with a scheme": request(host="http://127.0.0.1:9000"),
    "a content type with a charset": request(content_type="application/json; charset=utf-8"),
    "a content type signed in lower case": request(
        content_type="application/json; charset=utf-8",
        received={"content-type": " Application/JSON; charset=UTF-8 "},
    ),
    "a host signed in lower case": request(host="vod.local", received={"host": "VOD.Local"}),
    "both signed in lower case, without a port": request(
        content_type="multipart/form-data; boundary=abc",
        host="vod.local",
        received={"content-type": "multipart/form-data; boundary=ABC", "host": "VOD.local:80"},
    ),
    "a multipart body": request(
        content_type="multipart/form-data; boundary=aB3", body=b"--aB3\r\n\r\n\xff\x00\r\n--aB3--\r\n"
    ),
    "a body left unsigned": request(payload=b"UNSIGNED-PAYLOAD", unsigned_payload=True),
    "more headers signed": request(extra=(("x-tc-action", "PullEvents"), ("x-tc-version", "2018-07-17"))),
    "an unsorted query with plus signs": request(
        method="GET",
        content_type="application/x-www-form-urlencoded",
        raw_query="B=a+b&A=%E4%B8%AD&B.0=a%20b",
        body=b"",
    ),
}


@pytest.mark.parametrize("client", ODD_CLIENTS)
def test_what_clients_are_known_to_do_is_let_in(client: str) -> None:
    """The peculiarities of the vendor's SDKs do not lock their users out."""
    verify(ODD_CLIENTS[client])


@pytest.mark.parametrize("client", ODD_CLIENTS)
def test_no_peculiarity_opens_the_door_to_another_key(client: str) -> None:
    """What is tolerated in form never replaces the key."""
    with pytest.raises(SignatureMismatch):
        verify(ODD_CLIENTS[client], key="anotherKey")


def test_spaces_between_the_parts_of_the_header_do_not_matter() -> None:
    """The parts may be separated by a comma alone or with more room."""
    signed = request()
    for separator in (",", " ,  "):
        headers = {
            **signed.headers,
            "authorization": signed.headers["authorization"].replace(", ", separator),
        }
        verify(replace(signed, headers=headers))


def with_header(name: str, value: str) -> Callable[[SignedRequest], SignedRequest]:
    return lambda signed: replace(signed, headers={**signed.headers, name: value})


def in_authorization(old: str, new: str) -> Callable[[SignedRequest], SignedRequest]:
    def change(signed: SignedRequest) -> SignedRequest:
        authorization = signed.headers["authorization"]
        assert old in authorization
        return with_header("authorization", authorization.replace(old, new))(signed)

    return change


def with_flipped_signature(signed: SignedRequest) -> SignedRequest:
    authorization = signed.headers["authorization"]
    return with_header("authorization", authorization[:-1] + ("0" if authorization[-1] != "0" else "1"))(
        signed
    )


TAMPERED: dict[str, Callable[[SignedRequest], SignedRequest]] = {
    "method": lambda signed: replace(signed, method="GET"),
    "a query added": lambda signed: replace(signed, raw_query="SubAppId=1500000002"),
    "body": lambda signed: replace(signed, body=signed.body + b" "),
    "body taken away": lambda signed: replace(signed, body=b""),
    "host": with_header("host", "127.0.0.2:9000"),
    "port": with_header("host", "127.0.0.1:9001"),
    "content type": with_header("content-type", "application/x-www-form-urlencoded"),
    "timestamp": with_header("x-tc-timestamp", str(TIMESTAMP + 1)),
    "date of the scope": in_authorization("/2026-01-01/", "/2025-12-31/"),
    "service": in_authorization("/vod/", "/cos/"),
    "fewer headers": in_authorization("content-type;host;x-tc-action", "content-type;host"),
    "a header signed": with_header("x-tc-action", "DeleteMedia"),
    "body declared unsigned": with_header("x-tc-content-sha256", "UNSIGNED-PAYLOAD"),
    "signature": with_flipped_signature,
}


@pytest.mark.parametrize("part", TAMPERED)
def test_a_tampered_tc3_request_is_refused(part: str) -> None:
    """Whoever changes any part that the signature covers has no valid request."""
    signed = request(extra=(("x-tc-action", "PullEvents"),))
    verify(signed)

    with pytest.raises(SignatureMismatch):
        verify(TAMPERED[part](signed))


def test_a_query_of_a_get_is_covered_byte_by_byte() -> None:
    """The same query in another spelling is another request."""
    signed = request(
        method="GET",
        content_type="application/x-www-form-urlencoded",
        raw_query="A=a+b&B=1",
        body=b"",
    )
    for other in ("A=a%20b&B=1", "B=1&A=a+b", "A=a+b&B=1&", ""):
        with pytest.raises(SignatureMismatch):
            verify(replace(signed, raw_query=other))


def test_a_body_that_a_get_was_given_on_the_way_is_noticed() -> None:
    """A GET carries no body; one that appears is no part of what was signed."""
    signed = request(method="GET", raw_query="A=1", body=b"")

    with pytest.raises(SignatureMismatch):
        verify(replace(signed, body=b"{}"))


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_five_minutes_of_skew_are_let_in(seconds: int) -> None:
    """A client's clock may be five minutes early or late."""
    verify(request(), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-300.001, 300.001, -86_400, 86_400 * 365])
def test_more_than_five_minutes_of_skew_is_refused(seconds: float) -> None:
    """Beyond five minutes the request counts as old, or as not yet made, and the message says how far off."""
    with pytest.raises(SignatureExpired, match=r"300 s are allowed"):
        verify(request(), now=NOW + timedelta(seconds=seconds))


def test_the_skew_can_be_configured() -> None:
    """An installation with poor clocks may allow more."""
    signed = request()
    signing.verify_tc3(
        signed, signing.parse_tc3(signed), SECRET_KEY, NOW + timedelta(hours=1), max_skew_s=3600
    )


def test_a_late_request_is_told_so_whoever_signed_it() -> None:
    """A wrong clock is the likelier cause than a wrong key, so it is named first."""
    with pytest.raises(SignatureExpired):
        verify(request(), key="anotherKey", now=NOW + timedelta(minutes=6))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "   ",
        "Basic dXNlcjpwYXNz",
        "TC3-HMAC-SHA256",
        "TC3-HMAC-SHA256 Credential=A/2026-01-01/vod/tc3_request, SignedHeaders=content-type;host, "
        "Signature=",
        "TC3-HMAC-SHA256 Credential=A/2026-01-01/vod/tc3_request, SignedHeaders=content-type;host, Signature="
        + "A" * 64,
        "TC3-HMAC-SHA256 Credential=A/2026-01-01/vod/tc3_request, SignedHeaders=host, Signature=" + "a" * 64,
        "TC3-HMAC-SHA256 Credential=A/2026-01-01/vod/tc3_request, SignedHeaders=content-type, Signature="
        + "a" * 64,
        "TC3-HMAC-SHA256 Credential=A/2026-01-01/vod/tc3_request, SignedHeaders=content-type;host;x-none, "
        "Signature=" + "a" * 64,
        "TC3-HMAC-SHA256 Credential=" + "A" * 5000 + "/2026-01-01/vod/tc3_request, "
        "SignedHeaders=content-type;host, Signature=" + "a" * 64,
    ],
)
def test_an_unreadable_authorization_is_malformed(authorization: str) -> None:
    """An Authorization header that does not have the scheme's form is refused before any key is looked up."""
    with pytest.raises(SignatureMalformed):
        signing.parse_tc3(with_header("authorization", authorization)(request()))


@pytest.mark.parametrize("text", ["-1", "+1", "1e9", "1767225600.5", "٣", "01767225600", "9" * 12, "now"])
def test_a_timestamp_that_is_no_unix_time_is_malformed(text: str) -> None:
    """Only decimal seconds count as a timestamp."""
    with pytest.raises(SignatureMalformed):
        signing.parse_tc3(with_header("x-tc-timestamp", text)(request()))


@pytest.mark.parametrize("text", ["", None])
def test_a_missing_timestamp_is_named(text: str | None) -> None:
    """A request without its timestamp is told which common parameter it lacks."""
    signed = request()
    headers = {name: value for name, value in signed.headers.items() if name != "x-tc-timestamp"}
    if text is not None:
        headers["x-tc-timestamp"] = text

    with pytest.raises(MissingInput) as caught:
        signing.parse_tc3(replace(signed, headers=headers))

    assert caught.value.field == "X-TC-Timestamp"


any_text = st.text(st.characters())  # lone surrogates too
authorizations = any_text | st.builds(
    lambda secret_id, date, service, names, signature: (
        f"TC3-HMAC-SHA256 Credential={secret_id}/{date}/{service}/tc3_request, "
        f"SignedHeaders={names}, Signature={signature}"
    ),
    any_text | st.just(SECRET_ID),
    any_text | st.from_regex(r"\A\d{4}-\d\d-\d\d\Z") | st.just("2026-01-01"),
    any_text | st.just("vod"),
    any_text | st.sampled_from(["content-type;host", "host;content-type", "content-type;host;host"]),
    any_text | st.from_regex(r"\A[0-9a-f]{64}\Z"),
)


@settings(deadline=None)
@given(authorization=authorizations)
@example(
    authorization="TC3-HMAC-SHA256 Credential=\ud800/2026-01-01/\ud800/tc3_request, "
    "SignedHeaders=content-type;host, Signature=" + "a" * 64
)
def test_no_authorization_header_does_more_than_be_refused(authorization: str) -> None:
    """Whatever a stranger writes into the header, the answer is a refusal and never an accident."""
    with pytest.raises((SignatureMalformed, SignatureMismatch)):
        verify(with_header("authorization", authorization)(request()))


@settings(deadline=None)
@given(
    headers=st.dictionaries(
        st.sampled_from(["host", "content-type", "x-tc-timestamp", "x-tc-content-sha256", "x-tc-action"]),
        any_text,
    ),
    raw_query=any_text,
    body=st.binary(),
)
def test_no_other_part_does_more_than_be_refused(
    headers: dict[str, str], raw_query: str, body: bytes
) -> None:
    """Hostile headers, queries and bodies around a well-formed claim end in a refusal as well."""
    signed = request()
    hostile = SignedRequest(
        method="PUT",  # nothing that this client signed
        headers={**signed.headers, **headers},
        raw_query=raw_query,
        body=body,
    )
    with pytest.raises((SignatureMalformed, SignatureMismatch, SignatureExpired, MissingInput)):
        verify(hostile)


def v1_params(**changes: str) -> list[tuple[str, str]]:
    params = {
        "Action": "PullEvent",
        "Nonce": "4242",
        "SecretId": SECRET_ID,
        "SubAppId": "1500000001",
        "Timestamp": str(TIMESTAMP),
    } | changes
    return list(params.items())


def signature_of(source: str, algorithm: str = "sha1") -> str:
    """The older signature of a source string that a test writes out."""
    return base64.b64encode(hmac.new(SECRET_KEY.encode(), source.encode(), algorithm).digest()).decode()


BASE_SOURCE = f"Action=PullEvent&Nonce=4242&SecretId={SECRET_ID}&SubAppId=1500000001&Timestamp={TIMESTAMP}"


@pytest.mark.parametrize("signed_for", ["10.0.0.5:8266", "10.0.0.5", "vod.api.qcloud.com"])
def test_a_2017_client_may_have_signed_for_any_of_three_hosts(signed_for: str) -> None:
    """A server under its own name accepts its Host, that without the port, and the one that SDKs know."""
    signature = signature_of(f"GET{signed_for}/v2/index.php?{BASE_SOURCE}")
    hosts = signing.host_forms("10.0.0.5:8266", signing.HOST_2017)

    signing.verify_v1("GET", hosts, "/v2/index.php", v1_params(Signature=signature), SECRET_KEY)


def test_hosts_without_a_port_are_tried_once() -> None:
    """Forms that fall together are one."""
    assert signing.host_forms("vod.api.qcloud.com", signing.HOST_2017) == ("vod.api.qcloud.com",)


def test_the_documented_host_does_not_count_where_it_was_not_asked_for() -> None:
    """Only the hosts that the server names are tried."""
    signature = signature_of(f"GETvod.api.qcloud.com/?{BASE_SOURCE}")

    with pytest.raises(SignatureMismatch):
        signing.verify_v1(
            "GET", signing.host_forms("10.0.0.5:8266"), "/", v1_params(Signature=signature), SECRET_KEY
        )


@pytest.mark.parametrize(
    "source",
    [
        f"{BASE_SOURCE}&a.b=1&a.b.c=2&a0=3",  # names dotted, then sorted
        f"{BASE_SOURCE}&a0=3&a.b=1&a.b.c=2",  # sorted, then dotted
        f"{BASE_SOURCE}&a0=3&a_b=1&a_b_c=2",  # names as they are
    ],
)
def test_underscores_in_names_are_signed_in_any_of_the_known_ways(source: str) -> None:
    """SDKs write `.` for `_` before or after they sort; the documentation does neither."""
    signature = signature_of(f"GETh/?{source}")
    params = v1_params(a_b="1", a_b_c="2", a0="3", Signature=signature)

    covered = signing.verify_v1("GET", ["h"], "/", params, SECRET_KEY)

    assert dict(covered)["a_b"] == "1"


def test_values_that_look_like_files_are_left_out_of_what_a_post_covers() -> None:
    """The 2017 SDK does not sign POST values that start with `@`: they are accepted and not handed on."""
    signature = signature_of(f"POSTh/v2/index.php?{BASE_SOURCE}")
    params = v1_params(file="@/etc/passwd", Signature=signature)

    covered = signing.verify_v1("POST", ["h"], "/v2/index.php", params, SECRET_KEY)

    assert sorted(covered) == sorted(v1_params())


def test_values_that_look_like_files_count_when_they_were_signed() -> None:
    """A client that signs such a value keeps it."""
    signature = signature_of(f"POSTh/v2/index.php?{BASE_SOURCE}&file=@home")
    params = v1_params(file="@home", Signature=signature)

    covered = signing.verify_v1("POST", ["h"], "/v2/index.php", params, SECRET_KEY)

    assert dict(covered)["file"] == "@home"


def test_a_get_covers_values_that_look_like_files() -> None:
    """Nobody can add a parameter to a signed GET by letting its value start with `@`."""
    signature = signature_of(f"GETh/v2/index.php?{BASE_SOURCE}")

    with pytest.raises(SignatureMismatch):
        signing.verify_v1(
            "GET", ["h"], "/v2/index.php", v1_params(file="@x", Signature=signature), SECRET_KEY
        )


@pytest.mark.parametrize(
    ("method", "algorithm"),
    [
        ("HmacSHA256", "sha256"),
        ("HmacSHA1", "sha1"),
        ("hmacsha256", "sha1"),
        ("other", "sha1"),
        (None, "sha1"),
    ],
)
def test_only_the_literal_name_selects_sha256(method: str | None, algorithm: str) -> None:
    """`SignatureMethod` is `HmacSHA256` for SHA-256; anything else, and nothing, means SHA-1."""
    extra = {} if method is None else {"SignatureMethod": method}
    params = v1_params(**extra)
    source = "&".join(f"{name}={value}" for name, value in sorted(params))
    signature = signature_of(f"GETh/?{source}", algorithm)

    signing.verify_v1("GET", ["h"], "/", [*params, ("Signature", signature)], SECRET_KEY)


SIGNED_V1 = v1_params(Signature=signature_of(f"GETh/?{BASE_SOURCE}"))


@pytest.mark.parametrize("name", ["Action", "Nonce", "SecretId", "SubAppId", "Timestamp", "Signature"])
@pytest.mark.parametrize("change", ["changed", "removed", "renamed"])
def test_a_tampered_v1_parameter_is_refused(name: str, change: str) -> None:
    """Every parameter is covered: its value, its name and that it is there."""
    params = {
        "changed": [(n, v + "1" if n == name else v) for n, v in SIGNED_V1],
        "removed": [(n, v) for n, v in SIGNED_V1 if n != name],
        "renamed": [(n + "x" if n == name else n, v) for n, v in SIGNED_V1],
    }[change]

    with pytest.raises(MissingInput if name == "Signature" and change != "changed" else SignatureMismatch):
        signing.verify_v1("GET", ["h"], "/", params, SECRET_KEY)


@pytest.mark.parametrize(
    ("method", "host", "path", "key", "added"),
    [
        ("POST", "h", "/", SECRET_KEY, []),
        ("GET", "i", "/", SECRET_KEY, []),
        ("GET", "h", "/v2/index.php", SECRET_KEY, []),
        ("GET", "h", "/", "anotherKey", []),
        ("GET", "h", "/", SECRET_KEY, [("fileId", "1")]),
        ("GET", "h", "/", SECRET_KEY, [("SignatureMethod", "HmacSHA256")]),
    ],
)
def test_a_tampered_v1_request_is_refused(
    method: str, host: str, path: str, key: str, added: list[tuple[str, str]]
) -> None:
    """Method, host, path and key are covered, and nothing can be added."""
    signing.verify_v1("GET", ["h"], "/", SIGNED_V1, SECRET_KEY)

    with pytest.raises(SignatureMismatch):
        signing.verify_v1(method, [host], path, [*SIGNED_V1, *added], key)


@pytest.mark.parametrize("name", ["SecretId", "Timestamp", "Nonce", "Signature"])
def test_a_missing_common_parameter_is_named(name: str) -> None:
    """A request without one of the common parameters is told which."""
    with pytest.raises(MissingInput) as caught:
        signing.parse_v1([pair for pair in SIGNED_V1 if pair[0] != name])

    assert caught.value.field == name


@pytest.mark.parametrize(("name", "value"), [("Nonce", "-1"), ("Nonce", "1.5"), ("Timestamp", "yesterday")])
def test_a_common_parameter_of_the_wrong_form_is_malformed(name: str, value: str) -> None:
    """Nonce and timestamp are whole numbers."""
    with pytest.raises(SignatureMalformed):
        signing.parse_v1([(n, value if n == name else v) for n, v in SIGNED_V1])


def test_a_parameter_that_comes_twice_is_malformed() -> None:
    """What is signed and what is read must not differ, so no name comes twice."""
    with pytest.raises(SignatureMalformed, match="SubAppId"):
        signing.parse_v1([*SIGNED_V1, ("SubAppId", "1500000002")])


@settings(deadline=None)
@given(
    params=st.lists(
        st.tuples(any_text | st.sampled_from(["SecretId", "Timestamp", "Nonce", "Signature"]), any_text)
    ),
    signature=any_text.filter(bool),
)
def test_no_parameters_do_more_than_be_refused(params: list[tuple[str, str]], signature: str) -> None:
    """Whatever a stranger sends as parameters, the answer is a refusal and never an accident."""
    with suppress(SignatureMalformed, MissingInput):
        signing.parse_v1(params)
    with pytest.raises(SignatureMismatch):
        signing.verify_v1("POST", ["h"], "/", [*params, ("Signature", signature)], SECRET_KEY)


@pytest.mark.parametrize("seconds", [-7200, 0, 7200])
def test_two_hours_of_skew_are_let_in_by_the_2017_api(seconds: int) -> None:
    """A client of the 2017 API may be two hours early or late."""
    signing.check_timestamp_2017(TIMESTAMP, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-7200.001, 7200.001])
def test_more_than_two_hours_of_skew_count_as_a_replay(seconds: float) -> None:
    """The 2017 API has one code for a used nonce and a timestamp beyond the span in which nonces are kept."""
    with pytest.raises(NonceReplayed):
        signing.check_timestamp_2017(TIMESTAMP, NOW + timedelta(seconds=seconds))


def test_a_v1_request_of_the_2018_api_has_five_minutes() -> None:
    """The older signature of the newer API keeps the newer API's clock rule."""
    signing.check_timestamp(TIMESTAMP, NOW + timedelta(seconds=300))
    with pytest.raises(SignatureExpired):
        signing.check_timestamp(TIMESTAMP, NOW + timedelta(seconds=301))


def test_nothing_that_is_printed_holds_a_secret() -> None:
    """Neither keys nor signatures nor bodies show in representations or messages."""
    signed = request(body=b'{"SignKey": "callbackKey0001"}')
    claim = signing.parse_tc3(signed)
    with pytest.raises(SignatureMismatch) as caught:
        verify(signed, key="anotherKey")
    with pytest.raises(SignatureMismatch) as caught_v1:
        signing.verify_v1("GET", ["h"], "/", SIGNED_V1, "anotherKey")

    printed = " ".join(
        [
            repr(signed),
            repr(claim),
            repr(signing.parse_v1(SIGNED_V1)),
            repr(caught.value),
            repr(caught_v1.value),
        ]
    )

    for secret in (
        "anotherKey",
        "callbackKey0001",
        claim.signature,
        dict(SIGNED_V1)["Signature"],
        SECRET_KEY,
    ):
        assert secret not in printed
    assert claim.secret_id in printed

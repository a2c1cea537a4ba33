"""
Signatures of API requests: verified for the server, made for clients.

Two schemes are spoken. *TC3* (TC3-HMAC-SHA256) signs method, query, chosen headers and body of a 2018-07-17
request, and travels in the `Authorization` header. *v1* (HmacSHA1 or HmacSHA256) signs the parameters of a
request, of the 2018-07-17 API at `/` or of the 2017 API at `/v2/index.php`, and travels as one of them.

A server first parses what the request claims (`parse_tc3`, `parse_v1`), finds the key of the claimed secret
id, and then verifies. Who that key belongs to, and whether a nonce came before, is the server's to know.

Deliberately strict where a scheme leaves something unsigned: a query on a POST and a body on a GET are part
of what TC3 must cover here, and `verify_v1` hands back the parameters that its signature covers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from vodsprite.errors import (
    MissingInput,
    NonceReplayed,
    SignatureExpired,
    SignatureMalformed,
    SignatureMismatch,
)

Params = Sequence[tuple[str, str]]
"""Names and decoded values of a query or form, in the order in which they came."""

MAX_SKEW_S = 300
"""How far a timestamp of the 2018-07-17 API may be from the server's clock."""

MAX_SKEW_2017_S = 7200
"""The same for the 2017 API, which relies on nonces inside that span."""

HOST_2017 = "vod.api.qcloud.com"
"""The host that clients of the 2017 API sign for, wherever they are sent to."""

_ALGORITHM = "TC3-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_MINIMUM = ("content-type", "host")
_MAX_AUTHORIZATION = 4096

_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256\s+Credential=(?P<secret_id>[^/,\s]+)/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>[^,\s]+)/tc3_request"
    r"\s*,\s*SignedHeaders=(?P<names>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)
_TIMESTAMP = re.compile(r"0|[1-9]\d{0,10}", re.ASCII)  # no sign, no leading zero, a year that datetime knows
_NONCE = re.compile(r"\d{1,20}", re.ASCII)

_MISMATCH = (
    "the signature does not fit this request and the key of its secret id "
    "(a proxy on the way must keep Host, Content-Type, query and body as they are)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """What a TC3 signature is made over, as it travels."""

    method: str
    headers: Mapping[str, str] = field(repr=False)  # names in lower case
    raw_query: str = field(default="", repr=False)  # what follows "?", neither decoded nor sorted
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tc3Claim:
    """What a request says of its TC3 signature; nothing of it is proven."""

    secret_id: str
    timestamp: int  # Unix seconds
    date: str
    service: str  # clients put here what they like: "vod", or the first label of the host
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class V1Claim:
    """What a request says of its v1 signature; nothing of it is proven."""

    secret_id: str
    timestamp: int  # Unix seconds
    nonce: int
    signature: str = field(repr=False)


def parse_tc3(request: SignedRequest) -> Tc3Claim:
    """
    Read the claim of a TC3 request.

    Raises:
        SignatureMalformed: `Authorization` is absent or not of the scheme's form, leaves `content-type` or
            `host` unsigned, names a header that the request lacks, or the timestamp is no Unix time.
        MissingInput: There is no `X-TC-Timestamp`.
    """
    authorization = request.headers.get("authorization", "").strip()
    if not authorization:
        raise SignatureMalformed("the request carries no Authorization header")
    match = _AUTHORIZATION.fullmatch(authorization) if len(authorization) <= _MAX_AUTHORIZATION else None
    if match is None:
        raise SignatureMalformed(f"the Authorization header has not the form of {_ALGORITHM}")
    names = tuple(match["names"].split(";"))
    for name in _MINIMUM:
        if name not in names:
            raise SignatureMalformed(f"the header {name} is not signed")
    for name in names:
        if name not in request.headers:
            raise SignatureMalformed(f"the request lacks the signed header {_quoted(name)}")
    return Tc3Claim(
        secret_id=match["secret_id"],
        timestamp=_timestamp("X-TC-Timestamp", request.headers.get("x-tc-timestamp")),
        date=match["date"],
        service=match["service"],
        signed_headers=names,
        signature=match["signature"],
    )


def verify_tc3(
    request: SignedRequest, claim: Tc3Claim, secret_key: str, now: datetime, max_skew_s: float = MAX_SKEW_S
) -> None:
    """
    Prove *claim*, which `parse_tc3` read from *request*, with the key of its secret id.

    Header values count as received or in lower case (the documentation lowers them, SDKs do not), the host
    with its port or without (the Node.js SDK leaves it out).

    Raises:
        SignatureExpired: The timestamp is more than *max_skew_s* seconds away from *now*.
        SignatureMismatch: The signature was made with another key or over another request.
    """
    check_timestamp(claim.timestamp, now, max_skew_s)
    if claim.date != _utc_date(claim.timestamp):
        raise SignatureMismatch("the date of the credential scope is not the UTC date of the timestamp")
    for headers in _header_forms(request.headers, claim.signed_headers):
        expected = _tc3_signature(
            request,
            headers,
            secret_key=secret_key,
            timestamp=claim.timestamp,
            service=claim.service,
        )
        if hmac.compare_digest(expected.encode(), claim.signature.encode()):
            return
    raise SignatureMismatch(_MISMATCH)


def sign_tc3(
    request: SignedRequest, *, secret_id: str, secret_key: str, timestamp: int, service: str = "vod"
) -> dict[str, str]:
    """
    Return the headers that make *request* a signed one: `X-TC-Timestamp` and `Authorization`.

    *request* must carry `content-type` and `host`, which are what is signed, and any `x-tc-content-sha256`.
    The action, version, region and token headers are the caller's to add; the scheme leaves them unsigned.
    """
    headers = [(name, request.headers[name]) for name in _MINIMUM]
    signature = _tc3_signature(request, headers, secret_key=secret_key, timestamp=timestamp, service=service)
    scope = f"{_utc_date(timestamp)}/{service}/tc3_request"
    return {
        "X-TC-Timestamp": str(timestamp),
        "Authorization": (
            f"{_ALGORITHM} Credential={secret_id}/{scope}, "
            f"SignedHeaders={';'.join(_MINIMUM)}, Signature={signature}"
        ),
    }


def parse_v1(params: Params) -> V1Claim:
    """
    Read the claim of a v1 request, of either API.

    Raises:
        MissingInput: `SecretId`, `Timestamp`, `Nonce` or `Signature` is absent; `field` is that name.
        SignatureMalformed: `Timestamp` or `Nonce` is no whole number, or a parameter came twice, so that what
            is signed and what is read might differ.
    """
    values: dict[str, str] = {}
    for name, value in params:
        if name in values:
            raise SignatureMalformed(f"the parameter {_quoted(name)} came twice")
        values[name] = value
    for name in ("SecretId", "Timestamp", "Nonce", "Signature"):
        if not values.get(name):
            raise MissingInput(name)
    if not _NONCE.fullmatch(values["Nonce"]):
        raise SignatureMalformed("Nonce is no whole number")
    return V1Claim(
        secret_id=values["SecretId"],
        timestamp=_timestamp("Timestamp", values["Timestamp"]),
        nonce=int(values["Nonce"]),
        signature=values["Signature"],
    )


def verify_v1(method: str, hosts: Sequence[str], path: str, params: Params, secret_key: str) -> Params:
    """
    Prove the v1 signature of a request and return the parameters that it covers, `Signature` excepted.

    Act on the returned parameters only: SDKs of the 2017 API leave POST values that start with `@` out of
    what they sign, so whoever sees such a request could add some.

    Args:
        hosts: Which hosts the client may have signed for, likeliest first; see `host_forms`.
        path: `/` for the 2018-07-17 API, `/v2/index.php` for the 2017 one.
        params: All of the query (GET) or form (POST), decoded.

    Raises:
        MissingInput: There is no `Signature`.
        SignatureMismatch: The signature was made with another key or over another request.
    """
    given = dict(params).get("Signature")
    if not given:
        raise MissingInput("Signature")
    digest = _v1_digest(params)
    for covered in _covered_forms(method, params):
        for text in _texts(covered):
            for host in hosts:
                expected = _v1_signature(f"{method.upper()}{host}{path}?{text}", secret_key, digest)
                if hmac.compare_digest(expected.encode(), _bytes(given)):
                    return covered
    raise SignatureMismatch(_MISMATCH)


def sign_v1(method: str, host: str, path: str, params: Params, secret_key: str) -> str:
    """
    Return the `Signature` of *params*, by the method that their `SignatureMethod` names (absent: HmacSHA1).
    """
    covered = [pair for pair in params if pair[0] != "Signature"]
    text = _joined(sorted(covered))
    return _v1_signature(f"{method.upper()}{host}{path}?{text}", secret_key, _v1_digest(params))


def host_forms(host: str, *others: str) -> tuple[str, ...]:
    """
    Return the hosts that a client may have signed for: the `Host` that came, it without its port, *others*.
    """
    return tuple(dict.fromkeys((host, _without_port(host), *others)))


def check_timestamp(timestamp: int, now: datetime, max_skew_s: float = MAX_SKEW_S) -> None:
    """
    Refuse a 2018-07-17 request, TC3 or v1, from another time.

    Raises:
        SignatureExpired: *timestamp* (Unix seconds) is more than *max_skew_s* seconds away from *now*.
    """
    if _is_away(timestamp, now, max_skew_s):
        raise SignatureExpired(_away_text(timestamp, now, max_skew_s))


def check_timestamp_2017(timestamp: int, now: datetime, max_skew_s: float = MAX_SKEW_2017_S) -> None:
    """
    Refuse a 2017 request whose nonce is no longer remembered.

    Raises:
        NonceReplayed: *timestamp* (Unix seconds) is more than *max_skew_s* seconds away from *now*. The 2017
            API has one code for this and for a nonce that came before.
    """
    if _is_away(timestamp, now, max_skew_s):
        raise NonceReplayed(_away_text(timestamp, now, max_skew_s))


def _tc3_signature(
    request: SignedRequest,
    headers: Sequence[tuple[str, str]],
    *,
    secret_key: str,
    timestamp: int,
    service: str,
) -> str:
    unsigned = request.headers.get("x-tc-content-sha256") == _UNSIGNED
    canonical = "\n".join(
        [
            request.method.upper(),
            "/",  # whatever path the request went to
            request.raw_query,
            "".join(f"{name}:{value}\n" for name, value in headers),
            ";".join(name for name, _ in headers),
            hashlib.sha256(_UNSIGNED.encode() if unsigned else request.body).hexdigest(),
        ]
    )
    date = _utc_date(timestamp)
    to_sign = "\n".join(
        [
            _ALGORITHM,
            str(timestamp),
            f"{date}/{service}/tc3_request",
            hashlib.sha256(_bytes(canonical)).hexdigest(),
        ]
    )
    key = _bytes(f"TC3{secret_key}")
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, _bytes(part), "sha256")
    return hmac.digest(key, _bytes(to_sign), "sha256").hex()


def _header_forms(headers: Mapping[str, str], names: Sequence[str]) -> Iterator[tuple[tuple[str, str], ...]]:
    """The signed headers in each form in which a client may have signed them, without repeats."""
    received = tuple((name, headers.get(name, "").strip()) for name in names)
    lowered = tuple((name, value.lower()) for name, value in received)
    forms = []
    for form in (received, lowered):
        portless = tuple((n, _without_port(v) if n == "host" else v) for n, v in form)
        forms += [form, portless]
    yield from dict.fromkeys(forms)


def _covered_forms(method: str, params: Params) -> Iterator[Params]:
    """
    What the signature may cover: every parameter, or on a POST those that do not look like files to an SDK.
    """
    signed = [pair for pair in params if pair[0] != "Signature"]
    yield signed
    plain = [pair for pair in signed if not pair[1].startswith("@")]
    if method.upper() == "POST" and len(plain) < len(signed):
        yield plain


def _texts(params: Params) -> Iterator[str]:
    """
    *params* as clients join them: sorted by name, names with `.` for `_`.

    The documentation replaces nothing, SDKs of the 2017 API replace after sorting, those of 2018-07-17
    before.
    """
    by_name = sorted(params)
    dotted = [(name.replace("_", "."), value) for name, value in by_name]
    yield from dict.fromkeys((_joined(dotted), _joined(sorted(dotted)), _joined(by_name)))


def _joined(params: Params) -> str:
    return "&".join(f"{name}={value}" for name, value in params)


def _v1_digest(params: Params) -> str:
    return "sha256" if dict(params).get("SignatureMethod") == "HmacSHA256" else "sha1"


def _v1_signature(source: str, secret_key: str, digest: str) -> str:
    return base64.b64encode(hmac.digest(_bytes(secret_key), _bytes(source), digest)).decode()


def _without_port(host: str) -> str:
    return re.sub(r":\d+\Z", "", host, flags=re.ASCII)


def _timestamp(name: str, text: str | None) -> int:
    if not text:
        raise MissingInput(name)
    if not _TIMESTAMP.fullmatch(text):
        raise SignatureMalformed(f"{name} is no Unix time in seconds")
    return int(text)


def _utc_date(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")


def _is_away(timestamp: int, now: datetime, max_skew_s: float) -> bool:
    return abs(now - datetime.fromtimestamp(timestamp, UTC)) > timedelta(seconds=max_skew_s)


def _away_text(timestamp: int, now: datetime, max_skew_s: float) -> str:
    away_s = abs(now - datetime.fromtimestamp(timestamp, UTC)).total_seconds()
    return (
        f"the timestamp {timestamp} is {math.ceil(away_s)} s away from this server's clock; "
        f"at most {max_skew_s:g} s are allowed"
    )


def _bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate, which no signature was ever made over, must not become an error of ours."""
    return text.encode("utf-8", "surrogatepass")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")

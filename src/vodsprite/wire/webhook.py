"""
Signatures of webhooks: made by the sender, verified by the receiver.

The headers are those of the Standard Webhooks specification 1.0.0 (standardwebhooks.com): `webhook-id`, the
same on every attempt, `webhook-timestamp`, the attempt's own, and `webhook-signature`. Its signature covers
id, timestamp and body, and the header may carry several, which is how a secret is rotated without a lost
event.

Tencent's own `Sign` and `T` are here too. They cover no body: whoever sees one body can send others until
`T`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from vodsprite.clock import EPOCH
from vodsprite.errors import InvalidInput, SignatureExpired, SignatureMalformed, SignatureMismatch

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

TOLERANCE_S = 300
"""How far an attempt's timestamp may be from the receiver's clock."""

CALLBACK_SIGN_S = 600
"""How long `Sign` stands after sending."""

_PREFIX = "whsec_"
_VERSION = "v1"
_MIN_KEY_BYTES, _MAX_KEY_BYTES = 24, 64
_TIMESTAMP = re.compile(r"\d{1,11}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret:
    """A key that sender and receiver share: 24 to 64 bytes, as the specification asks."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _MIN_KEY_BYTES <= len(self.key) <= _MAX_KEY_BYTES:
            raise InvalidInput(
                "secret",
                f"has {len(self.key)} bytes; a webhook secret has {_MIN_KEY_BYTES} to {_MAX_KEY_BYTES}",
            )

    @classmethod
    def parse(cls, text: str) -> WebhookSecret:
        """
        Read `whsec_` and Base64, the form in which secrets are shown; the prefix may be absent.

        Raises:
            InvalidInput: *text* is no Base64, or the key is too short or too long.
        """
        encoded = text.strip().removeprefix(_PREFIX).rstrip("=")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (ValueError, binascii.Error):
            # Not chained: the decoder's words may quote the secret.
            raise InvalidInput("secret", f"is not {_PREFIX} followed by Base64") from None
        return cls(key=key)

    @property
    def name(self) -> str:
        """8 hex digits of the key's SHA-256: they tell secrets apart and give none away."""
        return hashlib.sha256(self.key).hexdigest()[:8]

    def reveal(self) -> str:
        """Return the secret as `whsec_` and Base64, for the eyes of whoever configures the receiver."""
        return _PREFIX + base64.b64encode(self.key).decode()


def sign(secrets: Sequence[WebhookSecret], event_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """
    Return the identity headers of one attempt, in lower case.

    Without *secrets* there is no `webhook-signature`; with several (a rotation) it carries one signature
    each.

    Args:
        event_id: Without a full stop, which separates what is signed.
        sent_at: Aware; the attempt's time in whole seconds is what travels.
    """
    if not event_id or "." in event_id:
        raise ValueError("an event id is not empty and has no full stop")
    timestamp = str((sent_at - EPOCH) // timedelta(seconds=1))
    headers = {ID_HEADER: event_id, TIMESTAMP_HEADER: timestamp}
    if secrets:
        signatures = (_signature(secret, event_id, timestamp, body) for secret in secrets)
        headers[SIGNATURE_HEADER] = " ".join(f"{_VERSION},{signature}" for signature in signatures)
    return headers


def verify(
    secrets: Sequence[WebhookSecret],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """
    Prove that a holder of one of *secrets* sent *body*, and return the event's id.

    The same id may come more than once: receivers remember what they have handled.

    Args:
        headers: Names in lower case, or a mapping that does not mind case.
        body: The bytes that came, before any parsing.

    Raises:
        SignatureMalformed: One of the three headers is absent or unreadable.
        SignatureExpired: The attempt is more than *tolerance_s* seconds away from *now*.
        SignatureMismatch: No signature was made over this with one of *secrets*.
    """
    event_id = headers.get(ID_HEADER, "")
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    given = headers.get(SIGNATURE_HEADER, "")
    for name, value in ((ID_HEADER, event_id), (TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, given)):
        if not value:
            raise SignatureMalformed(f"the request carries no {name} header")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureMalformed(f"{TIMESTAMP_HEADER} is no Unix time in seconds")
    away = abs(now - datetime.fromtimestamp(int(timestamp), UTC))
    if away > timedelta(seconds=tolerance_s):
        raise SignatureExpired(
            f"the webhook was sent {away.total_seconds():.0f} s away from this clock; "
            f"at most {tolerance_s:g} s are allowed"
        )
    candidates = [signature for version, _, signature in _listed(given) if version == _VERSION]
    if not candidates:
        raise SignatureMalformed(f"{SIGNATURE_HEADER} has no signature of version {_VERSION}")
    for secret in secrets:
        expected = _signature(secret, event_id, timestamp, body).encode()
        for candidate in candidates:
            if hmac.compare_digest(expected, candidate.encode("utf-8", "surrogatepass")):
                return event_id
    raise SignatureMismatch("no signature fits this webhook and the secrets known here")


def callback_sign(sign_key: str, sent_at: datetime) -> tuple[str, int]:
    """Return `Sign` and `T` for a body that is sent at *sent_at*: the hash stands for ten minutes."""
    expires_at = (sent_at - EPOCH) // timedelta(seconds=1) + CALLBACK_SIGN_S
    return callback_hash(sign_key, expires_at), expires_at


def callback_hash(sign_key: str, t: int) -> str:
    """Return `Sign` for the Unix second *t*: MD5 of the key and *t* in decimal, 32 lower-case hex digits."""
    text = f"{sign_key}{t}".encode("utf-8", "surrogatepass")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def verify_callback_sign(sign_key: str, sign: str, t: int, now: datetime) -> None:
    """
    Prove that whoever sent `Sign` and `T` knows *sign_key*; the case of the hex digits does not count.

    Raises:
        SignatureExpired: *now* is past *t*.
        SignatureMismatch: `Sign` was made with another key or for another `T`.
    """
    if (now - EPOCH) / timedelta(seconds=1) > t:
        raise SignatureExpired(f"the callback's signature stood until {t}, which is past")
    expected = callback_hash(sign_key, t).encode()
    if not hmac.compare_digest(expected, sign.lower().encode("utf-8", "surrogatepass")):
        raise SignatureMismatch("Sign does not fit T and the key known here")


def _signature(secret: WebhookSecret, event_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{event_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body
    return base64.b64encode(hmac.digest(secret.key, signed, "sha256")).decode()


def _listed(header: str) -> list[tuple[str, str, str]]:
    return [entry.partition(",") for entry in header.split(" ")]

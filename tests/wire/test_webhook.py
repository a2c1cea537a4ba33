"""Webhook signatures, against the vector that the specification's own libraries are tested with."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vodsprite.errors import InvalidInput, SignatureExpired, SignatureMalformed, SignatureMismatch
from vodsprite.wire import webhook
from vodsprite.wire.webhook import WebhookSecret

# From the reference libraries of the Standard Webhooks specification (their `TestWebhookSign`).
SECRET = WebhookSecret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
EVENT_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {
    "webhook-id": EVENT_ID,
    "webhook-timestamp": "1614265330",
    "webhook-signature": SIGNATURE,
}

OTHER = WebhookSecret(key=bytes(range(32)))


def test_a_webhook_is_signed_as_the_specification_says() -> None:
    """Id, timestamp and body give the vector's signature."""
    assert webhook.sign([SECRET], EVENT_ID, SENT_AT, BODY) == HEADERS


def test_the_vector_verifies_and_tells_the_event_id() -> None:
    """A receiver that knows the secret gets the id to remember."""
    assert webhook.verify([SECRET], HEADERS, BODY, SENT_AT) == EVENT_ID


def test_fractions_of_a_second_do_not_travel() -> None:
    """The timestamp is in whole seconds, and it is what was signed."""
    sent_at = SENT_AT + timedelta(milliseconds=999)

    assert webhook.sign([SECRET], EVENT_ID, sent_at, BODY) == HEADERS


def test_without_a_secret_a_webhook_has_its_identity_only() -> None:
    """Id and timestamp are always there; a signature needs a secret."""
    assert webhook.sign([], EVENT_ID, SENT_AT, BODY) == {
        "webhook-id": EVENT_ID,
        "webhook-timestamp": "1614265330",
    }


def test_while_a_secret_is_rotated_both_receivers_verify() -> None:
    """With two secrets there are two signatures, and either secret alone accepts the webhook."""
    headers = webhook.sign([OTHER, SECRET], EVENT_ID, SENT_AT, BODY)

    assert headers["webhook-signature"].split(" ")[1] == SIGNATURE
    assert webhook.verify([SECRET], headers, BODY, SENT_AT) == EVENT_ID
    assert webhook.verify([OTHER], headers, BODY, SENT_AT) == EVENT_ID


def test_a_receiver_may_know_several_secrets() -> None:
    """A receiver can take the new secret before the sender uses it."""
    assert webhook.verify([OTHER, SECRET], HEADERS, BODY, SENT_AT) == EVENT_ID


def test_signatures_of_other_versions_are_passed_over() -> None:
    """A signature that the receiver does not understand does not spoil the one that it does."""
    headers = {**HEADERS, "webhook-signature": f"v1a,AAAA v2,{SIGNATURE[3:]} nonsense  {SIGNATURE}"}

    assert webhook.verify([SECRET], headers, BODY, SENT_AT) == EVENT_ID


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", EVENT_ID + "x"),
        ("webhook-timestamp", "1614265331"),
        ("webhook-timestamp", "01614265330"),
        ("webhook-signature", SIGNATURE[:-2] + "A="),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,Ünfug"),
    ],
)
def test_a_tampered_header_is_refused(header: str, value: str) -> None:
    """Id and timestamp are covered, and a signature is right or it is not."""
    with pytest.raises(SignatureMismatch):
        webhook.verify([SECRET], {**HEADERS, header: value}, BODY, SENT_AT)


@pytest.mark.parametrize("body", [b"", BODY + b" ", BODY.replace(b" ", b"")])
def test_a_tampered_body_is_refused(body: bytes) -> None:
    """Every byte of the body is covered; the same JSON in other words is another body."""
    with pytest.raises(SignatureMismatch):
        webhook.verify([SECRET], HEADERS, body, SENT_AT)


@pytest.mark.parametrize("secrets", [[], [OTHER]])
def test_another_secret_is_refused(secrets: list[WebhookSecret]) -> None:
    """Without the secret nothing verifies."""
    with pytest.raises(SignatureMismatch):
        webhook.verify(secrets, HEADERS, BODY, SENT_AT)


@pytest.mark.parametrize("header", list(HEADERS))
def test_a_missing_header_is_named(header: str) -> None:
    """A request that lacks one of the three headers says which."""
    with pytest.raises(SignatureMalformed, match=header):
        webhook.verify([SECRET], {k: v for k, v in HEADERS.items() if k != header}, BODY, SENT_AT)


@pytest.mark.parametrize("text", ["-1", "1e9", "1614265330.0", "now", "9" * 12, "٣"])
def test_a_timestamp_that_is_no_unix_time_is_malformed(text: str) -> None:
    """Only decimal seconds count."""
    with pytest.raises(SignatureMalformed, match="webhook-timestamp"):
        webhook.verify([SECRET], {**HEADERS, "webhook-timestamp": text}, BODY, SENT_AT)


def test_a_signature_of_no_known_version_is_malformed() -> None:
    """A receiver says when there is nothing that it could check."""
    with pytest.raises(SignatureMalformed, match="version v1"):
        webhook.verify([SECRET], {**HEADERS, "webhook-signature": "v1a,AAAA"}, BODY, SENT_AT)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_of_skew_are_let_in(seconds: int) -> None:
    """A receiver's clock may be five minutes early or late."""
    assert webhook.verify([SECRET], HEADERS, BODY, SENT_AT + timedelta(seconds=seconds)) == EVENT_ID


@pytest.mark.parametrize("seconds", [-300.001, 300.001])
def test_an_old_or_early_webhook_is_refused(seconds: float) -> None:
    """What was sent more than five minutes away may be a replay."""
    with pytest.raises(SignatureExpired):
        webhook.verify([SECRET], HEADERS, BODY, SENT_AT + timedelta(seconds=seconds))


def test_the_tolerance_can_be_chosen() -> None:
    """A receiver may be stricter."""
    with pytest.raises(SignatureExpired):
        webhook.verify([SECRET], HEADERS, BODY, SENT_AT + timedelta(seconds=2), tolerance_s=1)


any_text = st.text(st.characters())  # lone surrogates too


@settings(deadline=None)
@given(headers=st.dictionaries(st.sampled_from(list(HEADERS)), any_text), body=st.binary())
def test_no_request_does_more_than_be_refused(headers: dict[str, str], body: bytes) -> None:
    """Whatever a stranger sends to a receiver, the answer is a refusal and never an accident."""
    with pytest.raises((SignatureMalformed, SignatureMismatch, SignatureExpired)):
        webhook.verify([SECRET], {**HEADERS, **headers}, body + b"stranger", SENT_AT)


@settings(deadline=None)
@given(key=st.binary(min_size=24, max_size=64), body=st.binary(), event_id=st.from_regex(r"\Aevt_\w+\Z"))
def test_what_was_signed_verifies(key: bytes, body: bytes, event_id: str) -> None:
    """Any key, body and id go through, and the secret survives being shown and read back."""
    secret = WebhookSecret(key=key)

    headers = webhook.sign([secret], event_id, SENT_AT, body)

    assert webhook.verify([WebhookSecret.parse(secret.reveal())], headers, body, SENT_AT) == event_id


@pytest.mark.parametrize("event_id", ["", "a.b"])
def test_an_id_that_could_be_mistaken_for_a_timestamp_is_not_signed(event_id: str) -> None:
    """The full stop separates what is signed, so no id has one."""
    with pytest.raises(ValueError, match="full stop"):
        webhook.sign([SECRET], event_id, SENT_AT, BODY)


@pytest.mark.parametrize(
    "text",
    [
        "whsec_" + base64.b64encode(bytes(range(32))).decode(),
        base64.b64encode(bytes(range(32))).decode(),
        base64.b64encode(bytes(range(32))).decode().rstrip("="),
        " whsec_" + base64.b64encode(bytes(range(32))).decode() + "\n",
    ],
)
def test_a_secret_is_read_in_the_forms_in_which_people_paste_it(text: str) -> None:
    """Prefix and padding may be absent, white space may surround it."""
    assert WebhookSecret.parse(text) == OTHER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + "A" * 200,
        "whsec_!!!!" + base64.b64encode(bytes(range(32))).decode(),
        "ü",
    ],
)
def test_a_secret_that_is_none_is_refused(text: str) -> None:
    """A secret is Base64 of 24 to 64 bytes; the refusal does not repeat it."""
    with pytest.raises(InvalidInput) as caught:
        WebhookSecret.parse(text)

    assert caught.value.field == "secret"
    assert text[6:] == "" or text[6:] not in str(caught.value)


def test_a_secret_does_not_print() -> None:
    """Only who asks for it sees a secret."""
    assert "MfKQ" not in f"{SECRET!r} {SECRET}"
    assert str(SECRET.key) not in repr(SECRET)
    assert SECRET.reveal() == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_callback_signature_is_the_vector(vectors: Any) -> None:
    """`Sign` is the MD5 of key and `T`, in lower case, and `T` is ten minutes after sending."""
    vector = vectors["callbackSign"]
    sent_at = datetime.fromtimestamp(vector["T"] - 600, UTC) + timedelta(milliseconds=10)

    assert webhook.callback_sign(vector["SignKey"], sent_at) == (vector["Sign"], vector["T"])


def test_a_callback_signature_stands_until_its_time(vectors: Any) -> None:
    """`Sign` verifies up to the second `T`, in either case, and no longer."""
    vector = vectors["callbackSign"]
    key, sign, t = vector["SignKey"], vector["Sign"], vector["T"]
    end = datetime.fromtimestamp(t, UTC)

    webhook.verify_callback_sign(key, sign, t, end)
    webhook.verify_callback_sign(key, sign.upper(), t, end)
    with pytest.raises(SignatureExpired):
        webhook.verify_callback_sign(key, sign, t, end + timedelta(milliseconds=1))


@pytest.mark.parametrize(
    ("key", "sign", "later"),
    [
        ("callbackKey0002", "9336f03586b26eddfb476af4f2517062", 0),
        ("callbackKey0001", "9336f03586b26eddfb476af4f2517063", 0),
        ("callbackKey0001", "9336f03586b26eddfb476af4f2517062", 1),
        ("callbackKey0001", "9336f03586b26eddfb476af4f2517062", 10**30),
        ("callbackKey0001", "", 0),
        ("callbackKey0001", "ü", 0),
    ],
)
def test_a_tampered_callback_signature_is_refused(key: str, sign: str, later: int) -> None:
    """Key, hash and time belong together."""
    with pytest.raises(SignatureMismatch):
        webhook.verify_callback_sign(key, sign, 1767226200 + later, datetime.fromtimestamp(1767226200, UTC))

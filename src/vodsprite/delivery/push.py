"""One attempt to push: render the event, sign it, send it, say what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from vodsprite.database.lease import Lease
from vodsprite.delivery import record
from vodsprite.delivery.delivery import Attempt, Channel, Destination, Outcome, StoredEvent
from vodsprite.outbound.http import Outbound, SendFailed
from vodsprite.wire import payloads, webhook

CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A delivery that we hold and have not sent."""

    lease: Lease
    number: int  # of the attempt to be made, from 1
    event: StoredEvent
    destination: Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A delivery that was sent, and what came of it."""

    pending: Pending
    attempt: Attempt
    retry_after: str | None


async def send(outbound: Outbound, pending: Pending, *, now: datetime) -> Sent:
    """
    Make the attempt; *now* is when it starts.

    Raises:
        AddressRefused: The address may not be dialled; nothing was sent.
        ValueError: The event cannot be read or rendered by this version.
    """
    destination = pending.destination
    body = render(pending, now=now)
    headers = sign(pending, body, now=now)
    try:
        answer = await outbound.post(destination.url, body, headers, timeout_s=destination.timeout_s)
    except SendFailed as failure:
        outcome = Outcome.TIMED_OUT if failure.timed_out else Outcome.UNREACHABLE
        attempt = _attempt(pending, now, failure.latency_ms, outcome, None, failure.reason)
        return Sent(pending=pending, attempt=attempt, retry_after=None)
    attempt = _attempt(pending, now, answer.latency_ms, classify(answer.status), answer.status, answer.head)
    return Sent(pending=pending, attempt=attempt, retry_after=answer.retry_after)


def render(pending: Pending, *, now: datetime) -> bytes:
    """Return the body, in the format of the destination's channel."""
    event = record.from_json(pending.event.type, pending.event.data)
    if pending.destination.channel is Channel.PUSH_V2:
        body = payloads.render_v2(event)
        if body is None:
            raise ValueError(f"{pending.event.type.value} has no 2.0 form")
        return payloads.to_bytes(body)
    sign_key = pending.destination.sign_key
    return payloads.to_bytes(
        payloads.render_v3(event, sign=webhook.callback_sign(sign_key, now) if sign_key else None)
    )


def sign(pending: Pending, body: bytes, *, now: datetime) -> dict[str, str]:
    """Return the request's headers: its type, and who it is and from whom (Standard Webhooks)."""
    secrets = [webhook.WebhookSecret.parse(secret) for secret in pending.destination.secrets]
    return {"Content-Type": CONTENT_TYPE, **webhook.sign(secrets, pending.event.event_id, now, body)}


def classify(status: int) -> Outcome:
    """Return what an answer of *status* means."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return Outcome.GONE if status == 410 else Outcome.REJECTED


def shown(url: str) -> str:
    """Return *url* as it may be shown: without a password, and without a query, which may hold a token."""
    parts = urlsplit(url)
    return parts._replace(
        netloc=parts.netloc.rpartition("@")[2], query="…" if parts.query else "", fragment=""
    ).geturl()


def _attempt(
    pending: Pending, now: datetime, latency_ms: int, outcome: Outcome, status: int | None, answer: str
) -> Attempt:
    return Attempt(
        number=pending.number,
        url=shown(pending.destination.url),
        started_at=now,
        latency_ms=latency_ms,
        outcome=outcome,
        status_code=status,
        # PostgreSQL's text takes no NUL.
        answer=answer.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    )

"""What to do after an attempt: a decision from its outcome, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from random import Random

from vodsprite.apps.app import Policy
from vodsprite.delivery.delivery import Outcome

WAITS_S: dict[Policy, tuple[int, ...]] = {
    Policy.STANDARD: (5, 30, 120, 600, 1800, 7200, 18000, 36000, 36000, 36000, 36000),
    # Three sends in all is documented (2019), the time between them is not.
    Policy.TENCENT: (5, 30),
}
"""Seconds between an attempt and the next; after the last wait comes the last attempt."""

JITTER = 0.1
MAX_RETRY_AFTER_S = 24 * 3600
"""A receiver cannot ask for more."""

_ASKS_TO_WAIT = (429, 503)


class Verdict(Enum):
    """What becomes of the delivery."""

    SETTLE = "settle"  # the receiver has it
    RETRY = "retry"  # again at `due_at`
    BURY = "bury"  # given up: dead letter
    PAUSE = "pause"  # the whole destination waits for a person, this delivery with it


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """The verdict, and when to try again."""

    verdict: Verdict
    due_at: datetime | None = None  # None unless the verdict is RETRY


def decide(
    policy: Policy,
    number: int,
    outcome: Outcome,
    *,
    status_code: int | None = None,
    retry_after: str | None = None,
    now: datetime,
    random: Random,
) -> RetryDecision:
    """
    Decide what follows attempt *number* (from 1) that ended at *now*.

    Args:
        retry_after: The answer's header, in either of its forms (RFC 9110 section 10.2.3). On 429 and 503 it
            lengthens the wait, by a day at most, and never shortens it.
    """
    if is_success(policy, outcome):
        return RetryDecision(verdict=Verdict.SETTLE)
    if outcome is Outcome.GONE:
        return RetryDecision(verdict=Verdict.PAUSE)
    waits = WAITS_S[policy]
    if number > len(waits):
        return RetryDecision(verdict=Verdict.BURY)
    wait_s = waits[number - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    if status_code in _ASKS_TO_WAIT and retry_after is not None:
        wait_s = max(wait_s, min(_asked_s(retry_after, now), MAX_RETRY_AFTER_S))
    return RetryDecision(verdict=Verdict.RETRY, due_at=now + timedelta(seconds=wait_s))


def is_success(policy: Policy, outcome: Outcome) -> bool:
    """Tell whether the receiver counts as having the event; by the `tencent` policy any answer says so."""
    if policy is Policy.TENCENT:
        return outcome in (Outcome.DELIVERED, Outcome.REJECTED, Outcome.GONE)
    return outcome is Outcome.DELIVERED


def _asked_s(retry_after: str, now: datetime) -> float:
    """Return the seconds that the header asks for; 0 when it cannot be read."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return (until - now).total_seconds()

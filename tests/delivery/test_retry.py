"""What follows an attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vodsprite.apps.app import Policy
from vodsprite.delivery.delivery import Outcome
from vodsprite.delivery.retry import WAITS_S, RetryDecision, Verdict, decide

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAILURES = (Outcome.REJECTED, Outcome.TIMED_OUT, Outcome.UNREACHABLE)


class Middle(Random):
    """Chance that always lands in the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def after(
    number: int,
    outcome: Outcome = Outcome.REJECTED,
    *,
    policy: Policy = Policy.STANDARD,
    status_code: int | None = 500,
    retry_after: str | None = None,
    random: Random | None = None,
) -> RetryDecision:
    return decide(
        policy,
        number,
        outcome,
        status_code=status_code,
        retry_after=retry_after,
        now=NOW,
        random=random or Middle(),
    )


def wait_s(decision: RetryDecision) -> float:
    assert decision.verdict is Verdict.RETRY
    assert decision.due_at is not None
    return (decision.due_at - NOW).total_seconds()


def test_the_standard_schedule() -> None:
    """5 s, 30 s, 2 min, 10 min, 30 min, 2 h, 5 h, four times 10 h; after twelve attempts it is given up."""
    minute, hour = 60, 3600
    assert [wait_s(after(number)) for number in range(1, 12)] == [
        5, 30, 2 * minute, 10 * minute, 30 * minute, 2 * hour, 5 * hour, *[10 * hour] * 4
    ]  # fmt: skip
    assert after(12) == RetryDecision(verdict=Verdict.BURY)


@given(number=st.integers(1, 11), outcome=st.sampled_from(FAILURES), seed=st.integers())
def test_waits_are_spread(number: int, outcome: Outcome, seed: int) -> None:
    """Every wait lies within a tenth of the schedule's, so that many failures don't return as one wave."""
    planned = WAITS_S[Policy.STANDARD][number - 1]
    waited = wait_s(after(number, outcome, random=Random(seed)))
    assert planned * 0.9 <= waited <= planned * 1.1


def test_waits_differ() -> None:
    """Two failures at the same instant are not tried again at the same instant."""
    chance = Random(1)
    assert len({wait_s(after(3, random=chance)) for _ in range(10)}) == 10


def test_success_settles() -> None:
    """A delivered event is done, at whatever attempt."""
    assert after(1, Outcome.DELIVERED).verdict is Verdict.SETTLE
    assert after(12, Outcome.DELIVERED).verdict is Verdict.SETTLE


def test_gone_pauses_however_often_it_was_tried() -> None:
    """410 is the destination's matter: the delivery does not die of it."""
    assert after(1, Outcome.GONE, status_code=410).verdict is Verdict.PAUSE
    assert after(40, Outcome.GONE, status_code=410).verdict is Verdict.PAUSE


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_lengthens(status: int) -> None:
    """A receiver that asks for more time gets it, in seconds or as a date."""
    assert wait_s(after(1, status_code=status, retry_after="120")) == 120
    until = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert wait_s(after(1, status_code=status, retry_after=until)) == 90


def test_retry_after_never_shortens() -> None:
    """The schedule's wait is the least."""
    assert wait_s(after(3, status_code=503, retry_after="1")) == 120
    past = format_datetime(NOW - timedelta(days=1), usegmt=True)
    assert wait_s(after(3, status_code=503, retry_after=past)) == 120


def test_retry_after_has_an_end() -> None:
    """Nobody parks an event for years."""
    assert wait_s(after(1, status_code=429, retry_after="99999999999999999999")) == 24 * 3600


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "\N{SUPERSCRIPT TWO}", "Mon, 99 Foo 2026"])
def test_an_unreadable_retry_after_is_none(text: str) -> None:
    """Nonsense in the header leaves the schedule as it is."""
    assert wait_s(after(1, status_code=503, retry_after=text)) == 5


def test_other_answers_cannot_ask_for_time() -> None:
    """Retry-After counts on 429 and 503 only."""
    assert wait_s(after(1, status_code=500, retry_after="600")) == 5


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.REJECTED, Outcome.GONE])
def test_by_the_tencent_policy_any_answer_is_success(outcome: Outcome) -> None:
    """The documented behaviour of 2019: status and body are ignored."""
    assert after(1, outcome, policy=Policy.TENCENT).verdict is Verdict.SETTLE


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.UNREACHABLE])
def test_by_the_tencent_policy_there_are_three_sends(outcome: Outcome) -> None:
    """Time-outs and failed connections are tried twice more."""
    verdicts = [
        after(number, outcome, policy=Policy.TENCENT, status_code=None).verdict for number in (1, 2, 3)
    ]
    assert verdicts == [Verdict.RETRY, Verdict.RETRY, Verdict.BURY]

"""The breaker in front of a destination."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vodsprite.delivery.breaker import Breaker, BreakerSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_destination_has_all_slots_once_it_took_a_push() -> None:
    """One push until the first one went well; eight from then on and after every success."""
    breaker = Breaker(BreakerSettings())
    assert breaker.slots(NOW) == 1
    breaker.succeeded()
    assert breaker.slots(NOW) == 8
    breaker.failed(NOW)
    breaker.succeeded()
    assert breaker.slots(NOW) == 8


def test_five_failures_in_a_row_open_it() -> None:
    """Until then pushes go one at a time; a success in between begins the count anew."""
    breaker = Breaker(BreakerSettings())
    for _ in range(4):
        assert not breaker.failed(NOW)
        assert breaker.slots(NOW) == 1
    breaker.succeeded()
    assert [breaker.failed(NOW) for _ in range(5)] == [False, False, False, False, True]
    assert breaker.slots(NOW) == 0


def test_one_probe_every_half_minute() -> None:
    """An open breaker lets one through now and then; its failure keeps it open, its success closes it."""
    breaker = Breaker(BreakerSettings())
    breaker.open(NOW)
    assert breaker.slots(later(29.9)) == 0
    assert breaker.slots(later(30)) == 1
    assert not breaker.failed(later(30)), "it was open before"
    assert breaker.slots(later(59.9)) == 0
    assert breaker.slots(later(60)) == 1
    breaker.succeeded()
    assert breaker.slots(later(60)) == 8

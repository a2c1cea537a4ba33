"""A clock that the tests of this folder move."""

from __future__ import annotations

import pytest

from vodsprite.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()

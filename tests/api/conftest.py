"""Running services for tests: real parts on a temporary folder, behind real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vodsprite.testing.service import Service, start_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A running service on the machine's clock."""
    with start_service(tmp_path) as running:
        yield running

"""Painted videos, made once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vodsprite.testing.painted import Painting, paint

Paint = Callable[[str, Painting], Path]


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Paint:
    """Return the path of a painted video with this suffix; the same painting is made once."""
    folder = tmp_path_factory.mktemp("painted")
    made: dict[tuple[str, str], Path] = {}

    def get(suffix: str, painting: Painting) -> Path:
        key = (suffix, repr(painting))
        if key not in made:
            made[key] = paint(folder / f"{len(made)}{suffix}", painting)
        return made[key]

    return get

"""Vectors and examples of the wire, as its documentation gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(scope="session")
def example() -> Callable[[str], Any]:
    """Return a reader of example files by name; members keep their order."""

    def read(name: str) -> Any:
        return json.loads((EXAMPLES / name).read_text("utf-8"))

    return read


@pytest.fixture(scope="session")
def vectors(example: Callable[[str], Any]) -> Any:
    """The signature vectors, with the secret id, key and timestamp that all of them share."""
    return example("auth-vectors.json")

"""The stores that the contract suite runs on."""

from __future__ import annotations

from pathlib import Path

import pytest

from vodsprite.storage.store import Store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A fresh store of each backend."""
    if request.param == "folder":
        return Store.from_url((tmp_path / "objects").as_uri())
    return Store.from_url("memory:///")

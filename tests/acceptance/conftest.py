"""A started service and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tencentcloud.vod.v20180717 import vod_client

from acceptance.support import SECRET_ID, SECRET_KEY, Admin, admin_of, sdk_client
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A service on a fresh folder that may call back to the loopback interface; leases end after 2 s."""
    settings = {
        "secret_id": SECRET_ID,
        "secret_key": SECRET_KEY,
        "outbound_allow": "loopback",
        "lease_s": "2",
        "pull_wait_s": "2",
    }
    with Served(tmp_path / "data", settings=settings) as started:
        yield started


@pytest.fixture
def admin(served: Served) -> Admin:
    return admin_of(served.data)


@pytest.fixture
def sdk(served: Served) -> vod_client.VodClient:
    return sdk_client(served.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started

"""
Tencent's own command line as a consumer.

`tccli` brings the whole SDK, whose files lie where those of the SDK's smaller packages do: it is run from
wherever it is installed by itself (`pipx install tccli`), and left out where it isn't.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.delivery.outbox import Outbox
from vodsprite.ids import RandomIds
from vodsprite.samples import IMAGE_SPRITE_COMPLETE
from vodsprite.testing.served import Served

SECRET_ID, SECRET_KEY = "AKIDcompat000000000000000000000000001", "compatSecretKey00000000000000001"
EVENTS = 20


def test_tccli_pulls_and_confirms_until_nothing_is_left(tmp_path: Path) -> None:
    """A loop over `tccli vod PullEvents` and `ConfirmEvents` gets every event once and ends with none."""
    program = shutil.which("tccli")
    if program is None:
        pytest.skip("tccli is not installed")
    settings = {"secret_id": SECRET_ID, "secret_key": SECRET_KEY, "pull_wait_s": "1"}
    with Served(tmp_path / "data", settings=settings) as served:
        _happen(tmp_path / "data" / "vodsprite.sqlite")
        common = [
            "--endpoint",
            served.url,
            "--secretId",
            SECRET_ID,
            "--secretKey",
            SECRET_KEY,
            "--region",
            "x",
        ]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["HOME"] = str(tmp_path)  # it writes a folder there

        def call(*words: str) -> dict[str, Any]:
            command = [program, "vod", *words, *common]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer

        handles: list[str] = []
        while batch := call("PullEvents")["EventSet"]:
            assert {one["EventType"] for one in batch} == {"CreateImageSpriteComplete"}
            pulled = [one["EventHandle"] for one in batch]
            assert call("ConfirmEvents", "--EventHandles", json.dumps(pulled))["RequestId"]
            handles += pulled
    assert len(handles) == EVENTS


def _happen(path: Path) -> None:
    database = Database(DatabaseSettings(url=f"sqlite:///{path}"))
    with contextlib.closing(database):
        app_id = AppRegistry(database, SystemClock(), RandomIds()).find(None).app_id
        for _ in range(EVENTS):
            with database.transaction() as conn:
                Outbox(RandomIds()).record(conn, app_id, IMAGE_SPRITE_COMPLETE, now=SystemClock().now())

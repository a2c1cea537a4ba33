"""`kill -9` at every commit of a task's life: nothing is lost, nothing is finished twice."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from acceptance.support import (
    SECRET_ID,
    SECRET_KEY,
    VIDEO,
    admin_of,
    call_2018,
    confirm,
    eventually,
    pull,
    sdk_client,
)
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served

KILLER = Path(__file__).with_name("killed_at_commit.py")
SETTINGS = {
    "secret_id": SECRET_ID,
    "secret_key": SECRET_KEY,
    "outbound_allow": "loopback",
    "lease_s": "2",
    "pull_wait_s": "1",
}
SESSION = "one-life"


class Life:
    """One task from its submission to its confirmed event, as an insistent client drives it."""

    def __init__(self, data: Path, receiver: Receiver, file_id: str) -> None:
        self.data = data
        self.receiver = receiver
        self.file_id = file_id
        self.events: list[Any] = []

    def drive(self, served: Served) -> bool:
        """Submit, pull, confirm; return whether the service lived to the end."""
        try:
            self._drive(served)
        except (TencentCloudSDKException, AssertionError):
            # The connection may break a moment before the process is gone.
            if not _dies_within(served, seconds=2.0):
                raise
            return False
        return served.process.poll() is None

    def _drive(self, served: Served) -> None:
        sdk = sdk_client(served.url)
        params = {"FileId": self.file_id, "Definition": 10, "SessionId": SESSION}
        try:
            call_2018(sdk, "CreateImageSprite", params)
        except TencentCloudSDKException as error:
            # It was taken before the service died; only the answer was lost.
            if error.get_code() != "InvalidParameterValue.SessionId":
                raise
        [event] = eventually(lambda: self._pull(served, sdk), within_s=30)
        confirm(sdk, event.EventHandle)
        eventually(lambda: served.process.poll() is not None or self._is_settled())

    def _pull(self, served: Served, sdk: Any) -> list[Any]:
        assert served.process.poll() is None, "the service is dead"
        pulled = pull(sdk)
        self.events += pulled
        return pulled

    def _is_settled(self) -> bool:
        return self.rows("SELECT count(*) FROM deliveries WHERE state <> 'settled'") == [(0,)] and bool(
            self.receiver.received
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the tables as they are on the disk."""
        with contextlib.closing(sqlite3.connect(self.data / "vodsprite.sqlite")) as connection:
            return connection.execute(sql).fetchall()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_commit_loses_nothing(tmp_path: Path, when: str) -> None:
    """For every n: killed at the n-th commit and started again, the task ends once and its event arrives."""
    number, lived = 0, False
    while not lived:
        number += 1
        assert number < 100, "a task's life has no end"
        lived = _one_life(tmp_path / str(number), when, number)
    # The last run lived. Before it, there was a commit to kill at for submission, start, finish, settles …
    assert number > 6


def _one_life(data: Path, when: str, number: int) -> bool:
    with Receiver() as receiver:
        killed = Served(data, settings=SETTINGS, program=(str(KILLER), when, str(number)))
        killed.start()
        admin = admin_of(data)
        admin("app", "set", "--mode", "BOTH", "--url", receiver.url)
        life = Life(data, receiver, admin("media", "add", str(VIDEO)))
        lived = life.drive(killed)
        if lived:
            # What is still to come (an engine's last note) is killed at too, if it comes at all.
            lived = not _dies_within(killed, seconds=1.0)
        if lived:
            assert killed.stop() == 0
        else:
            killed.wait()
            assert killed.logged("killed"), "it died of something else"
            with Served(data, settings=SETTINGS) as again:
                if not life.events or not life._is_settled():
                    _finish(life, again)
        _check(life)
        return lived


def _dies_within(served: Served, *, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if served.process.poll() is not None:
            return True
        time.sleep(0.02)
    return False


def _finish(life: Life, served: Served) -> None:
    # The confirmation may have been written although its answer was lost: then nothing is left to pull.
    if life.events and life.rows("SELECT state FROM deliveries WHERE channel = 'pull'") == [("settled",)]:
        eventually(life._is_settled, within_s=30)
    else:
        assert life.drive(served)


def _check(life: Life) -> None:
    assert life.rows("SELECT state FROM tasks") == [("finished",)]
    [(event_id,)] = life.rows("SELECT event_id FROM events")
    assert {received.headers["webhook-id"] for received in life.receiver.received} == {event_id}
    tasks = {event.CreateImageSpriteCompleteEvent.TaskId for event in life.events}
    assert tasks == {task_id for (task_id,) in life.rows("SELECT task_id FROM tasks")}
    assert all(event.CreateImageSpriteCompleteEvent.ErrCode == 0 for event in life.events)
    assert life.rows("SELECT DISTINCT state FROM deliveries") == [("settled",)]

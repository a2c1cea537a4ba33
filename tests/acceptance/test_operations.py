"""What an operator does and meets: stops, a second start, a full disk, bad receivers, bad videos."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.vod.v20180717 import vod_client

from acceptance.support import (
    SECRET_ID,
    SECRET_KEY,
    VIDEO,
    Admin,
    admin_of,
    call_2018,
    confirm,
    eventually,
    pull,
    sdk_client,
)
from vodsprite import settings
from vodsprite.assembly import open_parts
from vodsprite.sprite.spec import EveryInterval, Fill, Grid, SpriteSpec, TileSize
from vodsprite.testing import receiver as replies
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served

KEYS = {"secret_id": SECRET_ID, "secret_key": SECRET_KEY}


def submit(sdk: vod_client.VodClient, file_id: str, definition: int = 10) -> str:
    task_id: str = call_2018(sdk, "CreateImageSprite", {"FileId": file_id, "Definition": definition})[
        "TaskId"
    ]
    return task_id


def rows(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(data / "vodsprite.sqlite")) as connection:
        return connection.execute(sql).fetchall()


def slow_template(data: Path) -> int:
    """A template that takes many seconds: a large PNG sheet for every second."""
    with open_parts(settings.load(data=data)) as parts:
        spec = SpriteSpec(
            sampling=EveryInterval(seconds=Fraction(1, 2)),
            grid=Grid(rows=1, columns=1),
            tile=TileSize(width_px=4096, height_px=2304),
            fill=Fill.GAUSS,
            format="png",
        )
        return parts.templates.create(parts.apps.find(None).app_id, spec).definition


def test_the_first_start_makes_what_is_needed_and_keeps_it_private(tmp_path: Path) -> None:
    """A fresh folder gets a database, the primary app and a credential that only its owner can read."""
    data = tmp_path / "new" / "data"
    with Served(data) as served:
        [listening] = served.logged("listening")
        assert listening["url"].startswith("http://127.0.0.1:")
        assert any("credentials" in json.dumps(line) for line in served.lines)
        shown = admin_of(data)("key", "show")
        secret_key = shown.split("SecretKey: ")[1]
        assert secret_key not in json.dumps(served.lines)
        [app] = json.loads(admin_of(data)("app", "list", "--json"))
        assert app["primary"] is True
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "credentials").stat().st_mode) == 0o600
    with Served(data):
        assert admin_of(data)("key", "show") == shown


def test_a_second_serve_names_the_first(served: Served) -> None:
    """A folder is served by one process; who comes second is told which one has it."""
    done = subprocess.run(
        [sys.executable, "-m", "vodsprite.cli.main", "serve", "--port", "0", "--data", str(served.data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert f"held by process {served.process.pid}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(served: Served, tmp_path: Path) -> None:
    """Serving where something else listens ends with one line that names the address."""
    port = served.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "vodsprite.cli.main",
            "serve",
            "--port",
            port,
            "--data",
            str(tmp_path / "other"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert f"127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stop_hands_running_renders_back_and_the_next_start_ends_them(tmp_path: Path) -> None:
    """After SIGTERM a render that needs longer than the grace is waiting again, uncounted, and ends later."""
    data = tmp_path / "data"
    with Served(data, settings={**KEYS, "drain_s": "0.3"}) as served:
        sdk = sdk_client(served.url)
        file_id = admin_of(data)("media", "add", str(VIDEO))
        definition = slow_template(data)
        task_id = submit(sdk, file_id, definition)
        eventually(lambda: rows(data, "SELECT 1 FROM tasks WHERE state = 'processing'"))
        begun = time.monotonic()
        assert served.stop() == 0
        assert time.monotonic() - begun < 8
    assert rows(data, "SELECT state, attempts FROM tasks") == [("waiting", 0)]
    with Served(data, settings=KEYS) as again:
        [event] = eventually(lambda: pull(sdk_client(again.url)), within_s=90)
        assert event.CreateImageSpriteCompleteEvent.TaskId == task_id
        assert event.CreateImageSpriteCompleteEvent.ErrCode == 0
    assert rows(data, "SELECT state, attempts FROM tasks") == [("finished", 1)]


def test_a_stop_lets_a_short_render_end(tmp_path: Path) -> None:
    """A render that ends within the grace is finished before the service goes."""
    data = tmp_path / "data"
    with Served(data, settings=KEYS) as served:
        file_id = admin_of(data)("media", "add", str(VIDEO))
        submit(sdk_client(served.url), file_id)
        eventually(lambda: rows(data, "SELECT 1 FROM tasks WHERE state <> 'waiting'"))
        assert served.stop() == 0
    assert rows(data, "SELECT state FROM tasks") == [("finished",)]


@pytest.mark.parametrize("trouble", ["empty", "text", "truncated", "audio only"])
def test_a_source_that_is_no_video_ends_as_a_failed_event(
    served: Served, admin: Admin, sdk: vod_client.VodClient, tmp_path: Path, trouble: str
) -> None:
    """The event carries an error code and a reason, no sprites, and the next task runs as if nothing was."""
    bad = tmp_path / "bad.mp4"
    if trouble == "empty":
        bad.write_bytes(b"")
    elif trouble == "text":
        bad.write_text("this is no video\n" * 100)
    elif trouble == "truncated":
        bad.write_bytes(VIDEO.read_bytes()[:3000])
    else:
        with wave.open(str(bad), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(bytes(16000))
    submit(sdk, admin("media", "add", str(bad)))

    [event] = eventually(lambda: pull(sdk))
    told = event.CreateImageSpriteCompleteEvent
    assert told.ErrCode == 60000
    assert told.Message
    assert "/" not in told.Message
    assert (told.TotalCount, told.ImageSpriteUrlSet, told.WebVttUrl) == (0, [], "")
    confirm(sdk, event.EventHandle)

    submit(sdk, admin("media", "add", str(VIDEO)))
    [event] = eventually(lambda: pull(sdk))
    assert event.CreateImageSpriteCompleteEvent.ErrCode == 0


def test_unknown_things_are_refused_at_once(served: Served, admin: Admin, sdk: vod_client.VodClient) -> None:
    """An unknown file, template, app or action answers with its code, and nothing is queued."""
    file_id = admin("media", "add", str(VIDEO))
    for params, code in (
        ({"FileId": "1", "Definition": 10}, "InvalidParameterValue.FileId"),
        ({"FileId": file_id, "Definition": 99}, "InvalidParameterValue"),
        ({"FileId": file_id}, "MissingParameter"),
        ({"FileId": file_id, "Definition": "10"}, "InvalidParameter"),
    ):
        with pytest.raises(TencentCloudSDKException) as refused:
            call_2018(sdk, "CreateImageSprite", params)
        assert refused.value.get_code() == code
    with pytest.raises(TencentCloudSDKException) as refused:
        call_2018(sdk, "NoSuchAction", {})
    assert refused.value.get_code() == "InvalidAction"
    assert rows(served.data, "SELECT count(*) FROM tasks") == [(0,)]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("trouble", ["refuses", "hangs", "answers 500", "does not resolve"])
def test_a_bad_receiver_is_tried_again_and_hinders_nobody(
    served: Served, admin: Admin, sdk: vod_client.VodClient, receiver: Receiver, trouble: str
) -> None:
    """A failed push is kept and tried again, arrives under the same id in time, and hinders no pull."""
    bad_url = {
        "refuses": f"http://127.0.0.1:{closed_port()}/",
        "does not resolve": "http://no-such-host.invalid/",
    }.get(trouble, receiver.url)
    if trouble == "hangs":
        receiver.script(replies.hang())
    elif trouble == "answers 500":
        receiver.script(replies.status(500))
    admin("app", "set", "--mode", "BOTH", "--url", bad_url)
    file_id = admin("media", "add", str(VIDEO))
    task_id = submit(sdk, file_id)

    [event] = eventually(lambda: pull(sdk))
    assert event.CreateImageSpriteCompleteEvent.TaskId == task_id
    confirm(sdk, event.EventHandle)
    eventually(lambda: rows(served.data, "SELECT 1 FROM attempts"))
    assert rows(served.data, "SELECT state FROM deliveries WHERE channel = 'push_v3'") == [("waiting",)]

    admin("app", "set", "--url", receiver.url)
    eventually(
        lambda: rows(served.data, "SELECT 1 FROM deliveries WHERE state = 'settled' AND channel = 'push_v3'")
    )
    ids = {received.headers["webhook-id"] for received in receiver.received}
    assert len(ids) == 1
    assert receiver.received[-1].json()["CreateImageSpriteCompleteEvent"]["TaskId"] == task_id


def test_a_refused_address_waits_until_it_is_allowed(tmp_path: Path, receiver: Receiver) -> None:
    """Without the setting a loopback callback waits; the log names address and setting; allowed, it flows."""
    data = tmp_path / "data"
    with Served(data, settings=KEYS) as served:
        admin = admin_of(data)
        admin("app", "set", "--mode", "BOTH", "--url", receiver.url)
        sdk = sdk_client(served.url)
        submit(sdk, admin("media", "add", str(VIDEO)))
        eventually(lambda: pull(sdk))
        line = eventually(
            lambda: [line for line in served.lines if "VODSPRITE_OUTBOUND_ALLOW" in json.dumps(line)]
        )[0]
        assert "127.0.0.1" in json.dumps(line)
    assert receiver.received == []
    assert rows(data, "SELECT state FROM deliveries WHERE channel = 'push_v3'") == [("waiting",)]
    with Served(data, settings={**KEYS, "outbound_allow": "loopback"}):
        receiver.wait_for(1, timeout_s=60)


def test_a_wildcard_host_without_a_public_url_uses_the_requests_host(tmp_path: Path) -> None:
    """It warns at start, and the URLs of a result start with the Host that the submitting client used."""
    data = tmp_path / "data"
    with Served(data, settings={**KEYS, "host": "0.0.0.0"}) as served:
        assert any(
            "public_url" in json.dumps(line) and line.get("level") == "warning" for line in served.lines
        )
        port = served.url.rsplit(":", 1)[1]
        sdk = sdk_client(f"http://localhost:{port}")
        submit(sdk, admin_of(data)("media", "add", str(VIDEO)))
        [event] = eventually(lambda: pull(sdk))
        assert event.CreateImageSpriteCompleteEvent.WebVttUrl.startswith(f"http://localhost:{port}/sprites/")


def test_the_setting_public_url_starts_every_url(tmp_path: Path) -> None:
    """`public_url` wins over the address that the request came to."""
    data = tmp_path / "data"
    with Served(data, settings={**KEYS, "public_url": "https://vod.example.com/"}) as served:
        sdk = sdk_client(served.url)
        submit(sdk, admin_of(data)("media", "add", str(VIDEO)))
        [event] = eventually(lambda: pull(sdk))
        told = event.CreateImageSpriteCompleteEvent
        assert told.WebVttUrl.startswith("https://vod.example.com/sprites/")
        assert told.ImageSpriteUrlSet[0].startswith("https://vod.example.com/sprites/")


def test_an_original_is_served_by_its_signed_path_only(
    served: Served, admin: Admin, sdk: vod_client.VodClient
) -> None:
    """The signed link gives the file as an attachment; a changed signature gives nothing."""
    file_id = admin("media", "add", str(VIDEO))
    call_2018(
        sdk,
        "ProcessMedia",
        {"FileId": file_id, "MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 10}]}},
    )
    [event] = eventually(lambda: pull(sdk))
    url = event.ProcedureStateChangeEvent.FileUrl
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == VIDEO.read_bytes()
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    head, _, tail = str(url).partition("/originals/")
    signature, _, rest = tail.partition("/")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    for broken in (f"{head}/originals/{changed}/{rest}", f"{head}/originals/{file_id}/{file_id}.mp4"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(broken)
        with refused.value as answer:
            assert answer.code in (403, 404)


def can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    probe = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return probe.returncode == 0


@pytest.mark.skipif(
    not can_mount(), reason="needs a Linux that lets a process mount a file system of its own"
)
def test_a_full_disk_is_told_and_heals(tmp_path: Path) -> None:
    """With no room left requests fail clearly, the service stays up, and room lets work flow again."""
    mount = tmp_path / "small"
    mount.mkdir()
    data = mount / "data"
    script = f'mount -t tmpfs -o size=24m none {mount} && exec "$0" "$@"'
    served = Served(data, settings={**KEYS, "pull_wait_s": "1"})
    served._command = ["unshare", "-rm", "sh", "-c", script, *served._command]
    with served:
        # The mount is seen from inside the process alone; its root, from outside, is under /proc.
        inside = Path(f"/proc/{served.process.pid}/root") / str(mount).lstrip("/")
        pid = str(served.process.pid)
        admin = admin_of(data, through=("nsenter", "-t", pid, "-U", "-m", "--preserve-credentials"))
        sdk = sdk_client(served.url)
        file_id = admin("media", "add", str(VIDEO))
        filler = inside / "filler"
        _fill(filler)

        with pytest.raises(TencentCloudSDKException) as refused:
            _submit_until_refused(sdk, file_id)
        assert refused.value.get_code() in ("FailedOperation", "InternalError")
        assert "disk" in refused.value.get_message() or "room" in refused.value.get_message()
        with urllib.request.urlopen(f"{served.url}/health/live") as answer:
            assert answer.status == 200

        filler.unlink()
        task_id = eventually(lambda: _try_submit(sdk, file_id), within_s=30)
        seen: set[str] = set()

        def arrived() -> bool:
            seen.update(event.CreateImageSpriteCompleteEvent.TaskId for event in pull(sdk))
            return task_id in seen

        eventually(arrived, within_s=60)
        assert served.process.poll() is None
        served.process.send_signal(signal.SIGTERM)
        assert served.wait() == 0


def _submit_until_refused(sdk: vod_client.VodClient, file_id: str) -> None:
    # The database has some room inside its own files before it asks the disk for more.
    for _ in range(200):
        submit(sdk, file_id)


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


def _try_submit(sdk: vod_client.VodClient, file_id: str) -> str:
    try:
        return submit(sdk, file_id)
    except TencentCloudSDKException:
        return ""

"""What the acceptance tests share: the official SDK pointed at a service, and the admin commands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.vod.v20180717 import models, vod_client

SECRET_ID = "AKIDacceptance00000000000000000000001"
SECRET_KEY = "acceptanceSecretKey0000000000001"
VIDEO = Path(__file__).parents[2] / "src/vodsprite/cli/assets/bottle-detection.mp4"

Admin = Callable[..., str]


def sdk_client(url: str, **profile: Any) -> vod_client.VodClient:
    """The official SDK, as an application would set it up."""
    http = HttpProfile(protocol="http", endpoint=url.removeprefix("http://"), reqTimeout=10)
    return vod_client.VodClient(
        credential.Credential(SECRET_ID, SECRET_KEY), "", ClientProfile(httpProfile=http, **profile)
    )


def admin_of(data: Path, *, through: Sequence[str] = ()) -> Admin:
    """The admin commands on one data folder, run *through* another; each call returns what was printed."""

    def run(*words: str) -> str:
        done = subprocess.run(
            [*through, sys.executable, "-m", "vodsprite.cli.main", *words, "--data", str(data)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def eventually(check: Callable[[], Any], *, within_s: float = 20) -> Any:
    """Ask until the answer is true, and return it: for what another process does in its own time."""
    end = time.monotonic() + within_s
    while not (answer := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return answer


def call_2018(client: vod_client.VodClient, action: str, params: dict[str, Any]) -> dict[str, Any]:
    """Call an action that the SDK has no method for, signed by the SDK."""
    answer: dict[str, Any] = json.loads(client.call(action, params))["Response"]
    if "Error" in answer:
        raise TencentCloudSDKException(answer["Error"]["Code"], answer["Error"]["Message"])
    return answer


def pull(client: vod_client.VodClient) -> list[Any]:
    """Pull once; up to 16 events of the SDK's own model."""
    return list(client.PullEvents(models.PullEventsRequest()).EventSet)


def confirm(client: vod_client.VodClient, *handles: str) -> None:
    """Confirm pulled events."""
    request = models.ConfirmEventsRequest()
    request.EventHandles = list(handles)
    client.ConfirmEvents(request)

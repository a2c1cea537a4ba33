"""
The chaos run: everything is killed all the time, and at the end nothing is missing.

    python tests/soak/chaos.py --events 20000 --seed 1

A service (API and dispatcher in one process) and a receiver are killed with SIGKILL at random, every few
seconds, and started again; the receiver answers 500, hangs or breaks the connection at random. A part of the
events comes from real sprite tasks, the rest is recorded by another process, which goes on while it is
dead. A consumer pulls and confirms through the official SDK. At the end:

- every event was received both ways, and none that the tables do not know;
- what was received agrees with what the tables say was delivered; what came more than once is counted;
- every delivery is settled.

Prints one line of totals (JSON); exits with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.vod.v20180717 import models, vod_client

from vodsprite.apps.app import DeliveryMode
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.ids import AppId, RandomIds
from vodsprite.testing.served import Served

HERE = Path(__file__).parent
VIDEO = HERE.parents[1] / "src/vodsprite/cli/assets/bottle-detection.mp4"
SECRET_ID, SECRET_KEY = "AKIDchaos0000000000000000000000000001", "chaosSecretKey000000000000000001"
TIMEOUT_S = 1  # of a push: a receiver that hangs is part of the game
LEASE_S = 3

Killed = tuple[float, float]
"""Between which two times, in s, a process lives until it is killed."""


class Chaos:
    """One run on a folder of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        events: int,
        tasks: int,
        per_second: float,
        bad: float,
        lives_s: Killed,
        seed: int,
        limit_s: float,
    ) -> None:
        self.recorded = events - tasks
        self.tasks = tasks
        self.per_second = per_second
        self.bad = bad
        self.lives_s = lives_s
        self.seed = seed
        self.limit_s = limit_s
        self.folder = folder
        self.database = folder / "data" / "vodsprite.sqlite"
        self.port, self.receiver_port = _free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.served = Served(
            folder / "data",
            settings={
                "secret_id": SECRET_ID,
                "secret_key": SECRET_KEY,
                "outbound_allow": "loopback",
                "port": str(self.port),
                "lease_s": str(LEASE_S),
                "pull_wait_s": "1",
                "renders": "1",
            },
            program=(str(HERE / "impatient.py"),),
        )
        self.kills: Counter[str] = Counter()
        self.pulled: Counter[str] = Counter()  # by task id
        self.stale = 0  # confirmations that came too late
        self.submitted: set[str] = set()
        self.calm = threading.Event()  # nothing is killed any more
        self.over = threading.Event()
        self.failures: list[str] = []
        self._receivers = 0

    def run(self) -> dict[str, int | float]:
        """Let it happen, wait until everything has arrived, and return the totals."""
        begun = time.monotonic()
        self.served.start()
        app_id = self._subscribe()
        file_id = self._add_media()
        recorder = self._start("recorder", _sqlite_url(self.database), app_id, self.recorded, self.per_second,
                               self.folder / "recorded")  # fmt: skip
        threads = [
            threading.Thread(target=self._fence, args=(target,), name=name)
            for name, target in (
                ("kill the service", self._kill_service),
                ("kill the receiver", self._kill_receiver),
                ("submit", lambda: self._submit(file_id)),
                ("consume", self._consume),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            self._until("all events happened", begun, lambda: self._happened(recorder))
            self.calm.set()
            self._until("everything arrived", begun, self._settled)
        finally:
            self.calm.set()
            self.over.set()
            for thread in threads:
                thread.join(60)
            if recorder.poll() is None:
                recorder.kill()
            recorder.wait()
            self.served.stop()
        return self._reconcile() | {"seconds": round(time.monotonic() - begun, 1)}

    # What happens

    def _subscribe(self) -> AppId:
        database = Database(DatabaseSettings(url=_sqlite_url(self.database)))
        with contextlib.closing(database):
            apps = AppRegistry(database, SystemClock(), RandomIds())
            app_id = apps.find(None).app_id
            receiver = f"http://127.0.0.1:{self.receiver_port}/"
            apps.change_subscription(app_id, mode=DeliveryMode.BOTH, url=receiver, timeout_s=TIMEOUT_S)
        return app_id

    def _add_media(self) -> str:
        words = ["media", "add", str(VIDEO), "--data", str(self.folder / "data")]
        command = [sys.executable, "-m", "vodsprite.cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def _submit(self, file_id: str) -> None:
        """Submit each task until it was taken, however often the service dies meanwhile."""
        sdk = _sdk(self.url)
        for number in range(self.tasks):
            session = f"chaos-{number}"
            params = {"FileId": file_id, "Definition": 10, "SessionId": session}
            submit = partial(sdk.call, "CreateImageSprite", params)
            while not self.over.is_set() and session not in self.submitted:
                text = _called(submit)
                answer = None if text is None else json.loads(text)["Response"]
                code = None if answer is None else answer.get("Error", {}).get("Code")
                # A session id in use: it was taken, and only the answer was lost.
                if answer is not None and code in (None, "InvalidParameterValue.SessionId"):
                    self.submitted.add(session)
                elif self.over.wait(0.1):
                    return

    def _consume(self) -> None:
        sdk = _sdk(self.url)
        while not self.over.is_set():
            answer = _called(lambda: sdk.PullEvents(models.PullEventsRequest()))
            if answer is None:
                self.over.wait(0.1)
                continue
            if not answer.EventSet:
                continue
            self.pulled.update(event.CreateImageSpriteCompleteEvent.TaskId for event in answer.EventSet)
            request = models.ConfirmEventsRequest()
            request.EventHandles = [event.EventHandle for event in answer.EventSet]
            try:
                sdk.ConfirmEvents(request)
            except TencentCloudSDKException as error:
                self.stale += error.get_code() == "InvalidParameterValue"

    def _kill_service(self) -> None:
        chance = random.Random(f"{self.seed} service")
        while not self.calm.wait(chance.uniform(*self.lives_s)):
            self.served.kill()
            self.kills["service"] += 1
            self.served.start(wait=False)

    def _kill_receiver(self) -> None:
        chance = random.Random(f"{self.seed} receiver")
        receiver = self._start_receiver()
        try:
            while not self.calm.wait(chance.uniform(*self.lives_s)):
                receiver.kill()
                receiver.wait()
                self.kills["receiver"] += 1
                self.calm.wait(chance.uniform(0, 1))
                receiver = self._start_receiver()
            self.over.wait()
        finally:
            receiver.kill()
            receiver.wait()

    def _start_receiver(self) -> subprocess.Popen[bytes]:
        self._receivers += 1
        seed = f"{self.seed}-{self._receivers}"
        return self._start("flaky", self.receiver_port, self.folder / "received", seed, self.bad)

    def _start(self, script: str, *words: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(HERE / f"{script}.py"), *map(str, words)])

    def _fence(self, target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:
            self.failures.append(f"{threading.current_thread().name}: {error!r}")
            raise

    # What is waited for

    def _until(self, what: str, begun: float, is_true: Callable[[], bool]) -> None:
        while not is_true():
            if self.failures:
                raise Broken(self.failures)
            if time.monotonic() - begun > self.limit_s:
                raise Broken([f"not within {self.limit_s:g} s: {what}; {self._standing()}"])
            time.sleep(0.2)

    def _happened(self, recorder: subprocess.Popen[bytes]) -> bool:
        code = recorder.poll()
        if code:
            raise Broken([f"the recorder ended with {code}"])
        return code == 0 and len(self.submitted) == self.tasks

    def _settled(self) -> bool:
        standing = self._standing()
        return standing["events"] == self.recorded + self.tasks and standing["waiting"] == 0

    def _standing(self) -> dict[str, int]:
        [(events,)] = self._rows("SELECT count(*) FROM events")
        [(waiting,)] = self._rows("SELECT count(*) FROM deliveries WHERE state = 'waiting'")
        return {"events": events, "waiting": waiting}

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return connection.execute(sql).fetchall()

    # What is promised

    def _reconcile(self) -> dict[str, int | float]:
        known = dict(self._rows("SELECT event_id, task_id FROM events"))
        promised = dict(_read_notes(self.folder / "recorded"))
        received = list(_read_notes(self.folder / "received"))
        answered = Counter(manner for _, _, manner in received)
        by_id = Counter(event_id for event_id, _, _ in received)
        accepted = {event_id for event_id, _, manner in received if manner == "ok"}
        tasks = {task_id for (task_id,) in self._rows("SELECT task_id FROM tasks")}
        states = Counter(self._rows("SELECT channel, state FROM deliveries"))
        [(delivered,)] = self._rows("SELECT count(*) FROM attempts WHERE outcome = 'delivered'")
        [(rejected,)] = self._rows("SELECT count(*) FROM attempts WHERE outcome = 'rejected'")
        [(attempts,)] = self._rows("SELECT count(*) FROM attempts")
        [(pulls,)] = self._rows("SELECT sum(attempts) FROM deliveries WHERE channel = 'pull'")
        [(twice,)] = self._rows(
            "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE outcome = 'delivered'"
            " GROUP BY delivery_id HAVING count(*) > 1)"
        )
        count = self.recorded + self.tasks
        self._expect("each event is in the tables once", len(known) == len(set(known.values())) == count)
        self._expect("what was committed is in the tables", promised.items() <= known.items())
        self._expect("the rest are the tasks' own", set(known.values()) - set(promised.values()) == tasks)
        self._expect("each task was accepted once", len(tasks) == self.tasks)
        self._expect("every event was pushed and accepted", accepted == set(known))
        self._expect("each push named its event", all(known.get(one) == task for one, task, _ in received))
        self._expect("every event was pulled", set(self.pulled) == set(known.values()))
        self._expect(
            "every delivery is settled",
            states == {("pull", "settled"): count, ("push_v3", "settled"): count},
        )
        self._expect("each push was settled by one attempt", delivered == count and twice == 0)
        self._expect(
            "no attempt tells of an answer that was not given",
            answered["ok"] >= delivered and answered["error"] >= rejected,
        )
        self._expect("the tables count every pull that was seen", pulls >= self.pulled.total())
        if self.failures:
            raise Broken(self.failures)
        return {
            "events": count,
            "of_tasks": self.tasks,
            "kills_of_service": self.kills["service"],
            "kills_of_receiver": self.kills["receiver"],
            "pushes_received": len(received),
            "push_duplicates": len(received) - len(by_id),
            "accepted_twice": answered["ok"] - len(accepted),
            "attempts_recorded": attempts,
            "pulls_received": self.pulled.total(),
            "pull_duplicates": self.pulled.total() - len(self.pulled),
            "stale_confirms": self.stale,
            "lost": len(set(known) - accepted) + len(set(known.values()) - set(self.pulled)),
            "unknown": len(set(by_id) - set(known)) + len(set(self.pulled) - set(known.values())),
        }

    def _expect(self, promise: str, kept: bool) -> None:
        if not kept:
            self.failures.append(f"broken: {promise}")


class Broken(AssertionError):
    """A promise was not kept; the arguments say which."""


def _read_notes(path: Path) -> Iterator[Any]:
    for line in path.read_text(encoding="ascii").splitlines():
        yield tuple(line.split())


def _called(call: Callable[[], Any]) -> Any:
    """Return the answer; None when the service is not there, or says that it failed."""
    try:
        return call()
    except TencentCloudSDKException:
        return None


def _sdk(url: str) -> vod_client.VodClient:
    http = HttpProfile(protocol="http", endpoint=url.removeprefix("http://"), reqTimeout=10)
    return vod_client.VodClient(
        credential.Credential(SECRET_ID, SECRET_KEY), "", ClientProfile(httpProfile=http)
    )


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _free_ports(count: int) -> Sequence[int]:
    """Ports outside the range that connections take theirs from: one that is free stays so."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Run as the command line says and print the totals; return the exit code."""
    parser = argparse.ArgumentParser(description="Kill everything all the time; nothing may be missing.")
    parser.add_argument("--events", type=int, default=20_000, help="how many events happen")
    parser.add_argument("--tasks", type=int, help="how many of them come from sprite tasks  [default: 1 %%]")
    parser.add_argument("--per-second", type=float, default=150, help="events recorded per second")
    parser.add_argument("--bad", type=float, default=0.15, help="share of requests that are answered badly")
    parser.add_argument("--lives-s", type=float, nargs=2, default=(2, 9), help="shortest and longest life")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=1800, help="longest time of the whole run, in s")
    given = parser.parse_args(words)
    tasks = given.events // 100 if given.tasks is None else given.tasks
    with tempfile.TemporaryDirectory() as folder:
        run = Chaos(
            Path(folder),
            events=given.events,
            tasks=tasks,
            per_second=given.per_second,
            bad=given.bad,
            lives_s=tuple(given.lives_s),
            seed=given.seed,
            limit_s=given.limit_s,
        )
        try:
            print(json.dumps({"seed": given.seed, **run.run()}))
        except Broken as broken:
            print(json.dumps({"seed": given.seed, "broken": broken.args[0]}))
            for line in run.served.lines[-20:]:
                print(json.dumps(line), file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

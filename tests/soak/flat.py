"""
The steady load: as much is swept as happens, so that neither the tables nor the file grow.

    python tests/soak/flat.py --events 200000

Events happen in two hundred batches, an hour of an injected clock apart, on a SQLite file. Most of them go to
an app that takes each both ways: pushes are claimed and settled through the tables (some fail at first),
pulled events are confirmed (some only when they come again). The rest goes to an app that nobody serves, and
dies there. The housekeeper sweeps after each batch, with a retention of hours.

Prints, at each tenth, how many events happened, the rows of each table and the size of the file with its WAL.
Exits with 1 when rows or size were, at any batch of the second half, more than a tenth above the most of the
first half.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import sqlalchemy as sa
import structlog

from vodsprite.apps.app import DeliveryMode
from vodsprite.database import lease
from vodsprite.database.schema import metadata
from vodsprite.delivery import retry, table
from vodsprite.delivery.delivery import Attempt, Channel, Destination, Outcome
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.pull import MAX_BATCH, PullQueue, PullSettings
from vodsprite.delivery.push import Pending, Sent
from vodsprite.delivery.settling import Done, write_down
from vodsprite.housekeeping import Housekeeper, Keeping
from vodsprite.ids import RandomIds
from vodsprite.samples import IMAGE_SPRITE_COMPLETE
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.plant import Plant

BATCHES = 200
HOUR_S = 3600
KEEPING = Keeping(settled_s=10 * HOUR_S, dead_s=20 * HOUR_S)
PULLING = PullSettings(lease_s=30, retention_s=10 * HOUR_S)
PUSHES_AT_ONCE = 64
LEASE = timedelta(seconds=90)
GROWTH = 1.1
SHOWN = ("events", "deliveries", "attempts", "nonces")

Sample = Mapping[str, float]
"""What there was after a batch: rows by table, `other rows` and `file MB`."""


class Load:
    """One run on a folder of its own."""

    def __init__(self, folder: Path, *, events: int, seed: int, is_swept: bool) -> None:
        self.events = events
        self.is_swept = is_swept
        self.random = Random(seed)
        self.ids = RandomIds()
        self.clock = FakeClock()
        self.file = folder / "vodsprite.sqlite"
        self.plant = Plant(folder, clock=self.clock)
        self.outbox = Outbox(self.ids)
        self.pulls = PullQueue(self.plant.database, self.plant.wakeup, self.clock, self.ids, PULLING)
        self.housekeeper = Housekeeper(
            self.plant.database,
            self.plant.store,
            self.plant.media,
            self.plant.reconciler,
            self.pulls,
            KEEPING,
        )
        self.served = self.plant.app_id
        self.plant.apps.change_subscription(self.served, mode=DeliveryMode.BOTH, url="http://a.example/3")
        self.deserted = self.plant.apps.create("nobody pulls").app_id

    def run(self) -> list[Sample]:
        """Let all of it happen, print each tenth, and return what there was after each batch."""
        samples: list[Sample] = []
        happened = 0
        try:
            for number in range(1, BATCHES + 1):
                count = self.events * number // BATCHES - happened
                self._batch(count)
                happened += count
                samples.append(self._sample())
                if number == 1:
                    print("  ".join(f"{name:>10}" for name in ("so far", *samples[0])), flush=True)
                if number % (BATCHES // 10) == 0:
                    figures = (f"{value:>10,.4g}" if name == "file MB" else f"{value:>10,}"
                               for name, value in samples[-1].items())  # fmt: skip
                    print("  ".join((f"{happened:>10,}", *figures)), flush=True)
        finally:
            self.plant.close()
        return samples

    def _batch(self, count: int) -> None:
        now = self.clock.advance(seconds=HOUR_S)
        with self.plant.database.transaction() as conn:
            for _ in range(count):
                app_id = self.deserted if self.random.random() < 0.05 else self.served
                self.outbox.record(conn, app_id, IMAGE_SPRITE_COMPLETE, now=now)
        for _ in range(5):
            until = now + timedelta(seconds=600)
            self.plant.apps.use_nonce("AKIDplant", self.ids.token(), until=until, now=now)
        self._push(now)
        self._pull(now)
        if self.is_swept:
            self.housekeeper.sweep(now)

    def _push(self, now: datetime) -> None:
        """Make an attempt of all that is due, as a dispatcher writes it down."""
        while pending := self._claim(now):
            sent = [self._attempt(one, now) for one in pending]
            decided = [
                (
                    one,
                    retry.decide(
                        one.pending.destination.policy,
                        one.pending.number,
                        one.attempt.outcome,
                        status_code=one.attempt.status_code,
                        retry_after=None,
                        now=now,
                        random=self.random,
                    ),
                )
                for one in sent
            ]
            with self.plant.database.transaction() as conn:
                write_down(conn, Done(decided=decided), now=now)

    def _claim(self, now: datetime) -> list[Pending]:
        with self.plant.database.transaction() as conn:
            due = [one for one in table.destinations_with_work(conn) if one.next_due <= now]
            return [pending for to in due for pending in self._claim_of(conn, to, now)]

    def _claim_of(self, conn: sa.Connection, to: Destination, now: datetime) -> list[Pending]:
        claimed = lease.claim(
            conn,
            to.app_id,
            Channel.PUSH_V3.value,
            limit=PUSHES_AT_ONCE,
            token=self.ids.token(),
            now=now,
            until=now + LEASE,
            counted=False,
        )
        stored = table.events_by_id(conn, {one.event_id for one in claimed})
        return [
            Pending(lease=one.lease, number=one.attempts + 1, event=stored[one.event_id], destination=to)
            for one in claimed
        ]

    def _attempt(self, pending: Pending, now: datetime) -> Sent:
        is_good = self.random.random() < 0.95
        attempt = Attempt(
            number=pending.number,
            url=pending.destination.url,
            started_at=now,
            latency_ms=3,
            outcome=Outcome.DELIVERED if is_good else Outcome.REJECTED,
            status_code=200 if is_good else 503,
            answer="ok" if is_good else "x" * 500,
        )
        return Sent(pending=pending, attempt=attempt, retry_after=None)

    def _pull(self, now: datetime) -> None:
        """Pull all that is due and confirm most of it; the rest comes again."""
        while pulled := self.pulls.pull(self.served, limit=MAX_BATCH, now=now):
            handles = [one.handle for one in pulled if self.random.random() < 0.98]
            if handles:
                self.pulls.confirm(self.served, handles, now=now)

    def _sample(self) -> Sample:
        with self.plant.database.reading() as conn:
            rows = {
                name: conn.execute(sa.select(sa.func.count()).select_from(one)).scalar_one()
                for name, one in metadata.tables.items()
            }
        files = (self.file, self.file.with_name(f"{self.file.name}-wal"))
        size_bytes = sum(file.stat().st_size for file in files if file.exists())
        return {
            **{name: rows.pop(name) for name in SHOWN},
            "other rows": sum(rows.values()),
            "file MB": size_bytes / 1e6,
        }


def growth(samples: Sequence[Sample]) -> list[str]:
    """Say what was, in the second half, more than a tenth above the most of the first half."""
    half = len(samples) // 2
    found = []
    for name in samples[0]:
        before = max(one[name] for one in samples[:half])
        after = max(one[name] for one in samples[half:])
        if after > before * GROWTH:
            found.append(f"{name} grew from {before:,.4g} to {after:,.4g}")
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Run as the command line says and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description="A steady load; neither tables nor file may grow.")
    parser.add_argument("--events", type=int, default=200_000, help="how many events happen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unswept", action="store_true", help="sweep nothing: the growth must be noticed")
    given = parser.parse_args(words)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Path(folder), events=given.events, seed=given.seed, is_swept=not given.unswept)
        grown = growth(load.run())
    print("\n".join(grown) or "flat")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())

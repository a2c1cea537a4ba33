"""
The program `vodsprite` with shorter waits, for runs that watch many retries in little time.

    python impatient.py serve ...

The waits between attempts are a fiftieth of the real ones and two seconds at most, and an open breaker lets a
probe through every half second. Everything else is the product as it is.
"""

from __future__ import annotations

from functools import partial

from vodsprite import assembly
from vodsprite.cli.main import main
from vodsprite.delivery import retry
from vodsprite.delivery.breaker import BreakerSettings
from vodsprite.delivery.dispatcher import DispatcherSettings

FASTER = 50
LONGEST_S = 2.0

if __name__ == "__main__":
    hurried = {
        policy: tuple(min(wait / FASTER, LONGEST_S) for wait in waits)
        for policy, waits in retry.WAITS_S.items()
    }
    retry.WAITS_S.update(hurried)  # type: ignore[arg-type]  # parts of a second
    quick = partial(DispatcherSettings, breaker=BreakerSettings(probe_every_s=0.5))
    assembly.__dict__["DispatcherSettings"] = quick
    main()

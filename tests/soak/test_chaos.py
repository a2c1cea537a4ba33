"""A short chaos run; the long one is the command in `chaos.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).with_name("chaos.py")


@pytest.mark.timeout(180)
def test_nothing_is_lost_while_everything_is_killed() -> None:
    """Of a thousand events each arrives both ways, though service and receiver die over and over."""
    pace = ["--per-second", "70", "--lives-s", "2", "5"]
    run = subprocess.run(
        [sys.executable, str(CHAOS), "--events", "1000", "--seed", "2", "--limit-s", "150", *pace],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    totals = json.loads(run.stdout)
    assert (totals["events"], totals["lost"], totals["unknown"]) == (1000, 0, 0)
    # It was a chaos: both died, and the receiver's bad answers had pushes repeated.
    assert min(totals["kills_of_service"], totals["kills_of_receiver"]) >= 2
    assert totals["push_duplicates"] > 50

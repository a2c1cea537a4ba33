"""A short steady load; the long one is the command in `flat.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FLAT = Path(__file__).with_name("flat.py")


def run(*words: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(FLAT), "--events", "2000", *words], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.timeout(180)
def test_a_steady_load_leaves_tables_and_file_flat() -> None:
    """Pushed, pulled, dead: at each tenth of two thousand events there is about as much as at the others."""
    code, (head, *tenths, verdict) = run()
    assert (code, verdict) == (0, "flat")
    assert head.split("  ")[-1].strip() == "file MB"
    assert [int(line.split()[0].replace(",", "")) for line in tenths] == list(range(200, 2001, 200))


@pytest.mark.timeout(180)
def test_growth_is_noticed() -> None:
    """With nothing swept, the same load fails, and says of what there is more."""
    code, lines = run("--unswept")
    assert code == 1
    grown = {line.split(" grew from ")[0] for line in lines if " grew from " in line}
    assert grown >= {"events", "deliveries", "attempts", "nonces", "file MB"}

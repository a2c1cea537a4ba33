"""Lint, format and types, so that one command says whether a change may be committed."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=["lint", "format", "types"],
)
def test_the_code_passes(command: list[str]) -> None:
    """The linter, the formatter and the strict type checker have nothing to say."""
    tool, *rest = command
    run = subprocess.run(
        [Path(sys.executable).parent / tool, *rest],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr

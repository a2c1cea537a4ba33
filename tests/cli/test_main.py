"""The program as a whole: it begins without what the command at hand does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from vodsprite.cli.main import app


@pytest.mark.parametrize("words", [("--version",), ("render", "--help")])
def test_a_command_loads_no_other(words: tuple[str, ...]) -> None:
    """What starts a service, or makes a sheet, isn't imported to print a line."""
    program = (
        "import sys; from vodsprite.cli.main import app; app(sys.argv[1:], standalone_mode=False); "
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("\n"))

    assert "vodsprite.cli.main" in loaded
    assert loaded.isdisjoint({"av", "numpy", "pydantic", "asyncio", "sqlalchemy", "vodsprite.cli.admin"})


def test_no_arguments_show_every_command_on_one_screen() -> None:
    """The help fits 24 lines of 80 columns, and each command in it answers `--help`."""
    shown = CliRunner().invoke(app, [])
    names = [line.split()[0] for line in shown.output.partition("Commands:\n")[2].splitlines()]

    assert shown.exit_code == 2
    assert len(shown.output.splitlines()) <= 24
    assert names == ["render", "verify", "serve", "demo", "media", "app", "key", "events", "deliveries"]
    for name in names:
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0

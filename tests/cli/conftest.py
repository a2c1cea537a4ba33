"""Commands on a folder of their own, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vodsprite import settings
from vodsprite.assembly import open_parts
from vodsprite.cli.main import app
from vodsprite.parts import Parts

Command = Callable[..., str]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as the first command leaves it."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    with open_parts(settings.load(data=data)):
        pass
    return data


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    """A data folder with the primary app in it."""
    made = tmp_path / "data"
    made.mkdir()
    for file in prepared.iterdir():
        if file.is_file():
            (made / file.name).write_bytes(file.read_bytes())
    return made


@pytest.fixture
def parts(data: Path) -> Iterator[Parts]:
    """The same folder, opened beside the commands as a service would."""
    with open_parts(settings.load(data=data)) as opened:
        yield opened


@pytest.fixture
def command(data: Path) -> Command:
    """Run a command on the folder and return what it printed; what it raises is raised here."""

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--data", str(data)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.fixture
def told(command: Command) -> Callable[..., Any]:
    """Run a command with --json and return what it told."""
    return lambda *words: json.loads(command(*words, "--json"))

"""The admin commands: what they print, and what they meet in the data folder."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vodsprite.folder import DataFolder

VIDEO = Path(__file__).parents[2] / "src/vodsprite/cli/assets/bottle-detection.mp4"


def command(*words: object, **environment: str) -> list[str]:
    return [sys.executable, "-m", "vodsprite.cli.main", *map(str, words)]


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VODSPRITE_")}
    return subprocess.run(
        command(*words), env=clean | environment, capture_output=True, text=True, check=False
    )


def test_the_answer_alone_is_on_standard_output(tmp_path: Path) -> None:
    """On a fresh folder, too: what a script reads is the FileId, or JSON."""
    data = tmp_path / "new data ä"
    added = run("media", "add", VIDEO, "--data", data)
    assert added.returncode == 0, added.stderr
    assert added.stdout.strip().isdigit()
    listed = run("app", "list", "--json", "--data", tmp_path / "other")
    assert [app["primary"] for app in json.loads(listed.stdout)] == [True]


def test_a_second_app_is_made_set_and_listed(tmp_path: Path) -> None:
    """`app create`, `app set` and `app list` go together; what was not named stays."""
    made = run("app", "create", "second", "--data", tmp_path).stdout.strip()
    both = ("--mode", "BOTH", "--url", "https://a.example/cb")
    assert run("app", "set", "--app", made, *both, "--data", tmp_path).returncode == 0
    assert (
        run("app", "set", "--app", made, "--url-v2", "https://b.example/cb", "--data", tmp_path).returncode
        == 0
    )
    listed = json.loads(run("app", "list", "--json", "--data", tmp_path).stdout)
    second = next(app for app in listed if str(app["app"]) == made)
    assert (second["mode"], second["url"], second["url_v2"]) == (
        "BOTH",
        "https://a.example/cb",
        "https://b.example/cb",
    )


def test_keys_are_listed_without_their_secret(tmp_path: Path) -> None:
    """`key create` shows the pair once; `key list` shows ids only."""
    made = run("key", "create", "--label", "ci", "--data", tmp_path).stdout
    secret_id, secret_key = (line.split(": ")[1] for line in made.splitlines())
    listed = run("key", "list", "--json", "--data", tmp_path).stdout
    assert secret_id in listed
    assert secret_key not in listed


def test_commands_at_the_same_time_make_one_installation(tmp_path: Path) -> None:
    """Several first commands at once all work, and there is one primary app."""
    data = tmp_path / "data"
    started = [
        subprocess.Popen(
            command("media", "add", VIDEO, "--data", data),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert len(json.loads(run("app", "list", "--json", "--data", data).stdout)) == 1


def test_a_first_start_that_died_half_way_is_finished(tmp_path: Path) -> None:
    """Tables and credential without an app, as a kill in between leaves them, become an installation."""
    data = tmp_path / "data"
    assert run("app", "list", "--data", data).returncode == 0
    kept = DataFolder(data).read_credential()

    connection = sqlite3.connect(data / "vodsprite.sqlite")
    connection.executescript("DELETE FROM credentials; DELETE FROM subscriptions; DELETE FROM apps;")
    connection.close()

    assert run("media", "add", VIDEO, "--data", data).returncode == 0
    shown = run("key", "show", "--data", data).stdout
    assert kept is not None
    assert kept[0] in shown


def test_a_folder_that_was_there_becomes_its_owners_alone(tmp_path: Path) -> None:
    """A key from the environment lies in the database: others may not read it either."""
    data = tmp_path / "open"
    data.mkdir(mode=0o755)
    done = run("app", "list", "--data", data, VODSPRITE_SECRET_ID="AKIDx", VODSPRITE_SECRET_KEY="topsecret")
    assert done.returncode == 0
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    shown = run("key", "show", "--data", data, VODSPRITE_SECRET_ID="AKIDx", VODSPRITE_SECRET_KEY="topsecret")
    assert "topsecret" in shown.stdout
    assert "VODSPRITE_SECRET_ID" in run("key", "show", "--data", data).stderr


@pytest.mark.parametrize("trouble", ["garbage database", "garbage credentials", "folder name", "half a key"])
def test_a_folder_that_is_no_good_is_told_in_one_line(tmp_path: Path, trouble: str) -> None:
    """No stack trace, whatever the folder holds or is called."""
    data, environment = tmp_path / "data", {}
    if trouble == "folder name":
        data = tmp_path / "a?b"
    elif trouble == "half a key":
        environment = {"VODSPRITE_SECRET_ID": "AKIDx"}
    else:
        data.mkdir()
        if trouble == "garbage database":
            (data / "vodsprite.sqlite").write_bytes(b"garbage" * 1000)
        else:
            (data / "credentials").write_bytes(b"\xff\xfe")
    done = run("app", "list", "--data", data, **environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 or "database.upgraded" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""

"""Settings: who wins over whom, and what is said of a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vodsprite import settings
from vodsprite.errors import SettingsError


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three places that set a value the nearest counts; what nobody set is the default."""
    (tmp_path / "vodsprite.toml").write_text('port = 1\nhost = "file"\nrenders = 7\n', encoding="utf-8")
    monkeypatch.setenv("VODSPRITE_PORT", "2")
    monkeypatch.setenv("VODSPRITE_HOST", "environment")

    read = settings.load(data=tmp_path, port=3, host=None)

    assert (read.port, read.host, read.renders, read.lease_s) == (3, "environment", 7, 30)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "prot"),
        ("port = 99999", "port"),
        ('public_url = "vod.example.com"', "public_url"),
        ('outbound_allow = "lookback"', "outbound_allow"),
        ("port = = 1", "not TOML"),
    ],
)
def test_a_bad_file_is_told_by_the_name_of_the_setting(tmp_path: Path, text: str, told: str) -> None:
    """An unknown key, a value out of range and a broken file each end in one line that names the place."""
    (tmp_path / "vodsprite.toml").write_text(text + "\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=told) as error:
        settings.load(data=tmp_path)
    assert "\n" not in str(error.value)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """A settings file that was asked for and isn't there is an error; the default one may be absent."""
    assert settings.load(data=tmp_path).port == 8266
    with pytest.raises(SettingsError, match="does not exist"):
        settings.load(data=tmp_path, file=tmp_path / "other.toml")


def test_the_secret_key_does_not_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither `repr` nor `str` of the settings shows it."""
    monkeypatch.setenv("VODSPRITE_SECRET_ID", "AKIDx")
    monkeypatch.setenv("VODSPRITE_SECRET_KEY", "verysecretkey")
    read = settings.load(data=tmp_path)
    assert "verysecretkey" not in repr(read) + str(read)
    assert read.secret_key.get_secret_value() == "verysecretkey"

"""The page of sheets shows what its commands give: the text is current, the pictures are theirs and small."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vodsprite.cli.render import render

REPOSITORY = Path(__file__).parents[2]

# In levels of 255. Other versions of the encoders stay well below, another frame or fill goes well above.
MEAN_ERROR = 2.0


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """`docs/build_sheets.py`."""
    spec = importlib.util.spec_from_file_location("build_sheets", REPOSITORY / "docs/build_sheets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(build: ModuleType) -> dict[str, Any]:
    """What every command of the page gives now."""
    return dict(build.make())


@pytest.fixture(scope="module")
def text(build: ModuleType) -> str:
    """The page that the repository holds."""
    return str(build.PAGE.read_text(encoding="utf-8"))


def test_the_page_is_current(build: ModuleType, made: dict[str, Any], text: str) -> None:
    """Text, WebVTT and times are what `docs/build_sheets.py` would write."""
    assert build.page(made) == text


def test_every_command_stands_above_its_picture(build: ModuleType, text: str) -> None:
    """The page shows each command of the script, the picture named as its folder below it, and no other."""
    shown = re.findall(r"```sh\n(.*?)\n```\n\n!\[[^]]+\]\(pictures/(.*?)\.jpg\)", text)
    assert {name: command for command, name in shown} == build.commands()
    assert text.count("![") == text.count("```sh") == len(shown)


def test_every_command_of_the_page_is_understood(text: str) -> None:
    """The command line takes each of them as it stands."""
    commands = re.findall(r"```sh\n(.*?)\n```", text)
    assert commands
    for command in commands:
        program, action, *arguments = shlex.split(command)
        assert (program, action) == ("vodsprite", "render")
        taken = render.make_context(action, arguments.copy()).params
        assert str(taken["output"]) == arguments[-1]


def test_the_pictures_are_those_of_the_commands(build: ModuleType, made: dict[str, Any]) -> None:
    """Each picture has the size of the sheet that its command gives now, and shows the same; none is over."""
    assert {path.stem for path in build.PICTURES.iterdir()} == set(made)
    for name, each in made.items():
        kept, now = _rgb((build.PICTURES / f"{name}.jpg").read_bytes()), _rgb(each.sheet)
        assert kept.shape == now.shape, name
        assert np.abs(kept - now).mean() < MEAN_ERROR, name


def test_the_pictures_are_small(build: ModuleType) -> None:
    """A picture has 50 kB at most, all of them 350 kB."""
    sizes = [path.stat().st_size for path in build.PICTURES.iterdir()]
    assert max(sizes) <= 50_000
    assert sum(sizes) <= 350_000


def test_what_the_page_says_of_hdr_is_so(made: dict[str, Any]) -> None:
    """Tone-mapped HDR is near the original, a little darker where it is bright; untagged it is far off."""
    original, mapped, untagged = (_rgb(made[name].sheet) for name in ("sdr", "hdr", "untagged"))
    assert np.abs(mapped - original).mean() < 6
    assert np.abs(untagged - original).mean() > 25
    bright = original.min(axis=2) > 200
    assert bright.any()
    assert 0 < (original - mapped)[bright].mean() < 20


def _rgb(data: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"), np.float64)

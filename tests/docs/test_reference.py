"""The documentation says what is true: generated pages are current, links lead somewhere, Python compiles."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]


def _build_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_reference", REPOSITORY / "docs/build_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["settings.md", "commands.md", "actions.md"])
def test_a_generated_page_is_current(page: str) -> None:
    """What `docs/build_reference.py` would write is what the repository holds."""
    kept = (REPOSITORY / "docs/reference" / page).read_text(encoding="utf-8")
    assert kept == _build_reference().pages()[page]


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    """No page points at a file that isn't there."""
    pages = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []


def test_the_readmes_python_is_python() -> None:
    """Every Python block of the README compiles."""
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 2
    for block in blocks:
        ast.parse(block)

"""The documentation says what is true: generated pages are current, links lead somewhere, Python compiles."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


def _build_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_reference", REPOSITORY / "docs/build_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["settings.md", "commands.md", "actions.md", "events.md"])
def test_a_generated_page_is_current(page: str) -> None:
    """What `docs/build_reference.py` would write is what the repository holds."""
    kept = (REPOSITORY / "docs/reference" / page).read_text(encoding="utf-8")
    assert kept == _build_reference().pages()[page]


def test_the_shown_events_are_the_documented_ones() -> None:
    """Every sample on the page has, in order, the members of the documented example of its kind."""
    shown = dict(_shown_events())
    for (sample, version), file_name in _EXAMPLES.items():
        example = json.loads((REPOSITORY / "tests/wire/examples" / file_name).read_text(encoding="utf-8"))
        assert _form(shown[sample, version]) == _form(example), (sample, version)


_EXAMPLES = {
    ("image-sprite-complete", "3.0"): "event-create-image-sprite-complete.json",
    ("image-sprite-failed", "3.0"): "event-create-image-sprite-complete-failed.json",
    ("procedure-finished", "3.0"): "event-procedure-state-changed.json",
    ("procedure-processing", "3.0"): "event-procedure-state-changed-processing.json",
    ("procedure-failed", "3.0"): "event-procedure-state-changed-failed.json",
    ("snapshot-complete", "3.0"): "event-create-snapshot-by-time-offset-complete.json",
    ("file-uploaded", "3.0"): "event-new-file-upload.json",
    ("pull-complete", "3.0"): "event-pull-complete.json",
    ("file-deleted", "3.0"): "event-file-deleted.json",
    ("image-sprite-complete", "2.0"): "event2-create-image-sprite-complete.json",
    ("snapshot-complete", "2.0"): "event2-create-snapshot-by-time-offset-complete.json",
    ("file-uploaded", "2.0"): "event2-new-file-upload.json",
    ("pull-complete", "2.0"): "event2-pull-complete.json",
    ("file-deleted", "2.0"): "event2-file-deleted.json",
}


def _shown_events() -> Iterator[tuple[tuple[str, str], Any]]:
    page = (REPOSITORY / "docs/reference/events.md").read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        name = section.split("\n", 1)[0]
        for version, block in re.findall(r"\n(\d\.\d):\n\n```json\n(.*?)\n```", section, re.S):
            yield (name, version), json.loads(block)


def _form(value: Any) -> Any:
    """What is left of a body without its values: names in order, and the kinds of leaves."""
    if isinstance(value, dict):
        return [(name, _form(member)) for name, member in value.items()]
    if isinstance(value, list):
        # Of a list, the forms that occur: how many entries it has is a value.
        forms = [_form(entry) for entry in value]
        return ["list", *(form for index, form in enumerate(forms) if form not in forms[:index])]
    return "number" if isinstance(value, int | float) else type(value).__name__


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

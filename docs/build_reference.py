"""
Writes the reference pages from the code that they describe: `./dev python docs/build_reference.py`.

`tests/docs/test_reference.py` fails when a page is not what this would write.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from vodsprite import samples
from vodsprite.api.v2017.actions import ACTIONS as ACTIONS_2017
from vodsprite.api.v2018.actions import ACTIONS as ACTIONS_2018
from vodsprite.apps.app import DEFAULT_MUTED
from vodsprite.cli.main import app
from vodsprite.events import TYPE_OF, EventType
from vodsprite.settings import ENV_PREFIX, FILE_NAME, Settings
from vodsprite.wire import payloads

REFERENCE = Path(__file__).parent / "reference"


def pages() -> dict[str, str]:
    """Return every generated page by its file name."""
    return {
        "settings.md": "\n".join(_settings()) + "\n",
        "commands.md": "\n".join(_commands()) + "\n",
        "actions.md": "\n".join(_actions()) + "\n",
        "events.md": "\n".join(_events()) + "\n",
    }


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield (
        f"A setting is a key of the TOML file `{FILE_NAME}` in the data folder (`--config` names another), "
        f"or an environment variable, which wins: `{ENV_PREFIX}` and the name in capitals. "
        "The command line wins over both.\n"
    )
    yield "| setting | default | meaning |\n| --- | --- | --- |"
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = f"`{default}`" if str(default) else "empty"
        yield f"| `{name}` | {shown} | {field.description} |"


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "Each answers `--help`. Exit code 0 is success, 2 wrong usage, 1 anything else unless it says more."
    yield from _command(["vodsprite"], app)


def _command(path: list[str], command: click.Command) -> Iterator[str]:
    name = " ".join(path)
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    if not isinstance(command, click.Group):
        yield f"\n## {name}\n\n```text\n{command.get_help(context).strip()}\n```"
        return
    for child in command.list_commands(context):
        inner = command.get_command(context, child)
        assert inner is not None
        yield from _command([*path, child], inner)


def _actions() -> Iterator[str]:
    yield "# Actions\n"
    for title, table in (("2018-07-17, at `/`", ACTIONS_2018), ("2017, at `/v2/index.php`", ACTIONS_2017)):
        yield f"## {title}\n\n| action | parameters | what it does |\n| --- | --- | --- |"
        for name in sorted(table):
            action = table[name]
            yield f"| `{name}` | {_parameters(action)} | {_summary(action)} |"
        yield ""


def _parameters(action: Any) -> str:
    fields = action.model.model_fields.items()
    names = [
        f"`{field.alias or name}`{'' if field.is_required() else ' (optional)'}" for name, field in fields
    ]
    return ", ".join(names) or "none"


def _summary(action: Any) -> str:
    text = inspect.getdoc(action.run) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def _events() -> Iterator[str]:
    yield "# Events\n"
    yield (
        "A 3.0 body has every member, `null` but for the one that its type fills; pulled, it begins with "
        "`EventHandle`, and pushed to an app with a sign key it ends in `Sign` and `T`. A 2.0 body is an "
        "envelope of `version`, `eventType` and `data`. The samples below are what "
        "`vodsprite events trigger` sends, by type or by the name of the sample.\n"
    )
    yield "| type | member of a 3.0 body | 2.0 | at first | samples |\n| --- | --- | --- | --- | --- |"
    for kind in EventType:
        names = [name for name, event in samples.SAMPLES.items() if TYPE_OF[type(event)] is kind]
        links = ", ".join(f"[`{name}`](#{name})" for name in names)
        has_v2 = "yes" if payloads.has_v2(kind) else "no"
        at_first = "off" if kind in DEFAULT_MUTED else "on"
        type_name, member = payloads.event_type_name(kind), payloads.member_of(kind)
        yield f"| `{type_name}` | `{member}` | {has_v2} | {at_first} | {links} |"
    for name, event in samples.SAMPLES.items():
        yield f"\n## {name}"
        for title, body in (("3.0", payloads.render_v3(event)), ("2.0", payloads.render_v2(event))):
            if body is not None:
                shown = json.dumps(body, ensure_ascii=False, indent=2)
                yield f"\n{title}:\n\n```json\n{shown}\n```"


if __name__ == "__main__":
    for file_name, text in pages().items():
        (REFERENCE / file_name).write_text(text, encoding="utf-8")

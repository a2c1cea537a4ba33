"""How commands print what they found: aligned columns for people, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool = False) -> None:
    """Print *rows*, which have the same keys, as a table with a head; as JSON, a list of objects."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        return
    cells = [list(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_record(record: Mapping[str, Any]) -> None:
    """Print one thing, a line for each of its members."""
    width = max(len(name) for name in record)
    for name, value in record.items():
        click.echo(f"{name.ljust(width)}  {shown(value)}".rstrip())


def print_json(value: object) -> None:
    """Print *value* as one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False))


def shown(value: object) -> str:
    """Return *value* as one line that no terminal takes for a command: others may have written it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(shown(one) for one in value) or "-"
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], str(value))

"""
The command `vodsprite`: its subcommands on one screen, and how errors leave the program.

Each subcommand's module is light; what it needs is imported when it runs, because starting time counts.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vodsprite import __version__
from vodsprite.cli import admin, demo, events, render, serve, verify
from vodsprite.errors import VodspriteError

app = typer.Typer(
    name="vodsprite",
    help="Image sprites with WebVTT from any video, and certain word of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
render.register(app)
verify.register(app)
serve.register(app)
admin.register(app)
events.register(app)
demo.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vodsprite {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error is one line on standard error and exit code 1."""
    try:
        app()
    except VodspriteError as error:
        typer.echo(f"vodsprite: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        first_line = str(error).partition("\n")[0]
        typer.echo(
            f"vodsprite: unexpected {type(error).__name__}: {first_line} (PYTHONDEVMODE=1 tells more)",
            err=True,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()

"""
The command `vodsprite`: its subcommands on one screen, and how errors leave the program.

A subcommand's module is imported when it is asked for, and what that needs when it runs: starting time
counts.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from vodsprite import __version__
from vodsprite.errors import VodspriteError

# Command: module of `vodsprite.cli`, and the command's name in it.
_COMMANDS = {
    "render": ("render", "render"),
    "verify": ("verify", "verify"),
    "serve": ("serve", "serve"),
    "demo": ("demo", "demo"),
    "media": ("admin", "media"),
    "app": ("admin", "apps"),
    "key": ("admin", "keys"),
    "events": ("events", "events"),
    "deliveries": ("events", "deliveries"),
}


class _LazyGroup(click.Group):
    """A group that imports the module of a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = getattr(import_module(f"vodsprite.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None


@click.group("vodsprite", cls=_LazyGroup)
@click.version_option(
    __version__, prog_name="vodsprite", message="%(prog)s %(version)s", help="Print the version."
)
def app() -> None:
    """Image sprites with WebVTT from any video, and certain word of it."""


def main() -> None:
    """Run the command line; an error is one line on standard error and exit code 1."""
    try:
        app()
    except VodspriteError as error:
        click.echo(f"vodsprite: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        first_line = str(error).partition("\n")[0]
        click.echo(
            f"vodsprite: unexpected {type(error).__name__}: {first_line} (PYTHONDEVMODE=1 tells more)",
            err=True,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()

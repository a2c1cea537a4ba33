"""`vodsprite serve`: the whole service in one process, on SQLite and a folder unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.  [default: 8266]")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the database, objects and credentials.  [default: vodsprite-data]"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (TOML).  [default: vodsprite.toml in the data folder]")
    ] = None,
) -> None:
    """Start the service: both APIs, the renderer, push delivery and file serving."""
    from vodsprite import settings
    from vodsprite.service import run

    run(settings.load(file=config, host=host, port=port, data=data))

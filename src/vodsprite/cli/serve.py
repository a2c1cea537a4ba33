"""`vodsprite serve`: the whole service in one process, on SQLite and a folder unless told otherwise."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8266]")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the database, objects and credentials.  [default: vodsprite-data]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Settings file (TOML).  [default: vodsprite.toml in the data folder]",
)
def serve(
    host: str | None,
    port: int | None,
    data: Path | None,
    config: Path | None,
) -> None:
    """Start the service: both APIs, the renderer, push delivery and file serving."""
    from vodsprite import settings
    from vodsprite.service import run

    run(settings.load(file=config, host=host, port=port, data=data))

"""What the API cannot say: `vodsprite media`, `app` and `key`, beside a running service or without one."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vodsprite.apps.app import App, Credential, Subscription
    from vodsprite.settings import Settings

Data = Annotated[
    Path | None, typer.Option("--data", help="The service's data folder.  [default: vodsprite-data]")
]
AppOption = Annotated[int | None, typer.Option("--app", help="App id.  [default: the primary app]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

media = typer.Typer(help="The videos that the service knows.", no_args_is_help=True)
apps = typer.Typer(help="Apps (tenants; on the wire: SubAppId) and what each is told.", no_args_is_help=True)
keys = typer.Typer(help="Credentials that sign requests.", no_args_is_help=True)


class Mode(StrEnum):
    """How an app is told of its events."""

    PUSH = "PUSH"
    PULL = "PULL"
    BOTH = "BOTH"


def register(app: typer.Typer) -> None:
    """Add the command groups to *app*."""
    app.add_typer(media, name="media")
    app.add_typer(apps, name="app")
    app.add_typer(keys, name="key")


@media.command("add")
def media_add(
    file: Annotated[Path, typer.Argument(help="The video; it is copied.", exists=True, dir_okay=False)],
    name: Annotated[str | None, typer.Option(help="Name of the media.  [default: the file's]")] = None,
    app: AppOption = None,
    data: Data = None,
) -> None:
    """Copy a video into the store and print its FileId."""
    from vodsprite.assembly import open_parts

    with open_parts(_settings(data)) as parts:
        added = parts.media.add_file(parts.apps.find(_app_id(app)).app_id, file, name=name)
    typer.echo(added.file_id)


@apps.command("create")
def app_create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    data: Data = None,
) -> None:
    """Make an app and print its id."""
    from vodsprite.assembly import open_parts

    with open_parts(_settings(data)) as parts:
        typer.echo(parts.apps.create(name, description).app_id)


@apps.command("list")
def app_list(as_json: AsJson = False, data: Data = None) -> None:
    """List the apps, each with its mode and addresses."""
    from vodsprite.assembly import open_parts

    with open_parts(_settings(data)) as parts:
        rows = [_app_row(app, parts.apps.subscription(app.app_id)) for app in parts.apps.all()]
    _print_rows(rows, as_json=as_json)


@apps.command("set")
def app_set(
    app: AppOption = None,
    mode: Annotated[
        Mode | None,
        typer.Option(case_sensitive=False, help="How events travel; BOTH sends each event both ways."),
    ] = None,
    url: Annotated[str | None, typer.Option(help='Address of 3.0 callbacks; "" clears it.')] = None,
    url_v2: Annotated[str | None, typer.Option(help='Address of 2.0 callbacks; "" clears it.')] = None,
    data: Data = None,
) -> None:
    """Change how an app is told of its events; what is not named stays."""
    from vodsprite.apps.app import DeliveryMode
    from vodsprite.assembly import open_parts

    with open_parts(_settings(data)) as parts:
        found = parts.apps.find(_app_id(app))
        changed = parts.apps.change_subscription(
            found.app_id, mode=DeliveryMode[mode.value] if mode else None, url=url, url_v2=url_v2
        )
        _print_rows([_app_row(found, changed)], as_json=False)


@keys.command("create")
def key_create(
    app: Annotated[
        int | None, typer.Option("--app", help="Bind it to one app.  [default: every app]")
    ] = None,
    label: Annotated[str, typer.Option(help="A note for yourself.")] = "",
    data: Data = None,
) -> None:
    """Make a credential and print it; this is the only time that its key is shown."""
    from vodsprite.assembly import open_parts

    with open_parts(_settings(data)) as parts:
        bound = parts.apps.find(_app_id(app)).app_id if app is not None else None
        made = parts.apps.create_credential(bound, label)
    _print_secret(made.secret_id, made.secret_key)


@keys.command("list")
def key_list(as_json: AsJson = False, data: Data = None) -> None:
    """List the credentials, without their keys."""
    from vodsprite.assembly import open_parts

    with open_parts(_settings(data)) as parts:
        rows = [_key_row(credential) for credential in parts.apps.credentials()]
    _print_rows(rows, as_json=as_json)


@keys.command("show")
def key_show(data: Data = None) -> None:
    """Print the credential that the first start made, key included."""
    from vodsprite.errors import DataFolderError
    from vodsprite.folder import DataFolder

    read = _settings(data)
    if read.secret_id:
        _print_secret(read.secret_id, read.secret_key.get_secret_value())
        return
    folder = DataFolder(read.data)
    kept = folder.read_credential()
    if kept is None:
        raise DataFolderError(
            f"no credential is kept in {folder.path}: "
            "start the service once, make one with `vodsprite key create`, "
            "or look where VODSPRITE_SECRET_ID and VODSPRITE_SECRET_KEY are set for the service"
        )
    _print_secret(*kept)


def _settings(data: Path | None) -> Settings:
    from vodsprite import logs, settings

    # Standard output is for the answer alone.
    logs.set_up("auto")
    return settings.load(data=data)


def _app_id(number: int | None) -> Any:
    from vodsprite.ids import AppId

    return None if number is None else AppId(number)


def _app_row(app: App, subscription: Subscription) -> dict[str, Any]:
    return {
        "app": app.app_id,
        "name": app.name,
        "primary": app.is_primary,
        "mode": subscription.mode.name,
        "url": subscription.url,
        "url_v2": subscription.url_v2,
    }


def _key_row(credential: Credential) -> dict[str, Any]:
    return {
        "secret_id": credential.secret_id,
        "app": credential.app_id if credential.app_id is not None else "every",
        "label": credential.label,
        "created": credential.created_at.isoformat(timespec="seconds"),
        "disabled": credential.disabled_at is not None,
    }


def _print_secret(secret_id: str, secret_key: str) -> None:
    typer.echo(f"SecretId: {secret_id}\nSecretKey: {secret_key}")


def _print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)

"""What the API cannot say: `vodsprite media`, `app` and `key`, beside a running service or without one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vodsprite.cli.printing import print_record, print_rows

if TYPE_CHECKING:
    from vodsprite.apps.app import App, Credential, Subscription
    from vodsprite.delivery.delivery import Channel, Pause
    from vodsprite.events import EventType
    from vodsprite.ids import AppId
    from vodsprite.settings import Settings

Data = Annotated[
    Path | None, typer.Option("--data", help="The service's data folder.  [default: vodsprite-data]")
]
AppOption = Annotated[int | None, typer.Option("--app", help="App id.  [default: the primary app]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

media = typer.Typer(help="The videos that the service knows.", no_args_is_help=True)
apps = typer.Typer(help="Apps (tenants; on the wire: SubAppId) and what each is told.", no_args_is_help=True)
secrets = typer.Typer(
    help="Standard Webhooks secrets that sign an app's pushes; two may be valid at once, to change them.",
    no_args_is_help=True,
)
keys = typer.Typer(help="Credentials that sign requests.", no_args_is_help=True)


class Mode(StrEnum):
    """How an app is told of its events."""

    PUSH = "PUSH"
    PULL = "PULL"
    BOTH = "BOTH"


class RetryPolicy(StrEnum):
    """When a push that failed is tried again."""

    STANDARD = "standard"
    TENCENT = "tencent"


class Format(StrEnum):
    """The format of a push address."""

    V3 = "3.0"
    V2 = "2.0"


FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Only the address of that format.  [default: both]")
]


def register(app: typer.Typer) -> None:
    """Add the command groups to *app*."""
    app.add_typer(media, name="media")
    app.add_typer(apps, name="app")
    apps.add_typer(secrets, name="secret")
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

    with open_parts(load_settings(data)) as parts:
        added = parts.media.add_file(parts.apps.find(app_id_of(app)).app_id, file, name=name)
    typer.echo(added.file_id)


@apps.command("create")
def app_create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    data: Data = None,
) -> None:
    """Make an app and print its id."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        typer.echo(parts.apps.create(name, description).app_id)


@apps.command("list")
def app_list(as_json: AsJson = False, data: Data = None) -> None:
    """List the apps, each with the way in which it is told of its events."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        rows = [
            _app_row(app, parts.apps.subscription(app.app_id), parts.events.pauses(app.app_id))
            for app in parts.apps.all()
        ]
    print_rows(rows, as_json=as_json)


@apps.command("set")
def app_set(
    app: AppOption = None,
    mode: Annotated[
        Mode | None,
        typer.Option(case_sensitive=False, help="How events travel; BOTH sends each event both ways."),
    ] = None,
    url: Annotated[str | None, typer.Option(help='Address of 3.0 callbacks; "" clears it.')] = None,
    url_v2: Annotated[str | None, typer.Option(help='Address of 2.0 callbacks; "" clears it.')] = None,
    sign_key: Annotated[
        str | None,
        typer.Option(help='Key of Sign and T in 3.0 callbacks, up to 32 letters and digits; "" clears it.'),
    ] = None,
    policy: Annotated[
        RetryPolicy | None,
        typer.Option(
            case_sensitive=False,
            help="standard: twelve attempts, 2xx is success; tencent: three sends, any answer is success.",
        ),
    ] = None,
    timeout: Annotated[int | None, typer.Option(help="Seconds that a push may take in all, 1 to 30.")] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE=ON|OFF", help="Switch an event type on or off; may be repeated."),
    ] = None,
    data: Data = None,
) -> None:
    """Change how an app is told of its events; what is not named stays."""
    from dataclasses import replace

    from vodsprite.apps.app import DeliveryMode, Policy
    from vodsprite.assembly import open_parts

    switches = _switches(event or [])
    off = {event_type for event_type, is_on in switches.items() if not is_on}

    def changed(old: Subscription) -> Subscription:
        return replace(
            old,
            mode=old.mode if mode is None else DeliveryMode[mode.value],
            url=old.url if url is None else url,
            url_v2=old.url_v2 if url_v2 is None else url_v2,
            sign_key=old.sign_key if sign_key is None else sign_key,
            policy=old.policy if policy is None else Policy(policy.value),
            timeout_s=old.timeout_s if timeout is None else timeout,
            muted=(old.muted - switches.keys()) | off,
        )

    with open_parts(load_settings(data)) as parts:
        found = parts.apps.find(app_id_of(app))
        now_set = parts.apps.edit_subscription(found.app_id, changed)
        print_record(_app_row(found, now_set, parts.events.pauses(found.app_id)))


@apps.command("pause")
def app_pause(app: AppOption = None, format_: FormatOption = None, data: Data = None) -> None:
    """Push nothing to an app until it is resumed; its events wait meanwhile."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        paused = parts.events.pause(parts.apps.find(app_id_of(app)).app_id, _channel(format_))
    print_rows([_pause_row(one) for one in paused])


@apps.command("resume")
def app_resume(app: AppOption = None, format_: FormatOption = None, data: Data = None) -> None:
    """Push to an app again that was paused, by hand or because it answered 410."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        count = parts.events.resume(parts.apps.find(app_id_of(app)).app_id, _channel(format_))
    typer.echo(f"resumed {count}")


@secrets.command("add")
def secret_add(
    app: AppOption = None,
    secret: Annotated[
        str | None, typer.Option(help="whsec_ and Base64 of 24 to 64 bytes.  [default: a new one]")
    ] = None,
    data: Data = None,
) -> None:
    """Sign pushes with one secret more and print it; this is the only time that it is shown."""
    from vodsprite.assembly import open_parts
    from vodsprite.wire.webhook import WebhookSecret

    given = None if secret is None else WebhookSecret.parse(secret)
    with open_parts(load_settings(data)) as parts:
        added = parts.apps.add_secret(parts.apps.find(app_id_of(app)).app_id, given)
    print_record({"Name": added.name, "Secret": added.reveal()})


@secrets.command("list")
def secret_list(app: AppOption = None, as_json: AsJson = False, data: Data = None) -> None:
    """List an app's secrets by their names, the newest first, without the secrets."""
    from vodsprite.assembly import open_parts
    from vodsprite.wire.webhook import WebhookSecret

    with open_parts(load_settings(data)) as parts:
        found = parts.apps.find(app_id_of(app))
        texts = parts.apps.subscription(found.app_id).secrets
    print_rows(
        [{"app": found.app_id, "name": WebhookSecret.parse(text).name} for text in texts], as_json=as_json
    )


@secrets.command("remove")
def secret_remove(
    name: Annotated[str, typer.Argument(help="Name of the secret, as `list` shows it.")],
    app: AppOption = None,
    data: Data = None,
) -> None:
    """Sign pushes with that secret no more."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        parts.apps.remove_secret(parts.apps.find(app_id_of(app)).app_id, name)


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

    with open_parts(load_settings(data)) as parts:
        bound = parts.apps.find(app_id_of(app)).app_id if app is not None else None
        made = parts.apps.create_credential(bound, label)
    _print_secret(made.secret_id, made.secret_key)


@keys.command("list")
def key_list(as_json: AsJson = False, data: Data = None) -> None:
    """List the credentials, without their keys."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        rows = [_key_row(credential) for credential in parts.apps.credentials()]
    print_rows(rows, as_json=as_json)


@keys.command("show")
def key_show(data: Data = None) -> None:
    """Print the credential that the first start made, key included."""
    from vodsprite.errors import DataFolderError
    from vodsprite.folder import DataFolder

    read = load_settings(data)
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


def load_settings(data: Path | None) -> Settings:
    """Return the settings of the installation in *data*, or of the one that they name themselves."""
    from vodsprite import logs, settings

    # Standard output is for the answer alone.
    logs.set_up("auto")
    return settings.load(data=data)


def app_id_of(number: int | None) -> AppId | None:
    """Return an `--app` as the id that it is."""
    from vodsprite.ids import AppId

    return None if number is None else AppId(number)


def _switches(said: Sequence[str]) -> dict[EventType, bool]:
    from vodsprite.errors import InvalidInput
    from vodsprite.wire import payloads

    switches = {}
    for one in said:
        name, _, value = one.partition("=")
        if value.upper() not in ("ON", "OFF"):
            raise InvalidInput("--event", f"is {one!r}; write TYPE=ON or TYPE=OFF")
        switches[payloads.type_from_name(name)] = value.upper() == "ON"
    return switches


def _channel(format_: Format | None) -> Channel | None:
    from vodsprite.delivery.delivery import Channel

    return None if format_ is None else {Format.V3: Channel.PUSH_V3, Format.V2: Channel.PUSH_V2}[format_]


def _app_row(app: App, subscription: Subscription, pauses: Sequence[Pause]) -> dict[str, Any]:
    from vodsprite.wire import payloads

    return {
        "app": app.app_id,
        "name": app.name,
        "primary": app.is_primary,
        "mode": subscription.mode.name,
        "url": subscription.url,
        "url_v2": subscription.url_v2,
        "sign_key": bool(subscription.sign_key),
        "secrets": len(subscription.secrets),
        "policy": subscription.policy.value,
        "timeout_s": subscription.timeout_s,
        "off": sorted(payloads.event_type_name(event_type) for event_type in subscription.muted),
        "paused": [one.channel.value for one in pauses],
    }


def _pause_row(pause: Pause) -> dict[str, Any]:
    return {
        "app": pause.app_id,
        "channel": pause.channel.value,
        "paused": pause.paused_at.isoformat(timespec="seconds"),
        "reason": pause.reason,
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

"""What the API cannot say: `vodsprite media`, `app` and `key`, beside a running service or without one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vodsprite.cli.printing import print_record, print_rows

if TYPE_CHECKING:
    from vodsprite.apps.app import App, Credential, Subscription
    from vodsprite.delivery.delivery import Channel, Pause
    from vodsprite.events import EventType
    from vodsprite.ids import AppId
    from vodsprite.settings import Settings

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The service's data folder.  [default: vodsprite-data]",
)
app_option = click.option("--app", type=int, help="App id.  [default: the primary app]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class InOrder(click.Group):
    """A group that lists its commands in the order of the source."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group("media")
def media() -> None:
    """The videos that the service knows."""


@click.group("app", cls=InOrder)
def apps() -> None:
    """Apps (tenants; on the wire: SubAppId) and what each is told."""


@click.group("secret")
def secrets() -> None:
    """Standard Webhooks secrets that sign an app's pushes; two may be valid at once, to change them."""


@click.group("key")
def keys() -> None:
    """Credentials that sign requests."""


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


format_option = click.option(
    "--format",
    "format_",
    type=click.Choice([each.value for each in Format]),
    help="Only the address of that format.  [default: both]",
)


@media.command("add")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The video; it is copied."
)
@click.option("--name", help="Name of the media.  [default: the file's]")
@app_option
@data_option
def media_add(
    file: Path,
    name: str | None,
    app: int | None,
    data: Path | None,
) -> None:
    """Copy a video into the store and print its FileId."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        added = parts.media.add_file(parts.apps.find(app_id_of(app)).app_id, file, name=name)
    click.echo(added.file_id)


@apps.command("create")
@click.argument("name", help="What people call it.")
@click.option("--description", default="", help="What it is for.")
@data_option
def app_create(
    name: str,
    description: str,
    data: Path | None,
) -> None:
    """Make an app and print its id."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        click.echo(parts.apps.create(name, description).app_id)


@apps.command("list")
@json_option
@data_option
def app_list(
    as_json: bool,
    data: Path | None,
) -> None:
    """List the apps, each with the way in which it is told of its events."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        rows = [
            _app_row(app, parts.apps.subscription(app.app_id), parts.events.pauses(app.app_id))
            for app in parts.apps.all()
        ]
    print_rows(rows, as_json=as_json)


@apps.command("set")
@app_option
@click.option(
    "--mode",
    type=click.Choice([each.value for each in Mode], case_sensitive=False),
    help="How events travel; BOTH sends each event both ways.",
)
@click.option("--url", help='Address of 3.0 callbacks; "" clears it.')
@click.option("--url-v2", help='Address of 2.0 callbacks; "" clears it.')
@click.option(
    "--sign-key",
    help='Key of Sign and T in 3.0 callbacks, up to 32 letters and digits; "" clears it.',
)
@click.option(
    "--policy",
    type=click.Choice([each.value for each in RetryPolicy], case_sensitive=False),
    help="standard: twelve attempts, 2xx is success; tencent: three sends, any answer is success.",
)
@click.option("--timeout", type=int, help="Seconds that a push may take in all, 1 to 30.")
@click.option(
    "--event",
    metavar="TYPE=ON|OFF",
    multiple=True,
    help="Switch an event type on or off; may be repeated.",
)
@data_option
def app_set(
    app: int | None,
    mode: str | None,
    url: str | None,
    url_v2: str | None,
    sign_key: str | None,
    policy: str | None,
    timeout: int | None,
    event: tuple[str, ...],
    data: Path | None,
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
            mode=old.mode if mode is None else DeliveryMode[mode],
            url=old.url if url is None else url,
            url_v2=old.url_v2 if url_v2 is None else url_v2,
            sign_key=old.sign_key if sign_key is None else sign_key,
            policy=old.policy if policy is None else Policy(policy),
            timeout_s=old.timeout_s if timeout is None else timeout,
            muted=(old.muted - switches.keys()) | off,
        )

    with open_parts(load_settings(data)) as parts:
        found = parts.apps.find(app_id_of(app))
        now_set = parts.apps.edit_subscription(found.app_id, changed)
        print_record(_app_row(found, now_set, parts.events.pauses(found.app_id)))


@apps.command("pause")
@app_option
@format_option
@data_option
def app_pause(
    app: int | None,
    format_: str | None,
    data: Path | None,
) -> None:
    """Push nothing to an app until it is resumed; its events wait meanwhile."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        paused = parts.events.pause(parts.apps.find(app_id_of(app)).app_id, _channel(format_))
    print_rows([_pause_row(one) for one in paused])


@apps.command("resume")
@app_option
@format_option
@data_option
def app_resume(
    app: int | None,
    format_: str | None,
    data: Path | None,
) -> None:
    """Push to an app again that was paused, by hand or because it answered 410."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        count = parts.events.resume(parts.apps.find(app_id_of(app)).app_id, _channel(format_))
    click.echo(f"resumed {count}")


@secrets.command("add")
@app_option
@click.option("--secret", help="whsec_ and Base64 of 24 to 64 bytes.  [default: a new one]")
@data_option
def secret_add(
    app: int | None,
    secret: str | None,
    data: Path | None,
) -> None:
    """Sign pushes with one secret more and print it; this is the only time that it is shown."""
    from vodsprite.assembly import open_parts
    from vodsprite.wire.webhook import WebhookSecret

    given = None if secret is None else WebhookSecret.parse(secret)
    with open_parts(load_settings(data)) as parts:
        added = parts.apps.add_secret(parts.apps.find(app_id_of(app)).app_id, given)
    print_record({"Name": added.name, "Secret": added.reveal()})


@secrets.command("list")
@app_option
@json_option
@data_option
def secret_list(
    app: int | None,
    as_json: bool,
    data: Path | None,
) -> None:
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
@click.argument("name", help="Name of the secret, as `list` shows it.")
@app_option
@data_option
def secret_remove(
    name: str,
    app: int | None,
    data: Path | None,
) -> None:
    """Sign pushes with that secret no more."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        parts.apps.remove_secret(parts.apps.find(app_id_of(app)).app_id, name)


@keys.command("create")
@click.option("--app", type=int, help="Bind it to one app.  [default: every app]")
@click.option("--label", default="", help="A note for yourself.")
@data_option
def key_create(
    app: int | None,
    label: str,
    data: Path | None,
) -> None:
    """Make a credential and print it; this is the only time that its key is shown."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        bound = parts.apps.find(app_id_of(app)).app_id if app is not None else None
        made = parts.apps.create_credential(bound, label)
    _print_secret(made.secret_id, made.secret_key)


@keys.command("list")
@json_option
@data_option
def key_list(
    as_json: bool,
    data: Path | None,
) -> None:
    """List the credentials, without their keys."""
    from vodsprite.assembly import open_parts

    with open_parts(load_settings(data)) as parts:
        rows = [_key_row(credential) for credential in parts.apps.credentials()]
    print_rows(rows, as_json=as_json)


@keys.command("show")
@data_option
def key_show(
    data: Path | None,
) -> None:
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


apps.add_command(secrets)


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


def _channel(format_: str | None) -> Channel | None:
    from vodsprite.delivery.delivery import Channel

    channels = {Format.V3: Channel.PUSH_V3, Format.V2: Channel.PUSH_V2}
    return None if format_ is None else channels[Format(format_)]


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
    click.echo(f"SecretId: {secret_id}\nSecretKey: {secret_key}")

"""`vodsprite events` and `deliveries`: see what happened and what became of it, send it again, try it out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from vodsprite.cli.admin import InOrder, app_id_of, app_option, data_option, json_option, load_settings
from vodsprite.cli.printing import print_json, print_record, print_rows

if TYPE_CHECKING:
    from pathlib import Path

    from vodsprite.delivery.delivery import Attempt, Delivery, Filter, StoredEvent
    from vodsprite.delivery.replay import Told

any_app_option = click.option("--app", type=int, help="Only of this app.  [default: every app]")
kind_option = click.option(
    "--type", "kind", help="Only events of this type, as in CreateImageSpriteComplete."
)
since_option = click.option(
    "--since", help="Only from this time on: 2026-03-02T08:00:00Z, or how long ago: 90s, 2h, 3d."
)
until_option = click.option("--until", help="Only before this time, written likewise.")
dead_option = click.option(
    "--dead", is_flag=True, help="Only dead letters: given up, and not replayed since."
)
limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1, max=100_000),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.group("events", cls=InOrder)
def events() -> None:
    """What happened: see it, send it again, try it out."""


@click.group("deliveries")
def deliveries() -> None:
    """What became of each event at each destination."""


@events.command("list")
@any_app_option
@kind_option
@since_option
@until_option
@dead_option
@limit_option
@json_option
@data_option
def events_list(
    app: int | None,
    kind: str | None,
    since: str | None,
    until: str | None,
    dead: bool,
    limit: int,
    as_json: bool,
    data: Path | None,
) -> None:
    """List events, the newest first, each with the state of its deliveries."""
    from vodsprite.assembly import open_parts

    wanted = _filter(app, kind, since, until, dead=dead)
    with open_parts(load_settings(data)) as parts:
        found = parts.events.list(wanted, limit=limit)
    if as_json:
        print_json([{**_event_row(one), "deliveries": _states(made)} for one, made in found])
        return
    print_rows([{**_event_row(one), "deliveries": _state_texts(made)} for one, made in found])


@events.command("show")
@click.argument("event_id", help="Id of the event, as in evt_…")
@json_option
@data_option
def events_show(
    event_id: str,
    as_json: bool,
    data: Path | None,
) -> None:
    """Show one event: its 3.0 body, its deliveries, and every attempt to push it."""
    import json

    from vodsprite.assembly import open_parts
    from vodsprite.ids import EventId
    from vodsprite.wire import payloads

    with open_parts(load_settings(data)) as parts:
        shown = parts.events.show(EventId(event_id))
    body = None if shown.event is None else payloads.render_v3(shown.event)
    if as_json:
        told = [_delivery_json(one) for one in shown.told]
        print_json({**_event_row(shown.stored), "body": body, "deliveries": told})
        return
    print_record(_event_row(shown.stored))
    click.echo("")
    print_rows([row for one in shown.told for row in _attempt_rows(one)])
    click.echo("")
    click.echo(
        "this version cannot read it" if body is None else json.dumps(body, ensure_ascii=False, indent=2)
    )


@events.command("replay")
@click.argument("event_ids", nargs=-1, help="Ids of events, as in evt_…")
@any_app_option
@kind_option
@since_option
@until_option
@dead_option
@json_option
@data_option
def events_replay(
    event_ids: tuple[str, ...],
    app: int | None,
    kind: str | None,
    since: str | None,
    until: str | None,
    dead: bool,
    as_json: bool,
    data: Path | None,
) -> None:
    """
    Deliver events again, under their old ids, to the destinations that their apps have now.

    Name them by id, or say which with --type, --since, --until, --dead.
    """
    from vodsprite.assembly import open_parts
    from vodsprite.errors import InvalidInput
    from vodsprite.ids import EventId

    wanted = _filter(app, kind, since, until, dead=dead)
    is_said = bool(kind or since or until or dead)
    if event_ids and (is_said or app is not None):
        raise InvalidInput("EVENT_IDS", "go without --app, --type, --since, --until, --dead")
    if not event_ids and not is_said:
        raise InvalidInput("what to replay", "is not said: name ids, or --type, --since, --until, --dead")
    with open_parts(load_settings(data)) as parts:
        if event_ids:
            done = parts.events.replay([EventId(one) for one in event_ids])
        else:
            done = parts.events.replay_all(wanted)
    if as_json:
        print_json(
            {
                "events": done.events,
                "deliveries": done.deliveries,
                "muted": done.muted,
                "unknown": done.unknown,
            }
        )
        return
    muted = f"; {done.muted} left alone, their app has switched them off" if done.muted else ""
    unknown = f"; {done.unknown} left alone, this version does not know their type" if done.unknown else ""
    click.echo(f"replayed {done.events} events as {done.deliveries} deliveries{muted}{unknown}")


@events.command("trigger")
@click.argument(
    "name",
    metavar="TYPE",
    help="Event type, as in CreateImageSpriteComplete, or sample, as in image-sprite-failed.",
)
@click.option(
    "--set",
    "set_",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Change a member of the 3.0 payload, as in Definition=20; may be repeated.",
)
@app_option
@data_option
def events_trigger(
    name: str,
    set_: tuple[str, ...],
    app: int | None,
    data: Path | None,
) -> None:
    """Send a sample event to an app's real destinations, marked as a test, and print its id."""
    from vodsprite import logs
    from vodsprite.assembly import open_parts
    from vodsprite.delivery.trial import sample_event
    from vodsprite.errors import InvalidInput
    from vodsprite.events import TYPE_OF
    from vodsprite.wire import payloads

    changes = {}
    for one in set_ or []:
        field, sign, value = one.partition("=")
        if not sign:
            raise InvalidInput("--set", f"is {one!r}; write FIELD=VALUE")
        changes[field] = value
    event = sample_event(name, changes)
    settings = load_settings(data)
    logs.set_up(settings.log_format)
    with open_parts(settings) as parts:
        event_id = parts.events.trigger(parts.apps.find(app_id_of(app)).app_id, event)
    if event_id is None:
        type_name = payloads.event_type_name(TYPE_OF[type(event)])
        raise InvalidInput(
            type_name, f"is switched off for this app; `vodsprite app set --event {type_name}=ON` sends it"
        )
    click.echo(event_id)


@deliveries.command("list")
@click.option("--event", "event_id", help="Only of the event of this id.")
@any_app_option
@kind_option
@since_option
@until_option
@click.option("--dead", is_flag=True, help="Only those that were given up.")
@limit_option
@json_option
@data_option
def deliveries_list(
    event_id: str | None,
    app: int | None,
    kind: str | None,
    since: str | None,
    until: str | None,
    dead: bool,
    limit: int,
    as_json: bool,
    data: Path | None,
) -> None:
    """List deliveries, the newest first, with every attempt: time, status, latency, start of the answer."""
    from vodsprite.assembly import open_parts
    from vodsprite.ids import EventId

    wanted = _filter(app, kind, since, until, dead=dead)
    with open_parts(load_settings(data)) as parts:
        found = parts.events.deliveries(
            wanted, event_id=None if event_id is None else EventId(event_id), limit=limit
        )
    if as_json:
        print_json([_delivery_json(one) for one in found])
        return
    print_rows([row for one in found for row in _attempt_rows(one)])


def _filter(app: int | None, kind: str | None, since: str | None, until: str | None, *, dead: bool) -> Filter:
    from vodsprite.delivery.delivery import Filter
    from vodsprite.wire import payloads

    now = datetime.now(UTC)
    return Filter(
        app_id=app_id_of(app),
        kind=None if kind is None else payloads.type_from_name(kind),
        since=None if since is None else _instant("--since", since, now),
        until=None if until is None else _instant("--until", until, now),
        dead_only=dead,
    )


def _instant(option: str, text: str, now: datetime) -> datetime:
    """Read a time, in UTC unless it names a zone, or a time span before *now*."""
    from vodsprite.errors import InvalidInput

    try:
        if text[-1:] in UNITS and text[:-1].isascii() and text[:-1].isdecimal():
            return now - timedelta(**{UNITS[text[-1]]: int(text[:-1])})
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidInput(
            option, f"is {text[:40]!r}; write 2026-03-02T08:00:00Z, or how long ago: 90s, 15m, 2h, 3d"
        ) from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _event_row(stored: StoredEvent) -> dict[str, Any]:
    return {
        "event": stored.event_id,
        "happened": _time(stored.happened_at),
        "app": stored.app_id,
        "type": _type_name(stored),
        "test": stored.is_test,
    }


def _states(made: Sequence[Delivery]) -> list[dict[str, Any]]:
    return [
        {"delivery": one.delivery_id, "channel": one.channel.value, "state": one.state.value} for one in made
    ]


def _state_texts(made: Sequence[Delivery]) -> list[str]:
    return [f"{one.channel.value} {one.state.value}" for one in made]


def _delivery_row(made: Delivery) -> dict[str, Any]:
    return {
        "delivery": made.delivery_id,
        "event": made.event_id,
        "type": _type_name(made),
        "app": made.app_id,
        "channel": made.channel.value,
        "state": made.state.value,
        "test": made.is_test,
    }


def _delivery_json(told: Told) -> dict[str, Any]:
    made = told.delivery
    return {
        **_delivery_row(made),
        "times": made.attempts,
        "created": _time(made.created_at),
        "due": _time(made.due_at) if made.settled_at is None else None,
        "settled": None if made.settled_at is None else _time(made.settled_at),
        "note": made.note,
        "attempts": [{"url": one.url, **_attempt_row(one)} for one in told.attempts],
    }


def _attempt_rows(told: Told) -> list[dict[str, Any]]:
    row = _delivery_row(told.delivery)
    if told.attempts:
        return [{**row, **_attempt_row(one)} for one in told.attempts]
    none = dict.fromkeys(("attempt", "time", "outcome", "status", "latency_ms"))
    return [{**row, **none, "answer": told.delivery.note}]


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "time": _time(attempt.started_at),
        "outcome": attempt.outcome.value,
        "status": attempt.status_code,
        "latency_ms": attempt.latency_ms,
        "answer": attempt.answer,
    }


def _type_name(of: StoredEvent | Delivery) -> str:
    from vodsprite.delivery.delivery import ForeignType, StoredEvent
    from vodsprite.wire import payloads

    kind = of.type if isinstance(of, StoredEvent) else of.event_type
    return kind.value if isinstance(kind, ForeignType) else payloads.event_type_name(kind)


def _time(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")

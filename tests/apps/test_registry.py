"""Apps, their keys and what they want to be told."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from vodsprite.apps.app import App, DeliveryMode, Policy, Subscription
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import to_us
from vodsprite.database.engine import Database
from vodsprite.database.schema import credentials, subscriptions
from vodsprite.errors import AppNotFound, InvalidInput, NonceReplayed
from vodsprite.events import EventType
from vodsprite.ids import FIRST_APP_ID, AppId, RandomIds
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.databases import opened

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(f"sqlite:///{tmp_path / 'vodsprite.sqlite'}") as database:
        yield database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def apps(database: Database, clock: FakeClock) -> AppRegistry:
    return AppRegistry(database, clock, RandomIds())


@pytest.fixture
def primary(apps: AppRegistry) -> App:
    return apps.ensure_primary("AKIDfirst", "first key")


def test_the_first_start_makes_the_primary_app(apps: AppRegistry) -> None:
    """One app, and a key pair that may act for every app; a second start changes nothing."""
    primary = apps.ensure_primary("AKIDfirst", "first key")
    assert (primary.app_id, primary.is_primary) == (FIRST_APP_ID, True)
    assert apps.ensure_primary("AKIDfirst", "first key") == primary
    assert apps.all() == [primary]
    [credential] = apps.credentials()
    assert (credential.secret_id, credential.secret_key, credential.app_id) == (
        "AKIDfirst",
        "first key",
        None,
    )


def test_a_new_key_for_the_first_credential_replaces_the_old(apps: AppRegistry, primary: App) -> None:
    """Whoever sets another secret key and starts again signs with it."""
    found = apps.credential("AKIDfirst")
    assert found is not None
    apps.ensure_primary("AKIDfirst", "second key")
    found = apps.credential("AKIDfirst")
    assert found is not None
    assert found.secret_key == "second key"
    assert apps.find(None) == primary


def test_several_first_starts_at_once_make_one_app(tmp_path: Path, clock: FakeClock) -> None:
    """Commands that start beside each other agree on one primary app."""
    url = f"sqlite:///{tmp_path / 'vodsprite.sqlite'}"
    start = threading.Barrier(4)

    def first_start(_: int) -> AppId:
        with opened(url) as database:
            start.wait()
            return AppRegistry(database, clock, RandomIds()).ensure_primary("AKIDfirst", "key").app_id

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(first_start, range(4))) == {FIRST_APP_ID}
    with opened(url) as database:
        assert len(AppRegistry(database, clock, RandomIds()).all()) == 1


def test_further_apps_count_up(apps: AppRegistry, primary: App) -> None:
    """Each new app has the next id, and is found by it; who names none means the primary one."""
    second, third = apps.create("second", "for tests"), apps.create("third")
    assert [second.app_id, third.app_id] == [FIRST_APP_ID + 1, FIRST_APP_ID + 2]
    assert apps.find(second.app_id) == second
    assert apps.find(None) == primary
    assert apps.all() == [primary, second, third]


def test_a_known_app_costs_no_look_at_the_database(tmp_path: Path, clock: FakeClock) -> None:
    """What was found once is answered from memory; an id that was unknown is looked for each time."""
    with opened(f"sqlite:///{tmp_path / 'vodsprite.sqlite'}") as database:
        apps = AppRegistry(database, clock, RandomIds())
        primary = apps.ensure_primary("AKIDfirst", "key")
        with pytest.raises(AppNotFound):
            apps.known(AppId(primary.app_id + 1))
        second = apps.create("second")
        looks: list[str] = []
        sa.event.listen(
            database.engine, "before_cursor_execute", lambda conn, cursor, text, *rest: looks.append(text)
        )
        assert [apps.known(None), apps.known(second.app_id)] == [primary, second]
        asked = len(looks)
        assert [apps.known(None), apps.known(second.app_id)] == [primary, second]
        assert asked > 0
        assert len(looks) == asked


@pytest.mark.parametrize("name", ["", "x" * 41])
def test_an_app_has_a_name_of_sensible_length(apps: AppRegistry, name: str) -> None:
    """1 to 40 characters."""
    with pytest.raises(InvalidInput, match="name"):
        apps.create(name)


def test_an_unknown_app_is_not_found(apps: AppRegistry) -> None:
    """Everything that takes an app's id says so, and before the first start there is no primary one."""
    unknown = AppId(4711)
    with pytest.raises(AppNotFound, match="4711"):
        apps.find(unknown)
    with pytest.raises(AppNotFound, match="primary"):
        apps.find(None)
    with pytest.raises(AppNotFound):
        apps.subscription(unknown)
    with pytest.raises(AppNotFound):
        apps.change_subscription(unknown, mode=DeliveryMode.PULL)
    with pytest.raises(AppNotFound):
        apps.create_credential(unknown)


def test_a_new_app_is_pushed_sprite_events(apps: AppRegistry, primary: App) -> None:
    """The defaults: push, no address yet, upload and delete events off, five seconds."""
    assert apps.subscription(primary.app_id) == Subscription(
        app_id=primary.app_id,
        mode=DeliveryMode.PUSH,
        policy=Policy.STANDARD,
        timeout_s=5,
        muted=frozenset({EventType.FILE_UPLOADED, EventType.FILE_DELETED}),
    )


def test_a_change_keeps_what_it_does_not_name(apps: AppRegistry, primary: App, clock: FakeClock) -> None:
    """Members that are left out keep their value; an empty text clears."""
    apps.change_subscription(
        primary.app_id,
        mode=DeliveryMode.BOTH,
        url="https://a.example.com/x?y=1",
        url_v2="http://b.example.com:8080",
        sign_key="callbackKey0001",
        policy=Policy.TENCENT,
        timeout_s=30,
        secrets=[SECRET],
        muted=[EventType.PULL_COMPLETE],
    )
    clock.advance(seconds=5)
    changed = apps.change_subscription(primary.app_id, url="")
    assert (
        apps.subscription(primary.app_id)
        == changed
        == Subscription(
            app_id=primary.app_id,
            mode=DeliveryMode.BOTH,
            url="",
            url_v2="http://b.example.com:8080",
            sign_key="callbackKey0001",
            secrets=(SECRET,),
            policy=Policy.TENCENT,
            timeout_s=30,
            muted=frozenset({EventType.PULL_COMPLETE}),
            changed_at=clock.now(),
        )
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "ftp://example.com/"),
        ("url", "example.com"),
        ("url", "http://"),
        ("url", "http://example.com/a b"),
        ("url", "http://example.com/\r\nX: y"),
        ("url", "http://example.com:99999/"),
        ("url", "http://[::1/"),
        ("url", "http://example.com/" + "x" * 3000),
        ("url_v2", "javascript:alert(1)"),
        ("sign_key", "x" * 33),
        ("sign_key", "no spaces"),
        ("sign_key", "\N{GREEK SMALL LETTER ALPHA}"),
        ("timeout_s", 0),
        ("timeout_s", 31),
        ("secrets", ["short"]),
    ],
)
def test_a_value_that_breaks_a_rule_changes_nothing(
    apps: AppRegistry, primary: App, field: str, value: object
) -> None:
    """The error names the field, and the subscription is as it was."""
    before = apps.subscription(primary.app_id)
    with pytest.raises(InvalidInput, match=field.rstrip("s")):
        apps.change_subscription(primary.app_id, mode=DeliveryMode.PULL, **{field: value})  # type: ignore[arg-type]  # on purpose
    assert apps.subscription(primary.app_id) == before


def test_changes_at_once_do_not_undo_each_other(apps: AppRegistry, primary: App) -> None:
    """Two that change different members at the same time both get what they asked for."""
    for _ in range(5):
        start = threading.Barrier(2)

        def change(member: str, start: threading.Barrier = start) -> None:
            start.wait()
            apps.change_subscription(primary.app_id, **{member: f"http://{member}.example.com/"})  # type: ignore[arg-type]  # a text

        apps.change_subscription(primary.app_id, url="", url_v2="")
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(change, ["url", "url_v2"]))
        after = apps.subscription(primary.app_id)
        assert (after.url, after.url_v2) == ("http://url.example.com/", "http://url_v2.example.com/")


def test_made_credentials_have_their_shape(apps: AppRegistry, primary: App) -> None:
    """`AKID` and 32 letters and digits, a key of 32, both different each time."""
    made = [apps.create_credential(primary.app_id, "ci") for _ in range(3)]
    for one in made:
        assert re.fullmatch(r"AKID[0-9A-Za-z]{32}", one.secret_id)
        assert re.fullmatch(r"[0-9A-Za-z]{32}", one.secret_key)
        assert apps.credential(one.secret_id) == one
    assert len({one.secret_id for one in made} | {one.secret_key for one in made}) == 6
    given = apps.create_credential(None, secret_id="AKIDgiven", secret_key="k")
    assert (given.secret_id, given.secret_key, given.app_id) == ("AKIDgiven", "k", None)


def test_a_disabled_credential_is_let_in_for_a_second_at_most(
    apps: AppRegistry, primary: App, database: Database, clock: FakeClock
) -> None:
    """Whatever another process does to a credential counts a second later."""
    assert apps.credential("AKIDfirst") is not None
    with database.transaction() as conn:
        conn.execute(sa.update(credentials).values(disabled_at=to_us(clock.now())))
    clock.advance(seconds=1.001)
    assert apps.credential("AKIDfirst") is None
    assert len(apps.credentials()) == 1


def test_an_unknown_credential_is_none(apps: AppRegistry) -> None:
    """Nobody is found under a made-up id, and one made later is found at once."""
    assert apps.credential("AKIDlater") is None
    apps.create_credential(None, secret_id="AKIDlater")
    assert apps.credential("AKIDlater") is not None


def test_a_nonce_counts_once_while_it_is_remembered(apps: AppRegistry, clock: FakeClock) -> None:
    """The same nonce of the same credential is a replay until it expires; others don't mind."""
    until = clock.now() + timedelta(seconds=300)
    apps.use_nonce("AKIDa", "1", until=until, now=clock.now())
    apps.use_nonce("AKIDa", "2", until=until, now=clock.now())
    apps.use_nonce("AKIDb", "1", until=until, now=clock.now())
    with pytest.raises(NonceReplayed):
        apps.use_nonce("AKIDa", "1", until=until, now=clock.advance(seconds=299))
    assert apps.forget_nonces(clock.now()) == 0
    apps.use_nonce("AKIDa", "1", until=clock.now() + timedelta(seconds=300), now=clock.advance(seconds=1))
    assert apps.forget_nonces(clock.now()) == 2
    with pytest.raises(NonceReplayed):
        apps.use_nonce("AKIDa", "1", until=until, now=clock.now())


def test_of_equal_nonces_at_once_one_counts(apps: AppRegistry, clock: FakeClock) -> None:
    """Requests that are replayed in the same instant don't slip through together."""
    until = clock.now() + timedelta(seconds=300)
    start = threading.Barrier(6)

    def use(_: int) -> bool:
        start.wait()
        try:
            apps.use_nonce("AKIDa", "1", until=until, now=clock.now())
        except NonceReplayed:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(use, range(6))) == 1


def test_secrets_do_not_print(apps: AppRegistry, primary: App) -> None:
    """Neither a credential nor a subscription shows a secret in its `repr`."""
    credential = apps.create_credential(primary.app_id, secret_key="opensesame")
    subscription = apps.change_subscription(primary.app_id, sign_key="opensesame", secrets=[SECRET])
    assert "opensesame" not in repr((credential, subscription))
    assert SECRET not in repr(subscription)
    with pytest.raises(InvalidInput) as caught:
        apps.change_subscription(primary.app_id, secrets=["whsec_!opensesame"])
    assert "opensesame" not in str(caught.value)


def test_an_edit_sees_what_another_has_just_changed(apps: AppRegistry) -> None:
    """An edit that begins while another one is under way waits for it, and keeps what it did."""
    app_id = apps.ensure_primary("AKIDedit", "key").app_id
    second = threading.Thread(target=apps.change_subscription, args=(app_id,), kwargs={"sign_key": "abc"})

    def first(old: Subscription) -> Subscription:
        second.start()
        return replace(old, url="http://a.example/3")

    apps.edit_subscription(app_id, first)
    second.join(timeout=10)

    now_set = apps.subscription(app_id)
    assert (now_set.url, now_set.sign_key) == ("http://a.example/3", "abc")


def test_a_switch_of_a_newer_versions_event_hinders_nothing(
    database: Database, apps: AppRegistry, primary: App
) -> None:
    """A muted type that this version does not know is passed over: the app's events go on being written."""
    apps.change_subscription(primary.app_id, muted=[EventType.FILE_DELETED])
    with database.transaction() as conn:
        conn.execute(sa.update(subscriptions).values(muted='["hologram_made", "file_deleted"]'))
    assert apps.subscription(primary.app_id).muted == {EventType.FILE_DELETED}

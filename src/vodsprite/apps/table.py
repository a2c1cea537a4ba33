"""SQL of apps, credentials, subscriptions and nonces."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from vodsprite.apps.app import App, Credential, DeliveryMode, Policy, Subscription
from vodsprite.clock import from_us, to_us
from vodsprite.database import engine
from vodsprite.database.schema import apps, credentials, nonces, subscriptions
from vodsprite.events import EventType
from vodsprite.ids import AppId

_APP = (apps.c.app_id, apps.c.name, apps.c.description, apps.c.is_primary, apps.c.created_at)
_CREDENTIAL = (
    credentials.c.secret_id,
    credentials.c.secret_key,
    credentials.c.app_id,
    credentials.c.label,
    credentials.c.created_at,
    credentials.c.disabled_at,
)
_SUBSCRIPTION = (
    subscriptions.c.app_id,
    subscriptions.c.mode,
    subscriptions.c.url,
    subscriptions.c.url_v2,
    subscriptions.c.sign_key,
    subscriptions.c.secrets,
    subscriptions.c.policy,
    subscriptions.c.timeout_s,
    subscriptions.c.muted,
    subscriptions.c.changed_at,
)


def insert_app(conn: Connection, app: App) -> None:
    conn.execute(
        sa.insert(apps).values(
            app_id=app.app_id,
            name=app.name,
            description=app.description,
            is_primary=app.is_primary,
            created_at=to_us(app.created_at),
        )
    )


def find_app(conn: Connection, app_id: AppId) -> App | None:
    row = conn.execute(sa.select(*_APP).where(apps.c.app_id == app_id)).mappings().one_or_none()
    return None if row is None else _app(row)


def primary_app(conn: Connection) -> App | None:
    row = conn.execute(sa.select(*_APP).where(apps.c.is_primary)).mappings().one_or_none()
    return None if row is None else _app(row)


def all_apps(conn: Connection) -> list[App]:
    """Return every app, oldest first."""
    return [_app(row) for row in conn.execute(sa.select(*_APP).order_by(apps.c.app_id)).mappings()]


def newest_app_id(conn: Connection) -> AppId | None:
    number = conn.execute(sa.select(sa.func.max(apps.c.app_id))).scalar()
    return None if number is None else AppId(number)


def put_credential(conn: Connection, credential: Credential) -> None:
    """Insert *credential*, or replace the one of the same secret id."""
    values = {
        "secret_key": credential.secret_key,
        "app_id": credential.app_id,
        "label": credential.label,
        "created_at": to_us(credential.created_at),
        "disabled_at": None if credential.disabled_at is None else to_us(credential.disabled_at),
    }
    conn.execute(
        engine.insert(conn, credentials)
        .values(secret_id=credential.secret_id, **values)
        .on_conflict_do_update(index_elements=["secret_id"], set_=values)
    )


def find_credential(conn: Connection, secret_id: str) -> Credential | None:
    row = (
        conn.execute(sa.select(*_CREDENTIAL).where(credentials.c.secret_id == secret_id))
        .mappings()
        .one_or_none()
    )
    return None if row is None else _credential(row)


def all_credentials(conn: Connection) -> list[Credential]:
    """Return every credential, disabled ones too, oldest first."""
    statement = sa.select(*_CREDENTIAL).order_by(credentials.c.created_at, credentials.c.secret_id)
    return [_credential(row) for row in conn.execute(statement).mappings()]


def find_subscription(conn: Connection, app_id: AppId) -> Subscription:
    """Return what *app_id* subscribed to; the defaults when it never said anything."""
    row = (
        conn.execute(sa.select(*_SUBSCRIPTION).where(subscriptions.c.app_id == app_id))
        .mappings()
        .one_or_none()
    )
    return Subscription(app_id=app_id) if row is None else _subscription(row)


def lock_subscription(conn: Connection, app_id: AppId) -> Subscription:
    """Return the same, to be changed: no other transaction changes it before this one ends."""
    # The app's row is always there to be locked. SQLite has no row locks and needs none: it has one writer.
    conn.execute(sa.select(apps.c.app_id).where(apps.c.app_id == app_id).with_for_update())
    return find_subscription(conn, app_id)


def put_subscription(conn: Connection, subscription: Subscription) -> None:
    """Insert *subscription*, or replace the app's earlier one."""
    values = {
        "mode": subscription.mode.value,
        "url": subscription.url,
        "url_v2": subscription.url_v2,
        "sign_key": subscription.sign_key,
        "secrets": json.dumps(subscription.secrets),
        "policy": subscription.policy.value,
        "timeout_s": subscription.timeout_s,
        "muted": json.dumps(sorted(kind.value for kind in subscription.muted)),
        "changed_at": to_us(subscription.changed_at),
    }
    conn.execute(
        engine.insert(conn, subscriptions)
        .values(app_id=subscription.app_id, **values)
        .on_conflict_do_update(index_elements=["app_id"], set_=values)
    )


def use_nonce(conn: Connection, secret_id: str, nonce: str, *, until: datetime, now: datetime) -> bool:
    """Keep the pair until *until*; False, and nothing is changed, when it is kept already and not expired."""
    statement = engine.insert(conn, nonces).values(secret_id=secret_id, nonce=nonce, expires_at=to_us(until))
    # Not by its row count: PostgreSQL's driver tells none for an upsert.
    written = conn.execute(
        statement.on_conflict_do_update(
            index_elements=["secret_id", "nonce"],
            set_={"expires_at": statement.excluded.expires_at},
            where=nonces.c.expires_at <= to_us(now),
        ).returning(nonces.c.nonce)
    )
    return written.first() is not None


def delete_expired_nonces(conn: Connection, *, now: datetime) -> int:
    return conn.execute(sa.delete(nonces).where(nonces.c.expires_at <= to_us(now))).rowcount


def _app(row: RowMapping) -> App:
    return App(
        app_id=AppId(row["app_id"]),
        name=row["name"],
        description=row["description"],
        is_primary=row["is_primary"],
        created_at=from_us(row["created_at"]),
    )


def _credential(row: RowMapping) -> Credential:
    return Credential(
        secret_id=row["secret_id"],
        secret_key=row["secret_key"],
        app_id=None if row["app_id"] is None else AppId(row["app_id"]),
        label=row["label"],
        created_at=from_us(row["created_at"]),
        disabled_at=None if row["disabled_at"] is None else from_us(row["disabled_at"]),
    )


_TYPES = {one.value: one for one in EventType}
"""What else is muted is of a newer version, which alone can let it happen."""


def _subscription(row: RowMapping) -> Subscription:
    return Subscription(
        app_id=AppId(row["app_id"]),
        mode=DeliveryMode(row["mode"]),
        url=row["url"],
        url_v2=row["url_v2"],
        sign_key=row["sign_key"],
        secrets=tuple(json.loads(row["secrets"])),
        policy=Policy(row["policy"]),
        timeout_s=row["timeout_s"],
        muted=frozenset(_TYPES[kind] for kind in json.loads(row["muted"]) if kind in _TYPES),
        changed_at=from_us(row["changed_at"]),
    )

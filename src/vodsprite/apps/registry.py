"""AppRegistry: makes and finds apps, their keys and their subscriptions."""

from __future__ import annotations

import secrets as randomness
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from vodsprite.apps import table
from vodsprite.apps.app import App, Credential, DeliveryMode, Policy, Subscription
from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.errors import AppNotFound, InvalidInput, LimitReached, NonceReplayed, SecretNotFound
from vodsprite.events import EventType
from vodsprite.ids import FIRST_APP_ID, AppId, IdSource
from vodsprite.wire.webhook import WebhookSecret

PRIMARY_NAME = "primary"
MAX_NAME_CHARS = 40
MAX_NONCE_CHARS = 64
MAX_SECRETS = 2
"""As many secrets sign at once as a rotation needs: the new one, and the one that it replaces."""
CREDENTIAL_CACHE_S = 1.0
"""A disabled credential is still let in for at most this long."""


class AppRegistry:
    """Apps, credentials and subscriptions of one database."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._lock = threading.Lock()
        self._cached: dict[str, tuple[datetime, Credential]] = {}
        self._found: dict[AppId | None, App] = {}  # by what was asked for

    def ensure_primary(self, secret_id: str, secret_key: str) -> App:
        """
        Make the primary app if there is none, and see to it that this key pair may act for every app.

        Safe to repeat, and by several processes at once. A known secret id takes the key given here.
        """
        now = self._clock.now()
        with self._database.transaction() as conn:
            app = table.primary_app(conn)
            if app is None:
                app = App(app_id=FIRST_APP_ID, name=PRIMARY_NAME, is_primary=True, created_at=now)
                table.insert_app(conn, app)
            known = table.find_credential(conn, secret_id)
            if known is None or known.secret_key != secret_key:
                table.put_credential(
                    conn,
                    Credential(
                        secret_id=secret_id,
                        secret_key=secret_key,
                        app_id=None,
                        label=PRIMARY_NAME,
                        created_at=now,
                    ),
                )
        self._forget_cached()
        return app

    def create(self, name: str, description: str = "") -> App:
        """
        Make another app; its id is the next after the newest one's.

        Raises:
            InvalidInput: *name* is empty or longer than 40 characters.
        """
        if not 1 <= len(name) <= MAX_NAME_CHARS:
            raise InvalidInput("name", f"has {len(name)} characters; an app's has 1 to {MAX_NAME_CHARS}")
        with self._database.transaction() as conn:
            newest = table.newest_app_id(conn)
            app_id = FIRST_APP_ID if newest is None else AppId(newest + 1)
            app = App(app_id=app_id, name=name, description=description, created_at=self._clock.now())
            table.insert_app(conn, app)
        return app

    def find(self, app_id: AppId | None) -> App:
        """
        Return the app of that id, the primary one for None.

        Raises:
            AppNotFound: There is none.
        """
        with self._database.reading() as conn:
            app = table.primary_app(conn) if app_id is None else table.find_app(conn, app_id)
        if app is None:
            raise AppNotFound(PRIMARY_NAME if app_id is None else app_id)
        return app

    def known(self, app_id: AppId | None) -> App:
        """
        Return the same, without asking the database again for what was once found.

        An app is never changed or deleted once it was made.

        Raises:
            AppNotFound: There is none.
        """
        app = self._found.get(app_id)
        if app is None:
            # Only what exists is kept: whoever guesses ids cannot fill the memory.
            app = self._found[app_id] = self.find(app_id)
        return app

    def all(self) -> list[App]:
        """Return every app, oldest first."""
        with self._database.reading() as conn:
            return table.all_apps(conn)

    def subscription(self, app_id: AppId) -> Subscription:
        """
        Return what the app wants to be told, and how.

        Raises:
            AppNotFound: There is no such app.
        """
        with self._database.reading() as conn:
            _require(table.find_app(conn, app_id), app_id)
            return table.find_subscription(conn, app_id)

    def change_subscription(
        self,
        app_id: AppId,
        *,
        mode: DeliveryMode | None = None,
        url: str | None = None,
        url_v2: str | None = None,
        sign_key: str | None = None,
        policy: Policy | None = None,
        timeout_s: int | None = None,
        secrets: Sequence[str] | None = None,
        muted: Collection[EventType] | None = None,
    ) -> Subscription:
        """
        Change what is given, keep what is None, and return the outcome.

        Events that already happened keep the way they took; those still to be pushed go to the new address.

        Raises:
            AppNotFound: There is no such app.
            InvalidInput: A value breaks a rule of `Subscription`; nothing was changed.
        """

        def changed(old: Subscription) -> Subscription:
            return replace(
                old,
                mode=old.mode if mode is None else mode,
                url=old.url if url is None else url,
                url_v2=old.url_v2 if url_v2 is None else url_v2,
                sign_key=old.sign_key if sign_key is None else sign_key,
                policy=old.policy if policy is None else policy,
                timeout_s=old.timeout_s if timeout_s is None else timeout_s,
                secrets=old.secrets if secrets is None else tuple(secrets),
                muted=old.muted if muted is None else frozenset(muted),
            )

        return self.edit_subscription(app_id, changed)

    def edit_subscription(
        self, app_id: AppId, change: Callable[[Subscription], Subscription]
    ) -> Subscription:
        """
        Put what *change* makes of the subscription in its place, and return it.

        Nobody else changes it in between: of two edits at once, the later one is given what the earlier one
        made.

        Args:
            change: Called inside the transaction; what it raises undoes the edit.

        Raises:
            AppNotFound: There is no such app.
            InvalidInput: A value breaks a rule of `Subscription`; nothing was changed.
        """
        with self._database.transaction() as conn:
            _require(table.find_app(conn, app_id), app_id)
            old = table.lock_subscription(conn, app_id)
            new = replace(change(old), app_id=app_id, changed_at=self._clock.now())
            table.put_subscription(conn, new)
        return new

    def add_secret(self, app_id: AppId, given: WebhookSecret | None = None) -> WebhookSecret:
        """
        Have pushes to the app signed with one secret more, the newest first; None makes one of 32 bytes.

        Raises:
            AppNotFound: There is no such app.
            LimitReached: The app has two secrets already.
            InvalidInput: The app has this secret already.
        """
        secret = given or WebhookSecret(key=randomness.token_bytes(32))

        def added(old: Subscription) -> Subscription:
            if any(WebhookSecret.parse(text).key == secret.key for text in old.secrets):
                raise InvalidInput("secret", "is one of this app's already")
            if len(old.secrets) >= MAX_SECRETS:
                raise LimitReached(f"app {app_id} has {MAX_SECRETS} secrets; remove the older one first")
            return replace(old, secrets=(secret.reveal(), *old.secrets))

        self.edit_subscription(app_id, added)
        return secret

    def remove_secret(self, app_id: AppId, name: str) -> None:
        """
        Sign pushes to the app no more with its secret of that name (`WebhookSecret.name`).

        Raises:
            AppNotFound: There is no such app.
            SecretNotFound: It has no secret of that name.
        """

        def removed(old: Subscription) -> Subscription:
            left = tuple(text for text in old.secrets if WebhookSecret.parse(text).name != name)
            if left == old.secrets:
                raise SecretNotFound(name)
            return replace(old, secrets=left)

        self.edit_subscription(app_id, removed)

    def create_credential(
        self,
        app_id: AppId | None,
        label: str = "",
        *,
        secret_id: str | None = None,
        secret_key: str | None = None,
    ) -> Credential:
        """
        Make a key pair that acts for one app, or for every app when *app_id* is None.

        Args:
            secret_id: None makes `AKID` and 32 letters and digits. A known one gets a new key.
            secret_key: None makes 32 letters and digits.

        Raises:
            AppNotFound: There is no such app.
        """
        credential = Credential(
            secret_id=secret_id or self._ids.secret_id(),
            secret_key=secret_key or self._ids.secret_key(),
            app_id=app_id,
            label=label,
            created_at=self._clock.now(),
        )
        with self._database.transaction() as conn:
            if app_id is not None:
                _require(table.find_app(conn, app_id), app_id)
            table.put_credential(conn, credential)
        self._forget_cached()
        return credential

    def credentials(self) -> list[Credential]:
        """Return every credential, disabled ones too, oldest first."""
        with self._database.reading() as conn:
            return table.all_credentials(conn)

    def credential(self, secret_id: str) -> Credential | None:
        """Return the enabled credential of that id, as it was at most a second ago."""
        now = self._clock.now()
        with self._lock:
            cached = self._cached.get(secret_id)
        if cached is not None and abs(now - cached[0]) <= timedelta(seconds=CREDENTIAL_CACHE_S):
            return cached[1]
        with self._database.reading() as conn:
            found = table.find_credential(conn, secret_id)
        enabled = found if found is not None and found.disabled_at is None else None
        with self._lock:
            # Only what exists is cached: whoever guesses ids cannot fill the memory.
            if enabled is None:
                self._cached.pop(secret_id, None)
            else:
                self._cached[secret_id] = (now, enabled)
        return enabled

    def use_nonce(self, secret_id: str, nonce: str, *, until: datetime, now: datetime) -> None:
        """
        Remember *nonce* until *until*.

        Raises:
            NonceReplayed: It came before with this secret id and is still remembered.
            InvalidInput: It is longer than 64 characters.
        """
        if len(nonce) > MAX_NONCE_CHARS:
            raise InvalidInput("nonce", f"has {len(nonce)} characters, more than {MAX_NONCE_CHARS}")
        with self._database.transaction() as conn:
            if not table.use_nonce(conn, secret_id, nonce, until=until, now=now):
                raise NonceReplayed("this nonce was used before")

    def forget_nonces(self, now: datetime) -> int:
        """Delete the nonces that need not be remembered any more; return how many."""
        with self._database.transaction() as conn:
            return table.delete_expired_nonces(conn, now=now)

    def _forget_cached(self) -> None:
        with self._lock:
            self._cached.clear()


def _require(app: App | None, app_id: AppId) -> None:
    if app is None:
        raise AppNotFound(app_id)

"""
Every table, column and index, each with a line of meaning.

Instants are whole microseconds since 1970 (`clock.to_us`), JSON is text, ids are what `ids.py` makes. Both
databases read the same definitions; `migrations/` builds them, and a test holds this file equal to their sum.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A key that the database counts up. SQLite only does so for the exact type INTEGER."""

apps = Table(
    "apps",
    metadata,
    Column("app_id", BigInteger, primary_key=True, autoincrement=False),  # wire: SubAppId
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("is_primary", Boolean, nullable=False),  # true for exactly one: who names no app means it
    Column("created_at", BigInteger, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("secret_id", Text, primary_key=True),
    Column("secret_key", Text, nullable=False),  # needed in clear: HMAC is computed with it
    Column("app_id", ForeignKey("apps.app_id"), nullable=True),  # null: may act for every app
    Column("label", Text, nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger, nullable=True),
)

subscriptions = Table(  # what an app wants to be told, and how
    "subscriptions",
    metadata,
    Column("app_id", ForeignKey("apps.app_id"), primary_key=True),
    Column("mode", Text, nullable=False),  # push, pull, both
    Column("url", Text, nullable=False, default=""),  # address of 3.0 pushes; "" is none
    Column("url_v2", Text, nullable=False, default=""),  # address of 2.0 pushes; "" is none
    Column("sign_key", Text, nullable=False, default=""),  # turns on Sign and T in 3.0 push bodies
    Column(
        "secrets", Text, nullable=False, default="[]"
    ),  # JSON list of Standard Webhooks secrets, newest first
    Column("policy", Text, nullable=False),  # retry schedule: standard, tencent
    Column("timeout_s", Integer, nullable=False),  # of one push, 1 to 30
    Column("muted", Text, nullable=False, default="[]"),  # JSON list of event types switched off
    Column("changed_at", BigInteger, nullable=False),
)

nonces = Table(  # nonces of parameter-signed requests, against replay
    "nonces",
    metadata,
    Column("secret_id", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("secret_id", "nonce"),
    Index(None, "expires_at"),
)

events = Table(  # the outbox: written in the transaction of the change it reports
    "events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("app_id", BigInteger, nullable=False),
    Column("type", Text, nullable=False),  # EventType's value
    Column("task_id", Text, nullable=False, default=""),
    Column("file_id", Text, nullable=False, default=""),
    Column("data", Text, nullable=False),  # the event value as JSON
    Column("is_test", Boolean, nullable=False, default=False),  # triggered by a person
    Column("happened_at", BigInteger, nullable=False),
    Index(None, "app_id", "happened_at"),
    Index(None, "happened_at"),
)

deliveries = Table(  # one event for one destination
    "deliveries",
    metadata,
    Column("delivery_id", BigId, primary_key=True, autoincrement=True),
    Column("event_id", ForeignKey("events.event_id", ondelete="CASCADE"), nullable=False),
    Column("app_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),  # push_v3, push_v2, pull
    Column("has_v2", Boolean, nullable=False, default=True),  # false: the 2017 pull passes over it
    Column("state", Text, nullable=False),  # waiting, settled, dead
    Column("attempts", Integer, nullable=False, default=0),  # pushes sent, or times pulled
    # Not handed out before; the order of handing out. While held it is the lease's end.
    Column("due_at", BigInteger, nullable=False),
    Column(
        "lease_token", Text, nullable=True
    ),  # proof of holding; kept after settling, so a repeated confirm is known
    Column("lease_until", BigInteger, nullable=False, default=0),  # held until then; 0 is free
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger, nullable=True),  # when it was settled or died
    Column("note", Text, nullable=False, default=""),  # why it waits or died, for a person
    # The claim: due rows of one app's channel, longest due first; also when its next one is due.
    Index("ix_deliveries_claim", "app_id", "channel", "state", "due_at"),
    Index(None, "event_id"),
    Index(None, "state", "created_at"),
    Index(None, "state", "settled_at"),
)

attempts = Table(  # one try to push
    "attempts",
    metadata,
    Column("attempt_id", BigId, primary_key=True, autoincrement=True),
    Column(
        "delivery_id",
        ForeignKey("deliveries.delivery_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("number", Integer, nullable=False),  # from 1
    Column("url", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("outcome", Text, nullable=False),  # delivery.Outcome's value
    Column("status_code", Integer, nullable=True),  # null: no answer came
    Column("answer", Text, nullable=False, default=""),  # its first bytes, or the cause of failing
    Index(None, "delivery_id"),
)

destinations = Table(  # what is remembered of an app's push address; no row means nothing to remember
    "destinations",
    metadata,
    Column("app_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),  # push_v3, push_v2
    Column("url", Text, nullable=False),  # the address this is about: another one is not paused
    Column("paused_at", BigInteger, nullable=True),  # set by 410 or a person; a person resumes
    Column("reason", Text, nullable=False, default=""),
    PrimaryKeyConstraint("app_id", "channel"),
)

templates = Table(  # custom templates; the built-in ones are code
    "templates",
    metadata,
    Column("app_id", ForeignKey("apps.app_id"), nullable=False),
    Column("kind", Text, nullable=False),  # image_sprite
    Column("definition", Integer, nullable=False),  # from 10001, per app and kind
    Column("name", Text, nullable=False, default=""),
    Column("comment", Text, nullable=False, default=""),
    Column("spec", Text, nullable=False),  # JSON of the SpriteSpec
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("app_id", "kind", "definition"),
)

media = Table(
    "media",
    metadata,
    Column("file_id", Text, primary_key=True),
    Column("app_id", ForeignKey("apps.app_id"), nullable=False),
    Column("name", Text, nullable=False),  # without extension
    Column("type", Text, nullable=False),  # extension in lower case, as in "mp4"; may be ""
    Column("object_key", Text, nullable=False),  # of the original, in the store
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # normal, deleted
    Column("metadata", Text, nullable=True),  # JSON of VideoMetadata; null until the first render
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "app_id", "created_at"),
)

sprite_sets = Table(  # the current sprite set of a media, per definition
    "sprite_sets",
    metadata,
    Column("file_id", ForeignKey("media.file_id"), nullable=False),
    Column("definition", Integer, nullable=False),
    Column("task_id", Text, nullable=False),  # the run that made it; part of every object key
    Column("tile_width_px", Integer, nullable=False),
    Column("tile_height_px", Integer, nullable=False),
    Column("total_count", Integer, nullable=False),
    Column("sheet_keys", Text, nullable=False),  # JSON list of object keys, in order
    Column("vtt_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("file_id", "definition"),
)

orphans = Table(  # objects that nothing points to any more
    "orphans",
    metadata,
    Column("object_key", Text, primary_key=True),
    Column("due_at", BigInteger, nullable=False),  # deleted after that
    Index(None, "due_at"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("app_id", ForeignKey("apps.app_id"), nullable=False),
    Column("kind", Text, nullable=False),  # image_sprite, procedure
    Column("file_id", ForeignKey("media.file_id"), nullable=False),
    Column("state", Text, nullable=False),  # waiting, processing, finished, aborted
    Column("steps", Text, nullable=False),  # JSON: the copies of the specs, and what became of each
    Column("priority", Integer, nullable=False, default=0),  # -10 to 10, higher first
    Column("notify_mode", Text, nullable=False),  # NotifyMode's value
    Column("session_id", Text, nullable=False, default=""),
    Column("session_context", Text, nullable=False, default=""),
    Column("base_url", Text, nullable=False),  # what the URLs of its results start with
    Column("run", Integer, nullable=False, default=1),  # counts enqueues: each has an engine id of its own
    Column("attempts", Integer, nullable=False, default=0),  # runs begun that were not handed back
    Column("attempt_token", Text, nullable=True),  # of the run that may write; null when none may
    Column("created_at", BigInteger, nullable=False),
    Column("begun_at", BigInteger, nullable=True),
    Column("finished_at", BigInteger, nullable=True),
    Index(None, "app_id", "created_at"),
    Index(None, "state", "created_at"),
)

session_ids = Table(  # callers' keys against doubles
    "session_ids",
    metadata,
    Column("app_id", BigInteger, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("used_until", BigInteger, nullable=False),  # the end of the window
    PrimaryKeyConstraint("app_id", "session_id"),
)

facts = Table(  # single values of this installation, such as the key that signs paths
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

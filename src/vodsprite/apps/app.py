"""Tenants: an app, the keys that may act for it, and what it wants to be told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from urllib.parse import urlsplit

from vodsprite.clock import EPOCH
from vodsprite.errors import InvalidInput
from vodsprite.events import EventType
from vodsprite.ids import AppId
from vodsprite.wire.webhook import WebhookSecret

MAX_URL_CHARS = 2048
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 1, 30
DEFAULT_TIMEOUT_S = 5

_SIGN_KEY = re.compile(r"[0-9A-Za-z]{0,32}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A tenant. Exactly one is primary: who names no app means it."""

    app_id: AppId
    name: str
    description: str = ""
    is_primary: bool = False
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key pair that signs requests."""

    secret_id: str
    secret_key: str = field(repr=False)
    app_id: AppId | None  # None: it may act for every app
    label: str = ""
    created_at: datetime
    disabled_at: datetime | None = None


class DeliveryMode(Enum):
    """Who acts when an event happened."""

    PUSH = "push"  # we send it to the app's addresses
    PULL = "pull"  # it waits until the app fetches it
    BOTH = "both"  # both, each on its own


class Policy(Enum):
    """When a push that failed is tried again."""

    STANDARD = "standard"  # 2xx is success; twelve attempts over about two days
    TENCENT = "tencent"  # any answer is success; three sends in all


DEFAULT_MUTED = frozenset({EventType.FILE_UPLOADED, EventType.FILE_DELETED})
"""Events that an app must ask for: their switches default to OFF (ModifyEventConfig, 2018-07-17)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What an app wants to be told, and how."""

    app_id: AppId
    mode: DeliveryMode = DeliveryMode.PUSH
    url: str = ""  # address of 3.0 pushes; "" is none
    url_v2: str = ""  # address of 2.0 pushes; "" is none
    sign_key: str = field(default="", repr=False)  # turns on Sign and T in 3.0 push bodies
    secrets: tuple[str, ...] = field(
        default=(), repr=False
    )  # Standard Webhooks, newest first; several: rotation
    policy: Policy = Policy.STANDARD
    timeout_s: int = DEFAULT_TIMEOUT_S  # of one push, in all
    muted: frozenset[EventType] = DEFAULT_MUTED  # event types that are not sent at all
    changed_at: datetime = EPOCH

    def __post_init__(self) -> None:
        _check_url("url", self.url)
        _check_url("url_v2", self.url_v2)
        if not _SIGN_KEY.fullmatch(self.sign_key):
            raise InvalidInput("sign_key", "is not what it must be: at most 32 ASCII letters and digits")
        for secret in self.secrets:
            WebhookSecret.parse(secret)
        if not MIN_TIMEOUT_S <= self.timeout_s <= MAX_TIMEOUT_S:
            raise InvalidInput(
                "timeout_s", f"is {self.timeout_s}; a push may take {MIN_TIMEOUT_S} to {MAX_TIMEOUT_S} s"
            )


def _check_url(name: str, url: str) -> None:
    if not url:
        return
    if len(url) > MAX_URL_CHARS:
        raise InvalidInput(name, f"has {len(url)} characters; an address has at most {MAX_URL_CHARS}")
    if _UNPRINTABLE.search(url):
        raise InvalidInput(name, "contains a space or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput(name, "is no URL") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise InvalidInput(name, "must start with http:// or https://")
    if not parts.hostname or port == 0:
        raise InvalidInput(name, "names no host, or no port that can be reached")

"""Signed paths to originals."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from vodsprite.database.engine import Database
from vodsprite.errors import Forbidden
from vodsprite.ids import AppId, FileId
from vodsprite.media.links import Links, ensure_path_key
from vodsprite.media.registry import MediaRegistry
from vodsprite.testing.clock import FakeClock

KEY = b"0123456789abcdef"


def signature_of(url: str) -> str:
    return urlsplit(url).path.split("/")[2]


def test_a_link_opens_its_file_until_it_expires(
    registry: MediaRegistry, app_id: AppId, clock: FakeClock, video: Path
) -> None:
    """A link is good for its time, to the second, and not after."""
    media = registry.add_file(app_id, video)
    links = Links(KEY, ttl_s=60)
    signature = signature_of(links.original_url("http://host:1", media, now=clock.now()))

    links.open_original(signature, media.file_id, now=clock.advance(seconds=59))

    with pytest.raises(Forbidden, match="expired"):
        links.open_original(signature, media.file_id, now=clock.advance(seconds=1))


def test_a_link_has_the_form_that_is_served(
    registry: MediaRegistry, app_id: AppId, clock: FakeClock, video: Path
) -> None:
    """`<base>/originals/<signature>/<file id>/<file name>`, with the name escaped."""
    media = registry.add_file(app_id, video, name="a b?ü")

    url = Links(KEY, ttl_s=60).original_url("https://vod.example.com", media, now=clock.now())

    parts = urlsplit(url).path.split("/")
    assert url.startswith("https://vod.example.com/originals/")
    assert urlsplit(url).query == ""
    assert parts[3] == media.file_id
    assert unquote(parts[4]) == "a b?ü.mp4"
    assert len(parts) == 5


def test_a_link_that_was_touched_opens_nothing(
    registry: MediaRegistry, app_id: AppId, clock: FakeClock, video: Path
) -> None:
    """Another file, a later expiry, another key, or nonsense: none of it opens anything."""
    media = registry.add_file(app_id, video)
    links = Links(KEY, ttl_s=60)
    good = signature_of(links.original_url("http://host", media, now=clock.now()))
    expiry, _, mac = good.partition(".")
    later = f"{int(expiry, 16) + 3600:x}.{mac}"
    foreign = signature_of(Links(b"other", ttl_s=60).original_url("http://host", media, now=clock.now()))

    for signature in (later, foreign, mac, "", ".", "é.é", f"zz.{mac}", good + "x", "0" * 5000):
        with pytest.raises(Forbidden):
            links.open_original(signature, media.file_id, now=clock.now())
    with pytest.raises(Forbidden):
        links.open_original(good, FileId("1000000000000000009"), now=clock.now())


def test_the_key_is_made_once_and_kept(database: Database) -> None:
    """Links survive a restart: the key is the installation's, and is no short one."""
    first = ensure_path_key(database)

    assert ensure_path_key(database) == first
    assert len(first) == 32

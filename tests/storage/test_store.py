"""What every store must do."""

from __future__ import annotations

from pathlib import Path

import pytest

from vodsprite.errors import InvalidInput, SettingsError
from vodsprite.storage.store import Store


def read(store: Store, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def test_an_object_reads_back_as_it_was_put(store: Store) -> None:
    """What was put under a key is what is read from it, and its facts say so."""
    store.put("sprites/1/t/imageSprite_10_0.jpg", b"picture")

    facts = store.stat("sprites/1/t/imageSprite_10_0.jpg")

    assert read(store, "sprites/1/t/imageSprite_10_0.jpg") == b"picture"
    assert facts is not None
    assert facts.size_bytes == 7


def test_a_large_file_reads_back_as_it_was_put(store: Store, tmp_path: Path) -> None:
    """A file that takes several blocks arrives whole and in order."""
    path = tmp_path / "video.mp4"
    content = b"".join(number.to_bytes(4, "big") for number in range(3_000_000))
    path.write_bytes(content)

    store.put_file("originals/1/1.mp4", path)

    assert read(store, "originals/1/1.mp4") == content


def test_an_empty_file_is_an_object(store: Store, tmp_path: Path) -> None:
    """A file without bytes can be kept too."""
    path = tmp_path / "empty.mp4"
    path.touch()

    store.put_file("originals/1/1.mp4", path)

    facts = store.stat("originals/1/1.mp4")
    assert facts is not None
    assert facts.size_bytes == 0
    assert read(store, "originals/1/1.mp4") == b""


def test_putting_again_replaces_the_object_and_its_tag(store: Store) -> None:
    """The second put under a key wins, and whoever compares tags notices."""
    store.put("a/b", b"one")
    before = store.stat("a/b")

    store.put("a/b", b"three")

    after = store.stat("a/b")
    assert before is not None
    assert after is not None
    assert read(store, "a/b") == b"three"
    assert before.etag != after.etag


def test_an_open_object_can_be_sought(store: Store) -> None:
    """A reader can go to any place of the object and back."""
    store.put("a/b", bytes(range(200)))

    with store.open("a/b") as file:
        file.seek(150)
        late = file.read(10)
        file.seek(-5, 2)
        end = file.read()
        file.seek(0)
        start = file.read(3)

    assert late == bytes(range(150, 160))
    assert end == bytes(range(195, 200))
    assert start == b"\x00\x01\x02"


def test_a_missing_object_has_no_facts_and_cannot_be_opened(store: Store) -> None:
    """Nothing is told of an object that is not there."""
    assert store.stat("no/such") is None
    with pytest.raises(FileNotFoundError):
        store.open("no/such")


def test_deleted_objects_are_gone_and_missing_ones_do_not_matter(store: Store) -> None:
    """Deleting takes a whole list, whatever of it is there."""
    for name in "abc":
        store.put(f"x/{name}", b"1")

    store.delete(["x/a", "x/missing", "x/c"])

    assert sorted(store.list("")) == ["x/b"]


def test_listing_takes_a_folder_and_nothing_that_merely_starts_alike(store: Store) -> None:
    """A prefix is a folder: its own objects at any depth, not those of a longer name."""
    for key in ("sprites/1/t/a", "sprites/1/u/b", "sprites/11/t/c", "originals/1/d"):
        store.put(key, b"1")

    assert sorted(store.list("sprites/1")) == ["sprites/1/t/a", "sprites/1/u/b"]
    assert sorted(store.list("sprites/1/")) == ["sprites/1/t/a", "sprites/1/u/b"]
    assert len(list(store.list(""))) == 4
    assert list(store.list("nothing")) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "a\0b",
        "a\\b",
        "a#1",
        "é",
        "x" * 2000,
        "a\nb",
    ],
)
def test_a_key_cannot_climb_out_of_the_store(store: Store, key: str) -> None:
    """A key that is no plain relative path is refused by every method."""
    for use in (
        lambda: store.put(key, b""),
        lambda: store.open(key),
        lambda: store.stat(key),
        lambda: store.delete([key]),
        lambda: store.local_path(key),
    ):
        with pytest.raises(InvalidInput):
            use()


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/x", "file://relative", "file:///", ""])
def test_a_url_that_names_no_store_is_a_settings_error(url: str) -> None:
    """Who configures a store wrongly is told so, with the URL."""
    with pytest.raises(SettingsError):
        Store.from_url(url)

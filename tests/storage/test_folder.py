"""What a folder store promises beyond the contract: nothing half written, and a full disk that heals."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from vodsprite.storage.store import Store

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits and signals")


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run *program* in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@posix_only
def test_a_put_that_is_killed_leaves_nothing_to_see(tmp_path: Path) -> None:
    """A process that dies while it writes an object leaves the earlier one as it was, and no other."""
    root = tmp_path / "objects"
    store = Store.from_url(root.as_uri())
    store.put("a/b", b"before")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(4_000_000_000)
    program = "import sys, pathlib; from vodsprite.storage.store import Store; "
    program += "Store.from_url(sys.argv[1]).put_file('a/b', pathlib.Path(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", program, root.as_uri(), str(large)])
    try:
        while process.poll() is None and not any(half.stat().st_size for half in root.glob("a/b#*")):
            pass
    finally:
        process.kill()
        process.wait(timeout=30)

    assert [half.stat().st_size > 0 for half in root.glob("a/b#*")] == [True]
    with store.open("a/b") as opened:
        assert opened.read() == b"before"
    assert list(store.list("")) == ["a/b"]


def test_leftovers_of_killed_puts_go_once_they_are_old(tmp_path: Path) -> None:
    """The half-written file of a killed put is never listed, and a sweep takes it when it is old enough."""
    store = Store.from_url((tmp_path / "objects").as_uri())
    store.put("a/b", b"whole")
    half = tmp_path / "objects" / "a" / "c#1"
    half.write_bytes(b"half")
    os.utime(half, (1, 1))
    fresh = tmp_path / "objects" / "a" / "d#1"
    fresh.write_bytes(b"half")

    count = store.delete_leftovers(older_than_s=3600)

    assert count == 1
    assert not half.exists()
    assert fresh.exists()
    assert list(store.list("")) == ["a/b"]


@posix_only
def test_a_full_disk_is_told_as_such_and_heals(tmp_path: Path) -> None:
    """With no room a put says so and leaves what was there; with room again it succeeds."""
    done = run(
        """
        import pathlib, resource, signal, sys
        from vodsprite.errors import StorageFull
        from vodsprite.storage.store import Store

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Store.from_url(sys.argv[1])
        store.put("a/b", b"before")
        large = pathlib.Path(sys.argv[2])
        large.write_bytes(b"x" * 8_000_000)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        for put in (lambda: store.put("a/b", b"x" * 2_000_000), lambda: store.put_file("a/b", large)):
            try:
                put()
            except StorageFull as error:
                print("full", "room" in str(error))
        print(store.open("a/b").read().decode(), list(store.list("")))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        store.put("a/b", b"x" * 2_000_000)
        print(store.stat("a/b").size_bytes)
        """,
        (tmp_path / "objects").as_uri(),
        str(tmp_path / "large"),
    )
    assert done.stdout.splitlines() == ["full True", "full True", "before ['a/b']", "2000000"], done.stderr


def test_a_folder_store_knows_its_paths_and_a_memory_store_has_none(tmp_path: Path) -> None:
    """Who can read by path gets the path; the others must open the object."""
    folder = Store.from_url((tmp_path / "with blank").as_uri())
    folder.put("a/b", b"1")

    assert folder.local_path("a/b") == tmp_path / "with blank" / "a" / "b"
    assert Store.from_url("memory:///").local_path("a/b") is None


def test_empty_folders_do_not_pile_up(tmp_path: Path) -> None:
    """Deleting a task's last object takes its folders with it, but never the store's own."""
    store = Store.from_url((tmp_path / "objects").as_uri())
    store.put("sprites/1/t/a", b"1")

    store.delete(["sprites/1/t/a"])

    assert list((tmp_path / "objects").iterdir()) == []
    store.put("sprites/1/t/a", b"1")
    assert list(store.list("")) == ["sprites/1/t/a"]

"""
Objects by key: originals and sprites, in a folder, in memory, or in a bucket, by URL.

What an object means is its owner's business; here it is bytes under a key. An object appears whole or not at
all, and in a folder it has reached the disk when `put` returns, so a row that names it may be committed then.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, from_url

from vodsprite.errors import InvalidInput, SettingsError, StorageFull, Transient

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import ObjectStore

_KEY = re.compile(r"[A-Za-z0-9._=+@ -]+(/[A-Za-z0-9._=+@ -]+)*")
_LARGEST_KEY = 900  # S3 allows 1024 bytes, prefix included
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_LEFTOVER = re.compile(r"#\d+$")  # what the folder backend calls a file until it is complete
_DELETED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStat:
    """Facts of one object."""

    size_bytes: int
    etag: str  # strong, quotes included; changes with the content
    modified_at: datetime


class Store:
    """A place for objects. Safe to use from several threads."""

    def __init__(self, backend: ObjectStore, *, root: Path | None = None) -> None:
        """*root* is the folder of a folder store; `from_url` knows it."""
        self._backend = backend
        self._root = root

    @classmethod
    def from_url(cls, url: str) -> Store:
        """
        Open the store at *url*: `file:///folder` (made if absent), `memory:///`, or a bucket as in `s3://name/prefix`.

        A bucket's credentials and endpoint come from the environment variables of its vendor (`AWS_…`).

        Raises:
            SettingsError: The URL names no store, or the folder cannot be made.
        """
        parts = urlsplit(url)
        if parts.scheme == "memory":
            return cls(MemoryStore())
        if parts.scheme == "file":
            return cls._folder(Path(unquote(parts.path)), url)
        try:
            return cls(from_url(url))
        except (BaseError, ValueError) as error:
            raise SettingsError(f"the storage URL {url!r} names no store: {_first_line(error)}") from error

    @classmethod
    def _folder(cls, root: Path, url: str) -> Store:
        if not root.is_absolute() or root == Path("/"):
            raise SettingsError(
                f"the storage URL {url!r} needs an absolute folder, as in file:///data/objects"
            )
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"the storage folder {root} cannot be made: {error.strerror}") from error
        return cls(LocalStore(root, automatic_cleanup=True), root=root)

    def put(self, key: str, data: bytes) -> None:
        """
        Keep *data* under *key*, in place of what may be there.

        Raises:
            StorageFull: There is no room; what was there is untouched.
            InvalidInput: *key* is no key.
        """
        self._put(key, data)

    def put_file(self, key: str, path: Path) -> None:
        """
        Keep a copy of the file at *path* under *key*; memory holds a few blocks of it at a time.

        Raises:
            StorageFull: There is no room; what was there is untouched.
            InvalidInput: *key* is no key.
            OSError: *path* cannot be read.
        """
        with path.open("rb") as readable:
            # An empty file would become a multipart upload without parts, which S3 refuses.
            if os.fstat(readable.fileno()).st_size == 0:
                self._put(key, b"")
            else:
                self._put(key, readable)

    def open(self, key: str) -> BinaryIO:
        """
        Open the object for reading and seeking; the caller closes it.

        Raises:
            FileNotFoundError: There is no such object.
        """
        local = self.local_path(key)
        if local is not None:
            return local.open("rb")
        with disk_errors_translated():
            reader = obstore.open_reader(self._backend, _checked(key))
        return cast(BinaryIO, io.BufferedReader(_Reader(reader), buffer_size=256 * 1024))

    def stat(self, key: str) -> ObjectStat | None:
        """Return the object's facts, or None when there is no such object."""
        try:
            with disk_errors_translated():
                meta = obstore.head(self._backend, _checked(key))
        except FileNotFoundError:
            return None
        return ObjectStat(
            size_bytes=meta["size"],
            etag=meta["e_tag"] or f'"{meta["size"]:x}-{meta["last_modified"].timestamp():.6f}"',
            modified_at=meta["last_modified"],
        )

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; one that is already gone is no error."""
        checked = [_checked(key) for key in keys]
        if isinstance(self._backend, LocalStore):
            # A folder's backend stops at the first missing file of a batch.
            for key in checked:
                self._delete_file(key)
            return
        for start in range(0, len(checked), _DELETED_AT_ONCE):
            with disk_errors_translated():
                obstore.delete(self._backend, checked[start : start + _DELETED_AT_ONCE])

    def _delete_file(self, key: str) -> None:
        try:
            with disk_errors_translated():
                obstore.delete(self._backend, key)
        except FileNotFoundError:
            return

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys below the folder *prefix* ("" is all), in no order."""
        folder = _checked(prefix.rstrip("/")) if prefix else None
        with disk_errors_translated():
            for chunk in obstore.list(self._backend, folder):
                yield from (meta["path"] for meta in chunk)

    def local_path(self, key: str) -> Path | None:
        """Return where the object is or would be in the file system; None when the store is no folder."""
        checked = _checked(key)
        return None if self._root is None else self._root / checked

    def delete_leftovers(self, *, older_than_s: float) -> int:
        """Delete what puts that were killed half way left in a folder; return how many files that was."""
        if self._root is None:
            return 0
        before = time.time() - older_than_s
        count = 0
        for folder, _folders, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                if _LEFTOVER.search(name) and path.stat().st_mtime < before:
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    def _put(self, key: str, source: bytes | BinaryIO) -> None:
        checked = _checked(key)
        with disk_errors_translated():
            obstore.put(self._backend, checked, source, max_concurrency=1 if self._root else 8)
        if self._root is not None:
            with disk_errors_translated():
                _reach_the_disk(self._root / checked, self._root)


class _Reader(io.RawIOBase):
    """The backend's reader as a standard raw stream."""

    def __init__(self, reader: ReadableFile) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = bytes(self._reader.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


def _checked(key: str) -> str:
    if len(key) > _LARGEST_KEY or not _KEY.fullmatch(key):
        raise InvalidInput(
            "key", f"is {key[:80]!r}; it is 1 to {_LARGEST_KEY} plain characters, parts split by /"
        )
    if any(part in (".", "..") for part in key.split("/")):
        raise InvalidInput("key", f"is {key[:80]!r}; it may not climb out of its folder")
    return key


@contextmanager
def disk_errors_translated() -> Iterator[None]:
    """Turn what an object store or a disk raises into our errors; a full disk into StorageFull."""
    try:
        yield
    except BaseError as error:
        found = _OS_ERROR.search(str(error))
        if found and int(found[1]) in _NO_ROOM:
            raise StorageFull("the object store has no room left; free some and try again") from error
        raise Transient(f"the object store failed: {_cause(error)}") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("the object store has no room left; free some and try again") from error
        raise


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]


def _cause(error: BaseException) -> str:
    # The parts before the last one name paths and addresses.
    return _first_line(error).rpartition(": ")[2]


def _reach_the_disk(path: Path, root: Path) -> None:
    # A rename is durable once its folder is, and a new folder once its parent is.
    _sync(path)
    if sys.platform == "win32":
        return
    folder = path.parent
    while True:
        _sync(folder)
        if folder == root:
            return
        folder = folder.parent


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

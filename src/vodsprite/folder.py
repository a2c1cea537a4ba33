"""
The data folder: who holds it, and the credential that is kept in it.

Whoever can read the folder can sign requests, so it is made for its owner alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vodsprite.errors import DataFolderError, DataFolderLocked

OWNER_ONLY_FOLDER = 0o700
OWNER_ONLY_FILE = 0o600
_ID, _KEY = "VODSPRITE_SECRET_ID", "VODSPRITE_SECRET_KEY"


class DataFolder:
    """One installation's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.credentials_path = path / "credentials"
        self._pid_path = path / "serve.pid"

    def prepare(self) -> None:
        """
        Make the folder, unless it is there.

        Raises:
            DataFolderError: It cannot be made or written.
        """
        try:
            self.path.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise DataFolderError(f"data folder {self.path} cannot be made: {error.strerror}") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise DataFolderError(f"data folder {self.path} cannot be written")
        if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
            with contextlib.suppress(PermissionError):  # somebody else's folder, lent to us
                self.path.chmod(OWNER_ONLY_FOLDER)

    @contextmanager
    def hold(self, *, wait_s: float = 0) -> Iterator[None]:
        """
        Hold the folder for this process until the end of the block; the system lets go when the process dies.

        Args:
            wait_s: How long to wait for who has it: a command may hold a new folder for a moment.

        Raises:
            DataFolderLocked: Another process holds it; the message names its process id.
            DataFolderError: The folder cannot be written, as on a full disk.
        """
        lock = FileLock(self.path / "serve.lock")
        try:
            with self._errors_told():
                lock.acquire(timeout=wait_s)
        except Timeout:
            raise DataFolderLocked(
                f"data folder {self.path} is held by process {self._holder()}; "
                "stop that one first, or name another folder with --data"
            ) from None
        try:
            with self._errors_told():
                self._pid_path.write_text(f"{os.getpid()}\n", encoding="ascii")
            yield
        finally:
            self._pid_path.unlink(missing_ok=True)
            lock.release()

    def read_credential(self) -> tuple[str, str] | None:
        """Return the kept secret id and secret key, or None when none is kept."""
        try:
            lines = self.credentials_path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataFolderError(f"{self.credentials_path} cannot be read: {error}") from error
        pairs = dict(line.split("=", 1) for line in lines if "=" in line)
        try:
            return pairs[_ID], pairs[_KEY]
        except KeyError as missing:
            raise DataFolderError(f"the file credentials of the data folder lacks {missing}") from None

    def keep_credential(self, secret_id: str, secret_key: str) -> None:
        """Keep a credential, readable by the owner alone; it is on the disk when this returns."""
        partial = self.credentials_path.with_suffix(".partial")
        with self._errors_told():
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY_FILE)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{_ID}={secret_id}\n{_KEY}={secret_key}\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.credentials_path)

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except Timeout:
            raise
        except OSError as error:
            raise DataFolderError(f"data folder {self.path} cannot be written: {error.strerror}") from error

    def _holder(self) -> str:
        try:
            return self._pid_path.read_text(encoding="ascii").strip() or "unknown"
        except OSError:
            return "unknown"

"""A media's original as a local file, for whoever must read it by path."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vodsprite.media.media import Media
from vodsprite.storage.store import Store, disk_errors_translated


@contextmanager
def local_copy(store: Store, media: Media, folder: Path) -> Iterator[Path]:
    """
    Yield the path of the media's original; it must not be written to.

    In a folder store that is the object itself, else a copy below *folder* that is gone afterwards.

    Raises:
        FileNotFoundError: The store has lost the original.
        StorageFull: There is no room for the copy.
    """
    own = store.local_path(media.object_key)
    if own is not None:
        if not own.is_file():
            raise FileNotFoundError(media.object_key)
        yield own
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix="source-") as place:
        path = Path(place, f"original.{media.type}" if media.type else "original")
        with disk_errors_translated(), store.open(media.object_key) as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
        yield path

"""
The corpus: real and crafted video files with the outcome that is expected of each.

It lies beside the repository, in `../shared/media`, or where `VODSPRITE_CORPUS` says. Where it is missing,
tests that need it are left out; on a build server (`CI` is set) that is a failure.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFile:
    """One file and what its manifest says of it."""

    path: Path
    expected: str  # "ok", "clean error" or "either"
    traits: frozenset[str]

    @property
    def name(self) -> str:
        """Its folder and name, as in `odd/single-frame.webm`."""
        return f"{self.path.parent.name}/{self.path.name}"


class CorpusMissingError(Exception):
    """There is no corpus, though there should be one."""


def corpus_folder() -> Path | None:
    """
    Return the folder of the corpus; None if it is missing.

    Raises:
        CorpusMissingError: it is missing on a build server.
    """
    folder = Path(os.environ.get("VODSPRITE_CORPUS") or REPOSITORY.parent / "shared" / "media")
    if (folder / "MANIFEST.json").is_file():
        return folder
    if os.environ.get("CI"):
        raise CorpusMissingError(f"no corpus in {folder}; VODSPRITE_CORPUS names another folder")
    return None


@cache
def corpus_files(folder: str) -> tuple[CorpusFile, ...]:
    """
    Return the files of *folder* (valid, odd, malformed, hostile) by name; none if the corpus is missing.

    Raises:
        CorpusMissingError: as `corpus_folder`.
    """
    root = corpus_folder()
    if root is None:
        return ()
    entries: list[dict[str, Any]] = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
    return tuple(
        CorpusFile(path=root / each["file"], expected=each["expected"], traits=frozenset(each["traits"]))
        for each in sorted(entries, key=lambda each: str(each["file"]))
        if each["file"].startswith(f"{folder}/")
    )

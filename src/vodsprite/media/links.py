"""
Signed, expiring paths to originals.

A path is `originals/<expiry>.<signature>/<file id>/<file name>`. The signature covers file id and expiry: a
link opens one file until one time. The file name is there for whoever saves it, and is not covered.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from urllib.parse import quote

from itsdangerous import Signer

from vodsprite.clock import from_us, to_us
from vodsprite.database.engine import Database
from vodsprite.errors import Forbidden
from vodsprite.ids import FileId
from vodsprite.media import table
from vodsprite.media.media import Media

_FACT = "path_key"


class Links:
    """Makes and checks links to originals."""

    def __init__(self, key: bytes, ttl_s: int) -> None:
        """*key* is secret; a link is good for *ttl_s* seconds."""
        self._signer = Signer(key, salt="originals", key_derivation="hmac", digest_method=_sha256)
        self._ttl_s = ttl_s

    def original_url(self, base_url: str, media: Media, *, now: datetime) -> str:
        """Return a URL below *base_url* that opens the media's original for the time that links are good."""
        expiry = f"{to_us(now) // 1_000_000 + self._ttl_s:x}"
        signature = self._signer.get_signature(f"{media.file_id}.{expiry}").decode()
        name = quote(media.file_name, safe="")
        return f"{base_url}/originals/{expiry}.{signature}/{media.file_id}/{name}"

    def open_original(self, signature: str, file_id: FileId, *, now: datetime) -> None:
        """
        Check the signed part of a path.

        Raises:
            Forbidden: It was not made by us for this file, or its time is over.
        """
        expiry, _, mac = signature.partition(".")
        if not mac.isascii() or not self._signer.verify_signature(f"{file_id}.{expiry}", mac):
            raise Forbidden("this link was not made here")
        if now >= from_us(int(expiry, 16) * 1_000_000):
            raise Forbidden("this link has expired; ask for a new one")


def ensure_path_key(database: Database) -> bytes:
    """Return the installation's key for links; made when first asked for."""
    with database.transaction() as conn:
        kept = table.find_fact(conn, _FACT)
        if kept is None:
            kept = secrets.token_hex(32)
            table.insert_fact(conn, _FACT, kept)
    return bytes.fromhex(kept)


def _sha256(data: bytes = b"") -> object:
    return hashlib.sha256(data)

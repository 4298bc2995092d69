"""Keys for personal text: one data key a subject, wrapped by a master key, destroyed when the subject is forgotten.

The keys live in a SQLite file of their own, with its own, shorter backup. A box is base64url(nonce | ciphertext) by
AES-256-GCM with `tenant|subject` as associated data, so that no box opens under another name.
"""

import hmac
import os
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from threading import RLock
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis import secret_file
from chassis.event import Sealed
from chassis.identity import Recent
from chassis.sqlite_file import open_flushed
from chassis.wal_index import WalIndex

KEY_BYTES = 32
NONCE_BYTES = 12
CACHE_LIMIT = 10_000

SEAL, HMAC = "seal", "hmac"

SCHEMA = """
CREATE TABLE IF NOT EXISTS data_key (
    tenant TEXT NOT NULL, purpose TEXT NOT NULL, subject TEXT NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, purpose, subject)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followed (log INTEGER PRIMARY KEY CHECK (log = 1), position INTEGER NOT NULL);
"""

Slot = tuple[str, str, str]


class KeyWrapper(Protocol):
    """The master key, wherever it lives: a file in development, a KMS in production."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """The key in a form that only `unwrap` with the same context opens."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key that was wrapped in this context. Raises InvalidTag for anything else."""
        ...


class FileKeyWrapper:
    """A master key in a file: one that a secret store brings, which must be there, or with `made` one of our own."""

    def __init__(self, path: Path, *, made: bool = False) -> None:
        self._cipher = AESGCM(secret_file.make_once(path, os.urandom(KEY_BYTES)) if made else path.read_bytes())

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return _lock(self._cipher, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return _unlock(self._cipher, wrapped, context)


def _lock(cipher: AESGCM, text: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, text, context)


def _unlock(cipher: AESGCM, box: bytes, context: bytes) -> bytes:
    return cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], context)


class Keys:
    """Seals and opens personal text. A new subject's key is on disk before its first box is handed out.

    Safe between threads, and between processes on one file: what another one forgot is forgotten here at the next call.
    """

    def __init__(self, path: Path, wrapper: KeyWrapper, *, cache_limit: int = CACHE_LIMIT) -> None:
        self._wrapper = wrapper
        self._cache_limit = cache_limit
        self._lock = RLock()
        self._database = _open(path)
        self._index = WalIndex(path)
        self._seen_commits: int | None = None
        self._known: Recent[Slot, bytes] = Recent(cache_limit)
        self._seen_change = self._change()

    @classmethod
    def in_directory(cls, directory: Path, master_key: Path | None = None) -> "Keys":
        """`keys.db` in that directory, wrapped by the master key given, else by `master.key` beside it, made if missing."""
        wrapper = FileKeyWrapper(master_key) if master_key else FileKeyWrapper(directory / "master.key", made=True)
        return cls(directory / "keys.db", wrapper)

    def seal(self, tenant: str, subject: str, text: str) -> Sealed:
        """The text in a box that only this subject's key opens; the key is made when there is none."""
        cipher = AESGCM(self._make((tenant, SEAL, subject)))
        box = _lock(cipher, text.encode(), _context(tenant, subject))
        return Sealed(subject=subject, box=urlsafe_b64encode(box).decode())

    def open(self, tenant: str, sealed: Sealed) -> str | None:
        """The text, or None when its subject was forgotten, or when no key of this subject made that box."""
        key = self._find((tenant, SEAL, sealed.subject))
        if key is None:
            return None
        try:
            box = urlsafe_b64decode(sealed.box)
            return _unlock(AESGCM(key), box, _context(tenant, sealed.subject)).decode()
        except (InvalidTag, ValueError):
            return None

    def forget(self, tenant: str, subject: str) -> None:
        """Destroys the subject's key: what it sealed can never be read again. Forgetting twice is the same."""
        with self._lock:
            self._database.execute(
                "DELETE FROM data_key WHERE (tenant, purpose, subject) = (?, ?, ?)", (tenant, SEAL, subject)
            )
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._known = Recent(self._cache_limit)

    def followed(self) -> int:
        """The position up to which the log's word on who is forgotten has been carried out; 0 at first."""
        with self._lock:
            found = self._database.execute("SELECT position FROM followed").fetchone()
            return int(found[0]) if found else 0

    def follow(self, position: int) -> None:
        """Remembers, beside the keys and in every copy of them, how far the log's word has been carried out."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO followed VALUES (1, ?)", (position,))

    def hmac(self, tenant: str, text: str) -> str:
        """A keyed hash of the text, in 64 hexadecimal digits: equal texts of one tenant give equal ones."""
        return hmac.digest(self._make((tenant, HMAC, "")), text.encode(), "sha256").hex()

    def close(self) -> None:
        with self._lock:
            self._database.close()
            self._index.close()

    def _make(self, slot: Slot) -> bytes:
        with self._lock:
            return self._find(slot) or self._create(slot)

    def _create(self, slot: Slot) -> bytes:
        wrapped = self._wrapper.wrap(os.urandom(KEY_BYTES), _context(*slot))
        self._database.execute("INSERT INTO data_key VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (*slot, wrapped))
        key = self._find(slot)
        if key is None:
            raise LookupError("the key was forgotten while it was made")
        return key

    def _find(self, slot: Slot) -> bytes | None:
        with self._lock:
            self._notice_others()
            key = self._known.get(slot)
            if key is None:
                key = self._read(slot)
            return key

    def _read(self, slot: Slot) -> bytes | None:
        found = self._database.execute(
            "SELECT wrapped FROM data_key WHERE (tenant, purpose, subject) = (?, ?, ?)", slot
        ).fetchone()
        if found is None:
            return None
        key = self._wrapper.unwrap(found[0], _context(*slot))
        self._known.put(slot, key)
        return key

    def _notice_others(self) -> None:
        commits = self._index.changes()
        if commits is not None and commits == self._seen_commits:
            return
        self._seen_commits, change = commits, self._change()
        if change != self._seen_change:
            self._seen_change, self._known = change, Recent(self._cache_limit)

    def _change(self) -> int:
        changed: int = self._database.execute("PRAGMA data_version").fetchone()[0]
        return changed


def _open(path: Path) -> sqlite3.Connection:
    database = open_flushed(path, SCHEMA)
    database.execute("PRAGMA secure_delete=ON")
    path.chmod(secret_file.OWNER_ONLY)
    return database


def _context(*parts: str) -> bytes:
    return "|".join(parts).encode()

"""Keys for personal text: one data key a subject, wrapped by a master key, destroyed when the subject is forgotten.

The keys live in a SQLite file of their own, with its own, shorter backup. A box is base64url(nonce | ciphertext) by
AES-256-GCM with `tenant|subject` as associated data, so that no box opens under another name.

The master key is a file, or stands wrapped by a KMS beside the keys (`chassis.master_key`); without it they are locked.
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
from chassis.decider import Busy
from chassis.event import Sealed
from chassis.identity import Recent
from chassis.sqlite_file import open_flushed
from chassis.wal_index import WalIndex

KEY_BYTES = 32
NONCE_BYTES = 12
CACHE_LIMIT = 10_000
RETRY_AFTER_SECONDS = 5
KEYS_FILE, MASTER_FILE = "keys.db", "master.key"

SEAL, HMAC = "seal", "hmac"

SCHEMA = """
CREATE TABLE IF NOT EXISTS data_key (
    tenant TEXT NOT NULL, purpose TEXT NOT NULL, subject TEXT NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, purpose, subject)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, cause TEXT NOT NULL, PRIMARY KEY (tenant, subject, cause)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followed (log INTEGER PRIMARY KEY CHECK (log = 1), position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS master (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), wrapped TEXT NOT NULL);
"""

Slot = tuple[str, str, str]


class KeysLocked(Busy):
    """The KMS has not given this service its master key, or has withdrawn it. What needs no personal text goes on."""

    slug = "keys-locked"


class MasterKeyMissing(Exception):
    """The keys are there, and what unwraps them is not where the settings say."""


class KeyWrapper(Protocol):
    """A master key in memory: what wraps the keys on disk."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """The key in a form that only `unwrap` with the same context opens."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key that was wrapped in this context. Raises InvalidTag for anything else."""
        ...


class PlainKeyWrapper:
    """The master key itself, 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return _lock(self._cipher, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return _unlock(self._cipher, wrapped, context)


class FileKeyWrapper(PlainKeyWrapper):
    """A master key in a file: one that a secret store brings, which must be there, or with `made` one of our own."""

    def __init__(self, path: Path, *, made: bool = False) -> None:
        super().__init__(secret_file.make_once(path, os.urandom(KEY_BYTES)) if made else path.read_bytes())


def _lock(cipher: AESGCM, text: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, text, context)


def _unlock(cipher: AESGCM, box: bytes, context: bytes) -> bytes:
    return cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], context)


class Keys:
    """Seals and opens personal text. A new subject's key is on disk before its first box is handed out.

    Safe between threads, and between processes on one file: what another one forgot is forgotten here at the next call.
    Without a master key they are locked: whatever needs one of them raises KeysLocked.
    """

    def __init__(self, path: Path, wrapper: KeyWrapper | None, *, cache_limit: int = CACHE_LIMIT) -> None:
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
        """`keys.db` in that directory, wrapped by the master key given, else by `master.key` beside it, made if missing.

        Raises MasterKeyMissing where a KMS keeps the master key.
        """
        keys = cls(directory / KEYS_FILE, None)
        if keys.master is not None:
            keys.close()
            raise MasterKeyMissing(f"a KMS keeps the master key of {directory / KEYS_FILE}: set ENTENTE_KMS")
        keys.unlock(FileKeyWrapper(master_key) if master_key else FileKeyWrapper(directory / MASTER_FILE, made=True))
        return keys

    @property
    def locked(self) -> bool:
        return self._wrapper is None

    def unlock(self, wrapper: KeyWrapper) -> None:
        """Wraps and unwraps by this master key from now on."""
        self._wrapper = wrapper

    def lock(self) -> None:
        """Lets go of the master key and of every key in memory."""
        with self._lock:
            self._wrapper, self._known = None, Recent(self._cache_limit)

    @property
    def master(self) -> str | None:
        """The master key as a KMS wrapped it, or None."""
        with self._lock:
            found = self._database.execute("SELECT wrapped FROM master").fetchone()
            return str(found[0]) if found else None

    def keep_master(self, wrapped: str) -> str:
        """Keeps the wrapped master key unless one is kept already; answers the one that is kept."""
        with self._lock:
            self._database.execute("INSERT INTO master VALUES (1, ?) ON CONFLICT DO NOTHING", (wrapped,))
            return self.master or wrapped

    def replace_master(self, old: str, new: str) -> None:
        """Keeps the same master key in another wrapping, unless somebody else has replaced the old one meanwhile."""
        with self._lock:
            self._database.execute("UPDATE master SET wrapped = ? WHERE wrapped = ?", (new, old))

    @property
    def empty(self) -> bool:
        """Whether no key was ever made, or all are destroyed."""
        with self._lock:
            return self._database.execute("SELECT 1 FROM data_key LIMIT 1").fetchone() is None

    def fit(self, wrapper: KeyWrapper) -> bool:
        """Whether this master key wraps the keys that are there; where there are none, any does."""
        with self._lock:
            row = self._database.execute("SELECT tenant, purpose, subject, wrapped FROM data_key LIMIT 1").fetchone()
        try:
            return row is None or bool(wrapper.unwrap(row[3], _context(*row[:3])))
        except InvalidTag:
            return False

    def renew(self, wrapper: KeyWrapper, wrapped: str) -> int:
        """Wraps every key by another master key, which is kept as `wrapped`, all in one commit; answers how many."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                rows = self._database.execute("SELECT tenant, purpose, subject, wrapped FROM data_key").fetchall()
                again = [(wrapper.wrap(self._unwrap(row[:3], row[3]), _context(*row[:3])), *row[:3]) for row in rows]
                self._database.executemany(
                    "UPDATE data_key SET wrapped = ? WHERE (tenant, purpose, subject) = (?, ?, ?)", again
                )
                self._database.execute("INSERT OR REPLACE INTO master VALUES (1, ?)", (wrapped,))
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            self._wrapper = wrapper
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return len(rows)

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

    def forget(self, tenant: str, subject: str, cause: str | None = None) -> None:
        """Destroys the subject's key: what it sealed can never be read again. Forgetting twice is the same.

        One `cause` (the command that forgets) destroys once: who was named anew since has another key, and keeps it
        however often the log tells of that cause. A copy of the keys from before it knows nothing of it, and obeys.
        """
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                if cause is None or self._is_new(tenant, subject, cause):
                    slot = (tenant, SEAL, subject)
                    self._database.execute("DELETE FROM data_key WHERE (tenant, purpose, subject) = (?, ?, ?)", slot)
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._known = Recent(self._cache_limit)

    def _is_new(self, tenant: str, subject: str, cause: str) -> bool:
        """Remembers that this cause was carried out; whether it was not before."""
        known = (tenant, subject, cause)
        done = self._database.execute("INSERT INTO forgotten VALUES (?, ?, ?) ON CONFLICT DO NOTHING", known)
        return done.rowcount == 1

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
        wrapped = self._unlocked().wrap(os.urandom(KEY_BYTES), _context(*slot))
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
        key = self._unwrap(slot, found[0])
        self._known.put(slot, key)
        return key

    def _unwrap(self, slot: Slot, wrapped: bytes) -> bytes:
        return self._unlocked().unwrap(wrapped, _context(*slot))

    def _unlocked(self) -> KeyWrapper:
        if self._wrapper is None:
            raise KeysLocked("The keys of personal text are locked.", retry_after_seconds=RETRY_AFTER_SECONDS)
        return self._wrapper

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

"""Keys for personal text: one data key a subject, wrapped by a master key, destroyed when the subject is forgotten.

The keys live in a store of their own (`chassis.key_store`), with its own, shorter backup. A box is base64url(nonce |
ciphertext) by AES-256-GCM with `tenant|subject` as associated data, so that no box opens under another name.

The master key is a file, or stands wrapped by a KMS beside the keys (`chassis.master_key`); without it they are locked.
"""

import hmac
import os
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
from chassis.key_store.port import HMAC, SEAL, KeyStore, Slot
from chassis.key_store.sqlite import SqliteKeyStore

KEY_BYTES = 32
NONCE_BYTES = 12
CACHE_LIMIT = 10_000
RETRY_AFTER_SECONDS = 5
KEYS_FILE, MASTER_FILE = "keys.db", "master.key"


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
    """Seals and opens personal text. A new subject's key is kept before its first box is handed out.

    Safe between threads, and between processes on one store: what another one forgot is forgotten here at the next call.
    Without a master key they are locked: whatever needs one of them raises KeysLocked.
    """

    def __init__(self, store: KeyStore, wrapper: KeyWrapper | None, *, cache_limit: int = CACHE_LIMIT) -> None:
        self.store = store
        self._wrapper = wrapper
        self._cache_limit = cache_limit
        self._lock = RLock()
        self._known: Recent[Slot, bytes] = Recent(cache_limit)
        self._passing: Recent[Slot, bytes] = Recent(cache_limit)

    @classmethod
    def in_directory(cls, directory: Path, master_key: Path | None = None) -> "Keys":
        """`keys.db` in that directory, wrapped by the master key given, else by `master.key` beside it, made if missing.

        Raises MasterKeyMissing where a KMS keeps the master key.
        """
        keys = cls(SqliteKeyStore(directory / KEYS_FILE), None)
        if keys.master is not None:
            keys.close()
            raise MasterKeyMissing(f"a KMS keeps the master key of {directory / KEYS_FILE}: set ENTENTE_KMS")
        keys.unlock(FileKeyWrapper(master_key) if master_key else FileKeyWrapper(directory / MASTER_FILE, made=True))
        return keys

    def prepare(self) -> None:
        """Begins the work. Raises what the store does, and MasterKeyMissing where the file given opens no key of it."""
        with self._lock:
            self.store.open()
            if self._wrapper is None:
                return
            if self.store.master() is not None:
                raise MasterKeyMissing("a KMS keeps the master key of these keys: set ENTENTE_KMS")
            if not self.fit(self._wrapper):
                raise MasterKeyMissing(
                    "the master key given opens no key that is kept: bring the one that wrapped them"
                )

    @property
    def locked(self) -> bool:
        return self._wrapper is None

    def unlock(self, wrapper: KeyWrapper) -> None:
        """Wraps and unwraps by this master key from now on."""
        self._wrapper = wrapper

    def lock(self) -> None:
        """Lets go of the master key and of every key in memory."""
        with self._lock:
            self._wrapper, self._known, self._passing = None, Recent(self._cache_limit), Recent(self._cache_limit)

    @property
    def master(self) -> str | None:
        """The master key as a KMS wrapped it, or None."""
        with self._lock:
            return self.store.master()

    def keep_master(self, wrapped: str) -> str:
        """Keeps the wrapped master key unless one is kept already; answers the one that is kept."""
        with self._lock:
            return self.store.keep_master(wrapped)

    def replace_master(self, old: str, new: str) -> None:
        """Keeps the same master key in another wrapping, unless somebody else has replaced the old one meanwhile."""
        with self._lock:
            self.store.replace_master(old, new)

    @property
    def empty(self) -> bool:
        """Whether no key was ever made, or all are destroyed."""
        with self._lock:
            return self.store.one() is None

    def fit(self, wrapper: KeyWrapper) -> bool:
        """Whether this master key wraps the keys that are there; where there are none, any does."""
        with self._lock:
            found = self.store.one()
        try:
            return found is None or bool(wrapper.unwrap(found[1], _context(*found[0])))
        except InvalidTag:
            return False

    def renew(self, wrapper: KeyWrapper, wrapped: str) -> int:
        """Wraps every key by another master key, which is kept as `wrapped`, all in one commit; answers how many."""
        with self._lock:
            renewed = self.store.renew(
                lambda slot, old: wrapper.wrap(self._unwrap(slot, old), _context(*slot)), wrapped
            )
            self._wrapper = wrapper
            return renewed

    def seal(self, tenant: str, subject: str, text: str) -> Sealed:
        """The text in a box that only this subject's key opens; the key is made when there is none."""
        return _sealed(self._make((tenant, SEAL, subject)), tenant, subject, text)

    def seal_in_passing(self, tenant: str, subject: str, text: str) -> Sealed:
        """As `seal`, for what nobody records: the key of a subject that has none is known to this process, for a while."""
        slot = (tenant, SEAL, subject)
        with self._lock:
            self._unlocked()
            key = self._find(slot) or self._passing.get(slot)
            if key is None:
                self._passing.put(slot, key := os.urandom(KEY_BYTES))
        return _sealed(key, tenant, subject, text)

    def open(self, tenant: str, sealed: Sealed) -> str | None:
        """The text, or None when its subject was forgotten, or when no key of this subject made that box."""
        slot = (tenant, SEAL, sealed.subject)
        with self._lock:
            keys = (self._find(slot), self._passing.get(slot))
        found = (_opened(key, tenant, sealed) for key in keys if key is not None)
        return next((text for text in found if text is not None), None)

    def forget(self, tenant: str, subject: str, cause: str | None = None) -> None:
        """Destroys the subject's key: what it sealed can never be read again. Forgetting twice is the same.

        One `cause` (the command that forgets) destroys once: who was named anew since has another key, and keeps it
        however often the log tells of that cause. A copy of the keys from before it knows nothing of it, and obeys.
        """
        with self._lock:
            self.store.destroy(tenant, subject, cause)
            self._known = Recent(self._cache_limit)
            self._passing.drop((tenant, SEAL, subject))

    def followed(self) -> int:
        """The position up to which the log's word on who is forgotten has been carried out; 0 at first."""
        with self._lock:
            return self.store.followed()

    def follow(self, position: int) -> None:
        """Remembers, beside the keys and in every copy of them, how far the log's word has been carried out."""
        with self._lock:
            self.store.follow(position)

    def hmac(self, tenant: str, text: str) -> str:
        """A keyed hash of the text, in 64 hexadecimal digits: equal texts of one tenant give equal ones."""
        return hmac.digest(self._make((tenant, HMAC, "")), text.encode(), "sha256").hex()

    def close(self) -> None:
        with self._lock:
            self.store.close()

    def _make(self, slot: Slot) -> bytes:
        with self._lock:
            return self._find(slot) or self._create(slot)

    def _create(self, slot: Slot) -> bytes:
        wrapped = self.store.create(slot, self._unlocked().wrap(os.urandom(KEY_BYTES), _context(*slot)))
        if wrapped is None:
            raise LookupError("the key was forgotten while it was made")
        return self._learn(slot, wrapped)

    def _find(self, slot: Slot) -> bytes | None:
        with self._lock:
            _, purpose, _ = slot
            if purpose == SEAL and self.store.changed():
                self._known = Recent(self._cache_limit)
            key = self._known.get(slot)
            if key is None and (wrapped := self.store.read(slot)) is not None:
                key = self._learn(slot, wrapped)
            return key

    def _learn(self, slot: Slot, wrapped: bytes) -> bytes:
        key = self._unwrap(slot, wrapped)
        self._known.put(slot, key)
        return key

    def _unwrap(self, slot: Slot, wrapped: bytes) -> bytes:
        return self._unlocked().unwrap(wrapped, _context(*slot))

    def _unlocked(self) -> KeyWrapper:
        if self._wrapper is None:
            raise KeysLocked("The keys of personal text are locked.", retry_after_seconds=RETRY_AFTER_SECONDS)
        return self._wrapper


def _sealed(key: bytes, tenant: str, subject: str, text: str) -> Sealed:
    box = _lock(AESGCM(key), text.encode(), _context(tenant, subject))
    return Sealed(subject=subject, box=urlsafe_b64encode(box).decode())


def _opened(key: bytes, tenant: str, sealed: Sealed) -> str | None:
    try:
        return _unlock(AESGCM(key), urlsafe_b64decode(sealed.box), _context(tenant, sealed.subject)).decode()
    except (InvalidTag, ValueError):
        return None


def _context(*parts: str) -> bytes:
    return "|".join(parts).encode()

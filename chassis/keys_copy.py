"""Copies of one service's keys, taken while it runs, and the way back: their own backup, which lives shorter than a log's.

A copy is a file as `keys.db` is one, whatever keeps the keys: what was copied from one kind of store comes back into another.
Its keys are wrapped. What unwraps them is never in it: a master key in a file is left where it is, and one that a KMS keeps
is wrapped itself.
"""

import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, runtime_checkable

from chassis import secret_file
from chassis.backup import NotEmpty
from chassis.event import frozen
from chassis.key_store.port import KeyStore
from chassis.key_store.sqlite import SCHEMA, SqliteKeyStore
from chassis.keys import KEYS_FILE, FileKeyWrapper, Keys, MasterKeyMissing
from chassis.presence import at_work, moving
from chassis.sqlite_file import LOCK_SECONDS

COPY = re.compile(r"(?P<service>[a-z]+)-keys-\d{8}T\d{6}Z\.db")
"""Names sort by time; what a stopped command left behind begins so too."""
SHARED, READ = "rw", "ro"
"""How a file is opened: who reads beside others that write needs the index that they share; a copy may lie anywhere."""


class NoKeys(Exception):
    """A file is no key store of this service, or a damaged one."""


@frozen
class Held:
    keys: int
    by_kms: bool
    """Whether the master key stands beside them, wrapped by a KMS."""


class Kept(Protocol):
    """What keeps keys, as copies see it."""

    def copy_to(self, draft: Path) -> None:
        """Writes the keys of one moment into an empty file, while anybody goes on working with them."""
        ...

    def bring_in(self, copy: Path) -> bool:
        """Puts the keys of a copy where there are none; True. Raises InUse while a process works there, NotEmpty."""
        ...


class KeysFile:
    """`keys.db` in the folder of a service."""

    def __init__(self, directory: Path) -> None:
        self._directory, self.path = directory, directory / KEYS_FILE

    def copy_to(self, draft: Path) -> None:
        _copy(_there(self.path), draft, mode=SHARED)

    def bring_in(self, copy: Path) -> bool:
        self._directory.mkdir(parents=True, exist_ok=True)
        with at_work(self._directory, alone=True):
            _must_hold_no_key(self.path)
            # Into the file, not in its place: whoever is about to start may have opened it already.
            _copy(copy, self.path, mode=SHARED)
        return True


@runtime_checkable
class KeyDatabase(KeyStore, Protocol):
    """A key store in a database, which is copied by itself."""

    def copy_to(self, draft: Path) -> None:
        """As of `Kept`."""
        ...

    def bring_in(self, copy: Path, *, once: bool = False) -> bool:
        """As of `Kept`; with `once`, those keys that were brought in so before are not again, and it answers False."""
        ...


def take(kept: Kept, service: str, to: Path, at: datetime, *, keep: int) -> tuple[Path, Held]:
    """Copies the keys of one moment into a new file, while anybody goes on working with them.

    The `keep` newest copies of the service stay in that folder, this one among them; older ones are removed. Raises
    FileNotFoundError where no keys are, NotEmpty where the copy's name is taken, and NoKeys for a damaged file.
    """
    path = to / f"{service}-keys-{at:%Y%m%dT%H%M%SZ}.db"
    if path.exists():
        raise NotEmpty(f"{path} is there already: nothing is written over")
    with secret_file.draft(path) as draft:
        kept.copy_to(draft)
        held = _checked(draft)
        draft.replace(path)
    _remove_older(path, service, keep)
    return path, held


def bring_back(source: Path, kept: Kept, service: str, master_key: Path | None) -> Held:
    """Puts the keys of a copy where there are none. `master_key` is its file, or None where a KMS keeps it.

    Raises InUse while a process works there, NotEmpty where keys are, NoKeys for anything but a whole copy of this
    service's, and MasterKeyMissing unless the master key opens it.
    """
    named = COPY.match(_there(source).name)
    if named and named["service"] != service:
        raise NoKeys(f"{source} holds the keys of {named['service']}, not of {service}")
    with TemporaryDirectory() as folder:
        draft = Path(folder) / KEYS_FILE
        _copy(source, draft, mode=READ)
        held = _checked(draft)
        _must_open(draft, master_key)
        kept.bring_in(draft)
        return held


def take_over(file: KeysFile, store: KeyDatabase, master_key: Path | None) -> bool:
    """Moves the keys of a service's file into the store that follows it, once, and removes the file: whether there was one.

    Replicas that start together wait for each other. Raises InUse where a process goes on working with the file, NotEmpty
    where the store holds other keys (an older release that came back has made a file anew), NoKeys for a damaged file, and
    MasterKeyMissing unless the master key opens it.
    """
    if not file.path.exists():
        return False
    # Before anybody connects to the store: who waits here holds nothing there that the other one needs alone.
    with moving(file.path.parent, file.path.exists) as still, TemporaryDirectory() as folder:
        if not still:
            return False
        store.migrate()
        draft = Path(folder) / KEYS_FILE
        file.copy_to(draft)
        if _checked(draft).keys:
            _must_open(draft, master_key)
            store.bring_in(draft, once=True)
        with closing(sqlite3.connect(file.path)) as db:
            db.execute("PRAGMA journal_mode = DELETE")  # from here on one file is all there is to remove
        file.path.unlink()
        return True


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: nothing can be copied")
    return path


def _copy(source: Path, to: Path, *, mode: str) -> None:
    """All in one step: it is one moment of the source, and in the other file everything or nothing."""
    from_there = f"{source.resolve().as_uri()}?mode={mode}"
    try:
        with (
            closing(sqlite3.connect(from_there, uri=True, timeout=LOCK_SECONDS)) as here,
            closing(sqlite3.connect(to, timeout=LOCK_SECONDS)) as there,
        ):
            here.backup(there)
    except sqlite3.DatabaseError as no:
        raise NoKeys(f"{source} cannot be copied: {no}") from no


def _checked(copy: Path) -> Held:
    """Makes a whole copy one file, which is read where nothing can be written. Raises NoKeys for anything else."""
    try:
        with closing(sqlite3.connect(copy)) as database:
            database.execute("PRAGMA journal_mode=DELETE")
            found: str = database.execute("PRAGMA integrity_check").fetchone()[0]
            count: int = database.execute("SELECT count(*) FROM data_key").fetchone()[0]
            database.executescript(SCHEMA)  # an older release had fewer tables
            master = database.execute("SELECT 1 FROM master").fetchone()
    except sqlite3.DatabaseError as no:
        raise NoKeys(f"what was to be copied holds no keys: {no}") from no
    if found != "ok":
        raise NoKeys(f"what was to be copied is damaged: {found}")
    return Held(keys=count, by_kms=master is not None)


def _remove_older(fresh: Path, service: str, keep: int) -> None:
    named = [(path, COPY.match(path.name)) for path in fresh.parent.iterdir()]
    own = [path for path, match in named if match and match["service"] == service]
    others = sorted((path for path in own if COPY.fullmatch(path.name) and path != fresh), reverse=True)
    oldest = min([fresh, *others[: keep - 1]])
    for path in own:
        if len(others) >= keep and path < oldest:
            path.unlink(missing_ok=True)


def _must_hold_no_key(path: Path) -> None:
    try:
        with closing(Keys(SqliteKeyStore(path), None)) as keys:
            if keys.empty:
                return
    except sqlite3.DatabaseError:
        pass
    raise NotEmpty(f"{path} is there, and may hold keys that no copy has: move it away, with its -wal and -shm")


def _must_open(copy: Path, master_key: Path | None) -> None:
    """Raises MasterKeyMissing unless the file of the master key opens the keys; what a KMS keeps, the start asks for."""
    if master_key is None:
        return
    if not master_key.is_file():
        raise MasterKeyMissing(f"{master_key} is not there: bring it first, a new one would open no key of the copy")
    with closing(Keys(SqliteKeyStore(copy), None)) as keys:
        if keys.master is not None:
            raise MasterKeyMissing("a KMS keeps the master key of this copy: set ENTENTE_KMS")
        if not _fits(keys, master_key):
            raise MasterKeyMissing(f"{master_key} opens no key of the copy: bring the one that wrapped them")


def _fits(keys: Keys, master_key: Path) -> bool:
    try:
        return keys.fit(FileKeyWrapper(master_key))
    except ValueError:  # not 32 bytes
        return False

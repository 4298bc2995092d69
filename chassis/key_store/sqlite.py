"""The key store in a SQLite file of its own, which the processes of one machine share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chassis import secret_file
from chassis.key_store.port import SEAL, Slot, Wrap
from chassis.sqlite_file import open_flushed
from chassis.wal_index import WalIndex

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
"""Also the form of every copy, whatever keeps the keys."""
OF_SLOT = "WHERE (tenant, purpose, subject) = (?, ?, ?)"


class SqliteKeyStore:
    """See `chassis.key_store.port.KeyStore`. The file is made, with its tables, when this is."""

    def __init__(self, path: Path) -> None:
        self._database = open_flushed(path, SCHEMA)
        self._database.execute("PRAGMA secure_delete=ON")
        path.chmod(secret_file.OWNER_ONLY)
        self._index = WalIndex(path)
        self._seen_commits: int | None = None
        self._seen_change = self._change()

    def migrate(self) -> None:
        return

    def open(self) -> None:
        return

    def answers(self) -> bool:
        return True

    def changed(self) -> bool:
        commits = self._index.changes()
        if commits is not None and commits == self._seen_commits:
            return False
        before, self._seen_commits, self._seen_change = self._seen_change, commits, self._change()
        return before != self._seen_change

    def read(self, slot: Slot) -> bytes | None:
        found = self._database.execute(f"SELECT wrapped FROM data_key {OF_SLOT}", slot).fetchone()  # noqa: S608
        return found[0] if found else None

    def create(self, slot: Slot, wrapped: bytes) -> bytes | None:
        self._database.execute("INSERT INTO data_key VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (*slot, wrapped))
        return self.read(slot)

    def destroy(self, tenant: str, subject: str, cause: str | None) -> None:
        with self._transaction():
            if cause is None or self._is_new(tenant, subject, cause):
                self._database.execute(f"DELETE FROM data_key {OF_SLOT}", (tenant, SEAL, subject))  # noqa: S608
        self._clear_log()

    def _is_new(self, tenant: str, subject: str, cause: str) -> bool:
        """Remembers that this cause was carried out; whether it was not before."""
        known = (tenant, subject, cause)
        done = self._database.execute("INSERT INTO forgotten VALUES (?, ?, ?) ON CONFLICT DO NOTHING", known)
        return done.rowcount == 1

    def followed(self) -> int:
        found = self._database.execute("SELECT position FROM followed").fetchone()
        return int(found[0]) if found else 0

    def follow(self, position: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO followed VALUES (1, ?)", (position,))

    def master(self) -> str | None:
        found = self._database.execute("SELECT wrapped FROM master").fetchone()
        return str(found[0]) if found else None

    def keep_master(self, wrapped: str) -> str:
        self._database.execute("INSERT INTO master VALUES (1, ?) ON CONFLICT DO NOTHING", (wrapped,))
        return self.master() or wrapped

    def replace_master(self, old: str, new: str) -> None:
        self._database.execute("UPDATE master SET wrapped = ? WHERE wrapped = ?", (new, old))

    def one(self) -> tuple[Slot, bytes] | None:
        found = self._database.execute("SELECT tenant, purpose, subject, wrapped FROM data_key LIMIT 1").fetchone()
        return (found[:3], found[3]) if found else None

    def renew(self, again: Wrap, master: str) -> int:
        with self._transaction():
            rows = self._database.execute("SELECT tenant, purpose, subject, wrapped FROM data_key").fetchall()
            renewed = [(again(row[:3], row[3]), *row[:3]) for row in rows]
            self._database.executemany(f"UPDATE data_key SET wrapped = ? {OF_SLOT}", renewed)  # noqa: S608
            self._database.execute("INSERT OR REPLACE INTO master VALUES (1, ?)", (master,))
        self._clear_log()
        return len(rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def _clear_log(self) -> None:
        """What was destroyed stands in the write-ahead log too."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._database.close()
        self._index.close()

    def _change(self) -> int:
        changed: int = self._database.execute("PRAGMA data_version").fetchone()[0]
        return changed

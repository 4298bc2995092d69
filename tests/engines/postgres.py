"""PostgreSQL: a fresh cluster in a temporary folder, run as an unprivileged user, on a free loopback port."""

import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.engines import INSTALL, Engine, EngineFailed, at_work, free_port, temporary_folder

UNPRIVILEGED = ("postgres", "nobody")

# Commits are flushed as in production, because tests and benchmarks speak about flushed commits. Five services with all that they
# keep there, a second process and a test that looks on hold more than the usual hundred connections.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "300",
}


def missing() -> str | None:
    """Why no server can run here, or None."""
    return None if _find("initdb") else f"PostgreSQL is not installed: {INSTALL}"


@contextmanager
def running_postgres() -> Iterator[str]:
    """The DSN of a fresh server's `postgres` database; its user may do everything, its password is not checked."""
    with temporary_folder("entente-postgres-") as folder, serving(folder) as dsn:
        yield dsn


class Server(Engine):
    """One server on a cluster in a folder, which is made when it is not there."""

    stop_signal = signal.SIGINT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "server.txt")
        self.port = free_port()
        self.dsn = dsn_at(self.port)
        self.user = _unprivileged()
        folder.mkdir(parents=True, exist_ok=True)
        if self.user:
            shutil.chown(folder, self.user)
        if not (folder / "cluster" / "PG_VERSION").exists():
            _create(folder / "cluster", self.user)

    def _command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in (SETTINGS | {"port": str(self.port)}).items()]
        return [_program("postgres"), "-D", str(self._log.parent / "cluster"), *settings]

    def _serves(self) -> bool:
        return _answers(self.dsn)


def dsn_at(port: int) -> str:
    """The DSN of the server's own database at a port of this machine."""
    return f"postgresql://entente:entente@127.0.0.1:{port}/postgres"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The DSN of a server whose cluster is, and stays, in the folder."""
    server = Server(folder)
    with at_work(server):
        yield server.dsn


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The DSN of an empty database of that server, dropped afterwards even when clients still hold it."""
    with _database(server, sql.SQL("")) as dsn:
        yield dsn


@contextmanager
def copied_database(server: str, dsn: str) -> Iterator[str]:
    """The DSN of a copy of a database that nobody is connected to, dropped afterwards as a fresh one is."""
    with _database(server, sql.SQL(" TEMPLATE {}").format(sql.Identifier(dsn.rpartition("/")[2]))) as copy:
        yield copy


@contextmanager
def _database(server: str, made_from: sql.Composable) -> Iterator[str]:
    name = f"entente_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}{}").format(sql.Identifier(name), made_from))
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def dump(dsn: str, schema: str, to: Path) -> None:
    """A backup of one schema, as a script that puts it in the place of whatever is there."""
    command = [_program("pg_dump"), "--clean", "--if-exists", "--schema", schema, "--file", str(to), dsn]
    subprocess.run(command, check=True, capture_output=True)


def restore(dsn: str, kept: Path) -> None:
    """Brings back what `dump` wrote."""
    script = ["--set=ON_ERROR_STOP=1", "--single-transaction", "--quiet", "--file", str(kept)]
    subprocess.run([_program("psql"), *script, dsn], check=True, capture_output=True)


def _program(name: str) -> str:
    path = _find(name)
    if path is None:
        raise EngineFailed(f"PostgreSQL is not installed: {INSTALL}")
    return path


def _find(name: str) -> str | None:
    # Debian keeps the server's programs off the path, one folder for each major version.
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(debian[-1]) if debian else shutil.which(name)


def _unprivileged() -> str | None:
    """The user to become, since PostgreSQL refuses to run as root; None when this process is not root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def _create(cluster: Path, user: str | None) -> None:
    arguments = ["--username=entente", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    command = [_program("initdb"), "--pgdata", str(cluster), *arguments]
    subprocess.run(command, check=True, capture_output=True, user=user, cwd=cluster.parent)


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True

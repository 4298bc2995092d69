"""The Mongo-wire server from PyPI (`nx-27017`): MongoDB's protocol over SQLite files, for where MongoDB cannot be had.

It answers the commands that the read store uses; of replica sets, isolation and speed it says nothing.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.engines import Engine, at_work, free_port, temporary_folder

PROGRAM = Path(sys.executable).with_name("nx-27017")


def missing() -> str | None:
    """Why no server can run here, or None."""
    return None if PROGRAM.exists() else "the Mongo-wire server is not installed: it comes with requirements/dev.txt"


@contextmanager
def running_mongo() -> Iterator[str]:
    """The URL of a fresh server; its files are gone afterwards."""
    with temporary_folder("entente-mongo-") as folder, serving(folder) as url:
        yield url


class Server(Engine):
    """One server on files under a folder, one a database."""

    start_seconds = 30.0
    stop_seconds = 15.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "server.txt")
        self._folder, self.port = folder, free_port()
        self.url = url_at(self.port)

    def _command(self) -> list[str]:
        folder = self._folder
        places = ("--data-dir", folder / "databases", "--pid-file", folder / "pid", "--log-file", folder / "log.txt")
        # By this interpreter: the one that the script names is gone where the environment was moved.
        return [sys.executable, str(PROGRAM), "--port", str(self.port), *map(str, places)]

    def _serves(self) -> bool:
        return _answers(self.url)


def url_at(port: int) -> str:
    """The URL of the server at a port of this machine."""
    return f"mongodb://127.0.0.1:{port}"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a server on files under `folder`."""
    server = Server(folder)
    with at_work(server):
        yield server.url


def _answers(url: str) -> bool:
    try:
        with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=500) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True

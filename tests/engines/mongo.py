"""The Mongo-wire server from PyPI (`nx-27017`): MongoDB's protocol over SQLite files, for where MongoDB cannot be had.

It answers the commands that the read store uses; of replica sets, isolation and speed it says nothing.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.engines import free_port, wait_until_ready

START_SECONDS = 30
STOP_SECONDS = 15
PROGRAM = Path(sys.executable).with_name("nx-27017")


def missing() -> str | None:
    """Why no server can run here, or None."""
    return None if PROGRAM.exists() else "the Mongo-wire server is not installed: it comes with requirements/dev.txt"


@contextmanager
def running_mongo() -> Iterator[str]:
    """The URL of a fresh server; its files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="entente-mongo-"))
    try:
        with serving(folder, free_port()) as url:
            yield url
    finally:
        shutil.rmtree(folder)


@contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """The URL of a server on files under `folder`, one a database."""
    url, log = f"mongodb://127.0.0.1:{port}", folder / "server.txt"
    places = ("--data-dir", folder / "databases", "--pid-file", folder / "pid", "--log-file", folder / "log.txt")
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAM, "--port", str(port), *places], stdout=output, stderr=output, cwd=folder)
    try:
        wait_until_ready(process, lambda: _answers(url), log, START_SECONDS)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with MongoClient(url, serverSelectionTimeoutMS=500) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True

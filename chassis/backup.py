"""A backup of a stopped system's data folder, its keys apart from everything else, and the way back."""

import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from chassis.presence import LOCK, at_work

SYSTEM, KEYS = "system", "keys"
KEY_FILES = ("keys.db", "keys.db-wal", "keys.db-shm", "master.key", "signing.json")
"""What opens personal text and signs for the services: it is kept elsewhere, and for a shorter time."""


class NotEmpty(Exception):
    """Something is there already: nothing is written over."""


def take(data: Path, services: Iterable[str], to: Path) -> None:
    """Copies the folder into `to/system` and its keys into `to/keys`. Nobody can start in between.

    Raises InUse while a process works there, NotEmpty where `to` holds anything.
    """
    _must_be_empty(to)
    with ExitStack() as alone:
        for service in services:
            if (data / service).exists():
                alone.enter_context(at_work(data / service, alone=True))
        shutil.copytree(data, to / SYSTEM, ignore=shutil.ignore_patterns(LOCK, *KEY_FILES))
        for path in sorted(path for name in KEY_FILES for path in data.rglob(name)):
            _copy(path, to / KEYS / path.relative_to(data))


def bring_back(backup: Path, data: Path) -> None:
    """Makes the data folder of a backup. Raises NotEmpty where it holds anything, FileNotFoundError without keys."""
    _must_be_empty(data)
    if not (backup / KEYS).is_dir():
        raise FileNotFoundError(f"{backup / KEYS} is not there: without keys no personal text can be read")
    for part in (SYSTEM, KEYS):
        shutil.copytree(backup / part, data, dirs_exist_ok=True)


def _must_be_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise NotEmpty(f"{folder} is not empty: nothing is written over")


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, to)

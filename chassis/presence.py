"""Who works on a service's files: several processes together, or one alone."""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "at-work.lock"


class InUse(Exception):
    """Another process works on these files: stop it first, then try again."""


@contextmanager
def at_work(directory: Path, *, alone: bool = False) -> Iterator[None]:
    """Keeps the files for this process, with others or alone. Raises InUse. A killed process lets go by itself."""
    with (directory / LOCK).open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"another process works in {directory}: stop it first, then try again") from None
        yield


def keep_off(directories: Iterable[Path]) -> None:
    """Raises InUse while another process works in one of the directories: before anything else is begun."""
    for directory in directories:
        if directory.exists():
            with at_work(directory, alone=True):
                pass

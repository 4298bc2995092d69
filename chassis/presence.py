"""Who works on a service's files: several processes together, or one alone."""

import fcntl
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic, sleep

LOCK, MOVING = "at-work.lock", "moving.lock"
MOVED_SECONDS, LOOK_SECONDS = 30.0, 0.2


class InUse(Exception):
    """Another process works on these files: stop it first, then try again."""


@contextmanager
def at_work(directory: Path, *, alone: bool = False) -> Iterator[None]:
    """Keeps the files for this process, with others or alone. Raises InUse. A killed process lets go by itself."""
    with _held(directory / LOCK, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        yield


@contextmanager
def moving(directory: Path, there: Callable[[], object], wait_seconds: float = MOVED_SECONDS) -> Iterator[bool]:
    """Keeps the files alone for whoever moves them elsewhere; False where nothing is `there` any more.

    Whoever else would move them, or still works on them, is waited for. Raises InUse where that takes too long. Who finds
    nothing left never has them alone: it would be in the way of those that go on to work.
    """
    until = monotonic() + wait_seconds
    with ExitStack() as held:
        _enter(held, partial(_held, directory / MOVING, fcntl.LOCK_EX), until)
        if there():
            _enter(held, partial(at_work, directory, alone=True), until)
        yield bool(there())


def _enter(held: ExitStack, lock: Callable[[], AbstractContextManager[None]], until: float) -> None:
    while True:
        try:
            return held.enter_context(lock())
        except InUse:
            if monotonic() > until:
                raise
            sleep(LOOK_SECONDS)


@contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"another process works in {path.parent}: stop it first, then try again") from None
        yield


def keep_off(directories: Iterable[Path]) -> None:
    """Raises InUse while another process works in one of the directories: before anything else is begun."""
    for directory in directories:
        if directory.exists():
            with at_work(directory, alone=True):
                pass

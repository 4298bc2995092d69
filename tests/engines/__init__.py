"""The real engines on loopback: each module here says whether its engine is installed, and starts it for a while.

`missing()` gives the reason why an engine cannot run here, or None; `tests/engines/install` installs them all. A test
asks for an engine by the fixtures of `tests/conftest.py`, which skip with that reason or, in CI, fail with it.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chassis.process import free_port

__all__ = [
    "FOLDER",
    "INSTALL",
    "Engine",
    "EngineFailed",
    "at_work",
    "free_port",
    "temporary_folder",
    "wait_until_ready",
]

FOLDER = Path(__file__).parents[2] / ".engines"
INSTALL = "run tests/engines/install"


class EngineFailed(RuntimeError):
    """An engine that is installed did not start or stopped by itself; the message ends with what it said last."""


class Engine:
    """One engine whose port and files outlive its process, so that it can be killed, frozen and started again."""

    start_seconds = 120.0
    stop_seconds = 45.0
    stop_signal = signal.SIGTERM
    user: str | None = None
    """Whom the process runs as, where it must not be root."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _serves(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start the process and return once it serves clients."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, user=self.user, cwd=self._log.parent
            )
        wait_until_ready(self._process, self._serves, self._log, self.start_seconds)

    def stop(self) -> None:
        """End the engine in order, and by force when it does not in time. Stopped already is fine."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the engine at once, as a crash would: what it had not flushed is the page cache's.

        Returns when its children are gone too: what they share keeps the next start from its files.
        """
        children = self._children()
        self._tell(signal.SIGKILL)
        self._running().wait()
        deadline = time.monotonic() + self.stop_seconds
        while not all(map(_is_gone, children)) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._process = None

    def freeze(self) -> None:
        """Stop the engine's clock: connections stay open and nothing answers, until `thaw`."""
        self._tell(signal.SIGSTOP)

    def thaw(self) -> None:
        self._tell(signal.SIGCONT)

    def _tell(self, number: signal.Signals) -> None:
        """Signals the process and its children: each of them answers clients."""
        children = self._children()
        self._running().send_signal(number)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    def _children(self) -> list[int]:
        pid = self.pid
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EngineFailed("this engine is not running: start it first")
        return self._process


def _is_gone(pid: int) -> bool:
    """Whether nothing is left of a process but what its parent has to be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder for engines, gone afterwards; in tests it is where all that they write is, and flushes as fast.

    PostgreSQL runs as another user, and goes through it to its own.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@contextlib.contextmanager
def at_work(engine: Engine) -> Iterator[None]:
    """The engine, started; it is stopped afterwards, and its files stay."""
    try:
        engine.start()
        yield
    finally:
        engine.stop()


def wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, seconds: float) -> None:
    """Return once `ready()` holds. Raises EngineFailed when the process ends first or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise EngineFailed(f"{process.args!r} is not ready; its last words:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)

"""The real engines on loopback: each module here says whether its engine is installed, and starts it for a while.

`missing()` gives the reason why an engine cannot run here, or None; `tests/engines/install` installs them all. A test
asks for an engine by the fixtures of `tests/conftest.py`, which skip with that reason or, in CI, fail with it.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from chassis.process import free_port

__all__ = ["FOLDER", "INSTALL", "EngineFailed", "free_port", "wait_until_ready"]

FOLDER = Path(__file__).parents[2] / ".engines"
INSTALL = "run tests/engines/install"


class EngineFailed(RuntimeError):
    """An engine that is installed did not start or stopped by itself; the message ends with what it said last."""


def wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, seconds: float) -> None:
    """Return once `ready()` holds. Raises EngineFailed when the process ends first or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise EngineFailed(f"{process.args!r} is not ready; its last words:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)

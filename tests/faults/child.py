"""The whole system in a process of its own, as `make run` starts it: to be killed, stopped and started again."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.engines import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
STOP_SECONDS = 120.0
RUNNING = re.compile(r"is running: (http://\S+)")


class Child:
    """One data folder and one port, and the process that serves them now, if any."""

    def __init__(self, data: Path, environment: Mapping[str, str] | None = None) -> None:
        self.data, self.port = data, _free_pair()
        self.starts = 0
        self.ready = threading.Event()
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def crm(self) -> str:
        """Where the simulated CRM is; it keeps the port that it had first."""
        return f"http://127.0.0.1:{(self.data / 'crm_simulator' / 'port').read_text()}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """What all runs wrote."""
        return self.data.with_name(f"{self.data.name}.log")

    def start(self) -> None:
        """Starts the process and returns at once; `ready` is set when it serves."""
        self.ready.clear()
        self.starts += 1
        command = [sys.executable, "-m", "services", "--port", str(self.port), "--data", str(self.data)]
        # What it writes goes through a pipe: a child whose disk is full can still say so.
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with self.log.open("a") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if RUNNING.search(line) and process is self._process:
                    self.ready.set()

    def wait_ready(self) -> None:
        """Returns when the process serves. Raises AssertionError with its last words when it does not."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready.wait(0.02):
            assert self._process is not None
            assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.last_words()}"
            assert time.monotonic() < deadline, f"it does not serve: {self.last_words()}"

    def last_words(self) -> str:
        return self.log.read_text()[-3_000:]

    def kill(self) -> None:
        """Ends the process as a crash would."""
        self._gone(signal.SIGKILL)

    def terminate(self) -> tuple[int, float]:
        """Asks the process to stop: its exit code, and the seconds that it took."""
        began = time.monotonic()
        return self._gone(signal.SIGTERM), time.monotonic() - began

    def _gone(self, number: int) -> int:
        assert self._process is not None
        self.ready.clear()
        self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self.kill()


@contextlib.contextmanager
def child(data: Path, environment: Mapping[str, str] | None = None) -> Iterator[Child]:
    """A child that is not started yet; none is left behind."""
    made = Child(data, environment)
    try:
        yield made
    finally:
        made.close()


def _free_pair() -> int:
    """A port that is free together with the next one, where the simulated CRM goes."""
    while True:
        port = free_port()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port + 1))
            return port

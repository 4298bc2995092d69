"""Each service stands alone: with chassis and contracts, and without its four neighbours, it starts and stops."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, SERVICES, copy_of
from tests.engines import free_port

READY_SECONDS = 120
STOP_SECONDS = 60


@contextmanager
def serving(house: Path, service: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The service's own command in a process that sees no other checkout and no setting of ours."""
    command = [sys.executable, "-m", f"services.{service}", "serve", "--port", str(port), "--data", str(house / "data")]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(house), "PYTHONDONTWRITEBYTECODE": "1"}
    with (house / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=house, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


def wait_until_ready(process: subprocess.Popen[bytes], url: str, house: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while (status := answers(url)) != 200:
        said = (house / "output.txt").read_text()[-4000:]
        assert process.poll() is None, f"the service ended by itself:\n{said}"
        assert time.monotonic() < deadline, f"{url} still answers {status}; the service said:\n{said}"
        time.sleep(0.1)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_and_stops_without_its_neighbours(service: str, tmp_path: Path) -> None:
    house = copy_of(ROOT, tmp_path / "house", "chassis", "contracts", "services/__init__.py", f"services/{service}")
    port = free_port()
    with serving(house, service, port) as process:
        wait_until_ready(process, f"http://127.0.0.1:{port}/readyz", house)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, (house / "output.txt").read_text()[-4000:]

"""How soon one service is ready when it is started alone, and what it holds in memory then.

From the command to the first 200 of `/readyz`: the interpreter, the imports from compiled code, as an image holds it, and
new stores in an empty folder. The processor's time stands beside, because a busy machine counts for the other.
"""

import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._figures import Figure, at_most
from benchmarks.http import ROOT, resident_mib
from chassis.process import free_port
from contracts.catalogue import SERVICES

STARTS = 3
PATIENCE_SECONDS = 60
READY_TARGET_SECONDS = 1.5
MEMORY_TARGET_MIB = 100
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Start:
    """One start of one service, until it was ready."""

    seconds: float
    processor_seconds: float
    resident_mib: float


def start(service: str) -> Start:
    """Starts a service on an empty folder, and ends it once it is ready."""
    with TemporaryDirectory() as data:
        port = free_port()
        command = [sys.executable, "-m", f"services.{service}", "serve", "--port", str(port), "--data", data]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not _ready(f"http://127.0.0.1:{port}/readyz"):
                if process.poll() is not None or time.perf_counter() - began > PATIENCE_SECONDS:
                    raise RuntimeError(f"{service} did not start")
                time.sleep(0.01)
            return Start(time.perf_counter() - began, processor_seconds(process.pid), resident_mib(process.pid))
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004  ready
    except urllib.error.URLError:
        return False


def processor_seconds(pid: int) -> float:
    """User and system time of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def run() -> Iterable[Figure]:
    """The medians of a few starts of each service."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", "chassis", "contracts", "services"], cwd=ROOT, check=True)
    for service in SERVICES:
        starts = [start(service) for _ in range(STARTS)]
        seconds, processor, resident = (
            statistics.median(getattr(one, name) for one in starts)
            for name in ("seconds", "processor_seconds", "resident_mib")
        )
        peer = ("of the processor, s", processor)
        yield at_most(f"start.{service}.ready", seconds, "s", READY_TARGET_SECONDS, peer)
        yield at_most(f"start.{service}.memory", resident, "MiB", MEMORY_TARGET_MIB)

"""Commands over HTTP through the whole chain, in one process: gateway, sign-in, service, log, reactions, read models.

A client in a process of its own registers deals on keep-alive connections. The limit beside it is the same server's
`/livez`, which does nothing: what the framework and the machine allow.
"""

import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp

CONNECTIONS = 64
COMMANDS = 4_000
READS = 8_000
TARGET_COMMANDS = 800
READY_SECONDS, READY_TARGET_SECONDS = 30.0, 1.5
RESIDENT_TARGET_MIB = 150
ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def server() -> Iterator[tuple[str, int]]:
    """The whole system on a free port: its address and process id."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "services", "--port", "0", "--data", data]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield _address(process), process.pid
        finally:
            process.terminate()
            process.wait(timeout=20)


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if "is running:" in line:
            return line.split("is running:")[1].split()[0]
    raise RuntimeError("the server did not start")


async def _rate(base: str) -> dict[str, float]:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(base, connector=connector) as http:
        body = {"tenant": "acme", "as": "northwind"}
        async with http.post("/dev/token", json=body) as answer:
            token = (await answer.json())["token"]
        headers = {"authorization": f"Bearer {token}"}
        await _many(COMMANDS // 8, lambda n: _register(http, headers, f"warm-{n}"))
        commands, seconds = await _many(COMMANDS, lambda n: _register(http, headers, f"deal-{n}"))
        visible = await _caught_up(http, headers, commands)
        _, read_seconds = await _many(READS, lambda n: _read(http))
        spent = sorted(commands)
        return {
            "commands": COMMANDS / seconds,
            "chain": COMMANDS / (seconds + visible),
            "p50_ms": spent[len(spent) // 2] * 1000,
            "p99_ms": spent[len(spent) * 99 // 100] * 1000,
            "livez": READS / read_seconds,
        }


async def _many(count: int, one: Any) -> tuple[list[float], float]:
    """Runs `one(n)` for all n, `CONNECTIONS` at a time: the seconds of each, and of all."""
    spent: list[float] = []

    async def lane(first: int) -> None:
        for number in range(first, count, CONNECTIONS):
            began = time.perf_counter()
            await one(number)
            spent.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*(lane(first) for first in range(CONNECTIONS)))
    return spent, time.perf_counter() - started


async def _register(http: aiohttp.ClientSession, headers: dict[str, str], name: str) -> None:
    body = {
        "customer": {"name": _company(name), "country": "DE", "website": f"www.entente-{name}.com"},
        "products": [{"family": "platform", "quantity": 1}],
        "amount": {"amount": "15000.00", "currency": "EUR"},
        "close_on": time.strftime("%Y-%m-%d", time.localtime(time.time() + 30 * 86_400)),
    }
    async with http.post("/v1/registration/deals", json=body, headers={**headers, "idempotency-key": name}) as answer:
        assert answer.ok, await answer.text()


def _company(name: str) -> str:
    """A name of its own for each deal: eleven letters, in two words."""
    digest = hashlib.sha256(name.encode()).digest()
    letters = "".join(chr(ord("a") + byte % 26) for byte in digest)
    return f"{letters[:6]} {letters[6:11]}".title()


async def _read(http: aiohttp.ClientSession) -> None:
    async with http.get("/livez") as answer:
        await answer.read()


async def _caught_up(http: aiohttp.ClientSession, headers: dict[str, str], _: Any) -> float:
    """The seconds until the gateway's own read models have everything."""
    started = time.perf_counter()
    while time.perf_counter() - started < READY_SECONDS:
        async with http.get("/readyz") as answer:
            state = json.loads(await answer.read())
        if all(model["behind"] == 0 for service in state["services"].values() for model in service["models"].values()):
            return time.perf_counter() - started
        await asyncio.sleep(0.02)
    return READY_SECONDS


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def _ready_seconds() -> tuple[float, float]:
    """From the end of imports to ready, and the imports alone."""
    code = (
        "import time;a=time.perf_counter();import services.__main__ as m;b=time.perf_counter();"
        "import asyncio,tempfile;from pathlib import Path;from chassis.settings import ServiceSettings\n"
        "async def go():\n"
        " async with m.system(ServiceSettings(port=0,data=Path(tempfile.mkdtemp()))):\n"
        "  print(b-a,time.perf_counter()-b)\n"
        "asyncio.run(go())"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    imports, ready = said.stdout.split()[:2]
    return float(imports), float(ready)


def run() -> Iterable[dict[str, Any]]:
    """Rate, latency, memory and start of the whole system in one process."""
    imports, ready = _ready_seconds()
    with server() as (base, pid):
        resting = _resident_mib(pid)
        measured = asyncio.run(_rate(base))
    rate = measured["commands"]
    livez = "the same server's /livez"
    yield _figure("http commands, whole chain", rate, "1/s", livez, rate / measured["livez"], TARGET_COMMANDS)
    yield _figure(
        "http commands until all is visible",
        measured["chain"],
        "1/s",
        "commands",
        measured["chain"] / rate,
        TARGET_COMMANDS,
    )
    yield _below("http command p50 at 64 connections", measured["p50_ms"], "ms", 100)
    yield _below("http command p99 at 64 connections", measured["p99_ms"], "ms", 500)
    yield _below("ready after imports", ready, "s", READY_TARGET_SECONDS, against="imports", ratio=ready / imports)
    yield _below("memory at rest", resting, "MiB", RESIDENT_TARGET_MIB)


def _figure(name: str, value: float, unit: str, against: str, ratio: float, target: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "against": against,
        "ratio": round(ratio, 3),
        "target": f">= {target} {unit}",
        "holds": value >= target,
    }


def _below(
    name: str, value: float, unit: str, target: float, against: str = "limit", ratio: float | None = None
) -> dict[str, Any]:
    share = value / target if ratio is None else ratio
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "against": against,
        "ratio": round(share, 3),
        "target": f"<= {target} {unit}",
        "holds": value <= target,
    }

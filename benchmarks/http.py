"""Commands over HTTP through the whole chain, in one process: gateway, sign-in, service, log, reactions, read models.

A client in a process of its own signs in and sends commands on keep-alive connections, each under its own
Idempotency-Key: notes on deals, a command as most are, and registrations, the heaviest there is, each for a customer of its
own that is screened against all others. Nothing of the server is left out: its projections, reactions and witnesses run.
The peer is the same server's `/livez`, which does nothing: what the framework, the client and the machine allow.
"""

import asyncio
import contextlib
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks._figures import Figure, at_least, at_most, beside

CONNECTIONS = 64
COMMANDS = 4_000
DEALS_NOTED = 128
READS = 8_000
STEADY, STEADY_PER_SECOND = 400, 20
"""Registrations that come one by one, as often as the largest vendor's do."""
STEADY_P99_TARGET_MS = 60
TARGET_COMMANDS = 800
P50_TARGET_MS, P99_TARGET_MS = 100, 500
VISIBLE_RATIO = 0.9
VISIBLE_SECONDS_MAX = 30.0
READY_TARGET_SECONDS = 1.5
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


@dataclass(frozen=True)
class Rate:
    """How fast one thing was done many times, `CONNECTIONS` at once."""

    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Measured:
    """What one run of the client saw."""

    notes: Rate
    registrations: Rate
    steady: Rate
    visible_per_second: float
    livez_per_second: float


async def measure(base: str, commands: int, *, warm_up: int, registrations: int = 0) -> Measured:
    """Writes so many notes, then registers deals, as many where no number is given, until the gateway shows the last."""
    deals = registrations or commands
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(base, connector=connector) as http:
        client = Client(http)
        await client.sign_in()
        await many(warm_up, lambda n: client.register(f"warm-{n}"))
        idle = await many(READS, lambda n: read(http))
        steady_deals = await steady(STEADY, STEADY_PER_SECOND, lambda n: client.register(f"steady-{n}"))
        notes = await many(commands, client.note)
        started = time.perf_counter()
        registered = await many(deals, lambda n: client.register(f"deal-{n}"))
        await client.shown()
        visible = deals / (time.perf_counter() - started)
        idle_again = await many(READS, lambda n: read(http))
    return Measured(notes, registered, steady_deals, visible, (idle.per_second + idle_again.per_second) / 2)


class Client:
    """One partner's program, which remembers the deal that stands last in the log.

    `name` is what its keys begin with, `path` where deals are.
    """

    def __init__(self, http: aiohttp.ClientSession, name: str = "", path: str = "/v1/registration/deals") -> None:
        self._http, self._name, self._path = http, name, path
        self._headers: dict[str, str] = {}
        self._last = (0, "")
        self.deals: list[str] = []

    async def sign_in(self) -> None:
        async with self._http.post("/dev/token", json={"tenant": "acme", "as": "northwind"}) as answer:
            self.bring((await answer.json())["token"])

    async def me(self) -> dict[str, Any]:
        """Who it is, as the gateway has it."""
        async with self._http.get("/v1/me", headers=self._headers) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    def bring(self, token: str) -> None:
        """Brings this token from now on."""
        self._headers = {"authorization": f"Bearer {token}"}

    async def register(self, name: str) -> None:
        """Registers a deal for a customer that nobody registered before."""
        position, made = await self._created(self._path, _deal(f"{self._name}{name}"), f"{self._name}{name}")
        deal = made["registration_id"]
        self._last = max(self._last, (position, deal))
        self.deals.append(deal)

    async def note(self, number: int) -> None:
        """Writes a note on one of the first deals."""
        path = f"{self._path}/{self.deals[number % DEALS_NOTED]}/notes"
        await self._created(path, {"text": "Spoke with the buyer today."}, f"{self._name}note-{number}")

    async def _created(self, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """The position and the body of the answer. Who is told to come again comes again, as any program should."""
        headers = {**self._headers, "idempotency-key": key}
        while True:
            async with self._http.post(path, json=body, headers=headers) as answer:
                if answer.status == HTTPStatus.CREATED:
                    return int(answer.headers["Entente-Position"].rpartition("=")[2]), await answer.json()
                assert "Retry-After" in answer.headers, await answer.text()
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    async def shown(self) -> None:
        """Waits until the gateway's own model of all services, filled in the log's order, has the last deal."""
        started = time.perf_counter()
        while time.perf_counter() - started < VISIBLE_SECONDS_MAX:
            async with self._http.get(f"/v1/deals/{self._last[1]}", headers=self._headers) as answer:
                if answer.ok:
                    return
                assert answer.status == HTTPStatus.NOT_FOUND, await answer.text()
        raise TimeoutError("the gateway does not show what was registered")


async def many(count: int, one: Any) -> Rate:
    """How fast `one(n)` is done for all n, `CONNECTIONS` at a time."""
    spent: list[float] = []

    async def lane(first: int) -> None:
        for number in range(first, count, CONNECTIONS):
            began = time.perf_counter()
            await one(number)
            spent.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*(lane(first) for first in range(CONNECTIONS)))
    seconds = time.perf_counter() - started
    spent.sort()
    return Rate(count / seconds, spent[count // 2] * 1000, spent[count * 99 // 100] * 1000)


async def steady(count: int, per_second: int, one: Any) -> Rate:
    """How long `one(n)` takes where one begins after the other at this pace, from when it was to begin."""
    spent: list[float] = []
    started = time.perf_counter()

    async def begun(number: int) -> None:
        due = started + number / per_second
        await asyncio.sleep(due - time.perf_counter())
        await one(number)
        spent.append(time.perf_counter() - due)

    await asyncio.gather(*map(begun, range(count)))
    seconds = time.perf_counter() - started
    spent.sort()
    return Rate(count / seconds, spent[count // 2] * 1000, spent[count * 99 // 100] * 1000)


def _deal(name: str) -> dict[str, Any]:
    return {
        "customer": {"name": company(name), "country": "DE", "website": f"www.entente-{name}.com"},
        "products": [{"family": "platform", "quantity": 1}],
        "amount": {"amount": "15000.00", "currency": "EUR"},
        "close_on": time.strftime("%Y-%m-%d", time.localtime(time.time() + 30 * 86_400)),
    }


def company(name: str) -> str:
    """A name of its own for each deal: eleven letters, in two words."""
    digest = hashlib.sha256(name.encode()).digest()
    letters = "".join(chr(ord("a") + byte % 26) for byte in digest)
    return f"{letters[:6]} {letters[6:11]}".title()


async def read(http: aiohttp.ClientSession) -> None:
    async with http.get("/livez") as answer:
        await answer.read()


def resident_mib(pid: int) -> float:
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


def run() -> Iterable[Figure]:
    """Rate, latency, memory and start of the whole system in one process."""
    imports, ready = _ready_seconds()
    with server() as (base, pid):
        resting = resident_mib(pid)
        seen = asyncio.run(measure(base, COMMANDS, warm_up=COMMANDS // 8))
    peer = ("the same server's /livez, 1/s", seen.livez_per_second)
    yield at_least("http.commands", seen.notes.per_second, "commands/s", TARGET_COMMANDS, peer)
    yield at_most(f"http.command.p50_at_{CONNECTIONS}", seen.notes.p50_ms, "ms", P50_TARGET_MS)
    yield at_most(f"http.command.p99_at_{CONNECTIONS}", seen.notes.p99_ms, "ms", P99_TARGET_MS)
    yield beside("http.registrations", seen.registrations.per_second, "commands/s", peer)
    for name, ours, theirs in (
        ("p50", seen.registrations.p50_ms, seen.notes.p50_ms),
        ("p99", seen.registrations.p99_ms, seen.notes.p99_ms),
    ):
        peer = (f"http.command.{name}_at_{CONNECTIONS}, ms", theirs)
        yield beside(f"http.registration.{name}_at_{CONNECTIONS}", ours, "ms", peer)
    yield at_most("http.registration.p99_at_20_a_second", seen.steady.p99_ms, "ms", STEADY_P99_TARGET_MS)
    peer = ("http.registrations, commands/s", seen.registrations.per_second)
    yield beside("http.registrations_until_visible", seen.visible_per_second, "commands/s", peer, VISIBLE_RATIO)
    yield at_most("http.ready_after_imports", ready, "s", READY_TARGET_SECONDS, ("imports, s", imports))
    yield at_most("http.memory_at_rest", resting, "MiB", RESIDENT_TARGET_MIB)

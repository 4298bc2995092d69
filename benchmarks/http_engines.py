"""Commands over HTTP to five processes on PostgreSQL and Kafka: through the door, and to one service's process alone.

Events and read models in PostgreSQL, messages over Kafka, each commit flushed: the compact profile. Engines, services and
client share this machine, so that a rate is what all of them together leave; what one process needs of a processor for
a command stands beside it. `alone` are notes sent to registration's own process with a principal signed as the gateway
signs it, on deals whose models and relay are at work as ever: what one service process takes, once the others have
done what they had still to do with the registrations before.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks._figures import Figure, at_least, at_most, beside, skipped
from benchmarks.http import (
    COMMANDS,
    CONNECTIONS,
    READS,
    ROOT,
    STEADY_P99_TARGET_MS,
    TARGET_COMMANDS,
    VISIBLE_RATIO,
    Client,
    Measured,
    Rate,
    many,
    measure,
    read,
)
from benchmarks.start import processor_seconds
from benchmarks.store import pgbench
from chassis.identity import Principal, Signer, SigningKeys
from tests.engines import kafka, postgres, temporary_folder
from tests.engines.__main__ import engines

WARM_UP, REGISTRATIONS = COMMANDS // 8, COMMANDS // 4
P50_TARGET_MS = 60
PGBENCH_CLIENTS = 16
STOP_SECONDS = 60
REST_SECONDS, REST_SHARE = 120, 0.15
SERVICE = "registration"
MEMBER = re.compile(r"(\w+) +(http://\S+) +pid (\d+),")


@dataclass(frozen=True)
class Member:
    """One service's process."""

    url: str
    pid: int


@dataclass(frozen=True)
class Five:
    """The five at work: the door's address, each by name, and where their keys are."""

    address: str
    members: dict[str, Member]
    data: Path

    def processor_ms(self, name: str) -> float:
        """What a process has used of the processors so far."""
        return processor_seconds(self.members[name].pid) * 1_000


@dataclass(frozen=True)
class Alone:
    """What one service's process did with notes, what it used of a processor for each, and its bare answers."""

    notes: Rate
    processor_ms: float
    livez_per_second: float


def missing() -> str | None:
    """Why nothing can be measured here, or None."""
    return postgres.missing() or kafka.missing()


def run(why_not: Callable[[], str | None] = missing) -> Iterable[Figure]:
    """Rates and latencies on real engines, beside the bare database and the same servers' bare answers."""
    if reason := why_not():
        yield skipped("http.engines", reason)
        return
    with temporary_folder("entente-bench-") as folder, engines(folder / "engines", "compact") as told:
        inserts = pgbench(told["ENTENTE_POSTGRES"], PGBENCH_CLIENTS)
        with five(folder / "data", told) as it:
            through = asyncio.run(measure(it.address, COMMANDS, warm_up=WARM_UP, registrations=REGISTRATIONS))
            used = asyncio.run(_used(it))
            alone = asyncio.run(_alone(it))
    yield from _through(through, inserts)
    wall = ("http.engines.commands, ms a command by the wall", 1_000 / through.notes.per_second)
    for name, processor_ms in used.items():
        yield beside(f"http.engines.of_the_processor.{name}", processor_ms, "ms a command", wall)
    yield from _by_itself(alone)


def _through(seen: Measured, inserts: float) -> Iterator[Figure]:
    livez = ("the gateway's /livez, 1/s", seen.livez_per_second)
    bare = (f"pgbench inserts/s, {PGBENCH_CLIENTS} clients", inserts)
    yield at_least("http.engines.commands", seen.notes.per_second, "commands/s", TARGET_COMMANDS, livez)
    yield beside("http.engines.commands_beside_pgbench", seen.notes.per_second, "commands/s", bare)
    yield at_most(f"http.engines.command.p50_at_{CONNECTIONS}", seen.notes.p50_ms, "ms", P50_TARGET_MS)
    yield at_most("http.engines.registration.p99_at_20_a_second", seen.steady.p99_ms, "ms", STEADY_P99_TARGET_MS)
    yield beside("http.engines.registrations", seen.registrations.per_second, "commands/s", livez)
    shown = ("http.engines.registrations, commands/s", seen.registrations.per_second)
    yield beside(
        "http.engines.registrations_until_visible", seen.visible_per_second, "commands/s", shown, VISIBLE_RATIO
    )


def _by_itself(alone: Alone) -> Iterator[Figure]:
    livez = ("the same process's /livez, 1/s", alone.livez_per_second)
    yield at_least("http.engines.alone.commands", alone.notes.per_second, "commands/s", TARGET_COMMANDS, livez)
    yield at_most(f"http.engines.alone.p50_at_{CONNECTIONS}", alone.notes.p50_ms, "ms", P50_TARGET_MS)
    wall = ("ms a command by the wall", 1_000 / alone.notes.per_second)
    yield beside("http.engines.alone.of_the_processor", alone.processor_ms, "ms a command", wall)


@contextlib.contextmanager
def five(data: Path, told: dict[str, str]) -> Iterator[Five]:
    """The five services as processes on the engines that the settings name, opened."""
    command = [sys.executable, "-m", "services", "distributed", "--port", "0", "--data", str(data)]
    given = {**os.environ, **told}
    process = subprocess.Popen(
        command, cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield _told(process, data)
    finally:
        process.terminate()
        process.wait(timeout=STOP_SECONDS)


def _told(process: "subprocess.Popen[str]", data: Path) -> Five:
    assert process.stdout is not None
    members: dict[str, Member] = {}
    for line in process.stdout:
        if found := MEMBER.search(line):
            members[found[1]] = Member(found[2], int(found[3]))
            if found[1] == "gateway":  # the last one
                return Five(members["gateway"].url, members, data)
    raise RuntimeError("the services did not start")


@contextlib.asynccontextmanager
async def _session(base: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as http:
        yield http


async def _used(it: Five) -> dict[str, float]:
    """What each of the five uses of a processor for a note that comes through the door, in milliseconds."""
    async with _session(it.address) as http:
        client = Client(http, "used-")
        await client.sign_in()
        await many(WARM_UP, lambda n: client.register(str(n)))
        before = {name: it.processor_ms(name) for name in it.members}
        await many(COMMANDS, client.note)
        return {name: (it.processor_ms(name) - before[name]) / COMMANDS for name in it.members}


async def _alone(it: Five) -> Alone:
    """Writes notes at registration's own door, signed by the keys that the services share."""
    signer = Signer(SigningKeys(it.data / "signing.json"))
    who = await _partner(it)
    async with _session(it.members[SERVICE].url) as http:
        client = Client(http, "alone-", "/deals")
        client.bring(signer.sign(who, SERVICE))
        await many(WARM_UP, lambda n: client.register(str(n)))
        await _at_rest(it)
        livez = await many(READS, lambda n: read(http))
        client.bring(signer.sign(who, SERVICE))
        before = it.processor_ms(SERVICE)
        notes = await many(COMMANDS, client.note)
        used = it.processor_ms(SERVICE) - before
    return Alone(notes, used / COMMANDS, livez.per_second)


async def _at_rest(it: Five) -> None:
    """Waits for a second in which no process uses more than `REST_SHARE` of a processor. Raises TimeoutError."""
    async with asyncio.timeout(REST_SECONDS):
        busy = True
        while busy:
            before = {name: it.processor_ms(name) for name in it.members}
            await asyncio.sleep(1)
            busy = any(it.processor_ms(name) - used > REST_SHARE * 1_000 for name, used in before.items())


async def _partner(it: Five) -> Principal:
    """A partner's person, as the gateway names it to a service."""
    async with _session(it.address) as http:
        client = Client(http)
        await client.sign_in()
        me = await client.me()
    return Principal(
        tenant=me["tenant"],
        subject=me["subject"],
        kind=me["kind"],
        partner_id=me["partner_id"],
        roles=tuple(me["roles"]),
        duties=tuple(me["duties"]),
        scopes=tuple(me["scopes"]),
    )

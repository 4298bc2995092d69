"""What is done to five processes and their engines, and what shows that it was: a fault that missed says so.

A request is recognised by its bytes on the wire to its engine; what the engine holds says whether it was carried out.
"""

import asyncio
import hashlib
import os
import signal
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError

from chassis.keys import KEY_BYTES, NONCE_BYTES
from chassis.projection import Projection
from chassis.transport.port import relay_name, topic_of
from contracts.catalogue import SERVICES
from services import first_run
from services.distributed import FRONT
from tests.engines import Engine
from tests.engines.postgres import Server
from tests.faults.five import Five
from tests.faults.load import however_late
from tests.faults.wire import UNANSWERED, Knows, Wire, nothing
from tests.scenarios.distributed import watching
from tests.scenarios.system import exported, until

TAP_SECONDS, LOOK_SECONDS = 180.0, 0.2
REBALANCE_SECONDS = 3.0
TAKEN_SECONDS = 180.0
"""A lease is over long before, and a process has started, on a machine that has other work too."""
INSTANT_SECONDS = 0.01
WAL_WRITE_LOCK = 120
"""The byte of a `-shm` file that a writer locks: https://www.sqlite.org/walformat.html, "WAL Locks"."""
WOKEN_SECONDS = 3.0
"""What it had in hand when it fell asleep goes out at once."""
CONTACT, WRAPPED_KEY = b"contact-", struct.pack("!i", NONCE_BYTES + KEY_BYTES + 16)
"""What stands in the insert of a key: whose it is, and the length of its wrapped form, with the tag of 16 bytes."""


KEYS_AWAY = "The key store does not answer."


class Missed(AssertionError):
    """A fault did not do what its name says."""


@dataclass(frozen=True)
class Pace:
    """How long things stay broken."""

    away_seconds: float = 8.0
    frozen_seconds: float = 8.0
    rebalances: int = 3


Strike = Callable[[Five, Pace], Awaitable[None]]


# What is recognised on the wires


@dataclass(frozen=True)
class Request:
    """What is asked of an engine: on whose wire, how it is known, and what the engine holds of it."""

    wire: str
    knows: Knows
    held: Callable[[Five], Awaitable[Any]]


def appends(type_name: str) -> Request:
    """An insert of such an event, which its service alone records: no other statement to the logs names types."""
    wanted, service = type_name.encode(), type_name.partition(".")[0]
    statement = f"SELECT count(*) FROM {service}.stored_events WHERE topic = %s"
    return Request("postgres", lambda chunk: wanted in chunk, lambda it: _asked(it, statement, type_name))


def produces(service: str) -> Request:
    """A batch of a relay."""
    wanted = f"/entente/{service}/".encode()

    async def held(it: Five) -> Any:
        async with watching(it.eyes._transport) as watch:
            return await watch.ends([topic_of(service)])

    return Request("kafka", lambda chunk: chunk[4:6] == b"\x00\x00" and wanted in chunk, held)


def commits_offsets(group: str) -> Request:
    wanted = group.encode()
    return Request(
        "kafka", lambda chunk: chunk[4:6] == b"\x00\x08" and wanted in chunk, lambda it: committed(it, group)
    )


def writes_documents(service: str, model: Projection) -> Request:
    """A change of that read model's documents."""

    async def held(it: Five) -> Any:
        read = it.eyes.services[service].application.read
        return hashlib.sha256(repr(await exported(read, model.model)).encode()).digest()

    return Request("documents", changes(model.model), held)


def changes(model: str) -> Knows:
    """An update in MongoDB; in PostgreSQL one of the journeys of a change, which alone name models in arrays of texts."""
    updated, listed = f"documents__{model}".encode(), struct.pack("!i", len(model)) + model.encode()
    return lambda chunk: (updated in chunk and b"\x02update\x00" in chunk) or listed in chunk


def keeps_key(service: str) -> Request:
    """The insert of a new key of a person at a customer: nothing else that is asked of the keys holds a wrapped one."""
    statement = f"SELECT count(*) FROM {service}_keys.data_key"
    return Request(
        "keys",
        lambda chunk: CONTACT in chunk and WRAPPED_KEY in chunk,
        lambda it: _asked_of(it.engines.keys, statement),
    )


async def _asked(it: Five, statement: str, *values: Any) -> Any:
    return await _asked_of(it.engines.postgres, statement, *values)


async def _asked_of(server: Server, statement: str, *values: Any) -> Any:
    """The one value of the one row that PostgreSQL answers, asked without the wire."""
    async with await psycopg.AsyncConnection.connect(server.dsn) as connection:
        row = await (await connection.execute(statement.encode(), values)).fetchone()
    return row[0] if row else None


async def committed(it: Five, group: str) -> dict[str, int]:
    """The offsets of a group, by topic."""
    async with watching(it.eyes._transport) as watch:
        return await watch.committed(group)


@asynccontextmanager
async def _admin(it: Five) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**it.eyes._transport.settings.client())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


# Services


def killed(name: str) -> Strike:
    async def strike(it: Five, pace: Pace) -> None:
        await it.kill(name)
        await it.start(name)

    return strike


def killed_at(name: str, request: Request, step: str) -> Strike:
    """Killed at the moment in which that request is on the wire."""

    async def strike(it: Five, pace: Pace) -> None:
        await _tapped(it, request, step, lambda: it.kill(name))
        await it.start(name)

    return strike


async def _tapped(it: Five, request: Request, step: str, strike: Callable[[], Awaitable[None]]) -> None:
    await _wire(it, request.wire).tapped(request.knows, step, strike, TAP_SECONDS, lambda: request.held(it))


def answers_lost(*requests: Request) -> Strike:
    """The connection ends with each of these done, and nobody told."""

    async def strike(it: Five, pace: Pace) -> None:
        for one in requests:
            await _tapped(it, one, UNANSWERED, nothing)

    return strike


def leaseholder_woken(name: str) -> Strike:
    """It sleeps until another one has its lease and does its work, and then goes on where it was, beside the other."""

    async def strike(it: Five, pace: Pace) -> None:
        lease = relay_name(it.eyes.services[name].outlet)
        statement = f"SELECT holder FROM {name}.leases WHERE name = %s AND until > clock_timestamp()"
        asleep = await until(lambda: _asked(it, statement, lease), TAKEN_SECONDS, LOOK_SECONDS)

        async def taken() -> bool:
            return await _asked(it, statement, lease) not in (None, asleep)

        async with it.second(name):
            if await _asked(it, statement, lease) != asleep:
                raise Missed(f"the lease of {lease} was lost by who was to fall asleep with it")
            try:
                await _falls_asleep(it, name)
                await until(taken, TAKEN_SECONDS, LOOK_SECONDS)
                await asyncio.sleep(pace.frozen_seconds)
            finally:
                it.send(name, signal.SIGCONT)
            await asyncio.sleep(WOKEN_SECONDS)

    return strike


async def _falls_asleep(it: Five, name: str) -> None:
    """Stops a process between two writes to its files: a lock on one sleeps with its holder."""
    pid = it.at_work.members[name].process.pid

    async def stopped() -> bool:
        return _state(pid) == "T"

    async def asleep() -> bool:
        it.send(name, signal.SIGSTOP)
        await until(stopped, TAP_SECONDS, INSTANT_SECONDS)
        if not writes(pid):
            return True
        it.send(name, signal.SIGCONT)
        return False

    await until(asleep, TAP_SECONDS, INSTANT_SECONDS)


def writes(pid: int) -> bool:
    """Whether a process holds the lock by which SQLite lets one at a time write to a file in WAL."""
    held = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(
        one[-5] == "WRITE" and int(one[-4]) == pid and int(one[-2]) <= WAL_WRITE_LOCK <= int(one[-1])
        for one in held
        if one[-1] != "EOF"
    )


def rebalanced(name: str) -> Strike:
    """Two processes share the work of a service while a stranger joins its group and leaves it, again and again.

    The stranger is given partitions, reads nothing of them and commits nothing.
    """

    async def strike(it: Five, pace: Pace) -> None:
        group = f"{topic_of(name)}.reactions"
        topics = it.eyes._groups()[group]

        async def two() -> bool:
            return await _members(it, group) > 1

        async with it.second(name):
            await until(two, TAKEN_SECONDS, LOOK_SECONDS)
            for _ in range(pace.rebalances):
                began = time.monotonic()
                await _joined_and_left(it, group, topics)
                await asyncio.sleep(max(0.0, began + REBALANCE_SECONDS - time.monotonic()))

    return strike


async def _members(it: Five, group: str) -> int:
    """How many share the work of a group."""
    async with _admin(it) as admin:
        [answer] = await admin.describe_consumer_groups([group])
    [(*_, members, _)] = answer.groups
    return len(members)


async def _joined_and_left(it: Five, group: str, topics: set[str]) -> None:
    stranger = AIOKafkaConsumer(
        *topics, **it.eyes._transport.settings.client(), group_id=group, enable_auto_commit=False
    )
    try:
        # Returns when the group has been shared out anew, with the stranger.
        await asyncio.wait_for(stranger.start(), TAP_SECONDS)
    finally:
        await stranger.stop()


# Engines


def engine_killed(name: str) -> Strike:
    async def strike(it: Five, pace: Pace) -> None:
        engine = _engine(it, name)
        await asyncio.to_thread(engine.kill)
        await asyncio.sleep(pace.away_seconds)
        if await _listens(_wire(it, name).port):
            raise Missed(f"{name} answered while it was away")
        await asyncio.to_thread(engine.start)

    return strike


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def engine_killed_at(name: str, request: Request, step: str) -> Strike:
    """The engine is killed at the moment in which that request is on its wire, and started again."""

    async def strike(it: Five, pace: Pace) -> None:
        engine = _engine(it, name)
        await _tapped(it, request, step, lambda: asyncio.to_thread(engine.kill))
        await asyncio.to_thread(engine.start)

    return strike


def engine_frozen(name: str) -> Strike:
    async def strike(it: Five, pace: Pace) -> None:
        engine = _engine(it, name)
        engine.freeze()
        try:
            await asyncio.sleep(pace.frozen_seconds)
            if _state(engine.pid) != "T":
                raise Missed(f"{name} was not frozen")
        finally:
            engine.thaw()

    return strike


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def slow(wire: str, seconds: float) -> Strike:
    async def strike(it: Five, pace: Pace) -> None:
        between = _wire(it, wire)
        between.slow_seconds = seconds
        before = between.passed
        try:
            await asyncio.sleep(pace.away_seconds)
        finally:
            between.slow_seconds = 0.0
        if between.passed == before:
            raise Missed(f"nothing went through the slow wire to {wire}")

    return strike


def cut_off(wire: str) -> Strike:
    async def strike(it: Five, pace: Pace) -> None:
        between = _wire(it, wire)
        between.take_away()
        before = between.passed
        try:
            await asyncio.sleep(pace.away_seconds)
            if between.passed != before:
                raise Missed(f"something went through the wire to {wire} that was cut")
        finally:
            between.bring_back()

    return strike


def missed(strike: Strike) -> Strike:
    """The keys' database goes away, and whoever needs a key meanwhile is told to come again, and why."""

    async def struck(it: Five, pace: Pace) -> None:
        ada = await first_run.signed_in(it.at_work.api[FRONT], "ada")

        async def told() -> bool:
            person = {"name": "Kim Away", "mail": f"kim-{uuid4()}@away.example"}
            answer = await ada.post("/v1/onboarding/people", person, key=f"{uuid4()}")
            return answer.status == 503 and answer.json()["detail"] == KEYS_AWAY

        striking = asyncio.ensure_future(strike(it, pace))
        try:
            await until(told, pace.away_seconds, LOOK_SECONDS)
        except TimeoutError:
            raise Missed("nobody was told that the keys are away") from None
        finally:
            await striking

    return struck


# Files and offsets


async def no_room(it: Five, pace: Pace) -> None:
    """The volume of the services' own files takes no more."""
    ballast = it.data / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4_096):
                pass
        except OSError:
            pass
    try:
        if os.statvfs(it.data).f_bavail:
            raise Missed("the volume has room")
        await asyncio.sleep(pace.away_seconds)
    finally:
        ballast.unlink()


async def offsets_to_zero(it: Five, pace: Pace) -> None:
    """Every group of every service reads its topics once more from their beginning."""
    for name in SERVICES:
        await it.terminate(name)
        for group, topics in it.eyes._groups().items():
            if group.startswith(f"{topic_of(name)}."):
                # Who stopped may count as a member until its session is over.
                await however_late(partial(_begin_again, it, group, topics), CommitFailedError)
        await it.start(name)


async def _begin_again(it: Five, group: str, topics: set[str]) -> None:
    settings = it.eyes._transport.settings
    consumer = AIOKafkaConsumer(**settings.client(), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        where = [TopicPartition(topic, 0) for topic in topics]
        consumer.assign(where)
        await consumer.commit(dict.fromkeys(where, 0))
    finally:
        await consumer.stop()
    if any((await committed(it, group)).values()):
        raise Missed(f"{group} does not begin again")


def _wire(it: Five, name: str) -> Wire:
    found = getattr(it.engines, f"to_{name}")
    assert isinstance(found, Wire)
    return found


def _engine(it: Five, name: str) -> Engine:
    found = getattr(it.engines, name)
    assert isinstance(found, Engine)
    return found

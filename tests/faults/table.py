"""The faults that five processes on real engines are put through, one after the other, and what was counted.

Each fault meets a system under load and is healed without anybody repairing anything. Then the clients bring what they
began to its end, and one checker compares what they were told with what the stores hold.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.transport.port import topic_of
from contracts.catalogue import SERVICES
from tests.engines import Engine
from tests.faults.checking import all_is_proven, counted, every_answer_stands, transfers
from tests.faults.five import Engines, Five, engines, five, told, volume
from tests.faults.load import BEGINNING, Load, clients
from tests.faults.wire import SWALLOWED, UNANSWERED, Knows, Wire, nothing
from tests.scenarios.main_job import AFTER_THE_PERIOD, Story, paying
from tests.scenarios.system import done

LANES = 3
BEFORE_SECONDS, TAP_SECONDS = 1.0, 60.0
LEASE_OVER_SECONDS = 18.0
"""Longer than a lease lasts without its holder."""


@dataclass(frozen=True)
class Pace:
    """How long things stay broken."""

    away_seconds: float = 8.0
    frozen_seconds: float = 8.0
    rebalances: int = 3


SHORT, FULL = Pace(), Pace(away_seconds=60.0, frozen_seconds=30.0, rebalances=20)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong and is over when `strike` returns. `core` ones are of the short form."""

    name: str
    strike: Callable[[Five, Pace], Awaitable[None]]
    core: bool = False


@dataclass(frozen=True)
class Row:
    """What was counted of one fault. `caught_up_seconds` runs from its end until everything was where it belongs."""

    fault: str
    acknowledged: int
    repeated: int
    lost: int
    twice: int
    caught_up_seconds: float

    def line(self) -> str:
        counts = f"{self.acknowledged} | {self.repeated} | {self.lost} | {self.twice}"
        return f"| {self.fault} | {counts} | {self.caught_up_seconds:.0f} |"


HEADING = (
    "| fault, under load | acknowledged | sent again by clients | lost | done twice | caught up after (s) |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


# What is recognised on the wires


def appends(type_name: str) -> Knows:
    """An insert of such an event: no other statement names types."""
    wanted = type_name.encode()
    return lambda chunk: wanted in chunk


def produces(service: str) -> Knows:
    wanted = f"/entente/{service}/".encode()
    return lambda chunk: chunk[4:6] == b"\x00\x00" and wanted in chunk


def commits_offsets(group: str) -> Knows:
    wanted = group.encode()
    return lambda chunk: chunk[4:6] == b"\x00\x08" and wanted in chunk


def writes_documents(service: str) -> Knows:
    wanted = f"entente_{service}\x00".encode()
    return lambda chunk: wanted in chunk and b"documents__" in chunk and b"\x02update\x00" in chunk


# What is done


def killed(name: str) -> Callable[[Five, Pace], Awaitable[None]]:
    async def strike(it: Five, pace: Pace) -> None:
        await it.kill(name)
        await it.start(name)

    return strike


def killed_at(name: str, wire: str, knows: Knows, step: str) -> Callable[[Five, Pace], Awaitable[None]]:
    """Killed at the moment in which that request is on the wire."""

    async def strike(it: Five, pace: Pace) -> None:
        await _wire(it, wire).tapped(knows, step, lambda: it.kill(name), TAP_SECONDS)
        await it.start(name)

    return strike


def answers_lost(wire: str, knows: Sequence[Knows]) -> Callable[[Five, Pace], Awaitable[None]]:
    """The connection ends with each of these done, and nobody told."""

    async def strike(it: Five, pace: Pace) -> None:
        for one in knows:
            await _wire(it, wire).tapped(one, UNANSWERED, nothing, TAP_SECONDS)

    return strike


def engine_killed(name: str) -> Callable[[Five, Pace], Awaitable[None]]:
    async def strike(it: Five, pace: Pace) -> None:
        engine = _engine(it, name)
        await asyncio.to_thread(engine.kill)
        await asyncio.sleep(pace.away_seconds)
        await asyncio.to_thread(engine.start)

    return strike


def engine_killed_at(name: str, knows: Knows, step: str) -> Callable[[Five, Pace], Awaitable[None]]:
    """The engine is killed at the moment in which that request is on its wire, and started again."""

    async def strike(it: Five, pace: Pace) -> None:
        engine = _engine(it, name)
        await _wire(it, name).tapped(knows, step, lambda: asyncio.to_thread(engine.kill), TAP_SECONDS)
        await asyncio.to_thread(engine.start)

    return strike


def engine_frozen(name: str) -> Callable[[Five, Pace], Awaitable[None]]:
    async def strike(it: Five, pace: Pace) -> None:
        engine = _engine(it, name)
        engine.freeze()
        try:
            await asyncio.sleep(pace.frozen_seconds)
        finally:
            engine.thaw()

    return strike


def slow(wire: str, seconds: float) -> Callable[[Five, Pace], Awaitable[None]]:
    async def strike(it: Five, pace: Pace) -> None:
        between = _wire(it, wire)
        between.slow_seconds = seconds
        try:
            await asyncio.sleep(pace.away_seconds)
        finally:
            between.slow_seconds = 0.0

    return strike


def cut_off(wire: str) -> Callable[[Five, Pace], Awaitable[None]]:
    async def strike(it: Five, pace: Pace) -> None:
        between = _wire(it, wire)
        between.take_away()
        try:
            await asyncio.sleep(pace.away_seconds)
        finally:
            between.bring_back()

    return strike


def leaseholder_woken(name: str) -> Callable[[Five, Pace], Awaitable[None]]:
    """It sleeps until another one has its lease and its partitions, and then goes on where it was."""

    async def strike(it: Five, pace: Pace) -> None:
        async with it.second(name):
            it.send(name, signal.SIGSTOP)
            try:
                await asyncio.sleep(LEASE_OVER_SECONDS)
            finally:
                it.send(name, signal.SIGCONT)
            await asyncio.sleep(BEFORE_SECONDS)

    return strike


def rebalanced(name: str) -> Callable[[Five, Pace], Awaitable[None]]:
    """Another process joins the groups and leaves them, again and again."""

    async def strike(it: Five, pace: Pace) -> None:
        for _ in range(pace.rebalances):
            async with it.second(name):
                await asyncio.sleep(3.0)

    return strike


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
        await asyncio.sleep(pace.away_seconds)
    finally:
        ballast.unlink()


async def offsets_to_zero(it: Five, pace: Pace) -> None:
    """Every group of every service reads its topics once more from their beginning."""
    for name in SERVICES:
        await it.terminate(name)
        for group, topics in _groups(it, name).items():
            await _begin_again(it, group, topics)
        await it.start(name)


def _groups(it: Five, name: str) -> dict[str, set[str]]:
    """The groups that a service reads under, with their topics."""
    return {group: topics for group, topics in it.eyes._groups().items() if group.startswith(f"{topic_of(name)}.")}


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


def _wire(it: Five, name: str) -> Wire:
    found = getattr(it.engines, f"to_{name}")
    assert isinstance(found, Wire)
    return found


def _engine(it: Five, name: str) -> Engine:
    found = getattr(it.engines, name)
    assert isinstance(found, Engine)
    return found


REGISTERED, OPENED, CREDITED = (
    "registration.DealRegistered.v1",
    "attribution.OpportunityOpened.v1",
    "incentives.PayoutCalculated.v1",
)
FULL_VOLUME = Fault("no room on the services' volume", no_room)
FAULTS = (
    *(Fault(f"kill -9 of {name}", killed(name)) for name in SERVICES),
    Fault(
        "kill -9 of registration, its append not yet at PostgreSQL",
        killed_at("registration", "postgres", appends(REGISTERED), SWALLOWED),
    ),
    Fault(
        "kill -9 of registration, its append committed and not answered",
        killed_at("registration", "postgres", appends(REGISTERED), UNANSWERED),
        core=True,
    ),
    Fault(
        "kill -9 of incentives, its payout committed and not answered",
        killed_at("incentives", "postgres", appends(CREDITED), UNANSWERED),
    ),
    Fault(
        "kill -9 of attribution's relay, its batch not yet at Kafka",
        killed_at("attribution", "kafka", produces("attribution"), SWALLOWED),
    ),
    Fault(
        "kill -9 of attribution's relay, its batch in Kafka and not acknowledged",
        killed_at("attribution", "kafka", produces("attribution"), UNANSWERED),
        core=True,
    ),
    Fault(
        "kill -9 of incentives' consumer, effects done and offsets not committed",
        killed_at("incentives", "kafka", commits_offsets("entente.incentives.reactions"), SWALLOWED),
        core=True,
    ),
    Fault(
        "kill -9 of incentives' consumer, offsets committed and not answered",
        killed_at("incentives", "kafka", commits_offsets("entente.incentives.reactions"), UNANSWERED),
    ),
    Fault(
        "kill -9 of the gateway, its documents not yet at MongoDB",
        killed_at("gateway", "mongo", writes_documents("gateway"), SWALLOWED),
    ),
    Fault(
        "kill -9 of the gateway, its documents written and not answered",
        killed_at("gateway", "mongo", writes_documents("gateway"), UNANSWERED),
    ),
    Fault(
        "the answer to a commit lost, in three services",
        answers_lost("postgres", [appends(REGISTERED), appends(OPENED), appends(CREDITED)]),
    ),
    Fault(
        "the answer to a produce lost, of three relays",
        answers_lost("kafka", [produces(name) for name in ("registration", "attribution", "incentives")]),
    ),
    Fault(
        "kill -9 of PostgreSQL, an append not yet there",
        engine_killed_at("postgres", appends(REGISTERED), SWALLOWED),
    ),
    Fault(
        "kill -9 of PostgreSQL, a payout committed and not answered",
        engine_killed_at("postgres", appends(CREDITED), UNANSWERED),
        core=True,
    ),
    Fault("kill -9 of Kafka, a batch not yet there", engine_killed_at("kafka", produces("registration"), SWALLOWED)),
    Fault(
        "kill -9 of Kafka, a batch taken and not acknowledged",
        engine_killed_at("kafka", produces("attribution"), UNANSWERED),
        core=True,
    ),
    Fault(
        "kill -9 of the read store, documents written and not answered",
        engine_killed_at("mongo", writes_documents("gateway"), UNANSWERED),
    ),
    Fault("kill -9 of Kafka, away for a while", engine_killed("kafka")),
    Fault("Kafka frozen", engine_frozen("kafka")),
    Fault("Kafka slow, 0.2 s a message", slow("kafka", 0.2)),
    Fault("Kafka cut off by the network", cut_off("kafka")),
    Fault("kill -9 of PostgreSQL, away for a while", engine_killed("postgres")),
    Fault("PostgreSQL frozen", engine_frozen("postgres")),
    Fault("kill -9 of the read store, away for a while", engine_killed("mongo")),
    Fault("the read store frozen", engine_frozen("mongo")),
    Fault("a leaseholder asleep until another has its lease, then woken", leaseholder_woken("registration")),
    Fault("a second process joins and leaves, every 3 s", rebalanced("incentives")),
    FULL_VOLUME,
    Fault("all offsets back to zero, one service after the other", offsets_to_zero),
)
AFTER_THE_PAYMENTS = Fault("all offsets back to zero after payments were made", offsets_to_zero)


# The run


@dataclass
class Run:
    """One system that goes through faults; `rows` grows, and `tell` hears of each row."""

    it: Five
    load: Load
    pace: Pace
    tell: Callable[[Row], None]
    rows: list[Row] = field(default_factory=list)

    async def through(self, fault: Fault, *, lanes: int = LANES) -> None:
        """Meets the load with the fault, lets everything come to its end, and counts."""
        load, before = self.load, len(self.load.acknowledged)
        repeated = load.begin_again(f"{len(self.rows)}-")
        async with asyncio.TaskGroup() as group:
            if lanes:
                group.create_task(load.run(lanes))
                await asyncio.sleep(BEFORE_SECONDS)
            await fault.strike(self.it, self.pace)
            over = time.monotonic()
            load.stopping.set()
        lost, twice = await counted(self.it.eyes, load)
        seconds = time.monotonic() - over
        new = list(load.acknowledged.values())[before:]
        await every_answer_stands(self.it.eyes, new)
        self.rows.append(Row(fault.name, len(new), load.repeats - repeated, lost, twice, seconds))
        self.tell(self.rows[-1])

    async def pays(self) -> None:
        """Time goes on, and what is earned by then is paid to one partner."""
        eyes = self.it.eyes
        await eyes.clock(AFTER_THE_PERIOD)
        self.load.tokens.clear()
        await eyes.settle()
        partner_id = done(await (await eyes.who("northwind")).get("/v1/me"))["partner_id"]
        await paying(eyes, Story(partner_id=partner_id))
        await eyes.settle()


async def put_through(folder: Path, faults: Sequence[Fault], pace: Pace, tell: Callable[[Row], None]) -> list[Row]:
    """The rows of all faults, one system meeting them in turn; then it pays, and what it left behind is proven.

    Raises AssertionError when an answer did not stand, or a log, a read model or the ledger is not as it has to be.
    """
    async with engines(folder / "engines") as at_hand:
        with volume(folder / "data") if FULL_VOLUME in faults else nullcontext(), told(at_hand.settings()):
            rows = await _rows(folder / "data", at_hand, faults, pace, tell)
            await all_is_proven(folder / "data")
            return rows


async def _rows(
    data: Path, at_hand: Engines, faults: Iterable[Fault], pace: Pace, tell: Callable[[Row], None]
) -> list[Row]:
    async with five(data, at_hand) as it, clients(it, seed=7) as load:
        await load.set_clock(BEGINNING)
        run = Run(it, load, pace, tell)
        for fault in faults:
            await run.through(fault)
        await run.pays()
        paid = transfers(data)
        assert [state for _, _, state in paid] == ["paid"], paid
        await run.through(AFTER_THE_PAYMENTS, lanes=0)
        assert paid == transfers(data), "money went out twice"
        return run.rows

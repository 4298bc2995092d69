"""Compares what clients were told with what the stores hold, when the system is at rest again.

After each fault `Checker` compares all of it; it reads logs on from where it has come to, and has read models of its
own, in files, that no fault meets. `all_is_proven` is the end: one process takes over, and proves it once more.
"""

import asyncio
import contextlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from chassis.asgi import Api
from chassis.decider import Busy
from chassis.event import stable_id
from chassis.projecting import Feed, ProjectionRunner
from chassis.read_store.sqlite import SqliteReadStore
from chassis.record import command_stream
from chassis.service import Service
from chassis.transport.in_process import InProcessTransport
from chassis.transport.port import COMMAND_RECORDED
from services import first_run
from tests.faults.load import GIVE_UP_SECONDS, Acknowledged, Load, at, however_late
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.proofs import every_log_is_what_it_was, every_model_can_be_made_again, verified
from tests.scenarios.system import System, done, exported, running_system, until

PAGE = 1_000
LOOK_SECONDS = 0.1
ASKED_AT_ONCE = 8
PAYOUT = "2000.00"
"""What a partner earns of one deal of 15,000 by the first run's plan: 10 % of 10,000 and 20 % of 5,000."""
EFFECTS = (
    "registration.DealRegistered.v1",
    "registration.DealApproved.v1",
    "registration.DealWithdrawn.v1",
    "attribution.OpportunityOpened.v1",
    "attribution.DealWon.v1",
    "incentives.PayoutCalculated.v1",
    "incentives.PayoutReversed.v1",
)
APPLIED = "onboarding.PartnerApplied.v1"


async def all_is_well_after(load: Load) -> None:
    """Every acknowledged command is there once, every cause has its one effect, and whatever can be proved holds."""
    kinds = Counter(path.rpartition("/")[2] for path in (one.path for one in load.acknowledged.values()))
    print(dict(kinds), "repeats", load.repeats, "starts", load.child.starts)  # noqa: T201  shown when a test fails
    assert any(sale.refunded for sale in load.sales), "the load did not get through"
    async with running_system(load.child.data, beginning=None, opened=False) as it:
        await everything_has_come_out(it, load)
        await every_answer_stands(it, load.acknowledged.values())
        await every_cause_has_one_effect(it, load)
        await the_ledger_balances(it)
        assert await it.parked() == 0
        await every_model_can_be_made_again(it)
        for service in it.services.values():
            await the_witness_went_on(service)
    await every_log_is_what_it_was(load.child.data)


async def every_answer_stands(it: System, acknowledged: Iterable[Acknowledged]) -> None:
    """The log holds each command once, and the same key is given the same answer."""
    assert [wrong for one in acknowledged if (wrong := await _otherwise(it, one))] == []


async def _otherwise(it: System, one: Acknowledged) -> str:
    """What the log or the answer to the same command again has otherwise than its client; empty when nothing."""
    service = it.services[one.path.split("/")[2]]
    records = await service.store.load(command_stream(at(one.who)[0], command_of(one)))
    outcomes = [record.event.outcome for record in records]
    wanted = "refused" if one.status in (409, 422) else "accepted"
    if outcomes != [wanted]:
        return f"{one.key} was answered {one.status} and is recorded as {outcomes}"
    again = await (await _as(it, one.who)).post(one.path, one.body, key=one.key)
    return "" if (one.status, one.answer) == (again.status, again.json()) else f"{one.key} is answered {again.body!r}"


async def _as(it: System, who: str) -> Api:
    """Somebody of any tenant."""
    if who not in it.clients:
        tenant, name = at(who)
        it.clients[who] = await first_run.signed_in(it.front, name, tenant)
    return it.clients[who]


def effects_wanted(load: Load) -> dict[str, Counter[str]]:
    """How many events of a type each registration comes to."""
    registered = Counter(sale.registration_id for sale in load.sales)
    approved = Counter(sale.registration_id for sale in load.sales if sale.approved)
    withdrawn = Counter(sale.registration_id for sale in load.sales if sale.withdrawn)
    won = Counter(sale.registration_id for sale in load.sales if sale.won)
    refunded = Counter(sale.registration_id for sale in load.sales if sale.refunded)
    return {
        "registration.DealRegistered.v1": registered,
        "registration.DealApproved.v1": approved,
        "registration.DealWithdrawn.v1": withdrawn,
        "attribution.OpportunityOpened.v1": approved,
        "attribution.DealWon.v1": won,
        "incentives.PayoutCalculated.v1": won,
        "incentives.PayoutReversed.v1": refunded,
    }


def crm_wanted(load: Load) -> Counter[str]:
    """One record in the CRM for each approved deal of the tenant that has one."""
    return Counter(sale.registration_id for sale in load.sales if sale.approved and sale.tenant == first_run.TENANT)


@dataclass
class Tally:
    """What the logs of all services hold, read on from where it was read last.

    `effects` by type and deal, `commands` by id, `crooked` journals that do not sum to zero.
    """

    services: Iterable[Service]
    effects: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    commands: Counter[str] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)
    crooked: list[str] = field(default_factory=list)
    read_to: dict[str, int] = field(default_factory=dict)

    async def read_on(self) -> "Tally":
        for service in self.services:
            while page := await service.store.feed(self.read_to.get(service.name, 0), PAGE):
                for event in page:
                    self._take(event)
                self.read_to[service.name] = page[-1].position
        return self

    def _take(self, event: Any) -> None:
        if event.type == COMMAND_RECORDED:
            self.commands[event.command_id] += 1
        elif event.type in EFFECTS:
            self.effects[event.type][event.event.registration_id] += 1
        elif event.type == APPLIED:
            self.applied[event.event.partner_id] += 1
        journal = getattr(event.event, "journal", None) if event.type.startswith("incentives.") else None
        if journal and sum(entry.amount.amount for entry in journal.entries) != 0:
            self.crooked.append(f"the journal of {event.type} at {event.position} does not sum to zero")


async def everything_has_come_out(
    it: System, load: Load, seconds: float = PATIENCE_SECONDS, tally: Tally | None = None
) -> None:
    """Waits until the last poll of the CRM has brought what pushes missed, and all that follows from it."""
    wanted, found = effects_wanted(load), tally or Tally(it.services.values())

    async def all_there() -> bool:
        await found.read_on()
        return all(found.effects[name] >= counts for name, counts in wanted.items())

    await until(all_there, seconds, LOOK_SECONDS)
    [connection] = (await it.services["attribution"].application.read.find("connections", first_run.TENANT)).items
    done(await (await it.who("dora")).post(f"/v1/attribution/connections/{connection['connection_id']}/poll"))
    await it.settle()


async def every_cause_has_one_effect(it: System, load: Load) -> None:
    """One registration a command, one sale and one CRM record an approval, one payout a win, one reversal a refund."""
    found = await Tally(it.services.values()).read_on()
    assert effects_wanted(load) == {name: found.effects[name] for name in EFFECTS}
    assert crm_wanted(load) == in_crm(load.child.data)


def command_of(one: Acknowledged) -> str:
    return stable_id(at(one.who)[0], one.subject, one.key)


@dataclass
class Checker:
    """Compares one system with what its clients were told, after each fault; nothing is compared twice.

    `mine` are read models of all services in files under `folder`, filled from the same logs and by no process that a
    fault meets. `paid` counts the payments that were made, each of what a partner earns of one deal.
    """

    it: System
    load: Load
    mine: "ReadModels"
    patience_seconds: float = GIVE_UP_SECONDS
    tally: Tally = field(init=False)
    answered: int = 0
    paid: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    twice: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.tally = Tally(self.it.services.values())

    async def counted(self) -> tuple[Counter[str], Counter[str]]:
        """What of clients' commands is newly lost, and what was newly done twice, when everything has come out.

        Counted are commands and effects in the logs, records in the CRM, and transfers of money.
        """
        with contextlib.suppress(TimeoutError):  # then what has not come out counts as lost
            await however_late(self._come_out, Busy)
        await however_late(self.tally.read_on, Busy)
        lost, twice, before = Counter[str](), Counter[str](), (self.lost, self.twice)
        for name, (ours, theirs) in self._pairs().items():
            lost.update({f"{name} {key}": count for key, count in (ours - theirs).items()})
            twice.update({f"{name} {key}": count for key, count in (theirs - ours).items()})
        self.lost, self.twice = lost, twice
        return lost - before[0], twice - before[1]

    async def _come_out(self) -> None:
        await everything_has_come_out(self.it, self.load, self.patience_seconds, self.tally)

    def _pairs(self) -> dict[str, tuple[Counter[str], Counter[str]]]:
        """What there has to be, and what there is, by what it is. What no client was told of may be there once."""
        load, found = self.load, self.tally
        told = Counter(map(command_of, load.acknowledged.values()))
        commands = Counter({key: count for key, count in found.commands.items() if key in told or count > 1})
        applied = Counter({key: found.applied[key] for key in load.applied})
        return {
            **{name: (wanted, found.effects[name]) for name, wanted in effects_wanted(load).items()},
            "command": (told, commands),
            "new partner": (Counter(load.applied), applied),
            "record in the CRM": (crm_wanted(load), in_crm(load.child.data)),
            "transfer": (Counter({f"paid {PAYOUT}": self.paid}), Counter(transfers(load.child.data))),
        }

    async def wrong(self) -> list[str]:
        """What else does not hold: answers, parked messages, ledger, logs and checkpoints, read models."""
        new = list(self.load.acknowledged.values())[self.answered :]
        self.answered += len(new)
        found = [one async for one in self._answers(new) if one]
        found += [*self.tally.crooked, *await unbalanced(self.it)]
        self.tally.crooked.clear()
        found += [f"{count} messages are parked"] if (count := await self.it.parked()) else []
        return found + (await self._at_leisure() and await self._at_leisure())

    async def _at_leisure(self) -> list[str]:
        """As `_standing`; a store that has too much to do for now is asked again."""
        return await however_late(self._standing, Busy)

    async def _standing(self) -> list[str]:
        """What logs and read models have otherwise; looked at twice, as a poll of the CRM may come between two looks."""
        try:
            await self.it.settle(GIVE_UP_SECONDS)
        except TimeoutError as error:
            return [f"it does not come to rest: {error}"]
        found = [line for service in self.it.services.values() for line in await _unproven(service)]
        return found + await self.mine.differing(self.it)

    async def _answers(self, new: Sequence[Acknowledged]) -> AsyncIterator[str]:
        for start in range(0, len(new), ASKED_AT_ONCE):
            for one in await asyncio.gather(*(_otherwise(self.it, it) for it in new[start : start + ASKED_AT_ONCE])):
                yield one


async def _unproven(service: Service) -> list[str]:
    """What the witness's leaves and checkpoints say of the log, with one more checkpoint over all of it."""
    assert service.witness is not None
    await service.witness.checkpoint()
    report = await verified(service)
    return [] if report.holds else [f"{service.name}: {line}" for line in report.lines()]


@dataclass
class Mine:
    """The read models of one service in a file of their own. `read_to` is how far other services' feeds are read."""

    runner: ProjectionRunner
    store: SqliteReadStore
    feeds: Mapping[str, Feed]
    read_to: dict[str, int] = field(default_factory=dict)

    async def read_on(self, head: int) -> None:
        """Returns when each model has read all that there is."""

        async def whole() -> bool:
            return all(lag.position >= head for lag in self.runner.lag())

        running = asyncio.create_task(self.runner.run())
        try:
            await until(whole, GIVE_UP_SECONDS, LOOK_SECONDS)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        for source in self.feeds:
            await self._hear(source)

    async def _hear(self, source: str) -> None:
        while (page := await self.feeds[source](after := self.read_to.get(source, 0), PAGE)).position > after:
            await self.runner.apply(source, page.facts)
            self.read_to[source] = page.position

    async def documents(self, name: str) -> dict[Any, bytes]:
        [model] = [lag.model for lag in self.runner.lag() if lag.name == name and lag.live]
        return dict(await exported(self.store, model))


@dataclass
class ReadModels:
    """The read models of all services once more, filled further at each look from the logs, by nobody who meets a fault."""

    by_service: dict[str, Mine]

    async def differing(self, it: System) -> list[str]:
        """The documents that are others in the system, which is at rest, by read model."""
        found = []
        for name, mine in self.by_service.items():
            service = it.services[name]
            await mine.read_on(await service.store.head())
            for lag in [lag for lag in service.runner.lag() if lag.live]:
                theirs, ours = dict(await exported(service.application.read, lag.model)), await mine.documents(lag.name)
                wrong = [key for key in theirs | ours if theirs.get(key) != ours.get(key)]
                found += [f"{name}/{lag.name}: {len(wrong)} documents differ, {wrong[0]} first"] if wrong else []
        return found


@asynccontextmanager
async def read_models(it: System, folder: Path) -> AsyncIterator[ReadModels]:
    """Read models in files under the folder, empty yet."""
    async with AsyncExitStack() as stack:
        made = {}
        for name, service in it.services.items():
            store = SqliteReadStore(folder / f"{name}.db")
            await store.open()
            stack.push_async_callback(store.close)
            runner = ProjectionRunner(name, service.store, store, service.projections)
            await runner.prepare()
            made[name] = Mine(runner, store, service._feeds())
        yield ReadModels(made)


async def all_is_proven(data: Path) -> None:
    """One process takes over what five left on the engines: read models, ledger, checkpoints and decisions hold."""
    async with running_system(data, InProcessTransport(), beginning=None, opened=False) as it:
        await however_late(lambda: it.settle(GIVE_UP_SECONDS), Busy)
        assert await it.parked() == 0
        await every_model_can_be_made_again(it)
        await the_ledger_balances(it)
        for service in it.services.values():
            await the_witness_went_on(service)
    await every_log_is_what_it_was(data)


def transfers(data: Path) -> list[str]:
    """What the simulated payment provider has carried out, each as its state and amount."""
    with sqlite3.connect(data / "payment_provider" / "transfers.db") as database:
        found = database.execute("SELECT state, amount FROM transfers").fetchall()
    database.close()
    return [f"{state} {amount}" for state, amount in found]


def in_crm(data: Path) -> Counter[str]:
    """How many records the simulated CRM has for each registration."""
    with sqlite3.connect(data / "crm_simulator" / "deals.db") as database:
        bodies = database.execute("SELECT body FROM kept WHERE kind = 'deal'").fetchall()
    database.close()
    return Counter(orjson.loads(body)["properties"]["entente_registration_id"] for (body,) in bodies)


async def the_ledger_balances(it: System) -> None:
    """Every journal sums to zero, and so does the whole ledger as its reader sees it."""
    tally = await Tally([it.services["incentives"]]).read_on()
    assert tally.crooked + await unbalanced(it) == []


async def unbalanced(it: System) -> list[str]:
    """The currencies in which the ledger, as its reader sees it, does not sum to zero."""
    balances = done(await (await it.who("finn")).get("/v1/incentives/ledger/balances"))
    return [f"the ledger sums to {one}" for one in balances["trial_balance"] if one["total"] != "0.00"]


async def the_witness_went_on(service: Service) -> None:
    """All that is recorded has its leaf, and one more checkpoint covers it."""
    assert service.witness is not None
    head = await service.store.head()
    await service.witness.checkpoint()
    end, newest = await service.witness.leaves.end(), await service.witness.leaves.latest()
    assert end.last_position >= head
    assert newest is not None
    assert newest[0] == end.size

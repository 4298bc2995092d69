"""Compares what clients were told with what the stores hold, when the system is at rest again."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from chassis.event import stable_id
from chassis.record import command_stream
from chassis.service import Service
from chassis.transport.in_process import InProcessTransport
from chassis.transport.port import COMMAND_RECORDED
from services import first_run
from tests.faults.load import Acknowledged, Load
from tests.scenarios.proofs import every_log_is_what_it_was, every_model_can_be_made_again
from tests.scenarios.system import PATIENCE_SECONDS, System, done, running_system, until

PAGE = 1_000
LOOK_SECONDS = 0.1
"""Each look reads whole logs."""
GIVEN_UP_SECONDS = 300.0
"""As long as a client waits: what comes late on a machine that has other work is late, not lost."""


async def all_is_well_after(load: Load) -> None:
    """Every acknowledged command is there once, every cause has its one effect, and whatever can be proved holds."""
    kinds = Counter(path.rpartition("/")[2] for path in (one.path for one in load.acknowledged.values()))
    print(dict(kinds), "repeats", load.repeats, "starts", load.child.starts)  # noqa: T201  shown when a test fails
    assert min(sum(counts.values()) for counts in effects_wanted(load).values()) > 0, "the load did not get through"
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
    for one in acknowledged:
        service = it.services[one.path.split("/")[2]]
        [record] = await service.store.load(command_stream(first_run.TENANT, command_of(one)))
        outcome = "refused" if one.status in (409, 422) else "accepted"
        assert outcome == record.event.outcome, one
        again = await (await it.who(one.who)).post(one.path, one.body, key=one.key)
        assert (one.status, one.answer) == (again.status, again.json()), one


async def every_cause_has_one_effect(it: System, load: Load) -> None:
    """One registration a command, one sale and one CRM record an approval, one payout a win, one reversal a refund."""
    wanted = effects_wanted(load)
    assert wanted == await effects_found(it, wanted)
    assert Counter(sale.registration_id for sale in load.sales if sale.approved) == in_crm(load.child.data)


def effects_wanted(load: Load) -> dict[str, Counter[str]]:
    """How many events of a type each registration comes to."""
    registered = Counter(sale.registration_id for sale in load.sales)
    approved = Counter(sale.registration_id for sale in load.sales if sale.approved)
    won = Counter(sale.registration_id for sale in load.sales if sale.won)
    refunded = Counter(sale.registration_id for sale in load.sales if sale.refunded)
    return {
        "registration.DealRegistered.v1": registered,
        "registration.DealApproved.v1": approved,
        "attribution.OpportunityOpened.v1": approved,
        "attribution.DealWon.v1": won,
        "incentives.PayoutCalculated.v1": won,
        "incentives.PayoutReversed.v1": refunded,
    }


async def effects_found(it: System, types: Iterable[str]) -> dict[str, Counter[str]]:
    found = {type_name: Counter[str]() for type_name in types}
    for service in it.services.values():
        for event in await events_of(service):
            if event.type in found:
                found[event.type][event.event.registration_id] += 1
    return found


async def everything_has_come_out(it: System, load: Load, seconds: float = PATIENCE_SECONDS) -> None:
    """Waits until the last poll of the CRM has brought what pushes missed, and all that follows from it."""
    wanted = effects_wanted(load)

    async def all_there() -> bool:
        found = await effects_found(it, wanted)
        return all(found[name] >= counts for name, counts in wanted.items())

    await until(all_there, seconds, LOOK_SECONDS)
    [connection] = (await it.services["attribution"].application.read.find("connections", first_run.TENANT)).items
    done(await (await it.who("dora")).post(f"/v1/attribution/connections/{connection['connection_id']}/poll"))
    await it.settle()


async def counted(it: System, load: Load) -> tuple[int, int]:
    """How much of what clients were told is lost, and how much was done twice, when everything has come out.

    Counted are commands in the log, effects in the logs of all services, and records in the CRM.
    """
    with contextlib.suppress(TimeoutError):  # then what has not come out counts as lost
        await everything_has_come_out(it, load, GIVEN_UP_SECONDS)
    wanted = effects_wanted(load)
    found = await effects_found(it, wanted)
    pairs = [(wanted[name], found[name]) for name in wanted]
    pairs.append((wanted["registration.DealApproved.v1"], in_crm(load.child.data)))
    pairs.append((Counter(map(command_of, load.acknowledged.values())), await commands_recorded(it)))
    lost = sum((ours - theirs).total() for ours, theirs in pairs)
    # Commands that nobody was told of are recorded too: only the effects can be too many.
    twice = sum((theirs - ours).total() for ours, theirs in pairs[:-1])
    return lost, twice


def command_of(one: Acknowledged) -> str:
    return stable_id(first_run.TENANT, one.subject, one.key)


async def commands_recorded(it: System) -> Counter[str]:
    """How often each command stands in the logs."""
    found = Counter[str]()
    for service in it.services.values():
        found.update(event.command_id for event in await events_of(service) if event.type == COMMAND_RECORDED)
    return found


async def all_is_proven(data: Path) -> None:
    """One process takes over what five left on the engines: read models, ledger, checkpoints and decisions hold."""
    async with running_system(data, InProcessTransport(), beginning=None, opened=False) as it:
        assert await it.parked() == 0
        await every_model_can_be_made_again(it)
        await the_ledger_balances(it)
        for service in it.services.values():
            await the_witness_went_on(service)
    await every_log_is_what_it_was(data)


def transfers(data: Path) -> list[tuple[str, str, str]]:
    """What the simulated payment provider has carried out: reference, amount, state."""
    with sqlite3.connect(data / "payment_provider" / "transfers.db") as database:
        found = database.execute("SELECT reference, amount, state FROM transfers ORDER BY reference").fetchall()
    database.close()
    return found


async def events_of(service: Service) -> list[Any]:
    """All that a service recorded."""
    found: list[Any] = []
    while page := await service.store.feed(found[-1].position if found else 0, PAGE):
        found += page
    return found


def in_crm(data: Path) -> Counter[str]:
    """How many records the simulated CRM has for each registration."""
    with sqlite3.connect(data / "crm_simulator" / "deals.db") as database:
        bodies = database.execute("SELECT body FROM kept WHERE kind = 'deal'").fetchall()
    database.close()
    return Counter(orjson.loads(body)["properties"]["entente_registration_id"] for (body,) in bodies)


async def the_ledger_balances(it: System) -> None:
    """Every journal sums to zero, and so does the whole ledger as its reader sees it."""
    recorded = [event.event for event in await events_of(it.services["incentives"])]
    for event in [event for event in recorded if hasattr(event, "journal")]:
        assert sum(entry.amount.amount for entry in event.journal.entries) == 0, event
    balances = done(await (await it.who("finn")).get("/v1/incentives/ledger/balances"))
    assert {one["total"] for one in balances["trial_balance"]} <= {"0.00"}


async def the_witness_went_on(service: Service) -> None:
    """All that is recorded has its leaf, and one more checkpoint covers it."""
    assert service.witness is not None
    head = await service.store.head()
    await service.witness.checkpoint()
    assert service.witness.leaves.last_position >= head
    newest = service.witness.leaves.latest()
    assert newest is not None
    assert newest[0] == service.witness.leaves.size

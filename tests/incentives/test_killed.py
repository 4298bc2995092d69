"""Killed at any step of a payment, under every fault of the provider: one effective transfer, and a known end."""

from contextlib import AsyncExitStack
from datetime import datetime, timedelta

import pytest

from services.incentives.adapters.payments import Simulator
from services.incentives.projections.provider_calls import RETURN_DAYS
from tests.incentives.test_service import APPROVER, FINANCE, proposed, started

FAULTS = ("none", "late", "twice", "unknown", "lost", "rejected", "never", "contradicting", "returned")
ENDS = {"rejected": "failed", "contradicting": "paid", "never": "unknown"}


class Killed(RuntimeError):
    """The process died here."""


class Dying(Simulator):
    """The provider as a process meets it that dies right before, or right after, one of its calls."""

    deaths: dict[str, bool] = {}

    async def submit(self, reference, destination, amount):
        return await self._until_death("submit", super().submit(reference, destination, amount))

    async def status(self, reference):
        return await self._until_death("status", super().status(reference))

    async def _until_death(self, call, work):
        if self.deaths.pop(f"before {call}", False):
            work.close()
            raise Killed
        said = await work
        if self.deaths.pop(f"after {call}", False):
            raise Killed
        return said


class Machine:
    """The service on one data folder, which is killed and started again at will."""

    def __init__(self, stack, data, fault):
        self.stack, self.data, self.fault = stack, data, fault
        self.now = None

    async def start(self):
        faults = {} if self.fault == "none" else {f"provider_{self.fault}_percent": 100}
        self.asked = await self.stack.enter_async_context(started(self.data, **faults))
        if self.now:
            self.asked.clock.set(self.now)
        return self.asked

    async def kill(self):
        self.now = self.asked.clock.now()
        await self.stack.aclose()
        return await self.start()


async def ended(machine, payment):
    """Lets the clock run until the payment is paid, failed, or waits for a person."""
    for _ in range(60):
        found = await machine.asked.get(FINANCE, payment)
        if found["state"] in ("paid", "failed", "returned") or (
            found["state"] == "unknown" and not found["ask_again_at"]
        ):
            return found
        at = found["ask_again_at"]
        after = datetime.fromisoformat(at) if at else machine.asked.clock.now()
        machine.asked.clock.set(max(after, machine.asked.clock.now()) + timedelta(seconds=70))
        seen = len(found["history"])
        await machine.asked.until(FINANCE, payment, lambda row, seen=seen: len(row["history"]) > seen)
    raise AssertionError(found)


async def came_back(machine, payment):
    """Lets the days pass after which a payment is asked about once more."""
    machine.asked.clock.set(machine.asked.clock.now() + timedelta(days=RETURN_DAYS, minutes=1))
    await machine.asked.until(FINANCE, payment, lambda row: row["state"] == "returned")
    await machine.kill()
    assert machine.asked.service.application.ports.transfers() == []
    return await machine.asked.get(FINANCE, payment)


@pytest.mark.parametrize("fault", FAULTS)
async def test_done_when_4_killed_between_all_steps_there_is_one_effective_transfer(tmp_path, fault):
    async with AsyncExitStack() as stack:
        machine = Machine(stack, tmp_path, fault)
        payment = await proposed(await machine.start())
        asked = await machine.kill()
        assert (await asked.post(APPROVER, f"{payment}/approve", key="a")).json()["state"] == "approved"
        asked = await machine.kill()
        assert (await asked.post(APPROVER, f"{payment}/approve", key="a")).json()["state"] == "approved"
        assert (await asked.post(FINANCE, f"{payment}/submit", key="s")).json()["state"] == "submitted"
        asked = await machine.kill()
        assert (await asked.post(FINANCE, f"{payment}/submit", key="s")).json()["state"] == "submitted"
        await machine.kill()
        found = await ended(machine, payment)
        if fault == "returned":
            found = await came_back(machine, payment)
        if found["state"] in ("failed", "returned"):
            machine.asked.clock.set(machine.asked.clock.now() + timedelta(hours=1))
            await machine.asked.post(FINANCE, f"{payment}/retry", key="r")
            await machine.kill()
            await machine.asked.post(FINANCE, f"{payment}/submit", key="s-again")
            found = await ended(machine, payment)
        transfers = machine.asked.service.application.ports.transfers()
        assert found["state"] == ENDS.get(fault, "paid")
        assert len(transfers) == (1 if found["state"] == "paid" else 0)


CALLS = ("before submit", "after submit", "before status", "after status")
PAY = ("none", "late", "unknown", "lost")
OTHERS = ("twice", "rejected", "never", "returned")


@pytest.mark.parametrize(
    ("death", "fault"),
    [*((death, fault) for death in CALLS for fault in PAY), *(("after submit", fault) for fault in OTHERS)],
)
async def test_done_when_4_killed_around_any_call_of_the_provider_there_is_one_effective_transfer(
    tmp_path, death, fault
):
    async with AsyncExitStack() as stack:
        machine = Machine(stack, tmp_path, fault)
        asked = await machine.start()
        payment = await proposed(asked)
        port = asked.service.application.ports
        port.__class__, port.deaths = Dying, {death: True}
        await asked.post(APPROVER, f"{payment}/approve")
        await asked.post(FINANCE, f"{payment}/submit")
        await asked.until(FINANCE, payment, lambda row: not port.deaths or row["state"] in ("unknown", "paid"))
        await machine.kill()
        found = await ended(machine, payment)
        assert found["state"] == ENDS.get(fault, "paid")
        transfers = machine.asked.service.application.ports.transfers()
        assert [row[0] for row in transfers] == ([found["reference"]] if found["state"] == "paid" else [])

"""The provider that misbehaves: whatever the fault, one effective transfer a reference, and it survives a restart."""

from datetime import UTC, datetime

import pytest

from contracts.values import money
from services.incentives.adapters.payments import Faults, Simulator
from services.incentives.application.ports import ABSENT, PAID, REJECTED, UNKNOWN, provider_says
from services.incentives.projections.provider_calls import outcome_of

REFERENCE = "0" * 32 + "-01"
AMOUNT = money("12.34", "EUR")
NOW = datetime(2026, 4, 3, 9, tzinfo=UTC)


def simulator(tmp_path, fault=None):
    faults = Faults(**({f"{fault}_percent": 100} if fault else {}))
    return Simulator(tmp_path / "transfers.db", faults)


async def words(port, asks):
    return [await provider_says(port, REFERENCE, "p1", AMOUNT, n) for n in range(asks)]


@pytest.mark.parametrize(
    ("fault", "said", "transfers"),
    [
        (None, [PAID, PAID], 1),
        ("twice", [PAID, PAID], 1),
        ("late", [UNKNOWN, UNKNOWN, PAID], 1),
        ("unknown", [UNKNOWN, PAID], 1),
        ("lost", [UNKNOWN, PAID], 1),
        ("rejected", [REJECTED, REJECTED], 0),
    ],
)
async def test_every_fault_ends_in_one_transfer_or_none(tmp_path, fault, said, transfers):
    port = simulator(tmp_path, fault)
    assert await words(port, len(said)) == said
    assert len(port.transfers()) == transfers


async def test_the_same_reference_submitted_again_is_the_same_transfer(tmp_path):
    port = simulator(tmp_path)
    for _ in range(5):
        await port.submit(REFERENCE, "p1", AMOUNT)
    assert port.transfers() == [(REFERENCE, "p1", "12.34", "EUR")]


async def test_transfers_survive_a_restart(tmp_path):
    await simulator(tmp_path).submit(REFERENCE, "p1", AMOUNT)
    assert await simulator(tmp_path).status(REFERENCE) == PAID


async def test_a_reference_it_never_heard_of_is_absent(tmp_path):
    assert await simulator(tmp_path).status(REFERENCE) == ABSENT


def test_faults_follow_from_the_seed_and_the_reference():
    mixed = Faults(seed=7, late_percent=50, rejected_percent=50)
    drawn = [mixed.of(f"{n:032x}-01") for n in range(200)]
    assert drawn == [mixed.of(f"{n:032x}-01") for n in range(200)]
    assert 60 <= drawn.count("late") <= 140
    assert set(drawn) == {"late", "rejected"}


class Down:
    """A provider that cannot be reached."""

    async def submit(self, reference, destination, amount):
        raise ConnectionRefusedError

    async def status(self, reference):
        raise TimeoutError


@pytest.mark.parametrize("asks", [0, 1])
async def test_no_answer_is_unknown(asks):
    document = {
        "payment_id": "x",
        "account_id": "p1-EUR",
        "payee_id": "p1",
        "reference": REFERENCE,
        "amount": "12.34",
        "currency": "EUR",
        "asks": asks,
    }
    assert (await outcome_of(Down(), document, NOW)).outcome == UNKNOWN

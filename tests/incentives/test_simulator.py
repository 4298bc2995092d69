"""The port of payments over its adapters; and the provider that misbehaves, whatever the fault: one effective transfer."""

import hashlib
import hmac
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from chassis.application import NothingToDo
from contracts.values import money
from services.incentives.adapters.payments import TABLES, Faults, Simulator
from services.incentives.app import Settings, provider_of
from services.incentives.application.ports import ABSENT, ACCEPTED, PAID, REJECTED, RETURNED, UNKNOWN, provider_says
from services.incentives.domain.bank_account import BankAccount
from services.incentives.projections.provider_calls import outcome_of, return_of

REFERENCE = "0" * 32 + "-01"
AMOUNT = money("12.34", "EUR")
NOW = datetime(2026, 4, 3, 9, tzinfo=UTC)
CALL = {
    "payment_id": "x",
    "account_id": "p1-EUR",
    "payee_id": "p1",
    "reference": REFERENCE,
    "amount": "12.34",
    "currency": "EUR",
    "asks": 0,
}


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
        ("returned", [PAID, PAID], 0),
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


# The port, over each adapter


async def paying(port, *references):
    for reference in references:
        assert await port.submit(reference, "p1", AMOUNT) in (ACCEPTED, REJECTED, UNKNOWN)
    return [await port.status(reference) for reference in references]


@pytest.fixture(params=["simulator", "file"])
def adapter(request, tmp_path):
    port = provider_of(
        Settings(data=tmp_path, provider=request.param, payer_name="Vendor", payer_iban="DE89370400440532013000")
    )
    port.secret = b"shared"
    return port


async def test_the_same_reference_is_one_transfer_and_says_one_thing_in_every_adapter(adapter):
    first, again, other = await paying(adapter, REFERENCE, REFERENCE, "1" * 32 + "-01")
    assert first == again == other
    if adapter.tells:
        assert [row[0] for row in adapter.transfers()] == [REFERENCE, "1" * 32 + "-01"]


async def test_no_adapter_says_that_something_was_paid_which_it_was_never_handed(adapter):
    assert await adapter.status(REFERENCE) in (ABSENT, ACCEPTED)


async def test_only_an_adapter_that_can_be_asked_says_by_itself_what_became_of_a_payment(adapter):
    assert await paying(adapter, REFERENCE) == [PAID if adapter.tells else ACCEPTED]


def test_every_adapter_believes_the_signature_of_the_shared_secret_alone(adapter):
    signature = hmac.new(b"shared", b"paid", hashlib.sha256).hexdigest()
    assert adapter.signed_by_provider(b"paid", signature)
    assert not adapter.signed_by_provider(b"rejected", signature)
    adapter.secret = b""
    assert not adapter.signed_by_provider(b"paid", hmac.new(b"", b"paid", hashlib.sha256).hexdigest())


def test_every_adapter_names_whose_account_is_drawn_on(adapter):
    assert adapter.payer == BankAccount(number="DE89370400440532013000", holder="Vendor")
    assert adapter.bank == "DE89370400440532013000"
    adapter.payer = BankAccount(number="", holder="Vendor")
    assert adapter.bank == adapter.itself


@pytest.mark.parametrize(
    ("bank", "named"),
    [("USABA 111000025", {"clearing": "USABA", "clearing_number": "111000025"}), ("BOTKJPJT", {"bic": "BOTKJPJT"})],
)
def test_an_account_without_an_iban_is_drawn_on_at_the_bank_that_the_settings_name(tmp_path, bank, named):
    port = provider_of(Settings(data=tmp_path, payer_name="Vendor", payer_number="0001234", payer_bank=bank))
    assert port.payer == BankAccount(number="0001234", holder="Vendor", **named)
    assert port.bank == "0001234"


@pytest.mark.parametrize("bank", ["DEBLZ 37040044", "USABA 11100002", "BOTK12JT", "botkjpjt", "USABA", "BOTKXXJT"])
def test_a_bank_that_is_none_ends_the_start(tmp_path, bank):
    with pytest.raises(ValidationError, match="payer_bank"):
        Settings(data=tmp_path, payer_number="0001234", payer_bank=bank)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"payer_number": "1", "payer_bank": "USABA 111000026"}, "its check digit does not fit"),
        ({"payer_iban": "DE89370400440532013001"}, "a digit may be wrong or missing"),
    ],
)
def test_a_slip_in_the_digits_of_the_vendor_s_own_account_ends_the_start_as_in_a_payee_s(tmp_path, named, says):
    with pytest.raises(ValidationError, match=says):
        Settings(data=tmp_path, **named)


@pytest.mark.parametrize(
    "wrong",
    [
        {"payer_number": "0001234"},
        {"payer_bank": "BOTKJPJT"},
        {"payer_number": "1", "payer_iban": "DE89370400440532013000"},
    ],
)
def test_an_account_that_is_named_by_halves_or_twice_ends_the_start(tmp_path, wrong):
    with pytest.raises(ValidationError, match="an IBAN, or a number and a bank"):
        Settings(data=tmp_path, **wrong)


async def test_what_came_back_is_told_once_days_after_it_was_paid(tmp_path):
    port = simulator(tmp_path, "returned")
    assert (await outcome_of(port, CALL, NOW)).outcome == PAID
    assert (await return_of(port, CALL, NOW)).outcome == RETURNED
    with pytest.raises(NothingToDo):
        await return_of(simulator(tmp_path / "other"), CALL, NOW)


class Down:
    """A provider that cannot be reached."""

    tells = True

    async def submit(self, reference, destination, amount):
        raise ConnectionRefusedError

    async def status(self, reference):
        raise TimeoutError


@pytest.mark.parametrize("asks", [0, 1])
async def test_no_answer_is_unknown(asks):
    assert (await outcome_of(Down(), {**CALL, "asks": asks}, NOW)).outcome == UNKNOWN


def test_a_process_that_starts_while_another_makes_the_file_waits_for_it(tmp_path):
    path = tmp_path / "transfers.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as another, ThreadPoolExecutor() as beside:
        another.execute("BEGIN IMMEDIATE")
        another.execute(TABLES)
        starting = beside.submit(Simulator, path, Faults())
        with pytest.raises(TimeoutError):
            starting.result(timeout=0.3)
        another.execute("COMMIT")
        assert starting.result().transfers() == []

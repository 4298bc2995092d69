"""A gate that shuts while a payment is on its way to be sent, over two processes: what shut first keeps it here."""

from contextlib import AsyncExitStack

import pytest

from chassis.event import Sealed
from chassis.testing.kit import given
from services.incentives.application import HANDLES
from services.incentives.domain.account import Accounts
from services.incentives.domain.payee import Payees
from services.incentives.domain.payee_commands import BlockPayee, ChangeBankDetails, SuspendPayee
from services.incentives.domain.payee_events import PaymentPassedGates
from services.incentives.domain.payment import Payments
from services.incentives.domain.payment_commands import SubmitPayment
from services.incentives.domain.payment_events import PaymentSubmitted
from tests.incentives.orders import ACCOUNT, APPROVE, NOW, OPENED, PAYMENT, SUBMIT, Desk
from tests.incentives.test_dispute_races import TENANT, WAYS, database, replicas

__all__ = ["database"]
BANK = Sealed(subject="bank-1", box="eA==")
SHUTS = [
    pytest.param(BlockPayee(payee_id="p1", reason="fraud", by="fin-3", now=NOW), ("blocked",), id="stopped"),
    pytest.param(
        SuspendPayee(partner_id="p1", revision=2, scopes=("payouts",), reason_code="audit", until=None, now=NOW),
        ("suspended",),
        id="suspended",
    ),
    pytest.param(
        ChangeBankDetails(payee_id="p1", bank_id="bank-1", account=BANK, fingerprint="f", by="per-1", now=NOW),
        ("bank_verified", "bank_cool_down"),
        id="another-account",
    ),
]


async def gates(process):
    """The gates that blocked the payment, as its stream says."""
    [blocked] = (await process.store.load_many({Payments.at(PAYMENT).name(TENANT): 0})).values()
    return blocked[-1].event.gates


async def passed(process):
    """The payments that passed the gates of the payee, as its stream says."""
    [found] = (await process.store.load_many({Payees.at("p1").name(TENANT): 0})).values()
    return [one.event for one in found if isinstance(one.event, PaymentPassedGates)]


@pytest.mark.parametrize(("steps", "send"), WAYS)
@pytest.mark.parametrize(("shut", "named"), SHUTS)
async def test_a_gate_that_shuts_while_a_payment_is_on_its_way_to_be_sent_stops_it(database, steps, send, shut, named):
    async with AsyncExitStack() as stack:
        one, other = await replicas(stack, database, "incentives", steps)
        one.store.first = lambda: other.does(shut)
        await one.does(send)
        assert (await one.stage(), await gates(one), await passed(one)) == ("blocked", named, [])


@pytest.mark.parametrize(("steps", "send"), WAYS)
@pytest.mark.parametrize(("shut", "named"), SHUTS)
async def test_a_gate_that_shuts_after_a_payment_was_sent_leaves_it(database, steps, send, shut, named):
    async with AsyncExitStack() as stack:
        one, other = await replicas(stack, database, "incentives", steps)
        other.store.first = lambda: one.does(send)
        await other.does(shut)
        told = PaymentPassedGates(payee_id="p1", partner_id="p1", payment_id=PAYMENT, passed_at=NOW)
        assert (await one.stage(), await passed(one)) == ("submitted", [told])


def test_before_the_payee_was_not_told_and_its_stream_not_guarded():
    [third] = [one for one in HANDLES if (one.command, one.evaluator) == (SubmitPayment, 3)]
    desk = Desk()
    desk.after(desk.proposed, APPROVE)
    streams = ((Payments.at(PAYMENT), desk.payment), (Accounts.at(ACCOUNT), desk.account), (Payees.at("p1"), [OPENED]))
    [[made], [_]] = given(third, *streams).when(SUBMIT).verdict.events
    assert isinstance(made, PaymentSubmitted)

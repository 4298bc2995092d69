"""A payment that has not gone out says what would have to happen for it to go."""

from dataclasses import replace
from typing import get_args

import pytest

from chassis.testing.projections import told
from services.incentives.domain import payee
from services.incentives.domain.explaining_payments import EXPLAIN_PAYMENTS, GATES
from services.incentives.domain.payee_events import PayeeForgotten
from services.incentives.domain.payment import DISPUTED, TAKEN_BACK, reference_of
from services.incentives.domain.payment_events import PaymentEvent
from tests.incentives.orders import APPROVE, DECLINE, NOW, PAYMENT, RETRY, SUBMIT, SUSPENDED, Desk, said
from tests.incentives.test_merging import MERGED
from tests.incentives.test_paying import RuledDesk, bank, invoice


def changes(desk):
    """What would change where the payment stands, as codes and texts."""
    [seen] = told(desk.payment[-1], tenant="acme")
    found = EXPLAIN_PAYMENTS[type(desk.payment[-1])](seen)
    return {change.code: change.text for change in found.would_change}


def test_every_gate_says_what_opens_it():
    of_payee = (payee.SUSPENDED, payee.NOT_ACTIVE, payee.BLOCKED, payee.UNDER_REVIEW, payee.EMPLOYER_CONSENT)
    of_money = (TAKEN_BACK, DISPUTED)
    assert set(GATES) == {*of_payee, payee.TAX_FORM, payee.BANK_VERIFIED, payee.COOL_DOWN, payee.MERGED, *of_money}


def test_who_was_forgotten_is_never_paid_and_the_payment_is_declined():
    desk = Desk()
    desk.after(desk.proposed)
    desk.payee.append(PayeeForgotten(payee_id="p1", partner_id="p1", forgotten_at=NOW))
    desk.after(APPROVE)
    assert changes(desk) == {
        "forgotten": "a person that was forgotten is never paid: decline it, and what it drew stands in the ledger as payable"
    }


def test_every_event_of_a_payment_is_explained():
    assert set(EXPLAIN_PAYMENTS) == set(get_args(PaymentEvent))


def test_a_proposed_payment_waits_for_its_invoice_and_a_second_person():
    desk = RuledDesk({"gates": ["invoice"]})
    desk.after(desk.proposed)
    assert changes(desk) == {
        "invoice": "the payee's invoice of 100.00 EUR is here",
        "approve": "a second person approves it, within the limit of their roles",
    }
    desk.after(invoice())
    assert list(changes(desk)) == ["approve"]


def test_a_blocked_payment_names_what_opens_each_gate():
    desk = Desk()
    desk.after(desk.proposed)
    desk.payee += [SUSPENDED, bank()]
    desk.after(APPROVE)
    assert changes(desk) == {
        "suspended": "suspended opens once the suspension of its payouts is lifted, or its end has passed",
        "bank_verified": "bank_verified opens once somebody else than who entered the bank details verifies them",
        "bank_cool_down": "bank_cool_down opens once the changed bank details have waited their hours",
        "resume": "then it is proposed again",
    }


def test_a_payment_to_who_is_one_with_another_names_what_opens_its_gate():
    desk = Desk()
    desk.after(desk.proposed)
    desk.payee.append(MERGED)
    desk.after(APPROVE)
    assert changes(desk) == {
        "merged": "merged opens once the two partners are two again",
        "resume": "then it is proposed again",
    }


def test_a_failed_payment_is_tried_again_until_its_attempts_are_spent():
    desk = Desk()
    desk.after(desk.proposed, APPROVE)
    for attempt in range(1, 6):
        rejected = replace(said("rejected"), reference=reference_of(PAYMENT, attempt), provider_event_id=f"e{attempt}")
        desk.after(SUBMIT, rejected)
        if attempt < 5:
            assert changes(desk) == {"retry": f"finance tries again under a new reference, attempt {attempt + 1} of 5"}
            desk.after(RETRY)
            assert list(changes(desk)) == ["submit"]
    assert list(changes(desk)) == ["decline"]
    desk.after(DECLINE)
    assert list(changes(desk)) == ["propose"]


@pytest.mark.parametrize("outcome", ["unknown", "paid"])
def test_what_is_under_way_waits_for_the_provider_alone(outcome):
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT)
    assert list(changes(desk)) == ["provider"]
    desk.after(said(outcome))
    assert list(changes(desk)) == (["provider"] if outcome == "unknown" else [])

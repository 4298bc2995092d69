"""The tax on a payee's own invoice: paid on top of the net amount, reclaimed by the vendor, and never withheld from."""

import json
from collections import defaultdict
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st

from chassis.event import LEFT_OUT, encode
from chassis.testing.kit import given
from chassis.testing.projections import project, told
from chassis.verify import verify_decisions
from contracts.values import money
from services.incentives.api.batches import _row
from services.incentives.application import HANDLES
from services.incentives.domain.account import Accounts
from services.incentives.domain.batch import PrepareBatch
from services.incentives.domain.journal import books_balance, trial_balance
from services.incentives.domain.payment import InvoiceInvalid, OverLimit, Payments, Stage
from services.incentives.domain.payment_commands import AttachInvoice, ProposePayment
from services.incentives.domain.payment_events import InvoiceTaxed, PaymentApproved, PaymentMade, PaymentSubmitted
from services.incentives.domain.verifying import verify
from services.incentives.projections.payments import PAYMENTS
from services.incentives.publishing import publish
from tests.incentives.orders import (
    ACCOUNT,
    APPROVE,
    DECLINE,
    NOW,
    PAYMENT,
    RESUME,
    RETRY,
    SUBMIT,
    SUSPENDED,
    line,
    proposal,
    said,
)
from tests.incentives.test_payee import REINSTATED
from tests.incentives.test_paying import RuledDesk, form, invoice, next_statement, usd
from tests.incentives.test_service import APPROVER, FINANCE, P1, balances, incentives, stated

__all__ = ["incentives"]
D = Decimal
INVOICES = {"gates": ["invoice"]}
US = [{"jurisdiction": "US", "percent": "30"}]


def desk(*steps, payee=(), **rules):
    """100.00 that waits for an invoice, and what is done with it."""
    made = RuledDesk({**INVOICES, **rules})
    made.payee += payee
    return made.after(made.proposed, *steps)


def sums(made, of="amount"):
    """What each account moved by, without those that are level again."""
    found = defaultdict(Decimal)
    for happened in made.payment:
        for entry in happened.journal.entries if hasattr(happened, "journal") else ():
            found[entry.name] += (entry.amount if of == "amount" else entry.in_books).amount
    return {name: str(amount) for name, amount in found.items() if amount}


def last(made, kind):
    return [one for one in made.payment if isinstance(one, kind)][-1]


# 100.00 net and 19.00 of tax: 119.00 go to the payee


def test_net_and_tax_are_paid_and_the_tax_stands_as_what_the_vendor_has_back():
    made = desk(invoice(), APPROVE, SUBMIT, said("paid"))
    assert sums(made) == {"payable": "100.00", "vat:DE": "19.00", "cash": "-119.00"}
    approved, submitted, paid = (last(made, kind) for kind in (PaymentApproved, PaymentSubmitted, PaymentMade))
    hundred, nineteen, whole = (money(text, "EUR") for text in ("100.00", "19.00", "119.00"))
    assert (approved.amount, approved.tax, approved.net, approved.withheld) == (hundred, nineteen, whole, None)
    assert (submitted.amount, submitted.net) == (hundred, whole)
    assert (paid.amount, paid.tax, paid.net) == (hundred, nineteen, whole)


def test_tax_is_payable_from_the_invoice_on_and_apart_from_what_was_earned():
    made = desk(invoice())
    assert sums(made) == {"vat:DE": "19.00", "payable:tax": "-19.00"}
    assert made.payment[-1] == InvoiceTaxed(
        payment_id=PAYMENT,
        account_id=ACCOUNT,
        payee_id="p1",
        partner_id="p1",
        number="2026-7",
        country="DE",
        tax=money("19.00", "EUR"),
        journal=made.payment[-1].journal,
        taxed_at=invoice().now,
    )
    made.after(APPROVE)
    assert sums(made) == {"vat:DE": "19.00", "payable": "100.00", "in_payment": "-119.00"}


def test_what_is_withheld_is_withheld_of_the_net_amount_alone():
    made = desk(invoice(), APPROVE, SUBMIT, said("paid"), payee=form(), withholding=US)
    assert sums(made) == {"payable": "100.00", "vat:DE": "19.00", "withheld:US": "-30.00", "cash": "-89.00"}
    assert last(made, PaymentApproved).net == money("89.00", "EUR")


def test_in_the_books_the_tax_stands_for_what_it_was_worth_on_the_day_of_the_invoice():
    """19.00 at 1.10 are 20.90; 119.00 at 1.15 are 136.85, so 5.95 more than 110.00 and 20.90 leave the bank."""
    billed = invoice(books=usd("1.10"))
    made = desk(billed, replace(APPROVE, books=money("110.00", "USD")), SUBMIT, said("paid", books=usd("1.15")))
    assert sums(made, of="in_books") == {
        "payable": "110.00",
        "vat:DE": "20.90",
        "cash": "-136.85",
        "fx_difference": "5.95",
    }
    entries = [one for happened in made.payment if hasattr(happened, "journal") for one in happened.journal.entries]
    assert set(trial_balance(entries).values()) | set(books_balance(entries).values()) == {D(0)}


# What becomes of it


def test_a_payment_that_is_declined_pays_no_tax_and_the_next_one_asks_for_an_invoice_anew():
    for steps in ((), (APPROVE,), (APPROVE, SUBMIT, said("rejected"))):
        made = desk(invoice(), *steps, DECLINE)
        assert sums(made) == {}
        account = Accounts.fold(made.account)
        assert (account.drawn, account.invoices) == ([], {"2026-7": PAYMENT})


def test_what_came_back_is_sent_again_with_its_tax():
    made = desk(invoice(), APPROVE, SUBMIT, said("paid"), said("returned", provider_event_id="pe-2"))
    assert sums(made) == {"payable": "100.00", "vat:DE": "19.00", "in_payment": "-119.00"}
    made.after(RETRY, SUBMIT)
    assert last(made, PaymentSubmitted).net == money("119.00", "EUR")


def test_a_payment_that_is_blocked_keeps_its_invoice():
    made = desk(invoice(), APPROVE)
    made.payee.append(SUSPENDED)
    made.after(SUBMIT)
    assert (made.stage, sums(made)) == ("blocked", {"vat:DE": "19.00", "payable:tax": "-19.00"})
    made.payee.append(REINSTATED)
    made.after(RESUME, APPROVE)
    assert sums(made) == {"vat:DE": "19.00", "payable": "100.00", "in_payment": "-119.00"}


def test_the_next_payment_pays_neither_the_tax_of_this_one_again_nor_less_for_it():
    """Of 150.00 that became payable since, 119.00 are paid with tax: the next statement's 50.00 are paid."""
    made = desk(invoice(), APPROVE, SUBMIT, said("paid"))
    taxed, drawn = line("19.00", 7, "invoice_taxed"), line("-119.00", 8, "payment_approved")
    second = next_statement(made.account[0], taxed, replace(drawn, cause=PAYMENT), line("50.00", 9))
    assert second.closing == money("50.00", "EUR")
    account = (Accounts.at(ACCOUNT), [*made.account, second])
    [[order], _] = given(made_by(ProposePayment), account).when(proposal(second, "169.00")).verdict.events
    assert order.amount == money("50.00", "EUR")


def test_an_account_that_goes_on_in_a_new_segment_knows_what_tax_its_payments_drew():
    account = Accounts.fold(desk(invoice(), APPROVE).account)
    assert Accounts.carry is not None
    assert [str(one.amount) for one in Accounts.fold([Accounts.carry(account)]).drawn] == ["119.00"]


# What an invoice may say


def test_who_approves_is_limited_by_net_and_tax_together():
    made = desk(invoice(), limits={"approver": {"EUR": "118.99"}, "cfo": {"EUR": "119"}})
    made.asks(replace(APPROVE, roles=("approver",))).refused(OverLimit)
    assert made.after(replace(APPROVE, roles=("cfo",))).stage == "approved"


def test_a_tax_names_its_country_and_is_at_most_what_the_highest_rate_makes():
    for wrong in ({"country": None}, {"tax": money("27.01", "EUR")}):
        desk().asks(invoice(**wrong)).refused(InvoiceInvalid)
    assert desk(invoice(tax=money("27.00", "EUR"))).stage == "proposed"


def test_an_invoice_without_tax_is_paid_as_it_is():
    """So it is where the vendor owes the tax itself, across a border, and where the payee charges none."""
    made = desk(invoice(tax=money("0.00", "EUR"), country=None), APPROVE, SUBMIT, said("paid"))
    assert sums(made) == {"payable": "100.00", "cash": "-100.00"}


def made_by(command, evaluator=None):
    found = [one for one in HANDLES if one.command is command and evaluator in (None, one.evaluator)]
    return max(found, key=lambda one: one.evaluator)


def test_before_it_was_paid_the_tax_of_an_invoice_was_kept_with_it():
    made = desk()
    states = (Payments.at(PAYMENT), made.payment), (Accounts.at(ACCOUNT), made.account)
    before = given(made_by(AttachInvoice, 2), *states).when(invoice(country=None)).verdict.events
    after = given(made_by(AttachInvoice), *states).when(invoice()).verdict.events
    assert [len(events) for events in before] == [1, 1]
    assert before[0] == after[0][:1]
    assert before[1] == [replace(after[1][0], tax=before[1][0].tax)]
    assert b"tax" not in encode(before[1][0])


# Whatever happens


STEPS = (APPROVE, RESUME, SUBMIT, RETRY, DECLINE, SUSPENDED, REINSTATED, "paid", "rejected", "unknown", "returned")


@any_of(st.lists(st.sampled_from(STEPS), max_size=12))
@settings(max_examples=60)
def test_whatever_becomes_of_it_the_tax_is_payable_on_its_way_paid_or_gone(steps):
    made = desk(invoice())
    for number, step in enumerate(steps):
        if step in (SUSPENDED, REINSTATED):
            made.payee.append(step)
        elif isinstance(step, str):
            if attempts := Payments.fold(made.payment).attempts:
                made.asks(said(step, attempt=attempts, provider_event_id=f"pe-{number}"))
        else:
            made.asks(step)
    found, state = sums(made), Payments.fold(made.payment)
    of_tax = found.get("payable:tax"), found.get("in_payment"), found.get("cash")
    assert of_tax == TAX_IN.get(state.stage, (None, "-119.00", None)), state.stage
    assert found.get("vat:DE") == (None if state.stage is Stage.DECLINED else "19.00")


TAX_IN = {
    Stage.PROPOSED: ("-19.00", None, None),
    Stage.BLOCKED: ("-19.00", None, None),
    Stage.PAID: (None, None, "-119.00"),
    Stage.DECLINED: (None, None, None),
}


# What is read and told


def test_a_payment_is_read_and_told_with_its_tax():
    made = desk(invoice(), APPROVE, SUBMIT, said("paid"))
    [document] = project(PAYMENTS, told(*made.payment)).values()
    euros = {name: document[name]["amount"] for name in ("amount", "tax", "net")}
    assert (euros, document["tax_country"]) == ({"amount": "100.00", "tax": "19.00", "net": "119.00"}, "DE")
    for kind in (PaymentApproved, PaymentMade):
        assert publish(told(last(made, kind))[0]).tax == money("19.00", "EUR")
    untaxed = desk(invoice(tax=money("0.00", "EUR")), APPROVE)
    assert publish(told(last(untaxed, PaymentApproved))[0]).tax is LEFT_OUT


def test_a_batch_comes_to_net_and_tax_and_each_row_of_its_table_says_both():
    made = desk(invoice())
    wish = PrepareBatch(batch_id="b1", currency="EUR", day=NOW.date(), payment_ids=(PAYMENT,), by="fin-1", now=NOW)
    states = (Payments.at(PAYMENT), made.payment)
    [[prepared]] = given(made_by(PrepareBatch), states).when(wish).verdict.events
    assert prepared.total == money("119.00", "EUR")
    made.after(APPROVE, SUBMIT)
    assert _row(Payments.fold(made.payment))[3:] == (
        *(D("100.00"), D("119.00"), "EUR", "submitted", f"{PAYMENT.replace('-', '')}-01"),
        *(D("19.00"), D("0.00")),
    )


# Through the service


@pytest.fixture
async def billed(incentives):
    """A payment of 100.00 whose payee charged 19.00 of tax."""
    draft = {"rulebook_id": "pay", "kind": "payment", "body": INVOICES, "examples": []}
    assert (await incentives.post(FINANCE_ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await incentives.post(OTHER, "/rulebooks/pay/publish", {"version": 1})).status_code == 200
    statement = await stated(incentives)
    proposed = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    path = f"/payments/{proposed.json()['payment_id']}"
    body = {"number": "2026-7", "net": "100.00", "tax": "19.00", "invoice_sha256": "0" * 64}
    assert (await incentives.post(P1, f"{path}/invoice", {**body, "tax": "27.01"})).json()["slug"] == "invoice-invalid"
    assert (await incentives.post(P1, f"{path}/invoice", body)).json()["state"] == "proposed"
    return path


FINANCE_ADMIN = replace(FINANCE, roles=("admin",), duties=("plan_admin",))
OTHER = replace(FINANCE_ADMIN, subject="adm-9")


async def test_a_partner_s_invoice_is_paid_with_its_tax_stated_and_proven(incentives, billed):
    await incentives.post(APPROVER, f"{billed}/approve")
    await incentives.post(FINANCE, f"{billed}/submit")
    found = await incentives.until(P1, billed, lambda row: row["state"] == "paid")
    assert (found["tax"]["amount"], found["tax_country"], found["net"]["amount"]) == ("19.00", "DE", "119.00")
    assert [row[2] for row in incentives.service.application.ports.transfers()] == ["119.00"]
    executor = incentives.service.application.executor
    assert (await verify_decisions(executor.store, executor.every_handles)).holds
    mine = (await balances(incentives))["p1-EUR"]
    assert (mine["payable"], mine["vat"], mine["cash"], mine["expense"]) == ("0.00", "19.00", "-119.00", "100.00")
    incentives.clock.set(datetime(2026, 7, 3, 9, tzinfo=UTC))
    june = {"partner_id": "p1", "period": "2026-06", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", june)).json()
    assert statement["closing"]["amount"] == "0.00"
    path = f"/statements/{statement['statement_id']}"
    lines = (await incentives.get(P1, path))["lines"]
    assert [(one["kind"], one["amount"]["amount"]) for one in lines] == [
        ("invoice_taxed", "19.00"),
        ("payment_approved", "-119.00"),
    ]
    proof = await incentives.get(P1, f"{path}/proof")
    assert verify(json.dumps(proof)) == []
    for kind, name, wrong in (("InvoiceTaxed", "tax", "18.00"), ("PaymentApproved", "net", "118.00")):
        altered = deepcopy(proof)
        [event] = [one for one in altered["events"] if one["type"] == f"incentives.{kind}.v1"]
        event["data"][name]["amount"] = wrong
        assert any(f"{wrong} " in finding for finding in verify(json.dumps(altered)))

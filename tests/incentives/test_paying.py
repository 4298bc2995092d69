"""Payments in full: gates, limits, bank details, tax, invoices, the books, batches, and a provider that contradicts."""

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from chassis.decider import WrongState
from chassis.event import Sealed, canonical_json
from chassis.identity import Principal
from chassis.rulebook import Rules, RulesPublished
from chassis.testing.kit import given
from chassis.testing.projections import project, told
from contracts.values import money
from services.incentives.adapters.payment_files import PAIN
from services.incentives.adapters.payments import Faults, Simulator
from services.incentives.application import HANDLES
from services.incentives.application.ports import PAID, REJECTED
from services.incentives.domain.account import (
    Accounts,
    NegativeWrittenOff,
    PaymentClosed,
    WriteOffNegative,
    WriteOffProposed,
)
from services.incentives.domain.exchange import InBooks, Rate
from services.incentives.domain.journal import books_balance, trial_balance
from services.incentives.domain.payee import Payees, unmet
from services.incentives.domain.payee_commands import UnblockPayee, VerifyBankDetails
from services.incentives.domain.payee_events import (
    BankDetailsChanged,
    BankDetailsVerified,
    PayeeBlocked,
    PayeeOpened,
    PersonConsented,
    TaxFormDecided,
    TaxFormSubmitted,
)
from services.incentives.domain.payment import BelowMinimum, InvoiceDiffers, InvoiceDuplicate, OverLimit, Payments
from services.incentives.domain.payment_commands import AttachInvoice, ProposePayment
from services.incentives.domain.payment_events import PaymentApproved, PaymentMade, PaymentSubmitted
from services.incentives.domain.payment_rules import PAYMENT_RULES, PaymentRules
from services.incentives.domain.two_people import FourEyes
from services.incentives.projections.provider_calls import outcome_of, provider_calls
from services.incentives.publishing import publish
from tests.incentives.orders import (
    ACCOUNT,
    APPROVE,
    NOW,
    OPENED,
    PAYMENT,
    RETRY,
    SUBMIT,
    TABLE,
    Desk,
    issued,
    line,
    proposal,
    said,
)
from tests.incentives.test_service import (
    ADMIN,
    APPROVER,
    FINANCE,
    OTHER_ADMIN,
    P1,
    P2,
    TENANT,
    activated,
    credited,
    incentives,
    proposed,
    refunded,
    started,
    stated,
    won,
)

__all__ = ["incentives"]
D = Decimal
LIMITS = {"limits": {"approver": {"EUR": "50"}, "cfo": {"EUR": "500"}}}


def rules(**body):
    return RulesPublished(
        rulebook_id="pay",
        kind="payment",
        scope="default",
        version=1,
        body=body,
        sha256="0" * 64,
        author="a",
        publisher="b",
        effective_from=NOW - timedelta(days=1),
        effective_until=None,
        mode="live",
        published_at=NOW - timedelta(days=1),
    )


class RuledDesk(Desk):
    """A desk where payment rules hold."""

    def __init__(self, body, **changes):
        super().__init__(**changes)
        self.rules = [rules(**body)]

    def asks(self, wish):
        if "rules" in wish.__dataclass_fields__:
            wish = replace(wish, rules=("pay",))
        payment, account = (Payments.at(PAYMENT), self.payment), (Accounts.at(ACCOUNT), self.account)
        known = (payment, account, (Payees.at("p1"), self.payee), (Rules.at("pay"), self.rules))
        when = given(TABLE[type(wish)], *known).when(wish)
        if when.verdict.refusal is None:
            self.payment += when.verdict.events[0]
            self.account += when.verdict.events[1] if len(when.verdict.events) > 1 else []
        return when


def bank(at=NOW, **changes):
    fields = {
        "payee_id": "p1",
        "partner_id": "p1",
        "bank_id": "b1",
        "account": Sealed(subject="b1", box="x"),
        "fingerprint": "f",
        "changed_by": "per-1",
        "changed_at": at,
    }
    return BankDetailsChanged(**{**fields, **changes})


VERIFIED = BankDetailsVerified(
    payee_id="p1", partner_id="p1", bank_id="b1", method="second_person", verified_by="per-2", verified_at=NOW
)


def form(kind="company", year=2026):
    submitted = TaxFormSubmitted(
        payee_id="p1",
        partner_id="p1",
        form_id="f1",
        form="W-8BEN-E",
        jurisdiction="US",
        payee_kind=kind,
        tax_year=year,
        form_sha256="0" * 64,
        submitted_by="per-1",
        submitted_at=NOW,
    )
    decided = TaxFormDecided(
        payee_id="p1", partner_id="p1", form_id="f1", outcome="accepted", reason="", decided_by="fin-1", decided_at=NOW
    )
    return submitted, decided


def gates(*events, now=NOW, **body):
    return unmet(Payees.fold((OPENED, *events)), now, PAYMENT_RULES.read(body))


# Gates


def test_bank_details_that_were_changed_must_be_verified_and_cool_down():
    assert gates(bank()) == ("bank_verified", "bank_cool_down")
    assert gates(bank(), VERIFIED) == ("bank_cool_down",)
    assert gates(bank(), VERIFIED, now=NOW + timedelta(hours=120)) == ()
    assert gates(bank(), VERIFIED, now=NOW + timedelta(hours=120), cool_down_hours=240) == ("bank_cool_down",)
    assert gates(bank(), VERIFIED, bank(NOW + timedelta(days=9)), now=NOW + timedelta(days=9)) == (
        "bank_verified",
        "bank_cool_down",
    )


def test_what_the_rules_demand_is_a_gate():
    assert gates(gates=["tax_form", "bank_verified"]) == ("bank_verified", "tax_form")
    assert gates(*form(), gates=["tax_form"]) == ()
    assert gates(*form(year=2025), gates=["tax_form"]) == ("tax_form",)


def test_a_person_is_paid_once_its_employer_consents():
    person = PayeeOpened(payee_id="person-1", partner_id="p1", revision=0, opened_at=NOW)
    consent = PersonConsented(payee_id="person-1", partner_id="p1", consented_by="owner", consented_at=NOW)
    assert unmet(Payees.fold([person]), NOW) == ("employer_consent",)
    assert unmet(Payees.fold([person, consent]), NOW) == ()


def test_whoever_changed_the_bank_details_cannot_verify_them():
    wish = VerifyBankDetails(payee_id="p1", bank_id="b1", by="per-1", now=NOW)
    given(TABLE[VerifyBankDetails], (Payees.at("p1"), [OPENED, bank()])).when(wish).refused(FourEyes)


def test_a_block_is_lifted_by_two_people():
    blocked = [OPENED, blocked_by_finance()]
    assert unmet(Payees.fold(blocked), NOW) == ("blocked",)
    first = UnblockPayee(payee_id="p1", reason="cleared", by="fin-2", now=NOW)
    blocked += given(TABLE[UnblockPayee], (Payees.at("p1"), blocked)).when(first).verdict.events[0]
    given(TABLE[UnblockPayee], (Payees.at("p1"), blocked)).when(first).refused(FourEyes)
    second = replace(first, by="fin-3")
    blocked += given(TABLE[UnblockPayee], (Payees.at("p1"), blocked)).when(second).verdict.events[0]
    assert unmet(Payees.fold(blocked), NOW) == ()


def blocked_by_finance():
    return PayeeBlocked(payee_id="p1", partner_id="p1", reason="fraud", blocked_by="x", blocked_at=NOW)


def test_over_limit_blocked_and_cooling_payments_are_never_submitted():
    over = RuledDesk(LIMITS)
    over.after(over.proposed)
    over.asks(replace(APPROVE, roles=("approver",))).refused(OverLimit)
    over.asks(SUBMIT).refused(WrongState)
    shut = {
        (bank(),): ("bank_verified", "bank_cool_down"),
        (bank(), VERIFIED): ("bank_cool_down",),
        (blocked_by_finance(),): ("blocked",),
    }
    for happened, gates_shut in shut.items():
        desk = Desk()
        desk.after(desk.proposed, APPROVE)
        desk.payee += happened
        [[blocked], *_] = desk.asks(SUBMIT).verdict.events
        assert blocked.gates == gates_shut
        desk.asks(SUBMIT).refused(WrongState)
        assert (desk.stage, len(desk.payment)) == ("blocked", 3)
        assert not any(isinstance(one, PaymentSubmitted) for one in (*desk.payment, *over.payment))


# Limits, minimum, invoice


def test_over_limit_payments_are_never_approved_and_no_limit_is_none():
    desk = RuledDesk(LIMITS)
    desk.after(desk.proposed)
    for roles in (("approver",), ("finance",), ()):
        assert desk.asks(replace(APPROVE, roles=roles)).refused(OverLimit).status == 403
    assert desk.after(replace(APPROVE, roles=("approver", "cfo"))).stage == "approved"


def test_below_the_minimum_a_balance_is_carried():
    desk = RuledDesk({"minimums": {"EUR": "100.01"}})
    desk.asks(desk.proposed).refused(BelowMinimum)
    low = RuledDesk({"minimums": {"EUR": "100"}})
    assert low.after(low.proposed).stage == "proposed"


def invoice(**changes):
    fields = {
        "payment_id": PAYMENT,
        "account_id": ACCOUNT,
        "number": "2026-7",
        "net": money("100.00", "EUR"),
        "tax": money("19.00", "EUR"),
        "invoice_sha256": "0" * 64,
        "now": NOW,
        "country": "DE",
    }
    return AttachInvoice(**{**fields, **changes})


def test_a_payment_waits_for_its_invoice_which_says_the_same_and_is_its_own():
    desk = RuledDesk({"gates": ["invoice"]})
    assert desk.after(desk.proposed).stage == "pending_invoice"
    desk.asks(invoice(net=money("99.00", "EUR"))).refused(InvoiceDiffers)
    assert desk.after(invoice()).stage == "proposed"
    desk.asks(invoice()).then_nothing()


def invoiced_before(*, paid):
    """A payment that waits for its invoice, where an earlier one had the invoice 2026-7 and was paid, or declined."""
    first = RuledDesk({"gates": ["invoice"]})
    first.after(first.proposed, invoice())
    stated_, *earlier = first.account
    earlier = [replace(one, payment_id="another") for one in earlier]
    closed = PaymentClosed(account_id=ACCOUNT, payment_id="another", paid=paid, closed_at=NOW)
    desk = RuledDesk({"gates": ["invoice"]})
    desk.account = [stated_, *earlier, closed]
    return desk.after(replace(desk.proposed, released=money("219.00", "EUR")))


def test_an_invoice_pays_for_one_payment_and_its_number_is_free_again_where_that_was_declined():
    refused = invoiced_before(paid=True).asks(invoice()).refused(InvoiceDuplicate)
    assert refused.fields["payment_id"] == "another"
    desk = invoiced_before(paid=False).after(invoice())
    assert desk.stage == "proposed"
    assert Accounts.fold(desk.account).invoices == {"2026-7": PAYMENT}
    first = next(one for one in HANDLES if one.command is AttachInvoice and one.evaluator == 1)
    desk = invoiced_before(paid=False)
    states = (Payments.at(PAYMENT), desk.payment), (Accounts.at(ACCOUNT), desk.account)
    given(first, *states).when(invoice()).refused(InvoiceDuplicate)


# Withholding and the books


def test_what_is_withheld_stands_with_its_jurisdiction_and_the_rest_is_paid():
    table = [{"jurisdiction": "US", "percent": "30"}, {"jurisdiction": "US", "percent": "10", "tax_year": 2026}]
    desk = RuledDesk({"withholding": table}, payee=(OPENED, *form()))
    desk.after(desk.proposed, APPROVE, SUBMIT, said("paid"))
    approved = next(one for one in desk.payment if isinstance(one, PaymentApproved))
    assert (approved.net, approved.withheld) == (money("90.00", "EUR"), money("10.00", "EUR"))
    assert [(e.name, e.amount.amount) for e in approved.journal.entries] == [
        ("payable", D("100.00")),
        ("in_payment", D("-90.00")),
        ("withheld:US", D("-10.00")),
    ]
    made = next(one for one in desk.payment if isinstance(one, PaymentMade))
    assert [e.amount.amount for e in made.journal.entries] == [D("90.00"), D("-90.00")]


def usd(rate, on=date(2026, 4, 3)):
    return InBooks(currency="USD", rates=(Rate(base="EUR", quote="USD", rate=D(rate), on=on, source="ecb"),))


def test_done_when_1_100_00_eur_earned_at_1_10_and_paid_at_1_15_leaves_a_difference_of_5_00():
    desk = Desk()
    desk.after(desk.proposed, replace(APPROVE, books=money("110.00", "USD")), SUBMIT, said("paid", books=usd("1.15")))
    made = next(one for one in desk.payment if isinstance(one, PaymentMade))
    assert [(e.name, e.amount.amount, e.books_amount.amount) for e in made.journal.entries] == [
        ("in_payment", D("100.00"), D("110.00")),
        ("cash", D("-100.00"), D("-115.00")),
        ("fx_difference", D("0.00"), D("5.00")),
    ]
    desk.after(said("returned", provider_event_id="pe-2"))
    entries = [
        e for one in desk.payment for e in getattr(one, "journal", made.journal).entries if hasattr(one, "journal")
    ]
    assert set(trial_balance(entries).values()) | set(books_balance(entries).values()) == {D(0)}


def next_statement(before, *lines, period="2026-04", at=datetime(2026, 5, 2, tzinfo=UTC)):
    return issued(
        *lines,
        history=(before,),
        period=period,
        from_position=before.to_position,
        to_position=lines[-1].position,
        now=at,
    )


# A negative balance and fund money


def test_a_negative_balance_is_carried_and_fund_money_is_paid_whole():
    desk = Desk(line("-500.00", 5), line("1000.00", 6, "fund_approved"))
    desk.after(replace(proposal(desk.account[0], "500.00"), fund_released=money("1000.00", "EUR")), APPROVE)
    order = desk.payment[0]
    assert (order.amount, order.earned) == (money("1000.00", "EUR"), money("-500.00", "EUR"))
    assert [(one.name, one.amount.amount) for one in desk.payment[1].journal.entries] == [
        ("payable:fund", D("1000.00")),
        ("in_payment", D("-1000.00")),
    ]


def test_a_negative_balance_is_recovered_from_the_next_earning():
    desk = Desk(line("-500.00", 5), line("1000.00", 6, "fund_approved"))
    first = desk.account[0]
    desk.after(replace(proposal(first, "500.00"), fund_released=money("1000.00", "EUR")), APPROVE, SUBMIT, said("paid"))
    second = next_statement(first, replace(line("-1000.00", 7, "payment_approved"), cause=PAYMENT), line("700.00", 8))
    asked = replace(proposal(second, "1200.00"), fund_released=money("1000.00", "EUR"))
    when = given(TABLE[ProposePayment], (Accounts.at(ACCOUNT), [*desk.account, second])).when(asked)
    assert (second.closing, when.verdict.events[0][0].amount) == (money("200.00", "EUR"), money("200.00", "EUR"))


def test_a_negative_balance_alone_pays_nothing_beside_fund_money_that_was_paid():
    desk = Desk(line("-500.00", 5), line("1000.00", 6, "fund_approved"))
    first = desk.account[0]
    desk.after(replace(proposal(first, "500.00"), fund_released=money("1000.00", "EUR")), APPROVE, SUBMIT, said("paid"))
    second = next_statement(first, replace(line("-1000.00", 7, "payment_approved"), cause=PAYMENT))
    asked = replace(proposal(second, "500.00"), fund_released=money("1000.00", "EUR"))
    given(TABLE[ProposePayment], (Accounts.at(ACCOUNT), [*desk.account, second])).when(asked).refused(BelowMinimum)


def test_what_was_decided_when_fund_money_was_netted_is_decided_the_same_again():
    [before] = [one for one in HANDLES if one.command is ProposePayment and one.evaluator == 1]
    history = [issued(line("-500.00", 5), line("1000.00", 6, "claim_approved"))]
    when = given(before, (Accounts.at(ACCOUNT), history)).when(proposal(history[0], "500.00"))
    assert when.verdict.events[0][0].amount == money("500.00", "EUR")


def test_a_negative_balance_is_written_off_by_two_people():
    wish = WriteOffNegative(
        account_id=ACCOUNT,
        payee_id="p1",
        partner_id="p1",
        payable=money("-12.00", "EUR"),
        payable_books=None,
        reason="insolvent",
        by="fin-1",
        now=NOW,
    )
    history = [issued(line("-12.00", 5))]
    [[first]] = given(TABLE[WriteOffNegative], (Accounts.at(ACCOUNT), history)).when(wish).verdict.events
    assert isinstance(first, WriteOffProposed)
    history.append(first)
    given(TABLE[WriteOffNegative], (Accounts.at(ACCOUNT), history)).when(wish).refused(FourEyes)
    second = replace(wish, by="fin-2")
    [[gone]] = given(TABLE[WriteOffNegative], (Accounts.at(ACCOUNT), history)).when(second).verdict.events
    assert isinstance(gone, NegativeWrittenOff)
    assert [(e.name, e.amount.amount) for e in gone.journal.entries] == [
        ("expense:write_off", D("12.00")),
        ("payable", D("-12.00")),
    ]


# A provider that contradicts itself


async def test_a_payment_that_was_rejected_and_paid_after_all_is_not_paid_again(tmp_path):
    port = Simulator(tmp_path / "transfers.db", Faults(contradicting_percent=100))
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT)
    calls = provider_calls(port)
    first = await outcome_of(port, project(calls, told(*desk.payment))[PAYMENT], NOW)
    assert first.outcome == REJECTED
    desk.after(first, RETRY, SUBMIT)
    second = await outcome_of(port, project(calls, told(*desk.payment))[PAYMENT], NOW)
    assert (second.outcome, second.unsent, second.reference[-2:]) == (PAID, True, "01")
    desk.after(second)
    assert (desk.stage, len(port.transfers())) == ("paid", 1)


async def test_a_provider_that_never_answers_leaves_the_payment_to_a_person(tmp_path):
    async with started(tmp_path, provider_never_percent=100) as asked:
        payment = await proposed(asked)
        await asked.post(APPROVER, f"{payment}/approve")
        await asked.post(FINANCE, f"{payment}/submit")
        found = await asked.until(FINANCE, payment, lambda row: row["state"] == "unknown")
        while found["ask_again_at"]:
            seen = len(found["history"])
            asked.clock.set(datetime.fromisoformat(found["ask_again_at"]) + timedelta(minutes=1))
            found = await asked.until(FINANCE, payment, lambda row, seen=seen: len(row["history"]) > seen)
        assert (found["state"], len(asked.service.application.ports.transfers())) == ("unknown", 0)
        assert len({step["kind"] for step in found["history"]} & {"PaymentSubmitted"}) == 1


async def test_a_report_is_believed_only_when_the_provider_signed_it(tmp_path):
    async with started(tmp_path, provider_never_percent=100, provider_secret="shared") as asked:
        payment = await proposed(asked)
        await asked.post(APPROVER, f"{payment}/approve")
        reference = (await asked.post(FINANCE, f"{payment}/submit")).json()["reference"]
        await asked.until(FINANCE, payment, lambda row: row["state"] == "unknown")
        said_so = {"reference": reference, "outcome": "paid", "provider_event_id": "e1", "on": "2026-06-03"}
        service = Principal(tenant=TENANT, subject="provider", kind="service")
        forged = await asked.post(service, "/provider-reports", {**said_so, "signature": "0" * 64})
        assert (forged.status_code, forged.json()["slug"]) == (401, "forged")
        signature = hmac.new(b"shared", canonical_json(said_so), hashlib.sha256).hexdigest()
        told_so = await asked.post(service, "/provider-reports", {**said_so, "signature": signature})
        assert (told_so.status_code, told_so.json()["state"]) == (200, "paid")


async def test_what_a_bank_reports_of_a_day_to_come_was_paid_on_the_day_on_which_it_said_so(tmp_path):
    async with started(tmp_path, provider="file", provider_secret="shared") as asked:
        payment, path = await batched(asked)
        await asked.post(FINANCE, f"{path}/send")
        reference = (await asked.get(FINANCE, payment))["reference"]
        content = f"reference,outcome,on,provider_event_id\n{reference},paid,2062-06-05,S-1\n"
        report = {"kind": "csv", "content": content, "signature": hmac_of(content)}
        assert (await asked.post(FINANCE, "/provider-reports/file", report)).status_code == 200
        found = await asked.until(FINANCE, payment, lambda row: row["state"] == "paid")
        assert found["paid_on"] == asked.clock.now().date().isoformat()


async def test_an_old_report_that_is_told_again_changes_nothing_of_a_newer_attempt(tmp_path):
    async with started(tmp_path, provider="file", provider_secret="shared") as asked:
        payment, path = await batched(asked)
        await asked.post(FINANCE, f"{path}/send")

        async def told(reference, outcome, event_id):
            content = f"reference,outcome,on,provider_event_id\n{reference},{outcome},2026-06-05,{event_id}\n"
            report = {"kind": "csv", "content": content, "signature": hmac_of(content)}
            [row] = (await asked.post(FINANCE, "/provider-reports/file", report)).json()["results"]
            return row["result"], (await asked.get(FINANCE, payment))["state"]

        first = (await asked.get(FINANCE, payment))["reference"]
        assert await told(first, "rejected", "S-1") == ("recorded", "failed")
        await asked.post(FINANCE, f"{payment}/retry")
        second = (await asked.post(FINANCE, f"{payment}/submit")).json()["reference"]
        assert await told(first, "rejected", "S-1") == ("repeated", "submitted")
        assert await told(first, "rejected", "S-2") == ("repeated", "submitted")
        assert await told(second, "paid", "S-3") == ("recorded", "paid")
        assert await told(first, "rejected", "S-1") == ("repeated", "paid")
        assert await told(second, "returned", "S-4") == ("recorded", "returned")
        assert await told(second, "paid", "S-3") == ("repeated", "returned")
        [trial] = (await asked.get(FINANCE, "/ledger/balances"))["trial_balance"]
        assert (trial["total"], trial["cash"], trial["in_payment"]) == ("0.00", "0.00", "-100.00")


async def test_money_that_came_back_goes_out_again_under_a_new_reference(tmp_path):
    async with started(tmp_path, provider_secret="shared") as asked:
        payment = await proposed(asked)
        await asked.post(APPROVER, f"{payment}/approve")
        first = (await asked.post(FINANCE, f"{payment}/submit")).json()["reference"]
        await asked.until(FINANCE, payment, lambda row: row["state"] == "paid")
        said_so = {"reference": first, "outcome": "returned", "provider_event_id": "e1", "on": "2026-06-03"}
        signature = hmac.new(b"shared", canonical_json(said_so), hashlib.sha256).hexdigest()
        service = Principal(tenant=TENANT, subject="provider", kind="service")
        told_so = await asked.post(service, "/provider-reports", {**said_so, "signature": signature})
        assert told_so.json()["state"] == "returned"
        asked.clock.set(asked.clock.now() + timedelta(minutes=1))
        assert (await asked.post(FINANCE, f"{payment}/retry")).status_code == 200
        second = (await asked.post(FINANCE, f"{payment}/submit")).json()["reference"]
        found = await asked.until(FINANCE, payment, lambda row: row["state"] == "paid")
        assert (found["reference"], found["reference"] == first) == (second, False)
        assert [one[0] for one in asked.service.application.ports.transfers()] == [first, second]


async def test_a_bank_s_file_is_taken_in_by_finance_row_by_row_and_once(tmp_path):
    async with started(tmp_path, provider_never_percent=100, provider_secret="shared") as asked:
        payment = await proposed(asked)
        await asked.post(APPROVER, f"{payment}/approve")
        reference = (await asked.post(FINANCE, f"{payment}/submit")).json()["reference"]
        others = (f"{'0' * 32}-01,paid,2026-06-03,S-2", "no reference of ours,paid,2026-06-03,S-3")
        rows = [f"{reference},paid,2026-06-03,S-1", *others]
        content = "\n".join(["reference,outcome,on,provider_event_id", *rows])
        file = {"kind": "csv", "content": content, "signature": "0" * 64}
        assert (await asked.post(FINANCE, "/provider-reports/file", file)).json()["slug"] == "forged"
        assert (await asked.post(P1, "/provider-reports/file", file)).status_code == 403
        file["signature"] = hmac_of(content)
        first = (await asked.post(FINANCE, "/provider-reports/file", file)).json()["results"]
        assert [(one["result"], one.get("slug")) for one in first] == [
            ("recorded", None),
            ("refused", "not-found"),
            ("refused", "unknown-reference"),
        ]
        await asked.until(FINANCE, payment, lambda row: row["state"] == "paid")
        again = (await asked.post(FINANCE, "/provider-reports/file", file)).json()["results"]
        assert again[0]["result"] == "repeated"


async def test_a_payment_that_goes_out_in_a_file_is_under_way_until_the_bank_s_report_is_brought(tmp_path):
    async with started(tmp_path, provider="file", provider_secret="shared") as asked:
        payment, path = await batched(asked)
        await asked.post(FINANCE, f"{path}/send")
        asked.clock.set(asked.clock.now() + timedelta(days=3))
        await asked.rest()
        found = await asked.get(FINANCE, payment)
        assert (found["state"], [one["kind"] for one in found["history"]][-1]) == ("submitted", "PaymentSubmitted")
        file = await asked._client.get(f"{path}/pain001", headers=asked._as(FINANCE))
        assert (file.status_code, found["reference"] in file.text) == (200, True)
        asked.clock.set(asked.clock.now() + timedelta(days=2))
        await asked.until(FINANCE, payment, lambda row: row["history"][-1]["kind"] == "PaymentUnreported")
        assert (await asked.get(FINANCE, payment))["state"] == "submitted"
        assert await attention(asked) == ["AttentionRaised"]
        content = f"reference,outcome,on,provider_event_id\n{found['reference']},paid,2026-06-05,S-1\n"
        report = {"kind": "csv", "content": content, "signature": hmac_of(content)}
        [row] = (await asked.post(FINANCE, "/provider-reports/file", report)).json()["results"]
        assert row["result"] == "recorded"
        await asked.until(FINANCE, payment, lambda row: row["state"] == "paid")
        await asked.rest()
        assert await attention(asked) == ["AttentionRaised", "AttentionCleared"]


async def attention(asked):
    """What the others were told of a report that is missing."""
    recorded = await asked.service.store.feed(0, 1_000)
    public = [publish(one.seen("incentives")) for one in recorded]
    return [type(one).__name__ for one in public if getattr(one, "topic", "") == "payment-unreported"]


async def test_no_file_holds_a_payment_that_came_back_until_it_is_submitted_again(tmp_path):
    async with started(tmp_path, provider="file", provider_secret="shared") as asked:
        payment, batch = await batched(asked)
        assert await filed(asked, batch, payment) == [422, 422]
        await asked.post(FINANCE, f"{batch}/send")
        assert await filed(asked, batch, payment) == [200, 409], "what is in a batch's file is in no other"
        reference = (await asked.get(FINANCE, payment))["reference"]
        content = f"reference,outcome,on,provider_event_id\n{reference},rejected,2026-06-05,S-1\n"
        report = {"kind": "csv", "content": content, "signature": hmac_of(content)}
        assert (await asked.post(FINANCE, "/provider-reports/file", report)).status_code == 200
        await asked.until(FINANCE, payment, lambda row: row["state"] == "failed")
        assert await filed(asked, batch, payment) == [422, 409]
        assert (await asked.post(FINANCE, f"{payment}/retry")).json()["state"] == "approved"
        assert await filed(asked, batch, payment) == [422, 409]
        assert (await asked.post(FINANCE, f"{payment}/submit")).json()["state"] == "submitted"
        assert await filed(asked, batch, payment) == [422, 200], "it went out again by itself"


async def batched(asked):
    """A payment to an account that has cooled down, and the approved batch that it is in."""
    await asked.hear(activated())
    await ready(asked)
    asked.clock.set(asked.clock.now() + timedelta(hours=120))
    payment = await proposed(asked)
    body = {"currency": "EUR", "day": "2026-06-03", "payment_ids": [payment.removeprefix("/payments/")]}
    batch = f"/batches/{(await asked.post(FINANCE, '/batches', body)).json()['batch_id']}"
    await asked.post(APPROVER, f"{batch}/approve")
    return payment, batch


async def filed(asked, *paths):
    return [(await asked._client.get(f"{one}/pain001", headers=asked._as(FINANCE))).status_code for one in paths]


def hmac_of(content):
    return hmac.new(b"shared", content.encode(), hashlib.sha256).hexdigest()


# Payees, batches and files over HTTP


OWNER = replace(P1, subject="per-9")


async def ready(asked):
    iban = {"iban": "DE89370400440532013000", "holder": "=cmd|' /C calc'!A0"}
    assert (await asked.post(P2, "/payees/p1/bank/verify", {"bank_id": "b"})).status_code == 404
    client = asked._client
    headers = {**asked._as(P1), "Idempotency-Key": "bank-1"}
    changed = await client.put("/payees/p1/bank", json=iban, headers=headers)
    assert changed.status_code == 200
    await asked.settle()
    [payee] = (await asked.get(P1, "/payees"))["items"]
    assert payee["gates"] == ["bank_cool_down", "bank_verified"]
    known = (await asked.get(P1, "/payees/p1"))["bank"]
    verify = {"bank_id": changed.json()["bank_id"]}
    named = {name: known[name] for name in ("bank_id", "last_digits", "cools_until")}
    assert changed.json() == {"payee_id": "p1", **named}, "what the next step takes"
    assert known["last_digits"] == "3000"
    assert (await asked.post(P1, "/payees/p1/bank/verify", verify)).json()["slug"] == "four-eyes"
    assert (await asked.post(OWNER, "/payees/p1/bank/verify", verify)).status_code == 200
    assert (await asked.get(P1, "/payees"))["items"][0]["gates"] == ["bank_cool_down"]


async def test_bank_details_are_changed_verified_and_cool_down_over_http(incentives):
    await incentives.hear(activated())
    await ready(incentives)
    incentives.clock.set(incentives.clock.now() + timedelta(hours=120))
    assert (await incentives.get(P1, "/payees"))["items"][0]["gates"] == []
    log = b"".join(one.data for one in await incentives.service.store.feed(0, 500))
    assert b"DE89370400440532013000" not in log


@pytest.mark.parametrize("iban", ["DE89370400440532013001", "DE8937040044053201300", "ZZ89370400440532013000"])
async def test_an_account_whose_check_digits_do_not_fit_is_no_account(incentives, iban):
    await incentives.hear(activated())
    headers = {**incentives._as(P1), "Idempotency-Key": "bank-1"}
    wish = {"iban": iban, "holder": "Northwind"}
    refused = await incentives._client.put("/payees/p1/bank", json=wish, headers=headers)
    assert refused.status_code == 422
    [fault] = refused.json()["errors"]
    said = "that is no IBAN: compare it with the contract, a digit may be wrong or missing"
    assert fault == {"path": "body.iban", "code": "value-error", "message": said}


AT_A_BANK = {"number": "000123456789", "clearing": "USABA", "clearing_number": "111000025", "holder": "Northwind Inc"}


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({**AT_A_BANK, "iban": "DE89370400440532013000"}, "by its IBAN, or by its number and its bank: one of the two"),
        ({"holder": "Northwind Inc"}, "by its IBAN, or by its number and its bank: one of the two"),
        ({"number": "1", "holder": "N"}, "needs its bank: by its BIC, or its number in a clearing system"),
        ({"iban": "DE89370400440532013000", "bic": "COBADEFF", "holder": "N"}, "names its bank: leave the bank out"),
        ({**AT_A_BANK, "clearing_number": ""}, "a clearing system and the bank's number in it go together"),
        ({**AT_A_BANK, "clearing": "DEBLZ"}, "the clearing system is one of AUBSB, CACPA,"),
        ({**AT_A_BANK, "clearing_number": "1110-00025"}, "no bank's number in USABA: leave out spaces and hyphens"),
        ({**AT_A_BANK, "clearing_number": "111000026"}, "no routing number: its check digit does not fit"),
        ({"number": "1", "bic": "BOTKXXJT", "holder": "N"}, "that is no BIC"),
        ({"number": "1", "bic": "botkjpjt", "holder": "N"}, "should match pattern"),
    ],
)
async def test_an_account_without_an_iban_names_its_bank_or_is_no_account(incentives, wish, said):
    await incentives.hear(activated())
    headers = {**incentives._as(P1), "Idempotency-Key": "bank-1"}
    refused = await incentives._client.put("/payees/p1/bank", json=wish, headers=headers)
    assert refused.status_code == 422
    assert said in refused.json()["errors"][0]["message"]


async def test_an_account_without_an_iban_is_kept_sealed_shown_by_its_last_digits_and_paid(incentives):
    await incentives.hear(activated())
    headers = {**incentives._as(P1), "Idempotency-Key": "bank-1"}
    assert (await incentives._client.put("/payees/p1/bank", json=AT_A_BANK, headers=headers)).status_code == 200
    await incentives.settle()
    shown = await incentives.get(P1, "/payees/p1")
    assert shown["bank"]["last_digits"] == "6789"
    verify = {"bank_id": shown["bank"]["bank_id"]}
    assert (await incentives.post(OWNER, "/payees/p1/bank/verify", verify)).status_code == 200
    log = b"".join(one.data for one in await incentives.service.store.feed(0, 500))
    assert b"000123456789" not in log


async def test_a_batch_is_prepared_approved_sent_paid_and_closed(incentives):
    await incentives.hear(activated())
    await ready(incentives)
    statement = await stated(incentives)
    made = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    payment_id = made.json()["payment_id"]
    body = {"currency": "EUR", "day": "2026-06-03", "payment_ids": [payment_id]}
    assert (await incentives.post(FINANCE, "/batches", {**body, "currency": "USD"})).json()["slug"] == "batch-invalid"
    batch = (await incentives.post(FINANCE, "/batches", body)).json()
    path = f"/batches/{batch['batch_id']}"
    assert (await incentives.post(FINANCE, f"{path}/approve")).status_code == 403
    same = replace(APPROVER, subject="fin-1")
    assert (await incentives.post(same, f"{path}/approve")).json()["slug"] == "four-eyes"
    assert (await incentives.post(APPROVER, f"{path}/approve")).json()["state"] == "approved"
    assert (await incentives.post(FINANCE, f"{path}/close")).json()["slug"] == "wrong-state"
    assert (await incentives.post(FINANCE, f"{path}/send")).json()["state"] == "sent"
    await incentives.until(FINANCE, f"/payments/{payment_id}", lambda row: row["state"] == "paid")
    assert (await incentives.post(FINANCE, f"{path}/close")).json()["state"] == "closed"
    answer = await incentives._client.get(f"{path}/pain001", headers=incentives._as(FINANCE))
    told_xml = ET.fromstring(answer.content)
    names = {element.tag.removeprefix(f"{{{PAIN}}}"): element.text for element in told_xml.iter()}
    assert (names["EndToEndId"], names["IBAN"], names["InstdAmt"], names["NbOfTxs"]) == (
        (await incentives.get(FINANCE, f"/payments/{payment_id}"))["reference"],
        "DE89370400440532013000",
        "100.00",
        "1",
    )
    table = await incentives._client.get(f"{path}/csv", headers=incentives._as(FINANCE))
    row = table.text.splitlines()[1].split(",")
    assert (row[3:7], row[8:]) == (["100.00", "100.00", "EUR", "paid"], ["0.00", "0.00"])
    assert [one["state"] for one in (await incentives.get(FINANCE, "/batches"))["items"]] == ["closed"]


async def test_a_payee_without_bank_details_is_paid_by_the_provider_and_stands_in_no_file_for_a_bank(incentives):
    payment = await proposed(incentives)
    [payee] = (await incentives.get(P1, "/payees"))["items"]
    assert (payee["gates"], [one["code"] for one in payee["cautions"]]) == ([], ["no_bank_file"])
    body = {"currency": "EUR", "day": "2026-06-03", "payment_ids": [payment.removeprefix("/payments/")]}
    batch = (await incentives.post(FINANCE, "/batches", body)).json()
    path = f"/batches/{batch['batch_id']}"
    await incentives.post(APPROVER, f"{path}/approve")
    await incentives.post(FINANCE, f"{path}/send")
    await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
    refused = await incentives._client.get(f"{path}/pain001", headers=incentives._as(FINANCE))
    assert (refused.status_code, refused.json()["slug"], refused.json()["payees"]) == (409, "no-bank-details", ["p1"])
    await ready(incentives)
    [payee] = (await incentives.get(P1, "/payees"))["items"]
    assert payee["cautions"] == []
    early = await incentives._client.get(f"{path}/pain001", headers=incentives._as(FINANCE))
    assert early.json()["slug"] == "no-bank-details", "they are verified, and have not cooled down"
    incentives.clock.set(incentives.clock.now() + timedelta(hours=120))
    assert (await incentives._client.get(f"{path}/pain001", headers=incentives._as(FINANCE))).status_code == 200


async def test_a_file_names_the_account_that_a_payment_was_handed_over_for_whatever_is_entered_after_that(incentives):
    await incentives.hear(activated())
    await ready(incentives)
    statement = await stated(incentives)
    made = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    payment = f"/payments/{made.json()['payment_id']}"
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "approved"
    assert (await incentives.post(FINANCE, f"{payment}/submit")).json()["state"] == "submitted"
    other = {"iban": "GB82WEST12345698765432", "holder": "Somebody else"}
    headers = {**incentives._as(P1), "Idempotency-Key": "bank-2"}
    assert (await incentives._client.put("/payees/p1/bank", json=other, headers=headers)).status_code == 200
    file = await incentives._client.get(f"{payment}/pain001", headers=incentives._as(FINANCE))
    assert ("DE89370400440532013000" in file.text, other["iban"] in file.text) == (True, False)


async def test_what_was_paid_and_withheld_in_a_year_is_told_to_finance_alone(incentives):
    await incentives.hear(activated())
    payment = await proposed(incentives)
    await incentives.post(APPROVER, f"{payment}/approve")
    await incentives.post(FINANCE, f"{payment}/submit")
    await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
    [row] = (await incentives.get(FINANCE, "/tax-years?year=2026"))["items"]
    assert (row["payee_id"], row["paid"], row["withheld"], row["payments"]) == ("p1", "100.00", "0.00", 1)
    assert (await incentives.get(FINANCE, "/tax-years?year=2025"))["items"] == []
    assert await incentives.get(P1, "/tax-years") == 403


async def test_the_next_statement_is_read_as_it_stands_with_what_is_carried_by_cause(incentives):
    statement = await stated(incentives)
    path = "/statements/live?partner_id=p1&currency=EUR"
    nothing = await incentives.get(P1, path)
    hundred = {"amount": "100.00", "currency": "EUR"}
    assert (nothing["opening"], nothing["lines"], nothing["causes"], nothing["closing"]) == (hundred, [], [], hundred)
    await incentives.hear(won("o2", "500.00"))
    await incentives.hear(credited(("p1", "100.00"), opportunity_id="o2"))
    await incentives.hear(refunded("r-1", "300.00", date(2026, 3, 18)))
    incentives.clock.set(datetime(2026, 8, 20, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines?state=payable", lambda page: len(page["items"]) == 2)
    live = await incentives.get(P1, path)
    assert live["opening"] == hundred
    assert live["causes"] == [
        {"kind": "calculated", "amount": {"amount": "50.00", "currency": "EUR"}},
        {"kind": "reversed", "amount": {"amount": "-30.00", "currency": "EUR"}},
    ]
    assert live["closing"] == {"amount": "120.00", "currency": "EUR"}
    assert (
        live["from_position"] == (await incentives.get(P1, f"/statements/{statement['statement_id']}"))["to_position"]
    )
    assert (await incentives.get(P1, path.replace("EUR", "KWD")))["closing"] == {"amount": "0.000", "currency": "KWD"}
    assert await incentives.get(P2, path) == 404
    assert await incentives.get(P1, path.replace("EUR", "XXQ")) == 422


async def test_payment_rules_hold_once_they_are_published(incentives):
    draft = {"rulebook_id": "pay", "kind": "payment", "body": LIMITS, "examples": []}
    assert (await incentives.post(ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await incentives.post(OTHER_ADMIN, "/rulebooks/pay/publish", {"version": 1})).status_code == 200
    payment = await proposed(incentives)
    answer = await incentives.post(APPROVER, f"{payment}/approve")
    assert (answer.status_code, answer.json()["slug"]) == (403, "over-limit")
    cfo = replace(APPROVER, subject="fin-9", duties=("approver", "cfo"))
    assert (await incentives.post(cfo, f"{payment}/approve")).json()["state"] == "approved"


@pytest.mark.parametrize(
    "wrong",
    [
        {"cool_down_hours": 23},
        {"minimums": {"EUR": "1001"}},
        {"limits": {"x": {"XXX": "1"}}},
        {"withholding": [{"jurisdiction": "US", "percent": "101"}]},
    ],
)
def test_payment_rules_name_what_is_wrong_with_them(wrong):
    assert PAYMENT_RULES.check(PAYMENT_RULES.read(wrong))
    assert PaymentRules().cool_down_hours == 120

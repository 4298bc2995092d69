"""From which amount of a tax year on a form is asked for, or tax withheld: by jurisdiction, kind of payee, and year."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chassis.testing.projections import assert_repeatable, project, told
from chassis.verify import verify_decisions
from contracts.values import money, none_of
from services.incentives.domain.explaining_payments import EXPLAIN_PAYMENTS
from services.incentives.domain.payee import Payees, asks_tax_form, tax_home, unmet
from services.incentives.domain.payee_events import PayeeOpened, StandingRecorded
from services.incentives.domain.payment import GateUnmet, payment_id
from services.incentives.domain.payment_rules import PAYMENT_RULES, PaymentFacts, evaluate
from services.incentives.domain.thresholds import (
    Measured,
    TaxHome,
    Threshold,
    YearSoFar,
    asked,
    measured,
    text_of_measured,
    threshold_faults,
)
from services.incentives.projections.paid_years import PAID_YEARS
from tests.incentives.orders import APPROVE, NOW, OPENED, PAYMENT, RESUME, SUBMIT, Desk, said
from tests.incentives.test_paying import LIMITS, RuledDesk, form
from tests.incentives.test_service import (
    ADMIN,
    APPROVER,
    FINANCE,
    OTHER_ADMIN,
    P1,
    incentives,
    proposed,
)

__all__ = ["incentives"]
D = Decimal
US = {"asks": "tax_form", "jurisdiction": "US", "from_amount": "600", "currency": "USD"}
DE = {"asks": "tax_form", "jurisdiction": "DE", "from_amount": "150", "currency": "EUR"}
IN_US = TaxHome(jurisdiction="US", payee_kind="company")


def threshold(**changes):
    fields = {"asks": "tax_form", "jurisdiction": "US", "from_amount": D(600), "currency": "USD"}
    return Threshold(**{**fields, **changes})


def year(*totals, tax_year=2026):
    return YearSoFar(tax_year=tax_year, totals=tuple(money(*one.split()) for one in totals), position=7)


def country(code, on=date(2026, 1, 1), event_id="c1"):
    return StandingRecorded(
        payee_id="p1",
        partner_id="p1",
        field="region",
        values=(code,),
        effective_on=on,
        source_event_id=event_id,
        recorded_at=NOW,
    )


# One threshold


@pytest.mark.parametrize(("total", "reached"), [("599.99 USD", False), ("600.00 USD", True), ("600.01 USD", True)])
def test_a_threshold_is_reached_from_its_amount_on(total, reached):
    [one] = measured([threshold()], "tax_form", IN_US, 2026, year(total))
    assert one.reached is reached


def test_it_counts_for_its_jurisdiction_kind_of_payee_and_year_alone():
    rules = [
        threshold(),
        threshold(jurisdiction="DE"),
        threshold(payee_kind="person"),
        threshold(asks="withholding", from_amount=D(1)),
        threshold(tax_year=2025, from_amount=D(400)),
    ]
    [one] = measured(rules, "tax_form", IN_US, 2026, year("1.00 USD"))
    assert (one.jurisdiction, one.payee_kind, one.threshold) == ("US", "company", money("600.00", "USD"))
    [before] = measured(rules, "tax_form", IN_US, 2025, year("1.00 USD", tax_year=2025))
    assert before.threshold == money("400.00", "USD")


def test_the_table_of_a_year_stands_before_the_one_of_every_year_in_whatever_order_they_are_written():
    both = [threshold(tax_year=2026, from_amount=D(2000)), threshold()]
    for rules in (both, both[::-1]):
        assert measured(rules, "tax_form", IN_US, 2026, None)[0].threshold == money("2000.00", "USD")
        assert measured(rules, "tax_form", IN_US, 2027, None)[0].threshold == money("600.00", "USD")


def test_while_nobody_knows_the_jurisdiction_each_one_counts():
    unknown = TaxHome(jurisdiction=None, payee_kind="company")
    rules = [threshold(), threshold(jurisdiction="DE", from_amount=D(150), currency="EUR")]
    found = measured(rules, "tax_form", unknown, 2026, year("200.00 USD", "180.00 EUR"))
    assert [(one.jurisdiction, one.reached) for one in found] == [("DE", True), ("US", False)]
    assert asked(found, unknown, otherwise=False)
    low = measured(rules, "tax_form", unknown, 2026, year("20.00 USD", "18.00 EUR"))
    assert not asked(low, unknown, otherwise=False)
    assert asked(low, unknown, otherwise=True), "elsewhere it may be asked for from the first payment on"


def test_what_cannot_be_counted_reaches_every_threshold():
    for so_far in (None, year("1.00 EUR"), year("1.00 USD", tax_year=2025)):
        [one] = measured([threshold()], "tax_form", IN_US, 2026, so_far)
        assert (one.total, one.reached) == (None, True)
    text = "what is paid in 2026 has no rate into USD, so it counts as 600.00 USD, from which on a tax form is asked for in US"
    assert text_of_measured(one) == text


def test_a_threshold_says_what_it_looks_at():
    [low, high] = [
        measured([threshold()], "tax_form", IN_US, 2026, year(one))[0] for one in ("40.00 USD", "640.00 USD")
    ]
    assert (
        text_of_measured(low) == "40.00 USD in 2026 stays below 600.00 USD, from which on a tax form is asked for in US"
    )
    assert text_of_measured(high).startswith("640.00 USD in 2026 reaches 600.00 USD")
    [nothing] = measured(
        [threshold()], "tax_form", IN_US, 2026, YearSoFar(tax_year=2026, totals=(none_of("USD"),), position=0)
    )
    assert text_of_measured(nothing).startswith("0.00 USD in 2026 stays below")


@for_all(
    paid=st.lists(st.integers(min_value=0, max_value=10_000), max_size=8),
    bound=st.integers(min_value=0, max_value=20_000),
    more=st.integers(min_value=0, max_value=10_000),
)
def test_more_money_never_asks_for_less(paid, bound, more):
    rules = [threshold(from_amount=D(bound))]
    before, after = (
        asked(measured(rules, "tax_form", IN_US, 2026, year(f"{total}.00 USD")), IN_US, otherwise=False)
        for total in (sum(paid), sum(paid) + more)
    )
    assert before == (sum(paid) >= bound)
    assert after or not before


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_amount": "-1"},
        {"from_amount": "NaN"},
        {"from_amount": "1.005"},
        {"currency": "XXX"},
        {"currency": "JPY", "from_amount": "1.5"},
    ],
)
def test_thresholds_name_what_is_wrong_with_them(wrong):
    assert PAYMENT_RULES.check(PAYMENT_RULES.read({"thresholds": [{**US, **wrong}]}))
    assert not PAYMENT_RULES.check(PAYMENT_RULES.read({"thresholds": [US, DE]}))


def test_two_thresholds_for_the_same_are_refused_and_there_are_not_endlessly_many():
    assert threshold_faults([threshold(), threshold(from_amount=D(1))])
    assert not threshold_faults([threshold(), threshold(asks="withholding")])
    assert threshold_faults([threshold(tax_year=2000 + one) for one in range(201)])


# Where a payee is taxed


def test_a_payee_is_taxed_by_its_newest_accepted_form_else_in_its_partners_country():
    assert tax_home(Payees.fold([OPENED]), NOW) == TaxHome(jurisdiction=None, payee_kind="company")
    moved = [OPENED, country("AT"), country("DE", date(2026, 3, 1), "c2")]
    assert tax_home(Payees.fold(moved), NOW) == TaxHome(jurisdiction="DE", payee_kind="company")
    assert tax_home(Payees.fold(moved), datetime(2026, 2, 1, tzinfo=UTC)).jurisdiction == "AT"
    assert tax_home(Payees.fold([*moved, *form("person", 2025)]), NOW) == TaxHome(
        jurisdiction="US", payee_kind="person"
    )
    assert tax_home(Payees.fold([*moved, *form(year=2027)]), NOW).jurisdiction == "DE"


def test_a_person_may_be_taxed_elsewhere_than_its_employer():
    person = PayeeOpened(payee_id="per-9", partner_id="p1", revision=0, opened_at=NOW)
    assert tax_home(Payees.fold([person, country("DE")]), NOW) == TaxHome(jurisdiction=None, payee_kind="person")


# The gate


def gates(*events, so_far, **body):
    return unmet(Payees.fold((OPENED, *events)), NOW, PAYMENT_RULES.read(body), so_far)


def test_a_tax_form_is_asked_for_from_the_threshold_on():
    rules = {"thresholds": [DE]}
    assert gates(country("DE"), so_far=year("149.99 EUR"), **rules) == ()
    assert gates(country("DE"), so_far=year("150.00 EUR"), **rules) == ("tax_form",)
    assert gates(country("DE"), *form(), so_far=year("150.00 EUR"), **rules) == ()


def test_where_the_rules_ask_everybody_a_threshold_lets_its_jurisdiction_begin_later():
    rules = {"gates": ["tax_form"], "thresholds": [DE]}
    assert gates(country("DE"), so_far=year("10.00 EUR"), **rules) == ()
    assert gates(country("FR"), so_far=year("10.00 EUR"), **rules) == ("tax_form",)


def test_a_new_year_begins_at_nothing_and_asks_for_its_own_form():
    payee = Payees.fold((OPENED, country("DE"), *form(year=2026)))
    rules = PAYMENT_RULES.read({"thresholds": [{**DE, "jurisdiction": "US"}]})
    january = datetime(2027, 1, 2, tzinfo=UTC)
    assert unmet(payee, NOW, rules, year("900.00 EUR")) == ()
    assert unmet(payee, january, rules, year("100.00 EUR", tax_year=2027)) == ()
    assert unmet(payee, january, rules, year("150.00 EUR", tax_year=2027)) == ("tax_form",)
    assert not asks_tax_form(payee, january, rules, year("149.99 EUR", tax_year=2027))


# Payments


def desk_with(*events, **body):
    desk = RuledDesk(body)
    desk.payee += events
    desk.after(desk.proposed)
    return desk


def with_year(wish, *totals):
    return replace(wish, so_far=year(*totals))


def test_a_payment_that_reaches_the_threshold_is_blocked_until_a_form_is_accepted_and_says_why():
    desk = desk_with(country("DE"), thresholds=[DE])
    desk.after(with_year(APPROVE, "150.00 EUR"))
    blocked = desk.payment[-1]
    assert (blocked.gates, desk.stage) == (("tax_form",), "blocked")
    assert blocked.thresholds == (
        Measured(
            asks="tax_form",
            jurisdiction="DE",
            payee_kind="company",
            tax_year=2026,
            threshold=money("150.00", "EUR"),
            total=money("150.00", "EUR"),
        ),
    )
    assert why(desk) == {
        "tax_form": "the gate tax_form is shut",
        "threshold": "150.00 EUR in 2026 reaches 150.00 EUR, from which on a tax form is asked for in DE",
    }
    desk.asks(with_year(RESUME, "150.00 EUR")).refused(GateUnmet)
    desk.payee += form()
    assert desk.after(with_year(RESUME, "150.00 EUR"), with_year(APPROVE, "150.00 EUR")).stage == "approved"


def why(desk):
    [seen] = told(desk.payment[-1])
    return {reason.code: reason.text for reason in EXPLAIN_PAYMENTS[type(seen.event)](seen).reasons}


def test_a_payment_below_the_threshold_goes_out_and_says_so():
    desk = desk_with(country("DE"), thresholds=[DE])
    desk.after(with_year(APPROVE, "149.99 EUR"))
    assert desk.stage == "approved"
    assert why(desk)["threshold"].startswith("149.99 EUR in 2026 stays below 150.00 EUR")


def test_what_another_account_was_paid_meanwhile_blocks_at_submission_and_gives_back_what_was_drawn():
    desk = desk_with(country("DE"), thresholds=[DE])
    desk.after(with_year(APPROVE, "149.99 EUR"), with_year(SUBMIT, "249.99 EUR"))
    assert (desk.stage, desk.payment[-1].gates) == ("blocked", ("tax_form",))
    assert [(one.name, one.amount.amount) for one in desk.payment[-1].journal.entries] == [
        ("payable", D("-100.00")),
        ("in_payment", D("100.00")),
    ]


def test_tax_is_withheld_of_the_payment_with_which_the_threshold_is_reached_and_of_none_before():
    table = {"withholding": [{"jurisdiction": "US", "percent": "30"}]}
    later = {**table, "thresholds": [{**US, "asks": "withholding", "currency": "EUR"}]}
    for body, total, withheld in (
        (table, "100.00 EUR", money("30.00", "EUR")),
        (later, "599.99 EUR", None),
        (later, "600.00 EUR", money("30.00", "EUR")),
        (later, "600.00 USD", money("30.00", "EUR")),
    ):
        desk = desk_with(*form(), **body)
        desk.after(with_year(APPROVE, total))
        assert desk.payment[-1].withheld == withheld
        assert sum(one.amount.amount for one in desk.payment[-1].journal.entries) == 0


def test_a_year_that_begins_without_a_form_is_withheld_of_by_the_last_one_until_there_is_a_new_one():
    table = {"withholding": [{"jurisdiction": "US", "percent": "30"}]}
    for year_of_form, body, withheld in (
        (2025, {**table, "thresholds": [US]}, money("30.00", "EUR")),
        (2027, {**table, "thresholds": [US]}, None),
        (2025, table, None),
    ):
        desk = desk_with(*form(year=year_of_form), **body)
        desk.after(with_year(APPROVE, "100.00 USD"))
        assert (desk.stage, desk.payment[-1].withheld) == ("approved", withheld)


def test_rules_without_thresholds_record_what_they_recorded_before():
    desk = Desk()
    desk.after(desk.proposed, APPROVE)
    assert not desk.payment[-1].thresholds
    ruled = desk_with(gates=["tax_form"])
    ruled.after(APPROVE)
    assert (ruled.payment[-1].gates, bool(ruled.payment[-1].thresholds)) == (("tax_form",), False)


def test_rules_are_tried_with_what_was_paid_before():
    body = {
        **LIMITS,
        "withholding": [{"jurisdiction": "US", "percent": "30"}],
        "thresholds": [{**US, "asks": "withholding"}],
    }
    facts = PaymentFacts(amount=money("100.00", "USD"), jurisdiction="US", tax_year=2026, roles=())
    for before, withheld in ((None, "0 USD"), (money("499.99", "USD"), "0 USD"), (money("500.00", "USD"), "30.00 USD")):
        found = evaluate(replace(facts, paid_before=before), PAYMENT_RULES.read(body))
        texts = {reason.code: reason.text for reason in found.reasons}
        assert D(texts["withheld"].split()[0]) == D(withheld.split()[0])
        assert "in 2026" in texts["threshold"]


# What a payee has come to


def test_a_payment_counts_from_its_approval_until_it_fails_and_in_the_year_in_which_it_is_paid():
    desk = Desk()
    desk.after(desk.proposed, APPROVE)
    assert counted(desk) == {PAYMENT: ("100.00", "EUR", None)}
    desk.after(SUBMIT, said("paid", on=date(2027, 1, 2)))
    assert counted(desk) == {PAYMENT: ("100.00", "EUR", "2027-01-02")}
    desk.after(said("returned", provider_event_id="pe-2"))
    assert counted(desk) == {}


def counted(desk):
    seen = told(*desk.payment)
    assert_repeatable(PAID_YEARS, seen)
    [document] = project(PAID_YEARS, seen).values()
    return {name: (one["amount"], one["currency"], one["paid_on"]) for name, one in document["payments"].items()}


def test_of_years_that_nothing_is_asked_about_any_more_nothing_is_kept():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("paid"))
    made = desk.payment[-1]
    later = [
        replace(made, payment_id=payment_id("p1-EUR", number), paid_on=date(2026 + number, 5, 1)) for number in (1, 2)
    ]
    [document] = project(PAID_YEARS, told(*desk.payment, *later)).values()
    assert sorted(one["paid_on"] for one in document["payments"].values()) == ["2027-05-01", "2028-05-01"]


# The service


async def publish(asked, **body):
    draft = {"rulebook_id": "payments", "kind": "payment", "body": body, "examples": []}
    answer = await asked.post(ADMIN, "/rulebooks", draft)
    assert answer.status_code == 201, answer.text
    assert (await asked.post(OTHER_ADMIN, "/rulebooks/payments/publish", {"version": 1})).status_code == 200


async def test_the_service_counts_the_payment_itself_and_asks_for_a_form_from_the_threshold_on(incentives):
    await publish(incentives, thresholds=[{**DE, "from_amount": "100"}])
    payment = await proposed(incentives)
    before = await incentives.get(P1, "/payees/p1")
    assert before["gates"] == []
    assert [(one["total"]["amount"], one["reached"]) for one in before["thresholds"]] == [("0.00", False)]
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "blocked"
    found = await incentives.get(FINANCE, payment)
    why_blocked = await incentives.get(FINANCE, f"/why/{found['event_id']}")
    texts = {reason["code"]: reason["text"] for reason in why_blocked["reasons"]}
    assert texts["threshold"] == "100.00 EUR in 2026 reaches 100.00 EUR, from which on a tax form is asked for in DE"
    await accepted(incentives, "DE")
    assert (await incentives.post(FINANCE, f"{payment}/resume")).json()["state"] == "proposed"
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "approved"
    after = await incentives.get(P1, "/payees/p1")
    assert [(one["total"]["amount"], one["reached"]) for one in after["thresholds"]] == [("100.00", True)]
    assert (await incentives.get(P1, "/payees"))["items"][0]["gates"] == []
    executor = incentives.service.application.executor
    report = await verify_decisions(executor.store, executor.every_handles)
    assert report.holds, report.lines()


async def accepted(asked, jurisdiction):
    body = {"form": "W-8BEN-E", "jurisdiction": jurisdiction, "tax_year": 2026, "form_sha256": "a" * 64}
    assert (await asked.put(P1, "/payees/p1/tax", body)).status_code == 200
    [form_id] = (await asked.get(P1, "/payees"))["items"][0]["tax_forms"]
    decided = await asked.post(FINANCE, f"/payees/p1/tax/{form_id}/decide", {"outcome": "accepted"})
    assert decided.status_code == 200, decided.text


async def test_what_was_paid_shuts_the_gate_of_the_next_payment_and_tells_since_when(incentives):
    await publish(incentives, thresholds=[{**DE, "from_amount": "100.01"}])
    payment = await proposed(incentives)
    await incentives.post(APPROVER, f"{payment}/approve")
    await incentives.post(FINANCE, f"{payment}/submit")
    await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
    assert (await incentives.get(P1, "/payees/p1"))["gates"] == []
    lower = {"thresholds": [{**DE, "from_amount": "100"}]}
    draft = {"rulebook_id": "payments", "kind": "payment", "body": lower, "examples": []}
    assert (await incentives.post(ADMIN, "/rulebooks", draft)).status_code == 201
    published = await incentives.post(OTHER_ADMIN, "/rulebooks/payments/publish", {"version": 2})
    assert published.status_code == 200, published.text
    [gate] = (await incentives.get(P1, "/payees/p1"))["gates"]
    assert gate["gate"] == "tax_form"
    assert gate["text"].endswith("100.00 EUR in 2026 reaches 100.00 EUR, from which on a tax form is asked for in DE")
    assert (await incentives.get(P1, "/payees"))["items"][0]["gates"] == ["tax_form"]


async def test_in_another_currency_it_counts_at_the_rate_of_its_day_and_without_one_as_reached(incentives):
    await publish(incentives, thresholds=[{**DE, "currency": "USD", "from_amount": "109"}])
    payment = await proposed(incentives)
    body = {"currency": "EUR", "day": "2026-06-03", "payment_ids": [payment.removeprefix("/payments/")]}
    batch = (await incentives.post(FINANCE, "/batches", body)).json()["batch_id"]
    rates = {"source": "ecb", "on": "2026-06-02", "pairs": {"EUR/USD": "1.0842"}}
    [shown] = (await incentives.get(P1, "/payees/p1"))["thresholds"]
    assert (shown["total"]["amount"], shown["reached"]) == ("0.00", False)
    assert (await incentives.post(APPROVER, f"/batches/{batch}/approve")).status_code == 200
    found = await incentives.get(FINANCE, payment)
    assert (found["state"], found["gates"]) == ("blocked", ["tax_form"])
    texts = [one["text"] for one in (await incentives.get(FINANCE, f"/why/{found['event_id']}"))["reasons"]]
    assert "what is paid in 2026 has no rate into USD" in texts[1]
    assert (await incentives.post(FINANCE, "/rates", rates)).status_code == 201
    assert (await incentives.post(FINANCE, f"{payment}/resume")).json()["state"] == "proposed"
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "approved"
    [shown] = (await incentives.get(P1, "/payees/p1"))["thresholds"]
    assert (shown["total"], shown["reached"]) == ({"amount": "108.42", "currency": "USD"}, False)

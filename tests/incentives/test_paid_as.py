"""How an approved fund claim is paid: at once, in instalments, or by a credit note; to the cent in each."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from chassis.testing.projections import assert_repeatable, project, told
from services.incentives.domain.claim import (
    ClaimCredited,
    ClaimInstalmentReleased,
    ClaimSettled,
    ClaimTax,
    CreditClaim,
    ReleaseInstalments,
)
from services.incentives.domain.exchange import InBooks, Rate
from services.incentives.domain.journal import books_balance, trial_balance
from services.incentives.projections.claims import CLAIMS
from services.incentives.projections.fund_dues import CLAIM_INSTALMENTS, CLAIM_SETTLEMENTS
from services.incentives.projections.ledger import BALANCES, LEDGER
from tests.incentives.fund_facts import NOW, PARTNER, Log, accepted, claimed, eur, journals, verdict
from tests.incentives.test_fund_service import FUND_MANAGER, it_fixture, share
from tests.incentives.test_fund_service import accepted as accepted_over_http
from tests.incentives.test_fund_service import claimed as claimed_over_http
from tests.incentives.test_service import APPROVER, FINANCE, P1
from tests.incentives.test_settlement import leaves

__all__ = ["it_fixture"]

ACCOUNT = f"{PARTNER}-EUR"


def approved(eligible: str = "2000.00", tax: str | None = None, **changes: Any) -> Log:
    """A log in which half of what is eligible was approved."""
    taxed = {"tax": ClaimTax(country="DE", amount=eur(tax))} if tax else {}
    log = accepted("10000.00").tell(claimed("9000.00", **taxed))
    return log.tell(log.submit_claim(), verdict(eligible, **changes))


def in_parts(count: int = 3, first: date | None = None) -> dict[str, Any]:
    return {"pay_as": "instalments", "instalments": count, "first_payable_on": first}


def stands(log: Log) -> dict[str, Decimal]:
    """What the partner's accounts stand at, in its favour."""
    sums: dict[str, Decimal] = {}
    for one in journals(log):
        if one.payee_id == PARTNER and one.account not in ("expense", "vat"):
            sums[one.name] = sums.get(one.name, Decimal(0)) - one.amount.amount
    return {name: amount for name, amount in sums.items() if amount}


def day(on: date) -> ReleaseInstalments:
    return ReleaseInstalments(claim_id="c1", now=datetime(on.year, on.month, on.day, tzinfo=UTC))


def test_a_thousand_in_three_instalments_is_333_34_at_once_and_twice_333_33_a_month_later_each():
    log = approved(**in_parts())
    assert stands(log) == {"payable:fund": Decimal("333.34"), "held:fund": Decimal("666.66")}
    assert [(str(part.amount.amount), part.payable_on) for part in log.claim().approved.instalments] == [
        ("333.34", date(2026, 3, 16)),
        ("333.33", date(2026, 4, 16)),
        ("333.33", date(2026, 5, 16)),
    ]
    log.tell(day(date(2026, 4, 15)))
    assert stands(log)["payable:fund"] == Decimal("333.34")
    log.tell(day(date(2026, 4, 16)), day(date(2026, 4, 16)))
    assert stands(log) == {"payable:fund": Decimal("666.67"), "held:fund": Decimal("333.33")}
    log.tell(day(date(2027, 1, 1)))
    assert stands(log) == {"payable:fund": Decimal("1000.00")}


def test_instalments_that_begin_at_the_end_of_a_month_keep_to_it():
    log = approved(**in_parts(3, date(2026, 3, 31)))
    days = [part.payable_on for part in log.claim().approved.instalments]
    assert days == [date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)]
    assert stands(log) == {"held:fund": Decimal("1000.00")}


@pytest.mark.parametrize(
    "wrong", [in_parts(1), in_parts(25), {"pay_as": "instalments"}, in_parts(3, date(2026, 3, 15))]
)
def test_instalments_outside_their_range_or_in_the_past_are_not_taken(wrong):
    log = accepted("10000.00").tell(claimed("9000.00"))
    log.tell(log.submit_claim())
    assert log.refused(verdict("2000.00", **wrong)) == "instalments-invalid"


def test_more_instalments_than_minor_units_are_not_taken():
    log = accepted("10000.00").tell(claimed("9000.00"))
    log.tell(log.submit_claim())
    assert log.refused(verdict("0.20", **in_parts(24))) == "instalments-invalid"


def test_a_credit_is_owed_until_its_note_is_entered_and_then_lowers_what_the_partner_owes():
    log = approved(tax="1710.00", pay_as="credit")
    assert stands(log) == {"credit_due:fund": Decimal("1190.00")}
    note = CreditClaim(claim_id="c1", credit_note="CN-7", credited_on=date(2026, 3, 20), by="fin", now=NOW)
    log.tell(note)
    assert stands(log) == {"receivable:fund": Decimal("1190.00")}
    assert [type(one) for one in log.happened[-2:]] == [ClaimCredited, ClaimSettled]
    assert (log.claim().stage, log.happened[-1].payment_id) == ("settled", "CN-7")
    assert log.refused(note) == "wrong-state"


def test_what_is_paid_is_not_credited():
    note = CreditClaim(claim_id="c1", credit_note="CN-7", credited_on=date(2026, 3, 20), by="fin", now=NOW)
    assert approved().refused(note) == "wrong-state"
    assert approved(**in_parts()).refused(note) == "wrong-state"


RATE = Rate(base="EUR", quote="USD", rate=Decimal("1.1037"), on=date(2026, 3, 16), source="bank", event_id="e1")


@settings(max_examples=60, deadline=None)
@examples(
    st.integers(100, 900_000),
    st.integers(2, 24),
    st.integers(0, 200),
    st.booleans(),
    st.lists(st.integers(0, 900), max_size=6),
)
def test_instalments_add_up_to_what_was_approved_and_every_journal_balances(cents, count, later, foreign, looks):
    """In both currencies, whenever the clock looks and however often."""
    books = {"books": InBooks(currency="USD", rates=(RATE,))} if foreign else {}
    first = NOW.date() + timedelta(days=later)
    log = approved(f"{Decimal(cents) / 100:.2f}", tax="1710.00", **in_parts(count, first), **books)
    decided = log.claim().approved
    whole = decided.amount.amount + (decided.tax.amount.amount if decided.tax else Decimal(0))
    for on in sorted(looks):
        log.tell(day(NOW.date() + timedelta(days=on)))
        assert sum(stands(log).values(), Decimal(0)) == whole
    log.tell(day(date(2030, 1, 1)), day(date(2030, 1, 1)))
    assert stands(log) == {"payable:fund": whole}
    assert not any(trial_balance(journals(log)).values())
    assert not any(books_balance(journals(log)).values())
    released = [one for one in log.happened if isinstance(one, ClaimInstalmentReleased)]
    assert len({one.number for one in released}) == len(released)


def test_repeats_and_other_orders_change_no_model_of_instalments():
    log = approved(**in_parts()).tell(day(date(2026, 4, 16)))
    seen = told(*log.happened)
    for model in (CLAIMS, CLAIM_INSTALMENTS, CLAIM_SETTLEMENTS, LEDGER, BALANCES):
        assert_repeatable(model, seen)
    claim = project(CLAIMS, seen)["c1"]
    assert [(part["amount"]["amount"], part["payable"]) for part in claim["instalments"]] == [
        ("333.34", True),
        ("333.33", True),
        ("333.33", False),
    ]
    assert project(BALANCES, seen)[ACCOUNT]["fund"] == "666.67"
    assert project(CLAIM_INSTALMENTS, seen)["c1"]["due_at"] == "2026-05-16T00:00:00Z"


async def test_instalments_are_stated_and_paid_month_by_month_and_settle_the_claim_with_the_last(it):
    await share(it, "p1", "10000.00")
    claim_id = await claimed_over_http(it, P1, await accepted_over_http(it, P1, "10000.00"), "9000.00")
    parts = {"outcome": "approved", "pay_as": "instalments", "instalments": 2, "first_payable_on": "2026-03-10"}
    assert (await it.post(FUND_MANAGER, f"/claims/{claim_id}/decide", parts)).status_code == 200
    for month, after in (
        ("2026-03", datetime(2026, 4, 1, 12, tzinfo=UTC)),
        ("2026-04", datetime(2026, 5, 1, 12, tzinfo=UTC)),
    ):
        it.clock.set(after)
        await it.rest()
        body = {"partner_id": "p1", "period": month, "currency": "EUR"}
        statement = (await it.post(FINANCE, "/statements", body)).json()
        asked = await it.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
        payment = asked.json()["payment_id"]
        assert (await it.post(APPROVER, f"/payments/{payment}/approve")).json()["state"] == "approved"
        await it.post(FINANCE, f"/payments/{payment}/submit")
        paid = await it.until(FINANCE, f"/payments/{payment}", lambda one: one["state"] == "paid")
        assert paid["amount"]["amount"] == "2250.00"
        await it.rest()
    found = await it.until(P1, f"/claims/{claim_id}", lambda one: one["state"] == "settled")
    assert found["payment_id"] == payment
    [trial] = (await it.get(FINANCE, "/ledger/balances"))["trial_balance"]
    assert (trial["total"], trial["expense"], trial["cash"]) == ("0.00", "4500.00", "-4500.00")


async def test_a_partner_that_leaves_is_not_settled_while_an_instalment_is_still_to_come(it):
    await share(it, "p1", "10000.00")
    claim_id = await claimed_over_http(it, P1, await accepted_over_http(it, P1, "10000.00"), "9000.00")
    parts = {"outcome": "approved", "pay_as": "instalments", "instalments": 2, "first_payable_on": "2026-09-01"}
    assert (await it.post(FUND_MANAGER, f"/claims/{claim_id}/decide", parts)).status_code == 200
    await it.hear(leaves())
    it.clock.set(datetime(2026, 6, 11, 9, tzinfo=UTC))
    found = await it.until(FINANCE, "/settlements/p1", lambda one: one["state"] != "running_off")
    assert found["state"] == "awaited"
    assert [(one["account"], one["amount"]["amount"]) for one in found["open"]] == [("held:fund", "4500.00")]


async def test_a_credit_is_a_liability_and_in_the_books_until_its_note_is_entered(it):
    await share(it, "p1", "10000.00")
    claim_id = await claimed_over_http(it, P1, await accepted_over_http(it, P1, "10000.00"), "9000.00")
    decided = await it.post(FUND_MANAGER, f"/claims/{claim_id}/decide", {"outcome": "approved", "pay_as": "credit"})
    assert decided.status_code == 200

    async def owed() -> list[tuple[str, str]]:
        await it.rest()
        return [(one["credit_due"], one["owed"]) for one in (await it.get(FINANCE, "/liability"))["items"]]

    assert await owed() == [("4500.00", "4500.00")]
    assert "Liabilities:CreditDue" in await it.text(FINANCE, "/ledger/export?format=beancount")
    noted = await it.post(FINANCE, f"/claims/{claim_id}/credit", {"credit_note": "CN-1", "credited_on": "2026-03-16"})
    assert noted.status_code == 200, noted.text
    assert await owed() == [("0.00", "0.00")]
    assert "Assets:Receivable" in await it.text(FINANCE, "/ledger/export?format=beancount")

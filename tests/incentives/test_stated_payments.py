"""A statement says of each payment what reaches the bank: its amount, the tax on its invoice on top, less what is withheld."""

import csv
from datetime import UTC, datetime
from io import StringIO

import pytest

from chassis.event import plain
from services.incentives.adapters.statement_pdf import statement_pdf
from tests.incentives.orders import issued, line
from tests.incentives.test_invoice_tax import FINANCE_ADMIN, OTHER
from tests.incentives.test_service import APPROVER, FINANCE, P1, incentives, stated

__all__ = ["incentives"]
RULES = {"gates": ["invoice"], "withholding": [{"jurisdiction": "US", "percent": "30"}]}
INVOICE = {"number": "2026-7", "net": "100.00", "tax": "19.00", "country": "DE", "invoice_sha256": "0" * 64}


@pytest.fixture
async def approved(incentives):
    """A payment of 100.00 on whose invoice stand 19.00 of tax, and of which 30 % are withheld in the US."""
    draft = {"rulebook_id": "pay", "kind": "payment", "body": RULES, "examples": []}
    assert (await incentives.post(FINANCE_ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await incentives.post(OTHER, "/rulebooks/pay/publish", {"version": 1})).status_code == 200
    statement = await stated(incentives)
    await form_of(incentives, "US")
    body = {"statement_id": statement["statement_id"]}
    path = f"/payments/{(await incentives.post(FINANCE, '/payments', body)).json()['payment_id']}"
    assert (await incentives.post(P1, f"{path}/invoice", INVOICE)).json()["state"] == "proposed"
    assert (await incentives.post(APPROVER, f"{path}/approve")).json()["state"] == "approved"
    return path


async def form_of(incentives, jurisdiction):
    body = {"form": "W-8BEN-E", "jurisdiction": jurisdiction, "tax_year": 2026, "form_sha256": "a" * 64}
    assert (await incentives.put(P1, "/payees/p1/tax", body)).status_code == 200
    forms = (await incentives.get(P1, "/payees"))["items"][0]["tax_forms"]
    [form_id] = [name for name, form in forms.items() if form["state"] == "submitted"]
    decided = await incentives.post(FINANCE, f"/payees/p1/tax/{form_id}/decide", {"outcome": "accepted"})
    assert decided.status_code == 200


async def next_statement(incentives):
    """The path of the statement of the payment's month."""
    incentives.clock.set(datetime(2026, 7, 3, 9, tzinfo=UTC))
    june = {"partner_id": "p1", "period": "2026-06", "currency": "EUR"}
    return f"/statements/{(await incentives.post(FINANCE, '/statements', june)).json()['statement_id']}"


def euros(amount):
    return {"amount": amount, "currency": "EUR"}


async def test_a_statement_says_what_was_withheld_where_at_what_rate_and_the_tax_on_top(incentives, approved):
    """100.00 and 19.00 of tax, less 30.00: 89.00. A form that is accepted later changes nothing of it."""
    await form_of(incentives, "FR")
    path = await next_statement(incentives)
    told = await incentives.get(P1, path)
    assert [(one["kind"], one["amount"]["amount"]) for one in told["lines"]] == [
        ("invoice_taxed", "19.00"),
        ("payment_approved", "-119.00"),
    ]
    assert told["payments"] == [
        {
            "event_id": told["lines"][1]["event_id"],
            "payment_id": approved.rpartition("/")[2],
            "amount": euros("100.00"),
            "tax": euros("19.00"),
            "withheld": euros("30.00"),
            "jurisdiction": "US",
            "withheld_percent": "30",
            "to_bank": euros("89.00"),
        }
    ]
    heads, opening, taxed, paid, closing = csv.reader(StringIO(await incentives.text(P1, f"{path}/csv")))
    assert heads[4:] == ["amount EUR", "tax", "withheld", "jurisdiction", "withheld_percent", "to_bank"]
    assert paid[4:] == ["-119.00", "19.00", "30.00", "US", "30", "89.00"]
    assert {tuple(row[5:]) for row in (opening, taxed, closing)} == {("", "", "", "", "")}
    assert "89.00 EUR" in await incentives.text(P1, f"{path}/pdf")


async def test_a_live_statement_shows_what_is_under_way_and_what_was_paid(incentives):
    """Proposed it is 100.00 to come; approved it is drawn; paid it is told with its day until the next statement."""
    statement = await stated(incentives)
    live = "/statements/live?partner_id=p1&currency=EUR"
    assert [(await incentives.get(P1, live))[name] for name in ("payments", "orders")] == [[], []]
    made = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    payment_id = made.json()["payment_id"]
    proposed = {
        "payment_id": payment_id,
        "statement_id": statement["statement_id"],
        "statement_number": 1,
        "state": "proposed",
        "amount": euros("100.00"),
        "tax": None,
        "withheld": None,
        "net": None,
        "gates": [],
        "paid_on": None,
    }
    found = await incentives.get(P1, live)
    assert (found["closing"], found["payments"], found["orders"]) == (euros("100.00"), [], [proposed])
    await incentives.post(APPROVER, f"/payments/{payment_id}/approve")
    found = await incentives.get(P1, live)
    assert (found["closing"], [one["to_bank"] for one in found["payments"]]) == (euros("0.00"), [euros("100.00")])
    assert found["orders"] == [{**proposed, "state": "approved", "net": euros("100.00")}]
    await incentives.post(FINANCE, f"/payments/{payment_id}/submit")
    await incentives.until(FINANCE, f"/payments/{payment_id}", lambda one: one["state"] == "paid")
    paid = {**proposed, "state": "paid", "net": euros("100.00"), "paid_on": "2026-06-03"}
    assert (await incentives.get(P1, live))["orders"] == [paid]
    await next_statement(incentives)
    found = await incentives.get(P1, live)
    assert (found["opening"], found["payments"], found["orders"]) == (euros("0.00"), [], [])


async def test_a_payment_that_is_given_up_takes_all_of_it_back(incentives, approved):
    assert (await incentives.post(APPROVER, f"{approved}/decline", {"category": "mistake"})).status_code == 200
    told = await incentives.get(P1, await next_statement(incentives))
    parts = ("amount", "tax", "withheld", "to_bank")
    assert [[one[name]["amount"] for name in parts] for one in told["payments"]] == [
        ["100.00", "19.00", "30.00", "89.00"],
        ["-100.00", "-19.00", "-30.00", "-89.00"],
    ]
    assert [(one["jurisdiction"], one["withheld_percent"]) for one in told["payments"]] == [("US", "30"), ("US", None)]


def test_on_paper_a_payment_says_what_reaches_the_bank_where_that_is_not_its_amount():
    stated = plain(issued(line("-100.00", 5, "payment_approved")))
    whole = {"event_id": "e5", "amount": euros("100.00"), "tax": euros("0.00"), "withheld": euros("0.00")}
    whole |= {"jurisdiction": None, "withheld_percent": None, "to_bank": euros("100.00")}
    assert statement_pdf({**stated, "payments": [whole]}) == statement_pdf(stated)
    part = {
        **whole,
        "withheld": euros("30.00"),
        "jurisdiction": "US",
        "withheld_percent": "30",
        "to_bank": euros("70.00"),
    }
    made = statement_pdf({**stated, "payments": [part]}).decode("cp1252")
    assert [text.split() for text in made.splitlines() if "withheld" in text or "to bank" in text][:2] == [
        ["(", "withheld", "for", "US", "\\(30", "%\\)", "30.00", "EUR)", "Tj", "T*"],
        ["(", "to", "bank", "amount", "and", "tax", "less", "what", "is", "withheld", "70.00", "EUR)", "Tj", "T*"],
    ]

"""Files to take away: the ledger for accounting tools, lines as a table."""

import csv
import io
import re
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import get_args

import pytest

from chassis import tables
from chassis.testing.projections import project, told
from chassis.verify import verify_decisions
from contracts.values import money
from services.incentives.adapters.ledger_files import COLUMNS, ROOTS, beancount, plain_ledger, table_rows
from services.incentives.domain.exchange import Rate
from services.incentives.domain.journal import NO_JOURNAL, AccountName, Journal, entry
from services.incentives.domain.payment_events import PaymentMade
from services.incentives.projections.ledger import KINDS, LEDGER
from tests.incentives.facts import World, book, credit, plan, reversal, win
from tests.incentives.test_service import APPROVER, FINANCE, P1, P2, credited, proposed, started, won

IBAN = "DE89370400440532013000"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
ACCOUNT = r"(?:Assets|Liabilities|Equity|Income|Expenses)(?::[A-Z0-9][A-Za-z0-9-]*)+"
OPEN = re.compile(rf"({DAY}) open ({ACCOUNT})")
HEAD = re.compile(rf'({DAY}) \* "([^"]*)" "((?:[^"\\]|\\.)*)"')
META = re.compile(rf'  [a-z][a-z_]*: (?:"[^"]*"|[0-9]+|{DAY})')
POSTING = re.compile(rf"  ({ACCOUNT})  (-?[0-9.]+) ([A-Z]{{3}})(?: @@ ([0-9.]+) ([A-Z]{{3}}))?")


def read(text):
    """What a plain-text accounting tool makes of the file, by its own grammar: each transaction's postings."""
    title, *lines = [line for line in text.split("\n") if line]
    assert title == 'option "title" "Incentives"'
    opened, transactions = {}, []
    for line in lines:
        if found := OPEN.fullmatch(line):
            assert found[2] not in opened
            opened[found[2]] = found[1]
        elif found := HEAD.fullmatch(line):
            transactions.append((found[1], []))
        elif found := POSTING.fullmatch(line):
            day, postings = transactions[-1]
            assert opened[found[1]] <= day
            postings.append(found.groups())
        else:
            assert META.fullmatch(line), line
    return transactions


def weights(postings):
    """What a tool balances: the amount, or its price with the amount's sign."""
    sums = {}
    for _, amount, currency, price, of in postings:
        weight = Decimal(price).copy_sign(Decimal(amount)) if price else Decimal(amount)
        sums[of or currency] = sums.get(of or currency, Decimal(0)) + weight
    return sums


def journals(*events):
    facts = told(*(one for one in events if getattr(one, "journal", NO_JOURNAL).entries))
    found = sorted(project(LEDGER, facts).values(), key=lambda one: one["position"])
    return [{**one, "counts_in": one["booked_on"][:7]} for one in found]


def a_foreign_ledger(cash="cash"):
    rates = (Rate(base="EUR", quote="USD", rate=Decimal("1.1"), on=date(2026, 3, 16), source="ecb"),)
    world = World(book(plan(hold_days=0)), rates=rates, books_currency="USD").tell(win("1000.00"), credit())
    world.tell(reversal("x", "333.33"))
    paid = Journal(
        entries=(
            entry("in_payment", money("100.00", "EUR"), "p1", "pay", money("110.00", "USD")),
            entry(cash, money("-100.00", "EUR"), "p1", "pay", money("-115.00", "USD")),
            entry("fx_difference", money("0.00", "EUR"), "p1", "pay", money("5.00", "USD")),
        )
    )
    made = PaymentMade(
        payment_id="pay",
        account_id="p1-EUR",
        statement_id="s",
        payee_id="p1",
        partner_id="p1",
        amount=money("100.00", "EUR"),
        reference="r",
        line_ids=(),
        provider_event_id="e",
        journal=paid,
        paid_on=date(2026, 4, 3),
        reported_at=datetime(2026, 4, 3, tzinfo=UTC),
    )
    return journals(*(one for one in world.events if type(one) in KINDS), made)


def test_done_when_10_a_plain_text_accounting_tool_accepts_the_ledger_in_its_currencies_and_in_the_books():
    transactions = read(beancount(a_foreign_ledger()))
    assert len(transactions) == 3
    assert [weights(postings) for _, postings in transactions] == [{"USD": Decimal(0)}] * 3
    assert transactions[-1][1] == [
        ("Liabilities:InPayment:P1", "100.00", "EUR", "110.00", "USD"),
        ("Assets:Cash", "-100.00", "EUR", "115.00", "USD"),
        ("Expenses:FxDifference", "5.00", "USD", None, None),
    ]


def test_done_when_10_the_program_ledger_accepts_the_ledger_and_finds_in_each_account_what_stands_there(accounting):
    """Its own judgement, at its strictest: it knows no account, currency or note that was not declared."""
    found = accounting(plain_ledger(a_foreign_ledger(("cash", IBAN))))
    assert found == {
        ("Expenses:Commission", "EUR"): Decimal("66.67"),
        ("Liabilities:Payable:P1", "EUR"): Decimal("-66.67"),
        ("Liabilities:InPayment:P1", "EUR"): Decimal("100.00"),
        (f"Assets:Cash:{IBAN}", "EUR"): Decimal("-100.00"),
        ("Expenses:FxDifference", "USD"): Decimal("5.00"),
    }


def test_the_program_ledger_finds_a_transaction_that_does_not_balance(accounting):
    wrong = plain_ledger(a_foreign_ledger()).replace("100.00 EUR @@ 110.00 USD", "100.00 EUR @@ 111.00 USD", 1)
    with pytest.raises(subprocess.CalledProcessError):
        accounting(wrong)


async def test_the_program_ledger_accepts_the_books_of_a_payment_that_was_made(tmp_path, accounting):
    async with started(tmp_path, payer_iban=IBAN) as incentives:
        payment = await proposed(incentives)
        await incentives.post(APPROVER, f"{payment}/approve")
        await incentives.post(FINANCE, f"{payment}/submit")
        await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
        found = accounting(await incentives.text(FINANCE, "/ledger/export?format=ledger"))
        assert found == {
            ("Expenses:Commission", "EUR"): Decimal("100.00"),
            (f"Assets:Cash:{IBAN}", "EUR"): Decimal("-100.00"),
        }


def test_an_accounting_tool_finds_the_money_of_each_bank_under_its_own_account():
    transactions = read(beancount(a_foreign_ledger(("cash", IBAN))))
    assert weights(transactions[-1][1]) == {"USD": Decimal(0)}
    assert transactions[-1][1][1] == (f"Assets:Cash:{IBAN}", "-100.00", "EUR", "115.00", "USD")
    [row] = [row for row in table_rows(a_foreign_ledger(("cash", IBAN))) if row[COLUMNS.index("account")][:4] == "cash"]
    assert row[COLUMNS.index("account")] == f"cash:{IBAN}"


async def test_the_ledger_names_the_account_that_paid_and_old_journals_stand_beside_it(tmp_path):
    async with started(tmp_path, payer_iban=IBAN) as incentives:
        payment = await proposed(incentives)
        await incentives.post(APPROVER, f"{payment}/approve")
        await incentives.post(FINANCE, f"{payment}/submit")
        await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
        found = await incentives.get(FINANCE, "/ledger/balances")
        [trial] = found["trial_balance"]
        assert (trial["cash"], trial["accounts"][f"cash:{IBAN}"], trial["total"]) == ("-100.00", "-100.00", "0.00")
        assert "cash" not in trial["accounts"]
        [owed] = (await incentives.get(FINANCE, "/liability"))["items"]
        assert {owed[name] for name in ("held", "payable", "in_payment", "withheld")} == {"0.00"}
        text = await incentives.text(FINANCE, "/ledger/export?format=beancount")
        assert [weights(postings) for _, postings in read(text)] == [{"EUR": Decimal(0)}] * 4
        assert f"  Assets:Cash:{IBAN}  -100.00 EUR" in text
        month = await incentives.get(FINANCE, "/books/2026-06")
        assert month["booked"][0]["accounts"][f"cash:{IBAN}"] == "-100.00"
        executor = incentives.service.application.executor
        report = await verify_decisions(executor.store, executor.every_handles)
        assert report.holds, report.lines()


async def test_without_an_account_of_the_payer_the_provider_itself_is_the_bank(tmp_path):
    async with started(tmp_path) as incentives:
        payment = await proposed(incentives)
        body = {"currency": "EUR", "day": "2026-06-03", "payment_ids": [payment.removeprefix("/payments/")]}
        batch = (await incentives.post(FINANCE, "/batches", body)).json()["batch_id"]
        await incentives.post(APPROVER, f"/batches/{batch}/approve")
        assert (await incentives.post(FINANCE, f"/batches/{batch}/send")).status_code == 200
        await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
        [trial] = (await incentives.get(FINANCE, "/ledger/balances"))["trial_balance"]
        assert trial["accounts"]["cash:simulator"] == "-100.00"


def test_the_table_of_the_ledger_has_every_entry_with_its_plan_and_event():
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table_rows(a_foreign_ledger())]
    assert [(row["kind"], row["account"], row["amount"], row["books_amount"]) for row in rows[:2]] == [
        ("calculated", "expense:commission", "100.00", "110.00"),
        ("calculated", "payable", "-100.00", "-110.00"),
    ]
    assert all(row["event_id"] for row in rows)
    assert {row["plan_id"] for row in rows} == {"plan-a", None}


async def test_a_partner_takes_its_own_lines_away_and_finance_the_ledger(tmp_path, monkeypatch):
    async with started(tmp_path) as incentives:
        await incentives.publish_plan(plan())
        incentives.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
        await incentives.hear(won())
        await incentives.hear(credited(("p1", "60.00"), ("p2", "40.00")))
        [mine] = csv.DictReader(io.StringIO(await incentives.text(P1, "/lines/csv")))
        assert (mine["partner_id"], mine["state"], mine["amount"], mine["remaining"]) == (
            "p1",
            "held",
            "60.00",
            "60.00",
        )
        assert "p1" not in await incentives.text(P2, "/lines/csv?partner_id=p1")
        assert len(read(await incentives.text(FINANCE, "/ledger/export?format=beancount&since=2026-03-17"))) == 2
        assert await incentives.text(FINANCE, "/ledger/export?until=2026-03-16") == ",".join(COLUMNS) + "\r\n"
        assert await incentives.get(P1, "/ledger/export") == 403
        monkeypatch.setattr(tables, "EXPORT_MAX", 1)
        monkeypatch.setattr(tables, "PAGE_MAX", 1)
        assert await incentives.get(FINANCE, "/ledger/export") == 422


def test_every_account_of_the_ledger_has_a_place_in_the_file():
    assert set(ROOTS) == set(get_args(AccountName))

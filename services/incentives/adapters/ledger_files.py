"""The ledger as files: a table of its entries, and a journal for plain-text accounting in beancount's or ledger's format.

A transaction stands on the day on which it was booked, or on the first of the month in which it counts where its own was
closed before; its accounts are named after who is owed, what it cost, or whose
tax it is. What an amount stands for in the currency of the books is its total price, `110.00 USD @@ 100.00 EUR`.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

COLUMNS = (
    "position",
    "booked_on",
    "effective_on",
    "kind",
    "cause",
    "plan_id",
    "plan_version",
    "rule_id",
    "account",
    "payee_id",
    "amount",
    "currency",
    "books_amount",
    "books_currency",
    "event_id",
    "counts_in",
)
ROOTS = {
    "held": "Liabilities:Held",
    "payable": "Liabilities:Payable",
    "in_payment": "Liabilities:InPayment",
    "accrued": "Liabilities:Accrued",
    "withheld": "Liabilities:Withheld",
    "expense": "Expenses",
    "cash": "Assets:Cash",
    "vat": "Assets:Vat",
    "forfeited": "Income:Forfeited",
    "credit_due": "Liabilities:CreditDue",
    "receivable": "Assets:Receivable",
    "transferred": "Equity:Transferred",
    "fx_difference": "Expenses:FxDifference",
    "budget": "Equity:Budgets:Allocated",
    "available": "Equity:Budgets:Available",
    "reserved": "Equity:Budgets:Reserved",
    "used": "Equity:Budgets:Used",
}
NOTED = ("event_id", "position", "effective_on")
"""What each transaction says of the event that it stands for."""
OWED = ("held", "payable", "in_payment", "accrued", "credit_due")
Journal = Mapping[str, Any]


def table_rows(journals: Iterable[Journal]) -> list[list[Any]]:
    """One row an entry, debits above zero, under `COLUMNS`."""
    return [_row(journal, entry) for journal in journals for entry in journal["entries"]]


def _row(journal: Journal, entry: Mapping[str, Any]) -> list[Any]:
    books = entry["books"] or {"amount": None, "currency": None}
    told = [journal[name] for name in COLUMNS[: COLUMNS.index("account")]]
    amounts = [entry["amount"], journal["currency"], books["amount"], books["currency"]]
    return [*told, entry["account"], entry["payee_id"], *amounts, journal["event_id"], journal["counts_in"]]


def beancount(journals: Iterable[Journal]) -> str:
    """The journals as transactions, each account opened on the day it is first used."""
    opened: set[str] = set()
    parts = ['option "title" "Incentives"\n']
    for journal in journals:
        accounts = [_account(entry) for entry in journal["entries"]]
        new = [account for account in dict.fromkeys(accounts) if account not in opened]
        opened.update(new)
        parts += [f"{_day(journal)} open {account}\n" for account in new]
        parts.append(_transaction(journal, accounts))
    return "\n".join(parts)


def plain_ledger(journals: Iterable[Journal]) -> str:
    """The journals as the program ledger reads them (https://ledger-cli.org), what is in them declared before."""
    found = list(journals)
    books = {entry["books"]["currency"] for journal in found for entry in journal["entries"] if entry["books"]}
    currencies = sorted(books | {journal["currency"] for journal in found})
    accounts = dict.fromkeys(_account(entry) for journal in found for entry in journal["entries"])
    declared = {"tag": NOTED, "commodity": currencies, "account": accounts}
    words = "\n".join(f"{kind} {name}" for kind, names in declared.items() for name in names)
    return "\n\n".join([words, *map(_entered, found)]) + "\n"


def _entered(journal: Journal) -> str:
    lines = [
        f"{_day(journal)} * {journal['kind']} {_in_one_line(journal['cause'])}",
        *(f"    ; {name}: {journal[name]}" for name in NOTED),
    ]
    postings = (f"    {_account(one)}  {_amount(one, journal['currency'])}" for one in journal["entries"])
    return "\n".join([*lines, *postings])


def _day(journal: Journal) -> str:
    booked_on, month = journal["booked_on"], journal["counts_in"]
    return str(booked_on) if booked_on.startswith(month) else f"{month}-01"


def _in_one_line(text: str) -> str:
    """Without what would end the line, or begin a note in it."""
    return " ".join(text.replace(";", ",").split())


def _transaction(journal: Journal, accounts: Iterable[str]) -> str:
    lines = [
        f'{_day(journal)} * "{journal["kind"]}" "{_quoted(journal["cause"])}"',
        f'  event_id: "{journal["event_id"]}"',
        f"  position: {journal['position']}",
        f"  effective_on: {journal['effective_on']}",
    ]
    entries = zip(accounts, journal["entries"], strict=True)
    return (
        "\n".join([*lines, *(f"  {account}  {_amount(entry, journal['currency'])}" for account, entry in entries)])
        + "\n"
    )


def _amount(entry: Mapping[str, Any], currency: str) -> str:
    """The amount with its price in the books; what only the books hold stands in their currency."""
    books = entry["books"]
    if books is None:
        return f"{entry['amount']} {currency}"
    if not Decimal(entry["amount"]):
        return f"{books['amount']} {books['currency']}"
    return f"{entry['amount']} {currency} @@ {abs(Decimal(books['amount']))} {books['currency']}"


def _account(entry: Mapping[str, Any]) -> str:
    account, _, of = entry["account"].partition(":")
    owed_to = entry["payee_id"] if account in OWED else ""
    return ":".join([ROOTS[account], *(_component(part) for part in (of, owed_to) if part)])


def _component(text: str) -> str:
    """A part of an account's name: it begins with a capital or a digit, and has letters, digits and hyphens."""
    plain = re.sub(r"[^A-Za-z0-9-]", "-", text)
    return plain[:1].upper() + plain[1:] if plain[:1].isalnum() else f"X{plain}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')

"""Sums of money by currency, for figures beside lists."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

STATES = ("held", "payable", "paid", "reversed")
CREDITS = {"held": "held", "payable": "payable", "paid": "cash"}


def of_lines(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What stands of the lines in each state, one row a currency; `reversed` is what was taken back of any line."""
    rows: dict[str, dict[str, Decimal]] = {}
    for line in lines:
        row = rows.setdefault(line["currency"], dict.fromkeys(STATES, Decimal(0)))
        if line["state"] != "reversed":
            row[line["state"]] += Decimal(line["remaining"]["amount"])
        row["reversed"] += Decimal(line["reversed"]["amount"])
    return [{"currency": currency, **_texts(row)} for currency, row in sorted(rows.items())]


def of_books(trial: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the books owe and paid: the accounts of a trial balance, credits shown above zero."""
    return [
        {"currency": row["currency"], **{state: str(-Decimal(row[account])) for state, account in CREDITS.items()}}
        for row in trial
    ]


def below_zero(liability: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The balances whose earnings stand below zero, and what each owes; fund money beside them changes nothing."""
    owed = [(row, Decimal(row["fund"]) - Decimal(row["payable"])) for row in liability]
    return [{**row, "owes": str(amount)} for row, amount in owed if amount > 0]


def _texts(row: Mapping[str, Decimal]) -> dict[str, str]:
    return {state: str(amount) for state, amount in row.items()}

"""Amounts that documents are sorted by, as texts that sort as the numbers do."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.values import Money

AMOUNT = "amount_sorts"
ABOVE_ALL = Decimal(10**15)
"""Larger than any amount of 15 digits: what is added so that amounts below zero sort before others."""


def sorts(amount: Money | Mapping[str, Any]) -> str:
    """The amount as a text that sorts as the number does, also below zero; of one currency among others of it."""
    number = amount.amount if isinstance(amount, Money) else Decimal(amount["amount"])
    return f"{ABOVE_ALL + number:021.4f}"

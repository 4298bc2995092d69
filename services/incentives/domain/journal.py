"""Double entry: a journal moves money between accounts and always sums to zero. Nothing else changes a balance."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from contracts.values import Money, none_of, total

AccountName = Literal["held", "payable", "in_payment", "expense", "cash"]
ACCOUNTS: tuple[AccountName, ...] = ("held", "payable", "in_payment", "expense", "cash")


class Unbalanced(ValueError):
    """A journal that does not sum to zero in every currency cannot exist."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One side of a move. A debit is above zero, a credit below. `cause` is the line or payment that it belongs to."""

    account: AccountName
    payee_id: str
    amount: Money
    cause: str


@dataclass(frozen=True, kw_only=True)
class Journal:
    """Entries that sum to zero per currency. Raises Unbalanced otherwise, also while a stored one is read."""

    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        for currency, amount in trial_balance(self.entries).items():
            if amount:
                raise Unbalanced(f"{currency} sums to {amount}, not to 0")


def trial_balance(entries: Iterable[Entry]) -> dict[str, Decimal]:
    """The sum of the entries in each currency; zero in every one when the books balance."""
    sums: dict[str, Decimal] = {}
    for entry in entries:
        sums[entry.amount.currency] = sums.get(entry.amount.currency, Decimal(0)) + entry.amount.amount
    return sums


def balance(entries: Iterable[Entry], account: AccountName, payee_id: str, currency: str) -> Money:
    """Debits less credits of one payee's account."""
    mine = (account, payee_id, currency)
    return total((e.amount for e in entries if (e.account, e.payee_id, e.amount.currency) == mine), currency)


def move(amount: Money, *, debit: AccountName, credit: AccountName, payee_id: str, cause: str) -> Journal:
    """The journal of one move between two accounts of a payee; of nothing when the amount is zero."""
    if amount.zero:
        return Journal(entries=())
    return Journal(
        entries=(
            Entry(account=debit, payee_id=payee_id, amount=amount, cause=cause),
            Entry(account=credit, payee_id=payee_id, amount=none_of(amount.currency) - amount, cause=cause),
        )
    )

"""Double entry: a journal moves money between accounts and always sums to zero. Nothing else changes a balance."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from chassis.event import frozen
from contracts.values import Money, none_of, total

AccountName = Literal[
    "held",
    "payable",
    "in_payment",
    "expense",
    "cash",
    "accrued",
    "withheld",
    "vat",
    "forfeited",
    "fx_difference",
    "credit_due",
    "receivable",
    "transferred",
    "budget",
    "available",
    "reserved",
    "used",
]
ACCOUNTS: tuple[AccountName, ...] = ("held", "payable", "in_payment", "expense", "cash")
Side = AccountName | tuple[AccountName, str]
"""An account, or one with what it is of: `expense` of a kind, `withheld` of a jurisdiction, `cash` of a bank."""


class Unbalanced(ValueError):
    """A journal that does not sum to zero in every currency, and in the currency of the books, cannot exist."""


@frozen
class Entry:
    """One side of a move. A debit is above zero, a credit below. `cause` is the line or payment that it belongs to.

    `books_amount` is the same in the currency of the books; absent where the amount is in it already.
    """

    account: AccountName
    payee_id: str
    amount: Money
    cause: str
    of: str | None = None
    books_amount: Money | None = None

    @property
    def in_books(self) -> Money:
        """The amount in the currency of the books."""
        return self.books_amount or self.amount

    @property
    def name(self) -> str:
        """The account as the ledger writes it, `expense:commission`."""
        return f"{self.account}:{self.of}" if self.of else self.account


@frozen
class Journal:
    """Entries that sum to zero per currency and in books. Raises Unbalanced otherwise, also while a stored one is read."""

    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        for currency, amount in (*trial_balance(self.entries).items(), *books_balance(self.entries).items()):
            if amount:
                raise Unbalanced(f"{currency} sums to {amount}, not to 0")


def trial_balance(entries: Iterable[Entry]) -> dict[str, Decimal]:
    """The sum of the entries in each currency; zero in every one when the books balance."""
    return _sums(entry.amount for entry in entries)


def books_balance(entries: Iterable[Entry]) -> dict[str, Decimal]:
    """The sum of the entries in the currency of the books."""
    return _sums(entry.in_books for entry in entries)


def _sums(amounts: Iterable[Money]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for amount in amounts:
        sums[amount.currency] = sums.get(amount.currency, Decimal(0)) + amount.amount
    return sums


def balance(entries: Iterable[Entry], account: AccountName, payee_id: str, currency: str) -> Money:
    """Debits less credits of one payee's account."""
    mine = (account, payee_id, currency)
    return total((e.amount for e in entries if (e.account, e.payee_id, e.amount.currency) == mine), currency)


def move(amount: Money, *, debit: Side, credit: Side, payee_id: str, cause: str, books: Money | None = None) -> Journal:
    """The journal of one move between two accounts of a payee; of nothing when the amount is zero.

    Below zero it moves the other way round. `books` is the amount in the currency of the books, if that is another.
    """
    if amount.zero and (books is None or books.zero):
        return NO_JOURNAL
    return Journal(
        entries=(
            entry(debit, amount, payee_id, cause, books),
            entry(credit, _less(amount), payee_id, cause, _less(books) if books else None),
        )
    )


def entry(side: Side, amount: Money, payee_id: str, cause: str, books: Money | None = None) -> Entry:
    """One side of a journal."""
    account, of = (side, None) if isinstance(side, str) else side
    return Entry(account=account, of=of, payee_id=payee_id, amount=amount, cause=cause, books_amount=books)


FUND_MONEY: Side = ("payable", "fund")
"""What is payable of funds. It stands apart from earnings, whose negative balance it never pays."""


INVOICE_TAX: Side = ("payable", "tax")
"""What is payable of the tax on payees' own invoices. It stands apart too: nothing that is owed is taken of it."""


def _less(amount: Money) -> Money:
    return none_of(amount.currency) - amount


def expense(kind: str) -> Side:
    """The expense account of a kind of earning."""
    return ("expense", kind)


NO_JOURNAL = Journal(entries=())

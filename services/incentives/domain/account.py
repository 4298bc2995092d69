"""An account: the chain of statements of one payee in one currency, and the payments that draw on it.

A statement holds every change of what is payable over `(from_position, to_position]` of the log, so the chain leaves
nothing out and counts nothing twice. Its SHA-256 covers its whole content and the statement before it.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, assert_never

from chassis.decider import Decider, Invalid, NotFound, Raced, Refused
from chassis.event import canonical_json, command, event, iso, plain, sha256, stable_id
from contracts.values import MINOR_DIGITS, Money, none_of, total

DECEMBER = 12
LINES_MAX = 10_000

# Events


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """One change of what is payable: above zero in the payee's favour. `cause` is an earning line or a payment."""

    event_id: str
    position: int
    kind: str
    cause: str
    opportunity_id: str | None = None
    amount: Money
    effective_on: date


@event("incentives.StatementIssued.v1")
class StatementIssued:
    statement_id: str
    account_id: str
    payee_id: str
    partner_id: str
    number: int
    period: str
    opening: Money
    lines: tuple[StatementLine, ...]
    closing: Money
    from_position: int
    to_position: int
    previous_sha256: str | None
    sha256: str
    issued_by: str
    issued_at: datetime


@event("incentives.PaymentOpened.v1")
class PaymentOpened:
    """A payment draws on the account: until it is closed there is no other."""

    account_id: str
    payment_id: str
    statement_id: str
    amount: Money
    opened_at: datetime


@event("incentives.PaymentClosed.v1")
class PaymentClosed:
    """The payment was made, or (not `paid`) given up, and its amount is free again."""

    account_id: str
    payment_id: str
    paid: bool
    closed_at: datetime


AccountEvent = StatementIssued | PaymentOpened | PaymentClosed

# Commands


@command("incentives.IssueStatement.v1")
class IssueStatement:
    """`lines` are the changes of the payable balance in the ledger after `from_position`, up to `to_position`."""

    account_id: str
    payee_id: str
    partner_id: str
    currency: str
    period: str
    from_position: int
    to_position: int
    lines: tuple[StatementLine, ...]
    by: str
    now: datetime


# State


@dataclass(frozen=True)
class Account:
    """The statements in order, the payment that is open, and what payments have drawn so far, by payment."""

    statements: tuple[StatementIssued, ...] = ()
    open_payment: str | None = None
    drawn: dict[str, Money] = field(default_factory=dict)

    @property
    def last(self) -> StatementIssued | None:
        return self.statements[-1] if self.statements else None

    def statement(self, statement_id: str) -> StatementIssued:
        """Raises UnknownStatement when this account has none of that id."""
        for issued in self.statements:
            if issued.statement_id == statement_id:
                return issued
        raise UnknownStatement


# Refusals


class PeriodInvalid(Invalid):
    """A period is a month, such as 2026-03."""

    slug = "period-invalid"


class UnknownCurrency(Invalid):
    """A currency is one of ISO 4217, such as EUR."""

    slug = "unknown-currency"


class PeriodOpen(Refused):
    """The period is not over: issue its statement after its last day."""

    slug = "period-open"


class PeriodStated(Refused):
    """A later period has been stated already: statements follow each other."""

    slug = "period-stated"


class UnknownStatement(NotFound):
    """There is no such statement."""


# Decisions


def account_id(payee_id: str, currency: str) -> str:
    return f"{payee_id}-{currency}"


def statement_id(account: str, number: int) -> str:
    return stable_id("statement", account, number)


def period_end(period: str) -> date:
    """The first day after a period. Raises PeriodInvalid for what is no month."""
    year, _, month = period.partition("-")
    try:
        start = date(int(year), int(month), 1)
        if iso(start)[:7] != period:
            raise PeriodInvalid
        return date(start.year + start.month // DECEMBER, start.month % DECEMBER + 1, 1)
    except (ValueError, OverflowError):
        raise PeriodInvalid from None


def issue_statement(wish: IssueStatement, account: Account) -> list[AccountEvent]:
    """States a period that is over, once. The closing balance carries forward, below zero too."""
    if wish.currency not in MINOR_DIGITS:
        raise UnknownCurrency(currency=wish.currency)
    if any(issued.period == wish.period for issued in account.statements):
        return []
    last = account.last
    if wish.now.astimezone(UTC).date() < period_end(wish.period):
        raise PeriodOpen(period=wish.period)
    if last and wish.period < last.period:
        raise PeriodStated(last=last.period)
    if wish.from_position != (last.to_position if last else 0):
        raise Raced
    return [_statement(wish, last)]


def _statement(wish: IssueStatement, last: StatementIssued | None) -> StatementIssued:
    opening = last.closing if last else none_of(wish.currency)
    number = last.number + 1 if last else 1
    issued = StatementIssued(
        statement_id=statement_id(wish.account_id, number),
        account_id=wish.account_id,
        payee_id=wish.payee_id,
        partner_id=wish.partner_id,
        number=number,
        period=wish.period,
        opening=opening,
        lines=wish.lines,
        closing=opening + total((line.amount for line in wish.lines), wish.currency),
        from_position=wish.from_position,
        to_position=wish.to_position,
        previous_sha256=last.sha256 if last else None,
        sha256="",
        issued_by=wish.by,
        issued_at=wish.now,
    )
    return replace(issued, sha256=content_sha256(issued))


def content_sha256(issued: StatementIssued) -> str:
    """The statement's own name: SHA-256 over the canonical JSON of all it says, and of the one before it."""
    content: dict[str, Any] = plain(issued)
    return sha256(canonical_json({name: value for name, value in content.items() if name != "sha256"}))


def adds_up(issued: StatementIssued) -> bool:
    """Whether a statement follows from its own lines and still has its name."""
    closing = issued.opening + total((line.amount for line in issued.lines), issued.opening.currency)
    return closing == issued.closing and content_sha256(issued) == issued.sha256


# Evolve


def evolve(account: Account, happened: AccountEvent) -> Account:
    match happened:
        case StatementIssued():
            return replace(account, statements=(*account.statements, happened))
        case PaymentOpened():
            drawn = {**account.drawn, happened.payment_id: happened.amount}
            return replace(account, open_payment=happened.payment_id, drawn=drawn)
        case PaymentClosed():
            return _closed(account, happened)
        case _:
            assert_never(happened)


def _closed(account: Account, happened: PaymentClosed) -> Account:
    still_open = account.open_payment if account.open_payment != happened.payment_id else None
    drawn = {
        payment: amount for payment, amount in account.drawn.items() if happened.paid or payment != happened.payment_id
    }
    return replace(account, open_payment=still_open, drawn=drawn)


Accounts = Decider[Account, AccountEvent](kind="account", initial=Account(), evolve=evolve)

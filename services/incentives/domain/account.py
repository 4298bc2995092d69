"""An account: the chain of statements of one payee in one currency, and the payments that draw on it.

A statement holds every change of what is payable over `(from_position, to_position]` of the log, so the chain leaves
nothing out and counts nothing twice. Its SHA-256 covers its whole content and the statement before it.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chassis.decider import Decider, NotFound, Raced, Refused
from chassis.event import LEFT_OUT, LeftOut, canonical_json, command, event, frozen, plain, sha256, stable_id
from contracts.values import MINOR_DIGITS, Money, none_of, total
from services.incentives.domain import line_dispute
from services.incentives.domain.exchange import UnknownCurrency
from services.incentives.domain.journal import Journal, expense, move
from services.incentives.domain.line_dispute import (
    CarriedCase,
    CorrectionAsked,
    DisputeAnswered,
    DisputeWithdrawn,
    LineCorrected,
    LineDispute,
    LineDisputed,
    LineDisputeEvent,
    Told,
    carried_case,
    opened,
    taken_up,
)
from services.incentives.domain.merging import BalanceTransferred, Transferred, with_transfer
from services.incentives.domain.periods import Calendar, dates_of, period_end, period_of
from services.incentives.domain.two_people import FourEyes

LINES_MAX = 10_000
FUND_APPROVED, FUND_TRANSFERRED = "fund_approved", "fund_transferred"
FUND_KINDS = (FUND_APPROVED, FUND_TRANSFERRED)
"""The kinds of statement lines by which fund money becomes payable, here or there."""
DISPUTED_WITHIN = timedelta(days=30)
"""Longer than the business days in which a line can be disputed."""
PAYMENT_APPROVED = "payment_approved"
"""The kind of statement lines by which a payment draws."""

# Events


@frozen
class StatementLine:
    """One change of what is payable: above zero in the payee's favour. `cause` is an earning line or a payment."""

    event_id: str
    position: int
    kind: str
    cause: str
    opportunity_id: str | None = None
    amount: Money
    effective_on: date


@frozen
class Cause:
    """What all lines of one kind come to."""

    kind: str
    amount: Money


@frozen
class LiveStatement:
    """A statement that nobody has issued: from what was carried into it, by cause, to what it would close with."""

    account_id: str
    payee_id: str
    partner_id: str
    opening: Money
    causes: tuple[Cause, ...]
    lines: tuple[StatementLine, ...]
    closing: Money
    from_position: int
    to_position: int


@frozen
class SideWorth:
    """What stands on one side of what is payable (`payable`, `payable:fund`, `payable:tax`), and that in the books.

    Both are above zero in the payee's favour.
    """

    side: str
    amount: Money
    books: Money


@event("incentives.StatementIssued.v1")
class StatementIssued:
    """`opening_worth` and `closing_worth` are what it opens and closes with in the currency of the books, if that is another."""

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
    opening_worth: tuple[SideWorth, ...] | LeftOut = LEFT_OUT
    closing_worth: tuple[SideWorth, ...] | LeftOut = LEFT_OUT


@event("incentives.StatementScheduled.v1")
class StatementScheduled:
    """A period is open: its statement is issued, may be reviewed until, is paid by, and available on these days."""

    account_id: str
    payee_id: str
    partner_id: str
    period: str
    issues_on: date
    review_until: date
    pay_by: date
    available_on: date
    scheduled_at: datetime


@event("incentives.PaymentOpened.v1")
class PaymentOpened:
    """A payment draws on the account: until it is closed there is no other. `fund` is what of it is fund money.

    `tax` is what an invoice that came later charges on top of the amount: known once the account is carried on.
    `waiting` are the lines, by their events, that were disputed when it was proposed: it does not pay them.
    """

    account_id: str
    payment_id: str
    statement_id: str
    amount: Money
    opened_at: datetime
    fund: Money | None = None
    tax: Money | LeftOut = LEFT_OUT
    waiting: tuple[str, ...] | LeftOut = LEFT_OUT

    @property
    def whole(self) -> Money:
        """All that it draws."""
        return self.amount + self.tax if self.tax else self.amount


@event("incentives.PaymentClosed.v1")
class PaymentClosed:
    """The payment was made, or (not `paid`) given up, and its amount is free again."""

    account_id: str
    payment_id: str
    paid: bool
    closed_at: datetime


@event("incentives.PaymentHandedOver.v1")
class PaymentHandedOver:
    """The payment is about to go to the provider. A dispute that the account heard of before stops it; a later one does not."""

    account_id: str
    payment_id: str
    handed_over_at: datetime


@event("incentives.InvoiceNoted.v1")
class InvoiceNoted:
    """The number of an invoice that a payment was made for; no other payment may have it. Its `tax` is drawn as well."""

    account_id: str
    number: str
    payment_id: str
    noted_at: datetime
    tax: Money | LeftOut = LEFT_OUT


@event("incentives.WriteOffProposed.v1")
class WriteOffProposed:
    account_id: str
    partner_id: str
    amount: Money
    reason: str
    proposed_by: str
    proposed_at: datetime


@event("incentives.NegativeWrittenOff.v1")
class NegativeWrittenOff:
    """What the payee owed is given up, by two people."""

    account_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reason: str
    proposed_by: str
    confirmed_by: str
    journal: Journal
    written_off_at: datetime


@frozen
class CarriedTransfer:
    """All that went to one survivor, of earnings or of fund money."""

    other_id: str
    fund: bool
    transferred: Transferred


@event("incentives.AccountCarried.v1")
class AccountCarried:
    """The state of a long account at the start of a new segment.

    Statements that are `shortened` were paid and can no longer be disputed: of their lines those are kept that
    decisions still look at.
    """

    statements: tuple[StatementIssued, ...]
    shortened: tuple[str, ...]
    open_payment: str | None
    payments: tuple[PaymentOpened, ...]
    invoices: dict[str, str]
    disputes: tuple[LineDisputed, ...]
    too_late: tuple[str, ...]
    decided: tuple[str, ...]
    write_off: WriteOffProposed | None
    period: str | None
    transferred: tuple[CarriedTransfer, ...]
    cases: tuple[CarriedCase, ...] | LeftOut = LEFT_OUT
    corrections: tuple[CorrectionAsked, ...] | LeftOut = LEFT_OUT


AccountEvent = (
    StatementIssued
    | StatementScheduled
    | PaymentOpened
    | PaymentHandedOver
    | PaymentClosed
    | InvoiceNoted
    | LineDisputeEvent
    | WriteOffProposed
    | NegativeWrittenOff
    | BalanceTransferred
    | AccountCarried
)

# Commands


@command("incentives.IssueStatement.v1")
class IssueStatement:
    """`lines` are the changes of the payable balance in the ledger after `from_position`, up to `to_position`.

    `opening_worth` is what stood there in the books by the ledger, and `moved_worth` what has changed of that since.
    """

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
    final: bool = False
    opening_worth: tuple[SideWorth, ...] | LeftOut = LEFT_OUT
    moved_worth: tuple[SideWorth, ...] | LeftOut = LEFT_OUT


@command("incentives.ScheduleStatement.v1")
class ScheduleStatement:
    """Something changed what is payable on `day`; `calendar` is that of the payment rules."""

    account_id: str
    payee_id: str
    partner_id: str
    day: date
    calendar: Calendar
    now: datetime


@command("incentives.WriteOffNegative.v1")
class WriteOffNegative:
    """The first call proposes it, that of a second person confirms. `payable` is what its earnings stand at."""

    account_id: str
    payee_id: str
    partner_id: str
    payable: Money
    payable_books: Money | None
    reason: str
    by: str
    now: datetime


# State


@dataclass(frozen=True)
class Account:
    """The statements in order, the period that is open, the payment that is, and the payments that draw on it, by id.

    `invoices` are the payments by number of their invoice, `disputes` those that are not over, by the event of their line,
    and `too_late` those among them whose line had been drawn before. `corrections` are the disputes that were upheld and
    whose line is not corrected yet. `transferred` is what went to whom it was merged into.
    Statements that are `shortened` have lost the lines that no decision looks at any more.
    """

    statements: tuple[StatementIssued, ...] = ()
    open_payment: str | None = None
    payments: dict[str, PaymentOpened] = field(default_factory=dict)
    invoices: dict[str, str] = field(default_factory=dict)
    disputes: dict[str, LineDispute] = field(default_factory=dict)
    too_late: frozenset[str] = frozenset()
    decided: frozenset[str] = frozenset()
    write_off: WriteOffProposed | None = None
    period: str | None = None
    transferred: dict[tuple[str, bool], Transferred] = field(default_factory=dict)
    shortened: frozenset[str] = frozenset()
    corrections: dict[str, CorrectionAsked] = field(default_factory=dict)

    @property
    def last(self) -> StatementIssued | None:
        return self.statements[-1] if self.statements else None

    def disputed(self, statement: StatementIssued) -> Money:
        """What of a statement in the payee's favour waits for a dispute's decision."""
        opened = (one.opened for one in self.disputes.values())
        mine = (one.amount for one in opened if one.statement_id == statement.statement_id)
        return total((amount for amount in mine if amount.amount > 0), statement.closing.currency)

    @property
    def drawn(self) -> list[Money]:
        """What each payment has drawn."""
        return [payment.whole for payment in self.payments.values()]

    @property
    def fund_drawn(self) -> list[Money]:
        """What of it was fund money."""
        return [payment.fund for payment in self.payments.values() if payment.fund]

    def waiting(self, *, fund: bool) -> list[Money]:
        """What in the payee's favour waits for the decision of a dispute, of earnings or of fund money."""
        kinds = {line.event_id: line.kind for one in self.statements for line in one.lines}
        waits = [one.opened for name, one in self.disputes.items() if name not in self.too_late]
        return [one.amount for one in waits if one.amount.amount > 0 and (kinds[one.event_id] in FUND_KINDS) == fund]

    @property
    def undrawn(self) -> tuple[str, ...]:
        """The lines, by their events, that were disputed when the newest payment was proposed: none has paid them yet."""
        numbers = {one.statement_id: one.number for one in self.statements}
        newest = max(self.payments.values(), key=lambda one: numbers.get(one.statement_id, 0), default=None)
        return (newest.waiting or ()) if newest else ()

    def stops(self, payment_id: str) -> bool:
        """Whether a line in the payee's favour that a payment pays is disputed."""
        opened = (one.opened for one in self.disputes.values())
        return any(one.drawn_by == payment_id and one.amount.amount > 0 for one in opened)

    def paying(self, line_id: str) -> tuple[str, ...]:
        """The payments that pay an earning line: of a statement with it, or of a later one into which it was carried."""
        numbers = {one.statement_id: one.number for one in self.statements}
        left = [(one.number, line) for one in self.statements for line in one.lines if line.cause == line_id]
        found = []
        for payment in sorted(self.payments.values(), key=lambda one: numbers[one.statement_id]):
            number = numbers[payment.statement_id]
            mine = [one for one in left if one[0] <= number and one[1].event_id not in (payment.waiting or ())]
            left = [one for one in left if one not in mine]
            if sum(line.amount.amount for _, line in mine) > 0:
                found.append(payment.payment_id)
        return tuple(found)

    def stated(self, statement: StatementIssued) -> list[StatementLine]:
        """The lines of a statement and of those before it."""
        return [line for one in self.statements if one.number <= statement.number for line in one.lines]

    def statement(self, statement_id: str) -> StatementIssued:
        """Raises UnknownStatement when this account has none of that id."""
        for issued in self.statements:
            if issued.statement_id == statement_id:
                return issued
        raise UnknownStatement


# Refusals


class PeriodOpen(Refused):
    """The period is not over: issue its statement after its last day."""

    slug = "period-open"


class PeriodStated(Refused):
    """A later period has been stated already: statements follow each other."""

    slug = "period-stated"


class UnknownStatement(NotFound):
    """There is no such statement."""


class NotNegative(Refused):
    """The payee owes nothing: there is nothing to write off."""

    slug = "not-negative"


# Decisions


def account_id(payee_id: str, currency: str) -> str:
    return f"{payee_id}-{currency}"


def statement_id(account: str, number: int) -> str:
    return stable_id("statement", account, number)


def issue_statement(wish: IssueStatement, account: Account) -> list[AccountEvent]:
    """States a period that is over, once. The closing balance carries forward, below zero too."""
    if wish.currency not in MINOR_DIGITS:
        raise UnknownCurrency(currency=wish.currency)
    if any(issued.period == wish.period for issued in account.statements):
        return []
    last = account.last
    if not wish.final and wish.now.astimezone(UTC).date() < period_end(wish.period):
        raise PeriodOpen(period=wish.period)
    if last and period_end(wish.period) < period_end(last.period):
        raise PeriodStated(last=last.period)
    if wish.from_position != (last.to_position if last else 0):
        raise Raced
    return [_statement(wish, last)]


def schedule_statement(wish: ScheduleStatement, account: Account) -> list[AccountEvent]:
    """Opens the period of a day, unless one is open; what is older than the last statement belongs to the next one."""
    if account.period:
        return []
    last = account.last
    day = max(wish.day, period_end(last.period)) if last else wish.day
    period = period_of(day, wish.calendar.cadence)
    dates = dates_of(period, wish.calendar)
    return [
        StatementScheduled(
            account_id=wish.account_id,
            payee_id=wish.payee_id,
            partner_id=wish.partner_id,
            period=period,
            issues_on=dates.issues_on,
            review_until=dates.review_until,
            pay_by=dates.pay_by,
            available_on=dates.available_on,
            scheduled_at=wish.now,
        )
    ]


def _statement(wish: IssueStatement, last: StatementIssued | None) -> StatementIssued:
    opening = last.closing if last else none_of(wish.currency)
    number = last.number + 1 if last else 1
    opening_worth = (last.closing_worth if last else LEFT_OUT) or wish.opening_worth
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
        opening_worth=opening_worth,
        closing_worth=_sum_of(opening_worth, wish.moved_worth),
    )
    return replace(issued, sha256=content_sha256(issued))


def _sum_of(
    opening: tuple[SideWorth, ...] | LeftOut, moved: tuple[SideWorth, ...] | LeftOut
) -> tuple[SideWorth, ...] | LeftOut:
    if not opening:
        return LEFT_OUT
    sides = {one.side: one for one in opening}
    for one in moved or ():
        before = sides.get(one.side)
        added = replace(one, amount=before.amount + one.amount, books=before.books + one.books) if before else one
        sides[one.side] = added
    return tuple(sides[side] for side in sorted(sides))


def live_statement(wish: IssueStatement, account: Account) -> LiveStatement:
    """What a payee's statement would say if it were issued now. Raises UnknownCurrency."""
    if wish.currency not in MINOR_DIGITS:
        raise UnknownCurrency(currency=wish.currency)
    opening = account.last.closing if account.last else none_of(wish.currency)
    sums = {kind: total((one.amount for one in wish.lines if one.kind == kind), wish.currency) for kind in _kinds(wish)}
    return LiveStatement(
        account_id=wish.account_id,
        payee_id=wish.payee_id,
        partner_id=wish.partner_id,
        opening=opening,
        causes=tuple(Cause(kind=kind, amount=amount) for kind, amount in sums.items()),
        lines=wish.lines,
        closing=opening + total((line.amount for line in wish.lines), wish.currency),
        from_position=wish.from_position,
        to_position=wish.to_position,
    )


def _kinds(wish: IssueStatement) -> list[str]:
    return sorted({line.kind for line in wish.lines})


def content_sha256(issued: StatementIssued) -> str:
    """The statement's own name: SHA-256 over the canonical JSON of all it says, and of the one before it."""
    content: dict[str, Any] = plain(issued)
    return sha256(canonical_json({name: value for name, value in content.items() if name != "sha256"}))


def adds_up(issued: StatementIssued) -> bool:
    """Whether a statement follows from its own lines and still has its name."""
    closing = issued.opening + total((line.amount for line in issued.lines), issued.opening.currency)
    return closing == issued.closing and content_sha256(issued) == issued.sha256


def write_off_negative(wish: WriteOffNegative, account: Account) -> list[AccountEvent]:
    """Gives up what a payee owes: one person proposes it, a second one confirms the same amount."""
    if wish.payable.amount >= 0:
        raise NotNegative
    proposed = account.write_off
    if proposed is None or proposed.amount != -wish.payable:
        return [
            WriteOffProposed(
                account_id=wish.account_id,
                partner_id=wish.partner_id,
                amount=-wish.payable,
                reason=wish.reason,
                proposed_by=wish.by,
                proposed_at=wish.now,
            )
        ]
    if proposed.proposed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    return [_written_off(wish, proposed)]


def _written_off(wish: WriteOffNegative, proposed: WriteOffProposed) -> NegativeWrittenOff:
    books = None if wish.payable_books is None else -wish.payable_books
    return NegativeWrittenOff(
        account_id=wish.account_id,
        payee_id=wish.payee_id,
        partner_id=wish.partner_id,
        amount=proposed.amount,
        reason=proposed.reason,
        proposed_by=proposed.proposed_by,
        confirmed_by=wish.by,
        journal=move(
            proposed.amount,
            debit=expense("write_off"),
            credit="payable",
            payee_id=wish.payee_id,
            cause=wish.account_id,
            books=books,
        ),
        written_off_at=wish.now,
    )


# Evolve


def evolve(account: Account, happened: AccountEvent) -> Account:
    match happened:
        case StatementIssued():
            return replace(account, statements=(*account.statements, happened), period=None)
        case StatementScheduled():
            return replace(account, period=happened.period)
        case PaymentOpened() | PaymentClosed() | PaymentHandedOver():
            return _with_payment(account, happened)
        case InvoiceNoted():
            return _with_invoice(account, happened)
        case WriteOffProposed() | NegativeWrittenOff():
            return replace(account, write_off=happened if isinstance(happened, WriteOffProposed) else None)
        case BalanceTransferred():
            return replace(account, transferred=with_transfer(account.transferred, happened))
        case AccountCarried():
            return _carried(happened)
        case _:
            return _with_dispute(account, happened)


def _with_dispute(account: Account, happened: LineDisputeEvent) -> Account:
    name = happened.event_id
    if isinstance(happened, DisputeAnswered | CorrectionAsked | LineCorrected):
        return _with_correction(account, happened)
    if isinstance(happened, LineDisputed):
        drawn = _is_drawn(account, happened)
        too_late = (account.too_late - {name}) | ({name} if drawn else set())
        return replace(account, disputes={**account.disputes, name: opened(happened)}, too_late=too_late)
    if name not in account.disputes:
        return account
    after = line_dispute.evolve(account.disputes[name], happened)
    if not after.over:
        return replace(account, disputes={**account.disputes, name: after})
    left = {other: one for other, one in account.disputes.items() if other != name}
    decided = account.decided if isinstance(happened, DisputeWithdrawn) else account.decided | {name}
    return replace(account, disputes=left, decided=decided)


def _is_drawn(account: Account, it: LineDisputed) -> bool:
    """Whether a payment pays the disputed line."""
    if it.drawn_by is LEFT_OUT:
        return any(payment.statement_id == it.statement_id for payment in account.payments.values())
    return it.drawn_by is not None


def _with_correction(account: Account, happened: Told) -> Account:
    others = {name: asked for name, asked in account.corrections.items() if name != happened.event_id}
    match happened:
        case CorrectionAsked():
            return replace(account, corrections={**others, happened.event_id: happened})
        case LineCorrected():
            return replace(account, corrections=others)
        case DisputeAnswered():
            return account


def _with_invoice(account: Account, it: InvoiceNoted) -> Account:
    opened = account.payments.get(it.payment_id)
    taxed = {it.payment_id: replace(opened, tax=it.tax)} if opened else {}
    invoices = {**account.invoices, it.number: it.payment_id}
    return replace(account, invoices=invoices, payments={**account.payments, **taxed})


def _with_payment(account: Account, happened: PaymentOpened | PaymentClosed | PaymentHandedOver) -> Account:
    """What was given up is free again, and a dispute over a line of it in time for the next one."""
    if isinstance(happened, PaymentHandedOver):
        return account
    if isinstance(happened, PaymentOpened):
        payments = {**account.payments, happened.payment_id: happened}
        return replace(account, open_payment=happened.payment_id, payments=payments)
    still_open = account.open_payment if account.open_payment != happened.payment_id else None
    kept = {name: one for name, one in account.payments.items() if happened.paid or name != happened.payment_id}
    if happened.paid:
        return replace(account, open_payment=still_open, payments=kept)
    disputed = account.disputes.items()
    freed = {name for name, one in disputed if one.opened.drawn_by == happened.payment_id}
    return replace(account, open_payment=still_open, payments=kept, too_late=account.too_late - freed)


def _carried(it: AccountCarried) -> Account:
    cases = {one.event_id: one for one in it.cases or ()}
    return Account(
        statements=it.statements,
        open_payment=it.open_payment,
        payments={one.payment_id: one for one in it.payments},
        invoices=it.invoices,
        disputes={one.event_id: taken_up(one, cases.get(one.event_id)) for one in it.disputes},
        too_late=frozenset(it.too_late),
        decided=frozenset(it.decided),
        write_off=it.write_off,
        period=it.period,
        transferred={(one.other_id, one.fund): one.transferred for one in it.transferred},
        shortened=frozenset(it.shortened),
        corrections={one.event_id: one for one in it.corrections or ()},
    )


def carry(account: Account) -> AccountEvent:
    """The account as the next segment begins with it."""
    settled = {one.statement_id for one in account.statements if _is_settled(one, account)}
    return AccountCarried(
        statements=tuple(
            _shortened(one, account) if one.statement_id in settled else one for one in account.statements
        ),
        shortened=tuple(sorted(account.shortened | settled)),
        open_payment=account.open_payment,
        payments=tuple(account.payments.values()),
        invoices=dict(account.invoices),
        disputes=tuple(one.opened for one in account.disputes.values()),
        too_late=tuple(sorted(account.too_late)),
        decided=tuple(sorted(account.decided)),
        write_off=account.write_off,
        period=account.period,
        transferred=tuple(
            CarriedTransfer(other_id=other_id, fund=fund, transferred=one)
            for (other_id, fund), one in account.transferred.items()
        ),
        cases=tuple(carried_case(one) for one in account.disputes.values() if one != opened(one.opened)) or LEFT_OUT,
        corrections=tuple(account.corrections.values()) or LEFT_OUT,
    )


def _is_settled(statement: StatementIssued, account: Account) -> bool:
    """Whether a statement was paid, and is so old that no line of it can be disputed."""
    drawn = {
        payment.statement_id for payment in account.payments.values() if payment.payment_id != account.open_payment
    }
    newest = account.last or statement
    return statement.statement_id in drawn and newest.issued_at - statement.issued_at > DISPUTED_WITHIN


def _shortened(statement: StatementIssued, account: Account) -> StatementIssued:
    """The statement with the lines that decisions still look at: fund money, what payments drew, what is disputed."""
    kinds = (*FUND_KINDS, PAYMENT_APPROVED)
    wanted = {*account.disputes, *account.undrawn}
    kept = (line for line in statement.lines if line.kind in kinds or line.event_id in wanted)
    return replace(statement, lines=tuple(kept))


Accounts = Decider[Account, AccountEvent](kind="account", initial=Account(), evolve=evolve, carry=carry)

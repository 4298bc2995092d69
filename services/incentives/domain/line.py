"""What people and days do to an earning line: its hold ends, it is postponed, it is corrected by two people."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from chassis.decider import Invalid, NotFound, Refused
from chassis.event import iso
from contracts.values import Money
from services.incentives.domain.journal import NO_JOURNAL, AccountName, Journal, expense, move
from services.incentives.domain.payment import Payment, check_unpaid
from services.incentives.domain.rating import half_up
from services.incentives.domain.sale import HELD, PAYABLE, REVERSED, Line, Sale
from services.incentives.domain.sale_commands import AdjustLine, ConfirmAdjustment, PostponeLine, ReleaseLine
from services.incentives.domain.sale_events import (
    AdjustmentProposed,
    PayoutAdjusted,
    PayoutCleared,
    PayoutPostponed,
    PayoutPutUnderReview,
    PayoutReleased,
    SaleEvent,
)
from services.incentives.domain.two_people import FourEyes

POSTPONE_DAYS_MAX = 180

# Refusals


class UnknownLine(NotFound):
    """There is no such line."""


class OnHold(Refused):
    """The hold of this line is not over."""

    slug = "on-hold"


class UnderReview(Refused):
    """A case holds this line: close the case first, with what it was."""

    slug = "under-review"


class PostponedTooFar(Invalid):
    """A line can be postponed by 180 days at most, and only to a later day than it has."""

    slug = "postponed-too-far"


class UnknownAdjustment(NotFound):
    """There is no such adjustment waiting for its second person."""


class AdjustedTooFar(Invalid):
    """A line cannot be adjusted below nothing."""

    slug = "adjusted-too-far"


class NothingLeft(Refused):
    """All of this line is reversed: there is nothing to pay or to postpone."""

    slug = "nothing-left"


# Decisions


def release_line(wish: ReleaseLine, sale: Sale) -> list[SaleEvent]:
    """Makes a held line payable once its day has come."""
    line = _line(sale, wish.line_id)
    if line.state != HELD:
        return []
    if line.reviews:
        raise UnderReview(cases=sorted(line.reviews))
    if wish.now.astimezone(UTC).date() < line.payable_on:
        raise OnHold(f"payable on {iso(line.payable_on)}", payable_on=iso(line.payable_on))
    return [
        PayoutReleased(
            line_id=line.line_id,
            opportunity_id=wish.opportunity_id,
            registration_id=sale.wins[line.key.win_no].registration_id,
            partner_id=line.partner_id,
            payee_id=line.payee_id,
            amount=line.remaining,
            payable_on=line.payable_on,
            journal=moved(line, line.remaining, line.books_remaining),
            released_at=wish.now,
        )
    ]


def postpone_line(wish: PostponeLine, sale: Sale, payments: Sequence[Payment]) -> list[SaleEvent]:
    """Holds a line until a later day, 180 days from today at most; not one that is paid, or whose payment drew it."""
    line = _line(sale, wish.line_id)
    if line.state == PAYABLE:
        check_unpaid(payments, paid=wish.paid)
    return postpone_line_paid_or_not(wish, sale)


def postpone_line_paid_or_not(wish: PostponeLine, sale: Sale) -> list[SaleEvent]:
    """As the first evaluator decided: what was paid went from payable to held all the same, which made it owed."""
    line = _line(sale, wish.line_id)
    if line.state == REVERSED:
        raise NothingLeft
    if line.payable_on == wish.until and line.state == HELD:
        return []
    check_postponed(line.payable_on, wish.until, wish.now)
    back = line.state == PAYABLE
    return [
        PayoutPostponed(
            line_id=line.line_id,
            opportunity_id=wish.opportunity_id,
            partner_id=line.partner_id,
            payee_id=line.payee_id,
            amount=line.remaining,
            payable_on=wish.until,
            reason=wish.reason,
            postponed_by=wish.by,
            journal=moved(line, -line.remaining, _negative(line.books_remaining)) if back else NO_JOURNAL,
            postponed_at=wish.now,
        )
    ]


def check_postponed(payable_on: date, until: date, now: datetime) -> None:
    """Raises PostponedTooFar unless that is a later day, and within 180 days."""
    today = now.astimezone(UTC).date()
    if not max(payable_on, today) < until <= today + timedelta(days=POSTPONE_DAYS_MAX):
        raise PostponedTooFar(payable_on=iso(payable_on))


def put_under_review(sale: Sale, line_id: str, case_id: str, now: datetime) -> list[SaleEvent]:
    """Holds a line for a case; what was payable is held again. What is reversed, or held by it already, stays."""
    line = _line(sale, line_id)
    if line.state == REVERSED or line.remaining.zero or case_id in line.reviews:
        return []
    back = line.state == PAYABLE
    return [
        PayoutPutUnderReview(
            line_id=line_id,
            opportunity_id=sale.wins[line.key.win_no].opportunity_id,
            partner_id=line.partner_id,
            payee_id=line.payee_id,
            case_id=case_id,
            amount=line.remaining,
            journal=moved(line, -line.remaining, _negative(line.books_remaining)) if back else NO_JOURNAL,
            held_at=now,
        )
    ]


def clear_line(sale: Sale, line_id: str, case_id: str, now: datetime) -> list[SaleEvent]:
    """Lets go of a line that a case held; it is released on its day."""
    line = _line(sale, line_id)
    if case_id not in line.reviews:
        return []
    return [
        PayoutCleared(
            line_id=line_id,
            opportunity_id=sale.wins[line.key.win_no].opportunity_id,
            partner_id=line.partner_id,
            payee_id=line.payee_id,
            case_id=case_id,
            payable_on=line.payable_on,
            others_open=len(line.reviews) > 1,
            cleared_at=now,
        )
    ]


def moved(line: Line, amount: Money, books: Money | None) -> Journal:
    """The journal that makes a held amount payable; below zero it holds it again."""
    return move(amount, debit="held", credit="payable", payee_id=line.payee_id, cause=line.line_id, books=books)


def _negative(amount: Money | None) -> Money | None:
    return None if amount is None else -amount


def adjust_line(wish: AdjustLine, sale: Sale) -> list[SaleEvent]:
    """Proposes to correct a line; nothing moves before a second person confirms."""
    line = _line(sale, wish.line_id)
    if line.proposed and line.proposed.adjustment_id == wish.adjustment_id:
        return []
    _adjustable(line, wish.amount)
    return [
        AdjustmentProposed(
            line_id=line.line_id,
            opportunity_id=wish.opportunity_id,
            adjustment_id=wish.adjustment_id,
            amount=wish.amount,
            reason=wish.reason,
            proposed_by=wish.by,
            proposed_at=wish.now,
        )
    ]


def _adjustable(line: Line, amount: Money) -> None:
    if amount.currency != line.amount.currency:
        raise AdjustedTooFar(f"the line is in {line.amount.currency}")
    if line.remaining.amount + amount.amount < 0:
        raise AdjustedTooFar(remaining=str(line.remaining.amount))


def confirm_adjustment(wish: ConfirmAdjustment, sale: Sale) -> list[SaleEvent]:
    """A second person agrees: the line and the ledger are corrected."""
    line = _line(sale, wish.line_id)
    proposed = line.proposed
    if proposed is None or proposed.adjustment_id != wish.adjustment_id:
        raise UnknownAdjustment
    if proposed.proposed_by == wish.by:
        raise FourEyes(proposed_by=proposed.proposed_by)
    _adjustable(line, proposed.amount)
    return [
        PayoutAdjusted(
            line_id=line.line_id,
            opportunity_id=wish.opportunity_id,
            registration_id=sale.wins[line.key.win_no].registration_id,
            partner_id=line.partner_id,
            payee_id=line.payee_id,
            kind=line.kind,
            adjustment_id=wish.adjustment_id,
            amount=proposed.amount,
            remaining=line.remaining + proposed.amount,
            reason=proposed.reason,
            proposed_by=proposed.proposed_by,
            confirmed_by=wish.by,
            journal=_adjusted(line, proposed.amount, wish),
            adjusted_at=wish.now,
        )
    ]


def _adjusted(line: Line, amount: Money, wish: ConfirmAdjustment) -> Journal:
    """Expense against where the line's money stands, in the books at the line's own rate."""
    books = None
    if line.amount.zero:
        books = _of_nothing(line, amount, wish)
    elif line.books is not None:
        part = Fraction(amount.amount) * Fraction(line.books.amount) / Fraction(line.amount.amount)
        books = half_up(part, line.books.currency)
    account: AccountName = "held" if line.state == HELD else "payable"
    return move(
        amount, debit=expense(line.kind), credit=account, payee_id=line.payee_id, cause=line.line_id, books=books
    )


def _of_nothing(line: Line, amount: Money, wish: ConfirmAdjustment) -> Money | None:
    """In the books, what a line of nothing is adjusted by: as what stands of it, else at the day's rate. Raises NoRate."""
    left = line.books_remaining
    if left is None or line.remaining.zero:
        return wish.books.amount(amount, wish.now.astimezone(UTC).date())
    return half_up(Fraction(left.amount) * Fraction(amount.amount) / Fraction(line.remaining.amount), left.currency)


def _line(sale: Sale, line_id: str) -> Line:
    if line_id not in sale.lines:
        raise UnknownLine
    return sale.lines[line_id]

"""What of a line is taken back: by a reversal, or because another credit revision put the line aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from chassis.event import LEFT_OUT, stable_id
from chassis.rulebook import Rulebook
from contracts.values import Money
from services.incentives.domain.choice import Chosen, version_of
from services.incentives.domain.journal import AccountName, Journal, expense, move
from services.incentives.domain.posting import STEP_DIGITS, Posting, Shift
from services.incentives.domain.rating import half_up, reversed_by, tidy
from services.incentives.domain.sale import HELD, Line, Sale, heard_of
from services.incentives.domain.sale_events import CreditRecorded, PayoutReversed, ReversalRecorded
from services.incentives.domain.taking import counted, decimal_of

RECREDITED = "recredited"


def take_back(
    posting: Posting,
    line: Line,
    reversal: ReversalRecorded,
    known: Sequence[ReversalRecorded],
    books: Sequence[Rulebook],
) -> None:
    """Lets one reversal take its part of a line, after all those known with it: amount and measure, each once."""
    if not heard_of([reversal], line.hears, line.basis_kind):
        return
    taken = _taken(posting, line, known)
    before = _taken(posting, line, [other for other in known if other != reversal])
    _shift(posting, line, before, taken, books)
    amount = _limited(line, _farther(reversed_by(line.amount, line.basis.amount, taken), line.reversed) - line.reversed)
    if not amount.zero:
        _reverse(posting, line, amount, taken, _Why.of(reversal))


def take_back_superseded(posting: Posting, before: Sale, credit: CreditRecorded, books: Sequence[Rulebook]) -> None:
    """Reverses all that stands of the lines which this credit revision put aside."""
    for line in [line for line in posting.sale.lines.values() if line.superseded]:
        if before.lines[line.line_id].superseded:
            continue
        taken = _taken(posting, line, posting.sale.reversals_of(line.key.win_no))
        _shift(posting, line, taken, _everything(posting, line), books)
        if not line.remaining.zero:
            reversal_id = stable_id(line.line_id, RECREDITED, credit.revision)
            why = _Why(reversal_id, RECREDITED, credit.source_event_id, posting.today)
            _reverse(posting, line, line.remaining, Fraction(line.basis.amount), why)


def _everything(posting: Posting, line: Line) -> Fraction:
    """What takes all of a line's basis, and of one of nothing something, so that its pieces count no longer."""
    whole = Fraction(line.basis.amount)
    return whole or Fraction(1) if posting.ways.of_nothing else whole


def _taken(posting: Posting, line: Line, known: Sequence[ReversalRecorded]) -> Fraction:
    heard = heard_of(known, line.hears, line.basis_kind)
    taken = posting.sale.taken(line.key.win_no, line.basis_kind, heard, of_terms=posting.ways.of_terms)
    return counted(taken, line.counted, line.earned_on, line.refund_days, line.ageing)


def _shift(posting: Posting, line: Line, before: Fraction, taken: Fraction, books: Sequence[Rulebook]) -> None:
    """Moves the line's meter by what of its measure, of what it was rated at, and of its mix no longer stands."""
    chosen = version_of(books, line.key.plan_id, line.plan_version)
    if line.meter_id is None or chosen is None:
        return
    digits = STEP_DIGITS if posting.ways.even_steps else None
    shift = Shift(
        _left(posting.counted(line.measure), line, taken, digits)
        - _left(posting.counted(line.measure), line, before, digits),
        _posted(line, chosen, before) - _posted(line, chosen, taken),
        _left(posting.counted(line.mix), line, taken, digits) - _left(posting.counted(line.mix), line, before, digits),
    )
    posting.shift(line, shift, chosen)


def _left(whole: Decimal, line: Line, taken: Fraction, digits: int | None) -> Decimal:
    """What of a whole still counts once `taken` of the line's basis is taken."""
    if not line.basis.amount:
        return Decimal(0) if taken else whole
    left = Fraction(whole) * (1 - min(taken / Fraction(line.basis.amount), Fraction(1)))
    return decimal_of(round(left, digits) if taken and digits else left)


def _posted(line: Line, chosen: Chosen, taken: Fraction) -> Decimal:
    """What of the line's rated pay is taken back."""
    rated = Money(amount=line.rated, currency=chosen.plan.currency)
    return reversed_by(rated, line.basis.amount, taken).amount


def _farther(one: Money, other: Money) -> Money:
    return one if abs(one.amount) >= abs(other.amount) else other


def _limited(line: Line, amount: Money) -> Money:
    """Not more than what stands of the line, whatever was adjusted by hand."""
    stands = line.remaining
    return amount if abs(amount.amount) <= abs(stands.amount) else stands


@dataclass(frozen=True)
class _Why:
    reversal_id: str
    reason_code: str
    source_event_id: str
    effective_on: date

    @staticmethod
    def of(reversal: ReversalRecorded) -> "_Why":
        asked = reversal.asked
        return _Why(asked.reversal_id, asked.reason_code, reversal.source_event_id, asked.occurred_on)


def _reverse(posting: Posting, line: Line, amount: Money, taken: Fraction, why: _Why) -> None:
    win = posting.sale.wins[line.key.win_no]
    posting.add(
        PayoutReversed(
            line_id=line.line_id,
            opportunity_id=win.opportunity_id,
            registration_id=win.registration_id,
            key=line.key,
            payee_id=line.payee_id,
            kind=line.kind,
            plan_version=line.plan_version,
            rule_id=line.rule_id,
            reversal_id=why.reversal_id,
            reason_code=why.reason_code,
            source_event_id=why.source_event_id,
            basis=line.basis,
            taken=tidy(decimal_of(taken)),
            earned=line.amount,
            reversed_before=line.reversed,
            amount=amount,
            remaining=line.remaining - amount,
            effective_on=why.effective_on,
            journal=_journal(line, amount),
            reversed_at=posting.now,
            partner_id=LEFT_OUT if line.partner_id == line.key.partner_id else line.partner_id,
        )
    )
    posting.refill(line, amount)


def _journal(line: Line, amount: Money) -> Journal:
    """From where the line's money stands back to expense, in the books at the rate at which it was earned."""
    account: AccountName = "held" if line.state == HELD else "payable"
    books = _books(line, amount)
    return move(
        amount, debit=account, credit=expense(line.kind), payee_id=line.payee_id, cause=line.line_id, books=books
    )


def _books(line: Line, amount: Money) -> Money | None:
    left = line.books_remaining
    if left is None or line.remaining.zero:
        return None
    return half_up(Fraction(left.amount) * Fraction(amount.amount) / Fraction(line.remaining.amount), left.currency)

"""How reversals eat into a win: each takes what it asks for while there is something left, never more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from chassis.event import frozen
from contracts.values import Money, largest_remainder, minor_unit, round_half_up
from services.incentives.domain.ageing import Ageing, ageing_share
from services.incentives.domain.rating import Sold

NOTHING = Fraction(0)


@frozen
class Part:
    """What a reversal asks of one sold line."""

    line_id: str
    amount: Money


@frozen
class Asked:
    """A reversal: of the named lines, or without any of the whole sale.

    In months it asks `unearned_months` of `term_months` of each line, unrounded, whatever its amount says.
    """

    reversal_id: str
    amount: Money
    parts: tuple[Part, ...]
    reason_code: str
    occurred_on: date
    unearned_months: int | None = None
    term_months: int | None = None

    def share(self, earned_on: date, refund_days: int | None, ageing: Sequence[Ageing] = ()) -> Fraction:
        """The part of it that counts at its age."""
        return Fraction(ageing_share(self.reason_code, earned_on, self.occurred_on, ageing, refund_days))

    def reaches(self, days: Sequence[date], place: int) -> bool:
        """Whether it eats into what was sold on one of the days: months without a line only until their own."""
        return self.months is None or bool(self.parts) or not days or days[place] <= self.occurred_on

    @property
    def months(self) -> Fraction | None:
        """The part of a term that is asked back; None for an amount."""
        if self.unearned_months is None or not self.term_months:
            return None
        return Fraction(self.unearned_months, self.term_months)


@dataclass(frozen=True)
class Taken:
    """What one reversal takes of each sold line, and what it asked beyond what was left."""

    asked: Asked
    by_line: Mapping[str, Fraction]
    excess: Money

    def of(self, lines: Sequence[str]) -> Fraction:
        """What it takes of some of the sold lines."""
        return sum((self.by_line.get(line, NOTHING) for line in lines), NOTHING)


Lot = Mapping[str, Fraction]
"""What became known together: amounts by sold line."""


def taken_by(told: Sequence[Sequence[Sold] | Asked], days: Sequence[date] = ()) -> tuple[Taken, ...]:
    """What each reversal takes of what was sold, both in the order in which they became known.

    A reversal eats into all that was known when it came, or into the first that comes: those that name lines first,
    then the others over what is left, in order of their days, whichever of them was told first. What it asks beyond
    that waits for what comes later. So an addition never moves what was taken before it, and nothing is taken twice.

    Unearned months are those of what happened until their day, whenever it is told: what is sold or billed after it is of
    the term that follows. `days` are those of what was sold, in its order; without them months are taken of everything.
    """
    lots: list[Lot] = []
    waiting: list[tuple[int, Asked]] = []
    for one in told:
        if isinstance(one, Asked):
            waiting.append((max(len(lots), 1), one))
        else:
            lots.append({line.line_id: Fraction(line.amount.amount) for line in one})
    waiting.sort(key=lambda one: (not one[1].parts, one[1].occurred_on, one[1].reversal_id))
    taking = _Taking(lots, [asked for _, asked in waiting])
    for known, asked in waiting:
        mine = [lot for place, lot in enumerate(lots[:known]) if asked.reaches(days, place)]
        taking.eat(asked, {line: amount for lot in mine for line, amount in lot.items()})
    for place, lot in enumerate(lots):
        for asked in (asked for known, asked in waiting if known <= place and asked.reaches(days, place)):
            taking.eat(asked, lot)
    return tuple(Taken(asked, taking.by_line[asked.reversal_id], taking.excess(asked)) for _, asked in waiting)


class _Taking:
    """What is left of every sold line, and what each reversal has taken so far, while they eat in turn."""

    def __init__(self, lots: Sequence[Lot], reversals: Sequence[Asked]) -> None:
        self._left = {line: amount for lot in lots for line, amount in lot.items()}
        self.by_line: dict[str, dict[str, Fraction]] = {asked.reversal_id: {} for asked in reversals}

    def eat(self, asked: Asked, lot: Lot) -> None:
        """Takes of a lot what the reversal still asks."""
        left = {line: self._left[line] for line in lot}
        for line, amount in self._bite(asked, lot, left).items():
            mine = self.by_line[asked.reversal_id]
            mine[line] = mine.get(line, NOTHING) + amount
            self._left[line] -= amount

    def _bite(self, asked: Asked, lot: Lot, left: Lot) -> Mapping[str, Fraction]:
        if asked.months is not None:
            named = {part.line_id for part in asked.parts} or set(lot)
            return {line: min(amount * asked.months, left[line]) for line, amount in lot.items() if line in named}
        return _named(asked, left) if asked.parts else _spread(asked, self._open(asked), left)

    def _open(self, asked: Asked) -> Fraction:
        """What was asked and not taken yet."""
        return Fraction(asked.amount.amount) - sum(self.by_line[asked.reversal_id].values(), NOTHING)

    def excess(self, asked: Asked) -> Money:
        """What was asked beyond what there was: kept, so that a person can see it."""
        over = NOTHING if asked.months is not None else max(self._open(asked), NOTHING)
        return round_half_up(decimal_of(over), asked.amount.currency)


def _named(asked: Asked, left: Lot) -> dict[str, Fraction]:
    taken: dict[str, Fraction] = {}
    for part in [part for part in asked.parts if part.line_id in left]:
        rest = left[part.line_id] - taken.get(part.line_id, NOTHING)
        taken[part.line_id] = taken.get(part.line_id, NOTHING) + min(Fraction(part.amount.amount), rest)
    return taken


def _spread(asked: Asked, wanted: Fraction, left: Lot) -> Mapping[str, Fraction]:
    """Over the remaining bases by largest remainder; all of them where at least that much is asked."""
    rest = sum(left.values(), NOTHING)
    if rest <= 0 or wanted <= 0 or wanted >= rest:
        return left if 0 < rest <= wanted else {}
    weights = [decimal_of(amount) for amount in left.values()]
    shares = largest_remainder(decimal_of(wanted), weights, minor_unit(asked.amount.currency))
    return {line: Fraction(share) for line, share in zip(left, shares, strict=True)}


def decimal_of(exact: Fraction) -> Decimal:
    """The fraction as a decimal number, to 28 digits where it does not end."""
    return Decimal(exact.numerator) / Decimal(exact.denominator)


def counted(
    taken: Sequence[Taken],
    lines: Sequence[str],
    earned_on: date,
    refund_days: int | None,
    ageing: Sequence[Ageing] = (),
) -> Fraction:
    """Σ r p over the reversals, for the sold lines that a payout was earned on."""
    return sum((t.asked.share(earned_on, refund_days, ageing) * t.of(lines) for t in taken), NOTHING)

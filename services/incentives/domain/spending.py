"""What a budget would have given: award after award in the order of their days, never more than is left.

A backtest meets sales in any order, so awards are kept until all sales are in. What a reversal takes back of an award
is there for later ones. On one day awards come first; of awards on one day those of the sale with the smaller id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from chassis.event import frozen
from contracts.values import Money
from services.incentives.domain.rating import half_up, reversed_by
from services.incentives.domain.taking import decimal_of
from services.incentives.domain.units import UNIT_DIGITS

LastAward = Literal["rest", "none"]
NOTHING = Decimal(0)
AWARDED, TAKEN_BACK = 0, 1


@frozen
class Award:
    """What one line would draw on a day, on which basis, and what reversals took of that basis, each on its day.

    With `units` it draws those, of a budget of units, and is paid for as many as it gets.
    """

    partner_id: str
    opportunity_id: str
    on: date
    amount: Money
    basis: Decimal
    taken: tuple[tuple[date, Fraction], ...] = ()
    units: Decimal | None = None

    @property
    def cost(self) -> Decimal:
        """What it draws when there is enough."""
        return self.amount.amount if self.units is None else self.units

    def paid(self, drawn: Decimal) -> Money:
        """What it is paid for what it drew."""
        if drawn == self.cost:
            return self.amount
        return half_up(Fraction(self.amount.amount) * Fraction(drawn) / Fraction(self.cost), self.amount.currency)

    def stands(self, drawn: Decimal, taken: Fraction) -> Decimal:
        """What of what it drew stands once so much of its basis is taken."""
        paid = self.paid(drawn)
        back = reversed_by(paid, self.basis, taken).amount
        if self.units is None:
            return paid.amount - back
        part = Fraction(back) / Fraction(paid.amount) if paid.amount else Fraction(0)
        return drawn - decimal_of(round(Fraction(drawn) * part, UNIT_DIGITS))


@dataclass(frozen=True)
class Given:
    """What the budget gave for an award, what of that stands after reversals, and what of what was drawn for it does."""

    amount: Decimal
    net: Decimal
    drawn: Decimal


def given_for(awards: Sequence[Award], pot: Decimal, last: LastAward) -> list[Given]:
    """What each award gets of a pot of money or of units, in the order of the awards."""
    left, drawn, stood = pot, [NOTHING] * len(awards), [NOTHING] * len(awards)
    takings = [Fraction(0)] * len(awards)
    for _, step, _, place, taken in sorted(_steps(awards)):
        if step == AWARDED:
            drawn[place] = stood[place] = _drawn(awards[place].cost, left, last)
            left -= drawn[place]
        else:
            stands = awards[place].stands(drawn[place], taken)
            left += stood[place] - stands
            stood[place], takings[place] = stands, taken
    return [_given(*one) for one in zip(awards, drawn, stood, takings, strict=True)]


def _given(award: Award, drawn: Decimal, stands: Decimal, taken: Fraction) -> Given:
    paid = award.paid(drawn)
    return Given(paid.amount, paid.amount - reversed_by(paid, award.basis, taken).amount, stands)


Step = tuple[date, int, str, int, Fraction]


def _steps(awards: Sequence[Award]) -> list[Step]:
    """Every award and every reversal of it, by day; with a reversal comes all that was taken until then."""
    found: list[Step] = []
    for place, award in enumerate(awards):
        found.append((award.on, AWARDED, award.opportunity_id, place, Fraction(0)))
        so_far = Fraction(0)
        for day, taken in sorted(award.taken):
            so_far += taken
            found.append((max(day, award.on), TAKEN_BACK, award.opportunity_id, place, so_far))
    return found


def _drawn(amount: Decimal, left: Decimal, last: LastAward) -> Decimal:
    """All of it, or the rest where that is left and wanted."""
    return amount if amount <= left else left if last == "rest" else NOTHING

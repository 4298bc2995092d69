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

from contracts.values import Money
from services.incentives.domain.rating import reversed_by

LastAward = Literal["rest", "none"]
NOTHING = Decimal(0)
AWARDED, TAKEN_BACK = 0, 1


@dataclass(frozen=True, kw_only=True)
class Award:
    """What one line would draw on a day, on which basis, and what reversals took of that basis, each on its day."""

    partner_id: str
    opportunity_id: str
    on: date
    amount: Money
    basis: Decimal
    taken: tuple[tuple[date, Fraction], ...] = ()


@dataclass(frozen=True)
class Given:
    """What the budget gave for an award, and what of that stands after reversals."""

    amount: Decimal
    net: Decimal


def given_for(awards: Sequence[Award], pot: Decimal, last: LastAward) -> list[Given]:
    """What each award gets of a pot, in the order of the awards."""
    left, amounts, nets = pot, [NOTHING] * len(awards), [NOTHING] * len(awards)
    for _, step, _, place, taken in sorted(_steps(awards)):
        award = awards[place]
        if step == AWARDED:
            amounts[place] = nets[place] = _drawn(award.amount.amount, left, last)
            left -= amounts[place]
        else:
            given = Money(amount=amounts[place], currency=award.amount.currency)
            stands = given.amount - reversed_by(given, award.basis, taken).amount
            left += nets[place] - stands
            nets[place] = stands
    return [Given(amount, net) for amount, net in zip(amounts, nets, strict=True)]


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

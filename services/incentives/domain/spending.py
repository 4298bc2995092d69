"""What a budget would have given: award after award in the order of their days, never more than is left; or gives now.

A backtest meets sales in any order, so awards are kept until all sales are in. What a reversal takes back of an award
is there for later ones. On one day awards come first; of awards on one day those of the sale with the smaller id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from chassis.event import frozen
from contracts.values import Money, total
from services.incentives.domain.budget import Budget
from services.incentives.domain.exchange import NoRate
from services.incentives.domain.plan import Plan
from services.incentives.domain.rating import RatingFacts, half_up, paid_out, pieces, reversed_by
from services.incentives.domain.sharing import portions
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
        return self.amount if drawn == self.cost else _part_of(self.amount, drawn, self.cost)

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


# What a budget gives now, to a sale that might be


def given_now(pay: Money, plan: Plan, facts: RatingFacts, budget: Budget) -> tuple[Money, Budget]:
    """What of a pay the budget of its plan has left now, as a sale draws on it: its pieces, or payee by payee in money.

    With it the budget as it is left to the next plan that draws on it.
    """
    if budget.units is None:
        return _of_money(pay, plan, facts, budget)
    asked = decimal_of(round(pieces(plan, facts.sold, facts.percent, achieved=bool(facts.achievement)), UNIT_DIGITS))
    drawn = _drawn(asked, budget.units.available, plan.last_award)
    return _part_of(pay, drawn, asked), replace(budget, units=replace(budget.units, used=budget.units.used + drawn))


def _of_money(pay: Money, plan: Plan, facts: RatingFacts, budget: Budget) -> tuple[Money, Budget]:
    """Draws in the currency in which each part is paid out where the budget is in that, else in the plan's."""
    none = Money(amount=NOTHING, currency=pay.currency)
    if budget.allocated is None:
        return none, budget
    left, given = budget.available.amount, [none]
    for portion in portions(pay, plan.payees, plan.released, facts.parties or {"partner": facts.payee_id}):
        cost = _cost(portion.amount, plan, facts, budget.allocated.currency)
        drawn = _drawn(cost, left, plan.last_award) if cost is not None else NOTHING
        left -= drawn
        given.append(_part_of(portion.amount, drawn, cost or NOTHING))
    drawn = budget.available.amount - left
    return total(given, pay.currency), replace(budget, used=budget.used + drawn)


def _cost(amount: Money, plan: Plan, facts: RatingFacts, currency: str) -> Decimal | None:
    """What an amount draws of a budget in a currency; None where it pays in another one, or no rate is known."""
    try:
        paid = paid_out(amount, plan, facts)[0]
    except NoRate:
        paid = amount
    return next((one.amount for one in (paid, amount) if one.currency == currency), None)


def _part_of(amount: Money, drawn: Decimal, cost: Decimal) -> Money:
    """The part of an amount that is paid for what it drew of its cost."""
    part = Fraction(drawn) / Fraction(cost) if cost else Fraction(0)
    return half_up(Fraction(amount.amount) * part, amount.currency)

"""Rating: what one share of one sale pays under one plan, with every step kept; and what a refund takes back of it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from chassis.decider import Invalid
from chassis.event import iso
from chassis.rulebook import Change, Decision, Input, Kind, Reason
from contracts.values import MINOR_DIGITS, Money, money, none_of, round_half_up, total
from services.incentives.domain.plan import PLAN, Plan, faults, payable_on
from services.incentives.domain.schedule import (
    PERCENT,
    Schedule,
    Slice,
    pay_between,
    slices,
    value_of,
    without_band,
    without_cap,
)


@dataclass(frozen=True, kw_only=True)
class Sold:
    """One sold line as rating sees it. `amount` is the whole line's, net."""

    line_id: str
    family: str
    amount: Money
    quantity: int = 1


@dataclass(frozen=True, kw_only=True)
class RatingFacts:
    """A share of a sale. `measure_before` is what its window had counted before it; 0 where each line stands alone."""

    sold: tuple[Sold, ...]
    percent: Decimal
    credited_on: date
    measure_before: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """Every step to the pay: basis by share is the measure, and the pay is `round(F(after)) - round(F(before))`."""

    counted: tuple[str, ...]
    basis: Money
    share_percent: Decimal
    axis: str
    measure: Decimal
    measure_before: Decimal
    measure_after: Decimal
    value_before: Decimal
    value_after: Decimal
    rounded_before: Money
    rounded_after: Money
    bands: tuple[Slice, ...]
    schedule: Schedule

    @property
    def pay(self) -> Money:
        return self.rounded_after - self.rounded_before


def counts(plan: Plan, sold: tuple[Sold, ...]) -> tuple[Sold, ...]:
    """The sold lines that the plan pays for."""
    return tuple(line for line in sold if not plan.product_families or line.family in plan.product_families)


class OutOfRange(Invalid):
    """These facts under this plan come to an amount that money cannot hold."""

    slug = "out-of-range"


def rate(facts: RatingFacts, plan: Plan) -> Derivation:
    """What the share pays. The sale must be in the plan's currency. Raises OutOfRange beyond 15 integer digits."""
    try:
        return _rated(facts, plan)
    except (ArithmeticError, ValueError) as error:
        raise OutOfRange(str(error)) from error


def _rated(facts: RatingFacts, plan: Plan) -> Derivation:
    counted = counts(plan, facts.sold)
    basis = total((line.amount for line in counted), plan.currency)
    whole = Decimal(sum(line.quantity for line in counted)) if plan.schedule.axis == "units" else basis.amount
    measure = tidy(whole * facts.percent / PERCENT)
    before, after = facts.measure_before, tidy(facts.measure_before + measure)
    value_before, value_after = value_of(plan.schedule, before), value_of(plan.schedule, after)
    return Derivation(
        counted=tuple(line.line_id for line in counted),
        basis=basis,
        share_percent=facts.percent,
        axis=plan.schedule.axis,
        measure=measure,
        measure_before=before,
        measure_after=after,
        value_before=tidy(value_before),
        value_after=tidy(value_after),
        rounded_before=round_half_up(value_before, plan.currency),
        rounded_after=round_half_up(value_after, plan.currency),
        bands=slices(plan.schedule, after),
        schedule=plan.schedule,
    )


def tidy(number: Decimal) -> Decimal:
    """The same number in one spelling, so that equal measures are equal texts: `9000`, `0.125`."""
    short = number.normalize()
    return short.quantize(Decimal(1)) if int(short.as_tuple().exponent) > 0 else short


def evaluate(facts: RatingFacts, plan: Plan) -> Decision:
    """The pay as an outcome such as `2000.00 EUR`, the steps to it, and the pay without each band and cap."""
    foreign = sorted({line.amount.currency for line in facts.sold} - {plan.currency})
    if foreign:
        text = f"the plan pays in {plan.currency}, and no rate from {foreign[0]} is recorded"
        return Decision(outcome="quarantined", reasons=(Reason(code="no-rate", text=text),))
    found = rate(facts, plan)
    day = payable_on(facts.credited_on, plan.hold_days)
    earned = iso(facts.credited_on)
    dates = Reason(code="dates", text=f"earned {earned}, held {plan.hold_days} days, payable {iso(day)}")
    return Decision(
        outcome=text_of(found.pay),
        reasons=(*steps(found), dates),
        inputs=(Input(name="credited_on", value=earned), *inputs(found)),
        would_change=alternatives(found),
    )


def inputs(found: Derivation) -> tuple[Input, ...]:
    """What the rating looked at."""
    return (
        Input(name="basis", value=text_of(found.basis)),
        Input(name="share_percent", value=str(found.share_percent)),
        Input(name="measure_before", value=str(found.measure_before)),
    )


def steps(found: Derivation, rule: str = "", version: int = 0) -> tuple[Reason, ...]:
    """The derivation in sentences, one a step, in order."""
    rounding = f"{text_of(found.rounded_after)} less {text_of(found.rounded_before)}, half-up at the minor unit"
    return tuple(
        Reason(code=code, text=text, rule=rule, version=version)
        for code, text in (
            ("basis", f"{text_of(found.basis)} of {len(found.counted)} sold lines count"),
            ("share", f"{found.share_percent} % of it is credited: {found.measure}"),
            ("before", f"F({found.measure_before}) = {found.value_before}"),
            *((f"band-{part.band}", _band_text(part)) for part in found.bands),
            ("after", f"F({found.measure_after}) = {found.value_after}"),
            ("rounding", rounding),
        )
    )


def _band_text(part: Slice) -> str:
    return f"band {part.band}: {tidy(part.measure)} at {part.rate} = {tidy(part.value)}"


def alternatives(found: Derivation) -> tuple[Change, ...]:
    """The pay without each band, and without the cap, wherever it differs."""
    tried = [(f"band-{n}", without_band(found.schedule, n)) for n in range(1, len(found.schedule.bands) + 1)]
    tried.append(("cap", without_cap(found.schedule)))
    pays = [(code, _pay(found, other)) for code, other in tried if other is not None]
    return tuple(
        Change(code=code, text=f"without {code.replace('-', ' ')} it would pay {text_of(pay)}", outcome=text_of(pay))
        for code, pay in pays
        if pay != found.pay
    )


def _pay(found: Derivation, schedule: Schedule) -> Money:
    return pay_between(schedule, found.measure_before, found.measure_after, found.basis.currency)


def text_of(amount: Money) -> str:
    """Money in one line: `2000.00 EUR`."""
    return f"{amount.amount} {amount.currency}"


def reversed_by(earned: Money, basis: Decimal, taken: Decimal) -> Money:
    """What of a line is reversed once `taken` of its basis is: `round(E * sum(r * p) / B)`, at most all of it."""
    if basis <= 0:
        return earned if taken > 0 else none_of(earned.currency)
    part = Fraction(earned.amount) * Fraction(min(taken, basis)) / Fraction(basis)
    return _half_up(part, earned.currency)


def _half_up(exact: Fraction, currency: str) -> Money:
    units = abs(exact) * 10 ** MINOR_DIGITS[currency]
    whole = (2 * units.numerator + units.denominator) // (2 * units.denominator)
    return money(str(Decimal(whole if exact >= 0 else -whole).scaleb(-MINOR_DIGITS[currency])), currency)


PLANS: Kind[RatingFacts, Plan] = Kind(name=PLAN, body=Plan, facts=RatingFacts, evaluate=evaluate, check=faults)

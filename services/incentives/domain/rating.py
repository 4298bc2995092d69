"""Rating: what one share of one sale pays under one plan, with every step kept; and what a refund takes back of it."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from chassis.decider import Invalid
from chassis.event import LEFT_OUT, LeftOut, frozen, iso
from chassis.rulebook import Change, Decision, Input, Kind, Reason
from contracts.values import MINOR_DIGITS, Money, Term, money, none_of, round_half_up, total
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.exchange import Exchange, NoRate, Rate, exchanged, rate_for
from services.incentives.domain.modifying import ONE, Weighed, modified, with_percent
from services.incentives.domain.plan import (
    EVENT,
    PLAN,
    Plan,
    PlanOverlap,
    collide,
    faults,
    faults_of_new,
    payable_on,
    schedule_of,
)
from services.incentives.domain.recognition_rules import Achievement
from services.incentives.domain.recurring import months_of, percent_of_term
from services.incentives.domain.schedule import (
    PERCENT,
    Schedule,
    Slice,
    slices,
    value_of,
    values_without_bands,
    without_cap,
)

NOTHING = Decimal(0)
FIRST_YEAR_MONTHS = 12
QUARANTINED = "quarantined"
"""The outcome of what waits for a rate of exchange."""


@frozen
class Sold:
    """One sold line as rating sees it. `amount` is the whole line's, net; `special_price_id` what it was sold under."""

    line_id: str
    family: str
    amount: Money
    quantity: int = 1
    sku: str | None = None
    special_price_id: str | LeftOut = LEFT_OUT


@frozen
class RatingFacts:
    """A share of a sale. `measure_before` is what its window had counted before it; 0 where each line stands alone.

    `deal_earned` is what this plan has paid for the same deal so far, `parties` are the payees by party. What the payee
    wants to be paid in goes before the plan's own payout currency. With an `achievement` nothing was sold, and one event
    counts.
    """

    sold: tuple[Sold, ...]
    percent: Decimal
    credited_on: date
    measure_before: Decimal = Decimal(0)
    earned_on: date | None = None
    payee_id: str = ""
    circumstances: Circumstances = field(default_factory=Circumstances)
    margin: Money | None = None
    term: Term | None = None
    chain_started_on: date | None = None
    deal_earned: Decimal = Decimal(0)
    rates: tuple[Rate, ...] = ()
    parties: dict[str, str] = field(default_factory=dict)
    payout_currency: str | None = None
    achievement: Achievement | LeftOut = LEFT_OUT

    @property
    def currency(self) -> str | None:
        """The sale's currency; None for an event without money."""
        return self.sold[0].amount.currency if self.sold and not self.achievement else None


@frozen
class Bound:
    """A cap or floor that changed the pay: its name, and what the pay was before it."""

    name: str
    before: Money
    after: Money


@frozen
class Derivation:
    """Every step to the pay: basis by share is the measure, and the pay is `round(F(after)) - round(F(before))`.

    `basis` is in the sale's currency, `exchange` takes it to the plan's; `booked` is the revenue behind a basis that is
    not revenue. `factor` is the modifiers' on the value of a
    single line, `weight` on the measure of a plan that accumulates. `bounds` are the caps and floors that were met.
    `special_priced` are the sold lines that do not count because of their price. `achievement` is what is paid for where
    nothing was sold.
    """

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
    basis_kind: str = "bookings"
    booked: Money | None = None
    exchange: Exchange | None = None
    factor: Decimal = ONE
    weight: Decimal = ONE
    weighed: tuple[Weighed, ...] = ()
    term_percent: Decimal | None = None
    bounds: tuple[Bound, ...] = ()
    special_priced: tuple[str, ...] | LeftOut = LEFT_OUT
    achievement: Achievement | LeftOut = LEFT_OUT

    @property
    def rated(self) -> Money:
        """The pay before caps and floors."""
        return self.rounded_after - self.rounded_before

    @property
    def pay(self) -> Money:
        """The pay in the plan's currency, before it is split between payees."""
        return self.bounds[-1].after if self.bounds else self.rated


class OutOfRange(Invalid):
    """These facts under this plan come to an amount that money cannot hold."""

    slug = "out-of-range"


def counts(plan: Plan, sold: tuple[Sold, ...]) -> tuple[Sold, ...]:
    """The sold lines that the plan pays for."""
    return tuple(line for line in _of_products(plan, sold) if not (line.special_price_id and plan.regular_prices_only))


def pieces(plan: Plan, sold: tuple[Sold, ...], percent: Decimal, *, achieved: bool) -> Fraction:
    """How many pieces of what a plan pays for are a share's part. What sells nothing yet is one, whatever it names."""
    counted = counts(plan, sold)
    whole = min(len(counted), 1) if achieved else sum(line.quantity for line in counted)
    return Fraction(whole) * Fraction(percent) / Fraction(PERCENT)


def _of_products(plan: Plan, sold: tuple[Sold, ...]) -> tuple[Sold, ...]:
    return tuple(
        line
        for line in sold
        if (not plan.product_families or line.family in plan.product_families)
        and (not plan.skus or line.sku in plan.skus)
    )


def _special_priced(plan: Plan, sold: tuple[Sold, ...]) -> tuple[str, ...] | LeftOut:
    """The sold lines that would count but for their special price."""
    if not plan.regular_prices_only:
        return LEFT_OUT
    return tuple(line.line_id for line in _of_products(plan, sold) if line.special_price_id) or LEFT_OUT


def rate(facts: RatingFacts, plan: Plan) -> Derivation:
    """What the share pays. Raises NoRate without a rate to the plan's currency, OutOfRange beyond 15 integer digits."""
    try:
        return _rated(facts, plan)
    except (ArithmeticError, ValueError) as error:
        raise OutOfRange(str(error)) from error


def _rated(facts: RatingFacts, plan: Plan) -> Derivation:
    counted = counts(plan, facts.sold)
    basis = basis_of(plan, counted, facts)
    exchange = _exchange(facts, basis, plan.currency, facts.credited_on)
    whole = _whole(plan, counted, exchange.result if exchange else basis)
    measure = tidy(whole * facts.percent / PERCENT)
    percent = _term_percent(plan, facts)
    schedule = with_percent(schedule_of(plan, facts.payee_id, facts.credited_on), percent)
    changed = modified(schedule, plan.modifiers, plan.stack, facts.circumstances, measure)
    if plan.accumulating:
        found = _stepped(plan, changed.schedule, tidy(measure * changed.factor), facts.measure_before, ONE)
        found = replace(found, weight=changed.factor)
    else:
        found = _stepped(plan, changed.schedule, measure, facts.measure_before, changed.factor)
    booked = basis if facts.achievement else total((line.amount for line in counted), basis.currency)
    return replace(
        found,
        counted=tuple(line.line_id for line in counted),
        basis=basis,
        share_percent=facts.percent,
        basis_kind=plan.basis,
        booked=None if booked == basis else booked,
        exchange=exchange,
        weighed=changed.weighed,
        term_percent=percent,
        bounds=_bounds(plan, found.rated, facts.deal_earned),
        special_priced=_special_priced(plan, facts.sold),
        achievement=facts.achievement,
    )


def _stepped(plan: Plan, schedule: Schedule, measure: Decimal, before: Decimal, factor: Decimal) -> Derivation:
    """The step of the measure through F; what was looked at is filled in by the caller."""
    after = tidy(before + measure)
    value_before, value_after = value_of(schedule, before) * factor, value_of(schedule, after) * factor
    return Derivation(
        counted=(),
        basis=none_of(plan.currency),
        share_percent=NOTHING,
        axis=schedule.axis,
        measure=measure,
        measure_before=before,
        measure_after=after,
        value_before=tidy(value_before),
        value_after=tidy(value_after),
        rounded_before=round_half_up(value_before, plan.currency),
        rounded_after=round_half_up(value_after, plan.currency),
        bands=slices(schedule, after),
        schedule=schedule,
        factor=factor,
    )


# Step 1: the basis


def basis_of(plan: Plan, counted: tuple[Sold, ...], facts: RatingFacts) -> Money:
    """The money that counts, in the sale's currency."""
    currency = facts.currency or plan.currency
    if facts.achievement:
        return none_of(currency)
    booked = total((line.amount for line in counted), currency)
    if plan.basis == "margin":
        return _part_of_margin(facts, booked)
    if plan.basis == "first_year" and facts.term is not None:
        months = max(months_of(facts.term), 1)
        return _scaled(booked, Fraction(min(months, FIRST_YEAR_MONTHS), months))
    return booked


def _part_of_margin(facts: RatingFacts, booked: Money) -> Money:
    """The margin of the products that count: the deal's by their part of it. No margin known: none."""
    whole = total((line.amount for line in facts.sold), booked.currency)
    if facts.margin is None or whole.zero:
        return none_of(booked.currency)
    return _scaled(facts.margin, Fraction(booked.amount) / Fraction(whole.amount))


def _scaled(amount: Money, by: Fraction) -> Money:
    return half_up(Fraction(amount.amount) * by, amount.currency)


def _whole(plan: Plan, counted: tuple[Sold, ...], basis: Money) -> Decimal:
    """What the measure is a share of: money, pieces, or one for each event."""
    if plan.basis == EVENT:
        return Decimal(1)
    return Decimal(sum(line.quantity for line in counted)) if plan.schedule.axis == "units" else basis.amount


def _exchange(facts: RatingFacts, amount: Money, currency: str, on: date) -> Exchange | None:
    """The conversion that takes an amount to a currency, None where it is in it already."""
    if amount.currency == currency:
        return None
    rate_found = rate_for(facts.rates, amount.currency, currency, on)
    if rate_found is None:
        raise NoRate(amount.currency, currency, on)
    return exchanged(amount, rate_found)


def _term_percent(plan: Plan, facts: RatingFacts) -> Decimal | None:
    """The percent of the term under a plan for terms that renew; None where the bands' own count."""
    if plan.recurring is None:
        return None
    starts_on = facts.term.starts_on if facts.term else facts.credited_on
    return percent_of_term(plan.recurring, starts_on, facts.chain_started_on or starts_on)


# Step 7: caps and floors


def _bounds(plan: Plan, rated: Money, deal_earned: Decimal) -> tuple[Bound, ...]:
    """The caps and floors that change the pay, in order. Nothing earns no floor, and a step down is not capped."""
    if rated.amount <= 0:
        return ()
    left = None if plan.deal_cap is None else max(plan.deal_cap - deal_earned, NOTHING)
    found: list[Bound] = []
    for name, limit, bound in (
        ("line_floor", plan.line_floor, max),
        ("line_cap", plan.line_cap, min),
        ("deal_cap", left, min),
    ):
        before = found[-1].after if found else rated
        after = before if limit is None else bound(before, round_half_up(limit, rated.currency))
        if after != before:
            found.append(Bound(name=name, before=before, after=after))
    return tuple(found)


# Step 10: the currency of the payout


def paid_out(amount: Money, plan: Plan, facts: RatingFacts) -> tuple[Money, Exchange | None]:
    """A payee's amount in the payout's currency, at the rate of the day it was earned. Raises NoRate."""
    exchange = _exchange(
        facts,
        amount,
        facts.payout_currency or plan.payout_currency or plan.currency,
        facts.earned_on or facts.credited_on,
    )
    return (exchange.result, exchange) if exchange else (amount, None)


def tidy(number: Decimal) -> Decimal:
    """The same number in one spelling, so that equal measures are equal texts: `9000`, `0.125`."""
    short = number.normalize()
    return short.quantize(Decimal(1)) if int(short.as_tuple().exponent) > 0 else short


# The decision, for examples, estimates and explanations


def evaluate(facts: RatingFacts, plan: Plan) -> Decision:
    """The pay as an outcome such as `2000.00 EUR`, the steps to it, and the pay without each band, modifier and cap."""
    try:
        found = rate(facts, plan)
    except NoRate as missing:
        text = f"the plan pays in {plan.currency}: {missing}"
        return Decision(outcome=QUARANTINED, reasons=(Reason(code="no-rate", text=text),))
    day = payable_on(facts.earned_on or facts.credited_on, plan.released[0].after_days)
    earned = iso(facts.earned_on or facts.credited_on)
    dates = Reason(code="dates", text=f"earned {earned}, held {plan.released[0].after_days} days, payable {iso(day)}")
    return Decision(
        outcome=text_of(found.pay),
        reasons=(*steps(found), dates),
        inputs=(Input(name="credited_on", value=iso(facts.credited_on)), *inputs(found)),
        would_change=(*alternatives(found), *_without_modifiers(facts, plan, found)),
    )


def at_tier(facts: RatingFacts, plan: Plan, tier: str) -> Change | None:
    """What the same sale would pay in another tier; None where that cannot be said."""
    there = replace(facts, circumstances=replace(facts.circumstances, tier=tier))
    try:
        pay = text_of(rate(there, plan).pay)
    except NoRate:
        return None
    return Change(code="next-tier", text=f"in the next tier, {tier}, it would pay {pay}", outcome=pay)


def _without_modifiers(facts: RatingFacts, plan: Plan, found: Derivation) -> tuple[Change, ...]:
    """The pay without each modifier that was taken."""
    taken = [weighed.modifier_id for weighed in found.weighed if weighed.taken]
    others = {gone: tuple(m for m in plan.modifiers if m.modifier_id != gone) for gone in taken}
    pays = {gone: rate(facts, replace(plan, modifiers=left)).pay for gone, left in others.items()}
    return tuple(_change(f"modifier-{gone}", f"modifier {gone}", pay) for gone, pay in pays.items() if pay != found.pay)


def inputs(found: Derivation) -> tuple[Input, ...]:
    """What the rating looked at."""
    return (
        Input(name="basis", value=text_of(found.basis)),
        Input(name="share_percent", value=str(found.share_percent)),
        Input(name="measure_before", value=str(found.measure_before)),
        *rate_inputs(found.exchange),
    )


def rate_inputs(exchange: Exchange | None) -> tuple[Input, ...]:
    """The rate of a conversion; nothing where there was none."""
    if exchange is None:
        return ()
    return (Input(name="rate", value=rate_text(exchange.rate), event_id=exchange.rate.event_id or None),)


def steps(found: Derivation, rule: str = "", version: int = 0) -> tuple[Reason, ...]:
    """The derivation in sentences, one a step, in order."""
    rounding = f"{text_of(found.rounded_after)} less {text_of(found.rounded_before)}, half-up at the minor unit"
    return tuple(
        Reason(code=code, text=text, rule=rule, version=version)
        for code, text in (
            ("basis", _basis_text(found)),
            *_price_steps(found),
            *exchange_steps(found.exchange),
            ("share", f"{found.share_percent} % of it is credited: {_unweighted(found)}"),
            *_term_steps(found),
            *_modifier_steps(found),
            ("before", f"F({found.measure_before}) = {found.value_before}"),
            *((f"band-{part.band}", _band_text(part)) for part in found.bands),
            ("after", f"F({found.measure_after}) = {found.value_after}"),
            ("rounding", rounding),
            *((bound.name.replace("_", "-"), _bound_text(bound)) for bound in found.bounds),
        )
    )


ACHIEVED: Mapping[str, str] = {"deal_registered": "the deal was registered", "lead_converted": "the lead was converted"}


def _basis_text(found: Derivation) -> str:
    if found.achievement:
        counts_as = "counts as one event" if found.counted else "has no product that counts"
        return f"{ACHIEVED[found.achievement]}: it {counts_as}"
    kind = "" if found.basis_kind == "bookings" else f" as {found.basis_kind.replace('_', ' ')}"
    return f"{text_of(found.basis)} of {len(found.counted)} sold lines count{kind}"


def _price_steps(found: Derivation) -> tuple[tuple[str, str], ...]:
    if not found.special_priced:
        return ()
    return (
        (
            "special-price",
            f"sold at a special price, which this rebate leaves out: {len(found.special_priced)} more",
        ),
    )


def _unweighted(found: Derivation) -> Decimal:
    return found.measure if found.weight == 1 or not found.weight else tidy(found.measure / found.weight)


def exchange_steps(exchange: Exchange | None) -> tuple[tuple[str, str], ...]:
    """How an amount came into another currency; no step where it did not."""
    if exchange is None:
        return ()
    return (("exchange", f"{text_of(exchange.given)} is {text_of(exchange.result)}: {rate_text(exchange.rate)}"),)


def rate_text(rate_used: Rate) -> str:
    """The rate as it was recorded, with its day and source."""
    one, other, rate_recorded = rate_used.base, rate_used.quote, rate_used.rate
    if rate_used.per:
        one, other, rate_recorded = other, one, rate_used.per
    return f"1 {one} = {rate_recorded} {other} of {iso(rate_used.on)}, {rate_used.source}"


def _term_steps(found: Derivation) -> tuple[tuple[str, str], ...]:
    return () if found.term_percent is None else (("term", f"this term of its chain pays {found.term_percent} %"),)


def _modifier_steps(found: Derivation) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"modifier-{one.modifier_id}", f"{one.modifier_id} {'taken' if one.taken else 'not taken'}: {one.why}")
        for one in found.weighed
    )


def _band_text(part: Slice) -> str:
    return f"band {part.band}: {tidy(part.measure)} at {part.rate} = {tidy(part.value)}"


def _bound_text(bound: Bound) -> str:
    return f"{bound.name.replace('_', ' ')}: {text_of(bound.before)} becomes {text_of(bound.after)}"


def alternatives(found: Derivation) -> tuple[Change, ...]:
    """The pay without each band, and without each cap, wherever it differs."""
    uncapped = without_cap(found.schedule)
    pays = [(f"band-{number}", pay) for number, pay in enumerate(_without_bands(found), start=1)]
    pays += [("cap", _pay(found, uncapped))] if uncapped else []
    changes = [_change(code, code.replace("-", " "), pay) for code, pay in pays if pay != found.pay]
    return (*changes, *(_change(b.name.replace("_", "-"), b.name.replace("_", " "), b.before) for b in found.bounds))


def _change(code: str, named: str, pay: Money) -> Change:
    return Change(code=code, text=f"without {named} it would pay {text_of(pay)}", outcome=text_of(pay))


def _without_bands(found: Derivation) -> list[Money]:
    """The pay without each band, before caps and floors of the line; nothing to say of an only band."""
    if len(found.schedule.bands) == 1:
        return []
    afters = values_without_bands(found.schedule, found.measure_after)
    befores = values_without_bands(found.schedule, found.measure_before)
    return [_step(found, before, after) for before, after in zip(befores, afters, strict=True)]


def _pay(found: Derivation, schedule: Schedule) -> Money:
    """The pay under another schedule, before caps and floors of the line."""
    return _step(found, value_of(schedule, found.measure_before), value_of(schedule, found.measure_after))


def _step(found: Derivation, before: Decimal, after: Decimal) -> Money:
    currency = found.rounded_after.currency
    return round_half_up(after * found.factor, currency) - round_half_up(before * found.factor, currency)


def text_of(amount: Money) -> str:
    """Money in one line: `2000.00 EUR`."""
    return f"{amount.amount} {amount.currency}"


# What is taken back


def reversed_by(earned: Money, basis: Decimal, taken: Fraction | Decimal) -> Money:
    """What of a line is reversed once `taken` of its basis is: `round(E * sum(r * p) / B)`, at most all of it."""
    exact = Fraction(taken)
    if basis <= 0:
        return earned if exact > 0 else none_of(earned.currency)
    return half_up(Fraction(earned.amount) * min(exact, Fraction(basis)) / Fraction(basis), earned.currency)


def half_up(exact: Fraction, currency: str) -> Money:
    """The nearest minor unit to a fraction; a half goes away from zero."""
    units = abs(exact) * 10 ** MINOR_DIGITS[currency]
    whole = (2 * units.numerator + units.denominator) // (2 * units.denominator)
    return money(str(Decimal(whole if exact >= 0 else -whole).scaleb(-MINOR_DIGITS[currency])), currency)


PLANS: Kind[RatingFacts, Plan] = Kind(
    name=PLAN,
    body=Plan,
    facts=RatingFacts,
    evaluate=evaluate,
    check=faults,
    check_new=faults_of_new,
    collides=collide,
    overlap=PlanOverlap,
)

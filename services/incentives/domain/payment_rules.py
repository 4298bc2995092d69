"""When a payment may go out: rules of the kind `payment`. Without any, two people and the payee's own gates suffice."""

from collections.abc import Iterable
from dataclasses import field
from decimal import Decimal
from typing import Literal

from chassis.event import frozen
from chassis.rulebook import Decision, Input, Kind, Reason
from contracts.values import MINOR_DIGITS, Money, none_of, round_half_up
from services.incentives.domain.periods import Calendar, calendar_faults
from services.incentives.domain.schedule import PERCENT, sane
from services.incentives.domain.thresholds import (
    WITHHOLDING,
    Measured,
    PayeeKind,
    TaxHome,
    Threshold,
    YearSoFar,
    asked,
    measured,
    text_of_measured,
    threshold_faults,
)

PAYMENT = "payment"
COOL_DOWN_HOURS, COOL_DOWN_RANGE = 120, (24, 240)
MINIMUM_MAX = Decimal(1_000)
FORFEITURE_RANGE = (3, 36)
Gate = Literal["tax_form", "bank_verified", "invoice"]


@frozen
class Withholding:
    """What is withheld for a jurisdiction, of one kind of payee; without a year in every one."""

    jurisdiction: str
    percent: Decimal
    payee_kind: PayeeKind = "company"
    tax_year: int | None = None


@frozen
class PaymentRules:
    """`limits` are the most that a role or duty approves, by currency; who is not named approves nothing.

    `gates` must be open before a payment, `minimums` are carried forward below, by currency. Bank details that were
    changed cool down for `cool_down_hours`. `calendar` says when statements are issued and paid. What waits for the
    payee's own papers is lost after `forfeiture_months`; null: never. `thresholds` let what they ask begin later.
    """

    limits: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    minimums: dict[str, Decimal] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    cool_down_hours: int = COOL_DOWN_HOURS
    withholding: tuple[Withholding, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    forfeiture_months: int | None = None
    thresholds: tuple[Threshold, ...] = ()


@frozen
class PaymentFacts:
    """A payment that someone wants to approve; `paid_before` is what the payee was paid in the year already."""

    amount: Money
    roles: tuple[str, ...] = ()
    jurisdiction: str | None = None
    payee_kind: str = "company"
    tax_year: int = 0
    paid_before: Money | None = None


def limit_of(rules: PaymentRules, roles: Iterable[str], currency: str) -> Money | None:
    """The most that somebody in these roles may approve; None where the rules name no limits at all."""
    if not rules.limits:
        return None
    most = max((rules.limits.get(role, {}).get(currency, Decimal(0)) for role in roles), default=Decimal(0))
    return round_half_up(most, currency)


def minimum_of(rules: PaymentRules, currency: str) -> Money:
    """The least that is worth a payment."""
    return round_half_up(rules.minimums.get(currency, Decimal(0)), currency)


def percent_of(rules: PaymentRules, jurisdiction: str | None, payee_kind: str, year: int) -> Decimal:
    """What percent is withheld: by the table of the year, else by the one of every year."""
    fitting = [
        rule
        for rule in rules.withholding
        if (rule.jurisdiction, rule.payee_kind) == (jurisdiction, payee_kind) and rule.tax_year in (year, None)
    ]
    chosen = max(fitting, key=lambda rule: rule.tax_year or 0, default=None)
    return chosen.percent if chosen else Decimal(0)


def withheld_of(rules: PaymentRules, amount: Money, jurisdiction: str | None, payee_kind: str, year: int) -> Money:
    """What is withheld of a payment."""
    percent = percent_of(rules, jurisdiction, payee_kind, year)
    return round_half_up(amount.amount * percent / PERCENT, amount.currency)


def evaluate(facts: PaymentFacts, rules: PaymentRules) -> Decision:
    """Approved, over-limit or below-minimum, and what would be withheld."""
    currency = facts.amount.currency
    limit, minimum = limit_of(rules, facts.roles, currency), minimum_of(rules, currency)
    withheld, found = _tried(facts, rules)
    outcome, text = "approved", "within the limit and not below the minimum"
    if facts.amount < minimum:
        outcome, text = "below-minimum", f"the minimum is {minimum.amount} {currency}"
    elif limit is not None and limit < facts.amount:
        outcome, text = "over-limit", f"the limit is {limit.amount} {currency}"
    return Decision(
        outcome=outcome,
        reasons=(
            Reason(code=outcome, text=text),
            Reason(code="withheld", text=f"{withheld.amount} {currency}"),
            *(Reason(code="threshold", text=text_of_measured(one)) for one in found),
        ),
        inputs=(Input(name="amount", value=f"{facts.amount.amount} {currency}"),),
    )


def _tried(facts: PaymentFacts, rules: PaymentRules) -> tuple[Money, tuple[Measured, ...]]:
    """What would be withheld, and the thresholds that say so."""
    home = TaxHome(jurisdiction=facts.jurisdiction, payee_kind=facts.payee_kind)
    before = facts.paid_before or none_of(facts.amount.currency)
    totals = (before + facts.amount,) if before.currency == facts.amount.currency else ()
    so_far = YearSoFar(tax_year=facts.tax_year, totals=totals, position=0)
    found = measured(rules.thresholds, WITHHOLDING, home, facts.tax_year, so_far)
    if not asked(found, home, otherwise=True):
        return none_of(facts.amount.currency), found
    return withheld_of(rules, facts.amount, facts.jurisdiction, facts.payee_kind, facts.tax_year), found


def faults(rules: PaymentRules) -> list[str]:
    """What is wrong with the rules, in sentences; nothing for sound ones."""
    low, high = COOL_DOWN_RANGE
    found = [] if low <= rules.cool_down_hours <= high else [f"cool_down_hours is {low} to {high}"]
    limits = [*rules.limits.values(), rules.minimums]
    if any(not sane(amount) or amount < 0 for amounts in limits for amount in amounts.values()):
        found.append("limits and minimums are numbers from 0, with at most 4 digits after the point")
    if unknown := sorted({code for amounts in limits for code in amounts} - MINOR_DIGITS.keys()):
        found.append(f"{unknown[0]!r} is not an ISO 4217 currency")
    if any(amount > MINIMUM_MAX for amount in rules.minimums.values()):
        found.append(f"a minimum is at most {MINIMUM_MAX}")
    if any(not sane(rule.percent) or not 0 <= rule.percent <= PERCENT for rule in rules.withholding):
        found.append("what is withheld is 0 to 100 percent")
    shortest, longest = FORFEITURE_RANGE
    if rules.forfeiture_months is not None and not shortest <= rules.forfeiture_months <= longest:
        found.append(f"forfeiture_months is {shortest} to {longest}, or null")
    found += threshold_faults(rules.thresholds)
    return [*found, *calendar_faults(rules.calendar)]


NO_RULES = PaymentRules()
PAYMENT_RULES: Kind[PaymentFacts, PaymentRules] = Kind(
    name=PAYMENT, body=PaymentRules, facts=PaymentFacts, evaluate=evaluate, check=faults
)

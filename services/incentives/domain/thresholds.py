"""From which amount of a tax year on a payee's form is asked for, or tax withheld: by jurisdiction, kind of payee, year.

What counts is the whole of a payment, before anything is withheld: all that was paid in the year, what is on its way to
the payee, and the payment that is looked at. A year begins at nothing. What cannot be counted, for want of a rate of
exchange, counts as reaching every threshold: rather a form too many than a return that is missing.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from chassis.event import frozen
from contracts.values import MINOR_DIGITS, Money, minor_unit, round_half_up
from services.incentives.domain.schedule import sane

THRESHOLDS_MAX = 200
PayeeKind = Literal["company", "person"]
Asked = Literal["tax_form", "withholding"]
TAX_FORM, WITHHOLDING = "tax_form", "withholding"
ASKS = {TAX_FORM: "a tax form is asked for", WITHHOLDING: "tax is withheld"}


@frozen
class Threshold:
    """From `from_amount` in a tax year on a form is asked for, or tax withheld; without a year in every one."""

    asks: Asked
    jurisdiction: str
    from_amount: Decimal
    currency: str
    payee_kind: PayeeKind = "company"
    tax_year: int | None = None


@frozen
class TaxHome:
    """Where a payee is taxed, and as what. Without a jurisdiction nobody knows yet, and every one may be its own."""

    jurisdiction: str | None
    payee_kind: str


@frozen
class YearSoFar:
    """What a payee has come to in a tax year, with the payment that is looked at, in the currencies of the thresholds.

    A currency is missing where an amount has no recorded rate into it. `position` is that of what was read.
    """

    tax_year: int
    totals: tuple[Money, ...]
    position: int

    def in_currency(self, currency: str) -> Money | None:
        return next((amount for amount in self.totals if amount.currency == currency), None)


@frozen
class Measured:
    """A threshold that counts for a payee, and what it has come to; without `total` it cannot be counted."""

    asks: Asked
    jurisdiction: str
    payee_kind: str
    tax_year: int
    threshold: Money
    total: Money | None

    @property
    def reached(self) -> bool:
        return self.total is None or not self.total < self.threshold


def measured(
    thresholds: Sequence[Threshold], asks: str, home: TaxHome, year: int, so_far: YearSoFar | None
) -> tuple[Measured, ...]:
    """The thresholds that count for a payee: of its jurisdiction, or of each while nobody knows it; the year's first."""
    fitting = [
        one
        for one in thresholds
        if (one.asks, one.payee_kind) == (asks, home.payee_kind)
        and one.tax_year in (year, None)
        and home.jurisdiction in (one.jurisdiction, None)
    ]
    chosen: dict[str, Threshold] = {}
    for one in sorted(fitting, key=lambda one: (one.jurisdiction, one.tax_year or 0)):
        chosen[one.jurisdiction] = one
    return tuple(_measured(one, year, so_far) for one in chosen.values())


def _measured(one: Threshold, year: int, so_far: YearSoFar | None) -> Measured:
    counted = so_far if so_far and so_far.tax_year == year else None
    return Measured(
        asks=one.asks,
        jurisdiction=one.jurisdiction,
        payee_kind=one.payee_kind,
        tax_year=year,
        threshold=round_half_up(one.from_amount, one.currency),
        total=counted.in_currency(one.currency) if counted else None,
    )


def asked(found: Sequence[Measured], home: TaxHome, *, otherwise: bool) -> bool:
    """Whether it is asked of a payee: once a threshold is reached; `otherwise` where none is of its jurisdiction."""
    if any(one.reached for one in found):
        return True
    return otherwise and (not found or home.jurisdiction is None)


def text_of_measured(one: Measured) -> str:
    """A threshold in words: `650.00 USD in 2026 reaches 600.00 USD, from which on a tax form is asked for in US`."""
    bound = f"{one.threshold.amount} {one.threshold.currency}"
    beyond = f"{bound}, from which on {ASKS[one.asks]} in {one.jurisdiction}"
    if one.total is None:
        return f"what is paid in {one.tax_year} has no rate into {one.threshold.currency}, so it counts as {beyond}"
    verb = "reaches" if one.reached else "stays below"
    return f"{one.total.amount} {one.total.currency} in {one.tax_year} {verb} {beyond}"


def threshold_faults(thresholds: Sequence[Threshold]) -> list[str]:
    """What is wrong with thresholds, in sentences; nothing for sound ones."""
    found = [] if len(thresholds) <= THRESHOLDS_MAX else [f"at most {THRESHOLDS_MAX} thresholds"]
    if unknown := sorted({one.currency for one in thresholds} - MINOR_DIGITS.keys()):
        found.append(f"{unknown[0]!r} is not an ISO 4217 currency")
    if any(not _sound(one) for one in thresholds):
        found.append("from_amount is from 0, with no more digits than its currency has")
    keys = [(one.asks, one.jurisdiction, one.payee_kind, one.tax_year) for one in thresholds]
    if len(set(keys)) < len(keys):
        found.append("there is one threshold of a kind for a jurisdiction, kind of payee and year")
    return found


def _sound(one: Threshold) -> bool:
    amount = one.from_amount
    if not sane(amount) or amount < 0:
        return False
    return one.currency not in MINOR_DIGITS or amount == amount.quantize(minor_unit(one.currency))

"""What a fund for joint marketing pays for: rules of the kind `fund`, versioned and published like every rulebook."""

import re
from collections.abc import Iterable
from dataclasses import field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from chassis.decider import Invalid, Refused
from chassis.event import frozen
from chassis.rulebook import Decision, Input, Kind, Reason, Rulebook, Version
from contracts.values import MINOR_DIGITS, Money, none_of, round_half_up
from services.incentives.domain.payment_rules import PaymentRules, limit_of
from services.incentives.domain.plan import MONTHS_A_QUARTER, Accumulate, window_end, window_of
from services.incentives.domain.schedule import PERCENT, sane

FUND = "fund"
CLAIM_DAYS_RANGE, EXTENSION_DAYS_MAX, TOLERANCE_MAX = (7, 120), 60, Decimal(10)
ACTIVITIES_MAX = 50
PERIOD = re.compile(r"([0-9]{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?").fullmatch

YEARS = range(date.min.year, date.max.year)
"""Those of which a calendar knows the first day, and the day after the last one."""

ProofKind = Literal["invoice", "photo", "report", "attendance", "advertisement", "payment", "other"]


class PeriodInvalid(Invalid):
    """A fund's period is a year, quarter or month, such as 2026, 2026-Q3 or 2026-07."""

    slug = "fund-period-invalid"


class NoFund(Refused):
    """No fund of that name is in force: see GET /rulebooks for those that are."""

    slug = "no-fund"


class OverLimit(Refused):
    """The amount is above your limit: ask somebody with a higher one."""

    status = 403
    slug = "over-limit"


@frozen
class Activity:
    """What partners may do with the money, and which proofs of it a claim must bring."""

    type: str
    proofs: tuple[ProofKind, ...] = ("invoice",)


@frozen
class AccrualTerms:
    """What partners buy fills their shares: `percent` of it goes into the share of the period that is open then.

    Bookings are what was won and added, invoiced and collected what was billed; of each what was not taken back, credited
    in `pool`; `product_families` are those that count, all where none are named.
    """

    percent: Decimal
    basis: Literal["bookings", "invoiced", "collected"] = "bookings"
    pool: str = "sourced"
    every: Literal["year", "quarter", "month"] = "quarter"
    product_families: tuple[str, ...] = ()


@frozen
class FundRules:
    """The body of a fund.

    It pays `participation_percent` of an activity. A claim may go `tolerance_percent` of the reserved amount beyond it,
    and is due `claim_days` after the activity, or once `extension_days` later. What is left at the end of a period goes
    into the next one by `rollover_percent`. `limits` are the most that a role or duty accepts, by currency; where any
    are named, who is not named accepts nothing. With `accrual` the partner's purchases fill its share, beside what is
    given by hand.
    """

    name: str
    currency: str
    activities: tuple[Activity, ...]
    programme: str = "default"
    participation_percent: Decimal = Decimal(50)
    tolerance_percent: Decimal = Decimal(0)
    claim_days: int = 45
    extension_days: int = 30
    rollover_percent: Decimal = Decimal(0)
    limits: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    accrual: AccrualTerms | None = None

    def activity(self, kind: str) -> Activity | None:
        """The activity of a type, None where the fund does not pay for it."""
        return next((one for one in self.activities if one.type == kind), None)

    def reserved(self, accepted: Money) -> Money:
        """What is kept for an activity: the fund's part of what was accepted."""
        return part_of(accepted, self.participation_percent)


@frozen
class FundFacts:
    """An activity that was accepted, and, where it has been claimed, what of the claim is eligible; or what was bought."""

    accepted: Money | None = None
    eligible: Money | None = None
    bought: Money | None = None


def part_of(amount: Money, percent: Decimal) -> Money:
    """A percentage of an amount, half-up at the minor unit."""
    return round_half_up(amount.amount * percent / PERCENT, amount.currency)


def reimbursed(eligible: Money, percent: Decimal, rest: Money, tolerance: Money) -> Money:
    """What a claim is paid: the fund's part of what is eligible, at most what is left and a tolerance.

    10,000 at 50 % keeps 5,000: eligible 9,000 is paid 4,500, eligible 11,000 is paid 5,000.
    """
    return min(part_of(eligible, percent), rest + tolerance)


def evaluate(facts: FundFacts, rules: FundRules) -> Decision:
    """What is reserved for an activity and what of a claim for it is paid; or what a purchase brings into the share."""
    if facts.accepted is None:
        return _brought(facts.bought or nothing_in(rules), rules)
    return _kept(facts, facts.accepted, rules)


def _brought(bought: Money, rules: FundRules) -> Decision:
    percent = rules.accrual.percent if rules.accrual else Decimal(0)
    brought = _text(part_of(bought, percent))
    return Decision(
        outcome=brought,
        reasons=(Reason(code="accrued", text=f"{percent} % of {_text(bought)} is {brought}"),),
        inputs=(Input(name="bought", value=_text(bought)),),
    )


def _kept(facts: FundFacts, accepted: Money, rules: FundRules) -> Decision:
    kept = rules.reserved(accepted)
    outcome, tolerance = kept, part_of(kept, rules.tolerance_percent)
    text = f"{rules.participation_percent} % of {_text(accepted)} is {_text(kept)}"
    reasons = [Reason(code="reserved", text=text)]
    if facts.eligible is not None:
        outcome = reimbursed(facts.eligible, rules.participation_percent, kept, tolerance)
        asked = part_of(facts.eligible, rules.participation_percent)
        text = f"{_text(asked)} of the claim, at most {_text(kept)} and {_text(tolerance)} of tolerance"
        reasons.append(Reason(code="reimbursed", text=text))
    return Decision(
        outcome=_text(outcome),
        reasons=tuple(reasons),
        inputs=(Input(name="accepted", value=_text(accepted)),),
    )


def _text(amount: Money) -> str:
    return f"{amount.amount} {amount.currency}"


def faults(rules: FundRules) -> list[str]:
    """What is wrong with a fund, in sentences; nothing for a sound one."""
    accrued = rules.accrual.percent if rules.accrual else Decimal(0)
    shares = (rules.participation_percent, rules.rollover_percent, rules.tolerance_percent, accrued)
    low, high = CLAIM_DAYS_RANGE
    amounts = [amount for limits in rules.limits.values() for amount in limits.values()]
    types = [one.type for one in rules.activities]
    wrong = {
        "a fund has a name": not rules.name.strip(),
        f"{rules.currency!r} is not an ISO 4217 currency": rules.currency not in MINOR_DIGITS,
        f"there are 1 to {ACTIVITIES_MAX} activities, each once": not 1 <= len(set(types)) <= ACTIVITIES_MAX
        or len(types) != len(set(types)),
        "percents are 0 to 100": any(not sane(share) or not 0 <= share <= PERCENT for share in shares),
        f"tolerance_percent is at most {TOLERANCE_MAX}": not rules.tolerance_percent <= TOLERANCE_MAX,
        f"claim_days is {low} to {high}": not low <= rules.claim_days <= high,
        f"extension_days is 0 to {EXTENSION_DAYS_MAX}": not 0 <= rules.extension_days <= EXTENSION_DAYS_MAX,
        "limits are numbers from 0": any(not sane(amount) or amount < 0 for amount in amounts),
    }
    return [sentence for sentence, is_so in wrong.items() if is_so]


FUNDS: Kind[FundFacts, FundRules] = Kind(name=FUND, body=FundRules, facts=FundFacts, evaluate=evaluate, check=faults)


def fund_at(book: Rulebook, now: datetime) -> tuple[Version, FundRules]:
    """The version of a fund that is in force. Raises NoFund."""
    version = book.in_force(now)
    if version is None or version.kind != FUND:
        raise NoFund
    return version, FUNDS.read(version.body)


def fund_of(book: Rulebook, number: int, now: datetime) -> FundRules:
    """A fund as it is in force; once it has ended, as what was accepted under its version `number` was. Raises NoFund."""
    version = book.in_force(now) or book.version(number)
    if version is None or version.kind != FUND:
        raise NoFund
    return FUNDS.read(version.body)


def within_limit(limits: dict[str, dict[str, Decimal]], roles: Iterable[str], amount: Money) -> Money | None:
    """The limit that an amount is above, None where it may be accepted."""
    limit = limit_of(PaymentRules(limits=limits), roles, amount.currency)
    return limit if limit is not None and limit < amount else None


def period_of(period: str) -> tuple[date, date]:
    """The first day of a period, and the first one after it. Raises PeriodInvalid."""
    found = PERIOD(period)
    if found is None or int(found[1]) not in YEARS:
        raise PeriodInvalid
    year, quarter, month = found.groups()
    first = int(month) if month else (int(quarter) - 1) * MONTHS_A_QUARTER + 1 if quarter else 1
    begins = date(int(year), first, 1)
    return begins, window_end(_length(period), begins)


def next_period(period: str) -> str:
    """The period that follows, of the same length."""
    _, ends = period_of(period)
    names = {
        "year": f"{ends.year:04}",
        "quarter": f"{ends.year:04}-Q{(ends.month - 1) // MONTHS_A_QUARTER + 1}",
        "month": f"{ends.year:04}-{ends.month:02}",
    }
    return names[_length(period)]


def period_on(every: Accumulate, day: date) -> str:
    """The period of a length that a day lies in."""
    window = window_of(every, day)
    return window[0] if window else ""


def _length(period: str) -> Accumulate:
    return "quarter" if "Q" in period else "month" if "-" in period else "year"


def today(now: datetime) -> date:
    return now.astimezone(UTC).date()


def nothing_in(rules: FundRules) -> Money:
    """No money of the fund's currency."""
    return none_of(rules.currency)

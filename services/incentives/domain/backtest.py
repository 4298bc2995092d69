"""A backtest: what a candidate plan would have paid for sales that really happened, beside what another one pays.

Both sides are reckoned by the same functions that rate live sales. Windows count as closed, so a payee's window is
worth F of its net measure; single lines pay what they earn less what reversals take. Nothing is posted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from chassis.event import canonical_json, sha256
from contracts.values import MINOR_DIGITS, Money, round_half_up
from services.incentives.domain.bulk import MEASURE_DIGITS, Table, compiled
from services.incentives.domain.choice import Chosen
from services.incentives.domain.dues import Due, Known, bases_for, facts_of
from services.incentives.domain.exchange import NoRate
from services.incentives.domain.plan import Plan, schedule_of, window_of
from services.incentives.domain.rating import counts, rate, reversed_by, tidy
from services.incentives.domain.sale import Sale, shares_in_month
from services.incentives.domain.sale_events import LineKey, ReversalRecorded
from services.incentives.domain.schedule import PERCENT, Schedule, value_of
from services.incentives.domain.taking import counted, decimal_of, taken_by

CHANGED_MAX = 200
TABLES_MAX = 10_000
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Worth:
    """One line as one plan pays it: to whom, how much net of reversals, and which step decided it."""

    partner_id: str
    amount: Decimal
    step: str


@dataclass
class Side:
    """One of the two plans with what it pays so far: single lines at once, windows when all sales are in."""

    chosen: Chosen
    known: Known
    paid: Counter[str] = field(default_factory=Counter)
    windows: dict[tuple[str, date], Fraction] = field(default_factory=dict)
    quarantined: int = 0

    def take(self, sale: Sale, since: date, until: date) -> list[Worth]:
        """What the plan pays for a sale; a window's lines are told by what they add to its measure."""
        found = []
        for due in _dues(sale, self.chosen):
            if since <= due.win.credited_on <= until:
                try:
                    found.append(self._worth(sale, due))
                except NoRate:
                    self.quarantined += 1
        for worth in found:
            self.paid[worth.partner_id] += worth.amount  # type: ignore[assignment]
        return found

    def _worth(self, sale: Sale, due: Due) -> Worth:
        plan = self.chosen.plan
        measure, pay, basis, step = _fast(due, plan) if _plain(plan) else _full(sale, due, self.known)
        taken = _taken(sale, due, plan)
        if plan.accumulating:
            day = due.win.credited_on
            window = window_of(plan.accumulate, day)
            place = (due.key.partner_id, window[1] if window else day)
            left = 1 - min(taken / Fraction(basis), Fraction(1)) if basis else Fraction(0 if taken else 1)
            self.windows[place] = self.windows.get(place, Fraction(0)) + Fraction(measure) * left
            return Worth(due.key.partner_id, NOTHING, step)
        net = pay - _reversed(pay, basis, taken, plan.currency) if taken else pay
        return Worth(due.key.partner_id, net, step)

    def total(self) -> dict[str, Decimal]:
        """What each partner is paid in the end."""
        sums: Counter[str] = Counter(self.paid)
        for (partner_id, first_day), measure in self.windows.items():
            schedule = schedule_of(self.chosen.plan, partner_id, _last_month(self.chosen.plan, first_day))
            sums[partner_id] += _rounded(schedule, measure, self.chosen.plan.currency)  # type: ignore[assignment]
        return {partner_id: Decimal(amount) for partner_id, amount in sums.items()}


def _dues(sale: Sale, chosen: Chosen) -> Iterator[Due]:
    """The credited shares of a sale that the plan would rate."""
    plan = chosen.plan
    for win_no, win in sorted(sale.wins.items()):
        if win.backfill or (plan.deal_types and win.deal_type not in plan.deal_types):
            continue
        for credit in sale.credit_of(win_no):
            if credit.pool != plan.pool:
                continue
            for share in shares_in_month(credit.shares, win.credited_on):
                for basis in bases_for(plan, sale, win):
                    key = LineKey(
                        win_no=win_no,
                        pool=credit.pool,
                        role=share.role,
                        partner_id=share.partner_id,
                        plan_id=chosen.plan_id,
                        fact_id=basis.fact_id,
                    )
                    yield Due(key, share, credit, win, basis, chosen)


Rated = tuple[Decimal, Decimal, Decimal, str]
"""Measure, pay, the basis that reversals eat into, and the step that decided."""


@lru_cache(maxsize=TABLES_MAX)
def _plain(plan: Plan) -> bool:
    """Whether nothing but basis, share and schedule decides a line's pay, so that whole numbers are enough."""
    looks_elsewhere = plan.modifiers or plan.quotas or plan.recurring or plan.quota_to_date
    bounded = plan.line_cap is not None or plan.line_floor is not None or plan.deal_cap is not None
    return not looks_elsewhere and not bounded and plan.basis in ("bookings", "invoiced", "collected")


def _fast(due: Due, plan: Plan) -> Rated:
    """The pay by the table of the schedule."""
    sold = counts(plan, due.basis.sold)
    booked = sum((line.amount.amount for line in sold), NOTHING)
    if sold and sold[0].amount.currency != plan.currency:
        raise NoRate(sold[0].amount.currency, plan.currency, due.win.credited_on)
    whole = Decimal(sum(line.quantity for line in sold)) if plan.schedule.axis == "units" else booked
    measure = whole * due.share.percent / PERCENT
    table = _table(plan)
    worth = table.worth(int(measure.scaleb(MEASURE_DIGITS)))
    band = max(sum(measure.scaleb(MEASURE_DIGITS) >= threshold for threshold in table.thresholds), 1)
    return measure, Decimal(worth).scaleb(-MINOR_DIGITS[plan.currency]), booked, f"band-{band}"


@lru_cache(maxsize=TABLES_MAX)
def _table(plan: Plan) -> Table:
    return compiled(plan.schedule, plan.currency)


def _full(sale: Sale, due: Due, known: Known) -> Rated:
    """The pay with every step of the rating."""
    found = rate(facts_of(due, sale, known, NOTHING), due.chosen.plan)
    booked = (found.booked or found.basis).amount
    taken = [one.modifier_id for one in found.weighed if one.taken]
    step = found.bounds[-1].name if found.bounds else f"modifier-{taken[0]}" if taken else "schedule"
    return found.measure, found.pay.amount, booked, step


def _taken(sale: Sale, due: Due, plan: Plan) -> Fraction:
    """Σ r p of the reversals that the plan hears, for what it rated."""
    heard = [one for one in _reversals(sale, due.win.win_no) if one.source == plan.hears]
    if not heard:
        return Fraction(0)
    taken = taken_by(sale.told_of(due.win.win_no, plan.basis, heard))
    lines = [line.line_id for line in counts(plan, due.basis.sold)]
    return counted(taken, lines, due.basis.earned_on, plan.refund_days, plan.ageing)


def _reversals(sale: Sale, win_no: int) -> tuple[ReversalRecorded, ...]:
    return sale.reversals_of(win_no) if sale.reversals else ()


def _reversed(pay: Decimal, basis: Decimal, taken: Fraction, currency: str) -> Decimal:
    return reversed_by(Money(amount=pay, currency=currency), basis, taken).amount


def _last_month(plan: Plan, first_day: date) -> date:
    months = {"year": 12, "quarter": 3, "month": 1}[plan.accumulate]
    return date(first_day.year, first_day.month + months - 1, 1)


def _rounded(schedule: Schedule, measure: Fraction, currency: str) -> Decimal:
    return round_half_up(value_of(schedule, decimal_of(measure)), currency).amount


# The comparison


@dataclass
class Backtest:
    """Two plans over the same sales, one sale after the other."""

    old: Side | None
    new: Side
    since: date
    until: date
    actual: Counter[str] = field(default_factory=Counter)
    sales: int = 0
    changed: list[dict[str, Any]] = field(default_factory=list)
    changed_count: int = 0

    def take(self, opportunity_id: str, sale: Sale) -> None:
        """Adds a sale to both sides."""
        self.sales += 1
        new = self.new.take(sale, self.since, self.until)
        old = self.old.take(sale, self.since, self.until) if self.old else []
        if self.old and [(w.partner_id, w.amount, w.step) for w in old] != [
            (w.partner_id, w.amount, w.step) for w in new
        ]:
            self.changed_count += 1
            if len(self.changed) < CHANGED_MAX:
                self.changed.append({"opportunity_id": opportunity_id, "old": _told(old), "new": _told(new)})

    def paid(self, partner_id: str, amount: Decimal) -> None:
        """What was really posted, where that is the baseline."""
        self.actual[partner_id] += amount  # type: ignore[assignment]

    def report(self) -> dict[str, Any]:
        """Who would have gained and lost how much. The same sales and plans give the same bytes."""
        old: dict[str, Decimal] = self.old.total() if self.old else dict(self.actual)  # type: ignore[arg-type]
        new = self.new.total()
        rows = sorted((_row(partner_id, old, new) for partner_id in old.keys() | new.keys()), key=_by_delta)
        found = {
            "currency": self.new.chosen.plan.currency,
            "sales": self.sales,
            "quarantined": self.new.quarantined,
            "total": _row("", {"": sum(old.values(), NOTHING)}, {"": sum(new.values(), NOTHING)}),
            "partners": rows,
            "winners": [row["partner_id"] for row in reversed(rows) if Decimal(row["delta"]) > 0],
            "losers": [row["partner_id"] for row in rows if Decimal(row["delta"]) < 0],
            "changed": self.changed_count,
            "lines": self.changed,
        }
        return {**found, "digest": sha256(canonical_json(found))}

    def as_json(self) -> dict[str, Any]:
        """The report, under the name that every run's report has."""
        return self.report()


def _told(worths: Iterable[Worth]) -> list[dict[str, str]]:
    return [{"partner_id": one.partner_id, "amount": str(one.amount), "step": one.step} for one in worths]


def _row(partner_id: str, old: dict[str, Decimal], new: dict[str, Decimal]) -> dict[str, str]:
    before, after = old.get(partner_id, NOTHING), new.get(partner_id, NOTHING)
    sums = {"old": before, "new": after, "delta": after - before}
    return {
        "partner_id": partner_id,
        **{name: str(tidy(amount) if amount else NOTHING) for name, amount in sums.items()},
    }


def _by_delta(row: dict[str, str]) -> tuple[Decimal, str]:
    return Decimal(row["delta"]), row["partner_id"]

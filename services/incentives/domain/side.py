"""What one plan pays for sales that really happened, reckoned by the same functions that rate live sales.

Windows count as closed, so a payee's window is worth F of its net measure; single lines pay what they earn less what
reversals take, and no more than the plan's budget has.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache

from chassis.event import frozen
from contracts.values import MINOR_DIGITS, Money, round_half_up
from services.incentives.domain.bulk import MEASURE_DIGITS, Table, compiled
from services.incentives.domain.choice import Chosen
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.dues import Due, Known, bases_for, facts_of, mix_of, parties_of, units_sold
from services.incentives.domain.exchange import RATE_DAYS_MAX, NoRate, Rate, rate_for
from services.incentives.domain.payee import circumstances_of, standing_for
from services.incentives.domain.plan import REBATE, Plan, schedule_of, window_end, window_of
from services.incentives.domain.rating import RatingFacts, counts, rate, reversed_by
from services.incentives.domain.rebate import Reached, entitled, rebate_value
from services.incentives.domain.sale import Sale, heard_of, rated_kind, shares_in_month, told_name
from services.incentives.domain.sale_events import LineKey, ReversalRecorded
from services.incentives.domain.schedule import PERCENT, value_of
from services.incentives.domain.sharing import portions
from services.incentives.domain.spending import Award, Given, given_for
from services.incentives.domain.taking import counted, decimal_of
from services.incentives.domain.units import UNIT_DIGITS

TABLES_MAX = 10_000
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Worth:
    """One line as one plan pays it: to whom, how much net of reversals, and which step decided it.

    `awards` are the places of what it draws from the plan's budget: what they get is known once all sales are in.
    """

    partner_id: str
    amount: Decimal
    step: str
    awards: range = range(0)


@frozen
class Posted:
    """A line that was really posted: what stands of it, under which version of which plan, and the rate that it met."""

    partner_id: str
    amount: Decimal
    step: str
    plan_id: str
    plan_version: int
    units: Decimal = NOTHING
    rate: Rate | None = None


@dataclass(frozen=True)
class Pot:
    """A plan's budget: what it has left now. What lines drew under these plans is there again for the plan to give.

    `drew` are the versions that draw on it, as plan and version. It is a budget of money, or `of_units`.
    """

    budget_id: str
    left: Decimal
    drew: frozenset[tuple[str, int]] = frozenset()
    of_units: bool = False


Rated = tuple[Decimal, Decimal, Decimal, str, Decimal]
"""Measure, pay, the basis that reversals eat into, the step that decided, and what of the measure is in a mix."""


@frozen
class Scope:
    """Which lines count: of sales of some days, and where partners are named, theirs alone."""

    since: date
    until: date
    only: frozenset[str] = frozenset()

    def counts(self, due: Due) -> bool:
        """Whether the share is one of theirs."""
        return not self.only or due.key.partner_id in self.only


@dataclass
class Deal:
    """A sale while a plan is tried on it, with what that has paid for it so far: a cap on the deal counts that."""

    sale: Sale
    plan: Plan
    earned: list[tuple[Due, Decimal, Decimal]] = field(default_factory=list)

    def in_order(self, found: Iterator[Due]) -> Iterable[Due]:
        """In the order in which it became known, where it matters who came first."""
        return found if self.plan.deal_cap is None else sorted(found, key=self._place)

    def _place(self, due: Due) -> int:
        """The place of what a share is rated on among what was told, from 1; of the win itself, which comes first, 0."""
        rated = self.sale.bases_of(due.win.win_no, (rated_kind(self.plan.basis),))
        named = [told_name(one) for one in rated if one.external_id == due.basis.fact_id]
        return self.sale.told.index(named[0]) + 1 if named and named[0] in self.sale.told else 0

    def earned_before(self, due: Due) -> Decimal:
        """What stood then of what the plan had paid for the same win."""
        if self.plan.deal_cap is None:
            return NOTHING
        told = self.sale.told[: max(self._place(due) - 1, 0)]
        known = replace(
            self.sale, told=told, reversals=tuple(one for one in self.sale.reversals if told_name(one) in told)
        )
        same = [one for one in self.earned if one[0].win.win_no == due.win.win_no]
        return sum((self._stood(known, *one) for one in same), NOTHING)

    def _stood(self, known: Sale, due: Due, pay: Decimal, basis: Decimal) -> Decimal:
        taken = sum((part for _, part in _takings(known, due, self.plan)), Fraction(0))
        return pay - _reversed(pay, basis, taken, self.plan.currency) if taken else pay


@dataclass
class Side:
    """One of the two plans with what it pays so far: single lines at once, windows and awards when all sales are in."""

    chosen: Chosen
    known: Known
    pot: Pot | None = None
    paid: Counter[str] = field(default_factory=Counter)
    windows: dict[tuple[str, date], Fraction] = field(default_factory=dict)
    mixes: dict[tuple[str, date], Fraction] = field(default_factory=dict)
    awards: list[Award] = field(default_factory=list)
    returned: Decimal = NOTHING
    quarantined: int = 0

    def take(self, opportunity_id: str, sale: Sale, scope: Scope, used: Sequence[Rate] = ()) -> list[Worth]:
        """What the plan pays for a sale; a window's lines are told by what they add to its measure.

        Rates that were `used` when it was posted go before those that are recorded for its day now.
        """
        found: list[Worth] = []
        deal = Deal(sale, self.chosen.plan)
        for due in deal.in_order(_dues(sale, self.chosen)):
            if scope.since <= due.win.credited_on <= scope.until:
                try:
                    found += self._counted(opportunity_id, deal, due, scope, used)
                except NoRate:
                    self.quarantined += scope.counts(due)
        for worth in found:
            self.paid[worth.partner_id] += worth.amount  # type: ignore[assignment]
        return found

    def returns(self, posted: Posted) -> None:
        """What a posted line drew from this budget is there again."""
        if self.pot and (posted.plan_id, posted.plan_version) in self.pot.drew:
            self.returned += posted.units if self.pot.of_units else posted.amount

    @property
    def budget(self) -> Decimal:
        """What the plan's budget had in this time."""
        return self.pot.left + self.returned if self.pot else NOTHING

    @cached_property
    def given(self) -> list[Given]:
        """What the budget gives for each award, once all sales are in."""
        return given_for(self.awards, self.budget, self.chosen.plan.last_award)

    def settled(self, worths: Sequence[Worth]) -> list[Worth]:
        """The lines of a sale as they are paid once the budget has given."""
        return [self._settled(worth) if worth.awards else worth for worth in worths]

    def _settled(self, worth: Worth) -> Worth:
        pairs = [(self.awards[place], self.given[place]) for place in worth.awards]
        short = any(given.amount < award.amount.amount for award, given in pairs)
        amount = sum((given.net for _, given in pairs), NOTHING)
        return replace(worth, amount=amount, step="budget" if short else worth.step)

    def _counted(
        self, opportunity_id: str, deal: Deal, due: Due, scope: Scope, used: Sequence[Rate]
    ) -> tuple[Worth, ...]:
        """A line that counts. One of another partner takes up room under a cap on the deal all the same."""
        if not scope.counts(due) and self.chosen.plan.deal_cap is None:
            return ()
        rated = self._rated(deal, due, used)
        deal.earned.append((due, rated[1], rated[2]))
        return (self._worth(opportunity_id, deal.sale, due, rated),) if scope.counts(due) else ()

    def _rated(self, deal: Deal, due: Due, used: Sequence[Rate]) -> Rated:
        plan, currency = self.chosen.plan, _currency(due)
        if _plain(plan) and currency in (None, plan.currency):
            return _fast(due, plan)
        day = due.win.credited_on
        met = rate_for(used, currency, plan.currency, day) if currency else None
        facts = facts_of(due, deal.sale, self.known, NOTHING)
        rates = (met,) if met else self._week(day)
        return _full(due, replace(facts, rates=rates, deal_earned=deal.earned_before(due)))

    def _week(self, day: date) -> tuple[Rate, ...]:
        """The recorded rates that may hold on a day."""
        return tuple(one for back in range(RATE_DAYS_MAX + 1) for one in self._rates.get(day - timedelta(back), ()))

    @cached_property
    def _rates(self) -> dict[date, list[Rate]]:
        """The recorded rates by their days, so that no line looks at those of a whole year."""
        found: dict[date, list[Rate]] = {}
        for one in self.known.rates:
            found.setdefault(one.on, []).append(one)
        return found

    def _worth(self, opportunity_id: str, sale: Sale, due: Due, rated: Rated) -> Worth:
        plan = self.chosen.plan
        measure, pay, basis, step, mix = rated
        takings = _takings(sale, due, plan)
        taken = sum((part for _, part in takings), Fraction(0))
        if plan.accumulating:
            day = due.win.credited_on
            window = window_of(plan.accumulate, day)
            place = (due.key.partner_id, window[1] if window else day)
            left = 1 - min(taken / Fraction(basis), Fraction(1)) if basis else Fraction(0 if taken else 1)
            self.windows[place] = self.windows.get(place, Fraction(0)) + Fraction(measure) * left
            self.mixes[place] = self.mixes.get(place, Fraction(0)) + Fraction(mix) * left
            return Worth(due.key.partner_id, NOTHING, step)
        if self.pot is not None:
            return Worth(due.key.partner_id, NOTHING, step, self._awarded(opportunity_id, due, pay, basis, takings))
        net = pay - _reversed(pay, basis, taken, plan.currency) if taken else pay
        return Worth(due.key.partner_id, net, step)

    def _awarded(
        self, opportunity_id: str, due: Due, pay: Decimal, basis: Decimal, takings: tuple[tuple[date, Fraction], ...]
    ) -> range:
        """Keeps what a line would draw, payee by payee and part by part; answers the places of those awards."""
        plan, first = self.chosen.plan, len(self.awards)
        whole = Money(amount=pay, currency=plan.currency)
        units = units_sold(due) if self.pot and self.pot.of_units else None
        for portion in portions(whole, plan.payees, plan.released, parties_of(due, Sale())):
            part = None if units is None or not pay else _part(units, portion.amount.amount, pay)
            award = Award(
                partner_id=due.key.partner_id,
                opportunity_id=opportunity_id,
                on=due.basis.earned_on,
                amount=portion.amount,
                basis=basis,
                taken=takings,
                units=part,
            )
            self.awards.append(award)
        return range(first, len(self.awards))

    def total(self) -> dict[str, Decimal]:
        """What each partner is paid in the end."""
        sums: Counter[str] = Counter(self.paid)
        for award, given in zip(self.awards, self.given, strict=True):
            sums[award.partner_id] += given.net  # type: ignore[assignment]
        for partner_id, first_day in self.windows:
            sums[partner_id] += self._window(partner_id, first_day)  # type: ignore[assignment]
        return {partner_id: Decimal(amount) for partner_id, amount in sums.items()}

    def _window(self, partner_id: str, first_day: date) -> Decimal:
        """What a window is worth once it is closed."""
        plan, place = self.chosen.plan, (partner_id, first_day)
        last = window_end(plan.accumulate, first_day) - timedelta(days=1)
        schedule, measure = schedule_of(plan, partner_id, last), decimal_of(self.windows[place])
        if plan.kind != REBATE:
            return round_half_up(value_of(schedule, measure), plan.currency).amount
        standing = circumstances_of(standing_for(self.known.payees, partner_id, last), last, Circumstances())
        if not entitled(plan.rebate_terms, standing):
            return NOTHING
        reached = Reached(measure=measure, mix=decimal_of(self.mixes[place]))
        return round_half_up(rebate_value(plan.rebate_terms, schedule, partner_id, reached), plan.currency).amount


def _part(units: Fraction, amount: Decimal, pay: Decimal) -> Decimal:
    """The units of a portion: by what of the pay it is."""
    return decimal_of(round(units * Fraction(amount) / Fraction(pay), UNIT_DIGITS))


def _dues(sale: Sale, chosen: Chosen) -> Iterator[Due]:
    """The credited shares of a sale that the plan would rate."""
    plan = chosen.plan
    for win_no, win in sorted(sale.wins.items()):
        fits = plan.pays_for(win.achievement) and (not plan.deal_types or win.deal_type in plan.deal_types)
        if win.backfill or not fits:
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


@lru_cache(maxsize=TABLES_MAX)
def _plain(plan: Plan) -> bool:
    """Whether nothing but basis, share and schedule decides a line's pay, so that whole numbers are enough."""
    looks_elsewhere = plan.modifiers or plan.quotas or plan.recurring or plan.quota_to_date or _mixed(plan)
    bounded = plan.line_cap is not None or plan.line_floor is not None or plan.deal_cap is not None
    return not looks_elsewhere and not bounded and plan.basis in ("bookings", "invoiced", "collected")


def _mixed(plan: Plan) -> bool:
    return bool(plan.rebate_terms.mix_families)


def _fast(due: Due, plan: Plan) -> Rated:
    """The pay by the table of the schedule."""
    sold = counts(plan, due.basis.sold)
    booked = sum((line.amount.amount for line in sold), NOTHING)
    whole = Decimal(sum(line.quantity for line in sold)) if plan.schedule.axis == "units" else booked
    measure = whole * due.share.percent / PERCENT
    table = _table(plan)
    worth = table.worth(int(measure.scaleb(MEASURE_DIGITS)))
    band = max(sum(measure.scaleb(MEASURE_DIGITS) >= threshold for threshold in table.thresholds), 1)
    return measure, Decimal(worth).scaleb(-MINOR_DIGITS[plan.currency]), booked, f"band-{band}", NOTHING


@lru_cache(maxsize=TABLES_MAX)
def _table(plan: Plan) -> Table:
    return compiled(plan.schedule, plan.currency)


def _currency(due: Due) -> str | None:
    """The currency of what a share is rated on; None of an event without money."""
    return due.basis.sold[0].amount.currency if due.basis.sold else None


def _full(due: Due, facts: RatingFacts) -> Rated:
    """The pay with every step of the rating."""
    found = rate(facts, due.chosen.plan)
    booked = (found.booked or found.basis).amount
    taken = [one.modifier_id for one in found.weighed if one.taken]
    step = found.bounds[-1].name if found.bounds else f"modifier-{taken[0]}" if taken else "schedule"
    return found.measure, found.pay.amount, booked, step, mix_of(due, found)


def _takings(sale: Sale, due: Due, plan: Plan) -> tuple[tuple[date, Fraction], ...]:
    """What each reversal that the plan hears takes at its age of what it rated (r p), with the reversal's day."""
    heard = heard_of(_reversals(sale, due.win.win_no), plan.hears, plan.basis)
    if not heard:
        return ()
    taken = sale.taken(due.win.win_no, plan.basis, heard)
    lines = [line.line_id for line in counts(plan, due.basis.sold)]
    return tuple(
        (one.asked.occurred_on, counted([one], lines, due.basis.earned_on, plan.refund_days, plan.ageing))
        for one in taken
    )


def _reversals(sale: Sale, win_no: int) -> tuple[ReversalRecorded, ...]:
    return sale.reversals_of(win_no) if sale.reversals else ()


def _reversed(pay: Decimal, basis: Decimal, taken: Fraction, currency: str) -> Decimal:
    return reversed_by(Money(amount=pay, currency=currency), basis, taken).amount

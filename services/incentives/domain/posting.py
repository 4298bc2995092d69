"""The events of one decision on a sale while they add up: of the sale, of the meters and of the budgets it moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from chassis.decider import Decider, Raced
from chassis.event import frozen
from contracts.values import Money
from services.incentives.domain.budget import Budget, BudgetEvent, Budgets, BudgetUsed, given_back
from services.incentives.domain.choice import Chosen
from services.incentives.domain.exchange import InBooks, NoRate
from services.incentives.domain.journal import move
from services.incentives.domain.meter import (
    AT_ONCE,
    IN_PLAN,
    Meter,
    Metered,
    MeterEvent,
    Meters,
    Moment,
    Way,
    posted_late,
    waits_for,
)
from services.incentives.domain.plan import REBATE, window_end, window_of
from services.incentives.domain.rating import half_up, tidy
from services.incentives.domain.rebate import settles_on
from services.incentives.domain.sale import Line, Sale, evolve
from services.incentives.domain.sale_events import SaleEvent
from services.incentives.domain.taking import decimal_of
from services.incentives.domain.units import NOTHING, UNIT_DIGITS, Units, UnitsReleased, UnitsUsed

STEP_DIGITS = 12
"""A counted measure has these: with fifteen whole ones they fit into a decimal, so that steps sum exactly."""


@dataclass(frozen=True)
class Decided:
    """The events of the sale, and by id those of each meter and budget."""

    sale: list[SaleEvent] = field(default_factory=list)
    meters: Mapping[str, list[MeterEvent]] = field(default_factory=dict)
    budgets: Mapping[str, list[BudgetEvent]] = field(default_factory=dict)


@dataclass(frozen=True)
class AtHand:
    """The meters and budgets by id; None while a command is prepared, to learn which it will move."""

    meters: Mapping[str, Meter] | None = None
    budgets: Mapping[str, Budget] | None = None


@frozen
class Ways:
    """How it is decided now; earlier evaluators did without, as `Known` says. `payouts` are currencies that payees chose."""

    rest_in_books: bool = True
    even_steps: bool = True
    whole_awards: bool = True
    own_parts: bool = True
    of_terms: bool = True
    holds_true_ups: bool = True
    of_nothing: bool = True
    pays_out_true_ups: bool = True
    waits_in_window: bool = True
    says_units: bool = True
    payouts: Mapping[str, str] = field(default_factory=dict)


class Moving:
    """Streams of one kind that a decision moves: their states and their new events, each seen by the next."""

    def __init__(self, decider: Decider[Any, Any], states: Mapping[str, Any] | None) -> None:
        self._decider, self._known = decider, states
        self._states = dict(states or {})
        self.happened: dict[str, list[Any]] = {}

    @property
    def states(self) -> Mapping[str, Any]:
        """The streams as they are now."""
        return self._states

    def state(self, identity: str) -> Any:
        return self._states.get(identity, self._decider.initial)

    def add(self, identity: str, *events: Any) -> None:
        if events:
            self.happened.setdefault(identity, []).extend(events)
            self._states[identity] = self._decider.fold(events, self.state(identity))

    def touch(self, identity: str) -> None:
        """Names a stream that the decision depends on, whether it moves or not."""
        self.happened.setdefault(identity, [])

    def complete(self) -> dict[str, list[Any]]:
        """All that happened. Raises Raced when a stream was moved that was not at hand."""
        if self._known is not None and not self.happened.keys() <= self._known.keys():
            raise Raced
        return self.happened


class Posting:
    """The events of one decision while they add up, each seen by the next; gone when the decision is made."""

    def __init__(self, sale: Sale, at_hand: AtHand, books: InBooks, now: datetime, ways: Ways) -> None:
        self.ways = ways
        self.sale = sale
        self.books = books
        self.now = now
        self.happened: list[SaleEvent] = []
        self.meters = Moving(Meters, at_hand.meters)
        self.budgets = Moving(Budgets, at_hand.budgets)
        self._closed: dict[str, Chosen] = {}

    @property
    def today(self) -> date:
        return self.now.astimezone(UTC).date()

    @property
    def at(self) -> Moment:
        return Moment(self.now, self.books)

    def aside(self) -> "Posting":
        """Another one that begins where this one is, to try what would happen."""
        at_hand = AtHand(meters=self.meters.states, budgets=self.budgets.states)
        return Posting(self.sale, at_hand, self.books, self.now, self.ways)

    def add(self, happened: SaleEvent) -> None:
        self.happened.append(happened)
        self.sale = evolve(self.sale, happened)

    def decided(self) -> Decided:
        """All events; windows that are closed already are trued up at once."""
        for meter, chosen in self._closed.items():
            self._post_late(meter, chosen)
        return Decided(self.happened, self.meters.complete(), self.budgets.complete())

    def _post_late(self, meter: str, chosen: Chosen) -> None:
        """Posts what a window has to, or keeps that it waits for a rate: the fact is known all the same."""
        state: Meter = self.meters.state(meter)
        try:
            self.meters.add(meter, *posted_late(meter, state, chosen, self.at, self._way(state.payee_id)))
        except NoRate as missing:
            if not self.ways.waits_in_window:
                raise
            self.meters.add(meter, *waits_for(meter, state, (missing.pair,), self.now))

    def _way(self, payee_id: str) -> Way:
        if not self.ways.holds_true_ups:
            return AT_ONCE
        if not self.ways.pays_out_true_ups:
            return IN_PLAN
        now = self.ways.waits_in_window
        return Way(payout=self.ways.payouts.get(payee_id), rates=self.books.rates, whole_in_books=now)

    def counted(self, measure: Decimal) -> Decimal:
        """A measure as a window counts it: with so many digits that its steps sum exactly."""
        return tidy(round(measure, STEP_DIGITS)) if self.ways.whole_awards else measure

    def measure(self, meter: str | None) -> Decimal:
        """What the window has counted so far."""
        return self.meters.state(meter).measure if meter else Decimal(0)

    def shift(self, line: Line, by: "Shift", chosen: Chosen) -> None:
        """Moves the line's meter; a line without one, or nothing to move, leaves no event."""
        if line.meter_id is None or not (by.measure or by.posted):
            return
        self.meters.add(line.meter_id, self._metered(line, by, chosen))
        meter = self.meters.state(line.meter_id)
        if meter.closed:
            self._closed[line.meter_id] = chosen
        elif line.kind == REBATE:
            self._post_late(line.meter_id, chosen)

    def _metered(self, line: Line, by: "Shift", chosen: Chosen) -> Metered:
        meter_id = line.meter_id or ""
        before = self.measure(meter_id)
        win = self.sale.wins[line.key.win_no]
        window = window_of(chosen.plan.accumulate, win.credited_on)
        ends = window_end(chosen.plan.accumulate, win.credited_on)
        payee_id = line.key.partner_id
        return Metered(
            meter_id=meter_id,
            plan_id=line.key.plan_id,
            payee_id=payee_id,
            window=window[0] if window else "",
            opportunity_id=win.opportunity_id,
            line_id=line.line_id,
            before=before,
            after=tidy(before + by.measure),
            metered_at=self.now,
            plan_version=line.plan_version,
            kind=line.kind,
            posted=by.posted,
            mix=by.mix,
            closes_on=ends,
            settles_on=settles_on(chosen.plan.rebate_terms, self.today, ends) if line.kind == REBATE else None,
        )

    # Budgets

    def awarded(self, budget_id: str, ref: str, amount: Money, last: str) -> Money | None:
        """What a budget gives for an award: all of it, or the rest where that is left and wanted; None at its end."""
        budget: Budget = self.budgets.state(budget_id)
        self.budgets.touch(budget_id)
        if budget.allocated is None or budget.allocated.currency != amount.currency:
            return None
        given = min(amount, budget.available)
        if given.zero or (given != amount and last != "rest"):
            return None
        self.budgets.add(budget_id, self._used(budget_id, ref, given, budget))
        return given

    def has(self, budget_id: str, currency: str) -> bool:
        """Whether a budget is in a currency."""
        allocated = self.budgets.state(budget_id).allocated
        return allocated is not None and allocated.currency == currency

    def of_units(self, budget_id: str | None) -> bool:
        """Whether a plan's budget is one of units."""
        return budget_id is not None and self.budgets.state(budget_id).units is not None

    def units_left(self, budget_id: str, wanted: Decimal, last: str) -> Decimal:
        """How many of the units that are sold a budget lets be paid; none at its end."""
        self.budgets.touch(budget_id)
        budget: Budget = self.budgets.state(budget_id)
        given = min(wanted, budget.units.available) if budget.units else NOTHING
        return given if given == wanted or last == "rest" else NOTHING

    def use_units(self, budget_id: str, ref: str, units: Decimal) -> None:
        """Takes units that are left out of a budget."""
        left = tidy(self.budgets.state(budget_id).units.available - units)
        used = UnitsUsed(budget_id=budget_id, ref=ref, units=units, available=left, used_at=self.now)
        self.budgets.add(budget_id, used)

    def _used(self, budget_id: str, ref: str, amount: Money, budget: Budget) -> BudgetUsed:
        return BudgetUsed(
            budget_id=budget_id,
            ref=ref,
            amount=amount,
            available=budget.available - amount,
            journal=move(amount, debit="available", credit="used", payee_id="", cause=ref),
            used_at=self.now,
        )

    def refill(self, before: Line, amount: Money) -> None:
        """What is taken back of an award is available for later ones: of what was drawn for it, and never more."""
        if before.budget_id is None:
            return
        self.budgets.touch(before.budget_id)
        budget: Budget = self.budgets.state(before.budget_id)
        if before.drawn_units and budget.units:
            self._refill_units(before, before.budget_id, budget.units)
            return
        back = self._back(before) if self.ways.whole_awards else amount
        if budget.allocated is not None and back is not None and not back.zero:
            given = given_back(before.budget_id, before.line_id, back, budget, self.now, from_use=True)
            self.budgets.add(before.budget_id, given)

    def _refill_units(self, before: Line, budget_id: str, units: Units) -> None:
        now, earlier = (
            round(Fraction(before.drawn_units) * one.refilled, UNIT_DIGITS)
            for one in (self.sale.lines[before.line_id], before)
        )
        if back := tidy(decimal_of(now - earlier)):
            available = tidy(units.available + back)
            released = UnitsReleased(
                budget_id=budget_id, ref=before.line_id, units=back, available=available, released_at=self.now
            )
            self.budgets.add(budget_id, released)

    def _back(self, before: Line) -> Money | None:
        """What of the money that a line drew the reversal just added gives back, by the part of the line that it took."""
        if before.drawn is None:
            return None
        after = self.sale.lines[before.line_id]
        parts = (
            half_up(Fraction(before.drawn.amount) * one.refilled, before.drawn.currency) for one in (after, before)
        )
        now, earlier = parts
        return now - earlier


@dataclass(frozen=True)
class Shift:
    """How far a meter moves: its measure, what was posted for it, and the part of the measure in a mix's families."""

    measure: Decimal
    posted: Decimal = Decimal(0)
    mix: Decimal = Decimal(0)

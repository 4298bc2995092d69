"""A meter: what one payee has counted in one window of an accumulating plan. Bands look at it; sales move it.

A rebate accrues here what its window is worth. When a window is over it is closed, and what was posted is trued up to
what the schedule makes of the whole; facts that come later are trued up at once. What that brings is held as the plan's
lines are; what it takes back is taken of what is held first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any, assert_never

from chassis.decider import Decider, NotFound, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, command, event, fields_of, frozen, iso, stable_id
from chassis.rulebook import Rulebook
from contracts.values import Money, none_of, round_half_up, split
from services.incentives.domain.choice import Chosen, version_of
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.exchange import NO_BOOKS, Exchange, InBooks, Rate, exchanged, rate_for
from services.incentives.domain.journal import NO_JOURNAL, AccountName, Journal, expense, move
from services.incentives.domain.line import OnHold, check_postponed
from services.incentives.domain.payee import Payee, circumstances_of, standing_for
from services.incentives.domain.payment import Payment, check_unpaid
from services.incentives.domain.plan import Plan, payable_on, schedule_of, window_of
from services.incentives.domain.rating import half_up
from services.incentives.domain.rebate import Reached, accrued_value, entitled, rebate_value, settles_on
from services.incentives.domain.sale import HELD, PAYABLE
from services.incentives.domain.schedule import Schedule, value_of

NOTHING = Decimal(0)
REBATE = "rebate"
DEAL_OF_NONE = Circumstances()

# Events


@event("incentives.Metered.v1")
class Metered:
    """A line of a sale moved the measure, up when it was earned and down when it was taken back.

    `posted` is the sum of what the window's lines were rated at, `mix` the part of the measure in a mix's families.
    """

    meter_id: str
    plan_id: str
    payee_id: str
    window: str
    opportunity_id: str
    line_id: str
    before: Decimal
    after: Decimal
    metered_at: datetime
    plan_version: int = 0
    kind: str = "commission"
    posted: Decimal = NOTHING
    mix: Decimal = NOTHING
    closes_on: date | None = None
    settles_on: date | None = None


@event("incentives.RebateAccrued.v1")
class RebateAccrued:
    """What a rebate's window is worth has changed by `amount` to `total`. Kind: accrued or true_up."""

    meter_id: str
    plan_id: str
    plan_version: int
    payee_id: str
    window: str
    kind: str
    amount: Money
    total: Money
    journal: Journal
    accrued_on: date
    accrued_at: datetime


@event("incentives.RebateSettled.v1")
class RebateSettled:
    """What had accrued is payable: `amount` now, `total` of the window so far."""

    line_id: str
    meter_id: str
    plan_id: str
    plan_version: int
    payee_id: str
    window: str
    amount: Money
    total: Money
    journal: Journal
    settled_on: date
    settles_on: date | None
    settled_at: datetime


@event("incentives.WindowTruedUp.v1")
class WindowTruedUp:
    """A closed window's lines did not sum to what the schedule makes of its net measure: the difference is posted.

    `total` is what the window is worth, F(`measure`) at its `quota`, and `amount` what this line adds to it: where an
    `exchange` says so in the currency that the payee is paid in. It is held until `payable_on`. True-ups from before they
    were held say neither.
    """

    line_id: str
    meter_id: str
    plan_id: str
    plan_version: int
    payee_id: str
    window: str
    amount: Money
    total: Money
    journal: Journal
    earned_on: date
    trued_up_at: datetime
    payable_on: date | LeftOut = LEFT_OUT
    measure: Decimal | LeftOut = LEFT_OUT
    quota: Decimal | LeftOut | None = LEFT_OUT
    exchange: Exchange | LeftOut = LEFT_OUT

    @property
    def in_plan(self) -> Money:
        """What it adds, in the plan's currency."""
        return self.exchange.given if self.exchange else self.amount

    @property
    def payable_day(self) -> date:
        """The day on which it may be paid."""
        return self.payable_on or self.earned_on

    @property
    def held(self) -> bool:
        return self.earned_on < self.payable_day


@event("incentives.TrueUpReduced.v1")
class TrueUpReduced:
    """The window is worth less than what was posted: `amount` is taken of a true-up that is still held.

    `given` is the same in the plan's currency, where the true-up is paid in another: at the rate that it was posted at.
    """

    line_id: str
    meter_id: str
    plan_id: str
    plan_version: int
    payee_id: str
    window: str
    amount: Money
    remaining: Money
    total: Money
    journal: Journal
    effective_on: date
    reduced_at: datetime
    given: Money | LeftOut = LEFT_OUT


@event("incentives.TrueUpReleased.v1")
class TrueUpReleased:
    """The hold of a true-up is over: what stands of it is payable."""

    line_id: str
    meter_id: str
    plan_id: str
    plan_version: int
    payee_id: str
    window: str
    amount: Money
    payable_on: date
    journal: Journal
    released_at: datetime


@event("incentives.TrueUpPostponed.v1")
class TrueUpPostponed:
    """A true-up that is held is held until a later day. What is decided now is `TrueUpHeldLonger`."""

    line_id: str
    meter_id: str
    plan_id: str
    plan_version: int
    payee_id: str
    window: str
    amount: Money
    payable_on: date
    reason: str
    postponed_by: str
    postponed_at: datetime


@event("incentives.TrueUpHeldLonger.v1")
class TrueUpHeldLonger:
    """A true-up is held until a later day. Was it payable, `journal` says that it is held again; else nothing moves."""

    line_id: str
    meter_id: str
    plan_id: str
    plan_version: int
    payee_id: str
    window: str
    amount: Money
    payable_on: date
    reason: str
    postponed_by: str
    journal: Journal
    postponed_at: datetime


@event("incentives.WindowClosed.v1")
class WindowClosed:
    meter_id: str
    window: str
    measure: Decimal
    entitled: bool
    closed_at: datetime


@event("incentives.WindowWaits.v1")
class WindowWaits:
    """What the window is to post needs rates of these `pairs`, such as EUR/USD, and none is recorded: a person has to."""

    meter_id: str
    plan_id: str
    payee_id: str
    window: str
    pairs: tuple[str, ...]
    noted_at: datetime


@event("incentives.WindowResumed.v1")
class WindowResumed:
    """The rates that the window waited for are recorded: what it still had to post follows, if anything."""

    meter_id: str
    plan_id: str
    payee_id: str
    window: str
    resumed_at: datetime


@frozen
class HeldTrueUp:
    """What stands of a true-up whose hold is not over, and what it stands for in the books.

    `given` is the same in the plan's currency, where it is paid in another.
    """

    line_id: str
    amount: Money
    payable_on: date
    books: Money | None = None
    given: Money | LeftOut = LEFT_OUT

    @property
    def in_plan(self) -> Money:
        return self.given or self.amount


@event("incentives.MeterCarried.v1")
class MeterCarried:
    """The state with which a busy meter goes on in its next segment."""

    measure: Decimal
    plan_id: str = ""
    plan_version: int = 0
    payee_id: str = ""
    window: str = ""
    kind: str = "commission"
    posted: Decimal = NOTHING
    settled: Decimal = NOTHING
    mix: Decimal = NOTHING
    closes_on: date | None = None
    closed: bool = False
    entitled: bool = True
    books: Money | None = None
    held: tuple[HeldTrueUp, ...] | LeftOut = LEFT_OUT
    true_ups: int | LeftOut = LEFT_OUT
    changed_by: dict[str, tuple[str, ...]] | LeftOut = LEFT_OUT
    waits: bool | LeftOut = LEFT_OUT


Accruing = RebateAccrued | RebateSettled
TruedUp = WindowTruedUp | TrueUpReduced
MeterEvent = (
    Metered
    | RebateAccrued
    | RebateSettled
    | WindowTruedUp
    | TrueUpReduced
    | TrueUpReleased
    | TrueUpPostponed
    | TrueUpHeldLonger
    | WindowClosed
    | WindowWaits
    | WindowResumed
    | MeterCarried
)

# Commands


@command("incentives.SettleRebate.v1")
class SettleRebate:
    """Makes payable what has accrued up to a day; it is the window's last one when that is over."""

    meter_id: str
    plan_id: str
    payee_id: str
    now: datetime
    books: InBooks = NO_BOOKS


@command("incentives.CloseWindow.v1")
class CloseWindow:
    """`survivor_ids` are whom the payee has become one with: whose standing counts at the window's end.

    `rates` are those at which it is paid out in another currency than the plan's.
    """

    meter_id: str
    plan_id: str
    payee_id: str
    now: datetime
    books: InBooks = NO_BOOKS
    survivor_ids: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()


@command("incentives.NoteWindowWaits.v1")
class NoteWindowWaits:
    meter_id: str
    pairs: tuple[str, ...]
    now: datetime


@command("incentives.ResumeWindow.v1")
class ResumeWindow:
    """Posts what a window could not for want of a rate. `rates` are those at which it is paid out."""

    meter_id: str
    plan_id: str
    payee_id: str
    now: datetime
    books: InBooks = NO_BOOKS
    rates: tuple[Rate, ...] = ()


@command("incentives.ReleaseTrueUp.v1")
class ReleaseTrueUp:
    meter_id: str
    line_id: str
    now: datetime


@command("incentives.PostponeTrueUp.v1")
class PostponeTrueUp:
    """`payment_ids` are the payments that pay the line, as its account says; `paid`: all that is known of it is that."""

    meter_id: str
    line_id: str
    until: date
    reason: str
    by: str
    now: datetime
    payment_ids: tuple[str, ...] = ()
    paid: bool = False


# State


@dataclass(frozen=True)
class Meter:
    """The measure now, what was posted and settled for it, and whose window of which plan it is.

    `true_ups` is how many lines it was trued up by since they are held, and `held` are those of them whose hold is not over.
    `payable` are those that became payable in this segment of its stream, and `changed_by` who postponed which line.
    It `waits` while it needs a rate of exchange that is not recorded.
    """

    measure: Decimal = NOTHING
    plan_id: str = ""
    plan_version: int = 0
    payee_id: str = ""
    window: str = ""
    kind: str = "commission"
    posted: Decimal = NOTHING
    settled: Decimal = NOTHING
    mix: Decimal = NOTHING
    closes_on: date | None = None
    closed: bool = False
    entitled: bool = True
    books: Money | None = None
    held: tuple[HeldTrueUp, ...] = ()
    true_ups: int = 0
    payable: tuple[HeldTrueUp, ...] = ()
    changed_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    waits: bool = False

    @property
    def reached(self) -> Reached:
        return Reached(measure=self.measure, mix=self.mix)


# Refusals


class UnknownWindow(NotFound):
    """Nothing has counted in such a window."""


class WindowOpen(Refused):
    """The window is not over."""

    slug = "window-open"


# Decisions


@dataclass(frozen=True)
class PaidIn:
    """The currency that a payee is paid in, and the rates of the day."""

    currency: str
    rates: Sequence[Rate] = ()

    def exchange(self, amount: Money, day: date) -> Exchange | None:
        """An amount of the plan's at the rate of a day.

        None where it is paid as it is: also for want of a rate, and where it comes to nothing in the other currency.
        """
        if amount.currency == self.currency:
            return None
        rate = rate_for(self.rates, amount.currency, self.currency, day)
        found = exchanged(amount, rate) if rate else None
        return found if found and not found.result.zero else None


@dataclass(frozen=True)
class Moment:
    """When it is decided, and the books as they are then."""

    now: datetime
    books: InBooks = NO_BOOKS

    @property
    def today(self) -> date:
        return self.now.astimezone(UTC).date()


def meter_id(plan: Plan, plan_id: str, payee_id: str, credited_on: date) -> tuple[str, str] | None:
    """The id and window of the meter that a sale of that day moves; None where each line stands alone."""
    window = window_of(plan.accumulate, credited_on)
    return (meter_of(plan_id, payee_id, window[0]), window[0]) if window else None


def meter_of(plan_id: str, payee_id: str, window: str) -> str:
    """The id of the meter of a payee's window."""
    return f"{plan_id}-{payee_id}-{window}"


def settle_rebate(wish: SettleRebate, meter: Meter, books: Sequence[Rulebook], payee: Payee) -> list[MeterEvent]:
    """Settles a rebate before its window is over: `round(F(to date)) - settled`."""
    if meter.closed or meter.kind != REBATE:
        return []
    return list(settled(wish.meter_id, meter, _chosen(meter, books), Moment(wish.now, wish.books)))


def close_window(
    wish: CloseWindow, meter: Meter, books: Sequence[Rulebook], payee: Payee, survivors: Sequence[Payee]
) -> list[MeterEvent]:
    """Closes a window that is over, and trues up what was posted to what the schedule makes of the whole.

    What a rebate requires is asked of who counts for the payee on the window's last day.
    """
    standing = _standing_at_end(wish, meter, payee, survivors)
    return _closing(wish, meter, books, standing, Way(payout=payee.payout_currency, rates=wish.rates))


def close_window_in_plan_currency(
    wish: CloseWindow, meter: Meter, books: Sequence[Rulebook], payee: Payee, survivors: Sequence[Payee]
) -> list[MeterEvent]:
    """As the third evaluator decided: the window is trued up in the plan's currency, whatever the payee is paid in."""
    return _closing(wish, meter, books, _standing_at_end(wish, meter, payee, survivors), IN_PLAN)


def close_window_payable_at_once(
    wish: CloseWindow, meter: Meter, books: Sequence[Rulebook], payee: Payee, survivors: Sequence[Payee]
) -> list[MeterEvent]:
    """As the second evaluator decided: what the window is trued up by is payable at once."""
    return _closing(wish, meter, books, _standing_at_end(wish, meter, payee, survivors), AT_ONCE)


def close_window_by_own_standing(
    wish: CloseWindow, meter: Meter, books: Sequence[Rulebook], payee: Payee, _: Sequence[Payee]
) -> list[MeterEvent]:
    """As the first evaluator decided: by the payee's own standing on the day after the window, whoever it was one with."""
    standing = circumstances_of(payee, meter.closes_on or date.min, DEAL_OF_NONE)
    return _closing(wish, meter, books, standing, AT_ONCE)


def _standing_at_end(wish: CloseWindow, meter: Meter, payee: Payee, survivors: Sequence[Payee]) -> Circumstances:
    last = meter.closes_on - timedelta(days=1) if meter.closes_on else date.min
    payees = {wish.payee_id: payee, **dict(zip(wish.survivor_ids, survivors, strict=True))}
    return circumstances_of(standing_for(payees, wish.payee_id, last), last, DEAL_OF_NONE)


@frozen
class Way:
    """How a window is trued up: held as the plan's lines are, and paid in the currency that its payee has chosen.

    Earlier evaluators made it payable at once, or left it in the plan's currency (`in_plan`). Where a part of a minor unit
    takes all of it they left a rest of it in the books, without `whole_in_books`.
    """

    payout: str | None = None
    rates: Sequence[Rate] = ()
    holds: bool = True
    in_plan: bool = False
    whole_in_books: bool = True

    def paid_in(self, plan: Plan) -> PaidIn:
        """The payee's own currency, else the one that the plan pays in."""
        return PaidIn(plan.currency if self.in_plan else paid_currency(plan, self.payout), self.rates)


IN_PLAN, AT_ONCE = Way(in_plan=True), Way(holds=False, in_plan=True)


def paid_currency(plan: Plan, chosen: str | None) -> str:
    """In which currency a payee that has chosen one, or none, is paid what a plan earns it; a rebate is in the plan's."""
    return plan.currency if plan.kind == REBATE else chosen or plan.payout_currency or plan.currency


def _closing(
    wish: CloseWindow, meter: Meter, books: Sequence[Rulebook], standing: Circumstances, way: Way
) -> list[MeterEvent]:
    if meter.closed:
        return []
    if meter.closes_on is None:
        raise UnknownWindow
    if wish.now.astimezone(UTC).date() < meter.closes_on:
        raise WindowOpen(closes_on=iso(meter.closes_on))
    chosen = _chosen(meter, books)
    closed = WindowClosed(
        meter_id=wish.meter_id,
        window=meter.window,
        measure=meter.measure,
        entitled=chosen.plan.rebate is None or entitled(chosen.plan.rebate, standing),
        closed_at=wish.now,
    )
    return [closed, *trued_up(wish.meter_id, evolve(meter, closed), chosen, Moment(wish.now, wish.books), way)]


def note_window_waits(wish: NoteWindowWaits, meter: Meter) -> list[MeterEvent]:
    """Keeps that a window waits for rates of exchange; of one that was closed meanwhile, or waits already, nothing."""
    return [] if meter.closed else waits_for(wish.meter_id, meter, wish.pairs, wish.now)


def waits_for(identity: str, meter: Meter, pairs: tuple[str, ...], now: datetime) -> list[MeterEvent]:
    """What is told of a window that begins to wait."""
    if meter.waits:
        return []
    return [WindowWaits(**_of_window(identity, meter), pairs=pairs, noted_at=now)]


def _of_window(identity: str, meter: Meter) -> dict[str, str]:
    return {"meter_id": identity, "plan_id": meter.plan_id, "payee_id": meter.payee_id, "window": meter.window}


def resume_window(wish: ResumeWindow, meter: Meter, books: Sequence[Rulebook], payee: Payee) -> list[MeterEvent]:
    """Posts what could not be posted for want of a rate: what a closed window is trued up by, or what a rebate accrues."""
    if not meter.waits:
        return []
    resumed = WindowResumed(**_of_window(wish.meter_id, meter), resumed_at=wish.now)
    chosen, at = _chosen(meter, books), Moment(wish.now, wish.books)
    way = Way(payout=payee.payout_currency, rates=wish.rates)
    return [resumed, *posted_late(wish.meter_id, evolve(meter, resumed), chosen, at, way)]


def posted_late(identity: str, meter: Meter, chosen: Chosen, at: Moment, way: Way) -> list[MeterEvent]:
    """What a fact that came late brings at once: to a closed window, or to a rebate's that is open. Raises NoRate."""
    if meter.closed:
        return trued_up(identity, meter, chosen, at, way)
    return [*accrual(identity, meter, chosen, at)] if meter.kind == REBATE else []


def _chosen(meter: Meter, books: Sequence[Rulebook]) -> Chosen:
    chosen = version_of(books, meter.plan_id, meter.plan_version)
    if chosen is None:
        raise UnknownWindow
    return chosen


def trued_up(identity: str, meter: Meter, chosen: Chosen, at: Moment, way: Way) -> list[MeterEvent]:
    """What a closed window still has to post, of either sign; nothing when all is posted."""
    if meter.kind == REBATE:
        found = settled(identity, meter, chosen, at)
        return [*found] if any(not happened.amount.zero for happened in found) else []
    total = round_half_up(value_of(schedule_for(meter, chosen.plan), meter.measure), chosen.plan.currency)
    amount = Money(amount=total.amount - meter.posted, currency=total.currency)
    if amount.zero:
        return []
    up = _TrueUp(identity, meter, chosen, total, at, way.paid_in(chosen.plan), way.whole_in_books)
    if not way.holds:
        line_id = stable_id(identity, "true_up", str(meter.measure), str(meter.posted))
        return [up.posted(line_id, amount)]
    return [*up.lowered(-amount)] if amount.amount < 0 else [*up.raised(amount)]


def schedule_for(meter: Meter, plan: Plan) -> Schedule:
    """The schedule of a window's last day: its quota is whole."""
    last = (meter.closes_on or date.min) - timedelta(days=1)
    return schedule_of(plan, meter.payee_id, last)


@dataclass(frozen=True)
class _TrueUp:
    """One correction of a window, to what it is worth in total."""

    identity: str
    meter: Meter
    chosen: Chosen
    total: Money
    at: Moment
    paid_in: PaidIn
    whole_in_books: bool

    @property
    def of_window(self) -> dict[str, Any]:
        return {
            "meter_id": self.identity,
            "plan_id": self.meter.plan_id,
            "plan_version": self.chosen.version.version,
            "payee_id": self.meter.payee_id,
            "window": self.meter.window,
            "total": self.total,
        }

    def raised(self, amount: Money) -> list[TruedUp]:
        """A line for each release part, held for its days."""
        parts = self.chosen.plan.released
        amounts = split(amount, [part.percent for part in parts])
        return [
            self._held_until(payable_on(self.at.today, part.after_days), given, place)
            for place, (part, given) in enumerate(zip(parts, amounts, strict=True))
            if not given.zero
        ]

    def lowered(self, amount: Money) -> list[TruedUp]:
        """Takes of what is held, what would be released last first; the rest is owed at once."""
        found: list[TruedUp] = []
        for held in sorted(self.meter.held, key=lambda one: (one.payable_on, one.line_id), reverse=True):
            taken = min(held.in_plan, amount)
            if not taken.zero:
                found.append(self._reduced(held, taken))
                amount -= taken
        return found if amount.zero else [*found, self._held_until(self.at.today, -amount, 0)]

    def _held_until(self, day: date, amount: Money, place: int) -> WindowTruedUp:
        schedule = schedule_for(self.meter, self.chosen.plan)
        posted = self.posted(stable_id(self.identity, "true_up", self.meter.true_ups + place), amount, day)
        return replace(posted, payable_on=day, measure=self.meter.measure, quota=schedule.quota)

    def posted(self, line_id: str, amount: Money, day: date | None = None) -> WindowTruedUp:
        """The line of an amount of the plan's, whose money is held where its day is still to come."""
        today = self.at.today
        exchange = self.paid_in.exchange(amount, today)
        amount = exchange.result if exchange else amount
        return WindowTruedUp(
            **self.of_window,
            line_id=line_id,
            amount=amount,
            journal=move(
                amount,
                debit=expense(self.meter.kind),
                credit="held" if day and today < day else "payable",
                payee_id=self.meter.payee_id,
                cause=line_id,
                books=self.at.books.amount(amount, today),
            ),
            earned_on=today,
            trued_up_at=self.at.now,
            exchange=exchange or LEFT_OUT,
        )

    def _reduced(self, held: HeldTrueUp, given: Money) -> TrueUpReduced:
        """Takes an amount of the plan's: of what is paid, and of what that stands for in the books, the same part."""
        part = Fraction(given.amount) / Fraction(held.in_plan.amount)
        amount = half_up(Fraction(held.amount.amount) * part, held.amount.currency)
        books = held.books and half_up(Fraction(held.books.amount) * part, held.books.currency)
        if self.whole_in_books and amount == held.amount:
            books = held.books
        return TrueUpReduced(
            **self.of_window,
            line_id=held.line_id,
            amount=amount,
            remaining=held.amount - amount,
            journal=move(
                amount,
                debit="held",
                credit=expense(self.meter.kind),
                payee_id=self.meter.payee_id,
                cause=held.line_id,
                books=books,
            ),
            effective_on=self.at.today,
            reduced_at=self.at.now,
            given=given if held.given else LEFT_OUT,
        )


def postpone_true_up(wish: PostponeTrueUp, meter: Meter, payments: Sequence[Payment]) -> list[MeterEvent]:
    """Holds a true-up until a later day, 180 days from today at most; what is payable is held again, unless it is paid."""
    held = _of_line(meter.held, wish.line_id)
    if held is None:
        check_unpaid(payments, paid=wish.paid)
    found = held or _of_line(meter.payable, wish.line_id)
    if found is None:
        raise WrongState("the line was payable before much else happened in its window", state=PAYABLE, allowed=[HELD])
    if held and held.payable_on == wish.until:
        return []
    check_postponed(found.payable_on, wish.until, wish.now)
    return [
        TrueUpHeldLonger(
            line_id=found.line_id,
            meter_id=wish.meter_id,
            plan_id=meter.plan_id,
            plan_version=meter.plan_version,
            payee_id=meter.payee_id,
            window=meter.window,
            amount=found.amount,
            payable_on=wish.until,
            reason=wish.reason,
            postponed_by=wish.by,
            journal=NO_JOURNAL if held else _moved(meter, found, debit="payable", credit="held"),
            postponed_at=wish.now,
        )
    ]


def _of_line(those: Sequence[HeldTrueUp], line_id: str) -> HeldTrueUp | None:
    return next((one for one in those if one.line_id == line_id), None)


def _moved(meter: Meter, one: HeldTrueUp, *, debit: AccountName, credit: AccountName) -> Journal:
    """All of a true-up from where it stands to where it goes."""
    return move(one.amount, debit=debit, credit=credit, payee_id=meter.payee_id, cause=one.line_id, books=one.books)


def postpone_held_true_up(wish: PostponeTrueUp, meter: Meter) -> list[MeterEvent]:
    """As the first evaluator decided: what is payable was not held again."""
    held = _of_line(meter.held, wish.line_id)
    if held is None:
        raise WrongState("the line is not held", state=PAYABLE, allowed=[HELD])
    if held.payable_on == wish.until:
        return []
    check_postponed(held.payable_on, wish.until, wish.now)
    return [
        TrueUpPostponed(
            line_id=held.line_id,
            meter_id=wish.meter_id,
            plan_id=meter.plan_id,
            plan_version=meter.plan_version,
            payee_id=meter.payee_id,
            window=meter.window,
            amount=held.amount,
            payable_on=wish.until,
            reason=wish.reason,
            postponed_by=wish.by,
            postponed_at=wish.now,
        )
    ]


def release_true_up(wish: ReleaseTrueUp, meter: Meter) -> list[MeterEvent]:
    """Makes a held true-up payable once its day has come; nothing where nothing of it is held any more."""
    held = _of_line(meter.held, wish.line_id)
    if held is None:
        return []
    if wish.now.astimezone(UTC).date() < held.payable_on:
        raise OnHold(f"payable on {iso(held.payable_on)}", payable_on=iso(held.payable_on))
    return [
        TrueUpReleased(
            line_id=held.line_id,
            meter_id=wish.meter_id,
            plan_id=meter.plan_id,
            plan_version=meter.plan_version,
            payee_id=meter.payee_id,
            window=meter.window,
            amount=held.amount,
            payable_on=held.payable_on,
            journal=_moved(meter, held, debit="held", credit="payable"),
            released_at=wish.now,
        )
    ]


# Rebates


def accrual(identity: str, meter: Meter, chosen: Chosen, at: Moment) -> list[Accruing]:
    """What a moved measure changes of what has accrued before the window is settled."""
    terms = chosen.plan.rebate_terms
    schedule = schedule_for(meter, chosen.plan)
    total = accrued_value(terms, schedule, meter.payee_id, meter.reached, chosen.plan.currency)
    return _accrued(identity, meter, total, "accrued", at)


def settled(identity: str, meter: Meter, chosen: Chosen, at: Moment) -> list[Accruing]:
    """Trues the accrual up to F(to date) and makes payable what of it was not yet."""
    terms, currency = chosen.plan.rebate_terms, chosen.plan.currency
    value = rebate_value(terms, schedule_for(meter, chosen.plan), meter.payee_id, meter.reached)
    total = round_half_up(value, currency) if meter.entitled else none_of(currency)
    amount = Money(amount=total.amount - meter.settled, currency=currency)
    closes_on = meter.closes_on or at.today
    accrued = _accrued(identity, meter, total, "true_up", at)
    line_id = stable_id(identity, "settled", iso(at.today), str(meter.settled), str(meter.measure))
    return [
        *accrued,
        RebateSettled(
            line_id=line_id,
            meter_id=identity,
            plan_id=meter.plan_id,
            plan_version=meter.plan_version,
            payee_id=meter.payee_id,
            window=meter.window,
            amount=amount,
            total=total,
            journal=_settling(line_id, meter, amount, accrued),
            settled_on=at.today,
            settles_on=None if meter.closed else settles_on(terms, at.today, closes_on),
            settled_at=at.now,
        ),
    ]


def _settling(line_id: str, meter: Meter, amount: Money, accrued: Sequence[MeterEvent]) -> Journal:
    """All that stands accrued becomes payable, at what it stands for in the books."""
    left = reduce(evolve, accrued, meter).books
    return move(amount, debit="accrued", credit="payable", payee_id=meter.payee_id, cause=line_id, books=left)


def _accrued(identity: str, meter: Meter, total: Money, kind: str, at: Moment) -> list[Accruing]:
    amount = Money(amount=total.amount - meter.posted, currency=total.currency)
    if amount.zero:
        return []
    return [
        RebateAccrued(
            meter_id=identity,
            plan_id=meter.plan_id,
            plan_version=meter.plan_version,
            payee_id=meter.payee_id,
            window=meter.window,
            kind=kind,
            amount=amount,
            total=total,
            journal=move(
                amount,
                debit=("expense", REBATE),
                credit="accrued",
                payee_id=meter.payee_id,
                cause=identity,
                books=at.books.amount(amount, at.today),
            ),
            accrued_on=at.today,
            accrued_at=at.now,
        )
    ]


# Evolve


def evolve(meter: Meter, happened: MeterEvent) -> Meter:
    match happened:
        case Metered():
            return _metered(meter, happened)
        case RebateAccrued():
            return replace(meter, posted=happened.total.amount, books=_in_books(meter, happened.journal))
        case RebateSettled():
            return replace(meter, settled=happened.total.amount, books=None, waits=False)
        case WindowTruedUp() | TrueUpReduced() | TrueUpReleased():
            return _trued_up(meter, happened)
        case TrueUpPostponed() | TrueUpHeldLonger():
            return _held_longer(meter, happened)
        case WindowClosed() | WindowWaits() | WindowResumed():
            return _going_on(meter, happened)
        case MeterCarried():
            came_later = {
                "held": happened.held or (),
                "true_ups": happened.true_ups or 0,
                "changed_by": happened.changed_by or {},
                "waits": bool(happened.waits),
            }
            return Meter(**{**fields_of(happened), **came_later})
        case _:
            assert_never(happened)


def _going_on(meter: Meter, happened: WindowClosed | WindowWaits | WindowResumed) -> Meter:
    waits = replace(meter, waits=isinstance(happened, WindowWaits))
    return replace(waits, closed=True, entitled=happened.entitled) if isinstance(happened, WindowClosed) else waits


def _trued_up(meter: Meter, happened: WindowTruedUp | TrueUpReduced | TrueUpReleased) -> Meter:
    others = tuple(one for one in meter.held if one.line_id != happened.line_id)
    if isinstance(happened, TrueUpReleased):
        freed = tuple(one for one in meter.held if one.line_id == happened.line_id)
        return replace(meter, held=others, payable=(*meter.payable, *freed))
    after = replace(meter, posted=happened.total.amount)
    if isinstance(happened, TrueUpReduced):
        left = (_left_of(one, happened) for one in meter.held if one.line_id == happened.line_id)
        return replace(after, held=(*others, *(one for one in left if not one.amount.zero)))
    counted = replace(after, true_ups=meter.true_ups + (1 if happened.payable_on else 0))
    if happened.held:
        return replace(counted, held=(*others, _held(happened)))
    return replace(counted, payable=(*meter.payable, _held(happened))) if happened.amount.amount > 0 else counted


def _held_longer(meter: Meter, happened: TrueUpPostponed | TrueUpHeldLonger) -> Meter:
    """What was payable stands among what is held again. Who postponed a line is kept since the second of the two."""
    again = [one for one in meter.payable if one.line_id == happened.line_id]
    held = tuple(_until(one, happened) for one in (*meter.held, *again))
    after = replace(meter, held=held, payable=tuple(one for one in meter.payable if one not in again))
    if isinstance(happened, TrueUpPostponed):
        return after
    by = dict.fromkeys((*meter.changed_by.get(happened.line_id, ()), happened.postponed_by))
    return replace(after, changed_by={**meter.changed_by, happened.line_id: tuple(by)})


def _until(held: HeldTrueUp, happened: TrueUpPostponed | TrueUpHeldLonger) -> HeldTrueUp:
    return replace(held, payable_on=happened.payable_on) if held.line_id == happened.line_id else held


def _held(happened: WindowTruedUp) -> HeldTrueUp:
    return HeldTrueUp(
        line_id=happened.line_id,
        amount=happened.amount,
        payable_on=happened.payable_day,
        books=happened.journal.entries[0].books_amount,
        given=happened.exchange.given if happened.exchange else LEFT_OUT,
    )


def _left_of(before: HeldTrueUp, happened: TrueUpReduced) -> HeldTrueUp:
    taken = happened.journal.entries[0].books_amount if happened.journal.entries else None
    books = before.books if before.books is None or taken is None else before.books - taken
    given = before.given - happened.given if before.given and happened.given else before.given
    return replace(before, amount=happened.remaining, books=books, given=given)


def _in_books(meter: Meter, journal: Journal) -> Money | None:
    """What stands accrued in the books, where they are in another currency."""
    added = journal.entries[0].books_amount
    return added if added is None or meter.books is None else meter.books + added


def _metered(meter: Meter, happened: Metered) -> Meter:
    return replace(
        meter,
        measure=happened.after,
        plan_id=happened.plan_id,
        plan_version=happened.plan_version,
        payee_id=happened.payee_id,
        window=happened.window,
        kind=happened.kind,
        posted=meter.posted + happened.posted,
        mix=meter.mix + happened.mix,
        closes_on=happened.closes_on,
    )


def carry(meter: Meter) -> MeterEvent:
    came_later = {
        "held": meter.held or LEFT_OUT,
        "true_ups": meter.true_ups or LEFT_OUT,
        "changed_by": dict(meter.changed_by) or LEFT_OUT,
        "waits": meter.waits or LEFT_OUT,
    }
    carried = {name: value for name, value in fields_of(meter).items() if name != "payable"}
    return MeterCarried(**{**carried, **came_later})


Meters = Decider[Meter, MeterEvent](kind="meter", initial=Meter(), evolve=evolve, carry=carry)

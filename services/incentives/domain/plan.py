"""A plan says what is paid for a sale: rules of the kind `plan`, versioned and published like every rulebook."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal

from chassis.event import LeftOut, frozen
from chassis.rulebook import RulesOverlap
from contracts.values import MINOR_DIGITS
from services.incentives.domain import schedule as schedules
from services.incentives.domain.ageing import Ageing, ageing_faults
from services.incentives.domain.modifying import Modifier, Stack, modifier_faults
from services.incentives.domain.rebate import RebateTerms, rebate_faults
from services.incentives.domain.recognition_rules import Achievement
from services.incentives.domain.recurring import Recurring, recurring_faults
from services.incentives.domain.schedule import PERCENT, Schedule, sane
from services.incentives.domain.sharing import HOLD_DAYS_MAX, PayeePart, ReleasePart, sharing_faults

PLAN = "plan"
REBATE, SPIFF = "rebate", "spiff"
REFUND_DAYS_MAX = 3_650
CLAIM_DAYS_RANGE = (7, 120)
FILTERS = ("product_families", "skus", "deal_types")
MONTHS_A_QUARTER, MONTHS_A_YEAR = 3, 12
QUOTAS_MAX = 10_000
FILTER_MAX = 200

Basis = Literal["bookings", "invoiced", "collected", "margin", "first_year", "recurring", "units", "event"]
Accumulate = Literal["line", "month", "quarter", "year"]
Source = Literal["crm", "billing"]
BILLED = ("invoiced", "collected")
EVENT = "event"
COUNTED = ("units", EVENT)
DEAL_WON: Achievement = "deal_won"
SOURCED = "sourced"
UNSOLD: tuple[Achievement, ...] = ("deal_registered", "lead_converted")
"""What a plan may pay for that sells nothing yet."""


@frozen
class Quota:
    """The quota of one payee in one window; without a payee everyone's, without a window every window's."""

    quota: Decimal
    payee_id: str | None = None
    window: str | None = None


@frozen
class Plan:
    """The body of a plan.

    Of the plans with the same kind, component and pool the one with the highest priority pays, so that a rebate displaces
    no commission. `product_families`, `skus` and `deal_types` empty: everything counts. `accumulate`: the measure starts
    anew with each line, month, quarter or year; with `quota_to_date` an attainment in a window is of the part of the quota
    up to the line's month. `line_cap`, `line_floor` and `deal_cap` bound the pay after the schedule, in the plan's currency;
    what is taken back of a deal may be earned again under its cap. A payout is held `hold_days` after it is earned, or as
    `release` says. A refund takes back at the share of its age in `ageing`; where none is named, all of it up to
    `refund_days` (null: for ever). The plan hears reversals from one source; null: from that of its basis.
    A rebate accumulates and has `rebate` terms. A SPIFF may have a budget, and so may a commission that does not
    accumulate, as its spend limit: the last award takes the rest of it, or none. `overlap` says whether SPIFFs for the
    same sale all pay, only an exclusive one, or the best of them. `events` are what a plan of the basis event pays for, each
    once: a won deal, a registered deal, a converted lead. A SPIFF that is `claimed` pays nothing by itself: a person
    of the partner claims it within `claim_days` of the win, and is its seller.
    """

    kind: Literal["commission", "rebate", "spiff"]
    name: str
    currency: str
    schedule: Schedule
    component: str = "commission"
    pool: str = "sourced"
    priority: int = 0
    accumulate: Accumulate = "line"
    product_families: tuple[str, ...] = ()
    hold_days: int = 30
    refund_days: int | None = 90
    basis: Basis = "bookings"
    skus: tuple[str, ...] = ()
    deal_types: tuple[str, ...] = ()
    quotas: tuple[Quota, ...] = ()
    quota_to_date: bool = False
    tier_as_of: Literal["registration_approved", "closed", "invoiced"] = "registration_approved"
    modifiers: tuple[Modifier, ...] = ()
    stack: Stack = "highest"
    line_cap: Decimal | None = None
    line_floor: Decimal | None = None
    deal_cap: Decimal | None = None
    payees: tuple[PayeePart, ...] = ()
    payout_currency: str | None = None
    release: tuple[ReleasePart, ...] = ()
    recurring: Recurring | None = None
    ageing: tuple[Ageing, ...] = ()
    reversals_from: Source | None = None
    rebate: RebateTerms | None = None
    budget_id: str | None = None
    overlap: Literal["stack", "exclusive", "best_of"] = "stack"
    last_award: Literal["rest", "none"] = "rest"
    claimed: bool = False
    claim_days: int = 45
    events: tuple[Achievement, ...] = (DEAL_WON,)

    @property
    def rebate_terms(self) -> RebateTerms:
        """The terms of a rebate; those of a plain volume rebate where none are named."""
        return self.rebate or RebateTerms()

    @property
    def regular_prices_only(self) -> bool:
        """Whether what was sold at a special price does not count: of a rebate, unless its terms say otherwise."""
        return self.kind == REBATE and not self.rebate_terms.special_priced

    def pays_for(self, achievement: Achievement | LeftOut) -> bool:
        """Whether it pays for that event; what is left out is a win, for which every other plan pays too."""
        return (achievement or DEAL_WON) in (self.events if self.basis == EVENT else (DEAL_WON,))

    @property
    def accumulating(self) -> bool:
        return self.accumulate != "line"

    @property
    def hears(self) -> Source:
        """Where this plan hears reversals from, so that a refund leaves it exactly once."""
        return self.reversals_from or ("billing" if self.basis in BILLED else "crm")

    @property
    def released(self) -> tuple[ReleasePart, ...]:
        """The release parts; one of everything where none is named."""
        return self.release or (ReleasePart(percent=PERCENT, after_days=self.hold_days),)


class PlanOverlap(RulesOverlap):
    """Another plan pays for the same at the same time, see `rulebook_id`: end it first, or give one a higher priority."""

    slug = "plan-overlap"


def collide(one: Plan, other: Plan) -> bool:
    """Whether nothing says which of two plans pays. SPIFFs say so themselves, by their `overlap`."""
    both = [(plan.kind, plan.component, plan.pool, plan.priority) for plan in (one, other)]
    same_event = any(one.pays_for(event) and other.pays_for(event) for event in (DEAL_WON, *UNSOLD))
    return both[0] == both[1] and one.kind != SPIFF and same_event


def schedule_of(plan: Plan, payee_id: str, day: date) -> Schedule:
    """The plan's schedule with the quota that a payee has in the window of a day."""
    window = window_of(plan.accumulate, day)
    quota = _quota(plan, payee_id, window[0] if window else None)
    if quota is None:
        return plan.schedule
    part = _elapsed(plan.accumulate, day) if plan.quota_to_date else Decimal(1)
    return replace(plan.schedule, quota=quota * part)


def _quota(plan: Plan, payee_id: str, window: str | None) -> Decimal | None:
    """The most exact quota: payee and window, payee, window, everyone's, the schedule's own."""
    known = {(quota.payee_id, quota.window): quota.quota for quota in plan.quotas}
    for key in ((payee_id, window), (payee_id, None), (None, window), (None, None)):
        if key in known:
            return known[key]
    return plan.schedule.quota


def _elapsed(accumulate: str, day: date) -> Decimal:
    """The part of a window that has begun, in months."""
    if accumulate == "year":
        return Decimal(day.month) / MONTHS_A_YEAR
    return Decimal((day.month - 1) % MONTHS_A_QUARTER + 1) / MONTHS_A_QUARTER if accumulate == "quarter" else Decimal(1)


def faults(plan: Plan) -> list[str]:
    """What is wrong with a plan, in sentences; nothing for a sound one."""
    return [
        *schedules.faults(_with_some_quota(plan)),
        *_own_faults(plan),
        *_bound_faults(plan),
        *modifier_faults(plan.modifiers, accumulating=plan.accumulating),
        *sharing_faults(plan.payees, plan.release),
        *(recurring_faults(plan.recurring) if plan.recurring else []),
        *ageing_faults(plan.ageing),
        *_kind_faults(plan),
        *_event_faults(plan),
    ]


def faults_of_new(plan: Plan) -> list[str]:
    """What a plan may have from an older release, and a new one may not."""
    found = [f"{name} names at most {FILTER_MAX}" for name in FILTERS if len(getattr(plan, name)) > FILTER_MAX]
    if plan.basis == EVENT and plan.hears == "billing" and not {*UNSOLD}.isdisjoint(plan.events):
        found.append("no bill takes a registered deal or a converted lead back: leave reversals_from out, or name crm")
    return found


def _with_some_quota(plan: Plan) -> Schedule:
    if plan.schedule.axis == "attainment" and plan.schedule.quota is None and plan.quotas:
        return replace(plan.schedule, quota=plan.quotas[0].quota)
    return plan.schedule


def _own_faults(plan: Plan) -> list[str]:
    found = [
        f"{code!r} is not an ISO 4217 currency"
        for code in (plan.currency, plan.payout_currency or plan.currency)
        if code not in MINOR_DIGITS
    ]
    if not plan.name.strip():
        found.append("a plan has a name")
    if not 0 <= plan.hold_days <= HOLD_DAYS_MAX:
        found.append(f"hold_days is 0 to {HOLD_DAYS_MAX}")
    if plan.refund_days is not None and not 0 <= plan.refund_days <= REFUND_DAYS_MAX:
        found.append(f"refund_days is 0 to {REFUND_DAYS_MAX}, or null")
    if plan.basis in COUNTED and plan.schedule.axis != "units":
        found.append("the bases units and event go with the axis units")
    return found


def _kind_faults(plan: Plan) -> list[str]:
    found = rebate_faults(plan.rebate) if plan.rebate else []
    if plan.rebate is not None and plan.kind != REBATE:
        found.append("only a rebate has rebate terms")
    if plan.kind == REBATE and (not plan.accumulating or plan.payees or plan.release or plan.payout_currency):
        found.append("a rebate accumulates in a month, quarter or year, and is settled to the partner in its currency")
    if plan.kind != SPIFF and (plan.overlap != "stack" or plan.claimed):
        found.append("only a SPIFF has an overlap, or is claimed")
    if plan.claimed and plan.accumulating:
        found.append("what is claimed sale by sale rates each line by itself")
    low, high = CLAIM_DAYS_RANGE
    if not low <= plan.claim_days <= high:
        found.append(f"claim_days is {low} to {high}")
    if plan.budget_id and (plan.kind == REBATE or (plan.kind != SPIFF and plan.accumulating)):
        found.append("a SPIFF, or a commission that rates each line by itself, may have a budget")
    return found


def _event_faults(plan: Plan) -> list[str]:
    if plan.events == (DEAL_WON,):
        return []
    found = []
    if plan.basis != EVENT:
        found.append("only a plan of the basis event names events")
    if not plan.events or len(set(plan.events)) != len(plan.events) or not {DEAL_WON, *UNSOLD} >= set(plan.events):
        found.append("events are deal_won, deal_registered and lead_converted, each once")
    if plan.kind == REBATE or plan.claimed:
        found.append("a rebate, and what is claimed, is paid for won deals alone")
    if plan.pool != SOURCED:
        found.append("whoever registers a deal or converts a lead is credited in the pool sourced")
    return found


def _bound_faults(plan: Plan) -> list[str]:
    bounds = [plan.line_floor, plan.line_cap, plan.deal_cap]
    given = [bound for bound in bounds if bound is not None]
    found = []
    if any(not sane(bound) or bound < 0 for bound in given):
        found.append("caps and floors are numbers from 0, with at most 4 digits after the point")
    elif plan.line_floor is not None and plan.line_cap is not None and plan.line_floor > plan.line_cap:
        found.append("line_floor is not above line_cap")
    if len(plan.quotas) > QUOTAS_MAX or any(not sane(quota.quota) or quota.quota <= 0 for quota in plan.quotas):
        found.append(f"there are at most {QUOTAS_MAX} quotas, each above 0")
    if plan.quota_to_date and not plan.accumulating:
        found.append("a quota to date needs a window")
    return found


def end_of(day: date) -> datetime:
    """The last instant of a day: rules that hold then judge the day."""
    return datetime.combine(day, time.max, tzinfo=UTC)


def window_of(accumulate: str, day: date) -> tuple[str, date] | None:
    """Name and first day of the window that a day accumulates in, `("2026-Q1", 2026-01-01)`; None for single lines."""
    if accumulate == "year":
        return f"{day.year:04}", date(day.year, 1, 1)
    if accumulate == "quarter":
        quarter = (day.month - 1) // MONTHS_A_QUARTER
        return f"{day.year:04}-Q{quarter + 1}", date(day.year, 1 + quarter * MONTHS_A_QUARTER, 1)
    if accumulate == "month":
        return f"{day.year:04}-{day.month:02}", date(day.year, day.month, 1)
    return None


def window_end(accumulate: str, day: date) -> date:
    """The first day after the window of a day."""
    window = window_of(accumulate, day)
    months: Mapping[str, int] = {"year": MONTHS_A_YEAR, "quarter": MONTHS_A_QUARTER, "month": 1}
    if window is None:
        return day + timedelta(days=1)
    year, month = divmod(window[1].year * MONTHS_A_YEAR + window[1].month - 1 + months[accumulate], MONTHS_A_YEAR)
    return date(year, month + 1, 1)


def payable_on(earned_on: date, hold_days: int) -> date:
    """The day the hold is over: earned 16 March, held 60 days, payable 15 May."""
    return earned_on + timedelta(days=hold_days)

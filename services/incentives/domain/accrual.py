"""What a partner's sales bring into its share of a fund: a percent of what was bought, taken back with what is refunded.

A sale's figure is told whole each time, so repeats and other orders come to the same sum. Money is booked in the share of
the period that is open when it becomes known. What a refund asks back beyond what is available there stays owed, and the
next purchases make up for it first: a share is never drawn below nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from chassis.decider import Decider
from chassis.event import command, event, frozen, iso
from chassis.rulebook import Rulebook, Version
from contracts.values import Money, none_of
from services.incentives.domain.budget import (
    AllocateBudget,
    Budget,
    BudgetEvent,
    Budgets,
    FundShare,
    allocate_budget,
    reduced,
)
from services.incentives.domain.fund import FUND, FUNDS, FundRules, part_of, period_of
from services.incentives.domain.fund_share import marked, share_id
from services.incentives.domain.plan import end_of
from services.incentives.domain.rating import text_of

ACCRUAL = "accrual"
"""By whom a share was given that purchases bring."""
NOTHING = Decimal(0)

# Events


@event("incentives.FundAccrued.v1")
class FundAccrued:
    """What one win brings is `due` now, `due_before` until then; `amount` of that changed the share, of either sign.

    `owed` is what could not be taken back, as the share had not that much left.
    """

    fund_id: str
    version: int
    partner_id: str
    period: str
    ref: str
    opportunity_id: str
    facts: int
    bought: Money
    percent: Decimal
    credited_on: date
    due_before: Money
    due: Money
    amount: Money
    owed: Money
    source_event_id: str
    accrued_at: datetime


@frozen
class Counted:
    """What a win has brought, and how many facts of its sale were known then."""

    due: Decimal = NOTHING
    facts: int = 0


@event("incentives.FundAccrualCarried.v1")
class FundAccrualCarried:
    """The live state with which a long accrual goes on in its next segment."""

    counted: dict[str, Counted]
    booked: Decimal


AccrualEvent = FundAccrued | FundAccrualCarried

# Commands


@frozen
class Bought:
    """What stands of a win for one partner, in the fund's currency. `ref` names the win."""

    ref: str
    amount: Money
    credited_on: date


@frozen
class Accruing:
    """What a sale's wins bring to one partner in one fund, booked in `period`."""

    fund_id: str
    partner_id: str
    period: str
    bought: tuple[Bought, ...]


@command("incentives.AccrueFunds.v1")
class AccrueFunds:
    """`facts` counts what was known of the sale: an older look never undoes a newer one."""

    opportunity_id: str
    shares: tuple[Accruing, ...]
    facts: int
    source_event_id: str
    now: datetime


# State


@frozen
class Accrual:
    """What each win has brought, and what of it stands in shares."""

    counted: Mapping[str, Counted] = field(default_factory=dict)
    booked: Decimal = NOTHING

    @property
    def due(self) -> Decimal:
        """What all wins bring together."""
        return sum((one.due for one in self.counted.values()), NOTHING)


def accrual_id(fund_id: str, partner_id: str) -> str:
    """The accrual of one partner in one fund."""
    return f"{fund_id}-{partner_id}"


# Decisions


def terms_on(book: Rulebook, day: date) -> tuple[Version, FundRules] | None:
    """The version of a fund that held on a day; None where there was none yet."""
    version = book.in_force(end_of(day))
    return (version, FUNDS.read(version.body)) if version and version.kind == FUND else None


Accrued = tuple[list[list[FundAccrued]], list[list[BudgetEvent]]]


def accrue_funds(
    wish: AccrueFunds, accruals: Sequence[Accrual], shares: Sequence[Budget], books: Sequence[Rulebook]
) -> Accrued:
    """Brings what the sale is worth now into each partner's share; nothing where that is so already."""
    parts = [
        _accrue(wish, one, accrual, share, book)
        for one, accrual, share, book in zip(wish.shares, accruals, shares, books, strict=True)
    ]
    return [events for events, _ in parts], [moved for _, moved in parts]


def _accrue(
    wish: AccrueFunds, one: Accruing, accrual: Accrual, share: Budget, book: Rulebook
) -> tuple[list[FundAccrued], list[BudgetEvent]]:
    events: list[FundAccrued] = []
    moved: list[BudgetEvent] = []
    for bought in one.bought:
        known = accrual.counted.get(bought.ref, Counted())
        terms = terms_on(book, bought.credited_on)
        if terms is None or wish.facts <= known.facts or _due(bought, terms[1]).amount == known.due:
            continue
        happened = _accrued(wish, one, bought, terms, (accrual, share))
        step = _booked(happened, terms[1], share)
        events.append(happened)
        moved += step
        accrual, share = evolve(accrual, happened), Budgets.fold(step, share)
    return events, moved


def _due(bought: Bought, rules: FundRules) -> Money:
    percent = rules.accrual.percent if rules.accrual else NOTHING
    return part_of(bought.amount, percent)


def _accrued(
    wish: AccrueFunds,
    one: Accruing,
    bought: Bought,
    terms: tuple[Version, FundRules],
    at_hand: tuple[Accrual, Budget],
) -> FundAccrued:
    version, rules = terms
    accrual, share = at_hand
    before, due = accrual.counted.get(bought.ref, Counted()).due, _due(bought, rules)
    gap = accrual.due - before + due.amount - accrual.booked
    amount = max(gap, -_left(share))
    return FundAccrued(
        fund_id=one.fund_id,
        version=version.version,
        partner_id=one.partner_id,
        period=one.period,
        ref=bought.ref,
        opportunity_id=wish.opportunity_id,
        facts=wish.facts,
        bought=bought.amount,
        percent=rules.accrual.percent if rules.accrual else NOTHING,
        credited_on=bought.credited_on,
        due_before=Money(amount=before, currency=due.currency),
        due=due,
        amount=Money(amount=amount, currency=due.currency),
        owed=Money(amount=amount - gap, currency=due.currency),
        source_event_id=wish.source_event_id,
        accrued_at=wish.now,
    )


def _left(share: Budget) -> Decimal:
    return share.available.amount if share.allocated else NOTHING


def _booked(it: FundAccrued, rules: FundRules, share: Budget) -> list[BudgetEvent]:
    """What an accrual does to the share: adds to it, or takes of what is available."""
    identity, ref = share_id(it.fund_id, it.period, it.partner_id), f"{it.ref}:{it.facts}"
    nothing = none_of(it.amount.currency)
    if it.amount < nothing:
        return [reduced(identity, ref, nothing - it.amount, share, it.accrued_at)]
    if it.amount.zero:
        return []
    give = AllocateBudget(budget_id=identity, ref=ref, amount=it.amount, by=ACCRUAL, now=it.accrued_at)
    whose = FundShare(
        fund_id=it.fund_id,
        version=it.version,
        programme=rules.programme,
        period=it.period,
        ends_on=period_of(it.period)[1],
        partner_id=it.partner_id,
    )
    return [marked(one, whose) for one in allocate_budget(give, share)]


def steps_of(it: FundAccrued) -> dict[str, str]:
    """How it came to the amount, a sentence a step by its code."""
    of = f"{it.percent} % of {text_of(it.bought)}, credited on {iso(it.credited_on)}, is {text_of(it.due)}"
    steps = {"accrued": of}
    if not it.due_before.zero:
        steps["before"] = f"{text_of(it.due_before)} of this sale were counted before"
    steps["booked"] = f"{text_of(it.amount)} in the share of {it.period}"
    if not it.owed.zero:
        steps["owed"] = f"{text_of(it.owed)} are no longer there: later purchases make up for them first"
    return steps


# Evolve


def evolve(accrual: Accrual, happened: AccrualEvent) -> Accrual:
    match happened:
        case FundAccrued():
            counted = {**accrual.counted, happened.ref: Counted(due=happened.due.amount, facts=happened.facts)}
            return replace(accrual, counted=counted, booked=accrual.booked + happened.amount.amount)
        case FundAccrualCarried():
            return Accrual(counted=happened.counted, booked=happened.booked)
        case _:
            assert_never(happened)


def carry(accrual: Accrual) -> AccrualEvent:
    return FundAccrualCarried(counted=dict(accrual.counted), booked=accrual.booked)


Accruals = Decider[Accrual, AccrualEvent](kind="accrual", initial=Accrual(), evolve=evolve, carry=carry)

"""A partner's share of a fund: a budget of its own, drawn from the fund's budget of a programme and period.

Both are budgets, and move in one commit: what the fund has is never given out twice.
"""

from dataclasses import replace
from datetime import datetime

from chassis.decider import Refused
from chassis.event import command, iso
from chassis.rulebook import Rulebook, Version
from contracts.values import Money
from services.incentives.domain.budget import (
    AllocateBudget,
    Budget,
    BudgetAllocated,
    BudgetEvent,
    ExpireBudget,
    FundShare,
    UseBudget,
    allocate_budget,
    expire_budget,
    use_budget,
)
from services.incentives.domain.fund import FundRules, fund_at, next_period, part_of, period_of, today

ROLLOVER = "rollover"
"""Who gives what is rolled over, and how its `ref` begins: stored for ever."""

# Commands


@command("incentives.AllocateFund.v1")
class AllocateFund:
    fund_id: str
    period: str
    partner_id: str
    ref: str
    amount: Money
    by: str
    now: datetime


@command("incentives.ExpireFundShare.v1")
class ExpireFundShare:
    """What a partner has not had accepted by the end of a period is gone, or goes into the next one."""

    fund_id: str
    period: str
    partner_id: str
    now: datetime


# Refusals


class FundPeriodOpen(Refused):
    """The fund's period is not over."""

    slug = "fund-period-open"


# Decisions


def pool_id(fund_id: str, period: str) -> str:
    """The budget of a fund in a period, which all shares are drawn from."""
    return f"{fund_id}-{period}"


def share_id(fund_id: str, period: str, partner_id: str) -> str:
    """The budget of one partner in a fund and period."""
    return f"{pool_id(fund_id, period)}-{partner_id}"


def allocate_fund(
    wish: AllocateFund, pool: Budget, share: Budget, book: Rulebook
) -> tuple[list[BudgetEvent], list[BudgetEvent]]:
    """Gives a partner its share out of what the fund has left in the period. Raises FundsInsufficient."""
    version, rules = fund_at(book, wish.now)
    drawn = use_budget(
        UseBudget(budget_id=pool_id(wish.fund_id, wish.period), ref=_ref(wish), amount=wish.amount, now=wish.now), pool
    )
    share_of = _share(wish, version, rules)
    return drawn, [marked(one, share_of) for one in _given(wish, wish.amount, share)]


def _ref(wish: AllocateFund) -> str:
    return f"{wish.partner_id}:{wish.ref}"


def _given(wish: AllocateFund, amount: Money, share: Budget) -> list[BudgetEvent]:
    identity = share_id(wish.fund_id, wish.period, wish.partner_id)
    return allocate_budget(
        AllocateBudget(budget_id=identity, ref=wish.ref, amount=amount, by=wish.by, now=wish.now), share
    )


def rolled_from(one: BudgetAllocated) -> str | None:
    """The share that this one was rolled over from, None where somebody gave it."""
    if one.fund is None or one.allocated_by != ROLLOVER:
        return None
    return share_id(one.fund.fund_id, one.ref.split(":")[1], one.fund.partner_id)


def marked(one: BudgetEvent, share: FundShare) -> BudgetEvent:
    """The event with whose share it is of."""
    return replace(one, fund=share) if isinstance(one, BudgetAllocated) else one


Expired = tuple[list[BudgetEvent], list[BudgetEvent]]


def expire_fund_share(wish: ExpireFundShare, share: Budget, following: Budget, book: Rulebook) -> Expired:
    """Takes what is still available after the period; the fund's rollover of it is there in the next one.

    Of a fund that is no longer in force nothing rolls over.
    """
    day = today(wish.now)
    _, ends = period_of(wish.period)
    if day < ends:
        raise FundPeriodOpen(ends_on=iso(ends))
    ref = f"{wish.period}:{iso(day)}"
    identity = share_id(wish.fund_id, wish.period, wish.partner_id)
    gone = expire_budget(ExpireBudget(budget_id=identity, ref=ref, now=wish.now), share)
    live = book.in_force(wish.now) is not None
    return gone, _rolled_over(wish, share.available, following, book) if gone and live else []


def expire_while_in_force(wish: ExpireFundShare, share: Budget, following: Budget, book: Rulebook) -> Expired:
    """As the first evaluator decided: what was left in a fund that had ended did not expire."""
    found = expire_fund_share(wish, share, following, book)
    if found[0]:
        fund_at(book, wish.now)
    return found


def _rolled_over(wish: ExpireFundShare, left: Money, following: Budget, book: Rulebook) -> list[BudgetEvent]:
    version, rules = fund_at(book, wish.now)
    amount = part_of(left, rules.rollover_percent)
    if amount.zero:
        return []
    period = next_period(wish.period)
    again = AllocateFund(
        fund_id=wish.fund_id,
        period=period,
        partner_id=wish.partner_id,
        ref=f"{ROLLOVER}:{wish.period}:{iso(today(wish.now))}",
        amount=amount,
        by=ROLLOVER,
        now=wish.now,
    )
    return [marked(one, _share(again, version, rules)) for one in _given(again, amount, following)]


def _share(wish: AllocateFund, version: Version, rules: FundRules) -> FundShare:
    return FundShare(
        fund_id=wish.fund_id,
        version=version.version,
        programme=rules.programme,
        period=wish.period,
        ends_on=period_of(wish.period)[1],
        partner_id=wish.partner_id,
    )

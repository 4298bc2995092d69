"""The clock of a review: it runs while the vendor has the deal, and each step that waits for somebody is open.

A review begins where a deal comes into review and ends where it leaves it; what was used of the time is carried on.
"""

from datetime import datetime, timedelta

from contracts.business_time import BUSINESS_DAY
from contracts.values import Money
from services.registration.domain.approval import open_steps
from services.registration.domain.deal import Deal
from services.registration.domain.deal_events import DealEvent, StepClosed, StepOpened
from services.registration.domain.rules import DealRules


def begin(deal: Deal, rules: DealRules, now: datetime) -> list[DealEvent]:
    """Opens the first steps; the clock goes on from what was used before."""
    steps = open_steps(rules.approval, deal.now_details.amount, deal.review.given)
    return [opened(deal, rules, step, now) for step in steps]


def opened(deal: Deal, rules: DealRules, step: int, now: datetime) -> StepOpened:
    """One step that waits for somebody from now on."""
    chain, clock = rules.approval[step], rules.clock
    used = used_by(deal, rules, now)
    return StepOpened(
        **deal.header,
        step=step,
        role=chain.role,
        target_at=_due(rules, now, clock.target_days, used),
        due_at=_due(rules, now, clock.limit_days, used),
        opened_at=now,
    )


def end(deal: Deal, rules: DealRules, outcome: str, now: datetime) -> list[DealEvent]:
    """Closes every open step; the clock stands."""
    return [closed(deal, rules, step, outcome, now) for step in deal.review.steps]


def closed(deal: Deal, rules: DealRules, step: int, outcome: str, now: datetime) -> StepClosed:
    """One step that waits no more."""
    used = int(used_by(deal, rules, now).total_seconds())
    return StepClosed(
        **deal.header,
        step=step,
        outcome=outcome,
        used_seconds=used,
        closed_at=now,
    )


def advance(deal: Deal, rules: DealRules, amount: Money, now: datetime) -> list[DealEvent]:
    """After an approval: closes what is complete and opens what comes next. `deal` knows of the approval."""
    waiting = open_steps(rules.approval, amount, deal.review.given)
    done = [closed(deal, rules, step, "approved", now) for step in deal.review.steps if step not in waiting]
    return [*done, *(opened(deal, rules, step, now) for step in waiting if step not in deal.review.steps)]


def used_by(deal: Deal, rules: DealRules, now: datetime) -> timedelta:
    """The open time that the review has used so far."""
    review = deal.review
    running = rules.calendar.between(review.running_since, now) if review.running_since else timedelta()
    return timedelta(seconds=review.used_seconds) + running


def _due(rules: DealRules, now: datetime, days: int, used: timedelta) -> datetime:
    return rules.calendar.after(now, max(timedelta(), days * BUSINESS_DAY - used))


def appeal_until(rules: DealRules, now: datetime) -> datetime:
    """Until when whoever lost may dispute it."""
    return rules.calendar.after(now, rules.clock.appeal_days * BUSINESS_DAY)

"""What of funds is due: the end of a period, the days before a claim's deadline and after it, and what was paid?"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from chassis.deadlines import Deadline
from chassis.event import Seen, iso
from services.incentives.domain.budget import BudgetAllocated, BudgetReleased, FundShare
from services.incentives.domain.claim import (
    APPROVED,
    CREDIT,
    ClaimDecided,
    ClaimInstalmentReleased,
    ClaimSettled,
    ReleaseInstalments,
    SettleClaim,
    instalment_id,
)
from services.incentives.domain.fund_request import REMINDER_DAYS
from services.incentives.domain.fund_request_commands import CheckFundRequest
from services.incentives.domain.fund_request_events import (
    FundClaimReminded,
    FundRequestClaimed,
    FundRequestDecided,
    FundRequestDrawn,
    FundRequestEnded,
    FundRequestExtended,
)
from services.incentives.domain.fund_share import ExpireFundShare, share_id
from services.incentives.domain.payment_events import PaymentMade
from services.incentives.projections.releases import start_of

Due = dict[str, Any]
UNTIL_PAID = "9999-12-31T00:00:00Z"

# Periods


def evolve_period(document: Due | None, seen: Seen) -> Due | None:
    """Due when the period is over; what is given, or given back, after that is due the day after."""
    happened = seen.event
    if isinstance(happened, BudgetAllocated) and document is None and happened.fund:
        document = _of_share(happened.fund)
    if document is None:
        return None
    tomorrow = start_of(seen.recorded_at.date() + timedelta(days=1))
    return {
        **document,
        "due_at": max(document["due_at"], iso(tomorrow)) if _late(document, seen) else document["due_at"],
    }


def _late(document: Due, seen: Seen) -> bool:
    return iso(seen.recorded_at) >= str(document["due_at"])


def _of_share(share: FundShare) -> Due:
    named = {"fund_id": share.fund_id, "period": share.period, "partner_id": share.partner_id}
    return {"due_at": iso(start_of(share.ends_on)), **named}


def expire(document: Due, now: datetime) -> ExpireFundShare:
    """The command of a period that is over."""
    named = {name: document[name] for name in ("fund_id", "period", "partner_id")}
    return ExpireFundShare(**named, now=now)


FUND_PERIODS = Deadline(
    name="fund_periods",
    version=2,
    keys=dict.fromkeys((BudgetAllocated, BudgetReleased), lambda seen: str(seen.event.budget_id)),
    evolve=evolve_period,
    issue=expire,
)

# Claims' deadlines


def evolve_claim_due(document: Due | None, seen: Seen) -> Due | None:
    happened = seen.event
    if isinstance(happened, FundRequestDecided):
        return _of_decision(document, happened)
    if document is None or isinstance(happened, FundRequestEnded):
        return None
    if isinstance(happened, FundRequestExtended):
        return _step({**document, "claim_by": iso(happened.claim_by)}, seen.recorded_at.date())
    if isinstance(happened, FundRequestClaimed | FundRequestDrawn):
        return _step(document, seen.recorded_at.date())
    return _step(document, happened.reminded_at.date())


def _of_decision(document: Due | None, it: FundRequestDecided) -> Due | None:
    """A change that was not accepted leaves what was accepted before: the days that passed meanwhile are looked at anew."""
    if it.claim_by:
        return _accepted(it)
    return _step(document, it.decided_at.date()) if document else None


def _accepted(it: FundRequestDecided) -> Due:
    claim_by: date = it.claim_by or date.max
    named = {
        "fund_request_id": it.fund_request_id,
        "budget_id": share_id(it.fund_id, it.period, it.partner_id),
        "claim_by": iso(claim_by),
    }
    return _step(named, it.decided_at.date())


def _step(document: Due, today: date) -> Due:
    """The next day to look at it that is still to come: a reminder's, else the day after the last one."""
    claim_by = date.fromisoformat(document["claim_by"])
    days = (*(claim_by - timedelta(days=left) for left in REMINDER_DAYS), claim_by + timedelta(days=1))
    ahead = next((day for day in days if day > today), today + timedelta(days=1))
    return {**document, "due_at": iso(start_of(ahead))}


def check(document: Due, now: datetime) -> CheckFundRequest:
    """The command of a day on which to remind, or to end."""
    named = {name: document[name] for name in ("fund_request_id", "budget_id")}
    return CheckFundRequest(**named, now=now)


FUND_CLAIMS_DUE = Deadline(
    name="fund_claims_due",
    version=2,
    keys=dict.fromkeys(
        (
            FundRequestDecided,
            FundRequestExtended,
            FundClaimReminded,
            FundRequestClaimed,
            FundRequestDrawn,
            FundRequestEnded,
        ),
        lambda seen: str(seen.event.fund_request_id),
    ),
    evolve=evolve_claim_due,
    issue=check,
)

# Payments


def evolve_settlement(document: Due | None, seen: Seen) -> Due | None:
    """An approved claim waits for the payments that state it and its instalments; a credited one for none."""
    happened = seen.event
    if isinstance(happened, ClaimDecided):
        waits = _stated_as(happened) if happened.outcome == APPROVED else []
        return {"due_at": UNTIL_PAID, "claim_id": happened.claim_id, "waits": waits} if waits else None
    if document is None or isinstance(happened, ClaimSettled):
        return None
    it: PaymentMade = happened
    left = [name for name in document["waits"] if name not in it.line_ids]
    if left:
        return {**document, "waits": left}
    return {
        **document,
        "waits": [],
        "due_at": iso(seen.recorded_at.replace(microsecond=0)),
        "payment_id": it.payment_id,
        "paid_on": iso(it.paid_on),
    }


def _stated_as(it: ClaimDecided) -> list[str]:
    """The names under which statements carry what was approved."""
    if it.pay_as == CREDIT or it.line_ids:
        return []
    later = [part.number for part in it.instalments if part.payable_on > it.decided_on]
    at_once = [] if it.instalments and len(later) == len(it.instalments) else [it.claim_id]
    return [*at_once, *(instalment_id(it.claim_id, number) for number in later)]


def settle(document: Due, now: datetime) -> SettleClaim:
    """The command of a claim that was paid."""
    paid_on = date.fromisoformat(document["paid_on"])
    return SettleClaim(claim_id=document["claim_id"], payment_id=document["payment_id"], paid_on=paid_on, now=now)


def _claim(seen: Seen) -> str:
    claim_id: str = seen.event.claim_id
    return claim_id


def _stated(seen: Seen) -> tuple[str, ...]:
    """The claims that a payment may be for: the lines that it states, an instalment by the claim that it is of."""
    return tuple(dict.fromkeys(line_id.partition("/")[0] for line_id in seen.event.line_ids))


CLAIM_SETTLEMENTS = Deadline(
    name="claim_settlements",
    version=2,
    keys={ClaimDecided: _claim, ClaimSettled: _claim, PaymentMade: _stated},
    evolve=evolve_settlement,
    issue=settle,
)

# Awards


def evolve_award(document: Due | None, seen: Seen) -> Due | None:
    """Each line of an award waits for the payment that states it."""
    happened = seen.event
    if isinstance(happened, ClaimDecided):
        return {"due_at": UNTIL_PAID, "claim_id": happened.claim_id, "line_ids": list(happened.line_ids or ())}
    if document is None:
        return None
    it: PaymentMade = happened
    now_paid = [name for name in document["line_ids"] if name in it.line_ids]
    paid = {"payment_id": it.payment_id, "paid_on": iso(it.paid_on), "now_paid": now_paid}
    return {**document, **paid, "due_at": iso(seen.recorded_at.replace(microsecond=0))}


def settle_award(document: Due, now: datetime) -> SettleClaim:
    """The command of the lines of an award that a payment was for."""
    return replace(settle(document, now), line_ids=tuple(document["now_paid"]))


def _lines(seen: Seen) -> tuple[str, ...]:
    line_ids: tuple[str, ...] = seen.event.line_ids or ()
    return line_ids


AWARD_SETTLEMENTS = Deadline(
    name="award_settlements",
    version=1,
    keys={ClaimDecided: _lines, PaymentMade: _lines},
    evolve=evolve_award,
    issue=settle_award,
)

# Instalments


def evolve_instalments(document: Due | None, seen: Seen) -> Due | None:
    """Due on the day of the first instalment that is not payable yet."""
    happened = seen.event
    if isinstance(happened, ClaimDecided):
        days = [iso(part.payable_on) for part in happened.instalments if part.payable_on > happened.decided_on]
        return _next(happened.claim_id, days)
    it: ClaimInstalmentReleased = happened
    days = document["days"] if document else []
    return _next(it.claim_id, [day for day in days if day > iso(it.payable_on)])


def _next(claim_id: str, days: list[str]) -> Due | None:
    if not days:
        return None
    return {"due_at": iso(start_of(date.fromisoformat(days[0]))), "claim_id": claim_id, "days": days}


def release(document: Due, now: datetime) -> ReleaseInstalments:
    """The command of a day on which an instalment becomes payable."""
    return ReleaseInstalments(claim_id=document["claim_id"], now=now)


CLAIM_INSTALMENTS = Deadline(
    name="claim_instalments",
    version=1,
    keys={ClaimDecided: _claim, ClaimInstalmentReleased: _claim},
    evolve=evolve_instalments,
    issue=release,
)

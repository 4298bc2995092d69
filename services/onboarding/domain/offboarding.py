"""The way out of a partnership: notice, run-off, settlement, end.

Two administrators start it, or the partner's owner alone. Until the last business day it can be called off.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, assert_never

from chassis.decider import Invalid, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen
from chassis.rulebook import FourEyes
from contracts.values import PartnerId

RUN_OFF_DAYS, RUN_OFF_DAYS_MAX = 90, 365
PROPOSAL_DAYS = 14
LIVE = ("active", "suspended")
OFFBOARDED = "offboarded"

# Events


@event("onboarding.OffboardingProposed.v1")
class OffboardingProposed:
    """One administrator wants it; another one confirms the same terms within 14 days."""

    partner_id: PartnerId
    reason_code: str
    last_business_day: date
    run_off_days: int
    proposed_by: str
    proposed_at: datetime


@event("onboarding.OffboardingStarted.v1")
class OffboardingStarted:
    """`run_off_until` is the day on which what is left is settled. `proposed_by` is absent where the owner started it."""

    partner_id: PartnerId
    reason_code: str
    last_business_day: date
    run_off_until: date
    proposed_by: str | None
    started_by: str
    started_at: datetime


@event("onboarding.OffboardingCancelled.v1")
class OffboardingCancelled:
    """It, or the wish for it, was called off."""

    partner_id: PartnerId
    cancelled_by: str
    cancelled_at: datetime


@event("onboarding.SettlementProposed.v1")
class SettlementProposed:
    """One of finance says that nothing is owed any more, and shows why; another confirms the same within 14 days."""

    partner_id: PartnerId
    settled_on: date
    evidence_sha256: str
    reason: str
    proposed_by: str
    proposed_at: datetime


@event("onboarding.OffboardingSettled.v1")
class OffboardingSettled:
    """Nothing is owed any more, as incentives said, or two of finance who name their evidence."""

    partner_id: PartnerId
    settled_on: date
    settled_at: datetime
    evidence_sha256: str | LeftOut = LEFT_OUT
    reason: str | LeftOut = LEFT_OUT
    proposed_by: str | LeftOut = LEFT_OUT
    confirmed_by: str | LeftOut = LEFT_OUT


@event("onboarding.PartnerOffboarded.v1")
class PartnerOffboarded:
    partner_id: PartnerId
    offboarded_at: datetime


OffboardingEvent = (
    OffboardingProposed
    | OffboardingStarted
    | OffboardingCancelled
    | SettlementProposed
    | OffboardingSettled
    | PartnerOffboarded
)

# Commands


@command("onboarding.StartOffboarding.v1")
class StartOffboarding:
    """`as_owner`: the partner itself leaves, which needs nobody else."""

    partner_id: PartnerId
    reason_code: str
    last_business_day: date
    run_off_days: int = RUN_OFF_DAYS
    as_owner: bool = False
    by: str
    now: datetime


@command("onboarding.CancelOffboarding.v1")
class CancelOffboarding:
    partner_id: PartnerId
    by: str
    now: datetime


@command("onboarding.SettleOffboarding.v1")
class SettleOffboarding:
    partner_id: PartnerId
    settled_on: date
    now: datetime


@command("onboarding.SettleByHand.v1")
class SettleByHand:
    """`evidence_sha256` names the file that shows it: the first call proposes, that of another one confirms the same."""

    partner_id: PartnerId
    settled_on: date
    evidence_sha256: str
    reason: str
    by: str
    now: datetime


# State


@frozen
class Offboarding:
    """What was proposed, what was started, and what finance proposed to settle; nothing where nobody leaves."""

    proposed: OffboardingProposed | None = None
    started: OffboardingStarted | None = None
    settling: SettlementProposed | None = None


class Leaver(Protocol):
    """A partner, as far as its way out goes."""

    @property
    def status(self) -> str: ...

    @property
    def offboarding(self) -> Offboarding: ...


# Refusals


class OffboardingStands(Refused):
    """Other terms were started: cancel them first."""

    slug = "offboarding-stands"


class NoticeOver(Refused):
    """The last business day has passed: what runs off can no longer be called off."""

    slug = "notice-over"


class NoticeRunning(Refused):
    """The last business day is not over: what is owed after it is not known yet."""

    slug = "notice-running"


# Decisions


def start_offboarding(wish: StartOffboarding, partner: Leaver) -> list[OffboardingEvent]:
    """The owner starts it alone; of administrators the first proposes, and another one confirms the same terms."""
    _live(partner)
    known = partner.offboarding
    if known.started:
        if _same_days(wish, known.started):
            return []
        raise OffboardingStands(last_business_day=known.started.last_business_day.isoformat())
    _sound(wish)
    if wish.as_owner:
        return [_started(wish, None)]
    proposed = known.proposed
    if proposed is None or not _same_terms(wish, proposed) or wish.now > confirm_until(proposed):
        return [_proposed(wish)]
    if proposed.proposed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    return [_started(wish, proposed.proposed_by)]


def _sound(wish: StartOffboarding) -> None:
    if not 0 <= wish.run_off_days <= RUN_OFF_DAYS_MAX:
        raise Invalid(f"run_off_days is 0 to {RUN_OFF_DAYS_MAX}", errors=[_fault("run_off_days", "range")])
    if wish.last_business_day < _today(wish.now):
        raise Invalid("the last business day lies ahead", errors=[_fault("last_business_day", "past")])


def _fault(path: str, code: str) -> dict[str, str]:
    message = "name a day from the last business day to today" if path == "settled_on" else "0 to 365 days"
    return {"path": path, "code": code, "message": "name a later day" if code == "past" else message}


def _proposed(wish: StartOffboarding) -> OffboardingProposed:
    return OffboardingProposed(
        partner_id=wish.partner_id,
        reason_code=wish.reason_code,
        last_business_day=wish.last_business_day,
        run_off_days=wish.run_off_days,
        proposed_by=wish.by,
        proposed_at=wish.now,
    )


def _started(wish: StartOffboarding, proposed_by: str | None) -> OffboardingStarted:
    return OffboardingStarted(
        partner_id=wish.partner_id,
        reason_code=wish.reason_code,
        last_business_day=wish.last_business_day,
        run_off_until=_run_off_until(wish),
        proposed_by=proposed_by,
        started_by=wish.by,
        started_at=wish.now,
    )


def _run_off_until(wish: StartOffboarding) -> date:
    return wish.last_business_day + timedelta(days=wish.run_off_days)


def _same_days(wish: StartOffboarding, it: OffboardingStarted) -> bool:
    return (wish.last_business_day, _run_off_until(wish)) == (it.last_business_day, it.run_off_until)


def _same_terms(wish: StartOffboarding, it: OffboardingProposed) -> bool:
    asked = (wish.reason_code, wish.last_business_day, wish.run_off_days)
    return asked == (it.reason_code, it.last_business_day, it.run_off_days)


def confirm_until(it: OffboardingProposed | SettlementProposed) -> datetime:
    """Until when a second person may confirm what one has proposed; then it has lapsed."""
    return it.proposed_at + timedelta(days=PROPOSAL_DAYS)


def cancel_offboarding(wish: CancelOffboarding, partner: Leaver) -> list[OffboardingEvent]:
    """Calls it off, or the proposal, up to the last business day."""
    _live(partner)
    known = partner.offboarding
    if known == Offboarding():
        return []
    if known.started and known.started.last_business_day < _today(wish.now):
        raise NoticeOver(last_business_day=known.started.last_business_day.isoformat())
    return [OffboardingCancelled(partner_id=wish.partner_id, cancelled_by=wish.by, cancelled_at=wish.now)]


def settle_offboarding(wish: SettleOffboarding, partner: Leaver) -> list[OffboardingEvent]:
    """Ends the partnership once nothing is owed; of a partner that stays after all nothing is ended."""
    if partner.status == OFFBOARDED or partner.offboarding.started is None:
        return []
    return [
        OffboardingSettled(partner_id=wish.partner_id, settled_on=wish.settled_on, settled_at=wish.now),
        PartnerOffboarded(partner_id=wish.partner_id, offboarded_at=wish.now),
    ]


def settle_by_hand(wish: SettleByHand, partner: Leaver) -> list[OffboardingEvent]:
    """One of finance proposes it with evidence; another one who shows the same within 14 days ends the partnership."""
    proposed = partner.offboarding.settling
    return _by_hand(wish, partner, None if proposed and wish.now > confirm_until(proposed) else proposed)


def settle_by_hand_whenever(wish: SettleByHand, partner: Leaver) -> list[OffboardingEvent]:
    """As the first evaluator decided: what one had proposed could be confirmed however much later."""
    return _by_hand(wish, partner, partner.offboarding.settling)


def _by_hand(wish: SettleByHand, partner: Leaver, proposed: SettlementProposed | None) -> list[OffboardingEvent]:
    started = partner.offboarding.started
    if partner.status == OFFBOARDED:
        return []
    if started is None:
        raise WrongState("the partner does not leave", state=partner.status, allowed=["run_off"])
    if _today(wish.now) <= started.last_business_day:
        raise NoticeRunning(last_business_day=started.last_business_day.isoformat())
    if not started.last_business_day < wish.settled_on <= _today(wish.now):
        raise Invalid("settled_on lies after the last business day", errors=[_fault("settled_on", "range")])
    if proposed is None or (proposed.settled_on, proposed.evidence_sha256) != (wish.settled_on, wish.evidence_sha256):
        return [_settling(wish)]
    if proposed.proposed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    settled = OffboardingSettled(
        partner_id=wish.partner_id,
        settled_on=wish.settled_on,
        settled_at=wish.now,
        evidence_sha256=wish.evidence_sha256,
        reason=proposed.reason,
        proposed_by=proposed.proposed_by,
        confirmed_by=wish.by,
    )
    return [settled, PartnerOffboarded(partner_id=wish.partner_id, offboarded_at=wish.now)]


def _settling(wish: SettleByHand) -> SettlementProposed:
    return SettlementProposed(
        partner_id=wish.partner_id,
        settled_on=wish.settled_on,
        evidence_sha256=wish.evidence_sha256,
        reason=wish.reason,
        proposed_by=wish.by,
        proposed_at=wish.now,
    )


def _live(partner: Leaver) -> None:
    if partner.status not in LIVE:
        raise WrongState(f"the partner is {partner.status}", state=partner.status, allowed=list(LIVE))


def _today(now: datetime) -> date:
    return now.astimezone(UTC).date()


# Evolve


def evolve(it: Offboarding, happened: OffboardingEvent) -> Offboarding:
    match happened:
        case OffboardingProposed():
            return replace(it, proposed=happened)
        case OffboardingStarted():
            return Offboarding(started=happened)
        case OffboardingCancelled():
            return Offboarding()
        case SettlementProposed():
            return replace(it, settling=happened)
        case OffboardingSettled() | PartnerOffboarded():
            return it
        case _:
            assert_never(happened)

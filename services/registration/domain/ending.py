"""How a deal ends: withdrawn, merged into another, replaced, protection over, won or lost in the CRM."""

from collections.abc import Iterable
from datetime import datetime

from chassis.decider import Raced, Refused
from services.registration.domain.claims import ClaimEvent, Claims, merge, release
from services.registration.domain.deal import OPEN, SUBMITTED, Deal, Status, stands_in, unmoved
from services.registration.domain.deal_commands import (
    CloseDeal,
    EndProtection,
    GivesWay,
    MergeDuplicate,
    OnDeal,
    WithdrawDeal,
)
from services.registration.domain.deal_events import (
    DealClosed,
    DealEvent,
    DealWithdrawn,
    DraftDiscarded,
    DuplicateMerged,
    ProtectionEnded,
)

REPLACED = "replaced"

Ended = tuple[list[DealEvent], list[list[ClaimEvent]]]


class NotDuplicate(Refused):
    """Only two deals of one partner on one customer can be the same deal."""

    slug = "not-duplicate"


class ApprovedSurvives(Refused):
    """An approved deal goes on: merge the other one into it."""

    slug = "approved-survives"


# Decisions


def withdraw_deal(wish: WithdrawDeal, deal: Deal, claims: tuple[Claims, ...]) -> Ended:
    """Takes a deal back, or discards a draft; who waited behind it moves up."""
    stands_in(deal, *OPEN, Status.APPROVED)
    unmoved(wish, deal)
    if deal.status == Status.DRAFT:
        return [DraftDiscarded(**deal.header, discarded_by=wish.by, discarded_at=wish.now)], []
    withdrawn = DealWithdrawn(**deal.header, reason_code=wish.reason_code, withdrawn_by=wish.by, withdrawn_at=wish.now)
    return [withdrawn, *_unprotected(wish.now, deal, "withdrawn")], _released(wish, claims, "withdrawn")


def give_way(other: Deal, told: GivesWay, now: datetime) -> list[DealEvent]:
    """Ends a deal whose successor is approved; one that has ended already stays as it is."""
    if other.status not in SUBMITTED:
        return []
    if other.accounts != told.accounts:
        raise Raced
    withdrawn = DealWithdrawn(**other.header, reason_code=REPLACED, withdrawn_by=REPLACED, withdrawn_at=now)
    return [withdrawn, *_unprotected(now, other, "withdrawn")]


def merge_duplicate(
    wish: MergeDuplicate, deal: Deal, into: Deal, claims: tuple[Claims, ...]
) -> tuple[list[DealEvent], list[DealEvent], list[list[ClaimEvent]]]:
    """Ends a deal that is another one of the same partner; that one takes the earlier instant and both numbers."""
    stands_in(deal, *SUBMITTED)
    stands_in(into, *SUBMITTED)
    unmoved(wish, deal)
    if wish.into_accounts != into.accounts:
        raise Raced
    _one_deal(deal, into)
    earlier = min(deal.submitted_at, into.submitted_at)
    gone = DealWithdrawn(
        **deal.header,
        reason_code="duplicate",
        merged_into=into.first.registration_id,
        withdrawn_by=wish.by,
        withdrawn_at=wish.now,
    )
    stays = DuplicateMerged(
        **into.header,
        merged_id=deal.first.registration_id,
        merged_number=deal.first.number,
        submitted_at=earlier,
        merged_by=wish.by,
        merged_at=wish.now,
    )
    merged = [
        merge(state, into.first.registration_id, deal.first.registration_id, earlier, wish.now) for state in claims
    ]
    return [gone, *_unprotected(wish.now, deal, "withdrawn")], [stays], merged


def _one_deal(deal: Deal, into: Deal) -> None:
    same = deal.partner_id == into.partner_id and set(deal.accounts) & set(into.accounts)
    if not same or deal.first.registration_id == into.first.registration_id:
        raise NotDuplicate
    if deal.status == Status.APPROVED and into.status != Status.APPROVED:
        raise ApprovedSurvives


def end_protection(wish: EndProtection, deal: Deal, claims: tuple[Claims, ...]) -> Ended:
    """Ends a protection whose time is over; before that, or when it is gone already, nothing."""
    over = deal.status == Status.APPROVED and deal.protection is not None and deal.protection.end <= wish.now
    if not over:
        return [], [[] for _ in claims]
    unmoved(wish, deal)
    return _unprotected(wish.now, deal, "expired"), _released(wish, claims, "expired")


def close_deal(wish: CloseDeal, deal: Deal, claims: tuple[Claims, ...]) -> Ended:
    """Writes down how the CRM says it went, also after the protection is over."""
    stands_in(deal, Status.APPROVED, Status.EXPIRED)
    unmoved(wish, deal)
    closed = DealClosed(
        **deal.header,
        result=wish.result,
        opportunity_id=wish.opportunity_id,
        source_event_id=wish.source_event_id,
        closed_at=wish.now,
    )
    return [closed, *_unprotected(wish.now, deal, wish.result)], _released(wish, claims, wish.result)


def _unprotected(now: datetime, deal: Deal, reason_code: str) -> list[DealEvent]:
    if deal.status != Status.APPROVED:
        return []
    return [ProtectionEnded(**deal.header, reason_code=reason_code, ended_at=now)]


def _released(wish: OnDeal, claims: Iterable[Claims], reason_code: str) -> list[list[ClaimEvent]]:
    return [release(state, wish.registration_id, reason_code, wish.now) for state in claims]

"""How a deal ends: withdrawn, merged into another, replaced, protection over, won or lost in the CRM."""

from collections.abc import Iterable
from datetime import datetime

from chassis.decider import Raced, Refused
from chassis.event import replace
from chassis.rulebook import Reason, Rulebook
from services.registration.domain.claims import ClaimEvent, Claims, merge, release
from services.registration.domain.deal import SUBMITTED, Deal, Status, may, unmoved
from services.registration.domain.deal_commands import (
    REPLACED,
    CloseDeal,
    GivesWay,
    MergeDuplicate,
    OnDeal,
    WithdrawDeal,
)
from services.registration.domain.deal_events import (
    DealClosed,
    DealEvent,
    DealRevoked,
    DealWithdrawn,
    DraftDiscarded,
    DuplicateMerged,
    MissingLinkCleared,
    ParticipantJoined,
    ParticipantLeft,
    ProtectionEnded,
)
from services.registration.domain.judging import rules_of
from services.registration.domain.review_clock import appeal_until, end
from services.registration.domain.rules import DealRules
from services.registration.domain.track_record import ResultCounted, TrackRecord

DISPLACED = "The customer is worked on by another partner now."

Ended = tuple[list[DealEvent], list[list[ClaimEvent]]]


class NotDuplicate(Refused):
    """Only two deals of one partner on one customer can be the same deal."""

    slug = "not-duplicate"


class ApprovedSurvives(Refused):
    """An approved deal goes on: merge the other one into it."""

    slug = "approved-survives"


# Decisions


def withdraw_deal(wish: WithdrawDeal, deal: Deal, claims: tuple[Claims, ...], book: Rulebook) -> Ended:
    """Takes a deal back, or discards a draft; who waited behind it moves up."""
    if wish.unanswered_since is not None and not _unanswered(wish, deal):
        return [], [[] for _ in claims]
    may(deal, WithdrawDeal)
    unmoved(wish, deal)
    if deal.status == Status.DRAFT:
        return [DraftDiscarded(**deal.header, discarded_by=wish.by, discarded_at=wish.now)], []
    withdrawn = DealWithdrawn(**deal.header, reason_code=wish.reason_code, withdrawn_by=wish.by, withdrawn_at=wish.now)
    over = end(deal, rules_of(deal, book), "withdrawn", wish.now)
    return [*over, withdrawn, *unprotected(wish.now, deal, "withdrawn")], _released(wish, claims, "withdrawn")


def _unanswered(wish: WithdrawDeal, deal: Deal) -> bool:
    due = deal.answer_due_at
    return (
        deal.status == Status.ACTION_REQUIRED and due == wish.unanswered_since and due is not None and due <= wish.now
    )


def give_way(other: Deal, told: GivesWay, to: Deal, rules: DealRules, now: datetime) -> list[DealEvent]:
    """Ends a deal in favour of one that is approved: replaced by its partner's own, or revoked for a rival.

    One that has ended already stays as it is. Where only those give way who take part in it, they leave and it goes on.
    """
    if other.status not in SUBMITTED:
        return []
    if other.accounts != told.accounts:
        raise Raced
    if told.invitations:
        gone = (other.joined(one) for one in told.invitations)
        return [parted(other, one, told.reason_code, now, deal_over=False) for one in gone if one]
    if told.reason_code != REPLACED:
        return _revoked_for(other, told, to, rules, now)
    withdrawn = DealWithdrawn(**other.header, reason_code=REPLACED, withdrawn_by=REPLACED, withdrawn_at=now)
    return [*end(other, rules, "withdrawn", now), withdrawn, *unprotected(now, other, "withdrawn")]


def _revoked_for(other: Deal, told: GivesWay, to: Deal, rules: DealRules, now: datetime) -> list[DealEvent]:
    agreed = to.displacing
    if other.status != Status.APPROVED:
        raise Raced
    revoked = DealRevoked(
        **other.judged,
        reasons=(Reason(code=told.reason_code, text=DISPLACED),),
        evidence=(),
        for_registration_id=to.first.registration_id,
        revoked_by=(agreed.approved_by,) if agreed else (),
        revoked_at=now,
        appeal_until=appeal_until(rules, now),
    )
    return [*end(other, rules, "withdrawn", now), revoked, *unprotected(now, other, "revoked")]


Merged = tuple[list[DealEvent], list[DealEvent], list[list[ClaimEvent]]]


def merge_duplicate(wish: MergeDuplicate, deal: Deal, into: Deal, claims: tuple[Claims, ...], book: Rulebook) -> Merged:
    """Ends a deal that is another one of the same partner; that one takes the earlier instant and both numbers."""
    over, stays, merged = merge_duplicate_untold(wish, deal, into, claims, book)
    told = [replace(one, told_into=wish.into) if isinstance(one, DealWithdrawn) else one for one in over]
    return told, stays, merged


def merge_duplicate_untold(
    wish: MergeDuplicate, deal: Deal, into: Deal, claims: tuple[Claims, ...], book: Rulebook
) -> Merged:
    """As the first evaluator decided: others were not told which deal goes on."""
    may(deal, MergeDuplicate)
    may(into, MergeDuplicate)
    unmoved(wish, deal)
    if wish.into_accounts != into.accounts:
        raise Raced
    _one_deal(deal, into, claims)
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
    over = end(deal, rules_of(deal, book), "withdrawn", wish.now)
    return [*over, gone, *unprotected(wish.now, deal, "withdrawn")], [stays], merged


def _one_deal(deal: Deal, into: Deal, claims: tuple[Claims, ...]) -> None:
    whose = {line.counted(one.claim()).whose for line in claims for one in (deal, into)}
    same = len(whose) == 1 and set(deal.accounts) & set(into.accounts)
    if not same or deal.first.registration_id == into.first.registration_id:
        raise NotDuplicate
    if deal.status == Status.APPROVED and into.status != Status.APPROVED:
        raise ApprovedSurvives


Closed = tuple[list[DealEvent], list[list[ClaimEvent]], list[list[ResultCounted]]]


def close_deal(
    wish: CloseDeal, deal: Deal, claims: tuple[Claims, ...], records: tuple[TrackRecord, ...], book: Rulebook
) -> Closed:
    """Writes down how the CRM says it went, also after the protection is over, and counts it for its partner."""
    may(deal, CloseDeal)
    unmoved(wish, deal)
    closed = DealClosed(
        **deal.header,
        result=wish.result,
        opportunity_id=wish.opportunity_id,
        source_event_id=wish.source_event_id,
        closed_at=wish.now,
    )
    over = end(deal, rules_of(deal, book), "withdrawn", wish.now)
    told = [*over, closed, *unprotected(wish.now, deal, wish.result)]
    return told, _released(wish, claims, wish.result), [_counted(wish, deal) for _ in records]


def _counted(wish: CloseDeal, deal: Deal) -> list[ResultCounted]:
    first = deal.first
    return [
        ResultCounted(
            partner_id=first.partner_id,
            registration_id=first.registration_id,
            result=wish.result,
            closed_at=wish.now,
        )
    ]


def unprotected(now: datetime, deal: Deal, reason_code: str) -> list[DealEvent]:
    """The end of a protection, where there is one, and of what goes with a deal that lives."""
    protection = [ProtectionEnded(**deal.header, reason_code=reason_code, ended_at=now)]
    return [*(protection if deal.status == Status.APPROVED else []), *over_with(now, deal, reason_code)]


def over_with(now: datetime, deal: Deal, reason_code: str) -> list[DealEvent]:
    """What a deal's end ends besides: nobody takes part in it any more, and nobody waits for its sale."""
    waited = [MissingLinkCleared(**deal.header, reason_code="ended", cleared_at=now)] if deal.unlinked else []
    return [*(parted(deal, one, reason_code, now, deal_over=True) for one in deal.participants), *waited]


def parted(
    deal: Deal, joined: ParticipantJoined, reason_code: str, now: datetime, *, deal_over: bool, by: str | None = None
) -> ParticipantLeft:
    """One participant who takes part no more."""
    return ParticipantLeft(
        **deal.header,
        invitation_id=joined.invitation_id,
        participant=joined.participant,
        reason_code=reason_code,
        deal_over=deal_over,
        left_by=by,
        left_at=now,
    )


def _released(wish: OnDeal, claims: Iterable[Claims], reason_code: str) -> list[list[ClaimEvent]]:
    return [release(state, wish.registration_id, reason_code, wish.now) for state in claims]

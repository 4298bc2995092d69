"""Which facts of registration the other services hear, and in which words. No person, no rival, no free text."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from chassis.event import PublicEvent, Seen
from chassis.rulebook import Reason
from contracts import registration as public
from contracts.shared import AttentionCleared, AttentionRaised, of_rulebook
from contracts.values import ShownDocument
from services.registration.domain.account import AccountsMerged, AccountsSplit
from services.registration.domain.deal_events import (
    ActivityNoted,
    ConflictDetected,
    DealAmended,
    DealApproved,
    DealPromoted,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealRevoked,
    DealWithdrawn,
    Details,
    Evidence,
    ExtensionAnswered,
    ExtensionRequested,
    InactivityWarned,
    Judged,
    MissingLinkCleared,
    MissingLinkFlagged,
    OfDeal,
    OrderRecorded,
    ParticipantJoined,
    ParticipantLeft,
    ProtectionEnded,
    ProtectionExtended,
    ReviewOverdue,
    StepClosed,
    StepOpened,
    Terms,
)
from services.registration.domain.dispute import (
    PARTNER,
    VENDOR,
    DisputeAnswered,
    DisputeAppealed,
    DisputeConcluded,
    DisputeDecided,
    DisputeEvidenceRequested,
    DisputeEvidenceShown,
    DisputeHeard,
    DisputeOpened,
    DisputeWithdrawn,
    OfDispute,
)
from services.registration.domain.invitation import (
    InvitationAccepted,
    InvitationDeclined,
    InvitationLapsed,
    InvitationRevoked,
    InvitationSent,
    OfInvitation,
)
from services.registration.domain.lead import (
    LeadAccepted,
    LeadAppealed,
    LeadAssigned,
    LeadClosed,
    LeadConverted,
    LeadDeclined,
    LeadReleased,
    LeadReturned,
    LeadSubmitted,
    OfLead,
)


def publish(seen: Seen) -> PublicEvent | None:
    """The public form of a recorded event; None where it stays private."""
    tell = _TELL.get(type(seen.event))
    return tell(seen.event) if tell else of_rulebook(seen)


# What every deal's event says


def _of(happened: OfDeal) -> dict[str, Any]:
    return {name: getattr(happened, name) for name in ("registration_id", "number", "programme", "partner_id")}


def _terms(terms: Terms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in Terms.__dataclass_fields__}


def _judged(happened: Judged) -> dict[str, Any]:
    """As `_of`, with what the rules keep from the partner: its own view leaves that out."""
    return {**_of(happened), "withheld": happened.withheld}


def _codes(reasons: tuple[Reason, ...]) -> tuple[str, ...]:
    return tuple(reason.code for reason in reasons)


# Submitted and reviewed


def _registered(it: DealRegistered) -> PublicEvent:
    rest: dict[str, Any] = _submitted(it) if it.in_full else {}
    return public.DealRegistered(**_of(it), **_terms(it.terms), **rest)


def _submitted(it: DealRegistered) -> dict[str, Any]:
    """What else of a submission is not personal; a reference or a tender may tell who an unnamed customer is."""
    more = {"scope": it.reach.place.scope, "confidential": it.confidential, "replaces": it.replaces}
    return more if it.unnamed else {**more, **_plain(it.details), **_documents(it)}


def _returned(it: DealReturned) -> PublicEvent:
    return public.DealReturned(**_of(it), fields=it.fields, due_at=it.due_at, returned_at=it.returned_at)


def _resubmitted(it: DealResubmitted) -> PublicEvent:
    amount, at = it.amount or UNSET, it.resubmitted_at
    rest: dict[str, Any] = {"close_on": it.details.close_on, **_plain(it.details)} if it.in_full else {}
    more = {**rest, **_documents(it)}
    return public.DealResubmitted(**_of(it), fields=it.fields, resubmitted_at=at, amount=amount, **more)


PLAIN = ("tender", "tender_on", "partner_reference", "price_reference", "fund_reference", "crm_reference")


def _plain(details: Details) -> dict[str, Any]:
    """What is not personal of the details, besides the amount and the close date."""
    return {name: getattr(details, name) for name in PLAIN}


def _documents(it: DealRegistered | DealResubmitted | DealAmended) -> dict[str, Any]:
    """The documents of the deal, since their telling stands in the event."""
    return {"evidence": _as_shown(it.details.evidence)} if it.documents else {}


def _as_shown(evidence: tuple[Evidence, ...]) -> tuple[ShownDocument, ...]:
    return tuple(ShownDocument(kind=one.kind, dated_on=one.dated_on, sha256=one.sha256) for one in evidence)


def _conflict(it: ConflictDetected) -> PublicEvent:
    return public.ConflictDetected(
        **_judged(it),
        screening_id=it.screening_id,
        conflict_class=it.match,
        told_class=it.told_match,
        outcome=it.outcome,
        free_from=it.free_on,
        detected_at=it.detected_at,
    )


def _opened(it: StepOpened) -> PublicEvent:
    return AttentionRaised(attention_id=_attention(it), roles=(it.role,), due_at=it.due_at, **_review_of(it))


def _closed(it: StepClosed) -> PublicEvent:
    return AttentionCleared(attention_id=_attention(it), **_review_of(it))


def _attention(it: StepOpened | StepClosed) -> str:
    """The same step of the same deal is one thing to look at, however often it opens."""
    return f"{it.registration_id}.review.{it.step}"


def _review_of(it: OfDeal) -> dict[str, Any]:
    return {"side": "vendor", "topic": "deal-review", "subject": it.registration_id}


def _overdue(it: ReviewOverdue) -> PublicEvent:
    return public.ReviewOverdue(
        **_of(it),
        kind=it.kind,
        roles=it.roles,
        due_at=it.due_at,
        minutes=it.minutes,
        action=it.action,
        overdue_at=it.overdue_at,
    )


# Decided


def _queued(it: DealQueued) -> PublicEvent:
    return public.DealQueued(**_judged(it), place=it.place, free_from=it.free_on, queued_at=it.queued_at)


def _promoted(it: DealPromoted) -> PublicEvent:
    return public.DealPromoted(**_of(it), due_at=it.due_at or None, promoted_at=it.promoted_at)


def _approved(it: DealApproved) -> PublicEvent:
    return public.DealApproved(
        **_of(it),
        **_terms(it.terms),
        protection=it.protection,
        exclusive=it.exclusive,
        basis=it.basis,
        approved_at=it.approved_at,
        entitlement=it.entitlement or UNSET,
    )


def _rejected(it: DealRejected) -> PublicEvent:
    why: dict[str, Any] = {"reason_codes": _codes(it.reasons), "appeal_until": it.appeal_until}
    return public.DealRejected(**_judged(it), **why, rejected_at=it.rejected_at)


def _revoked(it: DealRevoked) -> PublicEvent:
    why: dict[str, Any] = {"reason_codes": _codes(it.reasons), "appeal_until": it.appeal_until}
    shown = _as_shown(it.evidence) if it.in_full else UNSET
    return public.DealRevoked(**_judged(it), **why, revoked_at=it.revoked_at, evidence=shown)


# Lived


def _amended(it: DealAmended) -> PublicEvent:
    amount, close_on = it.details.amount, it.details.close_on
    rest = {**(_plain(it.details) if it.in_full else {}), **_documents(it)}
    return public.DealAmended(**_of(it), amount=amount, close_on=close_on, amended_at=it.amended_at, **rest)


def _ordered(it: OrderRecorded) -> PublicEvent:
    order: dict[str, Any] = {"order_ref": it.order_ref, "amount": it.amount, "ordered_on": it.ordered_on}
    return public.OrderRecorded(**_of(it), **order, recorded_at=it.recorded_at, distributor_id=it.distributor_id)


def _withdrawn(it: DealWithdrawn) -> PublicEvent:
    into, at = it.told_into, it.withdrawn_at
    return public.DealWithdrawn(**_of(it), reason_code=it.reason_code, withdrawn_at=at, into=into)


def _asked(it: ExtensionRequested) -> PublicEvent:
    roles = ("deal_desk",)
    return AttentionRaised(attention_id=_extension(it), roles=roles, due_at=it.answer_by, **_extension_of(it))


def _answered(it: ExtensionAnswered) -> PublicEvent:
    return AttentionCleared(attention_id=_extension(it), **_extension_of(it))


def _extension(it: OfDeal) -> str:
    return f"{it.registration_id}.extension"


def _extension_of(it: OfDeal) -> dict[str, Any]:
    return {"side": "vendor", "topic": "deal-extension", "subject": it.registration_id}


def _extended(it: ProtectionExtended) -> PublicEvent:
    return public.ProtectionExtended(**_of(it), old_end=it.old_end, new_end=it.new_end, extended_at=it.extended_at)


def _warned(it: InactivityWarned) -> PublicEvent:
    roles = ("owner", "seller")
    return AttentionRaised(attention_id=_idle(it), roles=roles, due_at=it.ends_at, **_idle_of(it))


def _alive(it: ActivityNoted) -> PublicEvent | None:
    """A sign of life takes the warning back; without one, nobody is told of it."""
    return AttentionCleared(attention_id=_idle(it), **_idle_of(it)) if it.warned else None


def _idle(it: OfDeal) -> str:
    return f"{it.registration_id}.idle"


def _idle_of(it: OfDeal) -> dict[str, Any]:
    about = {"side": "partner", "topic": "deal-inactive"}
    return {**about, "subject": it.registration_id, "partner_id": it.partner_id}


def _ended(it: ProtectionEnded) -> PublicEvent:
    return public.ProtectionEnded(**_of(it), reason_code=it.reason_code, ended_at=it.ended_at)


# Taken part in


def _invited(it: InvitationSent) -> PublicEvent:
    roles = ("owner", "seller")
    return AttentionRaised(attention_id=it.invitation_id, roles=roles, due_at=it.due_at, **_invitation_of(it))


def _invitation_answered(it: OfInvitation) -> PublicEvent:
    return AttentionCleared(attention_id=it.invitation_id, **_invitation_of(it))


def _invitation_of(it: OfInvitation) -> dict[str, Any]:
    about = {"side": "partner", "topic": "invitation", "subject": it.invitation_id}
    return {**about, "partner_id": it.partner_id}


def _joined(it: ParticipantJoined) -> PublicEvent:
    return public.ParticipantJoined(**_as_participant(it), held_until=it.held_until, joined_at=it.joined_at)


def _left(it: ParticipantLeft) -> PublicEvent:
    why: dict[str, Any] = {"reason_code": it.reason_code, "deal_over": it.deal_over}
    return public.ParticipantLeft(**_as_participant(it), **why, left_at=it.left_at)


def _as_participant(it: ParticipantJoined | ParticipantLeft) -> dict[str, Any]:
    """The deal, by who takes part in it."""
    who = it.participant
    return {**_of(it), "partner_id": who.partner_id, "role": who.role, "invitation_id": it.invitation_id}


# Linked


def _unlinked(it: MissingLinkFlagged) -> PublicEvent:
    roles = ("admin", "channel_manager")
    return AttentionRaised(attention_id=_link(it), roles=roles, due_at=it.flagged_at, **_link_of(it))


def _link_cleared(it: MissingLinkCleared) -> PublicEvent:
    return AttentionCleared(attention_id=_link(it), **_link_of(it))


def _link(it: OfDeal) -> str:
    return f"{it.registration_id}.crm-link"


def _link_of(it: OfDeal) -> dict[str, Any]:
    return {"side": "vendor", "topic": "crm-pending", "subject": it.registration_id}


# Contested


def _disputed(it: DisputeOpened) -> PublicEvent:
    return public.DisputeOpened(**_of_dispute(it), kind=it.kind, opened_at=it.opened_at)


def _heard(it: DisputeHeard | DisputeEvidenceShown | DisputeAppealed) -> PublicEvent:
    """An arbiter decides next."""
    return AttentionRaised(roles=("arbiter",), due_at=it.due_at, **_arbiter_of(it))


def _evidence_asked(it: DisputeEvidenceRequested) -> PublicEvent:
    """The partner who filed it answers next."""
    return AttentionRaised(roles=("owner", "seller"), due_at=it.due_at, **_filer_of(it))


def _dispute_answered(it: DisputeAnswered) -> PublicEvent:
    return AttentionCleared(**(_filer_of(it) if it.side == PARTNER else _arbiter_of(it)))


def _dispute_withdrawn(it: DisputeWithdrawn) -> PublicEvent:
    return AttentionCleared(**_arbiter_of(it))


def _arbiter_of(it: OfDispute) -> dict[str, Any]:
    about = {"side": VENDOR, "topic": "dispute", "subject": it.registration_id}
    return {"attention_id": f"{it.dispute_id}.dispute", **about}


def _filer_of(it: OfDispute) -> dict[str, Any]:
    about = {"side": PARTNER, "topic": "dispute-evidence", "subject": it.dispute_id}
    return {"attention_id": f"{it.dispute_id}.dispute-evidence", **about, "partner_id": it.partner_id}


def _dispute_decided(it: DisputeDecided) -> PublicEvent:
    return public.DisputeDecided(**_of_dispute(it), outcome=it.outcome, final=False, decided_at=it.decided_at)


def _dispute_concluded(it: DisputeConcluded) -> PublicEvent:
    at = it.concluded_at
    return public.DisputeDecided(**_of_dispute(it), outcome=it.outcome, effects=it.effects, final=True, decided_at=at)


def _of_dispute(it: OfDispute) -> dict[str, Any]:
    return {**_of(it), "invitation_id": it.invitation_id}


# Customers


def _accounts_merged(it: AccountsMerged) -> PublicEvent:
    both = {"survivor_id": it.survivor_id, "absorbed_id": it.absorbed_id}
    return public.AccountsMerged(merge_id=it.merge_id, **both, merged_at=it.merged_at)


def _accounts_split(it: AccountsSplit) -> PublicEvent:
    both = {"survivor_id": it.survivor_id, "absorbed_id": it.absorbed_id}
    return public.AccountsSplit(merge_id=it.merge_id, **both, split_at=it.split_at)


# Leads


def _of_lead(it: OfLead) -> dict[str, Any]:
    return {name: getattr(it, name) for name in ("lead_id", "number", "programme", "partner_id")}


def _lead_submitted(it: LeadSubmitted) -> PublicEvent:
    enquiry = it.enquiry
    about = {name: getattr(enquiry, name) for name in ("direction", "source", "families", "tracking_code")}
    country, when = enquiry.company.country, it.submitted_at
    return public.LeadSubmitted(**_of_lead(it), **about, country=country, gate=it.held, submitted_at=when, role=it.role)


def _lead_appealed(it: LeadAppealed) -> PublicEvent:
    return AttentionRaised(attention_id=_appeal(it), roles=("deal_desk",), **_appeal_of(it))


def _lead_released(it: LeadReleased) -> PublicEvent:
    return AttentionCleared(attention_id=_appeal(it), **_appeal_of(it))


def _appeal(it: OfLead) -> str:
    return f"{it.lead_id}.appeal"


def _appeal_of(it: OfLead) -> dict[str, Any]:
    return {"side": "vendor", "topic": "lead-appeal", "subject": it.lead_id}


def _lead_assigned(it: LeadAssigned) -> PublicEvent:
    strategy, at = it.routing.strategy, it.assigned_at
    return public.LeadAssigned(
        **_of_lead(it), round=it.round, strategy=strategy, rules=it.rules, due_at=it.due_at, assigned_at=at
    )


def _lead_accepted(it: LeadAccepted) -> PublicEvent:
    told: dict[str, Any] = {"minutes": it.minutes, "due_at": it.due_at, "accepted_at": it.accepted_at}
    return public.LeadAccepted(**_of_lead(it), **told)


def _lead_declined(it: LeadDeclined) -> PublicEvent:
    return public.LeadDeclined(**_of_lead(it), reason_code=it.reason_code, declined_at=it.declined_at)


def _lead_returned(it: LeadReturned) -> PublicEvent:
    return public.LeadReturned(**_of_lead(it), reason_code=it.reason_code, returned_at=it.returned_at)


def _lead_converted(it: LeadConverted) -> PublicEvent:
    became: dict[str, Any] = {"registration_id": it.registration_id, "opportunity_id": it.opportunity_id}
    return public.LeadConverted(**_of_lead(it), **became, converted_at=it.converted_at)


def _lead_closed(it: LeadClosed) -> PublicEvent:
    return public.LeadClosed(**_of_lead(it), reason_code=it.reason_code, closed_at=it.closed_at)


_TELL: dict[type[Any], Callable[[Any], PublicEvent | None]] = {
    DealRegistered: _registered,
    DealReturned: _returned,
    DealResubmitted: _resubmitted,
    ConflictDetected: _conflict,
    StepOpened: _opened,
    StepClosed: _closed,
    ReviewOverdue: _overdue,
    DealQueued: _queued,
    DealPromoted: _promoted,
    DealApproved: _approved,
    DealRejected: _rejected,
    DealRevoked: _revoked,
    DealAmended: _amended,
    OrderRecorded: _ordered,
    DealWithdrawn: _withdrawn,
    ExtensionRequested: _asked,
    ExtensionAnswered: _answered,
    ProtectionExtended: _extended,
    InactivityWarned: _warned,
    ActivityNoted: _alive,
    ProtectionEnded: _ended,
    InvitationSent: _invited,
    **dict.fromkeys(
        (InvitationAccepted, InvitationDeclined, InvitationLapsed, InvitationRevoked), _invitation_answered
    ),
    ParticipantJoined: _joined,
    ParticipantLeft: _left,
    MissingLinkFlagged: _unlinked,
    MissingLinkCleared: _link_cleared,
    DisputeOpened: _disputed,
    **dict.fromkeys((DisputeHeard, DisputeEvidenceShown, DisputeAppealed), _heard),
    DisputeEvidenceRequested: _evidence_asked,
    DisputeAnswered: _dispute_answered,
    DisputeWithdrawn: _dispute_withdrawn,
    DisputeDecided: _dispute_decided,
    DisputeConcluded: _dispute_concluded,
    AccountsMerged: _accounts_merged,
    AccountsSplit: _accounts_split,
    LeadSubmitted: _lead_submitted,
    LeadAppealed: _lead_appealed,
    LeadReleased: _lead_released,
    LeadAssigned: _lead_assigned,
    LeadAccepted: _lead_accepted,
    LeadDeclined: _lead_declined,
    LeadReturned: _lead_returned,
    LeadConverted: _lead_converted,
    LeadClosed: _lead_closed,
}

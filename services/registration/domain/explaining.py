"""How the events of deals and leads are explained; those that are not here are explained by the screening beside them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from chassis.event import Seen, iso, plain
from chassis.rulebook import Change, Decision, Input, Reason
from services.registration.domain.capacity import SlotTaken
from services.registration.domain.concluding import LOST_DISPUTE
from services.registration.domain.deal_events import (
    DealApproved,
    DealQueued,
    DealRejected,
    DealRevoked,
    DealScreened,
    Judged,
    ParticipantJoined,
    ParticipantLeft,
    ProtectionEnded,
    ReviewOverdue,
    StepOpened,
)
from services.registration.domain.disclosure import keeping
from services.registration.domain.lead import DUPLICATE, LeadAssigned, LeadSubmitted
from services.registration.domain.lead_gate import HELD
from services.registration.domain.routing import explained as routed
from services.registration.domain.screening import APPROVE, REJECT, explained, reasons_of

REVOKE = "revoke"


def _judged(happened: Judged, decision: Decision) -> Decision:
    """The decision with what the rules keep of it from the partner."""
    return replace(decision, detail=keeping(decision.detail, happened.withheld))


def _screened(seen: Seen) -> Decision:
    happened: DealScreened = seen.event
    decision, index = explained(happened.screening, happened.rules), happened.facts.index
    told = {**decision.detail, "index": plain(index)} if index else decision.detail
    return _judged(happened, replace(decision, detail=told))


def _screened_briefly(seen: Seen) -> Decision:
    happened: DealScreened = seen.event
    screening = happened.screening
    return Decision(outcome=screening.outcome, reasons=reasons_of(screening.failed, happened.rules))


def _rejected(seen: Seen) -> Decision | None:
    """A person's reason; where the rules rejected it, the screening beside it says more."""
    happened: DealRejected = seen.event
    if happened.rejected_by is None:
        return None
    return _judged(happened, Decision(outcome=REJECT, reasons=happened.reasons))


def _approved(seen: Seen) -> Decision | None:
    """What the approver knew and decided over; where the rules approved it, the screening beside it says more."""
    happened: DealApproved = seen.event
    if happened.approved_by is None:
        return None
    inputs = (Input(name="screening", value=happened.screening_id), Input(name="basis", value=happened.basis))
    return _judged(happened, Decision(outcome=APPROVE, reasons=happened.reasons, inputs=inputs))


def _revoked(seen: Seen) -> Decision:
    happened: DealRevoked = seen.event
    return _judged(happened, Decision(outcome=REVOKE, reasons=happened.reasons))


def _overdue(seen: Seen) -> Decision:
    """The limit of the review that had passed."""
    happened: ReviewOverdue = seen.event
    late = Input(name="due_at", value=iso(happened.due_at))
    text = f"The review's limit passed {happened.minutes} minutes ago."
    return Decision(outcome=happened.action, reasons=(Reason(code="review-overdue", text=text),), inputs=(late,))


PARTED = {
    "left": "The partner left of itself.",
    "removed": "The vendor's desk took the partner out of the deal.",
    "partner-left": "The partner has left the programme.",
    "role-held": "Another partner held this customer in that role when the deal was approved.",
    LOST_DISPUTE: "A dispute over this customer in that role was decided against the partner.",
}
DEAL_ENDED = "The deal ended in which the partner took part."


def _joined(_: Seen) -> Decision:
    """The partner's own wish. What the deal beside it was screened on is that of its own partner."""
    return Decision(outcome="joined", reasons=(Reason(code="accepted", text="The partner accepted an invitation."),))


def _parted(seen: Seen) -> Decision:
    """Why it takes part no more, and nothing of the deal itself."""
    happened: ParticipantLeft = seen.event
    text = DEAL_ENDED if happened.deal_over else PARTED[happened.reason_code]
    return Decision(outcome="left", reasons=(Reason(code=happened.reason_code, text=text),))


ENDED = {
    "won": "The CRM says that the deal is won: there is nothing left to protect.",
    "lost": "The CRM says that the deal is lost: there is nothing left to protect.",
    "expired": "Its time was over.",
    "inactive": "Nothing had happened in the deal for as long as the rules allow.",
    "withdrawn": "The deal was withdrawn.",
    "partner-left": "The partner has left the programme.",
}


def _ended(seen: Seen) -> Decision | None:
    """What ended the protection; where that was a decision over the deal, the one beside it says more."""
    happened: ProtectionEnded = seen.event
    text = ENDED.get(happened.reason_code)
    return Decision(outcome="ended", reasons=(Reason(code=happened.reason_code, text=text),)) if text else None


def _gated(seen: Seen) -> Decision:
    """The rules of the gate that a lead met."""
    happened: LeadSubmitted = seen.event
    met, rules = (DUPLICATE,) if happened.first else happened.held, happened.rules
    reasons = tuple(Reason(code=one, text=HELD[one], rule=rules.rulebook_id, version=rules.version) for one in met)
    without = tuple(Change(code=one, text="Without this, it would have gone on.", outcome="open") for one in met[:1])
    outcome = "closed" if happened.first else "quarantined" if met else "open"
    return Decision(outcome=outcome, reasons=reasons, would_change=without if len(met) == 1 else ())


def _routed(seen: Seen) -> Decision:
    happened: LeadAssigned = seen.event
    return routed(happened.routing, f"{happened.rules.rulebook_id}@{happened.rules.version}")


TALLY: Mapping[type, Callable[[Any], tuple[str, str]]] = {
    DealApproved: lambda it: ("approved", it.partner_id),
    DealQueued: lambda it: ("waiting", it.partner_id),
    DealRejected: lambda it: ("rejected", it.partner_id),
    SlotTaken: lambda it: ("slots", it.partner_id),
    StepOpened: lambda it: ("asked", it.role),
}
"""What a shadow run counts: what became of each partner's deals, the slots they take, and which roles were asked."""


EXPLAIN: dict[type, Callable[[Seen], Decision | None]] = {
    DealScreened: _screened,
    DealRejected: _rejected,
    DealApproved: _approved,
    DealRevoked: _revoked,
    ProtectionEnded: _ended,
    ReviewOverdue: _overdue,
    ParticipantJoined: _joined,
    ParticipantLeft: _parted,
    LeadSubmitted: _gated,
    LeadAssigned: _routed,
}


BRIEFLY: dict[type, Callable[[Seen], Decision | None]] = {
    DealScreened: _screened_briefly,
    ProtectionEnded: lambda _: None,
}
"""The same in a shadow run: outcome and reasons alone of what takes long to explain in full, and nothing of an end: a report
stays what it was before ends were explained."""

"""How the events of a deal are explained; those that are not here are explained by the screening beside them."""

from collections.abc import Callable

from chassis.event import Seen, iso
from chassis.rulebook import Decision, Input, Reason
from services.registration.domain.deal_events import (
    DealApproved,
    DealRejected,
    DealRevoked,
    DealScreened,
    ReviewOverdue,
)
from services.registration.domain.screening import APPROVE, REJECT, explained

REVOKE = "revoke"


def _screened(seen: Seen) -> Decision:
    happened: DealScreened = seen.event
    return explained(happened.screening, happened.rules)


def _rejected(seen: Seen) -> Decision | None:
    """A person's reason; where the rules rejected it, the screening beside it says more."""
    happened: DealRejected = seen.event
    if happened.rejected_by is None:
        return None
    return Decision(outcome=REJECT, reasons=happened.reasons)


def _approved(seen: Seen) -> Decision | None:
    """What the approver knew and decided over; where the rules approved it, the screening beside it says more."""
    happened: DealApproved = seen.event
    if happened.approved_by is None:
        return None
    inputs = (Input(name="screening", value=happened.screening_id), Input(name="basis", value=happened.basis))
    return Decision(outcome=APPROVE, reasons=happened.reasons, inputs=inputs)


def _revoked(seen: Seen) -> Decision:
    happened: DealRevoked = seen.event
    return Decision(outcome=REVOKE, reasons=happened.reasons)


def _overdue(seen: Seen) -> Decision:
    """The limit of the review that had passed."""
    happened: ReviewOverdue = seen.event
    late = Input(name="due_at", value=iso(happened.due_at))
    text = f"The review's limit passed {happened.minutes} minutes ago."
    return Decision(outcome=happened.action, reasons=(Reason(code="review-overdue", text=text),), inputs=(late,))


EXPLAIN: dict[type, Callable[[Seen], Decision | None]] = {
    DealScreened: _screened,
    DealRejected: _rejected,
    DealApproved: _approved,
    DealRevoked: _revoked,
    ReviewOverdue: _overdue,
}

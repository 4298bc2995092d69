"""An approval: the day on which a registration was approved. A plan may look at the tier of that day."""

from dataclasses import dataclass
from datetime import date, datetime

from chassis.decider import Decider
from chassis.event import command, event


@event("incentives.ApprovalRecorded.v1")
class ApprovalRecorded:
    registration_id: str
    partner_id: str
    approved_on: date
    source_event_id: str
    recorded_at: datetime
    customer_domain: str | None = None


@command("incentives.RecordApproval.v1")
class RecordApproval:
    registration_id: str
    partner_id: str
    approved_on: date
    source_event_id: str
    now: datetime
    customer_domain: str | None = None


@dataclass(frozen=True)
class Approval:
    """The day, and the customer's domain where it has one, once they are known."""

    approved_on: date | None = None
    customer_domain: str | None = None


def record_approval(wish: RecordApproval, approval: Approval) -> list[ApprovalRecorded]:
    """Keeps the first approval: a registration that is approved again was protected before."""
    if approval.approved_on is not None:
        return []
    return [
        ApprovalRecorded(
            registration_id=wish.registration_id,
            partner_id=wish.partner_id,
            approved_on=wish.approved_on,
            source_event_id=wish.source_event_id,
            recorded_at=wish.now,
            customer_domain=wish.customer_domain,
        )
    ]


def evolve(_: Approval, happened: ApprovalRecorded) -> Approval:
    return Approval(approved_on=happened.approved_on, customer_domain=happened.customer_domain)


Approvals = Decider[Approval, ApprovalRecorded](kind="approval", initial=Approval(), evolve=evolve)

"""An approval: the day on which a registration was approved, and who takes part in it beside its partner.

A plan may look at the tier of that day, and may split its pay with a distributor or a sub-reseller.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import assert_never

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


@event("incentives.PartyJoined.v1")
class PartyJoined:
    """Party: distributor or reseller."""

    registration_id: str
    party: str
    partner_id: str
    source_event_id: str
    recorded_at: datetime


@event("incentives.PartyLeft.v1")
class PartyLeft:
    registration_id: str
    party: str
    partner_id: str
    source_event_id: str
    recorded_at: datetime


ApprovalEvent = ApprovalRecorded | PartyJoined | PartyLeft


@command("incentives.RecordApproval.v1")
class RecordApproval:
    registration_id: str
    partner_id: str
    approved_on: date
    source_event_id: str
    now: datetime
    customer_domain: str | None = None


@command("incentives.RecordParty.v1")
class RecordParty:
    registration_id: str
    party: str
    partner_id: str
    joins: bool
    source_event_id: str
    now: datetime


@dataclass(frozen=True)
class Approval:
    """The day, and the customer's domain where it has one, once they are known; the payees by party."""

    approved_on: date | None = None
    customer_domain: str | None = None
    parties: dict[str, str] = field(default_factory=dict)


def record_approval(wish: RecordApproval, approval: Approval) -> list[ApprovalEvent]:
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


def record_party(wish: RecordParty, approval: Approval) -> list[ApprovalEvent]:
    """Keeps who takes part; of one party the last that came, while it stays."""
    there = approval.parties.get(wish.party) == wish.partner_id
    if there == wish.joins:
        return []
    told = PartyJoined if wish.joins else PartyLeft
    return [
        told(
            registration_id=wish.registration_id,
            party=wish.party,
            partner_id=wish.partner_id,
            source_event_id=wish.source_event_id,
            recorded_at=wish.now,
        )
    ]


def evolve(approval: Approval, happened: ApprovalEvent) -> Approval:
    match happened:
        case ApprovalRecorded(approved_on=on, customer_domain=domain):
            return replace(approval, approved_on=on, customer_domain=domain)
        case PartyJoined(party=party, partner_id=partner_id):
            return replace(approval, parties={**approval.parties, party: partner_id})
        case PartyLeft(party=party):
            return replace(approval, parties={k: v for k, v in approval.parties.items() if k != party})
        case _:
            assert_never(happened)


Approvals = Decider[Approval, ApprovalEvent](kind="approval", initial=Approval(), evolve=evolve)

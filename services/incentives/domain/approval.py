"""An approval: the day on which a registration was approved, who takes part in it beside its partner, and its end.

A plan may look at the tier of that day, and may split its pay with a distributor or a sub-reseller; what is paid for a
registration is paid while it has not come to nothing. What distributors have booked for it waits here for its sale.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import LEFT_OUT, LeftOut, command, event
from contracts.values import Money, ProductLine


@event("incentives.ApprovalRecorded.v1")
class ApprovalRecorded:
    registration_id: str
    partner_id: str
    approved_on: date
    source_event_id: str
    recorded_at: datetime
    customer_domain: str | None = None
    products: tuple[ProductLine, ...] | LeftOut = LEFT_OUT


@event("incentives.CustomerNamed.v1")
class CustomerNamed:
    """The registration, which is paid for before it is approved, has a customer with this domain."""

    registration_id: str
    partner_id: str
    customer_domain: str
    source_event_id: str
    recorded_at: datetime


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


@event("incentives.DealEndRecorded.v1")
class DealEndRecorded:
    """The registration came to nothing, or with `stands` it stands again. Reason codes: rejected, withdrawn, revoked."""

    registration_id: str
    stands: bool
    reason_code: str
    happened_on: date
    source_event_id: str
    recorded_at: datetime


@event("incentives.OrderNoted.v1")
class OrderNoted:
    """A distributor has booked an order for the deal. It names no product."""

    registration_id: str
    order_ref: str
    amount: Money
    ordered_on: date
    source_event_id: str
    recorded_at: datetime


ApprovalEvent = ApprovalRecorded | CustomerNamed | PartyJoined | PartyLeft | DealEndRecorded | OrderNoted


@command("incentives.RecordApproval.v1")
class RecordApproval:
    registration_id: str
    partner_id: str
    approved_on: date
    source_event_id: str
    now: datetime
    customer_domain: str | None = None
    products: tuple[ProductLine, ...] | LeftOut = LEFT_OUT


@command("incentives.NameCustomer.v1")
class NameCustomer:
    registration_id: str
    partner_id: str
    customer_domain: str
    source_event_id: str
    now: datetime


@command("incentives.RecordParty.v1")
class RecordParty:
    registration_id: str
    party: str
    partner_id: str
    joins: bool
    source_event_id: str
    now: datetime


@command("incentives.RecordDealEnd.v1")
class RecordDealEnd:
    registration_id: str
    stands: bool = False
    reason_code: str
    happened_on: date
    source_event_id: str
    now: datetime


@command("incentives.NoteOrder.v1")
class NoteOrder:
    registration_id: str
    order_ref: str
    amount: Money
    ordered_on: date
    source_event_id: str
    now: datetime


@dataclass(frozen=True)
class Approval:
    """The day, and the customer's domain where it has one, once they are known; the payees by party; how it ended.

    `partner_id` is whose it was when it was approved, `products` are those of its approval, `orders` all that were
    booked for it.
    """

    approved_on: date | None = None
    partner_id: str | None = None
    customer_domain: str | None = None
    parties: dict[str, str] = field(default_factory=dict)
    ended: DealEndRecorded | None = None
    products: tuple[ProductLine, ...] = ()
    orders: tuple[OrderNoted, ...] = ()


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
            products=wish.products,
        )
    ]


def name_customer(wish: NameCustomer, approval: Approval) -> list[ApprovalEvent]:
    """Keeps the customer of a registration until its approval says whose it is."""
    if approval.approved_on is not None or approval.customer_domain == wish.customer_domain:
        return []
    return [
        CustomerNamed(
            registration_id=wish.registration_id,
            partner_id=wish.partner_id,
            customer_domain=wish.customer_domain,
            source_event_id=wish.source_event_id,
            recorded_at=wish.now,
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


def record_deal_end(wish: RecordDealEnd, approval: Approval) -> list[ApprovalEvent]:
    """Keeps that the registration came to nothing, until it stands again."""
    if wish.stands == (approval.ended is None):
        return []
    return [
        DealEndRecorded(
            registration_id=wish.registration_id,
            stands=wish.stands,
            reason_code=wish.reason_code,
            happened_on=wish.happened_on,
            source_event_id=wish.source_event_id,
            recorded_at=wish.now,
        )
    ]


def note_order(wish: NoteOrder, approval: Approval) -> list[ApprovalEvent]:
    """Keeps an order once."""
    if any(order.order_ref == wish.order_ref for order in approval.orders):
        return []
    return [
        OrderNoted(
            registration_id=wish.registration_id,
            order_ref=wish.order_ref,
            amount=wish.amount,
            ordered_on=wish.ordered_on,
            source_event_id=wish.source_event_id,
            recorded_at=wish.now,
        )
    ]


def evolve(approval: Approval, happened: ApprovalEvent) -> Approval:
    match happened:
        case ApprovalRecorded(approved_on=on, partner_id=partner_id, customer_domain=domain):
            known = replace(approval, approved_on=on, partner_id=partner_id, products=happened.products or ())
            return replace(known, customer_domain=domain or approval.customer_domain)
        case CustomerNamed(customer_domain=domain):
            return replace(approval, customer_domain=domain)
        case PartyJoined(party=party, partner_id=partner_id):
            return replace(approval, parties={**approval.parties, party: partner_id})
        case PartyLeft(party=party):
            return replace(approval, parties={k: v for k, v in approval.parties.items() if k != party})
        case OrderNoted():
            return replace(approval, orders=(*approval.orders, happened))
        case DealEndRecorded():
            return replace(approval, ended=None if happened.stands else happened)
        case _:
            assert_never(happened)


Approvals = Decider[Approval, ApprovalEvent](kind="approval", initial=Approval(), evolve=evolve)

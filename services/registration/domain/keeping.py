"""What is added to a deal on its way, without a new screening: amendments, evidence, orders."""

from datetime import datetime

from chassis.decider import Forbidden, Invalid
from contracts.values import PartnerId
from services.registration.domain.deal import SUBMITTED, Deal, Incomplete, Status, stands_in
from services.registration.domain.deal_commands import AddEvidence, AmendDeal, RecordOrder
from services.registration.domain.deal_events import DealAmended, DealEvent, EvidenceAdded, OrderRecorded
from services.registration.domain.fitting import detail_faults
from services.registration.domain.partner_reference import PartnerReference, PartnerReferenceTaken, take

EVIDENCE_MAX = 20
ORDERS_MAX = 1_000
DISTRIBUTE = "distribute"


class TooMuchEvidence(Invalid):
    """A deal takes twenty documents: leave some out."""

    slug = "too-much-evidence"


class TooManyOrders(Invalid):
    """A deal takes a thousand orders: the rest belongs to another one."""

    slug = "too-many-orders"


class NotDistributor(Forbidden):
    """Only a distributor of this deal records its orders."""

    slug = "not-distributor"


def amend_deal(
    wish: AmendDeal, deal: Deal, references: tuple[PartnerReference, ...]
) -> tuple[list[DealEvent], list[list[PartnerReferenceTaken]]]:
    """Changes what may change of an approved deal; its protection stays as it is."""
    stands_in(deal, Status.APPROVED)
    if not deal.now_details.differing(wish.details):
        return [], [[] for _ in references]
    faults = list(detail_faults(wish.details, deal.first.zone, wish.now))
    if faults:
        raise Incomplete(faults[0]["message"], errors=faults)
    amended = DealAmended(**deal.header, details=wish.details, amended_by=wish.by, amended_at=wish.now)
    return [amended], referred(deal, wish.details.partner_reference, references, wish.now)


def referred(
    deal: Deal, reference: str | None, references: tuple[PartnerReference, ...], now: datetime
) -> list[list[PartnerReferenceTaken]]:
    """Takes the partner's own number for this deal, where it names one."""
    first = deal.first
    return [
        take(
            state,
            partner_id=first.partner_id,
            reference=reference or "",
            registration_id=first.registration_id,
            now=now,
        )
        for state in references
    ]


def add_evidence(wish: AddEvidence, deal: Deal) -> list[DealEvent]:
    """Adds documents to a deal that is open or protected; one that it has already is not added again."""
    stands_in(deal, *SUBMITTED)
    known = {one.sha256 for one in deal.now_details.evidence}
    new = tuple({one.sha256: one for one in wish.evidence if one.sha256 not in known}.values())
    if len(known) + len(new) > EVIDENCE_MAX:
        raise TooMuchEvidence(limit=EVIDENCE_MAX)
    if not new:
        return []
    return [EvidenceAdded(**deal.header, evidence=new, added_by=wish.by, added_at=wish.now)]


def record_order(wish: RecordOrder, deal: Deal) -> list[DealEvent]:
    """Writes down an order that a distributor booked for the deal; the same order again changes nothing."""
    stands_in(deal, Status.APPROVED)
    distributor = _distributor(wish, deal)
    if wish.order_ref in deal.orders:
        return []
    if len(deal.orders) >= ORDERS_MAX:
        raise TooManyOrders(limit=ORDERS_MAX)
    return [
        OrderRecorded(
            **deal.header,
            order_ref=wish.order_ref,
            amount=wish.amount,
            ordered_on=wish.ordered_on,
            recorded_for=distributor,
            recorded_by=wish.by,
            recorded_at=wish.now,
        )
    ]


def _distributor(wish: RecordOrder, deal: Deal) -> PartnerId:
    known = [one.partner_id for one in deal.first.terms.participants if one.role == DISTRIBUTE]
    mine = [one for one in known if wish.recorded_for in (None, one)]
    if not mine:
        raise NotDistributor
    return mine[0]

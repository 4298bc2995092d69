"""What is added to a deal on its way, without a new screening: amendments, evidence, orders."""

from datetime import datetime

from chassis.decider import Forbidden, Invalid
from chassis.event import replace
from chassis.rulebook import Rulebook
from contracts.values import Money, PartnerId
from services.registration.domain.approval import last_step
from services.registration.domain.claim import Proof
from services.registration.domain.claims import ClaimEvent, Claims, support
from services.registration.domain.deal import Deal, Incomplete, evolve, may, unmoved
from services.registration.domain.deal_commands import AddEvidence, AmendDeal, RecordOrder
from services.registration.domain.deal_events import (
    DealAmended,
    DealEvent,
    DealResubmitted,
    EvidenceAdded,
    OrderRecorded,
)
from services.registration.domain.fitting import detail_faults
from services.registration.domain.judging import rules_of
from services.registration.domain.partner_reference import PartnerReference, PartnerReferenceTaken, take
from services.registration.domain.protecting import alive
from services.registration.domain.review_clock import end, opened
from services.registration.domain.rules import DealRules
from services.registration.domain.trace import Trace, TraceLeft, Traces, TracesCarried, leave

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
    wish: AmendDeal, deal: Deal, references: tuple[PartnerReference, ...], book: Rulebook
) -> tuple[list[DealEvent], list[list[PartnerReferenceTaken]]]:
    """Changes what may change of an approved deal; its protection stays as it is.

    An amount far above the approved one asks whoever decides last once more.
    """
    told, referred_to = amend_deal_without_documents(wish, deal, references, book)
    return told if deal.unnamed else with_documents(told), referred_to


def with_documents(told: list[DealEvent]) -> list[DealEvent]:
    """The events; where they say anew what the deal is, others hear of its documents too."""
    anew = DealResubmitted | DealAmended
    return [replace(one, documents=True) if isinstance(one, anew) else one for one in told]


def amend_deal_without_documents(
    wish: AmendDeal, deal: Deal, references: tuple[PartnerReference, ...], book: Rulebook
) -> tuple[list[DealEvent], list[list[PartnerReferenceTaken]]]:
    """Evaluator 3: others heard of no document."""
    return (amend_deal_in_brief if deal.unnamed else amend_deal_in_full)(wish, deal, references, book)


def amend_deal_in_full(
    wish: AmendDeal, deal: Deal, references: tuple[PartnerReference, ...], book: Rulebook
) -> tuple[list[DealEvent], list[list[PartnerReferenceTaken]]]:
    """Evaluator 2: others heard references and tenders also where they do not hear who the customer is."""
    told, referred_to = amend_deal_in_brief(wish, deal, references, book)
    return [replace(one, in_full=True) if isinstance(one, DealAmended) else one for one in told], referred_to


def amend_deal_in_brief(
    wish: AmendDeal, deal: Deal, references: tuple[PartnerReference, ...], book: Rulebook
) -> tuple[list[DealEvent], list[list[PartnerReferenceTaken]]]:
    """Evaluator 1: others heard only the amount and the close date."""
    may(deal, AmendDeal)
    if not deal.now_details.differing(wish.details):
        return [], [[] for _ in references]
    faults = list(detail_faults(wish.details, deal.first.zone, wish.now))
    if faults:
        raise Incomplete(faults[0]["message"], errors=faults)
    amended = DealAmended(**deal.header, details=wish.details, amended_by=wish.by, amended_at=wish.now)
    asked = _asked_again(evolve(deal, amended), rules_of(deal, book), wish.now)
    told = [amended, *asked, *alive(deal, "amendment", None, wish.now)]
    return told, referred(deal, wish.details.partner_reference, references, wish.now)


def _asked_again(deal: Deal, rules: DealRules, now: datetime) -> list[DealEvent]:
    """Opens the last step where the amended amount needs it, and closes it where it needs it no more."""
    amount = deal.now_details.amount
    if not far_above(deal.approved_amount, amount, rules.amended_up_percent):
        return end(deal, rules, "amended", now)
    step = last_step(rules.approval, amount)
    return [] if step in deal.review.steps else [opened(deal, rules, step, now)]


def far_above(approved: Money | None, amount: Money, percent: int) -> bool:
    """Whether an amount is more than so many percent above the approved one, or in another currency."""
    if approved is None or approved.currency != amount.currency:
        return True
    return amount.amount * 100 > approved.amount * (100 + percent)


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


Kept = tuple[list[DealEvent], list[list[ClaimEvent]], list[list[TraceLeft | TracesCarried]]]


def add_evidence(wish: AddEvidence, deal: Deal, claims: tuple[Claims, ...], traces: tuple[Traces, ...] = ()) -> Kept:
    """Adds documents to a deal that is open or protected; one that it has already is not added again."""
    may(deal, AddEvidence)
    unmoved(wish, deal)
    known = {one.sha256 for one in deal.now_details.evidence}
    new = tuple({one.sha256: one for one in wish.evidence if one.sha256 not in known}.values())
    if len(known) + len(new) > EVIDENCE_MAX:
        raise TooMuchEvidence(limit=EVIDENCE_MAX)
    if not new:
        return [], [[] for _ in claims], [[] for _ in traces]
    added = EvidenceAdded(**deal.header, evidence=new, added_by=wish.by, added_at=wish.now)
    counts = tuple(Proof(kind=one.kind, dated_on=one.dated_on) for one in new)
    told = [added, *alive(deal, "evidence", None, wish.now)]
    supported = [support(state, wish.registration_id, counts, wish.now) for state in claims]
    return told, supported, traced(deal, wish.traces, traces, wish.now)


def traced(
    deal: Deal, traces: tuple[Trace, ...], known: tuple[Traces, ...], now: datetime
) -> list[list[TraceLeft | TracesCarried]]:
    """Leaves behind what the deal is known by."""
    first = deal.first
    return [
        leave(
            state,
            TraceLeft(
                kind=trace.kind,
                value=trace.value,
                registration_id=first.registration_id,
                partner_id=first.partner_id,
                account_id=first.accounts[0],
                role=first.reach.role,
                country=first.customer.country,
                left_at=now,
            ),
        )
        for trace, state in zip(traces, known, strict=True)
    ]


def record_order(wish: RecordOrder, deal: Deal) -> list[DealEvent]:
    """Writes down an order that a distributor booked for the deal; the same order again changes nothing."""
    return [replace(one, distributor_id=one.recorded_for) for one in record_order_of_nobody(wish, deal)]


def record_order_of_nobody(wish: RecordOrder, deal: Deal) -> list[OrderRecorded]:
    """As the first evaluator decided: others were not told whose order it is."""
    may(deal, RecordOrder)
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
    known = [one.partner_id for one in deal.terms().participants if one.role == DISTRIBUTE]
    mine = [one for one in known if wish.recorded_for in (None, one)]
    if not mine:
        raise NotDistributor
    return mine[0]

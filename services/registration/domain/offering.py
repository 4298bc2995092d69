"""A lead finds its partner: it is offered, accepted, declined, taken back, pooled."""

from dataclasses import replace
from datetime import datetime, timedelta

from chassis.rulebook import Rulebook, Version
from contracts.business_time import BUSINESS_DAY
from contracts.values import PartnerId
from services.registration.domain.lead import (
    NO_ANSWER,
    UNQUALIFIED,
    Lead,
    LeadAccepted,
    LeadAssigned,
    LeadClosed,
    LeadDeclined,
    LeadEvent,
    LeadPooled,
    LeadTaken,
    NotEligible,
    Offer,
    OfferLapsed,
    Standing,
)
from services.registration.domain.lead_commands import (
    AcceptLead,
    AssignLead,
    ClaimLead,
    DeclineLead,
    LapseOffers,
    PoolLead,
)
from services.registration.domain.lead_gate import rules_for
from services.registration.domain.lead_machine import MOVES
from services.registration.domain.lead_rules import LeadRules
from services.registration.domain.rotation import Turns, TurnTaken
from services.registration.domain.routing import NAMED, POOL, VENDOR, Routing, RoutingFacts, Taker, route

BY_HAND, NOBODY, OVER = "by-hand", "nobody-eligible", "rounds-over"


def assign_lead(wish: AssignLead, lead: Lead, turns: Turns, book: Rulebook) -> tuple[list[LeadEvent], list[TurnTaken]]:
    """Offers an open lead to whose turn it is; after the last round, or where nobody may have it, it is pooled."""
    if not wish.by_hand and lead.standing != Standing.OPEN:
        return [], []
    pool = () if wish.named else (Standing.POOLED,)
    lead.must_be(*(one for one in MOVES[AssignLead].begins if one not in pool))
    version, rules = rules_for(lead, book)
    if wish.named is None and lead.round >= rules.rounds:
        return [_given_up(wish, lead, rules)], []
    routing = _routing(wish, lead, turns, version, rules)
    if not routing.partners and routing.strategy != VENDOR:
        return [pooled(wish, lead, rules, NOBODY)], []
    offered: tuple[PartnerId | None, ...] = routing.partners or (None,)
    assigned = [_assigned(wish, lead, who, routing, rules) for who in offered]
    return [*assigned], [_turn(wish, who) for who in routing.partners]


def _routing(wish: AssignLead, lead: Lead, turns: Turns, version: Version, rules: LeadRules) -> Routing:
    if lead.inbound:
        return Routing(partners=(), strategy=VENDOR)
    facts = facts_of(wish, lead, turns, version)
    if wish.named is None:
        return route(facts, rules)
    barred = [one.partner_id for one in facts.takers if one.suspended]
    if wish.named in barred or wish.named not in {one.partner_id for one in facts.takers}:
        raise NotEligible(code="suspended" if wish.named in barred else "partner-unknown")
    return Routing(partners=(wish.named,), strategy=NAMED, order=(wish.named,))


def facts_of(wish: AssignLead, lead: Lead, turns: Turns, version: Version) -> RoutingFacts:
    """What routing looks at: today's turns count before what was known when the command was made."""
    enquiry = lead.first.enquiry
    company = enquiry.company
    return RoutingFacts(
        lead_id=wish.lead_id,
        rules=f"{version.rulebook_id}@{version.version}",
        round=lead.round + 1,
        country=company.country,
        families=enquiry.families,
        latitude=company.latitude,
        longitude=company.longitude,
        source=enquiry.source_partner_id,
        declined=lead.declined,
        incumbents=wish.incumbents,
        takers=tuple(_as_of_now(one, turns) for one in wish.takers),
        turns=turns.counts,
    )


def _as_of_now(taker: Taker, turns: Turns) -> Taker:
    return replace(taker, last_turn_at=turns.last.get(taker.partner_id, taker.last_turn_at))


def _assigned(
    wish: AssignLead | ClaimLead, lead: Lead, who: PartnerId | None, routing: Routing, rules: LeadRules
) -> LeadAssigned:
    return LeadAssigned(
        **lead.told(who),
        round=lead.round + 1,
        rules=lead.first.rules,
        routing=routing,
        due_at=rules.calendar.after(wish.now, rules.accept_days * BUSINESS_DAY),
        assigned_by=wish.by,
        assigned_at=wish.now,
    )


def _turn(wish: AssignLead, who: PartnerId) -> TurnTaken:
    return TurnTaken(queue=wish.rulebook, partner_id=who, lead_id=wish.lead_id, taken_at=wish.now)


def _given_up(wish: AssignLead, lead: Lead, rules: LeadRules) -> LeadEvent:
    """What nobody took: it is pooled for every partner; a lead for the vendor is closed."""
    if not lead.inbound:
        return pooled(wish, lead, rules, OVER)
    told = lead.told(lead.first.partner_id)
    return LeadClosed(**told, reason_code="expired", closed_by=wish.by, closed_at=wish.now)


def pool_lead(wish: PoolLead, lead: Lead, book: Rulebook) -> list[LeadEvent]:
    """Puts an open lead where every partner may take it."""
    lead.must_be(*MOVES[PoolLead].begins)
    return [pooled(wish, lead, rules_for(lead, book)[1], BY_HAND)]


def pooled(wish: AssignLead | PoolLead, lead: Lead, rules: LeadRules, code: str) -> LeadPooled:
    ends_at = wish.now + timedelta(days=rules.pool_days)
    told = lead.told(None)
    return LeadPooled(**told, code=code, ends_at=ends_at, pooled_by=wish.by, pooled_at=wish.now)


# Answers


def accept_lead(wish: AcceptLead, lead: Lead, book: Rulebook) -> list[LeadEvent]:
    """Takes the lead; the first of several has it. Raises OfferLapsed, LeadTaken, NotFound."""
    if lead.standing == Standing.ACCEPTED and lead.holder == wish.partner_id:
        return []
    offer = lead.offer_to(wish.partner_id)
    if offer.due_at <= wish.now:
        raise OfferLapsed(due_at=offer.due_at.isoformat())
    return [_accepted(wish, lead, wish.partner_id, offer.offered_at, book)]


def _accepted(
    wish: AcceptLead | ClaimLead, lead: Lead, who: PartnerId | None, since: datetime, book: Rulebook
) -> LeadAccepted:
    _, rules = rules_for(lead, book)
    return LeadAccepted(
        **lead.told(who),
        minutes=int((wish.now - since).total_seconds()) // 60,
        due_at=rules.calendar.after(wish.now, rules.contact_days * BUSINESS_DAY),
        accepted_by=wish.by,
        accepted_at=wish.now,
    )


def claim_lead(wish: ClaimLead, lead: Lead, book: Rulebook) -> list[LeadEvent]:
    """Takes a lead out of the pool, first come first served: assigned and accepted at once."""
    who = wish.taker.partner_id
    if lead.standing == Standing.ACCEPTED and lead.holder != who:
        raise LeadTaken
    lead.must_be(*MOVES[ClaimLead].begins)
    if wish.taker.suspended or who == lead.first.enquiry.source_partner_id:
        raise NotEligible(code="suspended" if wish.taker.suspended else "own-lead")
    routing = Routing(partners=(who,), strategy=POOL, order=(who,))
    offered = _assigned(wish, lead, who, routing, rules_for(lead, book)[1])
    return [offered, _accepted(wish, lead, who, wish.now, book)]


def decline_lead(wish: DeclineLead, lead: Lead) -> list[LeadEvent]:
    """Says no; it goes on to the next. What the vendor declines is closed."""
    lead.offer_to(wish.partner_id)
    declined = _declined(wish, lead, lead.offers, wish.partner_id, wish.reason_code)
    if wish.partner_id is not None:
        return [declined]
    told = lead.told(lead.first.partner_id)
    return [declined, LeadClosed(**told, reason_code=UNQUALIFIED, closed_by=wish.by, closed_at=wish.now)]


def _declined(
    wish: DeclineLead | LapseOffers, lead: Lead, offers: tuple[Offer, ...], who: PartnerId | None, code: str
) -> LeadDeclined:
    rest = [one for one in offers if one.partner_id != who]
    return LeadDeclined(
        **lead.told(who),
        reason_code=code,
        reopened=not rest,
        declined_by=wish.by,
        declined_at=wish.now,
    )


def lapse_offers(wish: LapseOffers, lead: Lead) -> list[LeadEvent]:
    """Takes back every offer whose time is over; nothing where none is."""
    late = [one for one in lead.offers if lead.standing in MOVES[LapseOffers].begins and one.due_at <= wish.now]
    events: list[LeadEvent] = []
    for place, offer in enumerate(late):
        gone = {one.partner_id for one in late[:place]}
        left = tuple(one for one in lead.offers if one.partner_id not in gone)
        events.append(_declined(wish, lead, left, offer.partner_id, NO_ANSWER))
    return events

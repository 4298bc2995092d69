"""A partner works on its lead: reports, gives it back, makes a deal of it, or closes it."""

from datetime import timedelta

from chassis.decider import Forbidden, NotFound
from chassis.rulebook import Rulebook
from services.registration.domain.deal import Deal, Status
from services.registration.domain.lead import (
    EXPIRED,
    FINAL,
    NO_CONTACT,
    NO_UPDATE,
    Lead,
    LeadClosed,
    LeadConverted,
    LeadEvent,
    LeadForgotten,
    LeadProgressed,
    LeadReturned,
    NotYourDeal,
    Standing,
)
from services.registration.domain.lead_commands import (
    CloseLead,
    ConvertLead,
    ForgetLead,
    ReclaimLead,
    ReportProgress,
    ReturnLead,
)
from services.registration.domain.lead_gate import rules_for
from services.registration.domain.lead_machine import MOVES

LIVE = (Status.IN_REVIEW, Status.ACTION_REQUIRED, Status.WAITING, Status.APPROVED)


def report_progress(wish: ReportProgress, lead: Lead, book: Rulebook) -> list[LeadEvent]:
    """Says how far it is; the next word is due some days on."""
    lead.must_be_with(wish.partner_id)
    _, rules = rules_for(lead, book)
    due_at = wish.now + timedelta(days=rules.update_days)
    told = lead.told(wish.partner_id)
    return [LeadProgressed(**told, step=wish.step, due_at=due_at, reported_by=wish.by, reported_at=wish.now)]


def return_lead(wish: ReturnLead, lead: Lead) -> list[LeadEvent]:
    """Gives it back; it goes on to the next."""
    lead.must_be_with(wish.partner_id)
    return [_returned(wish, lead, wish.reason_code)]


def reclaim_lead(wish: ReclaimLead, lead: Lead) -> list[LeadEvent]:
    """Takes it back from who has not said anything in time; nothing where a word has come."""
    if lead.standing not in MOVES[ReclaimLead].begins or lead.due_at is None or wish.now < lead.due_at:
        return []
    return [_returned(wish, lead, NO_UPDATE if lead.progress else NO_CONTACT)]


def _returned(wish: ReturnLead | ReclaimLead, lead: Lead, code: str) -> LeadReturned:
    told = lead.told(lead.holder)
    return LeadReturned(**told, reason_code=code, returned_by=wish.by, returned_at=wish.now)


def convert_lead(wish: ConvertLead, lead: Lead, deals: tuple[Deal, ...]) -> list[LeadEvent]:
    """A deal of its partner comes of it, or an opportunity of the vendor."""
    if lead.standing == Standing.CONVERTED and lead.holder == wish.partner_id:
        return []
    lead.must_be_with(wish.partner_id)
    own = (wish.partner_id, *(wish.one_with or ()))
    if any(deal.partner_id not in own or deal.status not in LIVE for deal in deals):
        raise NotYourDeal
    return [
        LeadConverted(
            **lead.told(wish.partner_id),
            registration_id=wish.registration_id,
            opportunity_id=wish.opportunity_id,
            converted_by=wish.by,
            converted_at=wish.now,
        )
    ]


def close_lead(wish: CloseLead, lead: Lead) -> list[LeadEvent]:
    """Ends it, unless it has ended. A partner closes what it has accepted, and withdraws what it has brought."""
    if lead.first and lead.standing in FINAL and wish.ended is not None:
        return []
    lead.must_be(*MOVES[CloseLead].begins)
    if wish.reason_code == EXPIRED and (lead.standing != Standing.POOLED or lead.due_at != wish.ended):
        return []
    _may_close(wish, lead)
    told = lead.told(lead.holder or lead.first.partner_id)
    return [LeadClosed(**told, reason_code=wish.reason_code, closed_by=wish.by, closed_at=wish.now)]


def _may_close(wish: CloseLead, lead: Lead) -> None:
    if wish.partner_id is None:
        return
    brought = wish.partner_id == lead.first.enquiry.source_partner_id
    if not brought and wish.partner_id != lead.holder:
        raise NotFound
    if (wish.reason_code == "withdrawn") != brought:
        raise Forbidden("who brought a lead withdraws it, who has it calls it unqualified or lost")


def forget_lead(wish: ForgetLead, lead: Lead) -> list[LeadEvent]:
    """Writes down, once, that the contact and the words of the lead are to be unreadable from now on."""
    told = lead.told(lead.holder or lead.first.partner_id)
    return [] if lead.forgotten else [LeadForgotten(**told, forgotten_by=wish.by, forgotten_at=wish.now)]

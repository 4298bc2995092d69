"""The quality gate: what comes in is looked at, held back where it looks like spam, and closed where it is a repeat."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chassis.decider import NotFound
from chassis.rulebook import Rulebook, Version
from contracts.values import RuleRef
from services.registration.domain.deal import NoRules
from services.registration.domain.lead import (
    DUPLICATE,
    AppealedAlready,
    Lead,
    LeadAppealed,
    LeadClosed,
    LeadEvent,
    LeadReleased,
    LeadSubmitted,
)
from services.registration.domain.lead_commands import AppealLead, OnLead, ReleaseLead, SubmitLead
from services.registration.domain.lead_machine import MOVES
from services.registration.domain.lead_mark import CUSTOMER, TEXT, Mark, Marked, MarkLeft
from services.registration.domain.lead_rules import Gate, LeadRules
from services.registration.domain.routing import LEAD_RULES

FREE_MAIL, TOO_FAST, HONEYPOT, SAME_TEXT = "free-mail", "form-too-fast", "honeypot", "same-text"
HELD = {
    FREE_MAIL: "The e-mail is of a free mail provider.",
    TOO_FAST: "The form was sent faster than a person fills it in.",
    HONEYPOT: "A field was filled in that people do not see.",
    SAME_TEXT: "The same text came several times within a day.",
    DUPLICATE: "The same customer asked for the same before; who brought it first keeps it.",
}
"""Why a lead is held back or closed at once."""


def rules_now(book: Rulebook, now: datetime) -> tuple[Version, LeadRules]:
    """The rules in force. Raises NoRules."""
    version = book.in_force(now)
    if version is None:
        raise NoRules
    return version, LEAD_RULES.read(version.body)


def rules_for(lead: Lead, book: Rulebook) -> tuple[Version, LeadRules]:
    """The rules under which the lead was submitted: they judge it throughout. Raises NoRules."""
    version = book.version(lead.first.rules.version)
    if version is None:
        raise NoRules
    return version, LEAD_RULES.read(version.body)


Submitted = tuple[list[LeadEvent], list[list[MarkLeft]]]


def submit_lead(wish: SubmitLead, lead: Lead, marked: Sequence[Marked], book: Rulebook) -> Submitted:
    """Takes a lead in: open, held back for a person to look at, or closed as a repeat."""
    events, left = submit_lead_of_no_role(wish, lead, marked, book)
    role = wish.enquiry.role
    return [replace(one, role=role) if isinstance(one, LeadSubmitted) else one for one in events], left


def submit_lead_of_no_role(wish: SubmitLead, lead: Lead, marked: Sequence[Marked], book: Rulebook) -> Submitted:
    """As the first evaluator decided: others were not told in which role it is."""
    none: list[list[MarkLeft]] = [[] for _ in marked]
    if lead.submitted:
        return [], none
    version, rules = rules_now(book, wish.now)
    held, first = tuple(_held(wish, marked, rules.gate)), _first(wish, marked, rules.gate)
    submitted = LeadSubmitted(
        **_header(wish),
        enquiry=wish.enquiry,
        rules=RuleRef(rulebook_id=version.rulebook_id, version=version.version, sha256=version.sha256),
        marks=wish.marks,
        held=() if first else held,
        first=first,
        submitted_by=wish.by,
        submitted_at=wish.now,
    )
    kinds = (TEXT,) if held or first else (TEXT, CUSTOMER)
    repeat = [LeadClosed(**_header(wish), reason_code=DUPLICATE, closed_by=wish.by, closed_at=wish.now)]
    return [submitted, *(repeat if first else [])], _left(wish, wish.marks, kinds)


def _header(wish: SubmitLead) -> dict[str, Any]:
    return {
        "lead_id": wish.lead_id,
        "number": wish.number,
        "programme": wish.programme,
        "partner_id": wish.enquiry.source_partner_id,
    }


def _held(wish: SubmitLead, marked: Sequence[Marked], gate: Gate) -> Iterator[str]:
    """The rules that hold it back for a person to look at."""
    if wish.mail_domain in gate.free_mail:
        yield FREE_MAIL
    if wish.seconds is not None and wish.seconds < gate.least_seconds:
        yield TOO_FAST
    if wish.trapped:
        yield HONEYPOT
    since = wish.now - timedelta(hours=gate.same_text_hours)
    for mark, state in zip(wish.marks, marked, strict=True):
        if mark.kind == TEXT and len(_since(state, since)) + 1 >= gate.same_text_max:
            yield SAME_TEXT


def _first(wish: SubmitLead, marked: Sequence[Marked], gate: Gate) -> str | None:
    """The lead that this one repeats: of the same domain or e-mail and family, the first within the days."""
    since = wish.now - timedelta(days=gate.duplicate_days)
    pairs = zip(wish.marks, marked, strict=True)
    found = [one for mark, state in pairs if mark.kind == CUSTOMER for one in _since(state, since)]
    return min(found, key=lambda one: one[1])[0] if found else None


def _since(state: Marked, since: datetime) -> list[tuple[str, datetime]]:
    return [one for one in state.left if one[1] > since]


def _left(wish: OnLead, marks: Sequence[Mark], kinds: tuple[str, ...]) -> list[list[MarkLeft]]:
    """The marks that it leaves: a repeat, or what is held back, takes no customer from others."""
    return [
        [MarkLeft(kind=mark.kind, lead_id=wish.lead_id, left_at=wish.now)] if mark.kind in kinds else []
        for mark in marks
    ]


def appeal_lead(wish: AppealLead, lead: Lead) -> list[LeadEvent]:
    """Who brought it asks a person to look again."""
    if lead.first.enquiry.source_partner_id != wish.partner_id:
        raise NotFound
    lead.must_be(*MOVES[AppealLead].begins)
    if lead.appealed:
        raise AppealedAlready
    told = lead.told(wish.partner_id)
    return [LeadAppealed(**told, statement=wish.statement, appealed_by=wish.by, appealed_at=wish.now)]


def release_lead(
    wish: ReleaseLead, lead: Lead, marked: Sequence[Marked]
) -> tuple[list[LeadEvent], list[list[MarkLeft]]]:
    """Lets go on what was held back; from now on it counts as the first of its customer."""
    lead.must_be(*MOVES[ReleaseLead].begins)
    told = lead.told(lead.first.partner_id)
    released = LeadReleased(**told, released_by=wish.by, released_at=wish.now)
    return [released], _left(wish, wish.marks, (CUSTOMER,))

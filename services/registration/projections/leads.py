"""The leads: where each stands, what it asks for, and what each side may read of it.

`partner_ids` are those that may know of a lead now; what they read depends on whether they have accepted it.
"""

import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.customer import Identifier
from services.registration.domain.lead import (
    Company,
    Enquiry,
    LeadAccepted,
    LeadAppealed,
    LeadAssigned,
    LeadClosed,
    LeadConverted,
    LeadDeclined,
    LeadPooled,
    LeadProgressed,
    LeadReleased,
    LeadReturned,
    LeadSubmitted,
    Standing,
)
from services.registration.projections.deal import Step

MASK = "•••"
PERSONAL = re.compile(
    r"[^\s@]+@[^\s@]+|https?://\S+|www\.\S+|\b(?:[^\W_][\w-]{0,62}\.)+[a-z]{2,}\b|\+?\d[\d\s()/.-]{5,}\d"
)
"""What in a free text would name or reach somebody: addresses, also of websites, and numbers."""
NAME_LETTERS_LEAST = 3
"""How long a part of somebody's name is at least that is blotted out by itself."""


class LeadStep(Step):
    """As a deal's; `partner_id` is whom it concerns, `progress` how far its partner reported it to be."""

    partner_id: str | None
    progress: NotRequired[str]


class Offer(TypedDict):
    """Who may accept it until then; without a partner, the vendor's own people."""

    partner_id: str | None
    due_at: str


class LeadDocument(TypedDict):
    """`need` and `contact` are sealed. `offers` are {partner_id, due_at}; `held` the rules of the gate that it met."""

    lead_id: str
    number: str
    programme: str
    direction: str
    status: str
    partner_id: str | None
    source_partner_id: str | None
    partner_ids: list[str]
    company: Annotated[dict[str, Any], Company]
    domain: str | None
    need: Annotated[dict[str, Any], Sealed] | None
    contact: dict[str, Any] | None
    families: list[str]
    role: str | None
    source: str
    tracking_code: str | None
    held: list[str]
    first: str | None
    appeal: Annotated[dict[str, Any], Sealed] | None
    offers: list[Offer]
    round: int
    progress: str | None
    reason_code: str | None
    registration_id: str | None
    opportunity_id: str | None
    due_at: str | None
    submitted_at: str
    changed_at: str
    history: list[LeadStep]


class ShownLeadStep(Step):
    """A step; the vendor is told which partner it concerns."""

    partner_id: NotRequired[str | None]
    progress: NotRequired[str]


class ShownCompany(TypedDict):
    """Who may want to buy. Of a masked lead only country, region and size are told."""

    name: NotRequired[str]
    country: str
    region: str | None
    postcode: NotRequired[str | None]
    street: NotRequired[str]
    trade_names: NotRequired[list[str]]
    identifiers: NotRequired[list[Identifier]]
    domain: NotRequired[str | None]
    size: str | None
    latitude: NotRequired[Decimal | None]
    longitude: NotRequired[Decimal | None]


class LeadContact(TypedDict, total=False):
    """Whom to call; of a natural person also what names it."""

    street: str | None
    trade_names: list[str]
    identifiers: list[dict[str, Any]]

    name: str | None
    title: str | None
    email: str | None
    phone: str | None
    consent: bool
    company: str | None
    postcode: str | None


class ShownLead(TypedDict):
    """A lead as a side may read it: `masked` without any name until it is accepted.

    Who has it gets company, contact and progress; who brought it where it stands; the vendor everything.
    """

    lead_id: str
    number: str
    direction: str
    status: Annotated[str, Standing]
    families: list[str]
    due_at: str | None
    submitted_at: str
    masked: bool
    history: list[ShownLeadStep]
    company: ShownCompany
    need: str | None
    contact: LeadContact | None
    appeal: NotRequired[str | None]
    partner_id: NotRequired[str | None]
    role: NotRequired[str | None]
    source: NotRequired[str]
    progress: NotRequired[str | None]
    reason_code: NotRequired[str | None]
    registration_id: NotRequired[str | None]
    held: NotRequired[list[str]]
    programme: NotRequired[str]
    source_partner_id: NotRequired[str | None]
    partner_ids: NotRequired[list[str]]
    tracking_code: NotRequired[str | None]
    first: NotRequired[str | None]
    offers: NotRequired[list[Offer]]
    round: NotRequired[int]
    opportunity_id: NotRequired[str | None]
    changed_at: NotRequired[str]


def of_lead(seen: Seen) -> str:
    """The lead that an event is about."""
    lead_id: str = seen.event.lead_id
    return lead_id


def evolve(document: LeadDocument | None, seen: Seen) -> LeadDocument | None:
    happened = seen.event
    before = _submitted(happened) if isinstance(happened, LeadSubmitted) else document
    if before is None:
        return None
    step = {
        "event_id": seen.id,
        "event": type(happened).__name__,
        "at": iso(seen.recorded_at),
        "by": seen.actor.kind if seen.actor else None,
        "reasons": _reasons(happened),
        "partner_id": happened.partner_id,
        **({"progress": happened.step} if isinstance(happened, LeadProgressed) else {}),
    }
    changed: Any = {**before, **_changes(before, happened), "changed_at": iso(seen.recorded_at)}
    return {**changed, "partner_ids": _knowing(changed), "history": [*before["history"], step]}  # type: ignore[return-value]


def _submitted(it: LeadSubmitted) -> LeadDocument:
    enquiry: Enquiry = it.enquiry
    return {
        "lead_id": it.lead_id,
        "number": it.number,
        "programme": it.programme,
        "direction": enquiry.direction,
        "status": "quarantined" if it.held else "open",
        "partner_id": None,
        "source_partner_id": enquiry.source_partner_id,
        "partner_ids": [],
        "company": plain(enquiry.company),
        "domain": enquiry.company.domain,
        "need": plain(enquiry.need),
        "contact": plain(enquiry.contact),
        "families": list(enquiry.families),
        "role": enquiry.role or None,
        "source": enquiry.source,
        "tracking_code": enquiry.tracking_code,
        "held": list(it.held),
        "first": it.first,
        "appeal": None,
        "offers": [],
        "round": 0,
        "progress": None,
        "reason_code": None,
        "registration_id": None,
        "opportunity_id": None,
        "due_at": None,
        "submitted_at": iso(it.submitted_at),
        "changed_at": iso(it.submitted_at),
        "history": [],
    }


def _reasons(happened: Any) -> list[dict[str, str]]:
    codes = getattr(happened, "held", ()) or (
        getattr(happened, "reason_code", None) or getattr(happened, "code", None),
    )
    return [{"code": code, "text": ""} for code in codes if code]


def _knowing(document: dict[str, Any]) -> list[str]:
    """The partners that may know of it now: who brought it, who has it on offer, who has it."""
    offered = [one["partner_id"] for one in document["offers"]]
    return sorted({one for one in (document["source_partner_id"], document["partner_id"], *offered) if one})


def _changes(document: LeadDocument, happened: object) -> dict[str, Any]:
    match happened:
        case LeadAppealed(statement=statement):
            return {"appeal": plain(statement)}
        case LeadReleased():
            return {"status": "open", "appeal": None}
        case LeadAssigned():
            return _assigned(document, happened)
        case LeadPooled(ends_at=at):
            return {"status": "pooled", "offers": [], "due_at": iso(at)}
        case LeadAccepted(partner_id=who, due_at=at):
            return {"status": "accepted", "partner_id": who, "offers": [], "due_at": iso(at), "progress": None}
        case LeadDeclined(partner_id=who, reopened=reopened):
            rest = [one for one in document["offers"] if one["partner_id"] != who]
            return {"offers": rest, **({"status": "open", "due_at": None} if reopened else {})}
        case LeadProgressed(step=step, due_at=at):
            return {"progress": step, "due_at": iso(at)}
        case _:
            return _ended(happened)


def _ended(happened: object) -> dict[str, Any]:
    over: dict[str, Any] = {"offers": [], "due_at": None}
    match happened:
        case LeadReturned():
            return {"status": "open", "partner_id": None, "progress": None, **over}
        case LeadConverted(registration_id=deal, opportunity_id=sale):
            return {"status": "converted", "registration_id": deal, "opportunity_id": sale, **over}
        case LeadClosed(reason_code=code):
            return {"status": "closed", "reason_code": code, **over}
        case _:
            return {}


def _assigned(document: LeadDocument, it: LeadAssigned) -> dict[str, Any]:
    before = document["offers"] if it.round == document["round"] else []
    offer = {"partner_id": it.partner_id, "due_at": iso(it.due_at)}
    return {"status": "offered", "offers": [*before, offer], "round": it.round, "due_at": iso(it.due_at)}


# What each side reads


def for_vendor(document: dict[str, Any]) -> dict[str, Any]:
    """All of it; the domain stands with the company."""
    return {**{name: value for name, value in document.items() if name != "domain"}, "masked": False}


PLAIN = ("lead_id", "number", "direction", "status", "families", "due_at", "submitted_at")
OWN = ("partner_id", "role", "company", "need", "contact", "source", "progress", "reason_code", "registration_id")


def for_partner(document: dict[str, Any], own: Collection[str]) -> dict[str, Any] | None:
    """What one partner reads: all of a lead that it has, the status of one that it brought, else no name. None: nothing.

    `own` are its ids: its own, and those of who it absorbed.
    """
    shown = {name: document[name] for name in PLAIN}
    mine = [_untold(step) for step in document["history"] if step["partner_id"] in own]
    if document["partner_id"] in own:
        return {**shown, **{name: document[name] for name in OWN}, "masked": False, "history": mine}
    if document["source_partner_id"] in own:
        return {**shown, **_brought(document), "masked": False, "history": mine}
    if document["status"] == "pooled" or any(one["partner_id"] in own for one in document["offers"]):
        return {**shown, **_masked(document), "masked": True, "history": mine}
    return None


def _untold(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name != "partner_id"}


def _brought(document: dict[str, Any]) -> dict[str, Any]:
    """What the one who brought it sees: its own words, the rule that holds it back, and where it stands."""
    told = {name: document[name] for name in ("company", "need", "contact", "source", "held", "reason_code", "appeal")}
    return {**told, "due_at": None}


def _masked(document: dict[str, Any]) -> dict[str, Any]:
    """What may be known before accepting: need, families, region, size."""
    company = document["company"]
    return {"company": {name: company[name] for name in ("country", "region", "size")}, "need": document["need"]}


def without_people(text: str | None, names: Iterable[str] = (), person: str = "") -> str | None:
    """A text with addresses and numbers blotted out, the names of a company however written, and of a person each part."""
    if not text:
        return text
    blotted = PERSONAL.sub(MASK, text)
    for name in sorted({*names, person}, key=len, reverse=True):
        blotted = _named(name).sub(MASK, blotted)
    for part in person.split():
        if len(part) >= NAME_LETTERS_LEAST and not part.islower():
            blotted = _named(part, re.NOFLAG).sub(MASK, blotted)
    return blotted


def _named(name: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    """Where a text says the name, whatever stands between its words, also in the genitive; nowhere of none."""
    said = r"[\W_]+".join(re.escape(word) for word in re.split(r"[\W_]+", name) if word)
    return re.compile(rf"(?<!\w){said}(?:['\u2019]?s)?(?!\w)" if said else r"(?!)", flags)


LEADS = Projection(
    name="leads",
    version=4,
    keys=dict.fromkeys(
        (
            *(LeadSubmitted, LeadAppealed, LeadReleased, LeadAssigned, LeadPooled, LeadAccepted),
            *(LeadDeclined, LeadProgressed, LeadReturned, LeadConverted, LeadClosed),
        ),
        of_lead,
    ),
    evolve=evolve,
    indexes=(
        *("status", "direction", "partner_id", "source_partner_id", "submitted_at", "due_at", "partner_ids[]"),
        *("families[]", "domain"),
    ),
)

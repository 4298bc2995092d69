"""A lead: somebody who may want to buy, from the first word to the deal that comes of it.

It is offered to one partner after the other, and to each without a name until it accepts.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from chassis.decider import Decider, NotFound, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, Sealed, event, frozen
from contracts.values import OpportunityId, PartnerId, RegistrationId, RuleRef
from services.registration.domain.customer import Identifier
from services.registration.domain.lead_mark import Mark
from services.registration.domain.routing import Routing

DIRECTIONS = INBOUND, OUTBOUND, PEER = "inbound", "outbound", "peer"
"""From a partner to the vendor, from the vendor to a partner, from a partner to another."""


class Standing(StrEnum):
    NONE = "none"
    QUARANTINED = "quarantined"
    OPEN = "open"
    OFFERED = "offered"
    POOLED = "pooled"
    ACCEPTED = "accepted"
    CONVERTED = "converted"
    CLOSED = "closed"


PROGRESS = ("contacted", "meeting", "qualified", "negotiation")
CLOSINGS = DUPLICATE, UNQUALIFIED, LOST, WITHDRAWN, EXPIRED = (
    *("duplicate", "unqualified", "lost", "withdrawn", "expired"),
)
NO_ANSWER, NO_CONTACT, NO_UPDATE, SUSPENDED = "no-answer", "no-contact", "no-update", "suspended"
FINAL = (Standing.CONVERTED, Standing.CLOSED)
ON_OFFER, WITH_ONE = (Standing.OFFERED,), (Standing.ACCEPTED,)


@frozen
class Company:
    """Who may want to buy. Of a natural person, `name` is empty: it stands in the sealed contact."""

    name: str = ""
    country: str
    region: str | None = None
    postcode: str | None = None
    domain: str | None = None
    size: str | None = None
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    trade_names: tuple[str, ...] | LeftOut = LEFT_OUT
    street: str | LeftOut = LEFT_OUT
    identifiers: tuple[Identifier, ...] | LeftOut = LEFT_OUT


@frozen
class Enquiry:
    """What the lead is about. `need` and `contact` are sealed with the lead's own key; `form` names the form it came by.

    `contact_id` is the contact's in every deal and lead, where it has an e-mail address.
    `role` is the one in which whoever takes it would work on the customer.
    """

    direction: str
    company: Company
    need: Sealed | None = None
    contact: Sealed | None = None
    families: tuple[str, ...] = ()
    source: str
    tracking_code: str | None = None
    source_partner_id: PartnerId | None = None
    form: str | None = None
    contact_id: str | None = None
    role: str | LeftOut = LEFT_OUT


@frozen
class OfLead:
    """What every event of a lead says. `partner_id` is the partner that it concerns; None: the vendor."""

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None


# Events


@event("registration.LeadSubmitted.v1")
class LeadSubmitted(OfLead):
    """`held` are the rules of the gate that it met: any, and it is quarantined; `first` is the lead that it repeats.

    `role` is the enquiry's, as others are told it.
    """

    enquiry: Enquiry
    rules: RuleRef
    marks: tuple[Mark, ...]
    held: tuple[str, ...] = ()
    first: str | None = None
    submitted_by: str
    submitted_at: datetime
    role: str | LeftOut = LEFT_OUT


@event("registration.LeadAppealed.v1")
class LeadAppealed(OfLead):
    """Who brought it says that it was held back wrongly."""

    statement: Sealed
    appealed_by: str
    appealed_at: datetime


@event("registration.LeadReleased.v1")
class LeadReleased(OfLead):
    """A person looked at it, and it goes on."""

    released_by: str
    released_at: datetime


@event("registration.LeadAssigned.v1")
class LeadAssigned(OfLead):
    """It is offered until `due_at`. `routing` is how that partner was found."""

    round: int
    rules: RuleRef
    routing: Routing
    due_at: datetime
    assigned_by: str
    assigned_at: datetime


@event("registration.LeadPooled.v1")
class LeadPooled(OfLead):
    """Nobody took it: now it is anybody's, until `ends_at`. `code`: nobody-eligible, rounds-over, by-hand."""

    code: str
    ends_at: datetime
    pooled_by: str
    pooled_at: datetime


@event("registration.LeadAccepted.v1")
class LeadAccepted(OfLead):
    """One has it, `minutes` after it was offered; it is contacted by `due_at`."""

    minutes: int
    due_at: datetime
    accepted_by: str
    accepted_at: datetime


@event("registration.LeadDeclined.v1")
class LeadDeclined(OfLead):
    """`reopened`: nobody else has it on offer, so it goes on to the next."""

    reason_code: str
    reopened: bool
    declined_by: str
    declined_at: datetime


@event("registration.LeadProgressed.v1")
class LeadProgressed(OfLead):
    step: str
    due_at: datetime
    reported_by: str
    reported_at: datetime


@event("registration.LeadReturned.v1")
class LeadReturned(OfLead):
    reason_code: str
    returned_by: str
    returned_at: datetime


@event("registration.LeadConverted.v1")
class LeadConverted(OfLead):
    registration_id: RegistrationId | None = None
    opportunity_id: OpportunityId | None = None
    converted_by: str
    converted_at: datetime


@event("registration.LeadClosed.v1")
class LeadClosed(OfLead):
    reason_code: str
    closed_by: str
    closed_at: datetime


@event("registration.LeadForgotten.v1")
class LeadForgotten(OfLead):
    """What was sealed of the lead can never be read again: its key is destroyed, also one that a backup brings back."""

    forgotten_by: str
    forgotten_at: datetime


LeadEvent = (
    LeadSubmitted
    | LeadAppealed
    | LeadReleased
    | LeadAssigned
    | LeadPooled
    | LeadAccepted
    | LeadDeclined
    | LeadProgressed
    | LeadReturned
    | LeadConverted
    | LeadClosed
    | LeadForgotten
)


# Refusals


class OfferLapsed(Refused):
    """The time to accept this lead is over: it has gone on."""

    slug = "offer-lapsed"


class LeadTaken(Refused):
    """Another partner was first to accept this lead."""

    slug = "lead-taken"


class NotEligible(Refused):
    """This partner takes no leads now: see `code`."""

    slug = "not-eligible"


class AppealedAlready(Refused):
    """Somebody has asked for this already: the vendor looks at it."""

    slug = "appealed-already"


class NotYourDeal(Refused):
    """The deal that comes of a lead is the partner's own, open or approved."""

    slug = "not-your-deal"


# State


@frozen
class Offer:
    """The lead on offer; None: to the vendor."""

    partner_id: PartnerId | None
    due_at: datetime
    offered_at: datetime


@frozen
class Lead:
    """What decisions ask of a lead."""

    standing: Standing = Standing.NONE
    submitted: LeadSubmitted | None = None
    offers: tuple[Offer, ...] = ()
    declined: tuple[PartnerId, ...] = ()
    round: int = 0
    holder: PartnerId | None = None
    progress: str | None = None
    due_at: datetime | None = None
    appealed: bool = False
    forgotten: bool = False

    @property
    def first(self) -> LeadSubmitted:
        if self.submitted is None:
            raise NotFound
        return self.submitted

    @property
    def inbound(self) -> bool:
        return self.first.enquiry.direction == INBOUND

    def told(self, partner_id: PartnerId | None) -> dict[str, Any]:
        """What an event of this lead says of it, about one partner."""
        first = self.first
        return {
            "lead_id": first.lead_id,
            "number": first.number,
            "programme": first.programme,
            "partner_id": partner_id,
        }

    def must_be(self, *standings: Standing) -> None:
        """Raises NotFound for a lead that never was, WrongState where it stands elsewhere."""
        if self.submitted is None:
            raise NotFound
        if self.standing not in standings:
            allowed = [one.value for one in standings]
            raise WrongState(f"the lead is {self.standing.value}", state=self.standing.value, allowed=allowed)

    def offer_to(self, partner_id: PartnerId | None) -> Offer:
        """The offer to a partner. Raises NotFound where it never had one, LeadTaken and OfferLapsed where it is over."""
        found = next((one for one in self.offers if one.partner_id == partner_id), None)
        if found and self.standing in ON_OFFER:
            return found
        if found:
            raise LeadTaken
        if partner_id in self.declined:
            raise OfferLapsed
        raise NotFound

    def must_be_with(self, partner_id: PartnerId | None) -> None:
        """Raises NotFound for who does not have it, WrongState where nobody does."""
        self.must_be(*WITH_ONE)
        if self.holder != partner_id:
            raise NotFound


# Evolve


def evolve(lead: Lead, happened: LeadEvent) -> Lead:
    match happened:
        case LeadSubmitted(held=held, first=first):
            standing = Standing.QUARANTINED if held else Standing.OPEN
            return Lead(standing=Standing.OPEN if first else standing, submitted=happened)
        case LeadAppealed():
            return replace(lead, appealed=True)
        case LeadForgotten():
            return replace(lead, forgotten=True)
        case LeadReleased():
            return replace(lead, standing=Standing.OPEN)
        case LeadPooled():
            return replace(lead, standing=Standing.POOLED, offers=(), due_at=happened.ends_at)
        case LeadConverted():
            return replace(lead, standing=Standing.CONVERTED, offers=())
        case LeadClosed():
            return replace(lead, standing=Standing.CLOSED, offers=())
        case _:
            return _moved(lead, happened)


def _moved(lead: Lead, happened: LeadAssigned | LeadAccepted | LeadDeclined | LeadProgressed | LeadReturned) -> Lead:
    match happened:
        case LeadAssigned():
            return _offered(lead, happened)
        case LeadAccepted(partner_id=who, due_at=due_at):
            return replace(lead, standing=Standing.ACCEPTED, holder=who, due_at=due_at, progress=None)
        case LeadDeclined(partner_id=who, reopened=reopened):
            rest = tuple(one for one in lead.offers if one.partner_id != who)
            standing = Standing.OPEN if reopened else Standing.OFFERED
            return replace(lead, standing=standing, offers=rest, declined=_and(lead.declined, who))
        case LeadProgressed(step=step, due_at=due_at):
            return replace(lead, progress=step, due_at=due_at)
        case LeadReturned(partner_id=who):
            declined = _and(lead.declined, who)
            return replace(lead, standing=Standing.OPEN, holder=None, offers=(), declined=declined, progress=None)
        case _:
            assert_never(happened)


def _offered(lead: Lead, it: LeadAssigned) -> Lead:
    """One more offer of this round; a new round takes the place of the one before."""
    before = lead.offers if it.round == lead.round else ()
    offer = Offer(partner_id=it.partner_id, due_at=it.due_at, offered_at=it.assigned_at)
    return replace(lead, standing=Standing.OFFERED, offers=(*before, offer), round=it.round)


def _and(declined: tuple[PartnerId, ...], who: PartnerId | None) -> tuple[PartnerId, ...]:
    return declined if who is None or who in declined else (*declined, who)


Leads = Decider[Lead, LeadEvent](kind="lead", initial=Lead(), evolve=evolve)

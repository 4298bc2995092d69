"""Where is a person named as a contact? By the keyed hash of the e-mail address, so that who asks can be answered."""

from typing import TypedDict

from chassis.event import Sealed, Seen
from chassis.projection import Projection
from services.registration.domain.deal_events import DealAmended, DealRegistered, DealResubmitted
from services.registration.domain.forgotten import contact_of
from services.registration.domain.lead import LeadSubmitted


class ContactDocument(TypedDict):
    """The deals and leads that name the person, each once, by id."""

    deals: list[str]
    leads: list[str]


def evolve(document: ContactDocument | None, seen: Seen) -> ContactDocument:
    known = document or {"deals": [], "leads": []}
    if isinstance(seen.event, LeadSubmitted):
        return {**known, "leads": sorted({*known["leads"], seen.event.lead_id})}
    return {**known, "deals": sorted({*known["deals"], seen.event.registration_id})}


def _of_deal(seen: Seen) -> tuple[str, ...]:
    contacts: tuple[Sealed, ...] = seen.event.details.contacts
    return tuple(contact_id for one in contacts if (contact_id := contact_of(one)))


CONTACTS = Projection(
    name="contacts",
    version=1,
    keys={
        **dict.fromkeys((DealRegistered, DealAmended, DealResubmitted), _of_deal),
        LeadSubmitted: lambda seen: seen.event.enquiry.contact_id,
    },
    evolve=evolve,
)

"""What requests say of leads: their shape and limits, and what is sealed of them."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, model_validator

from chassis.application import Application
from chassis.event import LEFT_OUT, Sealed, stable_id
from chassis.http import Body
from contracts.values import OpportunityId, PartnerId, RegistrationId
from services.registration.api.bodies import (
    REGIONS_OF,
    Code,
    ContactBody,
    Country,
    IdentifierBody,
    ProductBody,
    Programme,
    Region,
    Role,
    Short,
    Text,
    contact_id_of,
)
from services.registration.api.bodies import MoneyBody as Money
from services.registration.application.ports import GivenCustomer, GivenIdentifier
from services.registration.application.streams import PROGRAMME
from services.registration.domain.customer import Customer
from services.registration.domain.lead import Company, Enquiry
from services.registration.domain.lead_mark import CUSTOMER, TEXT, Mark
from services.registration.domain.overlap import normal_product
from services.registration.domain.shared_domains import SHARED_DOMAINS

Families = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=80)], ...], Field(max_length=20)]


class CompanyBody(Body):
    """Who may want to buy, by name or by website. Of a natural person nothing that names it stands in the open."""

    name: Annotated[str, Field(max_length=120)] = ""
    country: Country
    website: Annotated[str | None, Field(min_length=3, max_length=300)] = None
    trade_names: Annotated[tuple[Short, ...], Field(max_length=5)] = ()
    identifiers: Annotated[tuple[IdentifierBody, ...], Field(max_length=10)] = ()
    region: Region = None
    postcode: Annotated[str | None, Field(max_length=12)] = None
    street: Annotated[str | None, Field(max_length=120)] = None
    size: Literal["1-9", "10-49", "50-249", "250-999", "1000+"] | None = None
    latitude: Annotated[Decimal | None, Field(ge=-90, le=90, max_digits=8, decimal_places=5)] = None
    longitude: Annotated[Decimal | None, Field(ge=-180, le=180, max_digits=8, decimal_places=5)] = None
    natural_person: bool = False

    @model_validator(mode="after")
    def says_who(self) -> Self:
        if not (self.name.strip() or self.website):
            raise ValueError("a name or a website says who it is")
        if self.country in REGIONS_OF and not self.region:
            raise ValueError("a company in the US or Canada needs a region")
        return self


class EnquiryBody(Body):
    """What a lead says: who, and whom to call or what it needs."""

    company: CompanyBody
    contact: ContactBody | None = None
    need: Annotated[str | None, Field(min_length=20, max_length=2_000)] = None
    families: Families = ()
    role: Role | None = None
    tracking_code: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = None

    @model_validator(mode="after")
    def says_why(self) -> Self:
        if self.contact is None and self.need is None:
            raise ValueError("a contact or a need says what it is about")
        if self.contact is not None and not self.contact.consent:
            raise ValueError("nobody is called who has not agreed to it: without consent leave the contact out")
        return self


class LeadBody(EnquiryBody):
    """A lead. A partner's is for the vendor (inbound), or for another partner (peer); the vendor's for partners (outbound)."""

    programme: Programme = PROGRAMME
    direction: Literal["inbound", "peer", "outbound"] | None = None
    source: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")] = "other"


class FormBody(EnquiryBody):
    """A lead from a form on a website. `token` is that of the form; `fax` is a field that people do not see."""

    token: Annotated[str, Field(max_length=200)] = ""
    fax: Annotated[str, Field(max_length=200)] = ""


class AppealBody(Body):
    statement: Text


class AssignBody(Body):
    """Without a partner, the rules find one."""

    partner_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None


class ReasonBody(Body):
    reason_code: Code


class ProgressBody(Body):
    step: Literal["contacted", "meeting", "qualified", "negotiation"]


class CloseBody(Body):
    reason_code: Literal["duplicate", "unqualified", "lost", "withdrawn"]


class ConvertBody(Body):
    """What the lead becomes: a deal that stands, an opportunity of the vendor, or a deal registered from these."""

    registration_id: Annotated[RegistrationId | None, Field(min_length=1, max_length=64)] = None
    opportunity_id: Annotated[OpportunityId | None, Field(min_length=1, max_length=64)] = None
    website: Annotated[str | None, Field(min_length=3, max_length=300)] = None
    products: Annotated[list[ProductBody], Field(max_length=50)] = []
    amount: Money | None = None
    role: Role | None = None

    @model_validator(mode="after")
    def says_what(self) -> Self:
        new = self.amount is not None and bool(self.products)
        if [self.registration_id is not None, self.opportunity_id is not None, new].count(True) != 1:
            raise ValueError("one of: registration_id; opportunity_id; products and amount of a new deal")
        return self


def subject_of(lead_id: str) -> str:
    """Whose key seals the personal text of a lead: the lead's own."""
    return f"lead-{lead_id}"


def enquiry_of(  # noqa: PLR0913  what a lead is made of
    app: Application,
    tenant: str,
    lead_id: str,
    body: EnquiryBody,
    *,
    direction: str,
    source: str,
    source_partner_id: str | None = None,
    form: str | None = None,
) -> Enquiry:
    """The lead as it is stored. Raises Invalid for a website without a registrable domain."""
    return Enquiry(
        direction=direction,
        company=_company(app, body.company),
        need=_sealed(app, tenant, lead_id, body.need),
        contact=_sealed(app, tenant, lead_id, _contact(body)),
        families=tuple(sorted(set(body.families))),
        source=source,
        tracking_code=body.tracking_code,
        source_partner_id=PartnerId(source_partner_id) if source_partner_id else None,
        form=form,
        contact_id=contact_id_of(app, tenant, mail) if (mail := mail_of(body)) else None,
        role=body.role or LEFT_OUT,
    )


def _company(app: Application, body: CompanyBody) -> Company:
    read = _read(app, body)
    open_fields: dict[str, Any] = {"region": read.region, "size": body.size}
    if body.natural_person:
        return Company(country=body.country, **open_fields)
    return Company(
        name=body.name.strip(),
        country=body.country,
        postcode=body.postcode,
        domain=read.domain,
        latitude=body.latitude,
        longitude=body.longitude,
        trade_names=body.trade_names or LEFT_OUT,
        street=body.street or LEFT_OUT,
        identifiers=read.identifiers or LEFT_OUT,
        **open_fields,
    )


def _read(app: Application, body: CompanyBody) -> Customer:
    """What libraries find in the company. Raises Invalid for a website, a number or a region that is none."""
    given = GivenCustomer(
        name=body.name,
        country=body.country,
        website=body.website,
        region=body.region,
        identifiers=tuple(GivenIdentifier(**one.model_dump()) for one in body.identifiers),
    )
    found: Customer = app.ports.customers.read(given)
    return found


PRIVATE = {"postcode", "street", "trade_names", "identifiers"}
"""What names a natural person besides its name."""


def _contact(body: EnquiryBody) -> str | None:
    """The contact as text; of a natural person, with what names it."""
    found: dict[str, Any] = body.contact.model_dump() if body.contact else {}
    if body.company.natural_person:
        found |= {"company": body.company.name.strip(), **body.company.model_dump(include=PRIVATE)}
    return orjson.dumps(found).decode() if found else None


def _sealed(app: Application, tenant: str, lead_id: str, text: str | None) -> Sealed | None:
    return app.seal(tenant, subject_of(lead_id), text) if text else None


def marks_of(app: Application, tenant: str, enquiry: Enquiry, body: EnquiryBody) -> tuple[Mark, ...]:
    """By what a repeat of this lead is known: its text, and its domain and e-mail with each family, however written.

    Also as it is written: so releases before this left their marks.
    """
    mail = mail_of(body)
    domain = enquiry.company.domain if enquiry.company.domain not in SHARED_DOMAINS else None
    whose = [one for one in (domain, mail) if one]
    families = (*enquiry.families, *map(normal_product, enquiry.families)) or ("",)
    customers = [Mark(kind=CUSTOMER, key=_key(app, tenant, one, family)) for one in whose for family in families]
    text = " ".join((body.need or "").casefold().split())
    return (*([Mark(kind=TEXT, key=_key(app, tenant, "text", text))] if text else []), *dict.fromkeys(customers))


def _key(app: Application, tenant: str, *parts: str) -> str:
    return stable_id(app.keys.hmac(tenant, "|".join(("lead", *parts))))


def mail_of(body: EnquiryBody) -> str | None:
    """The contact's e-mail, in one spelling."""
    return body.contact.email.casefold() if body.contact and body.contact.email else None


def mail_domain_of(body: EnquiryBody) -> str | None:
    mail = mail_of(body)
    return mail.rpartition("@")[2] if mail else None

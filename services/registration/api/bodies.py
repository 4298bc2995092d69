"""What requests say of deals: their shape and limits. What depends on rules or on time is decided in the domain."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import orjson
from fastapi import Path
from pydantic import Field, StringConstraints, model_validator

from chassis.application import Application
from chassis.event import Sealed, stable_id
from chassis.http import Body, Day
from chassis.read_store.port import Range
from contracts.values import Money, ProductLine
from services.registration.application.ports import GivenCustomer, GivenIdentifier
from services.registration.application.streams import PROGRAMME
from services.registration.domain import forgotten
from services.registration.domain.deal_events import Evidence

Id = Annotated[str, Path(min_length=1, max_length=64)]
Code = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Role = Literal["referral", "resell", "distribute", "service", "influence"]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Programme = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


REGIONS_OF = ("US", "CA")
"""Countries that are not enough to say where a customer is."""
EVIDENCE_BYTES_MAX = 25 << 20
Region = Annotated[str | None, Field(max_length=6, description="ISO 3166-2, with the country or without: US-CA or CA")]
Reference = Annotated[str | None, Field(min_length=1, max_length=64)]


class MoneyBody(Body):
    """An amount as text, with at most the digits that its currency has: `{"amount": "100.00", "currency": "EUR"}`."""

    amount: Annotated[str, Field(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$")]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]

    @model_validator(mode="after")
    def fits_its_currency(self) -> Self:
        self.money()
        return self

    def money(self) -> Money:
        return Money(amount=Decimal(self.amount), currency=self.currency)


class IdentifierBody(Body):
    """A number of a public scheme; national ones are of the customer's country unless they say otherwise."""

    scheme: Literal["vat", "lei", "duns", "registry", "tax"]
    value: Annotated[str, Field(min_length=1, max_length=40)]
    country: Country | None = None


class CustomerBody(Body):
    """An organisation, or a natural person, whose name is then kept sealed."""

    name: Short
    country: Country
    website: Annotated[str | None, Field(min_length=3, max_length=300)] = None
    identifiers: Annotated[tuple[IdentifierBody, ...], Field(max_length=10)] = ()
    trade_names: Annotated[tuple[Short, ...], Field(max_length=5)] = ()
    region: Region = None
    postcode: Annotated[str | None, Field(max_length=12)] = None
    street: Annotated[str | None, Field(max_length=120)] = None
    natural_person: bool = False

    @model_validator(mode="after")
    def says_where(self) -> Self:
        if self.country in REGIONS_OF and not self.region:
            raise ValueError("a customer in the US or Canada needs a region")
        return self

    def given(self) -> GivenCustomer:
        return GivenCustomer(
            name=self.name,
            country=self.country,
            trade_names=self.trade_names,
            region=self.region,
            postcode=self.postcode,
            street=self.street,
            website=self.website,
            identifiers=tuple(GivenIdentifier(**given.model_dump()) for given in self.identifiers),
        )


class ProductBody(Body):
    """A whole family, one SKU of it, or a SKU by itself, which then is a family of its own."""

    family: Annotated[str | None, Field(min_length=1, max_length=80)] = None
    sku: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @model_validator(mode="after")
    def says_what(self) -> Self:
        if not self.family and not self.sku:
            raise ValueError("a family or a SKU says what the product is")
        return self

    def line(self) -> ProductLine:
        return ProductLine(family=self.family or str(self.sku), sku=self.sku, quantity=self.quantity)


class ContactBody(Body):
    """A person at the customer, kept encrypted."""

    name: Short
    title: Annotated[str | None, Field(max_length=120)] = None
    email: Annotated[str | None, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] = None
    phone: Annotated[str | None, Field(pattern=r"^\+[1-9][0-9]{4,14}$")] = None
    consent: bool = False


class EvidenceBody(Body):
    kind: Literal["letter", "mail", "meeting", "note"]
    dated_on: Day
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: Annotated[int | None, Field(ge=1, le=EVIDENCE_BYTES_MAX)] = None

    def evidence(self) -> Evidence:
        return Evidence(kind=self.kind, dated_on=self.dated_on, sha256=self.sha256, size_bytes=self.size_bytes)


class EditBody(Body):
    """The fields of a deal that can change; those left out stay."""

    amount: MoneyBody | None = None
    close_on: date | None = None
    tender: Literal["none", "planned", "published"] | None = None
    description: Annotated[str | None, Field(min_length=20, max_length=2_000)] = None
    contacts: Annotated[list[ContactBody] | None, Field(max_length=5)] = None
    tender_on: Day | None = None
    partner_reference: Reference = None
    price_reference: Reference = None
    fund_reference: Reference = None
    crm_reference: Reference = None
    evidence: Annotated[list[EvidenceBody] | None, Field(max_length=20)] = None


class RegisterBody(EditBody):
    """A deal: customer, products and amount are enough. The vendor names the partner; a partner registers its own.

    A confidential deal needs neither website nor identifier. `replaces` is a deal of the same partner that ends when
    this one is approved.
    """

    programme: Programme = PROGRAMME
    partner_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    customer: CustomerBody
    products: Annotated[list[ProductBody], Field(min_length=1, max_length=50)]
    amount: MoneyBody
    role: Role | None = None
    deal_type: Literal["new", "expansion", "renewal"] = "new"
    scope: Literal["site", "entity", "group"] = "entity"
    confidential: bool = False
    replaces: Annotated[str | None, Field(min_length=1, max_length=64)] = None

    @model_validator(mode="after")
    def says_who(self) -> Self:
        if not (self.customer.website or self.customer.identifiers or self.confidential):
            raise ValueError("a website or an identifier says who the customer is")
        return self


class MailBody(Body):
    """A mail as it came (RFC 5322), headers and all. The vendor names the partner; who the mail says it is from is no proof."""

    programme: Programme = PROGRAMME
    partner_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    mail: Annotated[str, Field(min_length=1)]


def _says(name: str, **shape: Any) -> dict[str, Any]:
    return {"required": [name], "properties": {name: shape or {"type": "string"}}}


CONDITIONS: dict[str, dict[str, Any]] = {
    "CustomerBody": {
        "if": {"properties": {"country": {"enum": [*REGIONS_OF]}}},
        "then": _says("region", type="string", minLength=1),
    },
    "ProductBody": {"anyOf": [_says("family"), _says("sku")]},
    "RegisterBody": {
        "anyOf": [
            {"properties": {"customer": _says("website")}},
            {"properties": {"customer": _says("identifiers", type="array", minItems=1)}},
            _says("confidential", const=True),
        ]
    },
}
"""What the validators of these bodies ask beyond each field by itself, as a JSON Schema says it."""
PLAIN_DETAILS = (
    *("close_on", "tender", "tender_on"),
    *("partner_reference", "price_reference", "fund_reference", "crm_reference"),
)


def details_of(app: Application, tenant: str, registration_id: str, body: EditBody) -> dict[str, Any]:
    """The fields of `Details` that the body gives, personal text sealed for this one deal."""
    given: dict[str, Any] = {}
    if body.amount:
        given["amount"] = body.amount.money()
    if body.description:
        given["description"] = app.seal(tenant, subject_of(registration_id), body.description)
    if body.contacts is not None:
        given["contacts"] = tuple(_sealed(app, tenant, registration_id, contact) for contact in body.contacts)
    if body.evidence is not None:
        given["evidence"] = tuple(known.evidence() for known in body.evidence)
    plain = {name: getattr(body, name) for name in PLAIN_DETAILS}
    return {**given, **{name: value for name, value in plain.items() if value is not None}}


def between(first: date | None, before: date | None) -> Range | None:
    """The instants from one day on and before another, in UTC; None where neither is named."""
    span = Range(at_least=first.isoformat() if first else None, below=before.isoformat() if before else None)
    return span if span != Range() else None


def subject_of(registration_id: str) -> str:
    """Whose key seals the personal text of a deal: the deal's own."""
    return f"deal-{registration_id}"


def _sealed(app: Application, tenant: str, registration_id: str, contact: ContactBody) -> Sealed:
    subject = _person(app, tenant, registration_id, contact)
    return app.seal(tenant, subject, orjson.dumps(contact.model_dump()).decode())


def _person(app: Application, tenant: str, registration_id: str, contact: ContactBody) -> str:
    """The person's own key, so that it can be forgotten alone; without an e-mail address, the deal's."""
    if not contact.email:
        return subject_of(registration_id)
    return forgotten.subject_of(contact_id_of(app, tenant, contact.email))


def phones_of(
    app: Application, tenant: str, registration_id: str, contacts: Iterable[ContactBody]
) -> tuple[Sealed, ...]:
    """The telephone numbers of contacts as keyed hashes, each sealed with its person's key and forgotten with it."""
    return tuple(
        app.seal(tenant, _person(app, tenant, registration_id, one), app.keys.hmac(tenant, f"phone|{one.phone}"))
        for one in contacts
        if one.phone
    )


def contact_id_of(app: Application, tenant: str, email: str) -> str:
    """The person of an e-mail address, whatever its spelling, as a keyed hash: it tells nobody the address."""
    return stable_id(app.keys.hmac(tenant, f"contact|{email.casefold()}"))

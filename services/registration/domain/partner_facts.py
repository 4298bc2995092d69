"""What onboarding told of a partner, copied into an own stream so that a screening can name it and its version."""

from datetime import date, datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen, replace
from contracts.values import PartnerId, ProductLine
from services.registration.domain.partner_standing import Standing, StandingNews

NEW_BUSINESS = "new_business"

ROLE_OF_TYPE = {
    "reseller": "resell",
    "dealer": "resell",
    "franchisee": "resell",
    "distributor": "distribute",
    "referral": "referral",
    "affiliate": "referral",
    "service_provider": "service",
    "agency": "influence",
    "consultant": "influence",
    "alliance": "influence",
}
"""The role in which a partner of a type usually registers."""


@frozen
class Certified:
    """How many of a partner's people hold a certification from a day on, with the event that said so."""

    certification: str
    count: int
    effective_on: date
    event_id: str
    position: int


@frozen
class PartnerFacts:
    """One partner as of a revision in onboarding, with the event that said so. Revision 0: not heard of yet.

    `certified` is left out of what is stored until somebody is, `last_business_day` until the partner leaves,
    `survivor_id` while it stands for itself, and `standing` until something is signed or granted: a screening of before
    stays as it was, byte for byte.
    """

    revision: int = 0
    types: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()
    country: str | None = None
    event_id: str | None = None
    position: int | None = None
    certified: tuple[Certified, ...] | LeftOut = LEFT_OUT
    last_business_day: date | LeftOut = LEFT_OUT
    survivor_id: PartnerId | LeftOut = LEFT_OUT
    standing: Standing | LeftOut = LEFT_OUT

    def about(self, lines: tuple[ProductLine, ...]) -> "PartnerFacts":
        """As far as a deal with these products may rest on them."""
        return replace(self, standing=self.standing.about(lines)) if self.standing else self

    @property
    def stands(self) -> Standing:
        """What it has signed and is authorised for; nothing where nothing was told."""
        return self.standing or Standing()

    @property
    def for_open_deals(self) -> "PartnerFacts":
        """As far as what it asked for before goes: of one that is one with another partner, that goes on."""
        if not self.survivor_id:
            return self
        return replace(self, suspended=tuple(one for one in self.suspended if one != NEW_BUSINESS))

    @property
    def known(self) -> bool:
        return self.revision > 0

    def may_register(self, day: date) -> bool:
        """Whether it opens new business on a day: a partner that leaves does not from its last one on."""
        return self.known and NEW_BUSINESS not in self.suspended and not self.has_left(day)

    def has_left(self, day: date) -> bool:
        return isinstance(self.last_business_day, date) and self.last_business_day <= day

    def certified_in(self, certification: str) -> Certified | None:
        """What is known of one certification; None where nobody ever held it."""
        return next((one for one in self.certified or () if one.certification == certification), None)

    @property
    def first_role(self) -> str:
        """The role of the partner's first type; resell where there is none."""
        return next((ROLE_OF_TYPE[kind] for kind in self.types if kind in ROLE_OF_TYPE), "resell")


@event("registration.PartnerFactsRecorded.v1")
class PartnerFactsRecorded:
    """`types` and `suspended` are whole lists; None leaves what was known, also of the country.

    With `last_business_day` the partner leaves, and with `stays` it does not after all. `survivor_id` is the partner
    that it is one with, None from when on it stands for itself again.
    """

    partner_id: PartnerId
    revision: int
    types: tuple[str, ...] | None = None
    suspended: tuple[str, ...] | None = None
    country: str | None = None
    source_event_id: str
    source_position: int
    recorded_at: datetime
    last_business_day: date | LeftOut = LEFT_OUT
    stays: bool | LeftOut = LEFT_OUT
    survivor_id: PartnerId | LeftOut | None = LEFT_OUT


@event("registration.CertifiedCountRecorded.v1")
class CertifiedCountRecorded:
    partner_id: PartnerId
    certified: Certified
    recorded_at: datetime


@event("registration.StandingRecorded.v1")
class StandingRecorded:
    partner_id: PartnerId
    news: StandingNews
    recorded_at: datetime


@event("registration.PartnerFactsCarried.v1")
class PartnerFactsCarried:
    """All that was known of the partner when its stream went on in another segment."""

    facts: PartnerFacts


PartnerFactsEvent = PartnerFactsRecorded | CertifiedCountRecorded | StandingRecorded | PartnerFactsCarried


@command("registration.RecordCertifiedCount.v1")
class RecordCertifiedCount:
    partner_id: PartnerId
    certified: Certified
    now: datetime


@command("registration.RecordStanding.v1")
class RecordStanding:
    partner_id: PartnerId
    news: StandingNews
    now: datetime


@command("registration.RecordPartnerFacts.v1")
class RecordPartnerFacts:
    partner_id: PartnerId
    revision: int
    types: tuple[str, ...] | None = None
    suspended: tuple[str, ...] | None = None
    country: str | None = None
    source_event_id: str
    source_position: int
    now: datetime
    last_business_day: date | None = None
    stays: bool = False
    survivor_id: PartnerId | LeftOut | None = LEFT_OUT


def record_partner_facts(wish: RecordPartnerFacts, facts: PartnerFacts) -> list[PartnerFactsRecorded]:
    """Keeps what is newer than what is known; an older revision, or the same again, changes nothing."""
    if wish.revision <= facts.revision:
        return []
    return [
        PartnerFactsRecorded(
            partner_id=wish.partner_id,
            revision=wish.revision,
            types=wish.types,
            suspended=wish.suspended,
            country=wish.country,
            source_event_id=wish.source_event_id,
            source_position=wish.source_position,
            recorded_at=wish.now,
            last_business_day=wish.last_business_day or LEFT_OUT,
            stays=wish.stays or LEFT_OUT,
            survivor_id=wish.survivor_id,
        )
    ]


def record_certified_count(wish: RecordCertifiedCount, facts: PartnerFacts) -> list[CertifiedCountRecorded]:
    """Keeps what is newer than what is known of that certification; older news, or the same again, change nothing."""
    known = facts.certified_in(wish.certified.certification)
    if known is not None and wish.certified.position <= known.position:
        return []
    return [CertifiedCountRecorded(partner_id=wish.partner_id, certified=wish.certified, recorded_at=wish.now)]


def record_standing(wish: RecordStanding, facts: PartnerFacts) -> list[StandingRecorded]:
    """Keeps what is newer than what is known of that agreement or authorisation; older news change nothing."""
    if not wish.news.is_new(facts.stands):
        return []
    return [StandingRecorded(partner_id=wish.partner_id, news=wish.news, recorded_at=wish.now)]


def evolve(facts: PartnerFacts, happened: PartnerFactsEvent) -> PartnerFacts:
    match happened:
        case PartnerFactsRecorded():
            return _told(facts, happened)
        case CertifiedCountRecorded(certified=news):
            others = (one for one in facts.certified or () if one.certification != news.certification)
            return replace(facts, certified=tuple(sorted((*others, news), key=lambda one: one.certification)))
        case StandingRecorded(news=told):
            return replace(facts, standing=told.on_top_of(facts.stands))
        case PartnerFactsCarried(facts=carried):
            return carried
        case _:
            assert_never(happened)


def carry(facts: PartnerFacts) -> PartnerFactsCarried:
    return PartnerFactsCarried(facts=facts)


def _told(facts: PartnerFacts, happened: PartnerFactsRecorded) -> PartnerFacts:
    return replace(
        facts,
        revision=happened.revision,
        types=facts.types if happened.types is None else happened.types,
        suspended=facts.suspended if happened.suspended is None else happened.suspended,
        country=facts.country if happened.country is None else happened.country,
        event_id=happened.source_event_id,
        position=happened.source_position,
        last_business_day=LEFT_OUT if happened.stays else happened.last_business_day or facts.last_business_day,
        survivor_id=facts.survivor_id if happened.survivor_id is LEFT_OUT else happened.survivor_id or LEFT_OUT,
    )


Partners = Decider[PartnerFacts, PartnerFactsEvent](
    kind="partner_facts", initial=PartnerFacts(), evolve=evolve, carry=carry
)

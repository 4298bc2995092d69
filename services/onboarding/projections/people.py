"""Who acts for a partner, and in which roles? Names and addresses stay sealed until they are shown."""

from datetime import date
from typing import Annotated, Any, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from chassis.read_store.port import ReadStore
from contracts.values import PartnerId
from services.onboarding.domain import membership, person


class ShownPerson(TypedDict):
    """A person, known or erased; of who is erased no name or mail is left."""

    person_id: str
    name: Annotated[dict[str, Any], Sealed] | None
    mail: Annotated[dict[str, Any], Sealed] | None
    locale: str
    zone: str
    status: str


class PersonDocument(ShownPerson):
    mail_key: str


def evolve_person(document: PersonDocument | None, seen: Seen) -> PersonDocument | None:
    happened = seen.event
    if isinstance(happened, person.PersonRegistered):
        return {
            "person_id": happened.person_id,
            "name": plain(happened.name),
            "mail": plain(happened.mail),
            "mail_key": happened.mail_key,
            "locale": happened.locale,
            "zone": happened.zone,
            "status": "known",
        }
    return {**document, "name": None, "mail": None, "mail_key": "", "status": "erased"} if document else None


PEOPLE = Projection(
    name="people",
    version=1,
    keys=dict.fromkeys((person.PersonRegistered, person.PersonErased), lambda seen: seen.event.person_id),
    evolve=evolve_person,
    indexes=("mail_key",),
)


class MembershipDocument(TypedDict):
    """That a person acts for a partner: invited, active or ended."""

    membership_id: str
    person_id: str
    partner_id: str
    roles: list[str]
    position: str | None
    primary: bool
    status: str
    since: Annotated[str, date] | None
    until: Annotated[str, date] | None
    version: int


class NamedMembership(MembershipDocument):
    """With who the person is, for who may read names."""

    name: Sealed | None
    mail: Sealed | None


class Fact(TypedDict):
    """One recorded event."""

    type: str
    recorded_at: str
    by: str
    position: int
    data: dict[str, Any]


class Everything(TypedDict):
    """All that is known of a person: what is shown of it, and every recorded fact."""

    person: PersonDocument | None
    memberships: list[MembershipDocument]
    facts: list[Fact]


class PersonNamed(TypedDict):
    """What a person is called, and nothing else of it."""

    person_id: str
    name: str


class PeopleNamed(TypedDict):
    """Those of the people asked for whose name the caller may read."""

    items: list[PersonNamed]


class PersonFound(TypedDict):
    person_id: str


def evolve_membership(document: MembershipDocument | None, seen: Seen) -> MembershipDocument | None:
    happened = seen.event
    if isinstance(happened, membership.MemberInvited):
        return _invited(seen, happened)
    if document is None:
        return None
    if isinstance(happened, membership.MembershipStarted):
        return {**document, "status": "active", "since": iso(happened.effective_on), "version": seen.version}
    return {**document, "status": "ended", "until": iso(happened.effective_on), "version": seen.version}


def _invited(seen: Seen, it: membership.MemberInvited) -> MembershipDocument:
    return {
        "membership_id": it.membership_id,
        "person_id": it.person_id,
        "partner_id": it.partner_id,
        "roles": list(it.roles),
        "position": it.position,
        "primary": it.primary,
        "status": "invited",
        "since": None,
        "until": None,
        "version": seen.version,
    }


MEMBERSHIPS = Projection(
    name="memberships",
    version=1,
    keys=dict.fromkeys(
        (membership.MemberInvited, membership.MembershipStarted, membership.MembershipEnded),
        lambda seen: seen.event.membership_id,
    ),
    evolve=evolve_membership,
    indexes=("partner_id", "person_id", "status"),
)


async def main_partner(read: ReadStore, tenant: str, person_id: str) -> PartnerId | None:
    """The partner that a person mainly acts for; None for none."""
    where = {"person_id": person_id, "status": "active", "primary": True}
    found = await read.find("memberships", tenant, where=where, sort="person_id", limit=1)
    return next((PartnerId(item["partner_id"]) for item in found.items), None)

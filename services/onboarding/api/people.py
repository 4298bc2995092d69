"""People and their memberships over HTTP. Names and addresses are opened only for who may read them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.decider import NotFound
from chassis.event import stable_id
from chassis.http import App, Body, Paged, Reader, Writer, listed, page, perform, reads, shown
from contracts.values import PartnerId, PersonId
from services.onboarding.access import READ_PEOPLE
from services.onboarding.domain.membership import EndMembership, InviteMember, JoinPartner, Memberships
from services.onboarding.domain.person import ErasePerson, RegisterPerson

Id = Annotated[str, Path(min_length=1, max_length=64)]


class PersonBody(Body):
    name: Annotated[str, Field(min_length=1, max_length=120)]
    mail: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    locale: Annotated[str, Field(max_length=16)] = "en"
    zone: Annotated[str, Field(max_length=64)] = "UTC"


class MembershipBody(Body):
    """Roles: owner, seller, marketer, finance, learner."""

    person_id: Annotated[str, Field(min_length=1, max_length=64)]
    partner_id: Annotated[str, Field(min_length=1, max_length=64)]
    roles: Annotated[list[str], Field(min_length=1, max_length=5)]
    position: Annotated[str | None, Field(max_length=80)] = None
    primary: bool = True


router = APIRouter(tags=["people"])


@router.post("/people", status_code=201)
async def register(body: PersonBody, caller: Writer, app: App) -> Response:
    """Makes a person known. One mail address is one person in a tenant."""
    app.access.check(caller.principal, RegisterPerson)
    mail_key = app.keys.hmac(caller.tenant, body.mail.casefold())
    person_id = PersonId(stable_id(caller.tenant, "person", mail_key))
    command = RegisterPerson(
        person_id=person_id,
        name=app.seal(caller.tenant, person_id, body.name),
        mail=app.seal(caller.tenant, person_id, body.mail),
        mail_key=mail_key,
        locale=body.locale,
        zone=body.zone,
        now=app.clock.now(),
    )
    return await perform(caller, app, RegisterPerson, command, status=201)


@router.post("/people/{person_id}/erase")
async def erase(person_id: Id, caller: Writer, app: App) -> Response:
    """Forgets the person: the key of all that was sealed for it is destroyed."""
    await _theirs(caller, app, person_id)
    command = ErasePerson(person_id=PersonId(person_id), now=app.clock.now())
    answer = await perform(caller, app, ErasePerson, command)
    app.keys.forget(caller.tenant, person_id)
    return answer


@router.post("/memberships", status_code=201)
async def invite(body: MembershipBody, caller: Writer, app: App) -> Response:
    """Invites a person to act for a partner. The invitation holds 14 days."""
    app.access.check(caller.principal, InviteMember, body.partner_id)
    await app.exists(caller.tenant, "partner", body.partner_id)
    await app.exists(caller.tenant, "person", body.person_id)
    command = InviteMember(
        membership_id=stable_id(body.person_id, body.partner_id),
        person_id=PersonId(body.person_id),
        partner_id=PartnerId(body.partner_id),
        roles=tuple(sorted(set(body.roles))),
        position=body.position,
        primary=body.primary,
        now=app.clock.now(),
    )
    return await perform(caller, app, InviteMember, command, status=201, partner_id=body.partner_id)


@router.post("/memberships/{membership_id}/join")
async def join(membership_id: Id, caller: Writer, app: App) -> Response:
    """The invited person joins."""
    app.access.check(caller.principal, JoinPartner)
    partner_id = await _partner_of(caller, app, membership_id)
    now = app.clock.now()
    command = JoinPartner(membership_id=membership_id, partner_id=partner_id, on=now.date(), now=now)
    return await perform(caller, app, JoinPartner, command, partner_id=partner_id)


@router.post("/memberships/{membership_id}/end")
async def end(membership_id: Id, caller: Writer, app: App) -> Response:
    app.access.check(caller.principal, EndMembership)
    partner_id = await _partner_of(caller, app, membership_id)
    now = app.clock.now()
    command = EndMembership(membership_id=membership_id, partner_id=partner_id, on=now.date(), now=now)
    return await perform(caller, app, EndMembership, command, partner_id=partner_id)


async def _partner_of(caller: Writer, app: App, membership_id: str) -> PartnerId:
    """The partner of a membership, from its stream. Raises NotFound for none, and for another partner's."""
    membership, _ = await app.executor.state(caller.tenant, Memberships.at(membership_id))
    if membership.invitation is None or caller.principal.partner_id not in (None, membership.invitation.partner_id):
        raise NotFound
    partner_id: PartnerId = membership.invitation.partner_id
    return partner_id


@router.get("/partners/{partner_id}/people")
@reads("memberships")
async def people(partner_id: Id, caller: Reader, app: App, paged: Paged) -> Response:
    """The people of one partner with their roles; the vendor's partner managers and the partner's owners read names."""
    app.access.check(caller.principal, READ_PEOPLE, partner_id)
    await app.document(caller.principal, "partners", partner_id)
    items, cursor = await page(caller, app, "memberships", paged, {"partner_id": partner_id}, "person_id")
    return listed([await _named(caller, app, item) for item in items], cursor)


@router.get("/people/{person_id}")
@reads("people")
async def person(person_id: Id, caller: Reader, app: App) -> Response:
    """One person, as its own partners' owners and the vendor may read it."""
    app.access.check(caller.principal, READ_PEOPLE)
    await _theirs(caller, app, person_id)
    document = await app.read.get("people", caller.tenant, person_id)
    if document is None:
        raise NotFound
    return shown({k: v for k, v in app.opened(caller.tenant, document).items() if k != "mail_key"})


async def _named(caller: Reader, app: App, item: dict[str, Any]) -> dict[str, Any]:
    known = await app.read.get("people", caller.tenant, item["person_id"]) or {}
    opened = app.opened(caller.tenant, {"name": known.get("name"), "mail": known.get("mail")})
    return {**item, **opened}


async def _theirs(caller: Reader, app: App, person_id: str) -> None:
    """Raises NotFound for a partner's person that is not a member of the caller's partner."""
    if caller.principal.kind != "partner":
        return
    where = {"person_id": person_id, "partner_id": caller.principal.partner_id}
    found = await app.read.find("memberships", caller.tenant, where=where, sort="person_id", limit=1)
    if not found.items:
        raise NotFound

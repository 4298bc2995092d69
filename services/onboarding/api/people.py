"""People and their memberships over HTTP. Names and addresses are opened only for who may read them."""

from operator import itemgetter
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.access import PARTNER
from chassis.answers import Page, answers
from chassis.decider import Forbidden, NotFound, WrongState, stream_name
from chassis.event import iso, stable_id
from chassis.http import LIMIT_MAX, POSITION, App, Body, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import PAGE_MAX
from contracts.values import PartnerId, PersonId
from services.onboarding.access import FIND_PERSON, READ_EVERYTHING, READ_PAYEE_NAMES, READ_PEOPLE
from services.onboarding.domain.membership import EndMembership, InviteMember, JoinPartner, MemberInvited, Memberships
from services.onboarding.domain.person import ErasePerson, People, RegisterPerson
from services.onboarding.projections.people import Everything, NamedMembership, PeopleNamed, PersonFound, ShownPerson

Id = Annotated[str, Path(min_length=1, max_length=64)]
Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Query(min_length=1, max_length=LIMIT_MAX)]


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


class FindBody(Body):
    mail: Annotated[str, Field(max_length=254)]


class ActsElsewhere(Forbidden):
    """This person acts elsewhere too: end the membership instead, or ask the vendor to erase the person."""

    slug = "acts-elsewhere"


JOINED = ("active", "ended")
router = APIRouter(tags=["people"])


@router.post("/people", status_code=201)
async def register(body: PersonBody, caller: Writer, app: App) -> Response:
    """Makes a person known. One mail address is one person in a tenant."""
    app.access.check(caller.principal, RegisterPerson)
    mail_key, person_id = _by_mail(app, caller.tenant, body.mail)
    known, _ = await app.executor.state(caller.tenant, People.at(person_id))
    if known.status == "erased":  # nothing is sealed for who was forgotten: it would make a new key
        raise WrongState("the person is erased", state="erased", allowed=["none"])
    command = RegisterPerson(
        person_id=person_id,
        name=app.seal(caller.tenant, person_id, body.name),
        mail=app.seal(caller.tenant, person_id, body.mail),
        mail_key=mail_key,
        locale=body.locale,
        zone=body.zone,
        now=app.clock.now(),
    )
    answer = await perform(caller, app, RegisterPerson, command, status=201)
    if caller.principal.kind == PARTNER and POSITION in answer.headers:
        del answer.headers[POSITION]  # it would tell whether somebody else knows this address already
    return answer


def _by_mail(app: App, tenant: str, mail: str) -> tuple[str, PersonId]:
    """The keyed hash of a mail address, and the person that it is."""
    mail_key = app.keys.hmac(tenant, mail.casefold())
    return mail_key, PersonId(stable_id(tenant, "person", mail_key))


@router.post("/people/find")
@answers(PersonFound)
async def find(body: FindBody, caller: Reader, app: App) -> Response:
    """The person of a mail address: who asks what is known can be answered, and who signs in be told apart."""
    app.access.check(caller.principal, FIND_PERSON)
    _, person_id = _by_mail(app, caller.tenant, body.mail)
    await app.exists(caller.tenant, "person", person_id)
    return shown({"person_id": person_id})


@router.get("/people/{person_id}/everything")
@answers(Everything)
@reads("memberships", "people")
async def everything(person_id: Id, caller: Reader, app: App) -> Response:
    """All that is known of a person, opened: what is shown of it, and every recorded fact; for its own request."""
    app.access.check(caller.principal, READ_EVERYTHING)
    await app.exists(caller.tenant, "person", person_id)
    where = {"person_id": person_id}
    found = await app.read.find("memberships", caller.tenant, where=where, sort="person_id", limit=LIMIT_MAX)
    streams = [("person", person_id), *(("membership", item["membership_id"]) for item in found.items)]
    facts = [fact for kind, identity in streams for fact in await _facts(app, caller.tenant, kind, identity)]
    person = await app.read.get("people", caller.tenant, person_id)
    return shown(
        {
            "person": app.opened(caller.tenant, person),
            "memberships": found.items,
            "facts": sorted(facts, key=itemgetter("position")),
        }
    )


async def _facts(app: App, tenant: str, kind: str, identity: str) -> list[dict[str, Any]]:
    """Every event of one stream, with its sealed text opened where its key still is."""
    return [
        {
            "type": one.type,
            "recorded_at": iso(one.recorded_at),
            "by": one.actor.subject,
            "position": one.position,
            "data": app.opened(tenant, orjson.loads(bytes(one.data))),
        }
        for one in await app.executor.store.load(stream_name(tenant, kind, identity))
    ]


@router.post("/people/{person_id}/erase")
async def erase(person_id: Id, caller: Writer, app: App) -> Response:
    """Forgets the person: the key of all that was sealed for it is destroyed."""
    app.access.check(caller.principal, ErasePerson)
    await _theirs(caller, app, person_id)
    await _nobody_else_s(caller, app, person_id)
    command = ErasePerson(person_id=PersonId(person_id), now=app.clock.now())
    answer = await perform(caller, app, ErasePerson, command)
    app.keys.forget(caller.tenant, person_id, caller.command_id)
    await _end_memberships(caller, app, person_id)
    return answer


async def _end_memberships(caller: Writer, app: App, person_id: str) -> None:
    """Who is forgotten acts for nobody any more, nor do its keys of the API."""
    now = app.clock.now()
    where = {"person_id": person_id, "status": "active"}
    found = await app.read.find("memberships", caller.tenant, where=where, sort="person_id", limit=LIMIT_MAX)
    for item in found.items:
        command = EndMembership(
            membership_id=item["membership_id"],
            partner_id=PartnerId(item["partner_id"]),
            on=now.date(),
            now=now,
            forgotten=True,
        )
        await app.issue(caller.tenant, stable_id("erased", item["membership_id"]), command)


@router.post("/memberships", status_code=201)
async def invite(body: MembershipBody, caller: Writer, app: App) -> Response:
    """Invites a person to act for a partner. The invitation holds 14 days."""
    app.access.check_at_home(caller.principal, InviteMember, body.partner_id)
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
    return await perform(caller, app, InviteMember, command, status=201)


@router.post("/memberships/{membership_id}/join")
async def join(membership_id: Id, caller: Writer, app: App) -> Response:
    """The invited person joins; nobody at a partner can say yes for somebody else."""
    app.access.check(caller.principal, JoinPartner)
    invitation = await _invitation(caller, app, membership_id)
    if caller.principal.kind == PARTNER and caller.principal.subject != invitation.person_id:
        raise NotFound
    now = app.clock.now()
    command = JoinPartner(membership_id=membership_id, partner_id=invitation.partner_id, on=now.date(), now=now)
    return await perform(caller, app, JoinPartner, command)


@router.post("/memberships/{membership_id}/end")
async def end(membership_id: Id, caller: Writer, app: App) -> Response:
    """Ends a membership: the person acts for this partner no more."""
    app.access.check(caller.principal, EndMembership)
    partner_id = (await _invitation(caller, app, membership_id)).partner_id
    app.access.check_at_home(caller.principal, EndMembership, partner_id)
    now = app.clock.now()
    command = EndMembership(membership_id=membership_id, partner_id=partner_id, on=now.date(), now=now)
    return await perform(caller, app, EndMembership, command)


async def _invitation(caller: Writer, app: App, membership_id: str) -> MemberInvited:
    """What a membership began with, from its stream. Raises NotFound for none."""
    membership, _ = await app.executor.state(caller.tenant, Memberships.at(membership_id))
    invitation: MemberInvited | None = membership.invitation
    if invitation is None:
        raise NotFound
    return invitation


@router.get("/partners/{partner_id}/people")
@answers(Page[NamedMembership])
@reads("memberships")
async def people(partner_id: Id, caller: Reader, app: App, paged: Paged) -> Response:
    """The people of one partner with their roles; the vendor's partner managers and the partner's owners read names."""
    app.access.check(caller.principal, READ_PEOPLE, partner_id)
    await app.document(caller.principal, "partners", partner_id)
    items, cursor = await page(caller, app, "memberships", paged, {"partner_id": partner_id}, "person_id")
    return listed([await _named(caller, app, item) for item in items], cursor)


@router.get("/people/{person_id}")
@answers(ShownPerson)
@reads("people")
async def person(person_id: Id, caller: Reader, app: App) -> Response:
    """One person, as its own partners' owners and the vendor may read it."""
    app.access.check(caller.principal, READ_PEOPLE)
    await _theirs(caller, app, person_id)
    document = await app.read.get("people", caller.tenant, person_id)
    if document is None:
        raise NotFound
    return shown({k: v for k, v in app.opened(caller.tenant, document).items() if k != "mail_key"})


@router.get("/payee-names")
@answers(PeopleNamed)
@reads("memberships", "people")
async def payee_names(caller: Reader, app: App, person_id: Ids) -> Response:
    """What these people are called, for who pays them: of those who have joined a partner, for a partner its own alone."""
    app.access.check(caller.principal, READ_PAYEE_NAMES)
    who = caller.principal
    where = {"person_id": tuple(person_id), "status": JOINED}
    mine = {**where, "partner_id": who.partner_ids} if who.kind == PARTNER else where
    memberships = await app.read.find("memberships", caller.tenant, where=mine, sort="person_id", limit=PAGE_MAX)
    joined = {item["person_id"] for item in memberships.items}
    found = await app.read.get_many("people", caller.tenant, sorted(joined))
    names = {one: app.opened(caller.tenant, item.get("name")) for one, item in found.items()}
    return shown({"items": [{"person_id": one, "name": name} for one, name in sorted(names.items()) if name]})


async def _named(caller: Reader, app: App, item: dict[str, Any]) -> dict[str, Any]:
    """The membership with its person's name and mail; a partner reads them once the person has joined."""
    if caller.principal.kind == PARTNER and item["status"] not in JOINED:
        return {**item, "name": None, "mail": None}
    known = await app.read.get("people", caller.tenant, item["person_id"]) or {}
    opened = app.opened(caller.tenant, {"name": known.get("name"), "mail": known.get("mail")})
    return {**item, **opened}


async def _theirs(caller: Reader, app: App, person_id: str) -> None:
    """Raises NotFound for a person that has never joined the caller's partner: an invitation alone opens nothing."""
    if caller.principal.kind != PARTNER:
        return
    where = {"person_id": person_id, "partner_id": caller.principal.partner_ids, "status": JOINED}
    found = await app.read.find("memberships", caller.tenant, where=where, sort="person_id", limit=1)
    if not found.items:
        raise NotFound


async def _nobody_else_s(caller: Writer, app: App, person_id: str) -> None:
    """Raises ActsElsewhere for a person of another partner, be that one with the caller's: it would lose its name."""
    if caller.principal.kind != PARTNER:
        return
    where = {"person_id": person_id, "status": JOINED}
    found = await app.read.find("memberships", caller.tenant, where=where, sort="person_id")
    if any(caller.principal.is_of_another(item["partner_id"]) for item in found.items):
        raise ActsElsewhere

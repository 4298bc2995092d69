"""Tenants, staff and API clients over HTTP, and who one is."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.decider import Invalid, NotFound
from chassis.event import SHARED, iso, stable_id
from chassis.http import JSON, App, Body, Paged, Reader, Writer, answered, listed, page, perform, reads
from contracts.values import MINOR_DIGITS
from services.gateway.access import ME, READ_CLIENTS, READ_STAFF
from services.gateway.api.authentication import KEY_PREFIX, session_order, token_hash
from services.gateway.application import ClientAnswer, ReleaseAnswer
from services.gateway.domain.client import Clients, CreateClient, RevokeClient, RotateSecret
from services.gateway.domain.login import ReleaseIdentity
from services.gateway.domain.session import EndSession
from services.gateway.domain.staff import AddStaff, ChangeRoles, EndStaff
from services.gateway.domain.tenant import OpenTenant
from services.gateway.projections.people import ClientDocument, ShownStaff

SESSIONS_MAX = 1_000
Id = Annotated[str, Path(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Words = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)]


class TenantBody(Body):
    """A vendor. `zone` is an IANA time zone, `currency` an ISO 4217 code."""

    slug: Annotated[str, Field(pattern="^[a-z0-9-]{3,40}$")]
    name: Name
    sandbox: bool = False
    zone: Annotated[str, Field(max_length=64)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    locales: Annotated[list[Annotated[str, Field(max_length=16)]], Field(min_length=1, max_length=10)] = ["en"]


class StaffBody(Body):
    handle: Annotated[str, Field(pattern="^[a-z0-9-]{2,40}$")]
    name: Name
    mail: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    roles: Words
    duties: Words = []


class RolesBody(Body):
    roles: Words
    duties: Words = []


class ClientBody(Body):
    """A key for a program. It acts with your roles, narrowed to scopes such as `registration:write`."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    scopes: Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=20)]
    days: Annotated[int, Field(ge=1, le=365)] = 90


class RotateBody(Body):
    overlap_hours: Annotated[int, Field(ge=0, le=168)] = 24


router = APIRouter(prefix="/v1", tags=["identities"])


@router.post("/tenants", status_code=201)
async def open_tenant(body: TenantBody, caller: Writer, app: App) -> Response:
    """Opens a tenant: every service can now receive its commands. It is told in the tenant's own events, not the caller's."""
    app.access.check(caller.principal, OpenTenant)
    command = opening(body, caller.principal.by, app.clock.now())
    return answered(app, await app.executor.run(replace(caller.order(), tenant=body.slug), command), status=201)


def opening(body: TenantBody, by: str, now: datetime) -> OpenTenant:
    """The command that opens a tenant. Raises Invalid for a zone or a currency that does not exist."""
    _check(body)
    return OpenTenant(
        slug=body.slug,
        name=body.name,
        sandbox=body.sandbox,
        zone=body.zone,
        currency=body.currency,
        locales=tuple(body.locales),
        opened_by=by,
        now=now,
    )


def _check(body: TenantBody) -> None:
    if body.slug == SHARED:
        raise Invalid("this slug is reserved", errors=[_fault("slug", body.slug)])
    if body.currency not in MINOR_DIGITS:
        raise Invalid("currency is an ISO 4217 code", errors=[_fault("currency", body.currency)])
    try:
        ZoneInfo(body.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid("zone is an IANA time zone", errors=[_fault("zone", body.zone)]) from None


def _fault(path: str, value: str) -> dict[str, str]:
    return {"path": path, "code": "unknown", "message": f"{value!r} does not fit"}


@router.post("/staff", status_code=201)
async def add_staff(body: StaffBody, caller: Writer, app: App) -> Response:
    """Adds a member of the vendor's staff. One handle is one member."""
    command = joining(app, caller.tenant, body, caller.principal.by)
    return await perform(caller, app, AddStaff, command, status=201)


def joining(app: Application, tenant: str, body: StaffBody, by: str) -> AddStaff:
    """The command that adds a member of staff, its name and mail address sealed."""
    staff_id = stable_id(tenant, "staff", body.handle)
    return AddStaff(
        staff_id=staff_id,
        handle=body.handle,
        name=app.seal(tenant, staff_id, body.name),
        mail=app.seal(tenant, staff_id, body.mail),
        mail_key=app.keys.hmac(tenant, body.mail.casefold()),
        roles=tuple(sorted(set(body.roles))),
        duties=tuple(sorted(set(body.duties))),
        added_by=by,
        now=app.clock.now(),
    )


@router.post("/staff/{staff_id}/change-roles")
async def change_roles(staff_id: Id, body: RolesBody, caller: Writer, app: App) -> Response:
    """Replaces a staff member's roles and duties."""
    app.access.check(caller.principal, ChangeRoles)
    await app.exists(caller.tenant, "staff", staff_id)
    command = ChangeRoles(
        staff_id=staff_id,
        roles=tuple(sorted(set(body.roles))),
        duties=tuple(sorted(set(body.duties))),
        changed_by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, ChangeRoles, command)


@router.post("/staff/{staff_id}/end")
async def end_staff(staff_id: Id, caller: Writer, app: App) -> Response:
    """Ends a member's staff role; open sessions end too."""
    app.access.check(caller.principal, EndStaff)
    await app.exists(caller.tenant, "staff", staff_id)
    command = EndStaff(staff_id=staff_id, ended_by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, EndStaff, command)


@router.post("/logins/{subject}/release")
@answers(ReleaseAnswer)
async def release_login(subject: Id, caller: Writer, app: App) -> Response:
    """Lets go of the account by which a member of staff or a partner's person signs in; its sessions end.

    The next account with the same confirmed mail address takes its place.
    """
    app.access.check(caller.principal, ReleaseIdentity)
    await _somebody(app, caller.tenant, subject)
    now = app.clock.now()
    command = ReleaseIdentity(tenant=caller.tenant, subject=subject, released_by=caller.principal.by, now=now)
    outcome = await app.executor.run(replace(caller.order(), tenant=SHARED), command)
    where = {"tenant": caller.tenant, "subject": subject}
    for session in (await app.read.find("sessions", SHARED, where=where, limit=SESSIONS_MAX)).items:
        ending = EndSession(session_id=session["session_id"], cause="released", now=now)
        await app.executor.run(session_order(session["session_id"], "released", caller.principal), ending)
    return answered(app, outcome)


async def _somebody(app: Application, tenant: str, subject: str) -> None:
    """Raises NotFound for who is neither staff nor a person of a partner here."""
    staff = await app.read.get("staff", tenant, subject)
    members = await app.read.find("members", tenant, where={"person_id": subject}, limit=1)
    if staff is None and not members.items:
        raise NotFound


@router.get("/staff")
@answers(Page[ShownStaff])
@reads("staff")
async def staff(caller: Reader, app: App, paged: Paged) -> Response:
    """The vendor's staff with roles and duties."""
    app.access.check(caller.principal, READ_STAFF)
    items, cursor = await page(caller, app, "staff", paged, {}, "handle")
    opened = [app.opened(caller.tenant, item) for item in items]
    return listed([{name: value for name, value in one.items() if name != "mail_key"} for one in opened], cursor)


class ClientKey(ClientAnswer):
    """The API client with its key, which no other answer holds."""

    key: str


@router.post("/clients", status_code=201)
@answers(ClientKey)
async def create_client(body: ClientBody, caller: Writer, app: App) -> Response:
    """Makes an API key. The key is in this answer and nowhere else; the same request again shows it again."""
    client_id = caller.new_id("client")
    secret = app.keys.hmac(SHARED, f"client-secret|{caller.command_id}")
    command = CreateClient(
        client_id=client_id,
        name=body.name,
        kind=caller.principal.kind,
        partner_id=caller.principal.home,
        roles=caller.principal.roles,
        duties=caller.principal.duties,
        scopes=tuple(sorted(set(body.scopes))),
        own_scopes=caller.principal.scopes,
        secret_sha256=token_hash(secret),
        days=body.days,
        created_by=caller.principal.by,
        now=app.clock.now(),
    )
    app.access.check(caller.principal, CreateClient)
    outcome = await app.executor.run(caller.order(), command)
    answer = answered(app, outcome, 201)
    return _with_key(answer, outcome.answer, f"{KEY_PREFIX}live_{caller.tenant}.{client_id}.{secret}")


def _with_key(answer: Response, body: dict[str, Any], key: str) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return Response(orjson.dumps({**body, "key": key}), answer.status_code, headers, JSON)


@router.post("/clients/{client_id}/rotate")
@answers(ClientKey)
async def rotate(client_id: Id, body: RotateBody, caller: Writer, app: App) -> Response:
    """Gives the client a new key; the old one opens for the overlap. The new key is in this answer only."""
    app.access.check(caller.principal, RotateSecret)
    await _own(caller, app, client_id, RotateSecret)
    secret = app.keys.hmac(SHARED, f"client-secret|{caller.command_id}")
    command = RotateSecret(
        client_id=client_id,
        secret_sha256=token_hash(secret),
        overlap_hours=body.overlap_hours,
        rotated_by=caller.principal.by,
        own_scopes=caller.principal.scopes,
        now=app.clock.now(),
    )
    outcome = await app.executor.run(caller.order(), command)
    return _with_key(answered(app, outcome), outcome.answer, f"{KEY_PREFIX}live_{caller.tenant}.{client_id}.{secret}")


@router.post("/clients/{client_id}/revoke")
async def revoke(client_id: Id, caller: Writer, app: App) -> Response:
    """Ends a key at once."""
    app.access.check(caller.principal, RevokeClient)
    await _own(caller, app, client_id, RevokeClient)
    command = RevokeClient(client_id=client_id, revoked_by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, RevokeClient, command)


async def _own(caller: Writer, app: App, client_id: str, action: Any) -> None:
    """Raises NotFound for a client of another side: who gives it a new key could act as that side."""
    client, _ = await app.executor.state(caller.tenant, Clients.at(client_id))
    who = caller.principal
    if client.status == "none" or client.kind != who.kind or client.partner_id not in (who.partner_ids or (None,)):
        raise NotFound
    app.access.check_at_home(who, action, client.partner_id)


@router.get("/clients")
@answers(Page[ClientDocument])
@reads("clients")
async def clients(caller: Reader, app: App, paged: Paged) -> Response:
    """The API clients of one's own side."""
    app.access.check(caller.principal, READ_CLIENTS)
    where = {"kind": caller.principal.kind, "partner_id": caller.principal.partner_ids or None}
    items, cursor = await page(caller, app, "clients", paged, where, "-created_at")
    return listed(items, cursor)


class Me(TypedDict):
    """Who one is, as far as it decides what one may do.

    `home_id` is the partner of the own membership or key, another one than `partner_id` where that one goes on for it.
    """

    tenant: str
    subject: str
    kind: str
    partner_id: str | None
    partner_name: str | None
    home_id: str | None
    roles: list[str]
    duties: list[str]
    scopes: list[str]
    now: datetime


@router.get("/me")
@answers(Me)
async def me(caller: Reader, app: App) -> Response:
    """Who one is: tenant, kind, partner, roles, duties, scopes."""
    app.access.check(caller.principal, ME)
    who = caller.principal
    name = await _partner_name(app, who.tenant, who.partner_id)
    body = {
        "tenant": who.tenant,
        "subject": who.subject,
        "kind": who.kind,
        "partner_id": who.partner_id,
        "partner_name": name,
        "home_id": who.home,
        "roles": list(who.roles),
        "duties": list(who.duties),
        "scopes": list(who.scopes),
        "now": iso(app.clock.now()),
    }
    return Response(orjson.dumps(body), media_type=JSON)


async def _partner_name(app: App, tenant: str, partner_id: str | None) -> str | None:
    if partner_id is None:
        return None
    card = await app.read.get("partner_cards", tenant, partner_id)
    return card["name"] if card else None

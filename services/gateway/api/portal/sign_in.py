"""Signing in and out: by the issuer that the operator trusts, or in development by a list of identities."""

import secrets
from dataclasses import dataclass
from time import time
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from chassis.application import Application
from chassis.decider import Forbidden, NotFound, Problem
from chassis.event import SHARED, iso, stable_id
from chassis.http import App, opened_cursor, signed_cursor
from chassis.identity import Principal
from services.gateway.adapters.openid import Attempt, NotVouched, OpenId, Vouched
from services.gateway.api.authentication import (
    count_stranger,
    drop_session,
    keep_session,
    nobody,
    open_session,
    own_path,
    session_order,
    shared_order,
)
from services.gateway.api.door import call, open_tenant
from services.gateway.api.portal.rendering import render
from services.gateway.api.portal.visit import Here, PageRoute, Sent
from services.gateway.domain.login import Identities, Linked, LinkPerson, Login, Logins, identity_of
from services.gateway.domain.session import EndSession

DEVELOPMENT_SIGN_IN = "/dev/sign-in"
BACK = "/callback"
ATTEMPT_COOKIE = "__Host-entente-attempt"
ATTEMPT_SECONDS = 600
OF = "sign-in"
CODE_LENGTH_MAX = 4_096

Slug = Annotated[str, Query(max_length=40)]
Code = Annotated[str, Query(max_length=CODE_LENGTH_MAX)]

router = APIRouter(include_in_schema=False, route_class=PageRoute)


class NotKnownHere(Forbidden):
    """The issuer knows you, and this company does not: ask it to add you with this mail address."""

    slug = "not-known-here"


@dataclass(frozen=True)
class Sought:
    """Where somebody wants to sign in, and to which page of ours."""

    tenant: str
    back: str
    attempt: Attempt


@router.get("/sign-in")
async def sign_in(request: Request, app: App, tenant: Slug = "", return_to: str = "/") -> Response:
    """In development the list of identities; elsewhere the way to the issuer. It leads back to the page asked for."""
    back = own_path(return_to)
    if app.ports.development:
        query = "" if back == "/" else f"?{urlencode({'return_to': back})}"
        return RedirectResponse(DEVELOPMENT_SIGN_IN + query, status_code=303)
    return _page(request, app, tenant, back)


@router.get("/sign-in/start")
async def start(request: Request, app: App, tenant: Slug = "", return_to: str = "/") -> Response:
    """On to the issuer. What this attempt is known by stays in the browser, sealed against change."""
    if app.ports.openid is None:
        return RedirectResponse("/sign-in", status_code=303)
    try:
        sought = Sought(await _open_tenant(request), own_path(return_to), Attempt.new())
        answer = RedirectResponse(await app.ports.openid.where(sought.attempt), status_code=303)
    except Problem as no:
        count_stranger(request)
        return _page(request, app, tenant, own_path(return_to), no)
    answer.set_cookie(
        ATTEMPT_COOKIE, _written(app, sought), max_age=ATTEMPT_SECONDS, httponly=True, samesite="lax", secure=True
    )
    return answer


@router.get(BACK)
async def back(request: Request, app: App, code: Code = "", state: Code = "", error: Code = "") -> Response:
    """Back from the issuer: whom it vouches for is signed in, if the tenant knows them."""
    if app.ports.openid is None:
        return RedirectResponse("/sign-in", status_code=303)
    sought = _read(app, request.cookies.get(ATTEMPT_COOKIE, ""))
    try:
        vouched = await _vouched(app.ports.openid, sought, code=code, state=state, error=error)
        token = await open_session(app, await _principal(app, sought.tenant, vouched))
    except Problem as no:
        count_stranger(request)
        return _page(request, app, sought.tenant, sought.back, no)
    answer = RedirectResponse(sought.back, status_code=303)
    keep_session(answer, app, token, secure=True)
    answer.delete_cookie(ATTEMPT_COOKIE, secure=True, httponly=True, samesite="lax")
    return answer


@router.post("/sign-out")
async def sign_out(here: Here, sent: Sent) -> Response:
    """Ends the session."""
    command = EndSession(session_id=here.session_id, cause="signed_out", now=here.now)
    await here.app.executor.run(session_order(here.session_id, "signed_out", here.who), command)
    answer = RedirectResponse("/sign-in", status_code=303)
    drop_session(answer, here.app)
    return answer


def _page(request: Request, app: Application, tenant: str, back: str, no: Problem | None = None) -> Response:
    context: dict[str, Any] = {"tenant": tenant, "return_to": back, "trouble": no and no.detail.rstrip(".")}
    context["issuer"] = app.ports.openid is not None
    return render(request, "sign_in_elsewhere.html", no.status if no else 200, **context)


async def _open_tenant(request: Request) -> str:
    try:
        return await open_tenant(request)
    except NotFound:
        raise NotKnownHere("nobody of this name signs people in here: look at the link that you were given") from None


# The attempt, as the browser keeps it


def _written(app: Application, sought: Sought) -> str:
    it = sought.attempt
    return signed_cursor(app, SHARED, OF, [sought.tenant, sought.back, it.state, it.nonce, it.verifier, int(time())])


def _read(app: Application, cookie: str) -> Sought:
    """The attempt that a browser kept; one that nothing fits where it kept none, or an old one."""
    try:
        kept = opened_cursor(app, SHARED, OF, cookie)
    except Problem:
        kept = None
    if kept is None:
        return Sought("", "/", Attempt("", "", ""))
    tenant, back, state, nonce, verifier, at = kept
    return Sought(tenant, back, Attempt(state if time() - at < ATTEMPT_SECONDS else "", nonce, verifier))


async def _vouched(openid: OpenId, sought: Sought, *, code: str, state: str, error: str) -> Vouched:
    if not sought.attempt.state or not secrets.compare_digest(sought.attempt.state.encode(), state.encode()):
        raise NotVouched("this sign-in was not begun in this browser, or too long ago: begin again")
    if error or not code:
        raise NotVouched(f"the issuer let nobody in: {error[:80] or 'no code'}")
    return await openid.vouched(code, sought.attempt)


# Who it is here


async def _principal(app: Application, tenant: str, vouched: Vouched) -> Principal:
    """Who that is in the tenant: as bound at the first sign-in, found by a confirmed mail address then."""
    login_id = stable_id("login", vouched.issuer, vouched.subject)
    login, _ = await app.executor.state(SHARED, Logins.at(login_id))
    bound = await _bound(app, tenant, login_id, login)
    who = bound or await _by_mail(app, tenant, vouched.mail)
    principal = who and await _acting(app, tenant, who)
    if not who or not principal:
        raise NotKnownHere
    if bound is None:
        await _bind(app, tenant, who, login_id, vouched.issuer)
    return principal


async def _bind(app: Application, tenant: str, who: Linked, login_id: str, issuer: str) -> None:
    """Raises IdentityHeld where another account signs in as this person already."""
    now = app.clock.now()
    command = LinkPerson(login_id=login_id, issuer=issuer, tenant=tenant, kind=who.kind, subject=who.subject, now=now)
    await app.executor.run(
        shared_order(stable_id("link-person", login_id, tenant, who.subject, iso(now)), nobody()), command
    )


async def _bound(app: Application, tenant: str, login_id: str, login: Login) -> Linked | None:
    linked = login.links.get(tenant)
    if linked is None:
        return None
    identity, _ = await app.executor.state(SHARED, Identities.at(identity_of(tenant, linked.subject)))
    return linked if identity.login_id == login_id else None


async def _by_mail(app: Application, tenant: str, mail: str | None) -> Linked | None:
    if mail is None:
        return None
    where = {"mail_key": app.keys.hmac(tenant, mail.casefold()), "status": "active"}
    staff = await app.read.find("staff", tenant, where=where, limit=1)
    if staff.items:
        return Linked("vendor", staff.items[0]["staff_id"])
    us = Principal(tenant=tenant, subject="gateway", kind="service")
    found = await call(app, us, "POST", "onboarding", "/people/find", content=orjson.dumps({"mail": mail}))
    return Linked("partner", found.json()["person_id"]) if found.ok else None


async def _acting(app: Application, tenant: str, who: Linked) -> Principal | None:
    """With the rights that it has now; None for who does not act here any more."""
    if who.kind == "vendor":
        staff = await app.read.get("staff", tenant, who.subject)
        return _as(tenant, who, staff) if staff and staff["status"] == "active" else None
    where = {"person_id": who.subject, "status": "active"}
    found = await app.read.find("members", tenant, where=where, sort="partner_id", limit=1)
    return _as(tenant, who, found.items[0]) if found.items else None


def _as(tenant: str, who: Linked, rights: dict[str, Any]) -> Principal:
    return Principal(
        tenant=tenant,
        subject=who.subject,
        kind=who.kind,
        partner_id=rights.get("partner_id"),
        roles=tuple(rights["roles"]),
        duties=tuple(rights.get("duties", ())),
    )

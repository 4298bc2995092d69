"""Who knocks: a session (cookie or token), an API key, or nobody. The answer is a principal, or a refusal."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from fastapi import Request, Response

from chassis.application import Application
from chassis.asgi import header
from chassis.decider import Forbidden, Problem
from chassis.event import SHARED, frozen, iso, stable_id
from chassis.execution import Order
from chassis.identity import Principal, Unauthenticated
from chassis.tracing import serving
from services.gateway.domain.client import Clients
from services.gateway.domain.session import OpenSession, SessionOpened, Sessions, UseSession
from services.gateway.domain.staff import StaffMembers
from services.gateway.projections.partner_cards import absorbed_by, up_from

COOKIE, LOCKED_COOKIE = "entente", "__Host-entente"
"""In development, and elsewhere: the second name is one that a browser keeps for this host over TLS alone."""
SESSION_PREFIX, KEY_PREFIX = "ses_", "ent_"
TOKEN_BYTES = 24
TOKEN_LENGTH_MAX = 300
PATH_LENGTH_MAX = 500
REMEMBERED = 10_000
"""Sessions whose principal is not made anew at each request."""
READING = ("GET", "HEAD", "OPTIONS")
CHECKS = {("registration", "POST", path) for path in ("/checks", "/deals/preview")}
"""Where a partner asks whether a customer is free."""


class PartnerSuspended(Forbidden):
    """The vendor has suspended this partner's access."""

    slug = "partner-suspended"


class CrossSite(Forbidden):
    """This was not sent from one of our own pages, or its page is too old: open the page again."""

    slug = "cross-site"


class OutOfScope(Forbidden):
    """This key does not reach so far."""

    slug = "out-of-scope"


@frozen
class Visitor:
    """Who knocks. `by` says how: session, key or nobody; `session_id` is the hash of what the browser holds."""

    principal: Principal
    by: str
    session_id: str | None = None


def token_hash(token: str) -> str:
    """How a session token or an API key's secret is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


async def visitor(request: Request) -> Visitor:
    """The visitor of a request. Raises Unauthenticated for a token that is not good; no token is nobody."""
    app: Application = request.app.state.application
    token = token_of(request)
    if not token:
        return Visitor(principal=nobody(), by="nobody")
    try:
        found = await known_by(app, token)
    except Unauthenticated:
        count_stranger(request)
        raise
    if app.ports.limits:
        app.ports.limits.admit(found.principal, reads=request.method in READING)
    return found


def count_form(request: Request) -> None:
    """Counts a form that somebody unknown sends from an address. Raises TooMany."""
    limits = request.app.state.application.ports.limits
    if limits and request.client:
        limits.admit_form(request.client.host)


def count_check(app: Application, who: Principal, service: str, method: str, path: str) -> None:
    """Counts a partner's question whether a customer is free. Raises TooMany."""
    if app.ports.limits and (service, method, path) in CHECKS:
        app.ports.limits.admit_check(who)


def count_stranger(request: Request) -> None:
    """Counts what nobody known has asked for from an address. Raises TooMany."""
    limits = request.app.state.application.ports.limits
    if limits and request.client:
        limits.admit_stranger(request.client.host)


async def known_by(app: Application, token: str) -> Visitor:
    """Whose token it is, with the rights that its person holds now, as the partner that goes on for its own.

    Raises Unauthenticated, PartnerSuspended.
    """
    if len(token) > TOKEN_LENGTH_MAX:
        raise Unauthenticated
    found = await (_by_key(app, token) if token.startswith(KEY_PREFIX) else _by_session(app, token))
    family = asyncio.create_task(_family(app, found.principal))  # asked at once: both are one journey
    try:
        principal = await _as_of_now(app, found.principal)
    finally:
        partner_id, absorbed = await family
    if (partner_id, absorbed) != (principal.partner_id, principal.absorbed):
        home_id = principal.partner_id
        principal = replace(principal, partner_id=partner_id, absorbed=absorbed, home_id=home_id)
    return found if principal is found.principal else replace(found, principal=principal)


def nobody(tenant: str = SHARED) -> Principal:
    return Principal(tenant=tenant, subject="nobody", kind="anonymous")


def token_of(request: Request) -> str:
    """The session's token or the API key that a request shows, "" for none. Raises CrossSite."""
    scheme, _, token = (header(request, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    cookie = session_cookie(request)
    if cookie and request.method not in READING and not same_site(request):
        raise CrossSite
    return cookie


def session_cookie(request: Request) -> str:
    """The session's token that a browser sent, "" for none."""
    return request.cookies.get(_cookie(request.app.state.application), "")


def keep_session(answer: Response, app: Application, token: str, *, secure: bool) -> None:
    """Has the browser keep a session's token, out of the reach of scripts and of other sites' requests."""
    locked = not app.ports.development
    answer.set_cookie(_cookie(app), token, httponly=True, samesite="lax", secure=secure or locked, path="/")


def drop_session(answer: Response, app: Application) -> None:
    """Has the browser forget it."""
    answer.delete_cookie(_cookie(app), path="/", secure=not app.ports.development, httponly=True, samesite="lax")


def _cookie(app: Application) -> str:
    return COOKIE if app.ports.development else LOCKED_COOKIE


def same_site(request: Request) -> bool:
    """Whether a page of ours sent the request: a browser adds a cookie to what other sites send too."""
    scheme, _, host = request.headers.get("origin", "").partition("://")
    return scheme in ("http", "https") and host == request.headers.get("host", "")


def own_path(text: str) -> str:
    """A path of our own to go to after signing in; `/` for anything that could lead elsewhere."""
    sound = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if sound and len(text) <= PATH_LENGTH_MAX else "/"


async def _by_session(app: Application, token: str) -> Visitor:
    session_id = token_hash(token)
    session, _ = await app.executor.state(SHARED, Sessions.at(session_id))
    if session.opened is None or not session.good(app.clock.now()):
        raise Unauthenticated("The session is over: sign in again.")
    if session.use_is_news(app.clock.now()):
        await _use(app, UseSession(session_id=session_id, now=app.clock.now()))
    return _signed_in(session.opened)


@lru_cache(maxsize=REMEMBERED)
def _signed_in(it: SessionOpened) -> Visitor:
    principal = Principal(
        tenant=it.tenant,
        subject=it.subject,
        kind=it.kind,
        partner_id=it.partner_id,
        roles=it.roles,
        duties=it.duties,
        session=it.session_id[:16],
    )
    return Visitor(principal=principal, by="session", session_id=it.session_id)


async def _use(app: Application, command: UseSession) -> None:
    """Records that it is in use; who only reads is served also while nothing can be recorded."""
    order = shared_order(stable_id("use-session", command.session_id, iso(command.now)), nobody())
    with suppress(Problem):
        await app.executor.run(order, command)


async def _by_key(app: Application, key: str) -> Visitor:
    """Keys look like `ent_live_<tenant>.<client id>.<secret>`."""
    tenant, client_id, secret = _key_parts(key)
    client, _ = await app.executor.state(tenant, Clients.at(client_id))
    if not client.opens(token_hash(secret), app.clock.now()):
        raise Unauthenticated("The key is unknown, expired or revoked.")
    principal = Principal(
        tenant=tenant,
        subject=f"client:{client_id}",
        kind=client.kind,
        partner_id=client.partner_id,
        roles=client.roles,
        duties=client.duties,
        scopes=client.scopes,
        person=client.created_by,
    )
    return Visitor(principal=principal, by="key")


def _key_parts(key: str) -> tuple[str, str, str]:
    parts = key.split("_", 2)[-1].split(".")
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004  tenant, client, secret
        raise Unauthenticated("This is not a key of this service.")
    return parts[0], parts[1], parts[2]


async def _as_of_now(app: Application, principal: Principal) -> Principal:
    """The principal with those of its roles and duties that its person still holds. Raises Unauthenticated for none."""
    if principal.kind not in _HELD:
        return principal
    held = await _HELD[principal.kind](app, principal)
    if held is None:
        raise Unauthenticated("You do not act here any more.")
    roles = tuple(role for role in principal.roles if role in held[0])
    duties = tuple(duty for duty in principal.duties if duty in held[1])
    same = (roles, duties) == (principal.roles, principal.duties)
    return principal if same else replace(principal, roles=roles, duties=duties)


Held = tuple[Sequence[str], Sequence[str]]


async def _of_staff(app: Application, principal: Principal) -> Held | None:
    member, _ = await app.executor.state(principal.tenant, StaffMembers.at(principal.by))
    return (member.roles, member.duties) if member.status == "active" else None


async def _of_member(app: Application, principal: Principal) -> Held | None:
    where = {"person_id": principal.by, "partner_id": principal.partner_id, "status": "active"}
    found = await app.read.find("members", principal.tenant, where=where, limit=1)
    return (found.items[0]["roles"], ()) if found.items else None


_HELD = {"vendor": _of_staff, "partner": _of_member}


Family = tuple[str | None, tuple[str, ...]]
"""As which partner somebody acts, and the partners that this one absorbed."""


async def _family(app: Application, who: Principal) -> Family:
    """Who goes on for a principal's partner, and all that are one with it. Raises PartnerSuspended where either is shut."""
    if who.kind != "partner" or who.partner_id is None:
        return who.partner_id, ()
    cards, absorbed = await asyncio.gather(
        up_from(app.read, who.tenant, who.partner_id), absorbed_by(app.read, who.tenant, who.partner_id)
    )
    if not all(card["access"] for card in cards):
        raise PartnerSuspended
    last: str = cards[-1]["partner_id"] if cards else who.partner_id
    return last, absorbed if last == who.partner_id else await absorbed_by(app.read, who.tenant, last)


def narrowed(principal: Principal, service: str, method: str) -> Principal:
    """The principal towards one service. Raises OutOfScope where a key's scopes do not name it."""
    right = "read" if method in READING else "write"
    if principal.subject.startswith("client:") and f"{service}:{right}" not in principal.scopes:
        raise OutOfScope(scope=f"{service}:{right}")
    return _without_session(principal)


@lru_cache(maxsize=REMEMBERED)
def _without_session(principal: Principal) -> Principal:
    return replace(principal, session=None)


async def open_session(app: Application, who: Principal) -> str:
    """Signs `who` in: the token that is good from now on."""
    token = SESSION_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    command = OpenSession(
        session_id=token_hash(token),
        tenant=who.tenant,
        subject=who.subject,
        kind=who.kind,
        partner_id=who.partner_id,
        roles=who.roles,
        duties=who.duties,
        absolute_hours=app.ports.session_hours,
        idle_minutes=app.ports.session_idle_minutes,
        now=app.clock.now(),
    )
    await app.executor.run(_order(command.session_id, who), command)
    return token


def _order(session_id: str, who: Principal) -> Order:
    return shared_order(stable_id("open-session", session_id), who)


def session_order(session_id: str, cause: str, who: Any) -> Order:
    """The order that ends a session."""
    return shared_order(stable_id("end-session", session_id, cause), who)


def shared_order(command_id: str, who: Any) -> Order:
    return Order(
        command_id=command_id, tenant=SHARED, actor=who.actor, correlation_id=command_id, traceparent=serving()
    )

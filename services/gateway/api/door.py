"""The door to the services: `/v1/{service}/…` goes on as the service's own route, with a signed principal."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.application import Application
from chassis.asgi import Answer, body_of, request_scope
from chassis.bulk_file import FILE_BYTES_MAX
from chassis.decider import NotFound, Problem
from chassis.http import BodyLimit, problem
from chassis.identity import Principal, Unauthenticated
from chassis.inspection import WHOLE_FEED_PATH
from chassis.tracing import PROBES, serving
from services.gateway.api.authentication import (
    Visitor,
    count_check,
    count_form,
    count_stranger,
    narrowed,
    nobody,
    visitor,
)
from services.gateway.domain.tenant import Tenants

DROPPED = frozenset({b"authorization", b"cookie", b"x-forwarded-user", b"entente-principal", b"host"})
FORM = re.compile(r"/forms/[^/]+/leads")
INSIDE = PROBES | {WHOLE_FEED_PATH}
"""What is for the platform and for the services among themselves: nobody gets there by the door."""
ANONYMOUS_ROUTES = (
    ("onboarding", "POST", re.compile(r"/applications")),
    ("attribution", "POST", re.compile(r"/connections/[^/]+/push")),
    ("registration", "GET", re.compile(r"/forms/[^/]+")),
    ("registration", "POST", FORM),
)
"""What needs no sign-in here: an application, a website's form, and a CRM's push, which the service knows by its signature."""
NAMES_A_TENANT = ("onboarding", "registration")
FILES = {"/v1/registration/batches": FILE_BYTES_MAX, "/v1/incentives/imports": FILE_BYTES_MAX}
"""Where a file goes through, and how large it may be: who takes it judges it."""
TENANT_HEADER = "entente-tenant"
PREFIX = "/v1/"


class Misdirected(Problem):
    """This is not the host that you asked for."""

    status = 421
    slug = "misdirected-request"


_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::\d+)?")


class KnownHost:
    """Refuses what was sent to a name that is not ours: a page elsewhere could have its name point here."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.names and not self._ours(scope):
            return await problem(Misdirected())(scope, receive, send)
        return await self.app(scope, receive, send)

    def _ours(self, scope: Scope) -> bool:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        named = _HOST.fullmatch(host)
        return not host or scope["path"] in PROBES or bool(named and named[1].strip("[]").lower() in self.names)


@dataclass(frozen=True)
class Way:
    """The route of all that goes through to one service, as a span names it."""

    path: str


class Doors:
    """Lets `/v1/{service}/…` through to the service, before any route of the gateway is looked at."""

    def __init__(self, app: ASGIApp, services: Collection[str], body_bytes_max: int) -> None:
        self.app, self.services = app, frozenset(services)
        self.enter = BodyLimit(self._enter, body_bytes_max, FILES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = _split(scope["path"])[0] if scope["type"] == "http" else ""
        if service not in self.services:
            return await self.app(scope, receive, send)
        scope["route"] = Way(f"{PREFIX}{service}/…")
        return await self.enter(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await _through(*_split(scope["path"]), scope, receive, send)
        except Problem as error:
            await problem(error)(scope, receive, send)


def _split(path: str) -> tuple[str, str]:
    """The service and the path inside it; "" for what is not behind a door."""
    service, slash, rest = path.removeprefix(PREFIX).partition("/")
    return (service, f"/{rest}") if slash and path.startswith(PREFIX) else ("", path)


async def _through(service: str, path: str, scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    app: Application = request.app.state.application
    principal = await _principal(service, path, await visitor(request), request)
    if path in INSIDE or not app.ports.upstreams.knows(service):
        raise NotFound
    count_check(app, principal, service, scope["method"], path)
    token = app.ports.signer.sign(principal, service)
    inner = _inner(scope, path, token)
    if service in NAMES_A_TENANT and open_to_all(service, scope["method"], path):
        inner["query_string"] = _without_tenant(scope["query_string"])
    await app.ports.upstreams.forward(service, inner, receive, _from_outside(service, send))


def _from_outside(service: str, send: Send) -> Send:
    """Sends on what a service answers; a place that it names is named as it is called from outside."""
    prefix = f"{PREFIX}{service}".encode()

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, prefix + at if _is_place(name, at) else at) for name, at in message["headers"]]
            message = {**message, "headers": headers}
        await send(message)

    return sent


def _is_place(name: bytes, value: bytes) -> bool:
    return name.lower() == b"location" and value.startswith(b"/")


async def _principal(service: str, path: str, found: Visitor, request: Request) -> Principal:
    if found.by != "nobody":
        return narrowed(found.principal, service, request.method)
    if not open_to_all(service, request.method, path):
        raise Unauthenticated
    count_stranger(request)
    if FORM.fullmatch(path):
        count_form(request)
    return nobody(await open_tenant(request) if service in NAMES_A_TENANT else "")


def open_to_all(service: str, method: str, path: str) -> bool:
    """Whether a service's route needs no sign-in."""
    return any((service, method) == (to, verb) and route.fullmatch(path) for to, verb, route in ANONYMOUS_ROUTES)


async def open_tenant(request: Request) -> str:
    """The tenant that a stranger names, in a header or, from a page elsewhere, in the query.

    Raises NotFound for one that is not open, so that nothing is kept for it.
    """
    app: Application = request.app.state.application
    slug = request.headers.get(TENANT_HEADER, "") or request.query_params.get("tenant", "")
    tenant, _ = await app.executor.state(slug, Tenants.at(slug))
    if not tenant.opened:
        raise NotFound
    return slug


def _without_tenant(query: bytes) -> bytes:
    """What goes on to the service of a query that the door has read the tenant of."""
    named = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in named if name != "tenant"]).encode()


def _inner(scope: Scope, path: str, token: str) -> Scope:
    kept = [(name, value) for name, value in scope["headers"] if name not in DROPPED]
    headers = [*kept, (b"authorization", f"Bearer {token}".encode())]
    inner = {
        key: scope[key]
        for key in ("type", "asgi", "http_version", "method", "scheme", "query_string", "client", "server")
    }
    return {**inner, "path": path, "raw_path": quote(path).encode(), "root_path": "", "headers": headers, "state": {}}


async def last_told(app: Application, tenant: str, service: str, position: int) -> int:
    """The position of the last event that a service told the tenant, up to one of its positions; 0 for none near it.

    A position that the service has not reached, or cannot be asked about, is answered as it is.
    """
    who = Principal(tenant=tenant, subject=app.name, kind="service")
    start = max(0, position - app.together_max)
    answer = await call(app, who, "GET", service, "/events", query=f"after={start}&limit={app.together_max}")
    if not answer.ok or int(answer.headers["entente-next"]) < position:
        return position
    told = [int(orjson.loads(line)["sequence"]) for line in answer.body.splitlines()]
    return max((one for one in told if one <= position), default=0)


async def call(  # noqa: PLR0913  the parts of a request
    app: Application,
    principal: Principal,
    method: str,
    service: str,
    path: str,
    *,
    query: str = "",
    content: bytes = b"",
    headers: dict[str, str] | None = None,
) -> Answer:
    """A call of the gateway's own, on behalf of `principal`: what the portal does is what the API can do."""
    answer = Answer()
    if not app.ports.upstreams.knows(service):
        answer.status = 503
        return answer
    token = app.ports.signer.sign(narrowed(principal, service, method), service)
    context = serving()
    given = {"authorization": f"Bearer {token}", "content-type": "application/json", **(headers or {})}
    given |= {"traceparent": context} if context else {}
    scope = request_scope(method, path, query, {**given, "content-length": str(len(content))})
    await app.ports.upstreams.forward(service, scope, body_of(content), answer.take)
    return answer

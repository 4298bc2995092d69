"""A visit to a page: who looks, what it asks the services on the visitor's behalf, and what its forms send them.

A page asks and sends exactly what a program could: the routes of the public API, with the visitor's own principal.
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import orjson
from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import UploadFile

from chassis.access import sees
from chassis.application import Application
from chassis.asgi import Answer, body_of, request_scope
from chassis.decider import Forbidden, NotFound, Problem
from chassis.event import SHARED, frozen, stable_id
from chassis.health import readiness
from chassis.http import App, BadRequest, Bug, Caller, Unavailable, at_least, failed, no_answer, problem
from chassis.identity import Principal, Unauthenticated
from contracts.catalogue import SERVICES, public_events
from services.gateway.api.authentication import (
    CrossSite,
    Visitor,
    count_check,
    drop_session,
    same_site,
    session_cookie,
    visitor,
)
from services.gateway.api.door import PREFIX, call
from services.gateway.api.portal.formats import Formats, locale_of
from services.gateway.api.portal.rendering import html, render
from services.gateway.api.portal.standing import FarStates, Standing, standing_of
from services.gateway.api.reading import card_view, cursor_of, heads_of
from services.gateway.domain.tenant import Tenants
from services.gateway.projections.deal_cards import SALE

SIGN_IN = "/sign-in"
AT_LEAST = "entente-at-least"
ASK_SECONDS = 5.0
AWAY_SECONDS = 5
"""How soon a page that could not be shown is asked for again."""
KEY_BYTES = 16
ALL_MAX, PAGE_MAX = 1_000, 200
FIELDS_MAX = 300
NAME_MAX = 120
PASSING = (429, 503)
"""The statuses that say nothing of what was sent, only that it was not its moment."""
OF_THE_PAGE = ("token", "key", "version", "drafted")
"""The fields of a form that the page filled in itself."""


@frozen
class Part:
    """What a service answered to one question of a page. A part that is not `ok` says so in its own panel."""

    status: int
    body: Any = None
    version: str = ""

    @property
    def ok(self) -> bool:
        return self.status < 400  # noqa: PLR2004  the first HTTP status of an error

    @property
    def down(self) -> bool:
        """The service cannot answer now."""
        return self.status >= 500  # noqa: PLR2004  the first HTTP status of a fault on our side

    @property
    def missing(self) -> bool:
        """There is no such thing, or none for this visitor: also where its name is none that the service could give."""
        return not self.ok and not self.down

    @property
    def items(self) -> list[dict[str, Any]]:
        """The rows of a list; none where there is no answer."""
        found = self.body.get("items", []) if self.ok and isinstance(self.body, dict) else []
        return list(found)

    @property
    def partners(self) -> list[dict[str, Any]]:
        """Of a list of payees those that are partners, and not people who are paid themselves."""
        return [row for row in self.items if row["payee_id"] == row["partner_id"]]

    @property
    def next_cursor(self) -> str | None:
        return self.body.get("next_cursor") if self.ok else None

    @property
    def first(self) -> dict[str, Any]:
        """The first row, {} for none."""
        return self.items[0] if self.items else {}

    @property
    def one(self) -> dict[str, Any]:
        """The document, {} where there is no answer, or where it was not asked for."""
        return self.body if self.ok and isinstance(self.body, dict) and self is not NOTHING else {}


NOTHING = Part(status=200, body={"items": []})


@frozen
class File:
    """A file that came with a form."""

    name: str
    media_type: str
    content: bytes


@frozen
class Form:
    """A form as it was sent. `lists` holds the fields that can stand there several times; `file` is what came with it."""

    values: Mapping[str, str]
    lists: Mapping[str, list[str]]
    key: str
    file: File | None = None

    def text(self, name: str) -> str:
        return self.values.get(name, "").strip()

    def number(self, name: str) -> int | str:
        """The number that was written; what is none is refused by who reads it."""
        text = self.text(name)
        return int(text) if text.isdecimal() else text

    def given(self, *names: str) -> dict[str, str]:
        """The named fields that are filled in."""
        return {name: self.text(name) for name in names if self.text(name)}

    def words(self, name: str) -> list[str]:
        """A field that stands several times, or one with commas."""
        return [word.strip() for text in self.lists.get(name, []) for word in text.split(",") if word.strip()]


@frozen
class Refusal:
    """A form that was refused: shown beside the form with what was typed in."""

    form: str
    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    problem: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Nothing is wrong with it: sent again in a moment, it may get through."""
        return self.problem.get("status") in PASSING

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Every field with what stood in it, as it was sent."""
        return [(name, value) for name, values in self.lists.items() for value in values]

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What a person filled in or chose."""
        return [(name, value) for name, value in self.fields if value and name not in OF_THE_PAGE]


@frozen
class Tenancy:
    """The vendor whose portal this is."""

    slug: str
    name: str
    zone: ZoneInfo
    currency: str


@frozen
class Visit:
    """One request of somebody who is signed in."""

    request: Request
    app: Application
    who: Principal
    session_id: str
    tenancy: Tenancy
    formats: Formats
    allowed: frozenset[str]
    places: Mapping[str, int]
    cursor: str
    """Where the events ended before the page was asked for: its live stream begins there and leaves none out."""
    late: set[str] = field(default_factory=set)
    """The services whose part of the page is older than what the visitor asked to see: a live page asks again."""
    away: set[str] = field(default_factory=set)
    """The services that something of the page was asked of in vain: it says so, and what they hold is no empty list."""

    @property
    def tenant(self) -> str:
        return self.who.tenant

    @property
    def now(self) -> datetime:
        return self.formats.now

    @property
    def vendor(self) -> bool:
        return self.who.kind == "vendor"

    @property
    def caller(self) -> Caller:
        """The visitor as the routes of the gateway know it."""
        return Caller(
            principal=self.who, key="", expected_version=None, correlation_id="", traceparent=None, digest=None
        )

    @property
    def token(self) -> str:
        """What this session's forms carry, so that no other site can send them."""
        return self.app.keys.hmac(SHARED, f"form|{self.session_id}")

    def may(self, action: str) -> bool:
        """Whether the service's own table allows it: `registration.ApproveDeal`, `incentives.read ledger`."""
        return action in self.allowed

    def may_at_home(self, action: str, partner_id: str | None) -> bool:
        """As `may`, for what a partner's own people alone do, also while it is one with another."""
        return self.may(action) and not self.who.is_of_another(partner_id)

    def new_key(self) -> str:
        """An Idempotency-Key for one form: sent twice, it does one thing."""
        return secrets.token_urlsafe(KEY_BYTES)

    # Asking

    async def ask(self, service: str, path: str, **query: Any) -> Part:
        """What the service answers to a GET; filters that are None are left out."""
        named = {name: value for name, value in query.items() if value is not None}
        answer = await self._asked(service, path, urlencode(named, doseq=True), self._place_of(service))
        if answer.status == 503 and self._place_of(service):  # noqa: PLR2004  not there yet: what is there is shown
            self.late.add(service)
            answer = await self._asked(service, path, urlencode(named, doseq=True), {})
        part = Part(status=answer.status, body=answer.json(), version=answer.headers.get("etag", "").strip('"'))
        self.away.update([service] if part.down else ())
        return part

    async def ask_one(self, service: str, path: str, **query: Any) -> Part:
        """What a page is about; while the service is away, its panel says so. Raises NotFound for nobody's or another's."""
        found = await self.ask(service, path, **query)
        if found.missing:
            raise NotFound
        return found

    async def needed(self, service: str, path: str, **query: Any) -> dict[str, Any]:
        """What nothing can be shown or sent without. Raises NotFound as `ask_one`, Unavailable while the service is away."""
        found = await self.ask_one(service, path, **query)
        if found.down:
            raise Unavailable
        return found.one

    async def _asked(self, service: str, path: str, query: str, headers: dict[str, str]) -> Answer:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await call(self.app, self.who, "GET", service, path, query=query, headers=headers)
        except TimeoutError:
            late = Answer()
            late.status = 503
            return late

    def _place_of(self, service: str) -> dict[str, str]:
        position = self.places.get(service)
        return {} if position is None else {"entente-at-least": f"{service}={position}"}

    async def ask_if(self, action: str, path: str, **query: Any) -> Part:
        """As `ask`, of who may do the action; for others an empty answer."""
        if not self.may(action):
            return NOTHING
        return await self.ask(action.split(".", 1)[0], path, **query)

    async def ask_all(self, service: str, path: str, **query: Any) -> Part:
        """All rows of a list, `ALL_MAX` at most."""
        rows: list[dict[str, Any]] = []
        part = await self.ask(service, path, limit=PAGE_MAX, **query)
        while part.ok and len(rows) < ALL_MAX:
            rows += part.items
            if part.next_cursor is None:
                break
            part = await self.ask(service, path, limit=PAGE_MAX, cursor=part.next_cursor, **query)
        return Part(status=part.status, body={"items": rows, "next_cursor": part.next_cursor}) if part.ok else part

    async def settled(self, *models: str) -> None:
        """Waits a while until the gateway's own models hold what the visitor has just done."""
        for source, position in self.places.items():
            for model in models:
                if not await self.app.has_read(model, source, position, self.tenant, self.app.wait_seconds):
                    self.late.add(source)

    async def names(self, ids: set[str | None]) -> dict[str, str]:
        """The partners' names by id."""
        wanted = sorted(one for one in ids if one)
        cards = await self.app.read.get_many("partner_cards", self.tenant, wanted) if wanted else {}
        return {partner_id: card["name"] for partner_id, card in cards.items()}

    async def customers(self, ids: set[str | None]) -> dict[str, str]:
        """The customers' names by deal, as far as this side knows them."""
        wanted = sorted(one for one in ids if one)
        cards = await self.app.read.get_many("deal_cards", self.tenant, wanted) if wanted else {}
        seen = {deal_id: card_view(card, self.who).get("customer") for deal_id, card in cards.items()}
        return {deal_id: customer for deal_id, customer in seen.items() if customer}

    async def deals_of_sales(self, opportunity_ids: set[str]) -> dict[str, dict[str, Any]]:
        """The deals by the sale that they became, as far as this side may see them; of `PAGE_MAX` sales at most."""
        wanted = tuple(sorted(opportunity_ids)[:PAGE_MAX])
        if not wanted:
            return {}
        found = await self.app.read.find(
            "deal_cards", self.tenant, where={SALE: wanted}, sort="submitted_at", limit=PAGE_MAX
        )
        seen = [card for card in found.items if sees(self.who, card)]
        return {card["parts"]["attribution"]["opportunity_id"]: card_view(card, self.who) for card in seen}

    async def holders(self, ids: set[str | None]) -> dict[str, str]:
        """Whose the deals are, by deal."""
        wanted = sorted(one for one in ids if one)
        cards = await self.app.read.get_many("deal_cards", self.tenant, wanted) if wanted else {}
        return {deal_id: card["partner_id"] for deal_id, card in cards.items() if card["partner_id"]}

    async def opens(self, ids: set[str | None]) -> frozenset[str]:
        """Those of these deals whose page this visitor may open."""
        wanted = sorted(one for one in ids if one)
        if not wanted or not self.may("gateway.read deal board"):
            return frozenset()
        cards = await self.app.read.get_many("deal_cards", self.tenant, wanted)
        return frozenset(deal_id for deal_id, card in cards.items() if sees(self.who, card))

    async def called(self) -> str | None:
        """What the visitor is called here: the partner's name, or the handle of a member of the staff."""
        if self.who.partner_id:
            return (await self.names({self.who.partner_id})).get(self.who.partner_id)
        member = await self.app.read.get("staff", self.tenant, self.who.subject)
        return str(member["handle"]).capitalize() if member else None

    # Sending

    async def fetch(self, service: str, path: str) -> Answer:
        """The answer of a service to a GET as it stands: a file, or why there is none."""
        return await call(self.app, self.who, "GET", service, path)

    async def send(
        self, form: Form, service: str, path: str, body: Any = None, step: str = "", method: str = "POST"
    ) -> Answer:
        """Sends to a service under the form's Idempotency-Key; `step` tells several requests of one form apart."""
        headers = {"idempotency-key": _key(form, step), "entente-correlation": stable_id(self.session_id, form.key)}
        if form.text("version"):
            headers["if-match"] = f'"{form.text("version")}"'
        content = b"" if body is None else orjson.dumps(body)
        count_check(self.app, self.who, service, method, path)
        return await call(self.app, self.who, method, service, path, content=content, headers=headers)

    async def send_file(self, form: Form, service: str, path: str) -> Answer:
        """Posts the form's file as it is; without one, an empty body."""
        file = form.file or File(name="", media_type="", content=b"")
        headers = {"idempotency-key": _key(form, ""), "content-type": file.media_type}
        query = urlencode({"name": file.name[-NAME_MAX:]})
        return await call(self.app, self.who, "POST", service, path, query=query, content=file.content, headers=headers)

    async def own(self, method: str, path: str, body: Any = None, key: str = "") -> Answer:
        """Calls a route of the gateway itself, as the visitor's browser would."""
        content = b"" if body is None else orjson.dumps(body)
        token = session_cookie(self.request)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "idempotency-key": key}
        answer = Answer()
        route, _, query = path.partition("?")
        scope = request_scope(method, route, query, {**headers, "content-length": str(len(content))})
        await self.request.app(scope, body_of(content), answer.take)
        return answer

    # Answering

    def went(self, answer: Answer, to: str, done: str) -> Response:
        """On to a page that shows what was done."""
        position = answer.headers.get("entente-position", "")
        query = urlencode({"done": done, **({"at": position} if position else {})})
        return RedirectResponse(f"{to}{'&' if '?' in to else '?'}{query}", status_code=303)

    async def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """The page with what stands on every page."""
        query, refusal = self.request.query_params, context.get("refusal")
        common = {
            "visit": self,
            "fmt": self.formats,
            "may": self.may,
            "may_at_home": self.may_at_home,
            "path": self.request.url.path,
            "status": status,
            "development": self.app.ports.development,
            "crm_simulator_url": self.app.ports.crm_simulator_url,
            "called": await self.called(),
            "standing": await self.standing(),
            "event_types": [cls.type for cls in public_events()],
            "done": query.get("done", ""),
            "q": query.get("q", ""),
            "refusal": None,
            "problem": None,
            "opens": await self.opens({refusal.problem.get("registration_id")}) if refusal else frozenset(),
        }
        return html(template, {**common, **context}, status)

    async def standing(self) -> Standing:
        """How the services stand: of those of this process as they are now, of the others as they told last."""
        near = self.request.app.state.world.neighbours
        elsewhere = [name for name in SERVICES if name not in near and self.app.ports.upstreams.knows(name)]
        far = _remembered(self.request, "far_states").setdefault("", FarStates())
        state = await readiness(near)
        return standing_of({**state["services"], **await far.of(self.app, self.who, elsewhere)})


def _key(form: Form, step: str) -> str:
    return stable_id(form.key, step) if step else form.key


# Who looks


async def visit(request: Request, app: App) -> Visit:
    """The visit of a request. Raises Unauthenticated for who is not signed in with a session."""
    found: Visitor = await visitor(request)
    if found.session_id is None:
        raise Unauthenticated
    tenancy = await tenancy_of(request, app, found.principal.tenant)
    locale = locale_of(request.headers.get("accept-language", ""))
    tables = await _tables(request, app, found.principal)
    return Visit(
        request=request,
        app=app,
        who=found.principal,
        session_id=found.session_id,
        tenancy=tenancy,
        formats=Formats(locale, tenancy.zone, app.clock.now()),
        allowed=_allowed(tables, found.principal),
        away={service for service in SERVICES if service not in tables},
        places=_places(request),
        cursor=await _cursor(request, app, found.principal.tenant),
    )


async def _cursor(request: Request, app: Application, tenant: str) -> str:
    """The end of the events; "" for what begins no live stream: a form, and a page that follows one already."""
    if request.method != "GET" or AT_LEAST in request.headers:
        return ""
    return cursor_of(app, tenant, await heads_of(app, tenant))


def _places(request: Request) -> dict[str, int]:
    """What the visitor has done or heard of already: `?at=registration=12`, or the header of a live refetch."""
    try:
        return dict(at_least(request.query_params.get("at") or request.headers.get(AT_LEAST, "")))
    except BadRequest:
        return {}


async def tenancy_of(request: Request, app: Application, slug: str) -> Tenancy:
    known: dict[str, Tenancy] = _remembered(request, "tenancies")
    if slug not in known:
        recorded = await app.executor.store.load(Tenants.at(slug).name(slug))
        if not recorded:
            return Tenancy(slug=slug, name=slug, zone=ZoneInfo("UTC"), currency="EUR")
        opened = recorded[0].event
        known[slug] = Tenancy(slug=slug, name=opened.name, zone=ZoneInfo(opened.zone), currency=opened.currency)
    return known[slug]


def _remembered(request: Request, name: str) -> dict[str, Any]:
    """What never changes while the process lives, kept with the application."""
    state = request.app.state
    if not hasattr(state, name):
        setattr(state, name, {})
    found: dict[str, Any] = getattr(state, name)
    return found


async def _tables(request: Request, app: Application, who: Principal) -> dict[str, list[dict[str, Any]]]:
    """The services' own tables of who may do what; without those of who has not answered yet."""
    tables = _remembered(request, "access_tables")
    tables["gateway"] = app.access.as_rows()
    for service in SERVICES:
        if service not in tables:
            answer = await call(app, who, "GET", service, "/access")
            if answer.ok:
                tables[service] = answer.json()["rows"]
    return tables


def _allowed(tables: Mapping[str, list[dict[str, Any]]], who: Principal) -> frozenset[str]:
    """Everything that the services' own tables let the visitor do."""
    rows = ((service, row) for service, table in tables.items() for row in table)
    return frozenset(_action(service, row["action"]) for service, row in rows if _fits(row, who))


def _action(service: str, action: str) -> str:
    """`registration.ApproveDeal.v1` and `read deals` as `registration.ApproveDeal` and `registration.read deals`."""
    parts = action.split(".")
    return f"{service}.{parts[1] if len(parts) > 1 else action}"


def _fits(row: Mapping[str, Any], who: Principal) -> bool:
    return (
        row["kind"] == who.kind
        and (not row["roles"] or not set(row["roles"]).isdisjoint(who.roles))
        and (not row["duties"] or not set(row["duties"]).isdisjoint(who.duties))
    )


Here = Annotated[Visit, Depends(visit)]


# Forms


async def form(request: Request, here: Here) -> Form:
    """The form of a POST. Raises CrossSite unless our own page sent it within this session."""
    return await _form(request, here, files_max=0)


async def form_with_file(request: Request, here: Here) -> Form:
    """As `form`, with one file."""
    return await _form(request, here, files_max=1)


async def _form(request: Request, here: Visit, files_max: int) -> Form:
    if not same_site(request):
        raise CrossSite
    given = await request.form(max_files=files_max, max_fields=FIELDS_MAX)
    texts = [(name, value) for name, value in given.multi_items() if isinstance(value, str)]
    values = dict(texts)
    if not hmac.compare_digest(values.get("token", "").encode(), here.token.encode()):
        raise CrossSite
    lists: dict[str, list[str]] = {}
    for name, value in texts:
        lists.setdefault(name, []).append(value)
    return Form(values=values, lists=lists, key=values.get("key", "")[:64], file=await _file(given.get("file")))


async def _file(given: Any) -> File | None:
    if not isinstance(given, UploadFile):
        return None
    return File(name=given.filename or "", media_type=given.content_type or "", content=await given.read())


Sent = Annotated[Form, Depends(form)]
SentWithFile = Annotated[Form, Depends(form_with_file)]


def refused(name: str, sent: Form, answer: Answer) -> Refusal:
    """What a form is told that did not get through."""
    body = answer.json() or {"slug": "unavailable", "status": answer.status}
    return Refusal(form=name, values=sent.values, lists=sent.lists, problem=body)


# Errors as pages


class PageRoute(APIRoute):
    """A route whose problems are pages: who is not signed in goes to the sign-in page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handle(request)
            except Unauthenticated:
                return _to_sign_in(request)
            except Problem as error:
                return await _problem_page(request, error)
            except RequestValidationError:
                return await _problem_page(request, NotFound())

        return shown


async def no_page(request: Request, error: Any) -> Response:
    """Answers where no route does: a page for who reads pages, also where a form's address is opened; else a problem."""
    return await _problem_page(request, NotFound()) if _reads_pages(request) else await no_answer(request, error)


async def failed_page(request: Request, error: Exception) -> Response:
    """Answers what nobody foresaw: for who reads pages a page that asks no service, for that may be what fails."""
    answer = await failed(request, error)
    told = {"slug": Bug.slug, "waiting": False, "reloads": False}
    return render(request, "problem.html", Bug.status, problem=told) if _reads_pages(request) else answer


async def away_page(request: Request, error: Any) -> Response:
    """Answers while something is away for now: as `failed_page`, and what was only looked at is asked for again."""
    answer = problem(error)
    if not _reads_pages(request):
        return answer
    reloads = request.method in ("GET", "HEAD")
    told = {"slug": error.slug, "waiting": False, "reloads": reloads}
    page = render(request, "problem.html", error.status, problem=told)
    page.headers["Retry-After"] = answer.headers["Retry-After"]
    return _reloaded(page, AWAY_SECONDS) if reloads else page


def _reloaded(page: Response, seconds: int) -> Response:
    """The page, which the browser asks for again by itself."""
    page.headers["Refresh"] = str(seconds)
    return page


def _reads_pages(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(PREFIX)


def _to_sign_in(request: Request) -> Response:
    """To the sign-in page, and from there back. A form is not sent again by itself: its page is opened again."""
    asked = request.url if request.method == "GET" else urlsplit(request.headers.get("referer", ""))
    back = asked.path + (f"?{asked.query}" if asked.query else "")
    answer = RedirectResponse(SIGN_IN if back in ("", "/") else f"{SIGN_IN}?return_to={quote(back)}", status_code=303)
    if session_cookie(request):
        drop_session(answer, request.app.state.application)
    return answer


async def _problem_page(request: Request, error: Problem) -> Response:
    """What went wrong, as a page. What was just made and is not to be read yet is asked for again by itself."""
    try:
        here = await visit(request, request.app.state.application)
        error = Unavailable() if error.status == Forbidden.status and here.away else error  # what it may is not known
        told = _told(request, error)
        status = Unavailable.status if told["waiting"] else error.status
        answer = await here.page("problem.html", status, problem=told, refusal=await _unsent(request, here, error))
    except Problem:
        told = _told(request, error)
        answer = render(request, "problem.html", error.status, problem=told)
    seconds = 1 if told["waiting"] else AWAY_SECONDS
    return _reloaded(answer, seconds) if told["waiting"] or told["reloads"] else answer


def _told(request: Request, error: Problem) -> dict[str, Any]:
    waiting = error.status == NotFound.status and "at" in request.query_params
    reloads = error.status == Unavailable.status and request.method in ("GET", "HEAD")
    return {"slug": error.slug, "detail": error.detail, "waiting": waiting, "reloads": reloads}


async def _unsent(request: Request, here: Visit, error: Problem) -> Refusal | None:
    """The form that was not taken in for the moment, so that it can be sent again."""
    if request.method != "POST" or error.status not in PASSING:
        return None
    sent = await form(request, here)  # it was read before: the request keeps it
    told = {"slug": error.slug, "status": error.status}
    return Refusal(form="", values=sent.values, lists=sent.lists, problem=told)

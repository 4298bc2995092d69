"""How every service speaks HTTP: who calls, idempotent commands, problems, ETags, pages, read-your-writes, limits."""

import asyncio
import base64
import contextlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from time import perf_counter
from typing import Annotated, Any

import orjson
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import logs
from chassis.application import Application
from chassis.asgi import header
from chassis.away import is_away
from chassis.decider import Problem, Stream
from chassis.event import Actor, UnknownType, canonical_json, frozen, sha256, stable_id
from chassis.execution import Order, Outcome
from chassis.identity import Principal, Unauthenticated, Verifier
from chassis.read_store.port import Page
from chassis.short_way import Find
from chassis.telemetry import Telemetry

log = structlog.get_logger()
PROBLEM = "application/problem+json"
JSON = "application/json"
POSITION = "Entente-Position"
Identify = Callable[[Request], Awaitable[Principal]]
LIMIT_DEFAULT, LIMIT_MAX = 50, 200
KEY_LENGTH_MAX = 64
DEPTH_MAX = 20
PARAMETERS_NAMED_MAX = 5
NO_OBJECT, OF_THE_BODY = "send a JSON object here", ", with Content-Type: application/json"
DROPPED_BYTES_MAX, DROPPED_SECONDS, QUIET_SECONDS = 64 << 20, 10.0, 1.0
CURSOR_MAC_CHARACTERS = 16
OTHER_CURSOR = "this cursor was not given by this list"
YEARS = range(1970, 2200)


def _of_our_time(value: date) -> date:
    if value.year not in YEARS:
        raise ValueError(f"the year is one of {YEARS.start} to {YEARS.stop - 1}")
    return value


def _instant_of_our_time(value: datetime) -> datetime:
    _of_our_time(value)
    return value


Day = Annotated[date, AfterValidator(_of_our_time)]
"""A date that sums of days and zones do not carry out of the calendar."""
Instant = Annotated[AwareDatetime, AfterValidator(_instant_of_our_time)]
"""As `Day`, an instant with its zone."""


class Lines(Response):
    """JSON values, one a line."""

    media_type = "application/x-ndjson"


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyMissing(Problem):
    """A POST needs an Idempotency-Key of 1 to 64 characters, so that a retry does nothing twice."""

    status = 400
    slug = "key-missing"


class BadRequest(Problem):
    """The request cannot be read."""

    status = 400
    slug = "bad-request"


class TooLarge(Problem):
    """The body is larger than this service takes."""

    status = 413
    slug = "too-large"


class Unreadable(Problem):
    """The body holds something that no field can hold."""

    status = 422
    slug = "invalid"


class UnknownParameters(Unreadable):
    """The query names what this route does not take, such as a filter that would have been passed over."""

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        takes = f"this route takes {', '.join(known)}" if known else "this route takes no parameters"
        named = [name[:KEY_LENGTH_MAX] for name in unknown[:LIMIT_MAX]]
        errors = [{"path": f"query.{name}", "code": "extra-forbidden", "message": takes} for name in named]
        super().__init__(f"unknown in the query: {', '.join(named[:PARAMETERS_NAMED_MAX])}; {takes}", errors=errors)


class NotThereYet(Problem):
    """The read model has not reached that position: try again."""

    status = 503
    slug = "not-there-yet"

    def __init__(self, detail: str = "", **fields: Any) -> None:
        super().__init__(detail, **{"retry_after_seconds": 1, **fields})


class Unavailable(Problem):
    """This service cannot answer now: try again."""

    status = 503
    slug = "unavailable"

    def __init__(self, detail: str = "", **fields: Any) -> None:
        super().__init__(detail, **{"retry_after_seconds": 1, **fields})


@frozen
class Caller:
    """Who sends a request, and what came with it. `key` is the Idempotency-Key, "" on reads."""

    principal: Principal
    key: str
    expected_version: int | None
    correlation_id: str
    traceparent: str | None
    digest: str | None

    @property
    def tenant(self) -> str:
        return self.principal.tenant

    @property
    def command_id(self) -> str:
        """The same principal with the same key is the same command."""
        return stable_id(self.tenant, self.principal.subject, self.key)

    def new_id(self, what: str) -> str:
        """The id of what this request creates: the same again on a retry."""
        return stable_id(self.tenant, self.principal.subject, self.key, what)

    def order(self) -> Order:
        who = self.principal
        return Order(
            command_id=self.command_id,
            tenant=self.tenant,
            actor=Actor(kind=who.kind, subject=who.subject, partner_id=who.partner_id, view_as=who.view_as),
            correlation_id=self.correlation_id,
            traceparent=self.traceparent,
            digest=self.digest,
            expected_version=self.expected_version,
        )


async def application(request: Request) -> Application:
    """The service behind the route."""
    app: Application = request.app.state.application
    return app


App = Annotated[Application, Depends(application)]


async def reader(request: Request) -> Caller:
    """Verifies the signed principal that the gateway sent, and waits for `Entente-At-Least`. Raises Unauthenticated."""
    principal = await _principal(request)
    await caught_up(request, await application(request), principal.tenant)
    if request.method not in ("GET", "HEAD"):
        parse(await request.body())
    return _caller(request, principal, key="", digest=None)


async def writer(request: Request, key: Annotated[str, Header(alias="Idempotency-Key")] = "") -> Caller:
    """As `reader`, and requires an Idempotency-Key and a body that can be read."""
    principal = await _principal(request)
    if not 1 <= len(key) <= KEY_LENGTH_MAX:
        raise KeyMissing
    parsed = parse(await request.body())
    app = await application(request)
    digest = app.keys.hmac(
        principal.tenant, canonical_json([request.method, _route(request), request.scope["path"], parsed]).decode()
    )
    return _caller(request, principal, key=key, digest=digest)


async def filer(request: Request, key: Annotated[str, Header(alias="Idempotency-Key")] = "") -> Caller:
    """As `writer`, of a body that is a file: what it holds, the route reads."""
    principal = await _principal(request)
    if not 1 <= len(key) <= KEY_LENGTH_MAX:
        raise KeyMissing
    app = await application(request)
    sent = [request.method, _route(request), request.scope["path"], sha256(await request.body())]
    digest = app.keys.hmac(principal.tenant, canonical_json(sent).decode())
    return _caller(request, principal, key=key, digest=digest)


Reader = Annotated[Caller, Depends(reader)]
Writer = Annotated[Caller, Depends(writer)]
Filer = Annotated[Caller, Depends(filer)]


async def _keyed_writer(request: Request) -> Caller:
    return await writer(request, header(request, b"idempotency-key") or "")


FOUND: Mapping[Any, Find] = {application: application, reader: reader, writer: _keyed_writer}
"""How what the routes of every service depend on is found without the framework."""


def parse(body: bytes) -> Any:
    """The JSON of a body, strictly: no NaN, no null characters, at most 20 levels. None for an empty body."""
    if not body:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if b"\\u0000" in body:
        raise Unreadable("text must not hold null characters")
    if _deeper(value, DEPTH_MAX):
        raise Unreadable(f"the body is nested deeper than {DEPTH_MAX} levels")
    return value


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(part, levels - 1) for part in parts)


def _only_what_is_asked_for(request: Request) -> None:
    known = sorted(_parameters(request.scope["route"].dependant))
    if unknown := sorted(set(request.query_params) - set(known)):
        raise UnknownParameters(unknown, known)


def _parameters(wants: Dependant) -> Iterator[str]:
    """The names that a route and what it depends on read from the query."""
    for field in wants.query_params:
        of = field.field_info.annotation
        grouped = of.model_fields if isinstance(of, type) and issubclass(of, BaseModel) else {}
        yield from [part.alias or name for name, part in grouped.items()] if grouped else [field.alias]
    for dependency in wants.dependencies:
        yield from _parameters(dependency)


def _route(request: Request) -> str:
    return getattr(request.scope.get("route"), "path", "")


async def _principal(request: Request) -> Principal:
    identify: Identify = request.app.state.identify
    return await identify(request)


def signed_principal(verifier: Verifier, audience: str) -> Identify:
    """How a service knows who calls: by the principal that the gateway signed for it."""

    async def identify(request: Request) -> Principal:
        scheme, _, token = (header(request, b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("this route needs a signed principal")
        return verifier.verify(token, audience)

    return identify


_TRACEPARENT = re.compile(r"[0-9a-f]{2}(-[0-9a-f]{32})(-[0-9a-f]{16})-[0-9a-f]{2}")


def _traceparent(request: Request) -> str | None:
    """The W3C trace context of the request; what is none is not kept."""
    given = header(request, b"traceparent") or ""
    return given if _TRACEPARENT.fullmatch(given) else None


_ETAG = re.compile(r'^(?:W/)?"(\d{1,18})"$')


def _expected(request: Request) -> int | None:
    given = header(request, b"if-match")
    if given is None or given == "*":
        return None
    found = _ETAG.match(given.strip())
    if not found:
        raise BadRequest('If-Match holds the ETag that a read gave, e.g. "3"')
    return int(found[1])


def _caller(request: Request, principal: Principal, *, key: str, digest: str | None) -> Caller:
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise Unreadable("text must not hold null characters")
    if request.scope["query_string"]:
        _only_what_is_asked_for(request)
    correlation = (header(request, b"entente-correlation") or "")[:KEY_LENGTH_MAX]
    correlation = correlation or stable_id(principal.tenant, principal.subject, key or request.scope["path"])
    request.state.correlation_id = correlation
    return Caller(
        principal=principal,
        key=key,
        expected_version=_expected(request),
        correlation_id=correlation,
        traceparent=_traceparent(request),
        digest=digest,
    )


# Commands


async def perform(  # noqa: PLR0913  the parts of a command
    caller: Caller,
    app: Application,
    action: type[Any],
    make: Any,
    *,
    status: int = 200,
    partner_id: str | None = None,
    ahead: Iterable[Stream] = (),
) -> Response:
    """Checks access, runs the command, and answers its JSON with ETag and Entente-Position."""
    app.access.check(caller.principal, action, partner_id)
    return answered(app, await app.executor.run(caller.order(), make, ahead), status)


def answered(app: Application, outcome: Outcome, status: int = 200) -> Response:
    """The HTTP form of an outcome. A repeat answers the same body and status."""
    headers = {"ETag": f'"{outcome.version}"'} if outcome.version else {}
    if outcome.position:
        headers[POSITION] = f"{app.name}={outcome.position}"
    return Response(orjson.dumps(outcome.answer), status_code=status, media_type=JSON, headers=headers)


# Reads


async def caught_up(request: Request, app: Application, tenant: str) -> None:
    """Holds a read back until its models have reached `Entente-At-Least`, for a while each; then NotThereYet.

    A service answers for its own log and for those that it can ask about; positions of others are passed over.
    """
    for source, position in at_least(header(request, b"entente-at-least") or ""):
        for model in _models_of(request):
            if not await app.has_read(model, source, position, tenant, app.wait_seconds):
                raise NotThereYet(f"{source} has not been read up to {position} here{_because(app, model)}")


def _because(app: Application, model: str) -> str:
    """Which of the models that are waited for will not come by waiting."""
    standing = sorted(name for name in app.standing() if model in ("", name))
    return f": {', '.join(standing)} met a bug and waits for a release that mends it" if standing else ""


def at_least(header: str) -> list[tuple[str, int]]:
    """The positions of `registration=12, incentives=7`. Raises BadRequest when it cannot be read."""
    found = []
    for part in filter(None, (part.strip() for part in header.split(","))):
        source, _, position = part.partition("=")
        if not position.isdecimal() or len(position) > KEY_LENGTH_MAX // 4:
            raise BadRequest("Entente-At-Least looks like registration=123")
        found.append((source, int(position)))
    return found


def _models_of(request: Request) -> tuple[str, ...]:
    """The models that the route reads; "" for one that names none, which stands for all."""
    return getattr(request.scope.get("endpoint"), "reads", ("",))


def reads(*models: str) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
    """Names the models that a route reads, so that `Entente-At-Least` can wait for them."""

    def mark(route: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        route.reads = models  # type: ignore[attr-defined]
        return route

    return mark


@dataclass(frozen=True)
class Paging:
    """Which page a list is asked for: `limit` 1 to 200, `cursor` as the page before gave it."""

    limit: int
    cursor: str


async def paging(
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    cursor: Annotated[str, Query(max_length=2_000)] = "",
) -> Paging:
    """The page that a list is asked for; async, because FastAPI sends what is not to a thread of its own."""
    return Paging(limit, cursor)


Paged = Annotated[Paging, Depends(paging)]


async def page(
    caller: Caller, app: Application, model: str, paged: Paging, where: Mapping[str, Any], sort: str
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of a model's documents and the closed cursor of the next. Filters that are None are left out."""
    named = {name: value for name, value in where.items() if value is not None}
    of = f"{model} {sort}"
    after = opened_cursor(app, caller.tenant, of, paged.cursor)
    found: Page = await app.read.find(model, caller.tenant, where=named, sort=sort, after=after, limit=paged.limit)
    following = found.next_cursor
    return found.items, None if following is None else closed_cursor(app, caller.tenant, of, following)


def closed_cursor(app: Application, tenant: str, of: str, state: Any) -> str:
    """As `signed_cursor`, which nobody else can read: it names the document before, whose id may be another one's secret."""
    box = _cipher(app, tenant).encrypt(orjson.dumps(state, option=orjson.OPT_SORT_KEYS), [of.encode()])
    return base64.urlsafe_b64encode(box).decode()


def _cipher(app: Application, tenant: str) -> AESSIV:
    return AESSIV(bytes.fromhex(app.keys.hmac(tenant, "cursors")))


def signed_cursor(app: Application, tenant: str, of: str, state: Any) -> str:
    """The opaque text of a place in one list; `of` names the list and its order."""
    text = base64.urlsafe_b64encode(orjson.dumps(state, option=orjson.OPT_SORT_KEYS)).decode()
    return f"{text}.{_cursor_mac(app, tenant, of, text)}"


def opened_cursor(app: Application, tenant: str, of: str, cursor: str) -> Any:
    """The place that a cursor names, None for none. Raises BadRequest for one that this list did not give."""
    if not cursor:
        return None
    text, dot, mac = cursor.partition(".")
    if not dot:
        return _opened(app, tenant, of, cursor)
    if not hmac.compare_digest(mac.encode(), _cursor_mac(app, tenant, of, text).encode()):
        raise BadRequest(OTHER_CURSOR)
    return orjson.loads(base64.urlsafe_b64decode(text))


def _opened(app: Application, tenant: str, of: str, cursor: str) -> Any:
    try:
        return orjson.loads(_cipher(app, tenant).decrypt(base64.urlsafe_b64decode(cursor), [of.encode()]))
    except (ValueError, InvalidTag) as error:
        raise BadRequest(OTHER_CURSOR) from error


def _cursor_mac(app: Application, tenant: str, of: str, text: str) -> str:
    return app.keys.hmac(tenant, f"cursor|{of}|{text}")[:CURSOR_MAC_CHARACTERS]


def listed(items: Sequence[Mapping[str, Any]], next_cursor: str | None) -> Response:
    """A page as JSON: `items` and `next_cursor` (null on the last page)."""
    return Response(orjson.dumps({"items": items, "next_cursor": next_cursor}), media_type=JSON)


def shown(document: Mapping[str, Any], version: int | None = None) -> Response:
    """One document as JSON, with the stream's version as ETag."""
    headers = {"ETag": f'"{version}"'} if version else {}
    return Response(orjson.dumps(document), media_type=JSON, headers=headers)


# Problems (RFC 9457)


def problem(error: Problem) -> Response:
    """The one place where a refusal becomes HTTP."""
    fields = {name: value for name, value in error.fields.items() if value is not None}
    body = {
        "type": f"/problems/{error.slug}",
        "title": error.slug.replace("-", " "),
        "status": error.status,
        "detail": error.detail,
        "slug": error.slug,
        **fields,
    }
    return Response(_readable(body), error.status, {**_headers(fields), **error.headers}, PROBLEM)


def _headers(fields: Mapping[str, Any]) -> dict[str, str]:
    wait = fields.get("retry_after_seconds")
    return {} if wait is None else {"Retry-After": str(wait)}


def _readable(body: dict[str, Any]) -> bytes:
    """The body as JSON, also where it quotes text that is no Unicode."""
    try:
        return orjson.dumps(body, default=str)
    except TypeError:
        return json.dumps(body, default=str).encode()


def _invalid(error: RequestValidationError) -> Problem:
    unread = next((fault for fault in error.errors() if fault["type"] == "json_invalid"), None)
    if unread:
        return BadRequest(f"the body is not JSON: {unread['ctx']['error']} at character {unread['loc'][-1]}")
    errors = [
        {
            "path": ".".join(str(part) for part in fault["loc"]),
            "code": fault["type"].replace("_", "-"),
            "message": NO_OBJECT + (OF_THE_BODY if len(fault["loc"]) == 1 else "")
            if fault["type"] == "model_attributes_type"
            else fault["msg"].removeprefix(VALUE_ERROR),
        }
        for fault in error.errors()[:LIMIT_MAX]
    ]
    return Unreadable("Some fields do not fit: `errors` names each.", errors=errors)


VALUE_ERROR = "Value error, "
"""What pydantic puts before the words of our own checks."""
WHAT_NEXT = {
    404: "There is no such address: the OpenAPI document lists those that there are.",
    405: "This address does not take that method: the OpenAPI document says which it takes.",
}


class NoAnswer(Problem):
    """What the framework answers for itself: there is no such route, or not for this method."""

    def __init__(self, request: Request, error: HTTPException) -> None:
        super().__init__(WHAT_NEXT.get(error.status_code, error.detail))
        unread = error.status_code == BadRequest.status
        slug = BadRequest.slug if unread else error.detail.lower().replace(" ", "-")
        headers = {**(error.headers or {}), **_allow(request, error)}
        self.__dict__.update(status=error.status_code, slug=slug, headers=headers)


def _allow(request: Request, error: HTTPException) -> dict[str, str]:
    """The methods of every route of the address: the framework names those of the first."""
    if error.status_code != 405:  # noqa: PLR2004  the address takes other methods
        return {}
    routes = (one for one in request.app.routes if one.matches(request.scope)[0] is not Match.NONE)
    return {"Allow": ", ".join(sorted({method for one in routes for method in getattr(one, "methods", None) or ()}))}


class Bug(Problem):
    """Something is wrong on our side; it has been logged."""

    status = 500
    slug = "internal"


class HungUp(BadRequest):
    """The caller hung up before its request was whole: it was not looked at."""


async def failed(request: Request, error: Exception) -> Response:
    """Answers what nobody foresaw, and logs it."""
    with logs.correlated(correlation_id=_correlation(request.scope), traceparent=_traceparent(request)):
        log.error("request_failed", method=request.method, route=_route(request), exc_info=error)
    return problem(Bug())


def _correlation(scope: Scope) -> str | None:
    """Of a request whose caller was found out before it failed."""
    found: str | None = scope.get("state", {}).get("correlation_id")
    return found


def _answering(as_problem: Callable[[Any], Problem]) -> Callable[[Request, Any], Awaitable[Response]]:
    async def answer(_: Request, error: Any) -> Response:
        return problem(as_problem(error))

    return answer


async def no_answer(request: Request, error: Any) -> Response:
    """Answers where no route does."""
    return problem(NoAnswer(request, error))


async def unavailable(request: Request, error: Unavailable) -> Response:
    """Answers as this app says that something is away."""
    answer: Response = await request.app.exception_handlers[Unavailable](request, error)
    return answer


async def _of_a_later_release(request: Request, error: Any) -> Response:
    return await unavailable(request, Unavailable(str(error)))


def with_conventions(app: FastAPI, application: Application, identify: Identify) -> FastAPI:
    """Gives a FastAPI app the answers, limits and dependencies that every service has."""
    app.state.application, app.state.identify = application, identify
    app.add_exception_handler(Problem, _answering(lambda error: error))
    app.add_exception_handler(RequestValidationError, _answering(_invalid))
    app.add_exception_handler(HTTPException, no_answer)
    app.add_exception_handler(ClientDisconnect, _answering(lambda _: HungUp()))
    app.add_exception_handler(Unavailable, _answering(lambda error: error))
    app.add_exception_handler(Exception, failed)
    app.add_exception_handler(UnknownType, _of_a_later_release)
    app.add_middleware(BodyLimit, bytes_max=application.body_bytes_max, files=application.files)
    app.add_middleware(ComeAgain)
    return app


class Measured:
    """Measures each request until its answer begins: what streams on afterwards is not somebody waiting."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app, self.telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.telemetry.request(scope["method"], message["status"], perf_counter() - started)
            await send(message)

        return await self.app(scope, receive, sending)


class ComeAgain:
    """Answers 503 where something is away for now (a database, room on the disk): nothing is wrong with the request.

    What the answer looks like is the app's to say, as for what a route raises.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if begun or not is_away(error):
                raise
            request = Request(scope)
            with logs.correlated(correlation_id=_correlation(scope), traceparent=_traceparent(request)):
                log.warning("away", error=repr(error))
            answer = await unavailable(request, Unavailable())
            await answer(scope, receive, send)


class _Taken:
    """A body as it is taken in: how much of it came, and whether more is to come."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive, self.bytes = receive, 0
        self.more = header(Request(scope), b"expect") is None  # else it is not sent before it is asked for

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        self.more = message.get("more_body", False)
        return message

    async def drop_the_rest(self) -> None:
        """Takes in what is left and drops it: whoever is cut off while sending never reads the answer.

        Who sends nothing for a second is not waited for. Behind the door it may be the door that finds too much.
        """
        ends = perf_counter() + DROPPED_SECONDS  # asked each time: a wait whose end has come is not told of a timeout's
        with contextlib.suppress(TimeoutError, TooLarge):
            while self.more and self.bytes < DROPPED_BYTES_MAX and perf_counter() < ends:
                await asyncio.wait_for(self.receive(), QUIET_SECONDS)


class BodyLimit:
    """Refuses a body that is too large before anything reads it, whatever its headers say.

    What nobody reads of a body is taken in before the answer goes out, up to 64 MiB within 10 seconds, as long as it goes
    on coming. `files` are the paths at which files are taken, with how large these may be.
    """

    def __init__(self, app: ASGIApp, bytes_max: int, files: Mapping[str, int] | None = None) -> None:
        self.app, self.bytes_max, self.files = app, bytes_max, files or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return await self.app(scope, receive, send)
        taken = _Taken(scope, receive)

        async def heard_out(message: Message) -> None:
            if taken.more and message["type"] == "http.response.start":
                await taken.drop_the_rest()
            await send(message)

        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        bytes_max = max(self.bytes_max, self.files.get(scope["path"], 0))
        if not length.isdigit() or int(length) > bytes_max:
            return await problem(TooLarge(limit_bytes=bytes_max))(scope, receive, heard_out)
        return await self._counted(bytes_max, scope, taken, heard_out)

    async def _counted(self, bytes_max: int, scope: Scope, taken: _Taken, send: Send) -> None:
        over = False

        async def counting() -> Message:
            nonlocal over
            message = await taken.receive()
            over = taken.bytes > bytes_max
            if over:
                raise TooLarge(limit_bytes=bytes_max)
            return message

        async def unless_over(message: Message) -> None:
            if not over:
                await send(message)

        with contextlib.suppress(TooLarge):
            await self.app(scope, counting, unless_over)
        if over:  # whoever read the body may have answered for itself: its answer is dropped
            await problem(TooLarge(limit_bytes=bytes_max))(scope, taken.receive, send)

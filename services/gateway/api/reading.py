"""What happened over all services: events, live stream, timelines, the deal board, search, why."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from heapq import merge
from itertools import accumulate
from operator import itemgetter
from typing import Annotated, Any, NotRequired, TypedDict

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.decider import NotFound, Problem
from chassis.event import Seen
from chassis.http import (
    JSON,
    App,
    Lines,
    Paged,
    Reader,
    Unavailable,
    listed,
    opened_cursor,
    page,
    reads,
    shown,
    signed_cursor,
)
from chassis.identity import Principal
from chassis.inspection import AccessTable
from chassis.read_store.port import Contains, Range
from chassis.rulebook import Change, Input, Reason
from contracts.catalogue import SERVICES
from services.gateway.access import ACCESS, EVENTS_OF, READ_BOARD, READ_EVENTS, READ_MONEY_EVENTS, READ_TIMELINE, SEARCH
from services.gateway.adapters.hub import Queue
from services.gateway.api.authentication import known_by, token_of
from services.gateway.api.door import call
from services.gateway.projections import deal_cards, event_log
from services.gateway.projections.deal_cards import ShownCard
from services.gateway.projections.event_log import ShownEvent, readable_by

EVENTS_MAX = 1_000
WORDS_MAX = 5
WORD_LENGTH_MAX = 15
HEARTBEAT_SECONDS = 15.0
STREAM_SECONDS = 30 * 60.0
RESUME_PAGES_MAX = 100
CURSOR_LENGTH_MAX = 1_000

router = APIRouter(prefix="/v1", tags=["reading"])
Id = Annotated[str, Path(min_length=1, max_length=64)]
Places = dict[str, int]


# Cursors: one position a service


FEED = "events"


def cursor_of(app: Application, tenant: str, places: Places) -> str:
    """The opaque text of a place in every service's log."""
    return signed_cursor(app, tenant, FEED, places)


def places_of(app: Application, tenant: str, cursor: str) -> Places:
    """The positions of a cursor, all 0 for none. Raises BadRequest."""
    found: Places = opened_cursor(app, tenant, FEED, cursor) or {}
    return {service: found.get(service, 0) for service in SERVICES}


# Events


@router.get("/events", response_class=Lines)
@reads("event_log")
async def events(
    caller: Reader,
    app: App,
    cursor: Annotated[str, Query(max_length=CURSOR_LENGTH_MAX)] = "",
    type: Annotated[str | None, Query(max_length=100)] = None,  # noqa: A002  the public name of the filter
    subject: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = 100,
) -> Response:
    """The events that this side may know, one a line, each service's in order; `Entente-Next` is the next cursor."""
    app.access.check(caller.principal, READ_EVENTS)
    start = places_of(app, caller.tenant, cursor)
    found, places = await after(app, caller.principal, start, {"type": type, "subject": subject}, limit)
    lines = b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in found)
    return Lines(lines, headers={"Entente-Next": cursor_of(app, caller.tenant, places)})


async def after(
    app: Application, who: Principal, places: Places, where: dict[str, Any], limit: int
) -> tuple[list[dict[str, Any]], Places]:
    """The next events beyond the places, and the places after them. Within a service nothing is left out."""
    named = {name: value for name, value in where.items() if value is not None} | readable_by(who.partner_ids)
    found = [await _of_service(app, who.tenant, service, places[service], named, limit) for service in sources_of(who)]
    chosen = in_order(found)[:limit]
    views = [view for view in (event_view(item, who) for item in chosen) if view is not None]
    return views, {**places, **{item["source"]: item["position"] for item in chosen}}


def in_order(found: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Services' events merged by time, each service's in its own order: also where an earlier time stands behind."""
    return [item for _, item in merge(*map(_timed, found), key=itemgetter(0))]


def _timed(items: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return list(zip(accumulate((item["at"] for item in items), max), items, strict=True))


def sources_of(who: Principal) -> tuple[str, ...]:
    """The services of whose events this side and role may know."""
    return tuple(service for service in SERVICES if ACCESS.allows(who, EVENTS_OF[service]))


async def _of_service(
    app: Application, tenant: str, service: str, position: int, where: dict[str, Any], limit: int
) -> list[dict[str, Any]]:
    where = {**where, "order": _orders(service, position)}
    page = await app.read.find("event_log", tenant, where=where, sort="order", limit=limit)
    return page.items


def _orders(service: str, position: int) -> Range:
    """What is beyond a position of one service."""
    return Range(at_least=event_log.order_of(service, position + 1), below=f"{service};")


def event_view(item: dict[str, Any], who: Principal) -> dict[str, Any] | None:
    """One event as this side may read it."""
    if item["source"] not in sources_of(who):
        return None
    mine = event_log.partner_view(item, who.partner_ids) if who.partner_ids else item
    return None if mine is None else {name: value for name, value in mine.items() if name != "order"}


@router.get("/events/{event_id}")
@answers(ShownEvent)
@reads("event_log")
async def event(event_id: Id, caller: Reader, app: App) -> Response:
    """One event."""
    app.access.check(caller.principal, READ_EVENTS)
    return shown(await known_event(app, caller.principal, event_id))


async def known_event(app: Application, who: Principal, event_id: str) -> dict[str, Any]:
    """The event as this side may read it. Raises NotFound alike for what is not there and what is not theirs."""
    item = await app.read.get("event_log", who.tenant, event_id)
    view = event_view(item, who) if item else None
    if view is None:
        raise NotFound
    return view


# Live


class ServerSent(StreamingResponse):
    """An answer that goes on: events as they happen."""

    media_type = "text/event-stream"


@router.get("/stream", response_class=ServerSent)
async def stream(
    request: Request, caller: Reader, app: App, cursor: Annotated[str, Query(max_length=CURSOR_LENGTH_MAX)] = ""
) -> Response:
    """Server-sent events: what happens from now on, or beyond `Last-Event-ID` or `cursor`. Ends after 30 minutes."""
    who = caller.principal
    app.access.check(who, READ_EVENTS)
    app.ports.hub.check_room(who.tenant, who.subject)
    start = request.headers.get("last-event-id", "") or cursor
    places = places_of(app, who.tenant, start) if start else None
    lines = live(app, who, places, partial(_still_good, app, who, token_of(request)))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return ServerSent(lines, headers=headers)


async def _still_good(app: Application, who: Principal, token: str) -> bool:
    """Whether the token still opens, for the same partners: what was revoked, and who was merged, hears nothing more."""
    try:
        found = await known_by(app, token)
    except Problem:
        return False
    return found.principal.partner_ids == who.partner_ids


async def live(
    app: Application, who: Principal, places: Places | None, still_good: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """The lines of one live stream, read from the event log, so that a cut anywhere leaves neither gap nor repeat.

    Whoever falls too far behind, and whoever is signed out, is sent away.
    """
    with app.ports.hub.listening(who.tenant, who.subject) as queue:
        resumed = places is not None
        places = places if places is not None else await heads_of(app, who.tenant)
        yield b": open\nretry: 1000\n\n"
        if resumed:
            if not await _all_in_log(app, who.tenant):
                return
            async for line in _missed(app, who, places):
                yield line
        async for seen in _heard(queue, still_good):
            if seen is not None and not await _in_log(app, seen.tenant, seen.source, seen.position):
                return
            async for line in _told(app, who, places, seen) if seen else _still_here(app, who, places):
                yield line


async def _still_here(app: Application, who: Principal, places: Places) -> AsyncIterator[bytes]:
    """A sign of life, and what the log has that this process, having only just begun to listen, was not told of."""
    async for line in _missed(app, who, places):
        yield line
    yield b": still here\n\n"


async def _heard(queue: Queue, still_good: Callable[[], Awaitable[bool]]) -> AsyncIterator[Seen | None]:
    """What the hub hands over, and None every `HEARTBEAT_SECONDS`, for `STREAM_SECONDS` or until it is over."""
    loop = asyncio.get_running_loop()
    ends_at, looks_at = loop.time() + STREAM_SECONDS, loop.time() + HEARTBEAT_SECONDS
    while loop.time() < ends_at:
        if loop.time() >= looks_at:
            if not await still_good():
                return
            looks_at = loop.time() + HEARTBEAT_SECONDS
            yield None
        try:
            seen = await asyncio.wait_for(queue.get(), looks_at - loop.time())
        except TimeoutError:
            continue
        if seen is None:
            return
        yield seen


async def heads_of(app: Application, tenant: str) -> Places:
    """Where each service's log ends now."""
    found = dict.fromkeys(SERVICES, 0)
    for service in SERVICES:
        last = await app.read.find("event_log", tenant, where={"order": _orders(service, 0)}, sort="-order", limit=1)
        found[service] = last.items[0]["position"] if last.items else 0
    return found


async def _missed(app: Application, who: Principal, places: Places) -> AsyncIterator[bytes]:
    for _ in range(RESUME_PAGES_MAX):
        found, following = await after(app, who, places, {}, EVENTS_MAX)
        for item in found:
            places[item["source"]] = item["position"]
            yield _sse(app, who.tenant, places, item)
        if following == places and not found:
            return
        places.update(following)


async def _in_log(app: Application, tenant: str, source: str, position: int) -> bool:
    """Whether the event log holds a service's events up to a position, after a wait."""
    return app.reached is None or await app.reached("event_log", source, position, app.wait_seconds, tenant)


async def _all_in_log(app: Application, tenant: str) -> bool:
    """Whether the log holds all that the hub had told before this stream listened: it is read from there."""
    told = app.ports.hub.told(tenant).items()
    return all([await _in_log(app, tenant, source, position) for source, position in told])


async def _told(app: Application, who: Principal, places: Places, seen: Seen) -> AsyncIterator[bytes]:
    """What the log holds of the event's service beyond the place, where the event is this side's to know."""
    theirs = seen.source in sources_of(who) and (not who.partner_ids or seen.event.for_any(who.partner_ids))
    if seen.position <= places[seen.source] or not theirs:
        return
    for item in await _of_service(
        app, who.tenant, seen.source, places[seen.source], readable_by(who.partner_ids), EVENTS_MAX
    ):
        view = event_view(item, who)
        places[seen.source] = item["position"]
        if view is not None:
            yield _sse(app, who.tenant, places, view)


def _sse(app: Application, tenant: str, places: Places, item: dict[str, Any]) -> bytes:
    cursor = cursor_of(app, tenant, places).encode()
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor, item["type"].encode(), orjson.dumps(item))


# Deals over all services


@router.get("/deals")
@answers(Page[ShownCard])
@reads("deal_cards")
async def deals(
    caller: Reader,
    app: App,
    paged: Paged,
    status: Annotated[str | None, Query(max_length=32)] = None,
    stage: Annotated[str | None, Query(max_length=32)] = None,
    sort: Annotated[str, Query(pattern="^-?(submitted_at|changed_at)$")] = "-submitted_at",
) -> Response:
    """One card a deal over all services. A partner sees the deals that it is in."""
    items, cursor = await deal_page(app, caller, paged, {"status": status, "stage": stage}, sort)
    return listed(items, cursor)


async def deal_page(
    app: Application, caller: Any, paged: Any, where: dict[str, Any], sort: str
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of cards as this side may read them."""
    app.access.check(caller.principal, READ_BOARD)
    items, cursor = await page(caller, app, "deal_cards", paged, {**where, **_own(caller.principal)}, sort)
    return [card_view(item, caller.principal) for item in items], cursor


def _own(who: Principal) -> dict[str, Any]:
    return {"partner_ids": Contains.any_of(who.partner_ids)} if who.partner_ids else {}


def card_view(card: dict[str, Any], who: Principal) -> dict[str, Any]:
    seen = deal_cards.partner_view(card, who.partner_ids) if who.partner_ids else deal_cards.vendor_view(card)
    return seen if ACCESS.allows(who, READ_MONEY_EVENTS) else {**seen, "earned": None}


@router.get("/deals/{registration_id}")
@answers(ShownCard)
@reads("deal_cards")
async def deal(registration_id: Id, caller: Reader, app: App) -> Response:
    """One deal's card."""
    app.access.check(caller.principal, READ_BOARD)
    return shown(card_view(await app.document(caller.principal, "deal_cards", registration_id), caller.principal))


class ShownTimeline(TypedDict):
    """The events of a deal in every service, oldest first."""

    subject: str
    entries: list[ShownEvent]


@router.get("/timeline/{subject}")
@answers(ShownTimeline)
@reads("timeline")
async def timeline(subject: Id, caller: Reader, app: App) -> Response:
    """All that happened to a deal, in every service, as this side may know it."""
    return shown({"subject": subject, "entries": await timeline_of(app, caller.principal, subject)})


async def timeline_of(app: Application, who: Principal, subject: str) -> list[dict[str, Any]]:
    """The entries with their events, oldest first. Raises NotFound where there is none for this side."""
    app.access.check(who, READ_TIMELINE)
    document = await app.document(who, "timeline", subject)
    ids = [entry["event_id"] for entry in document["entries"]]
    known = await app.read.get_many("event_log", who.tenant, ids)
    views = [event_view(known[event_id], who) for event_id in ids if event_id in known]
    return [view for view in views if view is not None]


@router.get("/search")
@answers(Page[ShownCard])
@reads("deal_cards")
async def search(
    caller: Reader, app: App, paged: Paged, q: Annotated[str, Query(min_length=2, max_length=100)]
) -> Response:
    """Deals by the beginnings of words in number, customer or domain; five words at most, all must be found."""
    return listed(await found_deals(app, caller.principal, q, paged.limit), None)


async def found_deals(app: Application, who: Principal, text: str, limit: int) -> list[dict[str, Any]]:
    """The cards in which every word begins a word; of a sale that it only has a part in, a partner does not know the customer."""
    app.access.check(who, SEARCH)
    words = [word[:WORD_LENGTH_MAX] for word in text.casefold().replace(".", " ").replace("-", " ").split()][:WORDS_MAX]
    if not words:
        return []
    where = {"tokens": Contains(words[0]), **({"partner_id": who.partner_ids} if who.partner_ids else {})}
    found = await app.read.find("deal_cards", who.tenant, where=where, sort="-changed_at", limit=1_000)
    hits = [card for card in found.items if set(words) <= set(card["tokens"])]
    return [card_view(card, who) for card in hits[:limit]]


# Why


class WhyEvent(TypedDict):
    """An event with the decision behind it, what caused it, and what it caused; `hidden` is how many are another's.

    While its service is away, only the events are told; without a decision, `outcome` is null and there is no `detail`.
    """

    event: ShownEvent
    causation_id: NotRequired[str | None]
    correlation_id: NotRequired[str | None]
    command_id: NotRequired[str | None]
    outcome: NotRequired[str | None]
    reasons: NotRequired[list[Reason]]
    inputs: NotRequired[list[Input]]
    would_change: NotRequired[list[Change]]
    detail: NotRequired[dict[str, Any]]
    causes: list[ShownEvent]
    effects: list[ShownEvent]
    hidden: int


@router.get("/why/{event_id}")
@answers(WhyEvent)
async def why(event_id: Id, caller: Reader, app: App) -> Response:
    """Why an event happened, by the service that decided it, with what caused it and what it caused."""
    return shown(await explained(app, caller.principal, event_id))


async def explained(app: Application, who: Principal, event_id: str) -> dict[str, Any]:
    """The owner's explanation, its causes and effects. Raises NotFound, Unavailable while the owner is away."""
    item = await known_event(app, who, event_id)
    answer = await call(app, who, "GET", item["source"], _why_path(item["source"], event_id))
    if answer.status >= Unavailable.status:
        raise Unavailable  # "nobody has a reason" would be said of what has one
    explanation = answer.json() if answer.ok else {}
    chain = await app.read.find(
        "event_log", who.tenant, where={"correlation_id": item["correlation_id"]}, sort="at", limit=200
    )
    visible = [view for view in (event_view(one, who) for one in chain.items) if view is not None]
    return {
        **explanation,
        "event": item,
        "causes": [one for one in visible if one["event_id"] == item["causation_id"]],
        "effects": [one for one in visible if one["causation_id"] == event_id],
        "hidden": len(chain.items) - len(visible),
    }


def _why_path(source: str, event_id: str) -> str:
    return f"/v1/gateway/why/{event_id}" if source == "gateway" else f"/why/{event_id}"


# Documents about the API itself


class AccessMatrix(TypedDict):
    """The tables of all services."""

    services: list[AccessTable]


@router.get("/access-matrix")
@answers(AccessMatrix)
async def access_matrix(caller: Reader, app: App) -> Response:
    """Who may do and see what, in every service."""
    rows = [{"service": app.name, "rows": app.access.as_rows()}]
    for service in SERVICES:
        if service != app.name:
            answer = await call(app, caller.principal, "GET", service, "/access")
            if not answer.ok:
                raise Unavailable
            rows.append(answer.json())
    return Response(orjson.dumps({"services": rows}), media_type=JSON)

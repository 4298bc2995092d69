"""What happened over all services: events, live stream, timelines, the deal board, search, why."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from heapq import merge
from itertools import accumulate
from operator import itemgetter
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from chassis.application import Application
from chassis.decider import NotFound
from chassis.event import Seen, iso, plain
from chassis.http import JSON, App, BadRequest, Paged, Reader, listed, page, reads, shown
from chassis.identity import Principal
from chassis.read_store.port import Contains, Range
from contracts.catalogue import SERVICES
from services.gateway.access import READ_BOARD, READ_EVENTS, READ_TIMELINE, SEARCH
from services.gateway.api.door import call
from services.gateway.projections import deal_cards, event_log
from services.gateway.projections.event_log import readable_by

EVENTS_MAX = 1_000
WORDS_MAX = 5
WORD_LENGTH_MAX = 15
HEARTBEAT_SECONDS = 15.0
LOG_SECONDS = 1.0
STREAM_SECONDS = 30 * 60.0
CURSOR_LENGTH_MAX = 1_000
NDJSON = "application/x-ndjson"

router = APIRouter(prefix="/v1", tags=["reading"])
Id = Annotated[str, Path(min_length=1, max_length=64)]
Places = dict[str, int]


# Cursors: one position a service


def cursor_of(places: Places) -> str:
    """The opaque text of a place in every service's log."""
    return base64.urlsafe_b64encode(orjson.dumps(places, option=orjson.OPT_SORT_KEYS)).decode().rstrip("=")


def places_of(cursor: str) -> Places:
    """The positions of a cursor, all 0 for none. Raises BadRequest."""
    if not cursor:
        return dict.fromkeys(SERVICES, 0)
    try:
        found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return {service: int(found.get(service, 0)) for service in SERVICES}
    except (ValueError, TypeError, AttributeError):
        raise BadRequest("this cursor was not given by this feed") from None


# Events


@router.get("/events")
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
    found, places = await after(app, caller.principal, places_of(cursor), {"type": type, "subject": subject}, limit)
    lines = b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in found)
    return Response(lines, media_type=NDJSON, headers={"Entente-Next": cursor_of(places)})


async def after(
    app: Application, who: Principal, places: Places, where: dict[str, Any], limit: int
) -> tuple[list[dict[str, Any]], Places]:
    """The next events beyond the places, and the places after them. Within a service nothing is left out."""
    named = {name: value for name, value in where.items() if value is not None} | readable_by(who.partner_id)
    found = [await _of_service(app, who.tenant, service, places[service], named, limit) for service in SERVICES]
    chosen = in_order(found)[:limit]
    views = [view for view in (event_view(item, who) for item in chosen) if view is not None]
    return views, {**places, **{item["source"]: item["position"] for item in chosen}}


def in_order(found: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Services' events merged by time, each service's in its own order: also where an earlier time stands behind."""
    return [item for _, item in merge(*map(_timed, found), key=itemgetter(0))]


def _timed(items: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return list(zip(accumulate((item["at"] for item in items), max), items, strict=True))


async def _of_service(
    app: Application, tenant: str, service: str, position: int, where: dict[str, Any], limit: int
) -> list[dict[str, Any]]:
    order = Range(at_least=event_log.order_of(service, position + 1), below=f"{service};")
    page = await app.read.find("event_log", tenant, where={**where, "order": order}, sort="order", limit=limit)
    return page.items


def event_view(item: dict[str, Any], who: Principal) -> dict[str, Any] | None:
    """One event as this side may read it."""
    mine = item if who.partner_id is None else event_log.partner_view(item, who.partner_id)
    return None if mine is None else {name: value for name, value in mine.items() if name != "order"}


@router.get("/events/{event_id}")
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


@router.get("/stream")
async def stream(request: Request, caller: Reader, app: App) -> Response:
    """Server-sent events: what happens from now on, or from `Last-Event-ID` on. Ends after 30 minutes."""
    app.access.check(caller.principal, READ_EVENTS)
    start = request.headers.get("last-event-id", "")
    lines = live(app, caller.principal, places_of(start), resume=bool(start))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


async def live(app: Application, who: Principal, places: Places, *, resume: bool) -> AsyncIterator[bytes]:
    """The lines of one live stream. Whoever falls too far behind is sent away and resumes by its last id."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + STREAM_SECONDS
    with app.ports.hub.listening(who.tenant) as queue:
        yield b": open\nretry: 1000\n\n"
        async for line in _missed(app, who, places, resume=resume):
            yield line
        while loop.time() < ends_at:
            try:
                seen = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if seen is None:
                return
            told = _live_line(seen, who, places)
            if told:
                yield told


async def _kept_up(app: Application) -> None:
    """Waits for the log of events to hold what was told to the streams before this one opened."""
    for source, position in app.ports.hub.told.items():
        if app.reached is not None:
            await app.reached("event_log", source, position, LOG_SECONDS)


async def _missed(app: Application, who: Principal, places: Places, *, resume: bool) -> AsyncIterator[bytes]:
    if resume:
        await _kept_up(app)
    while resume:
        found, following = await after(app, who, places, {}, EVENTS_MAX)
        for item in found:
            places[item["source"]] = item["position"]
            yield _sse(places, item)
        resume = following != places or bool(found)
        places.update(following)


def _live_line(seen: Seen, who: Principal, places: Places) -> bytes | None:
    if seen.position <= places.get(seen.source, 0):
        return None
    public = seen.event if who.partner_id is None else seen.event.for_partner(who.partner_id)
    if public is None:
        return None
    places[seen.source] = seen.position
    item = {
        "event_id": seen.id,
        "source": seen.source,
        "position": seen.position,
        "type": seen.type,
        "subject": seen.stream,
        "at": iso(seen.recorded_at),
        "data": plain(public),
    }
    return _sse(places, item)


def _sse(places: Places, item: dict[str, Any]) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor_of(places).encode(), item["type"].encode(), orjson.dumps(item))


# Deals over all services


@router.get("/deals")
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
    app.access.check(caller.principal, READ_BOARD)
    items, cursor = await deal_page(app, caller, paged, {"status": status, "stage": stage}, sort)
    return listed(items, cursor)


async def deal_page(
    app: Application, caller: Any, paged: Any, where: dict[str, Any], sort: str
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of cards as this side may read them."""
    items, cursor = await page(caller, app, "deal_cards", paged, {**where, **_own(caller.principal)}, sort)
    return [card_view(item, caller.principal) for item in items], cursor


def _own(who: Principal) -> dict[str, Any]:
    return {} if who.partner_id is None else {"partner_ids": Contains(who.partner_id)}


def card_view(card: dict[str, Any], who: Principal) -> dict[str, Any]:
    if who.partner_id is None:
        return deal_cards.vendor_view(card)
    return deal_cards.partner_view(card, who.partner_id)


@router.get("/deals/{registration_id}")
@reads("deal_cards")
async def deal(registration_id: Id, caller: Reader, app: App) -> Response:
    """One deal's card."""
    app.access.check(caller.principal, READ_BOARD)
    return shown(card_view(await app.document(caller.principal, "deal_cards", registration_id), caller.principal))


@router.get("/timeline/{subject}")
@reads("timeline")
async def timeline(subject: Id, caller: Reader, app: App) -> Response:
    """All that happened to a deal, in every service, as this side may know it."""
    app.access.check(caller.principal, READ_TIMELINE)
    return shown({"subject": subject, "entries": await timeline_of(app, caller.principal, subject)})


async def timeline_of(app: Application, who: Principal, subject: str) -> list[dict[str, Any]]:
    """The entries with their events, oldest first. Raises NotFound where there is none for this side."""
    document = await app.document(who, "timeline", subject)
    ids = [entry["event_id"] for entry in document["entries"]]
    known = await app.read.get_many("event_log", who.tenant, ids)
    views = [event_view(known[event_id], who) for event_id in ids if event_id in known]
    return [view for view in views if view is not None]


@router.get("/search")
@reads("deal_cards")
async def search(
    caller: Reader, app: App, paged: Paged, q: Annotated[str, Query(min_length=2, max_length=100)]
) -> Response:
    """Deals by the beginnings of words in number, customer or domain; five words at most, all must be found."""
    app.access.check(caller.principal, SEARCH)
    return listed(await found_deals(app, caller.principal, q, paged.limit), None)


async def found_deals(app: Application, who: Principal, text: str, limit: int) -> list[dict[str, Any]]:
    """The cards in which every word begins a word."""
    words = [word[:WORD_LENGTH_MAX] for word in text.casefold().replace(".", " ").replace("-", " ").split()][:WORDS_MAX]
    if not words:
        return []
    where = {"tokens": Contains(words[0]), **_own(who)}
    found = await app.read.find("deal_cards", who.tenant, where=where, sort="-changed_at", limit=1_000)
    hits = [card for card in found.items if set(words) <= set(card["tokens"])]
    return [card_view(card, who) for card in hits[:limit]]


# Why


@router.get("/why/{event_id}")
async def why(event_id: Id, caller: Reader, app: App) -> Response:
    """Why an event happened, by the service that decided it, with what caused it and what it caused."""
    return shown(await explained(app, caller.principal, event_id))


async def explained(app: Application, who: Principal, event_id: str) -> dict[str, Any]:
    """The owner's explanation, its causes and effects. Raises NotFound."""
    item = await known_event(app, who, event_id)
    answer = await call(app, who, "GET", item["source"], _why_path(item["source"], event_id))
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


@router.get("/access-matrix")
async def access_matrix(caller: Reader, app: App) -> Response:
    """Who may do and see what, in every service."""
    rows = [{"service": app.name, "rows": app.access.as_rows()}]
    for service in SERVICES:
        if service != app.name:
            answer = await call(app, caller.principal, "GET", service, "/access")
            rows += [answer.json()] if answer.ok else []
    return Response(orjson.dumps({"services": rows}), media_type=JSON)

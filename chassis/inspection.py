"""Why, what, and proof: the routes by which every service opens its log to those who may see it."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NotRequired, TypedDict

import orjson
from fastapi import APIRouter, Path, Query, Response

from chassis.access import PARTNER, VENDOR, AccessRow, Who, partner, service, vendor
from chassis.answers import answers
from chassis.application import Application
from chassis.decider import NotFound, stream_base
from chassis.event import SHARED, TYPES, Actor, Seen, iso, plain
from chassis.http import JSON, App, Lines, Reader, shown
from chassis.identity import Principal
from chassis.projection import Projection
from chassis.proof import StreamProof, without_states
from chassis.rulebook import Change, Input, Reason
from chassis.store.port import Recorded
from chassis.transport.lines import line_of
from chassis.transport.port import Outlet

WHY, FEED, PROOF, TABLE_READ = "read why", "read feed", "read proofs", "read access table"
WHOLE_FEED = "read feed of every tenant"
WHOLE_FEED_PATH = "/feed"
FEED_LIMIT_MAX = 1_000
TURN_EVENTS = 100
"""Events that are translated before others of the event loop have their turn."""
NEXT = "Entente-Next"

TABLE: dict[Any, tuple[Who, ...]] = {
    WHY: (vendor(), partner(), service()),
    FEED: (vendor("admin"), vendor("analyst"), service()),
    WHOLE_FEED: (service(),),
    PROOF: (vendor(), partner(), service()),
    TABLE_READ: (vendor(), partner(), service()),
}


class Place(TypedDict):
    """Where an event stands in the log."""

    stream: str
    version: int
    position: int
    type: str


class EventShown(TypedDict):
    """Which event it is. `actor` is on whose behalf it was recorded; a partner is not told."""

    id: str
    type: str
    stream: str
    version: int
    position: int
    recorded_at: str
    actor: Actor | None


class Why(TypedDict):
    """An event with the decision behind it; without one, `outcome` is null and there is no `detail`."""

    event: EventShown
    causation_id: str | None
    correlation_id: str | None
    command_id: str | None
    outcome: str | None
    reasons: list[Reason]
    inputs: list[Input]
    would_change: list[Change]
    detail: NotRequired[dict[str, Any]]


class AccessTable(TypedDict):
    """Every action of the service with those who may take it."""

    service: str
    rows: list[AccessRow]


def _place(document: Place | None, seen: Seen) -> Place:
    return {"stream": seen.stream, "version": seen.version, "position": seen.position, "type": seen.type}


def event_places(service_name: str) -> Projection:
    """The read model that finds an event of this service by its id. Records of commands are not in it."""
    prefixes = (f"{service_name}.", "chassis.Rules")
    own = [cls for name, cls in TYPES.classes.items() if name.startswith(prefixes) and not _is_command(cls)]
    return Projection(name="event_places", version=1, keys=dict.fromkeys(own, lambda seen: seen.id), evolve=_place)


def _is_command(cls: type[Any]) -> bool:
    return "now" in cls.__dataclass_fields__


router = APIRouter(tags=["inspection"])
EventId = Annotated[str, Path(min_length=1, max_length=64)]


@router.get("/why/{event_id}")
@answers(Why)
async def why(event_id: EventId, caller: Reader, app: App) -> Response:
    """Why an event happened: outcome, reasons, inputs with the events they came from, and what would have changed it."""
    app.access.check(caller.principal, WHY)
    recorded = await _recorded(app, caller.tenant, event_id)
    seen = recorded.seen(app.name)
    if not await _may_ask(app, caller.principal, seen):
        raise NotFound
    beside = await _together(app, recorded)
    own = [one for one in beside if one.stream == seen.stream]
    others = [one for one in beside if one.stream != seen.stream and await _may_ask(app, caller.principal, one)]
    own_side = caller.principal.kind != PARTNER
    explained = _explained(app, seen, (*own, *others), own_side=own_side)
    if app.source and own_side:
        explained["inputs"] = [await app.source(app, seen, one) for one in explained["inputs"]]
    return shown(explained)


async def _recorded(app: Application, tenant: str, event_id: str) -> Recorded:
    place = await app.read.get("event_places", tenant, event_id)
    if place is None:
        raise NotFound
    found = await app.executor.store.load(place["stream"], after=place["version"] - 1)
    return found[0]


async def _together(app: Application, recorded: Recorded) -> list[Seen]:
    """The events of the same command: they were decided at once."""
    near = await app.executor.store.feed(max(0, recorded.position - app.together_max), 2 * app.together_max)
    same = [r for r in near if r.command_id == recorded.command_id and r.tenant == recorded.tenant]
    return [r.seen(app.name) for r in same if not r.type.startswith("chassis.Command")]


async def _may_ask(app: Application, who: Principal, seen: Seen) -> bool:
    if who.kind in (VENDOR, "service"):
        return True
    rule = app.may_ask.get(type(seen.event))
    return await rule(app, who, seen) if rule else disclosed(app, seen, who)


def disclosed(app: Application, seen: Seen, who: Principal) -> bool:
    """Whether an event has a public form that this partner may read."""
    public = app.publish(seen) if app.publish else None
    return public is not None and public.for_any(who.partner_ids) is not None


def _explained(app: Application, seen: Seen, together: Sequence[Seen], *, own_side: bool) -> dict[str, Any]:
    decision = _decision(app, seen, together)
    if decision is not None and not own_side:
        decision = app.disclose(decision)
    return {
        "event": {
            "id": seen.id,
            "type": seen.type,
            "stream": seen.stream,
            "version": seen.version,
            "position": seen.position,
            "recorded_at": iso(seen.recorded_at),
            "actor": plain(seen.actor) if own_side else None,
        },
        "causation_id": seen.causation_id,
        "correlation_id": seen.correlation_id,
        "command_id": seen.command_id,
        **(
            plain(decision)
            if decision is not None
            else {"outcome": None, "reasons": [], "inputs": [], "would_change": []}
        ),
    }


def _decision(app: Application, seen: Seen, together: Iterable[Seen]) -> Any:
    """The explanation of the event itself, else of the first that was decided with it and can be explained."""
    for candidate in (seen, *together):
        explain = app.explain.get(type(candidate.event))
        decision = explain(candidate) if explain else None
        if decision is not None:
            return decision
    return None


After = Annotated[int, Query(ge=0, le=1 << 53)]
Limit = Annotated[int, Query(ge=1, le=FEED_LIMIT_MAX)]


@router.get("/events", response_class=Lines)
async def feed(caller: Reader, app: App, after: After = 0, limit: Limit = FEED_LIMIT_MAX) -> Response:
    """The service's public events in position order: one JSON object a line; `Entente-Next` is the position to go on from."""
    app.access.check(caller.principal, FEED)
    recorded = await app.executor.store.feed(after, limit)
    lines = [line for line in (_public_line(app, r) for r in recorded if r.tenant == caller.tenant) if line]
    following = recorded[-1].position if recorded else after
    return Lines(b"".join(lines), headers={NEXT: str(following)})


@router.get(WHOLE_FEED_PATH, response_class=Lines, include_in_schema=False)
async def whole_feed(caller: Reader, app: App, after: After = 0, limit: Limit = FEED_LIMIT_MAX) -> Response:
    """The public events of every tenant, as the topic carries them, for the other services alone: paged as `/events`.

    Their read models are filled from here. To whoever acts for one tenant, be it a service, it is not there.
    """
    if caller.tenant != SHARED or not app.access.allows(caller.principal, WHOLE_FEED):
        raise NotFound
    recorded = await app.executor.store.feed(after, limit)
    following = recorded[-1].position if recorded else after
    return Lines(await _public_lines(app, recorded), headers={NEXT: str(following)})


async def _public_lines(app: Application, recorded: Sequence[Recorded]) -> bytes:
    outlet = Outlet(app.name, app.executor.store, app.publish or (lambda _: None))
    lines: list[bytes] = []
    for number, one in enumerate(recorded, start=1):
        if (message := outlet.translate(one)) is not None:
            lines.append(line_of(message))
        if number % TURN_EVENTS == 0:
            await asyncio.sleep(0)
    return b"".join(lines)


def _public_line(app: Application, recorded: Recorded) -> bytes | None:
    seen = recorded.seen(app.name)
    public = app.publish(seen) if app.publish else None
    if public is None:
        return None
    envelope = {
        "specversion": "1.0",
        "id": seen.id,
        "type": public.type,
        "source": f"/entente/{app.name}/{app.executor.store.epoch}",
        "subject": stream_base(seen.stream),
        "time": iso(seen.recorded_at),
        "sequence": f"{seen.position:020d}",
        "tenant": seen.tenant,
        "data": plain(public),
    }
    return orjson.dumps(envelope, option=orjson.OPT_APPEND_NEWLINE)


@router.get("/proofs/{stream}")
@answers(StreamProof)
async def proof(stream: Annotated[str, Path(min_length=1, max_length=300)], caller: Reader, app: App) -> Response:
    """The events of a stream (`deal-<id>`), each with the proof that the newest signed checkpoint covers it.

    A partner gets its own streams, with the hashes of the events in place of their stored bytes.
    """
    app.access.check(caller.principal, PROOF)
    name = f"{caller.tenant}:{stream}"
    theirs = caller.principal.kind == PARTNER
    if app.proof is None or (theirs and not await _about(app, name, caller.principal)):
        raise NotFound
    found = await app.proof(name)
    return shown(without_states(found) if theirs else found)


async def _about(app: Application, stream: str, who: Principal) -> bool:
    """Whether this partner may read some of the stream's public events, and no other partner any of the rest."""
    events = [app.publish(r.seen(app.name)) for r in await app.executor.store.load(stream)] if app.publish else []
    told = [event for event in events if event is not None]
    mine = [event for event in told if event.for_any(who.partner_ids) is not None]
    others = [event for event in told if event not in mine]
    return bool(mine) and not any(event.for_partner(one) for event in others for one in event.partners())


@router.get("/access")
@answers(AccessTable)
async def table(caller: Reader, app: App) -> Response:
    """Who may do and see what in this service, as data."""
    app.access.check(caller.principal, TABLE_READ)
    return Response(orjson.dumps({"service": app.name, "rows": app.access.as_rows()}), media_type=JSON)

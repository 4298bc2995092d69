"""The operators' routes to a service's parked messages: look, replay, discard. One set for every service."""

from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chassis.access import Who, operator
from chassis.answers import Page, answers
from chassis.http import LIMIT_MAX, App, Body, Reader, Writer, answered, listed
from chassis.parked import DiscardParked, ReplayParked
from chassis.parking import ParkedRow, Place

READ_PARKED = "read parked messages"
BODY_CHARACTERS_MAX = 2_000

TABLE: dict[Any, tuple[Who, ...]] = {
    ReplayParked: (operator(),),
    DiscardParked: (operator(),),
    READ_PARKED: (operator(),),
}

Name = Annotated[str, Field(min_length=1, max_length=300)]
Number = Annotated[int, Field(ge=0, le=1 << 53)]


class ReplayBody(Body):
    """Which messages go again: those of a group, those of a subject (`acme:deal-…`), both, or without either all."""

    group: Name | None = None
    subject: Name | None = None


class PlaceBody(Body):
    """Where the message stands, as the list shows it."""

    group: Name
    topic: Name
    partition: Number
    offset: Number


class ParkedMessage(TypedDict):
    """One message that was given up on, or waits behind one. `body` is its beginning."""

    group: str
    topic: str
    partition: int
    offset: int
    subject: str
    state: str
    reason: str
    parked_at: str
    discard_proposed_by: str | None
    discarded_by: str | None
    event_id: str | None
    type: str | None
    tenant: str | None
    position: int
    body: str


router = APIRouter(tags=["parked"])


@router.get("/parked")
@answers(Page[ParkedMessage])
async def parked(
    caller: Reader,
    app: App,
    *,
    settled: bool = False,
    about: Annotated[str | None, Query(min_length=8, max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_MAX,
) -> Response:
    """The messages that were given up on, a subject's in order; with `settled` those that are done or discarded too.

    `about` is the id of a person or a record: those messages alone that name it.
    """
    app.access.check(caller.principal, READ_PARKED)
    rows = await app.parked.parking.listed(everything=settled, about=about, limit=limit)
    return listed([_shown(row) for row in rows], None)


@router.post("/parked/replay")
async def replay(body: ReplayBody, caller: Writer, app: App) -> Response:
    """Lets messages go again, once what stood in their way is mended; who waits behind them follows in order."""
    app.access.check(caller.principal, ReplayParked)
    by = caller.principal.by
    outcome = await app.parked.replay(caller.order(), by=by, group=body.group, subject=body.subject)
    return answered(app, outcome)


@router.post("/parked/discard")
async def discard(body: PlaceBody, caller: Writer, app: App) -> Response:
    """Proposes to give one message up for good; a second operator's same request agrees to it."""
    app.access.check(caller.principal, DiscardParked)
    place = Place(group=body.group, topic=body.topic, partition=body.partition, offset=body.offset)
    return answered(app, await app.parked.discard(caller.order(), place, by=caller.principal.by))


def _shown(row: ParkedRow) -> ParkedMessage:
    place, message = row.place, row.message
    return {
        "group": place.group,
        "topic": place.topic,
        "partition": place.partition,
        "offset": place.offset,
        "subject": row.subject,
        "state": row.state,
        "reason": row.reason,
        "parked_at": row.parked_at,
        "discard_proposed_by": row.discard_proposed_by,
        "discarded_by": row.discarded_by,
        "event_id": message.id or None,
        "type": message.type or None,
        "tenant": message.tenant or None,
        "position": message.position,
        "body": message.body.decode(errors="replace")[:BODY_CHARACTERS_MAX],
    }

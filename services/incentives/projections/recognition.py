"""What is each payee recognised for in a year: points, badges, what they came from, and whether others may see it?"""

from datetime import datetime
from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.incentives.domain.recognition import (
    PointsCounted,
    PointsTakenBack,
    RecognitionAwarded,
    RecognitionRevoked,
    RecognitionShared,
    recognition_id,
)
from services.incentives.projections.amounts import sorts

SHOWN_MAX = 50


class PointStep(TypedDict):
    """Points that were given or taken, for what, and the total after it."""

    reason: str
    points: int
    total: int
    ref: str | None
    at: Annotated[str, datetime]
    event_id: str


class Badge(TypedDict):
    """A badge, and at how many points it is awarded."""

    badge: str
    at: int
    plan_id: str
    awarded_at: str
    event_id: str


class RecognitionDocument(TypedDict):
    """`points` by rules; `steps` the newest first; `shared` 1 while the other partners may see points and badges.

    `amount_sorts` is all points as a text that sorts as their number does.
    """

    recognition_id: str
    payee_id: str
    partner_id: str
    year: int
    points: dict[str, int]
    badges: list[Badge]
    steps: list[PointStep]
    shared: int
    amount_sorts: str
    changed_at: str


class Celebrated(TypedDict):
    badge: str
    awarded_at: str


class SharedYear(TypedDict):
    """A partner's year that it shares: how many points, which badges."""

    partner_id: str
    year: int
    points: int
    badges: list[Celebrated]


def evolve(document: RecognitionDocument | None, seen: Seen) -> RecognitionDocument:
    happened = seen.event
    known = document or _unknown(happened)
    changes: dict[str, Any] = CHANGES[type(happened)](known, seen)
    changed: Any = {**known, **changes, "changed_at": iso(seen.recorded_at)}
    changed["amount_sorts"] = sorts({"amount": sum(changed["points"].values())})
    found: RecognitionDocument = changed
    return found


def _unknown(it: Any) -> RecognitionDocument:
    return {
        "recognition_id": recognition_id(it.payee_id, it.year),
        "payee_id": it.payee_id,
        "partner_id": it.partner_id,
        "year": it.year,
        "points": {},
        "badges": [],
        "steps": [],
        "shared": 0,
        "amount_sorts": "",
        "changed_at": "",
    }


def _counted(known: RecognitionDocument, seen: Seen) -> dict[str, Any]:
    it: PointsCounted = seen.event
    return _pointed(known, seen, it.achievement, it.points)


def _taken_back(known: RecognitionDocument, seen: Seen) -> dict[str, Any]:
    it: PointsTakenBack = seen.event
    return _pointed(known, seen, it.reason_code, -it.points)


def _pointed(known: RecognitionDocument, seen: Seen, reason: str, points: int) -> dict[str, Any]:
    it: PointsCounted | PointsTakenBack = seen.event
    step = {"reason": reason, "points": points, "total": it.total, "ref": it.ref, "at": iso(seen.recorded_at)}
    return {
        "points": {**known["points"], it.plan_id: it.total},
        "steps": [{**step, "event_id": seen.id}, *known["steps"]][:SHOWN_MAX],
    }


def _awarded(known: RecognitionDocument, seen: Seen) -> dict[str, Any]:
    it: RecognitionAwarded = seen.event
    badge = {"plan_id": it.plan_id, "badge": it.badge, "at": it.at, "awarded_at": iso(it.awarded_at)}
    return {"badges": [*known["badges"], {**badge, "event_id": seen.id}]}


def _revoked(known: RecognitionDocument, seen: Seen) -> dict[str, Any]:
    it: RecognitionRevoked = seen.event
    gone = (it.plan_id, it.badge)
    return {"badges": [one for one in known["badges"] if (one["plan_id"], one["badge"]) != gone]}


def _shared(_: RecognitionDocument, seen: Seen) -> dict[str, Any]:
    return {"shared": int(seen.event.shared)}


CHANGES: dict[type[Any], Any] = {
    PointsCounted: _counted,
    PointsTakenBack: _taken_back,
    RecognitionAwarded: _awarded,
    RecognitionRevoked: _revoked,
    RecognitionShared: _shared,
}


def _year(seen: Seen) -> str:
    return recognition_id(seen.event.payee_id, seen.event.year)


RECOGNITION = Projection(
    name="recognition",
    version=2,
    keys=dict.fromkeys(CHANGES, _year),
    evolve=evolve,
    indexes=(
        "changed_at",
        "partner_id,changed_at",
        "year,changed_at",
        "shared,changed_at",
        "amount_sorts",
        "partner_id,amount_sorts",
    ),
)

"""One deal: what was submitted, what became of it, step by step with the reasons, and what was found around it.

`found` holds rivals and similar customers: it is the vendor's, and is left out of what a partner reads.
"""

from typing import Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.deal_events import (
    ConflictDetected,
    DealAmended,
    DealRegistered,
    DealResubmitted,
    DealReturned,
    DealScreened,
    FindingDecided,
)
from services.registration.domain.deal_events import DealApproved as Approved
from services.registration.domain.screening import explained
from services.registration.projections import deal_board
from services.registration.projections.deal_board import of_deal

PRIVATE_STEPS = ("DealScreened", "FindingDecided")
"""Steps of the vendor's own review, not told to the partner."""


class Step(TypedDict):
    """One event in the deal's history. `reasons` are {code, text}."""

    event_id: str
    event: str
    at: str
    by: str | None
    reasons: list[dict[str, str]]


class DealDocument(TypedDict):
    """`board` is the row of the list; `details` may hold sealed texts."""

    registration_id: str
    partner_id: str
    version: int
    board: Any
    customer: dict[str, Any]
    details: dict[str, Any]
    rules: dict[str, Any]
    protection: dict[str, Any] | None
    returned: dict[str, Any] | None
    outcome: str | None
    reasons: list[dict[str, Any]]
    conflict: dict[str, Any] | None
    found: dict[str, Any]
    history: list[Step]


def evolve(document: DealDocument | None, seen: Seen) -> DealDocument | None:
    happened = seen.event
    before = _registered(happened) if isinstance(happened, DealRegistered) else document
    if before is None:
        return None
    changed = _changed(before, happened)
    row = deal_board.evolve(before["board"], seen) if type(happened) in deal_board.READS else before["board"]
    return {**changed, "board": row, "version": seen.version, "history": [*before["history"], _step(seen)]}


def _registered(happened: DealRegistered) -> DealDocument:
    return {
        "registration_id": happened.registration_id,
        "partner_id": happened.partner_id,
        "version": 1,
        "board": None,
        "customer": plain(happened.customer),
        "details": plain(happened.details),
        "rules": plain(happened.terms.rules),
        "protection": None,
        "returned": None,
        "outcome": None,
        "reasons": [],
        "conflict": None,
        "found": {},
        "history": [],
    }


def _changed(document: DealDocument, happened: object) -> DealDocument:
    changes: dict[str, Any] = {}
    match happened:
        case DealScreened(screening=screening, rules=rules):
            decision = plain(explained(screening, rules))
            found = {**document["found"], "screening": decision["detail"], "would_change": decision["would_change"]}
            changes = {"outcome": screening.outcome, "reasons": decision["reasons"], "found": found}
        case ConflictDetected(match=match, free_on=day, detected_at=at):
            changes = {"conflict": {"class": match, "free_from": iso(day) if day else None, "detected_at": iso(at)}}
        case DealReturned(fields=fields, message=message):
            changes = {"returned": {"fields": list(fields), "message": plain(message)}}
        case DealResubmitted(details=details):
            changes = {"details": plain(details), "returned": None}
        case DealAmended(details=details):
            changes = {"details": plain(details)}
        case Approved(protection=protection):
            changes = {"protection": {"start": iso(protection.start), "end": iso(protection.end)}}
        case FindingDecided(account_id=account, verdict=verdict):
            decided = [*document["found"].get("decided", []), {"account_id": account, "verdict": verdict}]
            changes = {"found": {**document["found"], "decided": decided}}
        case _:
            pass
    return {**document, **changes}  # type: ignore[typeddict-item]


def _step(seen: Seen) -> Step:
    reasons = getattr(seen.event, "reasons", ())
    return {
        "event_id": seen.id,
        "event": type(seen.event).__name__,
        "at": iso(seen.recorded_at),
        "by": seen.actor.kind if seen.actor else None,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in reasons],
    }


def for_partner(document: dict[str, Any]) -> dict[str, Any]:
    """What the deal's own partner reads of it."""
    told = [step for step in document["history"] if step["event"] not in PRIVATE_STEPS]
    return {**{name: value for name, value in document.items() if name != "found"}, "history": told}


DEAL = Projection(
    name="deal",
    version=1,
    keys=dict.fromkeys((*deal_board.READS, DealScreened, ConflictDetected, FindingDecided), of_deal),
    evolve=evolve,
)

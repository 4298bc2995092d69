"""Which lines wait for their correction, because their payee was right, and when is finance asked again?

A line that is adjusted once it was decided so is corrected, also where the decision is not final yet.
"""

from datetime import datetime
from typing import Any

from chassis.application import Prepared
from chassis.deadlines import DUE_AT, Deadline
from chassis.event import Seen, iso
from chassis.read_store.port import TURN
from services.incentives.domain.disputing import UPHELD
from services.incentives.domain.line_dispute import (
    CorrectionAsked,
    DisputeDecided,
    LineCorrected,
    NoteCorrected,
    RemindCorrection,
)
from services.incentives.domain.sale_events import PayoutAdjusted
from services.incentives.projections.dispute_dues import NAMES, by_rules


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    waiting = dict(document["waiting"]) if document else {}
    happened = seen.event
    match happened:
        case DisputeDecided(outcome=outcome):
            waiting.pop(happened.event_id, None)
            if outcome == UPHELD:
                waiting[happened.event_id] = {**_named(happened), "adjusted": False, DUE_AT: None}
        case CorrectionAsked(due_at=due_at):
            before = waiting.get(happened.event_id, {"adjusted": False})
            due = seen.recorded_at if before["adjusted"] else due_at
            waiting[happened.event_id] = {**before, **_named(happened), DUE_AT: iso(due)}
        case LineCorrected():
            waiting.pop(happened.event_id, None)
        case PayoutAdjusted():
            waiting = {name: _adjusted(one, seen) for name, one in waiting.items()}
        case _:
            pass
    return _due_first(waiting)


def _named(happened: DisputeDecided | CorrectionAsked) -> dict[str, Any]:
    return {name: getattr(happened, name) for name in NAMES}


def _adjusted(one: dict[str, Any], seen: Seen) -> dict[str, Any]:
    due = iso(seen.recorded_at) if one[DUE_AT] else None
    return {**one, "adjusted": True, DUE_AT: due}


def _due_first(waiting: dict[str, Any]) -> dict[str, Any] | None:
    """The line's disputes, with the one that is due first. Of one line two events may be disputed."""
    if not waiting:
        return None
    first = min((one for one in waiting.values() if one[DUE_AT]), key=_order, default=None)
    turn = f"{first['event_id']} {first['adjusted']}" if first else ""
    return {"waiting": waiting, DUE_AT: first[DUE_AT] if first else None, TURN: turn}


def _order(one: dict[str, Any]) -> tuple[str, str]:
    return one[DUE_AT], one["event_id"]


def issue(document: dict[str, Any], now: datetime) -> Prepared | NoteCorrected:
    """Notes that the line was adjusted, else asks for it again."""
    due = (one for one in document["waiting"].values() if one[DUE_AT])
    first = min(due, key=_order)
    if first["adjusted"]:
        return NoteCorrected(**{name: first[name] for name in NAMES}, now=now)
    return by_rules(RemindCorrection, first)


def _line(seen: Seen) -> str | None:
    return getattr(seen.event, "line_id", None) or None


CORRECTIONS = Deadline(
    name="corrections",
    version=1,
    keys=dict.fromkeys((DisputeDecided, CorrectionAsked, LineCorrected, PayoutAdjusted), _line),
    evolve=evolve,
    issue=issue,
)

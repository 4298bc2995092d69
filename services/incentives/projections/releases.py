"""Which held lines, of sales and of windows, become payable, and when?"""

from datetime import UTC, date, datetime, time
from typing import Any

from chassis.deadlines import Deadline
from chassis.event import Seen, iso
from services.incentives.domain.meter import (
    ReleaseTrueUp,
    TrueUpHeldLonger,
    TrueUpPostponed,
    TrueUpReduced,
    TrueUpReleased,
    WindowTruedUp,
)
from services.incentives.domain.sale import HELD
from services.incentives.domain.sale_commands import ReleaseLine
from services.incentives.domain.sale_events import (
    PayoutAdjusted,
    PayoutCalculated,
    PayoutCleared,
    PayoutPostponed,
    PayoutReleased,
    PayoutReversed,
)


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if isinstance(happened, PayoutCalculated):
        return _due(happened) if happened.state == HELD else None
    if isinstance(happened, WindowTruedUp):
        return _of_window(happened) if happened.held else None
    if isinstance(happened, TrueUpPostponed | TrueUpHeldLonger):
        return _of_window(happened)
    if isinstance(happened, PayoutPostponed):
        return _due(happened)
    if isinstance(happened, PayoutReversed | PayoutAdjusted | TrueUpReduced):
        return None if happened.remaining.zero else document
    if isinstance(happened, PayoutCleared):
        return None if happened.others_open else {**_due(happened), "due_at": _cleared(happened)}
    return None


def _cleared(it: PayoutCleared) -> str:
    """Its day, or at once where that passed while the line was under review."""
    return iso(max(start_of(it.payable_on), it.cleared_at))


def _due(happened: PayoutCalculated | PayoutPostponed | PayoutCleared) -> dict[str, Any]:
    due_at = iso(start_of(happened.payable_on))
    return {"due_at": due_at, "opportunity_id": happened.opportunity_id, "line_id": happened.line_id}


def _of_window(happened: WindowTruedUp | TrueUpPostponed | TrueUpHeldLonger) -> dict[str, Any]:
    day = happened.payable_day if isinstance(happened, WindowTruedUp) else happened.payable_on
    due_at = iso(start_of(day))
    return {"due_at": due_at, "meter_id": happened.meter_id, "line_id": happened.line_id}


def start_of(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def release(document: dict[str, Any], now: datetime) -> ReleaseLine | ReleaseTrueUp:
    """The command of a hold that is over."""
    if "meter_id" in document:
        return ReleaseTrueUp(meter_id=document["meter_id"], line_id=document["line_id"], now=now)
    return ReleaseLine(opportunity_id=document["opportunity_id"], line_id=document["line_id"], now=now)


def _line(seen: Seen) -> str:
    line_id: str = seen.event.line_id
    return line_id


RELEASES = Deadline(
    name="releases",
    version=2,
    keys=dict.fromkeys(
        (
            *(PayoutCalculated, PayoutPostponed, PayoutCleared, PayoutReleased, PayoutReversed, PayoutAdjusted),
            *(WindowTruedUp, TrueUpReduced, TrueUpReleased, TrueUpPostponed, TrueUpHeldLonger),
        ),
        _line,
    ),
    evolve=evolve,
    issue=release,
)

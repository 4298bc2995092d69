"""Where does each payee stand in the windows of its plans: what is counted, accrued, settled?"""

from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.meter import (
    Metered,
    RebateAccrued,
    RebateSettled,
    TruedUp,
    TrueUpReduced,
    WindowClosed,
    WindowResumed,
    WindowTruedUp,
    WindowWaits,
)
from services.incentives.projections.amounts import sorts


class ProgressDocument(TypedDict):
    """One window. `posted` is what its lines were rated at, `accrued` and `settled` a rebate's money.

    `waits_for` are the pairs without whose rate of exchange nothing can be posted for it, such as EUR/USD.
    `amount_sorts` is the measure as a text that sorts as the number does.
    """

    meter_id: str
    plan_id: str
    plan_version: int
    partner_id: str
    kind: str
    window: str
    measure: str
    amount_sorts: str
    accrued: Annotated[dict[str, str], Money] | None
    settled: Annotated[dict[str, str], Money] | None
    trued_up: Annotated[dict[str, str], Money] | None
    closes_on: str | None
    closed: bool
    waits_for: str | None
    changed_at: str


class ShownProgress(ProgressDocument):
    """A window with the band that is reached, and what is missing to the next one."""

    band: int | None
    to_next_band: str | None


def evolve(document: ProgressDocument | None, seen: Seen) -> ProgressDocument | None:
    happened = seen.event
    known = _metered(document, happened) if isinstance(happened, Metered) else document
    if known is None:
        return None
    changed: Any = {**known, **_changes(happened), "changed_at": iso(seen.recorded_at)}
    changed["amount_sorts"] = sorts({"amount": changed["measure"]})
    return changed  # type: ignore[no-any-return]


def _metered(document: ProgressDocument | None, it: Metered) -> ProgressDocument:
    empty = {"accrued": None, "settled": None, "trued_up": None, "closed": False, "waits_for": None}
    return {
        **(document or empty),  # type: ignore[typeddict-item]
        "meter_id": it.meter_id,
        "plan_id": it.plan_id,
        "plan_version": it.plan_version,
        "partner_id": it.payee_id,
        "kind": it.kind,
        "window": it.window,
        "measure": str(it.after),
        "closes_on": iso(it.closes_on) if it.closes_on else None,
    }


def _changes(happened: Any) -> dict[str, Any]:
    match happened:
        case RebateAccrued():
            return {"accrued": _money(happened)}
        case RebateSettled():
            return {"settled": _money(happened), "waits_for": None}
        case WindowTruedUp() | TrueUpReduced():
            return {"trued_up": _money(happened)}
        case WindowClosed():
            return {"closed": True, "waits_for": None}
        case WindowWaits():
            return {"waits_for": ", ".join(happened.pairs)}
        case WindowResumed():
            return {"waits_for": None}
        case _:
            return {}


def _money(happened: RebateAccrued | RebateSettled | TruedUp) -> dict[str, str]:
    return {"amount": str(happened.total.amount), "currency": happened.total.currency}


def _meter(seen: Seen) -> str:
    meter_id: str = seen.event.meter_id
    return meter_id


READ = (Metered, RebateAccrued, RebateSettled, WindowTruedUp, TrueUpReduced, WindowClosed, WindowWaits, WindowResumed)

PROGRESS = Projection(
    name="progress",
    version=3,
    keys=dict.fromkeys(READ, _meter),
    evolve=evolve,
    indexes=("changed_at", "partner_id,changed_at", "amount_sorts", "partner_id,amount_sorts"),
)

"""What did each line earn, when is it payable, why is it held, and how was it derived?"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.meter import (
    RebateSettled,
    TrueUpHeldLonger,
    TrueUpPostponed,
    TrueUpReduced,
    TrueUpReleased,
    WindowTruedUp,
)
from services.incentives.domain.payment import RETURNED
from services.incentives.domain.payment_events import PaymentFailed, PaymentMade
from services.incentives.domain.rating import text_of
from services.incentives.domain.sale import HELD, PAYABLE, REVERSED
from services.incentives.domain.sale_events import (
    AdjustmentProposed,
    PayoutAdjusted,
    PayoutCalculated,
    PayoutCleared,
    PayoutPostponed,
    PayoutPutUnderReview,
    PayoutReleased,
    PayoutReversed,
)
from services.incentives.domain.undoing import RECREDITED
from services.incentives.projections.amounts import sorts

PAID = "paid"


TRUE_UP = "true_up"
"""The kind of a line by which a closed window is trued up."""


class Step(TypedDict):
    """One thing that happened to a line; `event_id` leads to its explanation."""

    event_id: str
    kind: str
    text: str
    at: str


class ProposedAdjustment(TypedDict):
    """A change that waits for a second person."""

    adjustment_id: str
    amount: Annotated[dict[str, str], Money]
    reason: str
    by: str


class LineDocument(TypedDict):
    """A line. `state`: held, payable, reversed or paid. Dates: credited, earned, payable, paid.

    `amount_sorts` is the amount as a text that sorts as the number does, `plan_amount` the amount in the plan's currency,
    before it was exchanged for that of the payout. `credited_id` is the partner that is credited with the sale, where the
    line is another one's part of its pay: that one reads neither who it is nor how the pay came about.
    """

    line_id: str
    opportunity_id: str | None
    registration_id: str | None
    partner_id: str
    credited_id: str | None
    payee_id: str
    kind: str
    component: str
    pool: str
    role: str
    win_no: int
    plan_id: str
    plan_version: int
    plan_sha256: str
    rule_id: str
    credit_revision: int
    amount: Annotated[dict[str, str], Money]
    amount_sorts: str
    reversed: Annotated[dict[str, str], Money]
    remaining: Annotated[dict[str, str], Money]
    currency: str
    credited_on: str
    earned_on: str
    payable_on: str
    paid_on: str | None
    period: str
    payment_id: str | None
    state: str
    why_held: str | None
    derivation: dict[str, Any]
    drawn_units: str | None
    plan_amount: Annotated[dict[str, str], Money]
    adjustment: ProposedAdjustment | None
    event_id: str
    position: int
    history: list[Step]


class EarningDocument(LineDocument):
    """A line, and whether it was `recredited`: another credit took its place."""

    recredited: bool


def evolve(document: EarningDocument | None, seen: Seen) -> EarningDocument | None:
    happened = seen.event
    if isinstance(happened, PayoutCalculated):
        return {**_calculated(happened, seen), "recredited": False}
    if isinstance(happened, WindowTruedUp):
        made = _of_window(happened, seen, TRUE_UP, happened.earned_on, happened.payable_day)
        return {**made, "recredited": False}
    if isinstance(happened, RebateSettled):
        made = _of_window(happened, seen, "rebate", happened.settled_on, happened.settled_on)
        return {**made, "recredited": False}
    if document is None:
        return None
    changed = CHANGES[type(happened)](document, happened)
    if changed is None:
        return document
    text, changes = changed
    return {**document, **changes, "history": [*document["history"], _step(seen, text)]}


def _calculated(line: PayoutCalculated, seen: Seen) -> LineDocument:
    amount: Annotated[dict[str, str], Money] = plain(line.amount)
    return {
        "line_id": line.line_id,
        "opportunity_id": line.opportunity_id,
        "registration_id": line.registration_id,
        "partner_id": line.whose,
        "credited_id": line.key.partner_id if line.partner_id else None,
        "payee_id": line.payee_id,
        "kind": line.kind,
        "component": line.component,
        "pool": line.key.pool,
        "role": line.key.role,
        "win_no": line.key.win_no,
        "plan_id": line.key.plan_id,
        "plan_version": line.plan_version,
        "plan_sha256": line.plan_sha256,
        "rule_id": line.rule_id,
        "credit_revision": line.credit_revision,
        "amount": amount,
        "amount_sorts": sorts(line.amount),
        "reversed": plain(line.amount - line.amount),
        "remaining": amount,
        "currency": line.amount.currency,
        "credited_on": iso(line.credited_on),
        "earned_on": iso(line.earned_on),
        "payable_on": iso(line.payable_on),
        "paid_on": None,
        "period": iso(line.earned_on)[:7],
        "payment_id": None,
        "state": line.state,
        "why_held": f"held until {iso(line.payable_on)} by the plan" if line.state == HELD else None,
        "derivation": plain(line.derivation),
        "drawn_units": str(line.drawn_units) if line.drawn_units else None,
        "plan_amount": plain(line.exchange.given if line.exchange else line.amount),
        "adjustment": None,
        "event_id": seen.id,
        "position": seen.position,
        "history": [_step(seen, f"earned {text_of(line.amount)}")],
    }


def _of_window(it: WindowTruedUp | RebateSettled, seen: Seen, kind: str, day: date, payable: date) -> LineDocument:
    """The line of a whole window: a true-up, which is held as the plan's lines are, or a rebate that is settled."""
    amount: Annotated[dict[str, str], Money] = plain(it.amount)
    return {
        "line_id": it.line_id,
        "opportunity_id": None,
        "registration_id": None,
        "partner_id": it.payee_id,
        "credited_id": None,
        "payee_id": it.payee_id,
        "kind": kind,
        "component": kind,
        "pool": "window",
        "role": "payee",
        "win_no": 0,
        "plan_id": it.plan_id,
        "plan_version": it.plan_version,
        "plan_sha256": "",
        "rule_id": it.window,
        "credit_revision": 0,
        "amount": amount,
        "amount_sorts": sorts(it.amount),
        "reversed": plain(it.amount - it.amount),
        "remaining": amount,
        "currency": it.amount.currency,
        "credited_on": iso(day),
        "earned_on": iso(day),
        "payable_on": iso(payable),
        "paid_on": None,
        "period": iso(day)[:7],
        "payment_id": None,
        "state": HELD if day < payable else PAYABLE,
        "why_held": f"held until {iso(payable)} by the plan" if day < payable else None,
        "derivation": {},
        "drawn_units": None,
        "plan_amount": plain(it.in_plan) if isinstance(it, WindowTruedUp) else amount,
        "adjustment": None,
        "event_id": seen.id,
        "position": seen.position,
        "history": [_step(seen, f"{kind.replace('_', ' ')} of {it.window}: {text_of(it.amount)}")],
    }


def credited_with(document: dict[str, Any]) -> str:
    """The partner that is credited with the sale of a line."""
    partner_id: str = document["credited_id"] or document["partner_id"]
    return partner_id


def for_partner(document: dict[str, Any]) -> dict[str, Any]:
    """The line as its partner may read it."""
    return document if document["credited_id"] is None else {**document, "credited_id": None, "derivation": {}}


Changed = tuple[str, dict[str, Any]] | None


def _reversed(document: EarningDocument, it: PayoutReversed) -> Changed:
    changes: dict[str, Any] = {"reversed": plain(it.reversed_before + it.amount), "remaining": plain(it.remaining)}
    if it.remaining.zero:
        changes |= {"state": REVERSED, "why_held": None}
    if it.reason_code == RECREDITED:
        changes |= {"recredited": True}
    return f"reversed {text_of(it.amount)} ({it.reason_code}), {text_of(it.remaining)} stands", changes


def _reduced(document: EarningDocument, it: TrueUpReduced) -> Changed:
    before = Money(amount=Decimal(document["reversed"]["amount"]), currency=document["currency"])
    changes: dict[str, Any] = {"reversed": plain(before + it.amount), "remaining": plain(it.remaining)}
    if it.remaining.zero:
        changes |= {"state": REVERSED, "why_held": None}
    return f"lowered by {text_of(it.amount)}: the window is worth {text_of(it.total)}", changes


def _released(document: EarningDocument, it: PayoutReleased | TrueUpReleased) -> Changed:
    return f"released {text_of(it.amount)}", {"state": PAYABLE, "why_held": None}


def _postponed(document: EarningDocument, it: PayoutPostponed | TrueUpPostponed | TrueUpHeldLonger) -> Changed:
    day = iso(it.payable_on)
    changes = {"state": HELD, "payable_on": day, "why_held": f"postponed until {day}: {it.reason}"}
    return f"postponed until {day}", changes


def _reviewed(_: EarningDocument, __: PayoutPutUnderReview) -> Changed:
    return "under review", {"state": HELD, "why_held": "under review"}


def _cleared(_: EarningDocument, it: PayoutCleared) -> Changed:
    held = "under review" if it.others_open else f"held until {iso(it.payable_on)} by the plan"
    return "cleared", {"why_held": held}


def _proposed(document: EarningDocument, it: AdjustmentProposed) -> Changed:
    waiting = {"adjustment_id": it.adjustment_id, "amount": plain(it.amount), "reason": it.reason, "by": it.proposed_by}
    return f"adjustment of {text_of(it.amount)} proposed", {"adjustment": waiting}


def _adjusted(document: EarningDocument, it: PayoutAdjusted) -> Changed:
    changes: dict[str, Any] = {"remaining": plain(it.remaining), "adjustment": None}
    if it.remaining.zero:
        changes |= {"state": REVERSED, "why_held": None}
    return f"adjusted by {text_of(it.amount)}: {it.reason}", changes


def _paid(document: EarningDocument, it: PaymentMade) -> Changed:
    state = PAID if document["state"] == PAYABLE else document["state"]
    return f"paid by {it.reference}", {"state": state, "paid_on": iso(it.paid_on), "payment_id": it.payment_id}


def _came_back(document: EarningDocument, it: PaymentFailed) -> Changed:
    if it.reason_code != RETURNED:
        return None
    state = PAYABLE if document["state"] == PAID else document["state"]
    return f"{it.reference} came back", {"state": state, "paid_on": None, "payment_id": None}


CHANGES: dict[type[Any], Any] = {
    PayoutReversed: _reversed,
    PayoutReleased: _released,
    TrueUpReduced: _reduced,
    TrueUpReleased: _released,
    TrueUpPostponed: _postponed,
    TrueUpHeldLonger: _postponed,
    PayoutPostponed: _postponed,
    PayoutPutUnderReview: _reviewed,
    PayoutCleared: _cleared,
    AdjustmentProposed: _proposed,
    PayoutAdjusted: _adjusted,
    PaymentMade: _paid,
    PaymentFailed: _came_back,
}


def _step(seen: Seen, text: str) -> Step:
    kind = type(seen.event).__name__
    return {"event_id": seen.id, "kind": kind, "text": text, "at": iso(seen.recorded_at)}


def _line(seen: Seen) -> str:
    line_id: str = seen.event.line_id
    return line_id


def _settlement(seen: Seen) -> str | None:
    """A settlement of nothing is no line."""
    return None if seen.event.amount.zero else _line(seen)


def _lines(seen: Seen) -> tuple[str, ...]:
    line_ids: tuple[str, ...] = seen.event.line_ids
    return line_ids


EARNINGS = Projection(
    name="earnings",
    version=6,
    keys={
        PayoutCalculated: _line,
        PayoutReversed: _line,
        PayoutReleased: _line,
        PayoutPostponed: _line,
        PayoutPutUnderReview: _line,
        PayoutCleared: _line,
        AdjustmentProposed: _line,
        PayoutAdjusted: _line,
        WindowTruedUp: _line,
        TrueUpReduced: _line,
        TrueUpReleased: _line,
        TrueUpPostponed: _line,
        TrueUpHeldLonger: _line,
        RebateSettled: _settlement,
        PaymentMade: _lines,
        PaymentFailed: _lines,
    },
    evolve=evolve,
    indexes=(
        *("earned_on", "partner_id,earned_on", "state,earned_on", "period,earned_on"),
        *("opportunity_id,earned_on", "registration_id,earned_on", "amount_sorts", "partner_id,amount_sorts"),
    ),
)

"""What the reversals of a sale came to: what each took of which line, which lines stay and why, and what it asked beyond."""

from datetime import date, datetime
from typing import Annotated, Any, TypedDict

from chassis.event import iso, plain
from contracts.values import Money, money
from services.incentives.application.answers import lines_of, of_reversal
from services.incentives.domain.plan import REBATE
from services.incentives.domain.sale import Line, Sale, heard_of
from services.incentives.domain.sale_events import ReversalRecorded
from services.incentives.projections.sales import SaleDocument


class TakenOf(TypedDict):
    """What a reversal took of a line: null of one whose plan `hears` refunds from elsewhere, which stays as it is.

    A rebate has no amount and nothing that remains: it counts in its window. `remaining` is what stands of the line now.
    """

    line_id: str
    plan_id: str
    kind: str
    partner_id: str
    payee_id: str
    hears: str
    heard: bool
    amount: Annotated[dict[str, str], Money] | None
    remaining: Annotated[dict[str, str], Money] | None


class Beyond(TypedDict):
    """What was asked beyond what is left of a basis: it takes what becomes known of that later, and else nothing."""

    basis: str
    amount: Annotated[dict[str, str], Money]


class TakenBack(TypedDict):
    """What a reversal asked, an amount or months of a term, and what that came to; `lines` begin with those that hear it."""

    reversal_id: str
    win_no: int
    source: str
    reason_code: str
    occurred_on: Annotated[str, date]
    recorded_at: Annotated[str, datetime]
    asked: Annotated[dict[str, str], Money] | None
    unearned_months: int | None
    term_months: int | None
    lines: list[TakenOf]
    beyond: list[Beyond]
    text: str


class ShownSale(SaleDocument):
    """A sale with what its reversals came to."""

    taken_back: list[TakenBack]


def taken_back(document: SaleDocument, state: Sale) -> list[TakenBack]:
    """What the reversals came to that the document knows of, the newest first; the lines are those of the state."""
    known = [one for one in state.reversals if one.asked.reversal_id in document["reversals"]]
    return [_taken_back(one, state, document["taken"].get(one.asked.reversal_id, {})) for one in reversed(known)]


def _taken_back(kept: ReversalRecorded, state: Sale, took: dict[str, str]) -> TakenBack:
    of_win, hearing = lines_of(kept, state)
    asked = kept.asked
    return {
        "reversal_id": asked.reversal_id,
        "win_no": kept.win_no,
        "source": kept.source,
        "reason_code": asked.reason_code,
        "occurred_on": iso(asked.occurred_on),
        "recorded_at": iso(kept.recorded_at),
        "asked": plain(asked.amount) if asked.months is None else None,
        "unearned_months": asked.unearned_months,
        "term_months": asked.term_months,
        "lines": [
            _of_line(line, took.get(line.line_id, "0"), heard=line in hearing)
            for line in sorted(of_win, key=lambda one: one not in hearing)
        ],
        "beyond": _beyond(kept, state, {line.basis_kind: line for line in hearing}),
        "text": of_reversal(kept, state),
    }


def _of_line(line: Line, took: str, *, heard: bool) -> TakenOf:
    counts = heard and line.kind != REBATE
    return {
        "line_id": line.line_id,
        "plan_id": line.key.plan_id,
        "kind": line.kind,
        "partner_id": line.partner_id,
        "payee_id": line.payee_id,
        "hears": line.hears,
        "heard": heard,
        "amount": plain(money(took, line.amount.currency)) if counts else None,
        "remaining": None if line.kind == REBATE else plain(line.remaining),
    }


def _beyond(kept: ReversalRecorded, state: Sale, by_basis: dict[str, Line]) -> list[Beyond]:
    found: list[Any] = []
    for basis, line in sorted(by_basis.items()):
        heard = heard_of(state.reversals_of(kept.win_no), line.hears, basis)
        [taken] = [one for one in state.taken(kept.win_no, basis, heard) if one.asked == kept.asked]
        found += [] if taken.excess.zero else [{"basis": basis, "amount": plain(taken.excess)}]
    return found

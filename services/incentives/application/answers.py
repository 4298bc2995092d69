"""What a command answers: where things stand after it."""

from datetime import date
from typing import Annotated, Any, TypedDict

from chassis.event import plain
from contracts.values import Money
from services.incentives.domain import account, case, claim, fund_request, fund_share, meter, special_price
from services.incentives.domain.account import Account
from services.incentives.domain.batch import Batch
from services.incentives.domain.books import Books
from services.incentives.domain.budget import Budget
from services.incentives.domain.payment import Payment
from services.incentives.domain.plan import REBATE
from services.incentives.domain.sale import HELD, PAYABLE, Line, Sale, heard_of
from services.incentives.domain.sale_commands import RecordReversal
from services.incentives.domain.sale_events import ReversalRecorded
from services.incentives.domain.taking import counted
from services.incentives.domain.tier import Tier


class CaseAnswer(TypedDict):
    """Where the case stands now."""

    case_id: str
    state: str


class TierAnswer(TypedDict):
    """The level that holds now, and until when one under review is kept."""

    programme: str
    partner_id: str
    level: str | None
    grace_until: Annotated[str, date] | None


class FundShareAnswer(TypedDict):
    """What the partner has of the fund in this period now, and what the fund has left."""

    fund_id: str
    period: str
    partner_id: str
    available: Annotated[dict[str, str], Money]
    left_in_fund: Annotated[dict[str, str], Money]


class FundRequestAnswer(TypedDict):
    """Where the request stands, what is kept for it, and until when that can be claimed."""

    fund_request_id: str
    state: str
    reserved: Annotated[dict[str, str], Money] | None
    claim_by: Annotated[str, date] | None


class ClaimAnswer(TypedDict):
    """Where the claim stands; `amount` is what was approved."""

    claim_id: str
    state: str
    needs_review: bool
    amount: Annotated[dict[str, str], Money] | None


class SpecialPriceAnswer(TypedDict):
    special_price_id: str
    ends_on: str


class PaymentBatchAnswer(TypedDict):
    """Where the batch of payments stands: prepared, approved, sent or closed."""

    batch_id: str
    state: str


class LineAnswer(TypedDict):
    """Where the line stands: held, payable, reversed or paid."""

    line_id: str
    state: str | None


class BudgetAnswer(TypedDict):
    """What of the budget nobody has yet, in money or in units; null while nothing was ever put in."""

    budget_id: str
    available: Annotated[dict[str, str], Money] | None
    available_units: str | None


class MonthAnswer(TypedDict, total=False):
    """The month as it is closed, at which position of the log."""

    month: str
    position: int
    sha256: str


class HearingLine(TypedDict):
    """A line whose plan hears the reversal, and what of it stands now; of a rebate, which counts in its window, null."""

    line_id: str
    plan_id: str
    remaining: Annotated[dict[str, str], Money] | None


class UnhearingLine(TypedDict):
    """A line that the reversal leaves as it is: its plan hears refunds from `hears`, the CRM or billing."""

    line_id: str
    plan_id: str
    hears: str


class ReversalAnswer(TypedDict):
    """What a reversal did: to which lines, and which it left as they are, and why.

    `result` is recorded, or repeated where one of that id was known: then `asked` (or the months) is what that asked.
    """

    opportunity_id: str
    win_no: int
    reversal_id: str
    result: str
    asked: Annotated[dict[str, str], Money] | None
    unearned_months: int | None
    term_months: int | None
    lines: list[HearingLine]
    unheard: list[UnhearingLine]
    text: str


class PaymentAnswer(TypedDict):
    """Where the payment stands; `reference` is the newest under which the provider knows it."""

    payment_id: str
    state: str
    reference: str | None


class StatementAnswer(TypedDict, total=False):
    """The statement as it was issued; nothing, where nothing changed since the last one."""

    statement_id: str
    number: int
    period: str
    closing: Annotated[dict[str, str], Money]
    sha256: str


def case_answer(wish: Any, state: case.Case, *_: Any) -> CaseAnswer:
    return {"case_id": wish.case_id, "state": state.stage.value}


def tier_answer(wish: Any, state: Tier, *_: Any) -> TierAnswer:
    grace = str(state.review.grace_until) if state.review else None
    return {"programme": wish.programme, "partner_id": wish.partner_id, "level": state.level, "grace_until": grace}


def share_answer(wish: fund_share.AllocateFund, pool: Budget, share: Budget) -> FundShareAnswer:
    return {
        "fund_id": wish.fund_id,
        "period": wish.period,
        "partner_id": wish.partner_id,
        "available": plain(share.available),
        "left_in_fund": plain(pool.available),
    }


def request_answer(wish: Any, state: fund_request.FundRequest, *_: Any) -> FundRequestAnswer:
    return {
        "fund_request_id": wish.fund_request_id,
        "state": state.stage.value,
        "reserved": plain(state.rest) if state.rest else None,
        "claim_by": str(state.claim_by) if state.claim_by else None,
    }


def claim_answer(wish: Any, state: claim.Claim, *_: Any) -> ClaimAnswer:
    return {
        "claim_id": wish.claim_id,
        "state": state.stage.value,
        "needs_review": bool(state.reused),
        "amount": plain(state.approved.amount) if state.approved else None,
    }


def price_answer(wish: Any, state: special_price.SpecialPrice) -> SpecialPriceAnswer:
    return {"special_price_id": wish.special_price_id, "ends_on": str(state.ends_on)}


def batch_answer(wish: Any, state: Batch, *_: Any) -> PaymentBatchAnswer:
    return {"batch_id": wish.batch_id, "state": state.stage}


def true_up_answer(wish: meter.PostponeTrueUp, state: meter.Meter) -> LineAnswer:
    held = any(one.line_id == wish.line_id for one in state.held)
    return {"line_id": wish.line_id, "state": HELD if held else PAYABLE}


def line_answer(wish: Any, state: Sale) -> LineAnswer:
    known = state.lines.get(wish.line_id)
    return {"line_id": wish.line_id, "state": known.state if known else None}


def reversal_answer(wish: RecordReversal, state: Sale, *_: Any) -> ReversalAnswer:
    kept = next(one for one in state.reversals if one.asked.reversal_id == wish.reversal_id)
    of_win, hearing = lines_of(kept, state)
    asked = kept.asked
    return {
        "opportunity_id": kept.opportunity_id,
        "win_no": kept.win_no,
        "reversal_id": asked.reversal_id,
        "result": "recorded" if _of_this(wish, kept) else "repeated",
        "asked": plain(asked.amount) if asked.months is None else None,
        "unearned_months": asked.unearned_months,
        "term_months": asked.term_months,
        "lines": [
            {
                "line_id": line.line_id,
                "plan_id": line.key.plan_id,
                "remaining": None if line.kind == REBATE else plain(line.remaining),
            }
            for line in hearing
        ],
        "unheard": [
            {"line_id": line.line_id, "plan_id": line.key.plan_id, "hears": line.hears}
            for line in of_win
            if line not in hearing
        ],
        "text": of_reversal(kept, state),
    }


def lines_of(kept: ReversalRecorded, state: Sale) -> tuple[list[Line], list[Line]]:
    """The lines of the win that a reversal is of, without what new credit put aside; and those of them that hear it."""
    of_win = [line for line in state.lines.values() if line.key.win_no == kept.win_no and not line.superseded]
    return of_win, [line for line in of_win if heard_of([kept], line.hears, line.basis_kind)]


def _of_this(wish: RecordReversal, kept: ReversalRecorded) -> bool:
    """Whether it is this very command that recorded it."""
    asked = (kept.asked.amount, kept.asked.parts, kept.asked.unearned_months, kept.asked.term_months)
    return kept.recorded_at == wish.now and asked == (wish.amount, wish.parts, wish.unearned_months, wish.term_months)


def of_reversal(kept: ReversalRecorded, state: Sale) -> str:
    """What a reversal comes to in a sentence, and where it comes to nothing what to do."""
    of_win, hearing = lines_of(kept, state)
    if kept.win_no not in state.wins:
        return (
            f"win {kept.win_no} of this sale is not known: it counts once it is, so look whether sale and win are right"
        )
    if not of_win:
        return "nothing has been earned on this sale yet: it counts for what will be, under plans that hear it"
    if not hearing:
        return (
            f"no plan that has paid for this sale hears refunds from {kept.source}, so no line changes: a plan on what is "
            "invoiced or collected hears billing, every other one the CRM, unless its reversals_from says otherwise"
        )
    if not any(_takes_of(kept, line, state) for line in hearing):
        return (
            "it takes nothing: what it names is not known or taken back already, or it comes too late for the plans "
            "that hear it"
        )
    return "the lines of plans that hear it are smaller by their part"


def _takes_of(kept: ReversalRecorded, line: Line, state: Sale) -> bool:
    """Whether it takes something of what a line was earned on."""
    heard = heard_of(state.reversals_of(kept.win_no), line.hears, line.basis_kind)
    mine = [one for one in state.taken(kept.win_no, line.basis_kind, heard) if one.asked == kept.asked]
    return counted(mine, line.counted, line.earned_on, line.refund_days, line.ageing) > 0


def budget_answer(wish: Any, state: Budget) -> BudgetAnswer:
    return {
        "budget_id": wish.budget_id,
        "available": plain(state.available) if state.allocated else None,
        "available_units": f"{state.units.available:f}" if state.units else None,
    }


def month_answer(wish: Any, state: Books) -> MonthAnswer:
    closed = state.closed
    return {"month": closed.month, "position": closed.position, "sha256": closed.sha256} if closed else {}


def payment_answer(wish: Any, state: Payment, *_: Any) -> PaymentAnswer:
    return {
        "payment_id": wish.payment_id,
        "state": state.stage.value,
        "reference": state.references[-1] if state.references else None,
    }


def statement_answer(wish: account.IssueStatement, state: Account) -> StatementAnswer:
    issued = next((known for known in state.statements if known.period == wish.period), None)
    if issued is None:
        return {}
    closing = {"amount": str(issued.closing.amount), "currency": issued.closing.currency}
    return {
        "statement_id": issued.statement_id,
        "number": issued.number,
        "period": issued.period,
        "closing": closing,
        "sha256": issued.sha256,
    }

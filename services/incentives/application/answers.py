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
from services.incentives.domain.sale import HELD, PAYABLE, Sale
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

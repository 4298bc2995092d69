"""What a command answers: where things stand after it."""

from typing import Any

from chassis.event import plain
from services.incentives.domain import account, case, claim, fund_request, fund_share, special_price
from services.incentives.domain.account import Account
from services.incentives.domain.batch import Batch
from services.incentives.domain.books import Books
from services.incentives.domain.budget import Budget
from services.incentives.domain.payment import Payment
from services.incentives.domain.sale import Sale
from services.incentives.domain.tier import Tier


def case_answer(wish: Any, state: case.Case, *_: Any) -> dict[str, Any]:
    return {"case_id": wish.case_id, "state": state.stage.value}


def tier_answer(wish: Any, state: Tier, *_: Any) -> dict[str, Any]:
    grace = str(state.review.grace_until) if state.review else None
    return {"programme": wish.programme, "partner_id": wish.partner_id, "level": state.level, "grace_until": grace}


def share_answer(wish: fund_share.AllocateFund, pool: Budget, share: Budget) -> dict[str, Any]:
    return {
        "fund_id": wish.fund_id,
        "period": wish.period,
        "partner_id": wish.partner_id,
        "available": plain(share.available),
        "left_in_fund": plain(pool.available),
    }


def request_answer(wish: Any, state: fund_request.FundRequest, *_: Any) -> dict[str, Any]:
    return {
        "fund_request_id": wish.fund_request_id,
        "state": state.stage.value,
        "reserved": plain(state.rest) if state.rest else None,
        "claim_by": str(state.claim_by) if state.claim_by else None,
    }


def claim_answer(wish: Any, state: claim.Claim, *_: Any) -> dict[str, Any]:
    return {
        "claim_id": wish.claim_id,
        "state": state.stage.value,
        "needs_review": bool(state.reused),
        "amount": plain(state.approved.amount) if state.approved else None,
    }


def price_answer(wish: Any, state: special_price.SpecialPrice) -> dict[str, Any]:
    return {"special_price_id": wish.special_price_id, "ends_on": str(state.ends_on)}


def batch_answer(wish: Any, state: Batch, *_: Any) -> dict[str, Any]:
    return {"batch_id": wish.batch_id, "state": state.stage}


def line_answer(wish: Any, state: Sale) -> dict[str, Any]:
    known = state.lines.get(wish.line_id)
    return {"line_id": wish.line_id, "state": known.state if known else None}


def budget_answer(wish: Any, state: Budget) -> dict[str, Any]:
    return {"budget_id": wish.budget_id, "available": plain(state.available) if state.allocated else None}


def month_answer(wish: Any, state: Books) -> dict[str, Any]:
    closed = state.closed
    return {"month": closed.month, "position": closed.position, "sha256": closed.sha256} if closed else {}


def payment_answer(wish: Any, state: Payment, *_: Any) -> dict[str, Any]:
    return {
        "payment_id": wish.payment_id,
        "state": state.stage.value,
        "reference": state.references[-1] if state.references else None,
    }


def statement_answer(wish: account.IssueStatement, state: Account) -> dict[str, Any]:
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

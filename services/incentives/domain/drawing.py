"""What of a statement can be paid now: earnings less what was taken back of them, and fund money whole.

A negative balance of earnings is recovered from later earnings alone, so fund money stands apart from them. What is
disputed waits for its decision, in later statements too, unless it had been drawn before it was disputed.
"""

from collections.abc import Iterable

from chassis.event import frozen
from contracts.values import Money, none_of, total
from services.incentives.domain.account import FUND_KINDS, PAYMENT_APPROVED, Account, StatementIssued, StatementLine


@frozen
class Due:
    """What can be paid. `fund` is what of the amount is fund money, `earned` what stands of earnings, below zero too."""

    amount: Money
    earned: Money
    fund: Money


def due(statement: StatementIssued, account: Account, released: Money, fund_released: Money) -> Due:
    """What of a statement can be paid.

    `released` is all that ever became payable, whatever was paid of it, and `fund_released` what of it is fund money.
    """
    nothing, stated = none_of(released.currency), account.stated(statement)
    fund = [line for line in stated if line.kind in FUND_KINDS]
    funded = total((line.amount for line in fund), released.currency)
    drawn, fund_drawn = total(account.drawn, released.currency), _fund_drawn(account, account.payments, nothing)
    by_then = _fund_drawn(account, {line.cause for line in stated if line.kind == PAYMENT_APPROVED}, nothing)
    closing = statement.closing - (funded - by_then)
    earned = min(
        closing - _disputed(account, (line for line in stated if line.kind not in FUND_KINDS), nothing),
        (released - fund_released) - (drawn - fund_drawn),
    )
    free = max(funded - fund_drawn - _disputed(account, fund, nothing), nothing)
    return Due(amount=max(earned, nothing) + free, earned=earned, fund=free)


def _fund_drawn(account: Account, payment_ids: Iterable[str], nothing: Money) -> Money:
    drawn = (account.payments[name].fund for name in payment_ids if name in account.payments)
    return total((fund for fund in drawn if fund), nothing.currency)


def _disputed(account: Account, lines: Iterable[StatementLine], nothing: Money) -> Money:
    waits = account.disputes.keys() - account.too_late
    return total((line.amount for line in lines if line.event_id in waits and line.amount > nothing), nothing.currency)


def due_together(statement: StatementIssued, account: Account, released: Money, _: Money) -> Due:
    """As the first evaluator decided: one balance, and the disputes of this statement only."""
    now = released - total(account.drawn, released.currency)
    earned = min(statement.closing - account.disputed(statement), now)
    return Due(amount=earned, earned=earned, fund=none_of(released.currency))

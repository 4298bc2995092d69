"""A payment: one money order for one statement. One proposes it, another approves it, a provider carries it out.

`PaymentSubmitted` is recorded before the provider is called, so whatever becomes of the call, the same reference is
asked again and never another.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from chassis.decider import Decider, NotFound, Raced, Refused, WrongState
from chassis.event import command, event, stable_id
from contracts.values import Money, total
from services.incentives.domain.account import Account, AccountEvent, PaymentClosed, PaymentOpened
from services.incentives.domain.journal import AccountName, Journal, move
from services.incentives.domain.payee import Payee, unmet

ATTEMPTS_MAX = 5
ASK_FIRST_SECONDS = 60
ASK_MOST_SECONDS = 3_600
ASK_FOR_HOURS = 24
PAID, REJECTED, UNKNOWN, RETURNED = "paid", "rejected", "unknown", "returned"
EARNING = ("calculated", "released", "trued_up", "rebate_settled")
"""The kinds of statement lines by which an earning becomes payable."""
NO_JOURNAL = Journal(entries=())

# Events


@event("incentives.PaymentProposed.v1")
class PaymentProposed:
    """`amount` is the smaller of the statement's closing and what is payable now. `line_ids` are the lines stated."""

    payment_id: str
    account_id: str
    statement_id: str
    statement_number: int
    payee_id: str
    partner_id: str
    amount: Money
    line_ids: tuple[str, ...]
    released: Money
    released_position: int
    proposed_by: str
    proposed_at: datetime


@event("incentives.PaymentApproved.v1")
class PaymentApproved:
    payment_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    journal: Journal
    proposed_by: str
    approved_by: str
    approved_at: datetime


@event("incentives.PaymentBlocked.v1")
class PaymentBlocked:
    """Gates that are shut: suspended, not_active."""

    payment_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    gates: tuple[str, ...]
    journal: Journal
    blocked_at: datetime


@event("incentives.PaymentResumed.v1")
class PaymentResumed:
    payment_id: str
    partner_id: str
    resumed_by: str
    resumed_at: datetime


@event("incentives.PaymentSubmitted.v1")
class PaymentSubmitted:
    """The provider is about to be called with this reference. `attempt` counts from 1."""

    payment_id: str
    account_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    attempt: int
    submitted_by: str
    submitted_at: datetime


@event("incentives.PaymentMade.v1")
class PaymentMade:
    payment_id: str
    account_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    line_ids: tuple[str, ...]
    provider_event_id: str
    journal: Journal
    paid_on: date
    reported_at: datetime


@event("incentives.PaymentFailed.v1")
class PaymentFailed:
    """Reason codes: rejected; returned when the money came back after it was paid."""

    payment_id: str
    account_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    line_ids: tuple[str, ...]
    reason_code: str
    provider_event_id: str
    journal: Journal
    failed_at: datetime


@event("incentives.PaymentUnknown.v1")
class PaymentUnknown:
    """Nobody knows yet what became of the reference. Without `ask_again_at` a person has to find out."""

    payment_id: str
    account_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    asks: int
    ask_again_at: datetime | None
    reported_at: datetime


@event("incentives.PaymentRetried.v1")
class PaymentRetried:
    payment_id: str
    partner_id: str
    attempts: int
    retried_by: str
    retried_at: datetime


@event("incentives.PaymentDeclined.v1")
class PaymentDeclined:
    payment_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reason_code: str
    journal: Journal
    declined_by: str
    declined_at: datetime


PaymentEvent = (
    PaymentProposed
    | PaymentApproved
    | PaymentBlocked
    | PaymentResumed
    | PaymentSubmitted
    | PaymentMade
    | PaymentFailed
    | PaymentUnknown
    | PaymentRetried
    | PaymentDeclined
)

# Commands


@command("incentives.ProposePayment.v1")
class ProposePayment:
    """`released` is all that became payable to this payee so far, whatever was paid of it, as the ledger had it."""

    payment_id: str
    account_id: str
    statement_id: str
    released: Money
    released_position: int
    by: str
    now: datetime


@command("incentives.ApprovePayment.v1")
class ApprovePayment:
    payment_id: str
    payee_id: str
    by: str
    now: datetime


@command("incentives.ResumePayment.v1")
class ResumePayment:
    payment_id: str
    payee_id: str
    by: str
    now: datetime


@command("incentives.SubmitPayment.v1")
class SubmitPayment:
    payment_id: str
    payee_id: str
    by: str
    now: datetime


@command("incentives.ReportOutcome.v1")
class ReportOutcome:
    """Outcome: paid, rejected, unknown or returned."""

    payment_id: str
    account_id: str
    reference: str
    outcome: str
    provider_event_id: str
    on: date
    now: datetime


@command("incentives.RetryPayment.v1")
class RetryPayment:
    payment_id: str
    by: str
    now: datetime


@command("incentives.DeclinePayment.v1")
class DeclinePayment:
    payment_id: str
    account_id: str
    category: str
    by: str
    now: datetime


# State


class Stage(StrEnum):
    NONE = "none"
    PROPOSED = "proposed"
    APPROVED = "approved"
    BLOCKED = "blocked"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"
    DECLINED = "declined"


@dataclass(frozen=True, kw_only=True)
class Payment:
    """Where a money order stands. `references` are all that were ever submitted, the last one counts."""

    stage: Stage = Stage.NONE
    proposed: PaymentProposed | None = None
    references: tuple[str, ...] = ()
    provider_events: frozenset[str] = frozenset()
    asks: int = 0
    unknown_since: datetime | None = None

    @property
    def attempts(self) -> int:
        return len(self.references)

    @property
    def order(self) -> PaymentProposed:
        """What was proposed. Raises UnknownPayment when nothing was."""
        if self.proposed is None:
            raise UnknownPayment
        return self.proposed


# Refusals


class UnknownPayment(NotFound):
    """There is no such payment."""


class UnknownReference(NotFound):
    """Under that reference the payment was never submitted."""

    slug = "unknown-reference"


class FourEyes(Refused):
    """Whoever proposed a payment cannot decide on it: ask a second person."""

    status = 403
    slug = "four-eyes"


class AlreadyOpen(Refused):
    """Another payment of this account is under way: wait until it is paid or declined."""

    slug = "payment-open"


class BelowMinimum(Refused):
    """There is nothing to pay now: the balance carries forward."""

    slug = "below-minimum"


class GateUnmet(Refused):
    """A gate is still shut, see `gates`."""

    slug = "gate-unmet"


class AttemptsSpent(Refused):
    """Five attempts are spent: decline this payment and find out why it fails."""

    slug = "attempts-spent"


class Contradiction(Refused):
    """The provider now says otherwise than before: a person has to settle it with the provider."""

    slug = "outcome-contradicts"


# Decisions

Both = tuple[list[PaymentEvent], list[AccountEvent]]


def payment_id(account: str, statement_number: int) -> str:
    return stable_id("payment", account, statement_number)


def reference_of(payment: str, attempt: int) -> str:
    """Payment id in hex, hyphen, two digits of attempt: 35 characters, an EndToEndId."""
    return f"{UUID(payment).hex}-{attempt:02}"


def propose_payment(wish: ProposePayment, payment: Payment, account: Account) -> Both:
    """Proposes to pay a statement, never more than is payable after all that was drawn before."""
    if payment.proposed:
        return [], []
    statement = account.statement(wish.statement_id)
    if account.open_payment:
        raise AlreadyOpen(payment_id=account.open_payment)
    now = wish.released - total(account.drawn.values(), wish.released.currency)
    amount = min(statement.closing, now, key=lambda money: money.amount)
    if amount.amount <= 0:
        raise BelowMinimum(closing=str(statement.closing.amount), payable=str(now.amount))
    proposed = PaymentProposed(
        payment_id=wish.payment_id,
        account_id=wish.account_id,
        statement_id=statement.statement_id,
        statement_number=statement.number,
        payee_id=statement.payee_id,
        partner_id=statement.partner_id,
        amount=amount,
        line_ids=tuple(dict.fromkeys(line.cause for line in statement.lines if line.kind in EARNING)),
        released=wish.released,
        released_position=wish.released_position,
        proposed_by=wish.by,
        proposed_at=wish.now,
    )
    return [proposed], [_opened(proposed)]


def _opened(proposed: PaymentProposed) -> PaymentOpened:
    return PaymentOpened(
        account_id=proposed.account_id,
        payment_id=proposed.payment_id,
        statement_id=proposed.statement_id,
        amount=proposed.amount,
        opened_at=proposed.proposed_at,
    )


def approve_payment(wish: ApprovePayment, payment: Payment, payee: Payee) -> list[PaymentEvent]:
    """A second person agrees; a shut gate blocks the payment instead."""
    order = payment.order
    if payment.stage == Stage.APPROVED:
        return []
    _only_in(payment, Stage.PROPOSED)
    if wish.by == order.proposed_by:
        raise FourEyes(proposed_by=order.proposed_by)
    if gates := unmet(payee, wish.now):
        return [_blocked(order, gates, NO_JOURNAL, wish.now)]
    return [
        PaymentApproved(
            payment_id=order.payment_id,
            statement_id=order.statement_id,
            payee_id=order.payee_id,
            partner_id=order.partner_id,
            amount=order.amount,
            journal=_moved(order, debit="payable", credit="in_payment"),
            proposed_by=order.proposed_by,
            approved_by=wish.by,
            approved_at=wish.now,
        )
    ]


def resume_payment(wish: ResumePayment, payment: Payment, payee: Payee) -> list[PaymentEvent]:
    """A blocked payment is proposed again once its gates are open."""
    order = payment.order
    if payment.stage == Stage.PROPOSED:
        return []
    _only_in(payment, Stage.BLOCKED)
    if gates := unmet(payee, wish.now):
        raise GateUnmet(gates=list(gates))
    return [
        PaymentResumed(
            payment_id=order.payment_id, partner_id=order.partner_id, resumed_by=wish.by, resumed_at=wish.now
        )
    ]


def submit_payment(wish: SubmitPayment, payment: Payment, payee: Payee) -> list[PaymentEvent]:
    """Fixes the reference, then the provider may be called. The gates are asked once more."""
    order = payment.order
    if payment.stage in (Stage.SUBMITTED, Stage.UNKNOWN):
        return []
    _only_in(payment, Stage.APPROVED)
    if gates := unmet(payee, wish.now):
        return [_blocked(order, gates, _moved(order, debit="in_payment", credit="payable"), wish.now)]
    attempt = payment.attempts + 1
    return [
        PaymentSubmitted(
            payment_id=order.payment_id,
            account_id=order.account_id,
            payee_id=order.payee_id,
            partner_id=order.partner_id,
            amount=order.amount,
            reference=reference_of(order.payment_id, attempt),
            attempt=attempt,
            submitted_by=wish.by,
            submitted_at=wish.now,
        )
    ]


def report_outcome(wish: ReportOutcome, payment: Payment, _: Account) -> Both:
    """What the provider says of a reference. A repeat changes nothing; a contradiction is refused."""
    order = payment.order
    if order.account_id != wish.account_id:
        raise Raced
    if wish.reference not in payment.references:
        raise UnknownReference
    if wish.provider_event_id in payment.provider_events or _says_the_same(wish, payment):
        return [], []
    if wish.reference != payment.references[-1] or not _fits(wish.outcome, payment.stage):
        raise Contradiction(stage=payment.stage.value, outcome=wish.outcome)
    if wish.outcome == UNKNOWN:
        return [_unknown(wish, payment)], []
    if wish.outcome == PAID:
        closed = PaymentClosed(account_id=order.account_id, payment_id=order.payment_id, paid=True, closed_at=wish.now)
        return [_made(wish, order)], [closed]
    return [_failed(wish, order)], []


def _says_the_same(wish: ReportOutcome, payment: Payment) -> bool:
    if wish.reference != payment.references[-1]:
        return wish.outcome in (REJECTED, UNKNOWN)
    settled = {
        Stage.PAID: (PAID, UNKNOWN),
        Stage.FAILED: (REJECTED, UNKNOWN),
        Stage.APPROVED: (REJECTED, UNKNOWN),
        Stage.DECLINED: (REJECTED, UNKNOWN),
        Stage.RETURNED: (RETURNED, PAID, UNKNOWN),
    }
    return wish.outcome in settled.get(payment.stage, ())


def _fits(outcome: str, stage: Stage) -> bool:
    if outcome == RETURNED:
        return stage == Stage.PAID
    return stage in (Stage.SUBMITTED, Stage.UNKNOWN)


def _unknown(wish: ReportOutcome, payment: Payment) -> PaymentUnknown:
    order = payment.order
    since = payment.unknown_since or wish.now
    wait = min(ASK_FIRST_SECONDS * 2**payment.asks, ASK_MOST_SECONDS)
    again = wish.now + timedelta(seconds=wait)
    return PaymentUnknown(
        payment_id=order.payment_id,
        account_id=order.account_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reference=wish.reference,
        asks=payment.asks + 1,
        ask_again_at=again if again - since <= timedelta(hours=ASK_FOR_HOURS) else None,
        reported_at=wish.now,
    )


def _made(wish: ReportOutcome, order: PaymentProposed) -> PaymentMade:
    return PaymentMade(
        payment_id=order.payment_id,
        account_id=order.account_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reference=wish.reference,
        line_ids=order.line_ids,
        provider_event_id=wish.provider_event_id,
        journal=_moved(order, debit="in_payment", credit="cash"),
        paid_on=wish.on,
        reported_at=wish.now,
    )


def _failed(wish: ReportOutcome, order: PaymentProposed) -> PaymentFailed:
    back = _moved(order, debit="cash", credit="in_payment") if wish.outcome == RETURNED else NO_JOURNAL
    return PaymentFailed(
        payment_id=order.payment_id,
        account_id=order.account_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reference=wish.reference,
        line_ids=order.line_ids,
        reason_code=wish.outcome,
        provider_event_id=wish.provider_event_id,
        journal=back,
        failed_at=wish.now,
    )


def retry_payment(wish: RetryPayment, payment: Payment) -> list[PaymentEvent]:
    """A failed or returned payment is approved again; its next submission has a new reference."""
    order = payment.order
    if payment.stage == Stage.APPROVED:
        return []
    _only_in(payment, Stage.FAILED, Stage.RETURNED)
    if payment.attempts >= ATTEMPTS_MAX:
        raise AttemptsSpent(attempts=payment.attempts)
    return [
        PaymentRetried(
            payment_id=order.payment_id,
            partner_id=order.partner_id,
            attempts=payment.attempts,
            retried_by=wish.by,
            retried_at=wish.now,
        )
    ]


def decline_payment(wish: DeclinePayment, payment: Payment, _: Account) -> Both:
    """A second person gives the payment up; what it drew is payable again."""
    order = payment.order
    if order.account_id != wish.account_id:
        raise Raced
    if payment.stage == Stage.DECLINED:
        return [], []
    approved = (Stage.APPROVED, Stage.FAILED, Stage.RETURNED)
    _only_in(payment, Stage.PROPOSED, Stage.BLOCKED, *approved)
    if wish.by == order.proposed_by:
        raise FourEyes(proposed_by=order.proposed_by)
    back = _moved(order, debit="in_payment", credit="payable") if payment.stage in approved else NO_JOURNAL
    declined = PaymentDeclined(
        payment_id=order.payment_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reason_code=wish.category,
        journal=back,
        declined_by=wish.by,
        declined_at=wish.now,
    )
    return [declined], [
        PaymentClosed(account_id=order.account_id, payment_id=order.payment_id, paid=False, closed_at=wish.now)
    ]


def _only_in(payment: Payment, *stages: Stage) -> None:
    if payment.stage not in stages:
        raise WrongState(
            f"the payment is {payment.stage}", state=payment.stage.value, allowed=[s.value for s in stages]
        )


def _moved(order: PaymentProposed, *, debit: AccountName, credit: AccountName) -> Journal:
    return move(order.amount, debit=debit, credit=credit, payee_id=order.payee_id, cause=order.payment_id)


def _blocked(order: PaymentProposed, gates: tuple[str, ...], journal: Journal, now: datetime) -> PaymentBlocked:
    return PaymentBlocked(
        payment_id=order.payment_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        gates=gates,
        journal=journal,
        blocked_at=now,
    )


# Evolve


def evolve(payment: Payment, happened: PaymentEvent) -> Payment:
    match happened:
        case PaymentProposed():
            return replace(payment, stage=Stage.PROPOSED, proposed=happened)
        case PaymentApproved() | PaymentRetried():
            return replace(payment, stage=Stage.APPROVED)
        case PaymentBlocked():
            return replace(payment, stage=Stage.BLOCKED)
        case PaymentResumed():
            return replace(payment, stage=Stage.PROPOSED)
        case PaymentDeclined():
            return replace(payment, stage=Stage.DECLINED)
        case PaymentSubmitted() | PaymentMade() | PaymentFailed() | PaymentUnknown():
            return _after_provider(payment, happened)
        case _:
            assert_never(happened)


def _after_provider(
    payment: Payment, happened: PaymentSubmitted | PaymentMade | PaymentFailed | PaymentUnknown
) -> Payment:
    match happened:
        case PaymentSubmitted():
            references = (*payment.references, happened.reference)
            return replace(payment, stage=Stage.SUBMITTED, references=references, asks=0, unknown_since=None)
        case PaymentUnknown():
            since = payment.unknown_since or happened.reported_at
            return replace(payment, stage=Stage.UNKNOWN, asks=happened.asks, unknown_since=since)
        case PaymentMade():
            return replace(payment, stage=Stage.PAID, provider_events=_heard(payment, happened))
        case PaymentFailed():
            stage = Stage.RETURNED if happened.reason_code == RETURNED else Stage.FAILED
            return replace(payment, stage=stage, provider_events=_heard(payment, happened))
        case _:
            assert_never(happened)


def _heard(payment: Payment, happened: PaymentMade | PaymentFailed) -> frozenset[str]:
    return payment.provider_events | {happened.provider_event_id}


Payments = Decider[Payment, PaymentEvent](kind="payment", initial=Payment(), evolve=evolve)

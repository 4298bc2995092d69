"""A batch: up to 500 payments of one currency and day, prepared by one person, approved by another in one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import assert_never

from chassis.decider import Decider, Invalid, Raced, Refused, WrongState
from chassis.event import LEFT_OUT, command, event
from chassis.rulebook import Rulebook
from contracts.values import Money, total
from services.incentives.domain.account import Account, PaymentHandedOver
from services.incentives.domain.payee import Payee
from services.incentives.domain.payee_events import PaymentPassedGates
from services.incentives.domain.payment import (
    Payment,
    Stage,
    approve_payment,
    handed_over_of,
    passed_gates_of,
    submit_payment_looked_up,
)
from services.incentives.domain.payment_commands import ApprovePayment, SubmitPayment
from services.incentives.domain.payment_events import PaymentEvent, PaymentSubmitted
from services.incentives.domain.thresholds import YearSoFar
from services.incentives.domain.two_people import FourEyes

PAYMENTS_MAX = 500
NONE, PREPARED, APPROVED, SENT, CLOSED = "none", "prepared", "approved", "sent", "closed"
SETTLED = (Stage.PAID, Stage.FAILED, Stage.RETURNED, Stage.DECLINED, Stage.BLOCKED)

# Events


@event("incentives.BatchPrepared.v1")
class BatchPrepared:
    """`total` is the sum of the payments, with the tax on their invoices. They are listed in the order of their files."""

    batch_id: str
    currency: str
    day: date
    payment_ids: tuple[str, ...]
    total: Money
    prepared_by: str
    prepared_at: datetime


@event("incentives.BatchApproved.v1")
class BatchApproved:
    batch_id: str
    approved_by: str
    approved_at: datetime


@event("incentives.BatchSent.v1")
class BatchSent:
    batch_id: str
    sent_by: str
    sent_at: datetime


@event("incentives.BatchClosed.v1")
class BatchClosed:
    """Every payment was made, failed, or waits for a person."""

    batch_id: str
    closed_at: datetime


BatchEvent = BatchPrepared | BatchApproved | BatchSent | BatchClosed

# Commands: those on payments name them, their payees, and the payment rules


@command("incentives.PrepareBatch.v1")
class PrepareBatch:
    batch_id: str
    currency: str
    day: date
    payment_ids: tuple[str, ...]
    by: str
    now: datetime


@command("incentives.ApproveBatch.v1")
class ApproveBatch:
    """`books` are what the amounts of payments stand for, by payment, where that is another currency.

    `fund_books` are what their fund money does, `so_far` what the thresholds of the rules look at, `payable` what the
    earnings of their payees stand at, by payment, and `disputed` those of which a line is.
    """

    batch_id: str
    payment_ids: tuple[str, ...]
    payee_ids: tuple[str, ...]
    by: str
    roles: tuple[str, ...]
    rules: tuple[str, ...]
    books: dict[str, Money]
    now: datetime
    fund_books: dict[str, Money] = field(default_factory=dict)
    so_far: dict[str, YearSoFar] = field(default_factory=dict)
    payable: dict[str, Money] = field(default_factory=dict)
    disputed: tuple[str, ...] = ()


@command("incentives.SendBatch.v1")
class SendBatch:
    """`bank` names the vendor's account that is drawn on.

    `disputed` are the payments that the first evaluators took for disputed; now their accounts themselves say so.
    """

    batch_id: str
    payment_ids: tuple[str, ...]
    payee_ids: tuple[str, ...]
    rules: tuple[str, ...]
    by: str
    now: datetime
    so_far: dict[str, YearSoFar] = field(default_factory=dict)
    bank: str | None = None
    disputed: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()


@command("incentives.CloseBatch.v1")
class CloseBatch:
    batch_id: str
    payment_ids: tuple[str, ...]
    now: datetime


# State


@dataclass(frozen=True)
class Batch:
    """The payments in order, and how far they are: none, prepared, approved, sent, closed."""

    stage: str = NONE
    prepared: BatchPrepared | None = None


# Refusals


class BatchInvalid(Invalid):
    """A batch has 1 to 500 different payments of one currency that are proposed and in no other state."""

    slug = "batch-invalid"


class NoBankDetails(Refused):
    """A bank's file names an account for every payment: enter bank details for the payees in `payees` first."""

    slug = "no-bank-details"


class InBatch(Refused):
    """This payment is in the file of the batch `batch_id`: brought to the bank in two files it could be paid twice."""

    slug = "in-batch"


class PaymentsOpen(Refused):
    """Some payments of the batch are still under way."""

    slug = "payments-open"


# Decisions


def prepare_batch(wish: PrepareBatch, batch: Batch, payments: Sequence[Payment]) -> list[BatchEvent]:
    """Puts proposed payments together."""
    if batch.prepared:
        return []
    if not 1 <= len(wish.payment_ids) <= PAYMENTS_MAX or len(set(wish.payment_ids)) != len(wish.payment_ids):
        raise BatchInvalid
    orders = [payment.order for payment in payments]
    amounts = [payment.whole for payment in payments]
    if any(order.amount.currency != wish.currency for order in orders):
        raise BatchInvalid(f"every payment of this batch is in {wish.currency}")
    if any(payment.stage != Stage.PROPOSED for payment in payments):
        raise BatchInvalid("every payment of a batch is proposed")
    return [
        BatchPrepared(
            batch_id=wish.batch_id,
            currency=wish.currency,
            day=wish.day,
            payment_ids=wish.payment_ids,
            total=total(amounts, wish.currency),
            prepared_by=wish.by,
            prepared_at=wish.now,
        )
    ]


Both = tuple[list[BatchEvent], list[list[PaymentEvent]]]
HandedOver = tuple[list[BatchEvent], list[list[PaymentEvent]], list[list[PaymentHandedOver]]]
Sent = tuple[list[BatchEvent], list[list[PaymentEvent]], list[list[PaymentHandedOver]], list[list[PaymentPassedGates]]]


def approve_batch(
    wish: ApproveBatch, batch: Batch, payments: Sequence[Payment], payees: Sequence[Payee], books: Sequence[Rulebook]
) -> Both:
    """A second person agrees to all payments in one commit; one whose gate is shut is blocked, the others go on."""
    prepared = _prepared(batch, wish.payment_ids, PREPARED, after=(APPROVED, SENT, CLOSED))
    if prepared is None:
        return [], [[] for _ in payments]
    if prepared.prepared_by == wish.by:
        raise FourEyes(prepared_by=wish.by)
    known = dict(zip(wish.payee_ids, payees, strict=True))
    decided = [
        approve_payment(_approving(wish, payment), payment, _payee(known, payment), books) for payment in payments
    ]
    return [BatchApproved(batch_id=wish.batch_id, approved_by=wish.by, approved_at=wish.now)], decided


def _approving(wish: ApproveBatch, payment: Payment) -> ApprovePayment:
    order = payment.order
    return ApprovePayment(
        payment_id=order.payment_id,
        payee_id=order.payee_id,
        by=wish.by,
        now=wish.now,
        roles=wish.roles,
        rules=wish.rules,
        books=wish.books.get(order.payment_id),
        fund_books=wish.fund_books.get(order.payment_id),
        so_far=wish.so_far.get(order.payment_id),
        payable=wish.payable.get(order.payment_id, LEFT_OUT),
        disputed=order.payment_id in wish.disputed,
    )


def send_batch(
    wish: SendBatch,
    batch: Batch,
    payments: Sequence[Payment],
    accounts: Sequence[Account],
    payees: Sequence[Payee],
    books: Sequence[Rulebook],
) -> Sent:
    """Submits every approved payment of the batch, and tells their accounts and payees.

    What is disputed, or has a gate shut, is blocked instead.
    """
    sent, decided, handed_over = send_batch_unguarded(wish, batch, payments, accounts, payees, books)
    passed = [passed_gates_of(one) for events in decided for one in events if isinstance(one, PaymentSubmitted)]
    return sent, decided, handed_over, [[one for one in passed if one.payee_id == name] for name in wish.payee_ids]


def send_batch_unguarded(
    wish: SendBatch,
    batch: Batch,
    payments: Sequence[Payment],
    accounts: Sequence[Account],
    payees: Sequence[Payee],
    books: Sequence[Rulebook],
) -> HandedOver:
    """As the third evaluator decided: a gate that shut after the look at a payee came too late."""
    known = dict(zip(wish.account_ids, accounts, strict=True))
    if unknown := {one.order.account_id for one in payments} - known.keys():
        raise Raced(min(unknown))
    stopped = (one.order.payment_id for one in payments if known[one.order.account_id].stops(one.order.payment_id))
    sent, decided = send_batch_looked_up(replace(wish, disputed=tuple(stopped)), batch, payments, payees, books)
    handed_over = [handed_over_of(one) for events in decided for one in events if isinstance(one, PaymentSubmitted)]
    return sent, decided, [[one for one in handed_over if one.account_id == name] for name in wish.account_ids]


def send_batch_looked_up(
    wish: SendBatch, batch: Batch, payments: Sequence[Payment], payees: Sequence[Payee], books: Sequence[Rulebook]
) -> Both:
    """As the second evaluator decided: a dispute that was filed after the look at it came too late."""
    prepared = _prepared(batch, wish.payment_ids, APPROVED, after=(SENT, CLOSED))
    if prepared is None:
        return [], [[] for _ in payments]
    known = dict(zip(wish.payee_ids, payees, strict=True))
    decided = [_submitted(wish, payment, _payee(known, payment), books) for payment in payments]
    return [BatchSent(batch_id=wish.batch_id, sent_by=wish.by, sent_at=wish.now)], decided


def _submitted(wish: SendBatch, payment: Payment, payee: Payee, books: Sequence[Rulebook]) -> list[PaymentEvent]:
    if payment.stage != Stage.APPROVED:
        return []
    order = payment.order
    one = SubmitPayment(
        payment_id=order.payment_id,
        payee_id=order.payee_id,
        by=wish.by,
        now=wish.now,
        rules=wish.rules,
        so_far=wish.so_far.get(order.payment_id),
        bank=wish.bank,
        disputed=order.payment_id in wish.disputed,
    )
    return submit_payment_looked_up(one, payment, payee, books)


def close_batch(wish: CloseBatch, batch: Batch, payments: Sequence[Payment]) -> list[BatchEvent]:
    """Ends a batch of which nothing is under way."""
    if _prepared(batch, wish.payment_ids, SENT, after=(CLOSED,)) is None:
        return []
    if open_ones := [payment.order.payment_id for payment in payments if payment.stage not in SETTLED]:
        raise PaymentsOpen(payment_ids=open_ones)
    return [BatchClosed(batch_id=wish.batch_id, closed_at=wish.now)]


def _prepared(batch: Batch, payment_ids: tuple[str, ...], stage: str, after: tuple[str, ...]) -> BatchPrepared | None:
    """What was prepared, if the batch is at that stage; None when it is past it. Raises WrongState before it."""
    if batch.prepared is None:
        raise WrongState("the batch is not prepared", state=batch.stage)
    if batch.prepared.payment_ids != payment_ids:
        raise Raced
    if batch.stage in after:
        return None
    if batch.stage != stage:
        raise WrongState(f"the batch is {batch.stage}", state=batch.stage)
    return batch.prepared


def _payee(known: Mapping[str, Payee], payment: Payment) -> Payee:
    payee = known.get(payment.order.payee_id)
    if payee is None:
        raise Raced
    return payee


# Evolve


def evolve(batch: Batch, happened: BatchEvent) -> Batch:
    match happened:
        case BatchPrepared():
            return Batch(stage=PREPARED, prepared=happened)
        case BatchApproved():
            return replace(batch, stage=APPROVED)
        case BatchSent():
            return replace(batch, stage=SENT)
        case BatchClosed():
            return replace(batch, stage=CLOSED)
        case _:
            assert_never(happened)


Batches = Decider[Batch, BatchEvent](kind="batch", initial=Batch(), evolve=evolve)

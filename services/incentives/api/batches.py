"""Batches of payments over HTTP, and their files for the bank."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.execution import Peek
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads
from chassis.tables import table
from services.incentives.adapters.payment_files import Message, Order, pain_001
from services.incentives.api.narrowing import Currency, Filter, Sort, sorted_by
from services.incentives.application.handing import batches_of
from services.incentives.application.paying import carried_of, is_disputed, payable_now, payment_rules_now
from services.incentives.application.sales import rules_of_kind
from services.incentives.application.tax_years import so_far
from services.incentives.domain.bank_account import bank_account
from services.incentives.domain.batch import (
    PAYMENTS_MAX,
    ApproveBatch,
    Batch,
    Batches,
    BatchInvalid,
    CloseBatch,
    InBatch,
    NoBankDetails,
    PrepareBatch,
    SendBatch,
)
from services.incentives.domain.payee import Payee, Payees, cooled_at
from services.incentives.domain.payee_events import BankDetailsChanged
from services.incentives.domain.payment import Payment, Payments, Stage, withheld_now
from services.incentives.domain.payment_rules import PAYMENT
from services.incentives.domain.thresholds import YearSoFar
from services.incentives.projections.batches import BatchDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]

router = APIRouter(tags=["batches"])


class BatchBody(Body):
    """Proposed payments of one currency that go out on one day."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    day: Day
    payment_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=PAYMENTS_MAX)
    ]


@router.post("/batches", status_code=201)
async def prepare(body: BatchBody, caller: Writer, app: App) -> Response:
    """Puts proposed payments together; a second person approves all of them at once."""
    wish = PrepareBatch(
        batch_id=caller.new_id("batch"),
        currency=body.currency,
        day=body.day,
        payment_ids=tuple(body.payment_ids),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, PrepareBatch, wish, status=201)


@router.post("/batches/{batch_id}/approve")
async def approve(batch_id: Id, caller: Writer, app: App) -> Response:
    """A second person agrees to every payment in one commit; one whose gate is shut is blocked."""

    async def make(peek: Peek) -> ApproveBatch:
        payments = await _payments(peek, batch_id)
        orders = [one.order for one in payments]
        carried = {it.payment_id: await carried_of(app, caller.tenant, it) for it in orders}
        return ApproveBatch(
            batch_id=batch_id,
            **await _named(app, caller.tenant, payments),
            by=caller.principal.by,
            roles=(*caller.principal.roles, *caller.principal.duties),
            books={name: worth for name, (worth, _) in carried.items() if worth is not None},
            fund_books={name: funded for name, (_, funded) in carried.items() if funded is not None},
            so_far=await _so_far(app, caller.tenant, payments),
            now=app.clock.now(),
            payable={
                it.payment_id: await payable_now(app, caller.tenant, it.account_id, it.amount.currency) for it in orders
            },
            disputed=await _disputed(peek, payments),
        )

    return await perform(caller, app, ApproveBatch, make)


@router.post("/batches/{batch_id}/send")
async def send(batch_id: Id, caller: Writer, app: App) -> Response:
    """Hands every approved payment of the batch to the provider."""

    async def make(peek: Peek) -> SendBatch:
        payments = await _payments(peek, batch_id)
        named = await _named(app, caller.tenant, payments)
        counted = await _so_far(app, caller.tenant, payments)
        by, now, bank = caller.principal.by, app.clock.now(), app.ports.bank
        accounts = tuple(sorted({one.order.account_id for one in payments}))
        return SendBatch(batch_id=batch_id, **named, by=by, now=now, so_far=counted, bank=bank, account_ids=accounts)

    return await perform(caller, app, SendBatch, make)


@router.post("/batches/{batch_id}/close")
async def close(batch_id: Id, caller: Writer, app: App) -> Response:
    """Ends a batch of which nothing is under way."""

    async def make(peek: Peek) -> CloseBatch:
        ids = tuple(one.order.payment_id for one in await _payments(peek, batch_id))
        return CloseBatch(batch_id=batch_id, payment_ids=ids, now=app.clock.now())

    return await perform(caller, app, CloseBatch, make)


async def _payments(peek: Peek, batch_id: str) -> list[Payment]:
    """The payments of a batch in its order. 422 for none."""
    batch: Batch = await peek(Batches.at(batch_id))
    if batch.prepared is None:
        raise BatchInvalid("there is no such batch")
    return [await peek(Payments.at(payment_id)) for payment_id in batch.prepared.payment_ids]


async def _named(app: Application, tenant: str, payments: list[Payment]) -> dict[str, Any]:
    return {
        "payment_ids": tuple(one.order.payment_id for one in payments),
        "payee_ids": tuple(sorted({one.order.payee_id for one in payments})),
        "rules": await rules_of_kind(app, tenant, PAYMENT),
    }


async def _disputed(peek: Peek, payments: list[Payment]) -> tuple[str, ...]:
    """The payments of which a line is disputed."""
    return tuple([one.order.payment_id for one in payments if await is_disputed(peek, one.order)])


async def _so_far(app: Application, tenant: str, payments: list[Payment]) -> dict[str, YearSoFar]:
    """What the thresholds look at, by payment; none where the rules have none."""
    thresholds = (await payment_rules_now(app, tenant)).thresholds
    orders = [one.order for one in payments] if thresholds else []
    return {it.payment_id: await so_far(app, tenant, it.payee_id, thresholds, it) for it in orders}


@router.get("/batches")
@answers(Page[BatchDocument])
@reads("batches")
async def list_batches(
    caller: Reader, app: App, paged: Paged, state: Filter = None, currency: Currency = None, sort: Sort = "-date"
) -> Response:
    """Batches, by the day of the last change or by their total. State: prepared, approved, sent, closed."""
    app.access.check(caller.principal, PrepareBatch)
    where = {"state": state, "currency": currency}
    return listed(*await page(caller, app, "batches", paged, where, sorted_by(sort, "changed_at")))


# Files

HANDED_OVER = (Stage.SUBMITTED, Stage.UNKNOWN, Stage.PAID)
"""Of what is blocked, failed or returned, or is to go out again, a file would pay under a reference that is settled."""


@router.get("/batches/{batch_id}/pain001")
@answers(media="application/xml")
async def as_pain_001(batch_id: Id, caller: Reader, app: App) -> Response:
    """What of the batch was handed over with it, as a pain.001.001.09 file: without what came back, or went out again alone."""
    app.access.check(caller.principal, SendBatch)
    peek = app.executor.peek(caller.tenant)
    batch: Batch = await peek(Batches.at(batch_id))
    payments = await _payments(peek, batch_id)
    sent = await batches_of(app, caller.tenant, [one.order.payment_id for one in payments])
    mine = [one for one in payments if sent.get(one.order.payment_id) == batch_id]
    return await _filed(caller, app, batch_id, mine, batch.prepared.day if batch.prepared else None)


@router.get("/payments/{payment_id}/pain001")
@answers(media="application/xml")
async def one_as_pain_001(payment_id: Id, caller: Reader, app: App) -> Response:
    """A payment that went out by itself as a pain.001.001.09 file; none of one that came back, or is in a batch's file."""
    app.access.check(caller.principal, SendBatch)
    await app.exists(caller.tenant, "payment", payment_id)
    payment: Payment = await app.executor.peek(caller.tenant)(Payments.at(payment_id))
    sent = await batches_of(app, caller.tenant, [payment_id])
    if batch_id := sent.get(payment_id):
        raise InBatch(batch_id=batch_id)
    return await _filed(caller, app, payment.references[-1] if payment.references else payment_id, [payment], None)


async def _filed(caller: Reader, app: App, name: str, payments: list[Payment], day: date | None) -> Response:
    """The file for a bank; carried out on a day, or at once."""
    payments = [one for one in payments if one.stage in HANDED_OVER]
    if not payments:
        raise BatchInvalid("none of its payments is with the provider")
    banks = [await _bank(app, caller.tenant, one) for one in payments]
    if without := sorted({one.order.payee_id for one, bank in zip(payments, banks, strict=True) if bank is None}):
        raise NoBankDetails(payees=without)
    orders = [_order(app, caller.tenant, one, bank) for one, bank in zip(payments, banks, strict=True) if bank]
    now = app.clock.now()
    message = Message(message_id=name, made_at=now, on=day or now.date(), payer=app.ports.payer, orders=orders)
    disposition = {"Content-Disposition": f'attachment; filename="{name}.xml"'}
    return Response(pain_001(message), media_type="application/xml", headers=disposition)


async def _bank(app: Application, tenant: str, payment: Payment) -> BankDetailsChanged | None:
    """Where the payee was to be paid when the payment was handed over: what was entered since has passed no gate.

    Where nothing was entered then, what has been since, once it is verified and has cooled down.
    """
    payee: Payee = await app.executor.peek(tenant)(Payees.at(payment.order.payee_id))
    then = payee.bank_before(payment.submitted_at) if payment.submitted_at else None
    if then or payee.bank is None or not payee.bank_verified:
        return then
    cooled = cooled_at(payee.bank, await payment_rules_now(app, tenant))
    return payee.bank if app.clock.now() >= cooled else None


def _order(app: Application, tenant: str, payment: Payment, bank: BankDetailsChanged) -> Order:
    """A payment with the bank details of its payee opened."""
    order = payment.order
    opened = app.keys.open(tenant, bank.account)
    if opened is None:
        raise NoBankDetails(payees=[order.payee_id])
    return Order(
        reference=payment.references[-1],
        account=bank_account(opened),
        amount=payment.net,
        statement_number=order.statement_number,
    )


@router.get("/batches/{batch_id}/csv")
@answers(media="text/csv")
async def as_csv(batch_id: Id, caller: Reader, app: App) -> Response:
    """The batch as a table; nothing in it is a formula. It names every partner that is paid, so only finance reads it."""
    app.access.check(caller.principal, SendBatch)
    payments = await _payments(app.executor.peek(caller.tenant), batch_id)
    columns = (
        "payment_id",
        "payee_id",
        "statement",
        "amount",
        "net",
        "currency",
        "state",
        "reference",
        "tax",
        "withheld",
    )
    return table(batch_id, columns, [_row(one) for one in payments])


def _row(payment: Payment) -> tuple[Any, ...]:
    order = payment.order
    last = payment.references[-1] if payment.references else None
    known = (order.payment_id, order.payee_id, order.statement_number, order.amount.amount, payment.net.amount)
    taxes = payment.tax.amount, withheld_now(payment).amount
    return (*known, order.amount.currency, payment.stage.value, last, *taxes)

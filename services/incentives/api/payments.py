"""Statements and payments over HTTP: finance prepares, an approver confirms."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.execution import Peek
from chassis.http import App, Body, Paged, Reader, Writer, listed, page, perform, reads, shown
from services.incentives.access import READ_EARNINGS, READ_PAYMENTS
from services.incentives.api.earnings import own
from services.incentives.application import Period, caught_up, proposal_of, statement_of
from services.incentives.domain.account import IssueStatement
from services.incentives.domain.payment import (
    ApprovePayment,
    DeclinePayment,
    Payment,
    Payments,
    ProposePayment,
    ResumePayment,
    RetryPayment,
    SubmitPayment,
)

Id = Annotated[str, Path(min_length=1, max_length=64)]
Filter = Annotated[str | None, Query(max_length=64)]
INSIDE = ("proposed_by", "approved_by")

router = APIRouter(tags=["payments"])


class StatementBody(Body):
    """A payee's month that is over, such as 2026-03."""

    partner_id: Annotated[str, Field(min_length=1, max_length=64)]
    period: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class PaymentBody(Body):
    statement_id: Annotated[str, Field(min_length=1, max_length=64)]


class DeclineBody(Body):
    category: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]


# Statements


@router.post("/statements", status_code=201)
async def issue(body: StatementBody, caller: Writer, app: App) -> Response:
    """Issues the statement of a period: all that changed what is payable since the last one."""
    app.access.check(caller.principal, IssueStatement)
    await app.exists(caller.tenant, "payee", body.partner_id)
    asked = Period(**body.model_dump(), by=caller.principal.by)

    async def make(peek: Peek) -> IssueStatement:
        return await statement_of(app, caller.tenant, peek, asked)

    return await perform(caller, app, IssueStatement, make, status=201)


@router.get("/statements")
@reads("statements")
async def list_statements(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, period: Filter = None
) -> Response:
    """Statements, newest first; a partner's own only."""
    app.access.check(caller.principal, READ_EARNINGS)
    where = {"partner_id": own(caller, partner_id), "period": period}
    items, cursor = await page(caller, app, "statements", paged, where, sort="-issued_at")
    return listed([{name: value for name, value in item.items() if name != "lines"} for item in items], cursor)


@router.get("/statements/{statement_id}")
@reads("statements")
async def one_statement(statement_id: Id, caller: Reader, app: App) -> Response:
    """One statement with all its lines."""
    app.access.check(caller.principal, READ_EARNINGS)
    return shown(await app.document(caller.principal, "statements", statement_id))


# Payments


@router.post("/payments", status_code=201)
async def propose(body: PaymentBody, caller: Writer, app: App) -> Response:
    """Proposes to pay a statement; a second person approves it."""
    app.access.check(caller.principal, ProposePayment)
    await caught_up(app, "statements")
    statement = await app.document(caller.principal, "statements", body.statement_id)

    async def make(_: Peek) -> ProposePayment:
        return await proposal_of(app, caller.tenant, statement=statement, by=caller.principal.by)

    return await perform(caller, app, ProposePayment, make, status=201)


async def _decided(payment_id: str, caller: Writer, app: App, wish: type[Any], **fields: Any) -> Response:
    """Runs a command on a payment with the fields of its order that the command needs. 404 for none."""
    app.access.check(caller.principal, wish)

    async def make(peek: Peek) -> Any:
        payment: Payment = await peek(Payments.at(payment_id))
        order = payment.order
        known = {"payee_id": order.payee_id, "account_id": order.account_id}
        needed = {name: value for name, value in known.items() if name in wish.__dataclass_fields__}
        return wish(payment_id=payment_id, **needed, **fields, by=caller.principal.by, now=app.clock.now())

    return await perform(caller, app, wish, make)


@router.post("/payments/{payment_id}/approve")
async def approve(payment_id: Id, caller: Writer, app: App) -> Response:
    """A second person agrees. A shut gate blocks the payment instead."""
    return await _decided(payment_id, caller, app, ApprovePayment)


@router.post("/payments/{payment_id}/submit")
async def submit(payment_id: Id, caller: Writer, app: App) -> Response:
    """Hands the payment to the provider; its answer arrives as an event."""
    return await _decided(payment_id, caller, app, SubmitPayment)


@router.post("/payments/{payment_id}/resume")
async def resume(payment_id: Id, caller: Writer, app: App) -> Response:
    """Proposes a blocked payment again, once its gates are open."""
    return await _decided(payment_id, caller, app, ResumePayment)


@router.post("/payments/{payment_id}/retry")
async def retry(payment_id: Id, caller: Writer, app: App) -> Response:
    """Makes a failed or returned payment ready for another attempt under a new reference."""
    return await _decided(payment_id, caller, app, RetryPayment)


@router.post("/payments/{payment_id}/decline")
async def decline(payment_id: Id, body: DeclineBody, caller: Writer, app: App) -> Response:
    """A second person gives the payment up; what it drew is payable again."""
    return await _decided(payment_id, caller, app, DeclinePayment, category=body.category)


@router.get("/payments")
@reads("payments")
async def list_payments(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, state: Filter = None
) -> Response:
    """The payment board, newest change first; a partner's own only."""
    app.access.check(caller.principal, READ_PAYMENTS)
    where = {"partner_id": own(caller, partner_id), "state": state}
    items, cursor = await page(caller, app, "payments", paged, where, sort="-changed_at")
    return listed([_for(caller, item) for item in items], cursor)


@router.get("/payments/{payment_id}")
@reads("payments")
async def one_payment(payment_id: Id, caller: Reader, app: App) -> Response:
    """One payment and its history."""
    app.access.check(caller.principal, READ_PAYMENTS)
    return shown(_for(caller, await app.document(caller.principal, "payments", payment_id)))


def _for(caller: Reader, document: dict[str, Any]) -> dict[str, Any]:
    """Who decided is the vendor's own affair."""
    hidden = INSIDE if caller.principal.kind == "partner" else ()
    return {name: value for name, value in document.items() if name not in hidden}

"""Statements and payments over HTTP: finance prepares, an approver confirms."""

from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from chassis.access import PARTNER
from chassis.answers import Page, answers
from chassis.decider import NotFound, Problem
from chassis.event import LEFT_OUT, canonical_json, plain, stable_id
from chassis.execution import Peek
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.tables import table
from contracts.values import Money, money
from services.incentives.access import READ_LEDGER, READ_PAYMENTS, UPLOAD_REPORTS
from services.incentives.adapters.provider_reports import FileRejected, Reported, reported
from services.incentives.adapters.statement_pdf import statement_pdf
from services.incentives.api.earnings import arbiter_alone, earned_at, only_payee, own, shown_to
from services.incentives.api.facts import under
from services.incentives.api.mergers import statement_for
from services.incentives.api.narrowing import Currency, Filter, Sort, StatedFilter, sorted_by
from services.incentives.application.handing import references_of
from services.incentives.application.paying import (
    Period,
    carried_of,
    is_disputed,
    payable_now,
    proposal_of,
    statement_of,
    write_off_of,
)
from services.incentives.application.sales import in_books, rules_of_kind
from services.incentives.application.stated import StatedOrder, StatedPayment, stated_orders, stated_payments
from services.incentives.application.tax_years import so_far_with
from services.incentives.domain.account import (
    Account,
    Accounts,
    Cause,
    IssueStatement,
    StatementLine,
    WriteOffNegative,
    live_statement,
)
from services.incentives.domain.payee import Payee, Payees, country_of
from services.incentives.domain.payment import Payment, Payments, payment_of
from services.incentives.domain.payment_commands import (
    ApprovePayment,
    AttachInvoice,
    DeclinePayment,
    ProposePayment,
    ReportOutcome,
    ResumePayment,
    RetryPayment,
    SubmitPayment,
)
from services.incentives.domain.payment_rules import PAYMENT
from services.incentives.projections.payments import ShownPayment
from services.incentives.projections.statement_days import ISSUES, NextStatement
from services.incentives.projections.statements import ListedStatement, StatementDocument
from services.incentives.projections.write_offs import WriteOffDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]
INSIDE = ("proposed_by", "approved_by")
NEXT = (
    "account_id",
    "payee_id",
    "partner_id",
    "currency",
    "period",
    "issues_on",
    "review_until",
    "pay_by",
    "available_on",
)
COLUMNS = ("effective_on", "kind", "cause", "opportunity_id")
OF_PAYMENTS = ("tax", "withheld", "jurisdiction", "withheld_percent", "to_bank")

router = APIRouter(tags=["payments"])


class ShownStatement(StatementDocument):
    """A statement as it was issued, and beside it what each payment that it tells of brings to the bank."""

    payments: list[StatedPayment]


class ShownLive(TypedDict):
    """The statement that would be issued now, what its payments bring to the bank, and where the orders stand.

    `orders` are those that a payee asks for: under way, of the statement before, or of a line of this one.
    """

    account_id: str
    payee_id: str
    partner_id: str
    opening: Annotated[dict[str, str], Money]
    causes: list[Cause]
    lines: list[StatementLine]
    closing: Annotated[dict[str, str], Money]
    from_position: int
    to_position: int
    payments: list[StatedPayment]
    orders: list[StatedOrder]


class StatementBody(Body):
    """A payee's period that is over: a month such as 2026-03, a quarter such as 2026-Q1, or a week such as 2026-W14.

    The payee is the partner, or with `payee_id` a person who earned at it.
    """

    partner_id: Annotated[str, Field(min_length=1, max_length=64)]
    payee_id: Annotated[str, Field(max_length=64)] = ""
    period: Annotated[str, Field(pattern=r"^[0-9]{4}-([0-9]{2}|Q[1-4]|W[0-9]{2})$")]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class PaymentBody(Body):
    """What to pay; the `final` payment to a payee is made below the minimum too."""

    statement_id: Annotated[str, Field(min_length=1, max_length=64)]
    final: bool = False


class DeclineBody(Body):
    category: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]


class WriteOffBody(Body):
    payee_id: Annotated[str, Field(min_length=1, max_length=64)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class InvoiceBody(Body):
    """The payee's invoice: its net amount is the payment's, and the tax that it charges is paid on top of it.

    The tax is of `country`, else of the one that the payee's partner is in. Where the vendor owes it itself (a reverse
    charge across a border) the invoice charges none.
    """

    number: Annotated[str, Field(min_length=1, max_length=64)]
    net: Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$")]
    tax: Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$")] = "0"
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    invoice_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ReportBody(Body):
    """A provider's report. `signature` is the HMAC-SHA-256 of the other fields' canonical JSON under the shared secret."""

    reference: Annotated[str, Field(pattern="^[0-9a-f]{32}-[0-9]{2}$")]
    outcome: Literal["paid", "rejected", "unknown", "returned"]
    provider_event_id: Annotated[str, Field(min_length=1, max_length=64)]
    on: Day
    signature: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ReportFileBody(Body):
    """A bank's file. `signature` is the HMAC-SHA-256 of its content, in UTF-8, under the shared secret."""

    kind: Literal["pain002", "csv"]
    content: Annotated[str, Field(min_length=1, max_length=1 << 19)]
    signature: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Forged(Problem):
    """This report is not signed by the provider."""

    status = 401
    slug = "forged"


# Statements


@router.post("/statements", status_code=201)
async def issue(body: StatementBody, caller: Writer, app: App) -> Response:
    """Issues the statement of a period: all that changed what is payable since the last one."""
    app.access.check(caller.principal, IssueStatement)
    await _employed(app, caller.tenant, body.payee_id or body.partner_id, body.partner_id)
    asked = Period(**body.model_dump(), by=caller.principal.by)

    async def make(peek: Peek) -> IssueStatement:
        return await statement_of(app, caller.tenant, peek, asked)

    return await perform(caller, app, IssueStatement, make, status=201)


async def _employed(app: App, tenant: str, payee_id: str, partner_id: str) -> None:
    """Raises NotFound unless the payee is the partner, or a person who earns at it."""
    payee: Payee = (await app.executor.state(tenant, Payees.at(payee_id)))[0]
    if not payee.opened or payee.partner_id != partner_id:
        raise NotFound


async def statement_filter(
    partner_id: Filter = None, payee_id: Filter = None, period: Filter = None, currency: Currency = None
) -> dict[str, str | None]:
    """Narrows a list of statements."""
    return {"partner_id": partner_id, "payee_id": payee_id, "period": period, "closing.currency": currency}


StatementFilter = Annotated[dict[str, str | None], Depends(statement_filter)]


@router.get("/statements")
@answers(Page[ListedStatement])
@reads("statements")
async def list_statements(
    caller: Reader, app: App, paged: Paged, narrowed: StatementFilter, sort: Sort = "-date"
) -> Response:
    """Statements, by the day of issue or by what they close with; a partner's own, and those of who is one with it."""
    only = only_payee(caller, app)
    theirs = earned_at(caller, only, narrowed["partner_id"])
    where: dict[str, Any] = {**narrowed, "partner_id": theirs, "payee_id": only or narrowed["payee_id"]}
    items, cursor = await page(caller, app, "statements", paged, where, sorted_by(sort, "issued_at"))
    return listed([{name: value for name, value in item.items() if name != "lines"} for item in items], cursor)


@router.get("/statements/next")
@answers(Page[NextStatement])
@reads("statement_days")
async def next_statements(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, period: Filter = None, currency: Currency = None
) -> Response:
    """The periods that are open, and when their statements are issued and paid; a partner's own only."""
    only = only_payee(caller, app)
    where = {
        "partner_id": earned_at(caller, only, partner_id),
        "payee_id": only,
        "period": period,
        "currency": currency,
        "stage": ISSUES,
    }
    items, cursor = await page(caller, app, "statement_days", paged, where, sort="due_at")
    return listed([{name: item[name] for name in NEXT} for item in items], cursor)


@router.get("/statements/live")
@answers(ShownLive)
@reads("ledger", "payments")
async def live(
    caller: Reader,
    app: App,
    currency: Annotated[str, Query(pattern="^[A-Z]{3}$")],
    partner_id: Annotated[str, Query(min_length=1, max_length=64)],
    payee_id: Filter = None,
) -> Response:
    """What a payee's next statement would say if it were issued now: what was carried into it, and all since, by cause.

    Beside it what its payments bring to the bank, and what is paid or under way. The payee is the partner, or with
    `payee_id` a person who earned at it.
    """
    only, who = only_payee(caller, app), caller.principal
    foreign = who.kind == PARTNER and not who.acts_for(partner_id)
    theirs = who.partner_id or "" if foreign else partner_id
    payee_id = payee_id or only or partner_id
    shown_to(only, {"payee_id": payee_id})
    await _employed(app, caller.tenant, payee_id, theirs)
    peek = app.executor.peek(caller.tenant)
    asked = Period(
        partner_id=theirs, payee_id=payee_id, currency=currency, period="", by=caller.principal.by, final=True
    )
    wish = await statement_of(app, caller.tenant, peek, asked)
    if only is None and who.kind == PARTNER and not who.acts_for(wish.partner_id):
        raise NotFound
    account: Account = await peek(Accounts.at(wish.account_id))
    told = plain(live_statement(wish, account))
    payments = await stated_payments(app, caller.tenant, told)
    orders = await stated_orders(app, caller.tenant, account, told)
    return shown({**told, "payments": payments, "orders": orders})


@router.get("/statements/{statement_id}")
@answers(ShownStatement)
@reads("statements")
async def one_statement(statement_id: Id, caller: Reader, app: App) -> Response:
    """One statement with all its lines, and what its payments bring to the bank.

    For who decides disputes one of which a line was disputed, and nothing of payments.
    """
    if arbiter_alone(caller, app):
        return shown({**await _disputed(caller, app, statement_id), "payments": []})
    return shown(await _with_payments(caller, app, statement_id))


async def _with_payments(caller: Reader, app: App, statement_id: str) -> dict[str, Any]:
    found = await statement_for(caller, app, statement_id)
    return {**found, "payments": await stated_payments(app, caller.tenant, found)}


async def _disputed(caller: Reader, app: App, statement_id: str) -> dict[str, Any]:
    """Raises NotFound where no line of the statement was ever disputed."""
    await app.caught_up("disputes")
    about = await app.read.find("disputes", caller.tenant, {"statement_id": statement_id}, "statement_id", limit=1)
    if not about.items:
        raise NotFound
    return await app.document(caller.principal, "statements", statement_id)


@router.get("/statements/{statement_id}/csv")
@answers(media="text/csv")
@reads("statements")
async def statement_table(statement_id: Id, caller: Reader, app: App) -> Response:
    """A statement as a table; nothing in it is a formula."""
    found = await _with_payments(caller, app, statement_id)
    payments = {one["event_id"]: _parts(one) for one in found["payments"]}
    none = [None] * len(OF_PAYMENTS)
    rows = [
        [*(line.get(name) for name in COLUMNS), line["amount"]["amount"], *payments.get(line["event_id"], none)]
        for line in found["lines"]
    ]
    opening = [None, "opening", None, None, found["opening"]["amount"], *none]
    closing = [None, "closing", None, None, found["closing"]["amount"], *none]
    heads = (*COLUMNS, f"amount {found['closing']['currency']}", *OF_PAYMENTS)
    return table(statement_id, heads, [opening, *rows, closing])


def _parts(payment: StatedPayment) -> list[str | None]:
    """What leads from a payment to the bank, as a row of the table says it."""
    amounts = (payment["tax"], payment["withheld"], payment["to_bank"])
    tax, withheld, to_bank = (amount["amount"] for amount in amounts)
    return [tax, withheld, payment["jurisdiction"], payment["withheld_percent"], to_bank]


@router.get("/statements/{statement_id}/pdf")
@answers(media="application/pdf")
@reads("statements")
async def statement_document(statement_id: Id, caller: Reader, app: App) -> Response:
    """A statement as a PDF; the same statement is the same bytes."""
    found = await _with_payments(caller, app, statement_id)
    disposition = {"Content-Disposition": f'attachment; filename="{statement_id}.pdf"'}
    return Response(statement_pdf(found), media_type="application/pdf", headers=disposition)


@router.post("/write-offs")
async def write_off(body: WriteOffBody, caller: Writer, app: App) -> Response:
    """Gives up what a payee owes: the first person proposes it, a second one confirms it by the same call."""
    app.access.check(caller.principal, WriteOffNegative)
    asked = Period(partner_id=body.payee_id, currency=body.currency, period="", by=caller.principal.by)

    async def make(_: Peek) -> WriteOffNegative:
        return await write_off_of(app, caller.tenant, asked, body.reason)

    return await perform(caller, app, WriteOffNegative, make)


@router.get("/write-offs")
@answers(Page[WriteOffDocument])
@reads("write_offs")
async def write_offs(caller: Reader, app: App, paged: Paged, narrowed: StatedFilter, sort: Sort = "-date") -> Response:
    """What is given up of negative balances, and what waits for a second person. State: proposed, written_off."""
    app.access.check(caller.principal, READ_LEDGER)
    return listed(*await page(caller, app, "write_offs", paged, narrowed, sorted_by(sort, "changed_at")))


# Payments


@router.post("/payments", status_code=201)
async def propose(body: PaymentBody, caller: Writer, app: App) -> Response:
    """Proposes to pay a statement; a second person approves it."""
    app.access.check(caller.principal, ProposePayment)
    await app.caught_up("statements")
    statement = await app.document(caller.principal, "statements", body.statement_id)

    async def make(_: Peek) -> ProposePayment:
        return await proposal_of(app, caller.tenant, statement=statement, by=caller.principal.by, final=body.final)

    return await perform(caller, app, ProposePayment, make, status=201)


async def _decided(payment_id: str, caller: Writer, app: App, wish: type[Any], **fields: Any) -> Response:
    """Runs a command on a payment with the fields of its order that the command needs. 404 for none."""
    app.access.check(caller.principal, wish)

    async def make(peek: Peek) -> Any:
        payment: Payment = await peek(Payments.at(payment_id))
        order = payment.order
        known: dict[str, Any] = {"payee_id": order.payee_id, "account_id": order.account_id, "bank": app.ports.bank}
        if "rules" in wish.__dataclass_fields__:
            known["rules"] = await rules_of_kind(app, caller.tenant, PAYMENT)
        if wish is ApprovePayment:
            known["roles"] = (*caller.principal.roles, *caller.principal.duties)
            known["books"], known["fund_books"] = await carried_of(app, caller.tenant, order)
            known["payable"] = await payable_now(app, caller.tenant, order.account_id, order.amount.currency)
        if wish in (ApprovePayment, ResumePayment):
            known["disputed"] = await is_disputed(peek, order)
        if "so_far" in wish.__dataclass_fields__:
            known["so_far"] = await so_far_with(app, caller.tenant, order)
        needed = {name: value for name, value in known.items() if name in wish.__dataclass_fields__}
        return wish(payment_id=payment_id, **needed, **fields, by=caller.principal.by, now=app.clock.now())

    return await perform(caller, app, wish, make)


@router.post("/payments/{payment_id}/approve")
async def approve(payment_id: Id, caller: Writer, app: App) -> Response:
    """A second person agrees. A shut gate blocks the payment instead."""
    return await _decided(payment_id, caller, app, ApprovePayment)


@router.post("/payments/{payment_id}/invoice")
async def invoice(payment_id: Id, body: InvoiceBody, caller: Writer, app: App) -> Response:
    """Takes the payee's invoice for a payment that waits for one."""
    app.access.check(caller.principal, AttachInvoice)
    await app.document(caller.principal, "payments", payment_id)

    async def make(peek: Peek) -> AttachInvoice:
        order = (await peek(Payments.at(payment_id))).order
        partner, now = await peek(Payees.at(order.partner_id)), app.clock.now()
        return AttachInvoice(
            payment_id=payment_id,
            account_id=order.account_id,
            number=body.number,
            net=money(body.net, order.amount.currency),
            tax=money(body.tax, order.amount.currency),
            invoice_sha256=body.invoice_sha256,
            now=now,
            country=body.country or country_of(partner, now.date()),
            books=await in_books(peek, now.date()),
        )

    return await perform(caller, app, AttachInvoice, make)


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


@router.post("/provider-reports")
async def provider_report(body: ReportBody, caller: Writer, app: App) -> Response:
    """What the provider tells by itself of a reference: signed, or it is not believed."""
    app.access.check(caller.principal, ReportOutcome)
    content = canonical_json(body.model_dump(exclude={"signature"}, mode="json"))
    if not app.ports.signed_by_provider(content, body.signature):
        raise Forged

    told = Reported(**body.model_dump(exclude={"signature"}))
    return await perform(caller, app, ReportOutcome, _heard(app, told))


def _heard(app: App, told: Reported) -> Callable[[Peek], Awaitable[ReportOutcome]]:
    """The command of what was reported of a reference; of a day to come, it happened when it was heard."""

    async def make(peek: Peek) -> ReportOutcome:
        payment_id, now = payment_of(told.reference), app.clock.now()
        order = (await peek(Payments.at(payment_id))).order
        on = min(told.on, now.astimezone(UTC).date())
        return ReportOutcome(
            payment_id=payment_id,
            account_id=order.account_id,
            reference=told.reference,
            outcome=told.outcome,
            provider_event_id=told.provider_event_id,
            on=on,
            now=now,
            books=await in_books(peek, on),
            says=told.says or LEFT_OUT,
        )

    return make


class ReportResult(TypedDict):
    """A row: recorded, repeated, or refused with the slug and what it says."""

    reference: str
    outcome: str
    result: str
    slug: NotRequired[str]
    detail: NotRequired[str]


class ReportResults(TypedDict):
    results: list[ReportResult]


@router.post("/provider-reports/file")
@answers(ReportResults)
async def provider_file(body: ReportFileBody, caller: Writer, app: App) -> Response:
    """A file that the bank signed, pain.002 or a table; the answer has a result for each reference that is settled.

    Of a file that it rejects whole that is every payment which was in it.
    """
    app.access.check(caller.principal, UPLOAD_REPORTS)
    told = reported(body.kind, body.content)
    if not app.ports.signed_by_provider(body.content.encode(), body.signature):
        raise Forged
    return shown({"results": [result for one in told for result in await _heard_of(caller, app, one)]})


async def _heard_of(caller: Writer, app: App, told: Reported | FileRejected) -> list[dict[str, Any]]:
    """The results of a row; of a file that is rejected whole, of each payment that was in it."""
    if isinstance(told, Reported):
        return [await _row_heard(caller, app, told)]
    references = await references_of(app, caller.tenant, told.message_id)
    unknown = told.of(told.message_id)
    return [await _row_heard(caller, app, told.of(one)) for one in references] or [
        await _row_heard(caller, app, unknown)
    ]


async def _row_heard(caller: Writer, app: App, row: Reported) -> dict[str, Any]:
    """One row: its command's id comes from the row, so a file that is sent twice counts once."""
    told = {"reference": row.reference, "outcome": row.outcome}
    identity = stable_id(caller.tenant, "provider-report", row.reference, row.provider_event_id)
    try:
        done = await app.executor.run(under(caller.order(), identity), _heard(app, row))
    except Problem as refusal:
        return {**told, "result": "refused", "slug": refusal.slug, "detail": refusal.detail}
    return {**told, "result": "repeated" if done.repeated or not done.events else "recorded"}


async def payment_filter(
    partner_id: Filter = None, state: Filter = None, currency: Currency = None, statement_id: Filter = None
) -> dict[str, str | None]:
    """Narrows a list of payments; of one period are those of its statement."""
    named = {"partner_id": partner_id, "state": state, "statement_id": statement_id}
    return {**named, "amount.currency": currency}


PaymentFilter = Annotated[dict[str, str | None], Depends(payment_filter)]


@router.get("/payments")
@answers(Page[ShownPayment])
@reads("payments")
async def list_payments(
    caller: Reader, app: App, paged: Paged, narrowed: PaymentFilter, sort: Sort = "-date"
) -> Response:
    """The payment board, by the day of the last change or by amount; a partner's own only."""
    app.access.check(caller.principal, READ_PAYMENTS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"])}
    items, cursor = await page(caller, app, "payments", paged, where, sorted_by(sort, "changed_at"))
    return listed([_for(caller, item) for item in items], cursor)


@router.get("/payments/{payment_id}")
@answers(ShownPayment)
@reads("payments")
async def one_payment(payment_id: Id, caller: Reader, app: App) -> Response:
    """One payment and its history."""
    app.access.check(caller.principal, READ_PAYMENTS)
    return shown(_for(caller, await app.document(caller.principal, "payments", payment_id)))


def _for(caller: Reader, document: dict[str, Any]) -> dict[str, Any]:
    """Who decided is the vendor's own affair."""
    hidden = INSIDE if caller.principal.kind == "partner" else ()
    return {name: value for name, value in document.items() if name not in hidden}

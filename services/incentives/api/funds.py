"""Funds over HTTP: shares by programme and period, requests, their decision, and the day to claim by."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.execution import Peek
from chassis.http import App, Body, Caller, Day, Paged, Reader, Unreadable, Writer, listed, page, perform, reads, shown
from contracts.values import Money, money, none_of
from services.incentives.access import READ_FUNDS
from services.incentives.api.earnings import own
from services.incentives.api.narrowing import Currency, Filter, Sort, sorted_by
from services.incentives.application.answers import FundRequestAnswer
from services.incentives.domain.fund_request import FundRequest, FundRequests
from services.incentives.domain.fund_request_commands import (
    AmendFundRequest,
    DecideFundRequest,
    DraftFundRequest,
    EndFundRequest,
    RecallFundRequest,
    RequestExtension,
    SubmitFundRequest,
)
from services.incentives.domain.fund_request_events import ItemDecision, RequestDetails, RequestItem
from services.incentives.domain.fund_share import AllocateFund
from services.incentives.projections.fund_accruals import AccrualDocument
from services.incentives.projections.fund_requests import FundRequestDocument
from services.incentives.projections.funds import FundDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Period = Annotated[str, Field(pattern=r"^[0-9]{4}(-(Q[1-4]|0[1-9]|1[0-2]))?$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]

router = APIRouter(tags=["funds"])


class MoneyBody(Body):
    """An amount as decimal text, in a currency of ISO 4217."""

    amount: Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$")]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class ShareBody(Body):
    """A partner's share of a fund in a period; `ref` names this step, so that it counts once."""

    partner_id: Name
    period: Period
    ref: Name
    amount: MoneyBody


class ItemBody(Body):
    """One thing that the activity costs."""

    text: Text
    amount: MoneyBody
    quote_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None


class DetailsBody(Body):
    """What is planned."""

    activity_type: Name
    starts_on: Day
    ends_on: Day
    items: Annotated[list[ItemBody], Field(min_length=1, max_length=50)]
    expected_leads: Annotated[int | None, Field(ge=0, le=1_000_000)] = None
    expected_revenue: MoneyBody | None = None


class RequestBody(DetailsBody):
    """A request for fund money."""

    fund_id: Name
    period: Period


class AmendBody(DetailsBody):
    reason: Text


class ItemDecisionBody(Body):
    """What is decided of one item; an amount where it is accepted with changes."""

    outcome: Literal["accepted_as_is", "accepted_with_changes", "denied", "returned"]
    amount: MoneyBody | None = None
    reason: Annotated[str, Field(max_length=500)] = ""


class DecisionBody(Body):
    """One decision an item, in the order of the items."""

    items: Annotated[list[ItemDecisionBody], Field(min_length=1, max_length=50)]
    reason: Annotated[str, Field(max_length=500)] = ""


class ReasonBody(Body):
    reason: Text


def amount_of(body: MoneyBody) -> Money:
    """The money that a body names. Raises Unreadable when the currency has no such digits."""
    try:
        return money(body.amount, body.currency)
    except ValueError as error:
        raise Unreadable(str(error)) from error


def countable(amounts: Iterable[Money]) -> None:
    """Raises Unreadable where the amounts of one currency come to more than money can hold: nobody could add them up."""
    sums: dict[str, Money] = {}
    try:
        for amount in amounts:
            sums[amount.currency] = sums.get(amount.currency, none_of(amount.currency)) + amount
    except ValueError as error:
        raise Unreadable(f"together that is too much: {error}") from error


def details_of(body: DetailsBody) -> RequestDetails:
    items = tuple(
        RequestItem(text=item.text, amount=amount_of(item.amount), quote_sha256=item.quote_sha256)
        for item in body.items
    )
    countable(item.amount for item in items)
    revenue = amount_of(body.expected_revenue) if body.expected_revenue else None
    return RequestDetails(
        activity_type=body.activity_type,
        starts_on=body.starts_on,
        ends_on=body.ends_on,
        items=items,
        expected_leads=body.expected_leads,
        expected_revenue=revenue,
    )


# Shares


@router.post("/funds/{fund_id}/allocate", status_code=201)
async def allocate(fund_id: Id, body: ShareBody, caller: Writer, app: App) -> Response:
    """Gives a partner a share of what the fund has left in the period (its budget `{fund_id}-{period}`)."""
    app.access.check(caller.principal, AllocateFund)
    await app.exists(caller.tenant, "payee", body.partner_id)
    wish = AllocateFund(
        fund_id=fund_id,
        period=body.period,
        partner_id=body.partner_id,
        ref=body.ref,
        amount=amount_of(body.amount),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, AllocateFund, wish, status=201)


async def fund_filter(
    partner_id: Filter = None,
    fund_id: Filter = None,
    period: Filter = None,
    programme: Filter = None,
    state: Filter = None,
    currency: Currency = None,
) -> dict[str, str | None]:
    """Narrows a list by partner, fund, period, programme (shares), state (requests) and currency."""
    named = {"partner_id": partner_id, "fund_id": fund_id, "period": period, "programme": programme}
    return {**named, "state": state, "currency": currency}


FundFilter = Annotated[dict[str, str | None], Depends(fund_filter)]


@router.get("/funds")
@answers(Page[FundDocument])
@reads("funds")
async def list_funds(caller: Reader, app: App, paged: Paged, narrowed: FundFilter, sort: Sort = "-date") -> Response:
    """What each partner has in each fund and period: given, reserved, used, left; a partner its own.

    By the day of the last change or by what is left.
    """
    app.access.check(caller.principal, READ_FUNDS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"]), "state": None}
    return listed(*await page(caller, app, "funds", paged, where, sorted_by(sort, "changed_at")))


@router.get("/fund-accruals")
@answers(Page[AccrualDocument])
@reads("fund_accruals")
async def list_accruals(caller: Reader, app: App, paged: Paged, narrowed: FundFilter) -> Response:
    """What each sale brought into the share of a fund, newest first; a partner its own."""
    app.access.check(caller.principal, READ_FUNDS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"]), "programme": None, "state": None}
    return listed(*await page(caller, app, "fund_accruals", paged, where, sort="-changed_at"))


# Requests


@router.post("/fund-requests", status_code=201)
@answers(FundRequestAnswer)
async def draft(body: RequestBody, caller: Writer, app: App) -> Response:
    """Drafts a request."""
    whose = caller.principal.partner_id or ""
    return await _draft(caller.new_id("fund-request"), whose, body, caller, app, status=201)


@router.put("/fund-requests/{fund_request_id}")
@answers(FundRequestAnswer)
async def redraft(fund_request_id: Id, body: RequestBody, caller: Writer, app: App) -> Response:
    """Writes a draft, or a request that was returned, anew."""
    found = await _known(caller, app, fund_request_id, DraftFundRequest)
    return await _draft(fund_request_id, found.partner_id, body, caller, app, status=200)


async def _draft(identity: str, whose: str, body: RequestBody, caller: Caller, app: App, status: int) -> Response:
    wish = DraftFundRequest(
        fund_request_id=identity,
        partner_id=whose,
        fund_id=body.fund_id,
        period=body.period,
        details=details_of(body),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, DraftFundRequest, wish, status=status)


async def _known(caller: Caller, app: App, identity: str, action: Any) -> FundRequest:
    """The request, if the caller may act on it: a partner only on its own."""
    app.access.check(caller.principal, action)
    found: FundRequest = (await app.executor.state(caller.tenant, FundRequests.at(identity)))[0]
    mine = caller.principal.kind != "partner" or caller.principal.acts_for(found.partner_id)
    if found.details is None or not mine:
        raise NotFound
    return found


@router.get("/fund-requests")
@answers(Page[FundRequestDocument])
@reads("fund_requests")
async def list_requests(caller: Reader, app: App, paged: Paged, narrowed: FundFilter, sort: Sort = "-date") -> Response:
    """Requests, by the day of their last change or by what is asked for; a partner its own."""
    app.access.check(caller.principal, READ_FUNDS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"]), "programme": None, "currency": None}
    where["asked.currency"] = narrowed["currency"]
    return listed(*await page(caller, app, "fund_requests", paged, where, sorted_by(sort, "changed_at")))


@router.get("/fund-requests/{fund_request_id}")
@answers(FundRequestDocument)
@reads("fund_requests")
async def one_request(fund_request_id: Id, caller: Reader, app: App) -> Response:
    """One request with its items, decision, reservation and history."""
    app.access.check(caller.principal, READ_FUNDS)
    return shown(await app.document(caller.principal, "fund_requests", fund_request_id))


@router.post("/fund-requests/{fund_request_id}/submit")
async def submit(fund_request_id: Id, caller: Writer, app: App) -> Response:
    """Asks for the decision."""
    found = await _known(caller, app, fund_request_id, SubmitFundRequest)
    wish = SubmitFundRequest(fund_request_id=fund_request_id, fund_id=found.fund_id, now=app.clock.now())
    return await perform(caller, app, SubmitFundRequest, wish)


@router.post("/fund-requests/{fund_request_id}/recall")
async def recall(fund_request_id: Id, caller: Writer, app: App) -> Response:
    """Takes back what has not been decided."""
    await _known(caller, app, fund_request_id, RecallFundRequest)
    wish = RecallFundRequest(fund_request_id=fund_request_id, now=app.clock.now())
    return await perform(caller, app, RecallFundRequest, wish)


@router.post("/fund-requests/{fund_request_id}/amend")
async def amend(fund_request_id: Id, body: AmendBody, caller: Writer, app: App) -> Response:
    """Asks to change what was accepted; what is reserved stays until it is decided again."""
    found = await _known(caller, app, fund_request_id, AmendFundRequest)
    wish = AmendFundRequest(
        fund_request_id=fund_request_id,
        fund_id=found.fund_id,
        details=details_of(body),
        reason=body.reason,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, AmendFundRequest, wish)


@router.post("/fund-requests/{fund_request_id}/decide")
async def decide(fund_request_id: Id, body: DecisionBody, caller: Writer, app: App) -> Response:
    """Decides item by item: accepting reserves in the partner's share, and above one's limit it is escalated."""
    await _known(caller, app, fund_request_id, DecideFundRequest)
    who = caller.principal

    async def make(peek: Peek) -> DecideFundRequest:
        found: FundRequest = await peek(FundRequests.at(fund_request_id))
        return DecideFundRequest(
            fund_request_id=fund_request_id,
            fund_id=found.fund_id,
            budget_id=found.budget_id,
            items=_decisions(body, found),
            reason=body.reason,
            by=who.by,
            roles=(*who.roles, *who.duties),
            now=app.clock.now(),
        )

    return await perform(caller, app, DecideFundRequest, make)


def _decisions(body: DecisionBody, found: FundRequest) -> tuple[ItemDecision, ...]:
    """Accepted as it is means the amount that was asked; denied and returned means nothing."""
    asked = [item.amount for item in found.plan.items]
    nothing = money("0", found.plan.asked.currency)
    made = []
    for place, one in enumerate(body.items):
        whole = asked[place] if place < len(asked) else nothing
        named = amount_of(one.amount) if one.amount else nothing
        amounts = {"accepted_as_is": whole, "accepted_with_changes": named}
        amount = amounts.get(one.outcome, nothing)
        made.append(ItemDecision(outcome=one.outcome, amount=amount, reason=one.reason))
    return tuple(made)


@router.post("/fund-requests/{fund_request_id}/extend")
async def extend(fund_request_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """Moves the day to claim by, once and before it."""
    await _known(caller, app, fund_request_id, RequestExtension)
    by, now = caller.principal.by, app.clock.now()
    wish = RequestExtension(fund_request_id=fund_request_id, reason=body.reason, by=by, now=now)
    return await perform(caller, app, RequestExtension, wish)


@router.post("/fund-requests/{fund_request_id}/complete")
@answers(FundRequestAnswer)
async def complete(fund_request_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """Nothing more will be claimed: what is left of the reservation is available again."""
    return await _end(fund_request_id, body, caller, app, "completed")


@router.post("/fund-requests/{fund_request_id}/cancel")
@answers(FundRequestAnswer)
async def cancel(fund_request_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """The activity does not happen: what was reserved is available again."""
    return await _end(fund_request_id, body, caller, app, "cancelled")


async def _end(
    identity: str, body: ReasonBody, caller: Caller, app: App, outcome: Literal["completed", "cancelled"]
) -> Response:
    found = await _known(caller, app, identity, EndFundRequest)
    wish = EndFundRequest(
        fund_request_id=identity,
        budget_id=found.budget_id,
        outcome=outcome,
        reason=body.reason,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, EndFundRequest, wish)

"""Deals over HTTP: register, correct, amend, withdraw, read."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.event import plain
from chassis.execution import Peek
from chassis.http import App, Body, Caller, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import Contains, Range
from chassis.tables import Table, cell, every, table
from contracts.values import PartnerId
from services.registration.access import READ_CONFLICTS, READ_CONTACTS, READ_DEALS
from services.registration.api.asking import partner_of, submission
from services.registration.api.bodies import (
    Code,
    EditBody,
    EvidenceBody,
    Id,
    MoneyBody,
    RegisterBody,
    between,
    details_of,
)
from services.registration.application.on_deals import Asked, on_deal, on_shared_deal, screening_again
from services.registration.application.on_disputes import last_day_of
from services.registration.application.registering import asked_for, prepare_registration
from services.registration.domain.deal import Deal, Status
from services.registration.domain.deal_commands import (
    AddEvidence,
    AmendDeal,
    RecordOrder,
    RegisterDeal,
    RequestExtension,
    ResubmitDeal,
    WithdrawDeal,
)
from services.registration.domain.overlap import normal_product
from services.registration.domain.trace import documents_of
from services.registration.projections.conflicts import ShownConflict
from services.registration.projections.deal import ShownDeal, for_own, for_partner
from services.registration.projections.deal_board import BoardDocument

STATUSES_MAX = len(Status)
SORT = r"^-?(submitted_at|protection_ends_at|close_on|amount|amount_sorts|due_at)$"

router = APIRouter(tags=["deals"])


class EvidencesBody(Body):
    """Documents by their SHA-256; a deal takes twenty."""

    evidence: Annotated[list[EvidenceBody], Field(min_length=1, max_length=20)]


class OrderBody(Body):
    order_ref: Annotated[str, Field(min_length=1, max_length=64)]
    amount: MoneyBody
    ordered_on: Day


class WithdrawBody(Body):
    reason_code: Code = "withdrawn"


def asked(caller: Caller, app: App, registration_id: str, action: type[Any]) -> Asked:
    """A wish on a deal; another partner's deal is not found, as one that never was. Raises Forbidden whatever deal it is."""
    app.access.check(caller.principal, action)
    return Asked(
        registration_id=registration_id,
        now=app.clock.now(),
        allow=lambda partner_id: app.access.check(caller.principal, action, partner_id),
    )


@router.post("/deals", status_code=201)
async def register(body: RegisterBody, caller: Writer, app: App) -> Response:
    """Registers a deal: it is screened at once, and the answer says where it stands and why."""
    app.access.check(caller.principal, RegisterDeal)
    wish = submission(body, caller, app)

    async def make(peek: Peek) -> RegisterDeal:
        return await prepare_registration(peek, app.ports.accounts, caller.tenant, wish)

    partner_id, ahead = partner_of(caller, body), asked_for(wish)
    answer = await perform(caller, app, RegisterDeal, make, status=201, partner_id=partner_id, ahead=ahead)
    answer.headers["Location"] = f"/deals/{wish.registration_id}"
    return answer


@router.post("/deals/{registration_id}/resubmit")
async def resubmit(registration_id: Id, body: EditBody, caller: Writer, app: App) -> Response:
    """Sends the corrections that the vendor asked for; fields that were not named cannot change."""
    given = details_of(app, caller.tenant, registration_id, body)

    def make(deal: Deal, fields: dict[str, Any]) -> ResubmitDeal:
        return ResubmitDeal(**fields, details=replace(deal.now_details, **given), by=caller.principal.by)

    wish = asked(caller, app, registration_id, ResubmitDeal)
    prepared = screening_again(wish, app.ports.accounts, caller.tenant, make, caller.new_id("screening"))
    return await perform(caller, app, ResubmitDeal, prepared)


@router.post("/deals/{registration_id}/amend")
async def amend(registration_id: Id, body: EditBody, caller: Writer, app: App) -> Response:
    """Changes an approved deal; its customer, products and protection stay."""
    given = details_of(app, caller.tenant, registration_id, body)

    def make(deal: Deal, fields: dict[str, Any]) -> AmendDeal:
        amended = replace(deal.now_details, **given)
        return AmendDeal(**fields, partner_id=deal.partner_id, details=amended, by=caller.principal.by)

    return await perform(caller, app, AmendDeal, on_deal(asked(caller, app, registration_id, AmendDeal), make))


@router.post("/deals/{registration_id}/add-evidence")
async def evidence(registration_id: Id, body: EvidencesBody, caller: Writer, app: App) -> Response:
    """Adds documents to a deal that is open or protected."""
    added = tuple(one.evidence() for one in body.evidence)
    traces = tuple(dict.fromkeys(documents_of(one.sha256 for one in added)))

    def make(_: Deal, fields: dict[str, Any]) -> AddEvidence:
        return AddEvidence(**fields, evidence=added, traces=traces, by=caller.principal.by)

    return await perform(caller, app, AddEvidence, on_deal(asked(caller, app, registration_id, AddEvidence), make))


@router.post("/deals/{registration_id}/record-order")
async def order(registration_id: Id, body: OrderBody, caller: Writer, app: App) -> Response:
    """Writes down an order that a distributor of this deal booked."""
    who = caller.principal

    def make(deal: Deal, fields: dict[str, Any]) -> RecordOrder:
        joined = who.named_in([one.participant.partner_id for one in deal.participants])
        whose = joined or who.named_in((deal.partner_id,)) or who.partner_id
        return RecordOrder(
            **fields,
            order_ref=body.order_ref,
            amount=body.amount.money(),
            ordered_on=body.ordered_on,
            recorded_for=PartnerId(whose) if whose else None,
            by=caller.principal.by,
        )

    wish = asked(caller, app, registration_id, RecordOrder)
    return await perform(caller, app, RecordOrder, on_shared_deal(wish, who.partner_ids, make))


@router.post("/deals/{registration_id}/request-extension")
async def request_extension(registration_id: Id, body: EvidencesBody, caller: Writer, app: App) -> Response:
    """Asks for more time in the last days of a protection, with documents of the work on the customer."""
    shown = tuple(one.evidence() for one in body.evidence)

    def make(_: Deal, fields: dict[str, Any]) -> RequestExtension:
        return RequestExtension(**fields, evidence=shown, by=caller.principal.by)

    wish = asked(caller, app, registration_id, RequestExtension)
    return await perform(caller, app, RequestExtension, on_deal(wish, make))


@router.post("/deals/{registration_id}/withdraw")
async def withdraw(registration_id: Id, body: WithdrawBody, caller: Writer, app: App) -> Response:
    """Takes a deal back; its protection ends, and who waits moves up."""

    def make(_: Deal, fields: dict[str, Any]) -> WithdrawDeal:
        return WithdrawDeal(**fields, reason_code=body.reason_code, by=caller.principal.by)

    return await perform(caller, app, WithdrawDeal, on_deal(asked(caller, app, registration_id, WithdrawDeal), make))


# Reads


@dataclass(frozen=True)
class Filters:
    """Which deals a list is asked for."""

    status: tuple[Status, ...]
    partner_id: str | None
    account_id: str | None
    number: str | None
    product: str | None
    submitted: Range | None

    def where(self, caller: Caller) -> dict[str, Any]:
        """The filters as conditions on the board; a partner asks for its own only, and those of who it absorbed."""
        return {
            "status": self.status or None,
            "partner_id": caller.principal.partner_ids or self.partner_id,
            "account_id": self.account_id,
            "numbers": Contains(self.number) if self.number else None,
            "product_names": Contains(normal_product(self.product)) if self.product else None,
            "submitted_at": self.submitted,
        }


@dataclass(frozen=True)
class Named:
    """What a list is narrowed by besides status, partner and account. Days are UTC."""

    number: str | None = None
    product: str | None = None
    submitted_from: Day | None = None
    submitted_before: Day | None = None


async def named(
    number: Annotated[str | None, Query(max_length=32)] = None,
    product: Annotated[str | None, Query(max_length=80)] = None,
    submitted_from: Day | None = None,
    submitted_before: Day | None = None,
) -> Named:
    return Named(number, product, submitted_from, submitted_before)


async def filters(
    status: Annotated[list[Status] | None, Query(max_length=STATUSES_MAX)] = None,
    partner_id: Annotated[str | None, Query(max_length=64)] = None,
    account_id: Annotated[str | None, Query(max_length=64)] = None,
    names: Annotated[Named, Depends(named)] = Named(),
) -> Filters:
    submitted = between(names.submitted_from, names.submitted_before)
    return Filters(tuple(status or ()), partner_id, account_id, names.number, names.product, submitted)


@router.get("/deals")
@answers(Page[BoardDocument])
@reads("deal_board")
async def deals(
    caller: Reader,
    app: App,
    paged: Paged,
    filters: Annotated[Filters, Depends(filters)],
    sort: Annotated[str, Query(pattern=SORT)] = "-submitted_at",
) -> Response:
    """The deals: a partner's own, all of them for the vendor."""
    app.access.check(caller.principal, READ_DEALS)
    items, cursor = await page(caller, app, "deal_board", paged, filters.where(caller), _field(sort))
    return listed(_own(caller, items), cursor)


def _field(sort: str) -> str:
    """The field that a list is sorted by: amounts by the text that sorts as they do."""
    return f"{sort}_sorts" if sort.endswith("amount") else sort


def _own(caller: Caller, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as who asks may read them."""
    return [for_own(row) for row in rows] if caller.principal.kind == "partner" else rows


COLUMNS = (
    *("registration_id", "number", "status", "partner_id", "account_id", "customer", "country", "role", "deal_type"),
    *("products", "amount", "currency", "close_on", "submitted_at", "place", "free_from", "protection_ends_at"),
)


@router.get("/deals/export", response_class=Table)
@reads("deal_board")
async def export(
    caller: Reader,
    app: App,
    filters: Annotated[Filters, Depends(filters)],
    sort: Annotated[str, Query(pattern=SORT)] = "-submitted_at",
) -> Response:
    """As the list, all of it as a table, 50,000 deals at most: a partner's own only."""
    app.access.check(caller.principal, READ_DEALS)
    found = _own(caller, await every(app, caller, "deal_board", filters.where(caller), _field(sort)))
    return table("deals", COLUMNS, [[cell(one[name]) for name in COLUMNS] for one in found])


@router.get("/deals/{registration_id}")
@answers(ShownDeal)
@reads("deal")
async def deal(registration_id: Id, caller: Reader, app: App) -> Response:
    """One deal with its history and the reasons of each step."""
    app.access.check(caller.principal, READ_DEALS)
    found = await app.document(caller.principal, "deal", registration_id)
    mine = for_partner(found) if caller.principal.kind == "partner" else found
    until = await last_day_of(app.executor.peek(caller.tenant), registration_id, app.clock.now())
    own = caller.principal.kind != "partner" or caller.principal.acts_for(found["partner_id"])
    kept = caller.principal.kind == "partner" and "appeal_until" in (found["board"] or {}).get("withheld", [])
    opened = _opened(caller, app, mine)
    return shown({**opened, "contest_until": plain(until) if own and not kept else None}, found["version"])


def _opened(caller: Caller, app: App, document: dict[str, Any]) -> dict[str, Any]:
    """Personal text opened for who may read it, left out for others."""
    if app.access.allows(caller.principal, READ_CONTACTS):
        opened: dict[str, Any] = app.opened(caller.tenant, document)
        return opened
    hidden = {"contacts", "description"}
    details = {name: value for name, value in document["details"].items() if name not in hidden}
    customer = {**document["customer"], "private": None}
    return {**document, "details": details, "customer": customer, "returned": None, "rejected": None}


@router.get("/deals/{registration_id}/conflicts")
@answers(ShownConflict)
@reads("deal_board", "conflicts")
async def conflicts(registration_id: Id, caller: Reader, app: App) -> Response:
    """Both claims side by side, dimension by dimension, and the similar customers. The vendor's review desk only."""
    app.access.check(caller.principal, READ_CONFLICTS)
    mine = await app.read.get("deal_board", caller.tenant, registration_id)
    if mine is None:
        raise NotFound
    found = await app.read.get("conflicts", caller.tenant, registration_id)
    rivals = [await _with_deal(caller, app, rival) for rival in found["rivals"]] if found else []
    return shown({**(found or {"registration_id": registration_id, "findings": []}), "deal": mine, "rivals": rivals})


async def _with_deal(caller: Caller, app: App, rival: dict[str, Any]) -> dict[str, Any]:
    claim = rival["claim"]
    deal = await app.read.get("deal_board", caller.tenant, claim.get("deal_id") or claim["registration_id"])
    return {**rival, "deal": deal}

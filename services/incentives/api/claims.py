"""Claims over HTTP: for a fund's activity, units sold at a special price, or a SPIFF; decided by a person."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.decider import NotFound
from chassis.event import LEFT_OUT, LeftOut, Seen
from chassis.execution import Peek
from chassis.http import App, Body, Caller, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.identity import Principal
from chassis.inspection import disclosed
from contracts.values import money
from services.incentives.access import CLAIM_FUNDS, READ_CLAIMS, READ_FUNDS
from services.incentives.api.earnings import own
from services.incentives.api.funds import MoneyBody, amount_of, countable
from services.incentives.api.narrowing import Currency, Filter, Sort, sorted_by
from services.incentives.api.special_prices import Domain
from services.incentives.application.answers import ClaimAnswer
from services.incentives.application.ordering import won_of
from services.incentives.application.sales import in_books, prepared
from services.incentives.domain.approval import Approval, Approvals
from services.incentives.domain.claim import (
    SPIFF_CLAIM,
    Claim,
    ClaimDecided,
    ClaimDrafted,
    ClaimedSale,
    ClaimItem,
    ClaimProof,
    Claims,
    ClaimTax,
    CreditClaim,
    DecideFundClaim,
    DecideSpecialPriceClaim,
    DraftClaim,
    PayAs,
    SubmitClaim,
    award_of,
    evidence_of,
    requests_of,
    withdrawn_of,
)
from services.incentives.domain.fund import today
from services.incentives.domain.fund_request import FundRequest, FundRequests
from services.incentives.domain.sale import Sale, Sales
from services.incentives.domain.sale_commands import DecideSpiffClaim
from services.incentives.domain.special_price import SoldRow, SpecialPrice, SpecialPrices
from services.incentives.projections.claims import ShownClaim, seen_by_partner

Id = Annotated[str, Path(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
ProofKind = Literal["invoice", "photo", "report", "attendance", "advertisement", "payment", "other"]

router = APIRouter(tags=["claims"])


class SoldBody(Body):
    """A row of the point of sale; a serial number, or the invoice that it stands on, tells it from every other."""

    sku: Name
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    sold_on: Day
    registration_id: Name | None = None
    customer_domain: Domain | None = None
    serial: Name | None = None
    invoice: Name | None = None


class ClaimItemBody(Body):
    """One thing that is claimed: a cost of the activity, or with `sold` a row of the point of sale."""

    text: Annotated[str, Field(min_length=1, max_length=500)]
    amount: MoneyBody
    sold: SoldBody | None = None


class ProofBody(Body):
    """A document that shows it was done: the SHA-256 of its file, and what is written on it."""

    kind: ProofKind
    proof_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    issuer: Annotated[str, Field(min_length=1, max_length=200)]
    number: Name
    amount: MoneyBody
    issued_on: Day


class TaxBody(Body):
    """Value-added tax that the claimant charges on all items, 27 % of them at most; payable is that on what is approved."""

    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    amount: MoneyBody


class ClaimBody(Body):
    """A claim: of a fund request that was accepted, of a special price, or of a SPIFF (`of_id` is its plan).

    A SPIFF is claimed for one sale, named by the opportunity or by the deal's registration: each item is a row that was
    sold in it, with what is expected for it. Written anew without naming one, it is for the same sale.
    """

    kind: Literal["fund", "special_price", "spiff"]
    of_id: Name
    opportunity_id: Name | None = None
    registration_id: Name | None = None
    win_no: Annotated[int, Field(ge=1, le=1_000)] = 1
    items: Annotated[list[ClaimItemBody], Field(min_length=1, max_length=500)]
    proofs: Annotated[list[ProofBody], Field(max_length=20)] = []
    tax: TaxBody | None = None


class ClaimDecisionBody(Body):
    """Approved, denied or returned. `eligible` is what of a fund claim the fund takes part in: all of it, if not named.

    A fund claim is paid at once, by a credit note, or in 2 to 24 monthly instalments from `first_payable_on` (today).
    """

    outcome: Literal["approved", "denied", "returned"]
    eligible: MoneyBody | None = None
    reason: Annotated[str, Field(max_length=500)] = ""
    pay_as: PayAs = "payment"
    instalments: Annotated[int | None, Field(ge=2, le=24)] = None
    first_payable_on: Day | None = None


class CreditNoteBody(Body):
    """The credit note that stands for a claim."""

    credit_note: Name
    credited_on: Day


@router.post("/claims", status_code=201)
@answers(ClaimAnswer)
async def draft(body: ClaimBody, caller: Writer, app: App) -> Response:
    """Drafts a claim."""
    return await _draft(caller.new_id("claim"), body, caller, app, status=201)


@router.put("/claims/{claim_id}")
@answers(ClaimAnswer)
async def redraft(claim_id: Id, body: ClaimBody, caller: Writer, app: App) -> Response:
    """Writes a draft, or a claim that was returned, anew; it stays the claim of whoever made it, for its sale or another."""
    found = await _own(caller, app, claim_id, DraftClaim)
    return await _draft(claim_id, body, caller, app, status=200, before=found.it)


async def _draft(
    identity: str, body: ClaimBody, caller: Caller, app: App, status: int, before: ClaimDrafted | None = None
) -> Response:
    app.access.check(caller.principal, DraftClaim if body.kind == "spiff" else CLAIM_FUNDS)
    whose, sale = await _claimable(body, caller, app, before)
    items = tuple(_item(item) for item in body.items)
    tax = ClaimTax(country=body.tax.country, amount=amount_of(body.tax.amount)) if body.tax else None
    countable([*(item.amount for item in items), *([tax.amount] if tax else [])])
    wish = DraftClaim(
        claim_id=identity,
        kind=body.kind,
        partner_id=whose,
        of_id=body.of_id,
        items=items,
        proofs=tuple(_proof(proof) for proof in body.proofs),
        tax=tax,
        by=caller.principal.by,
        now=app.clock.now(),
        sale=sale,
    )
    return await perform(caller, app, DraftClaim, wish, status=status)


async def _claimable(
    body: ClaimBody, caller: Caller, app: App, before: ClaimDrafted | None
) -> tuple[str, ClaimedSale | LeftOut]:
    """Whose it is that is claimed for, and the sale of a SPIFF. Raises NotFound where it is not the partner's."""
    sale = before.sale if before else LEFT_OUT
    if body.kind == "spiff" and before and sale and body.opportunity_id is None and body.registration_id is None:
        return before.partner_id, sale
    if body.kind == "spiff":
        return await _claimed_sale(body, caller, app, sale.claimant_id if sale else caller.principal.by)
    stream = FundRequests.at(body.of_id) if body.kind == "fund" else SpecialPrices.at(body.of_id)
    found: FundRequest | SpecialPrice = (await app.executor.state(caller.tenant, stream))[0]
    if not caller.principal.acts_for(found.partner_id):
        raise NotFound
    return found.partner_id, LEFT_OUT


async def _claimed_sale(body: ClaimBody, caller: Caller, app: App, claimant: str) -> tuple[str, ClaimedSale]:
    opportunity_id = body.opportunity_id or await _sale_of(body.registration_id, caller, app)
    sale: Sale = (await app.executor.state(caller.tenant, Sales.at(opportunity_id)))[0]
    whose = caller.principal.named_in(sale.partners)
    if whose is None:
        raise NotFound
    return whose, ClaimedSale(opportunity_id=opportunity_id, win_no=body.win_no, claimant_id=claimant)


async def _sale_of(registration_id: str | None, caller: Caller, app: App) -> str:
    """The sale of a deal. Raises NotFound while it is not won."""
    won = await won_of(app, caller.tenant, registration_id) if registration_id else None
    if won is None:
        raise NotFound
    return won[0]


def _item(body: ClaimItemBody) -> ClaimItem:
    sold = SoldRow(**body.sold.model_dump(exclude_none=True)) if body.sold else None
    return ClaimItem(text=body.text, amount=amount_of(body.amount), sold=sold)


def _proof(body: ProofBody) -> ClaimProof:
    return ClaimProof(**{**body.model_dump(), "amount": amount_of(body.amount)})


async def _known(caller: Caller, app: App, identity: str, action: Any) -> Claim:
    """The claim, if the caller may act on it: a partner only on its own."""
    app.access.check(caller.principal, action)
    found: Claim = (await app.executor.state(caller.tenant, Claims.at(identity)))[0]
    mine = caller.principal.kind != "partner" or caller.principal.acts_for(found.it.partner_id)
    if not mine:
        raise NotFound
    return found


async def _own(caller: Caller, app: App, identity: str, action: Any) -> Claim:
    """The claim, if it is of the caller's partner; of who only sells, one for a SPIFF of its own."""
    found = await _known(caller, app, identity, action)
    claimant = found.it.sale.claimant_id if found.it.sale else None
    if _only(caller, app) not in (None, claimant):
        raise NotFound
    return found


@router.post("/claims/{claim_id}/submit")
async def submit(claim_id: Id, caller: Writer, app: App) -> Response:
    """Asks for the decision, in time and with the proofs that the activity needs."""
    await _own(caller, app, claim_id, SubmitClaim)

    async def make(peek: Peek) -> SubmitClaim:
        found: Claim = await peek(Claims.at(claim_id))
        sale_ids, plan_ids = award_of(found.it)
        return SubmitClaim(
            claim_id=claim_id,
            request_ids=requests_of(found.it),
            evidence_ids=evidence_of(found.it),
            now=app.clock.now(),
            sale_ids=sale_ids,
            plan_ids=plan_ids,
            withdrawn_ids=withdrawn_of(found) or LEFT_OUT,
        )

    return await perform(caller, app, SubmitClaim, make)


@router.post("/claims/{claim_id}/decide")
@answers(ClaimAnswer)
async def decide(claim_id: Id, body: ClaimDecisionBody, caller: Writer, app: App) -> Response:
    """Approves, denies or returns; what is approved is payable at once, at the rates of the day."""
    found = await _known(caller, app, claim_id, DecideFundClaim)
    if found.it.kind == "fund":
        return await perform(caller, app, DecideFundClaim, _fund_decision(claim_id, body, caller, app))
    if found.it.kind == "spiff":
        return await perform(caller, app, DecideSpiffClaim, _spiff_decision(found, body, caller, app))
    return await perform(caller, app, DecideSpecialPriceClaim, _price_decision(claim_id, body, caller, app))


def _fund_decision(claim_id: str, body: ClaimDecisionBody, caller: Caller, app: App) -> Any:
    who = caller.principal

    async def make(peek: Peek) -> DecideFundClaim:
        claim: Claim = await peek(Claims.at(claim_id))
        request: FundRequest = await peek(FundRequests.at(claim.it.of_id))
        now = app.clock.now()
        return DecideFundClaim(
            claim_id=claim_id,
            fund_request_id=claim.it.of_id,
            fund_id=request.fund_id,
            budget_id=request.budget_id,
            outcome=body.outcome,
            eligible=amount_of(body.eligible) if body.eligible else _whole(body, claim),
            reason=body.reason,
            by=who.by,
            roles=(*who.roles, *who.duties),
            now=now,
            books=await in_books(peek, today(now)),
            pay_as=body.pay_as,
            instalments=body.instalments,
            first_payable_on=body.first_payable_on,
        )

    return make


def _whole(body: ClaimDecisionBody, claim: Claim) -> Any:
    return claim.claimed if body.outcome == "approved" else money("0", claim.claimed.currency)


def _price_decision(claim_id: str, body: ClaimDecisionBody, caller: Caller, app: App) -> Any:
    async def make(peek: Peek) -> DecideSpecialPriceClaim:
        claim: Claim = await peek(Claims.at(claim_id))
        agreed: SpecialPrice = await peek(SpecialPrices.at(claim.it.of_id))
        deal: Approval = (
            await peek(Approvals.at(agreed.it.registration_id)) if agreed.it.registration_id else Approval()
        )
        now = app.clock.now()
        return DecideSpecialPriceClaim(
            claim_id=claim_id,
            special_price_id=claim.it.of_id,
            outcome=body.outcome,
            reason=body.reason,
            by=caller.principal.by,
            now=now,
            books=await in_books(peek, today(now)),
            orders=tuple(order.order_ref for order in deal.orders) or LEFT_OUT,
        )

    return make


def _spiff_decision(claim: Claim, body: ClaimDecisionBody, caller: Caller, app: App) -> Any:
    it = claim.it
    if not it.sale:
        raise NotFound
    wish = DecideSpiffClaim(
        claim_id=it.claim_id,
        opportunity_id=it.sale.opportunity_id,
        win_no=it.sale.win_no,
        plan_id=it.of_id,
        partner_id=it.partner_id,
        claimant_id=it.sale.claimant_id,
        outcome=body.outcome,
        reason=body.reason,
        by=caller.principal.by,
        now=app.clock.now(),
    )

    async def make(peek: Peek) -> Any:
        return await prepared(app, caller.tenant, peek, wish)

    return make


@router.post("/claims/{claim_id}/credit")
async def credit(claim_id: Id, body: CreditNoteBody, caller: Writer, app: App) -> Response:
    """Keeps the credit note of a claim that is to be credited: it is settled by it."""
    await _known(caller, app, claim_id, CreditClaim)
    wish = CreditClaim(
        claim_id=claim_id,
        credit_note=body.credit_note,
        credited_on=body.credited_on,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, CreditClaim, wish)


async def claim_filter(
    partner_id: Filter = None,
    kind: Filter = None,
    state: Filter = None,
    of_id: Filter = None,
    currency: Currency = None,
) -> dict[str, str | None]:
    """Narrows a list by partner, kind (fund, special_price, spiff), state, what is claimed for, and currency."""
    named = {"partner_id": partner_id, "kind": kind, "state": state, "of_id": of_id}
    return {**named, "claimed.currency": currency}


ClaimFilter = Annotated[dict[str, str | None], Depends(claim_filter)]


@router.get("/claims")
@answers(Page[ShownClaim])
@reads("claims")
async def list_claims(caller: Reader, app: App, paged: Paged, narrowed: ClaimFilter, sort: Sort = "-date") -> Response:
    """Claims, by the day of their last change or by what was claimed; a partner its own, who only sells its own SPIFFs'."""
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"]), "claimant_id": _only(caller, app)}
    items, cursor = await page(caller, app, "claims", paged, where, sorted_by(sort, "changed_at"))
    return listed([_seen(caller, item) for item in items], cursor)


@router.get("/claims/{claim_id}")
@answers(ShownClaim)
@reads("claims")
async def one_claim(claim_id: Id, caller: Reader, app: App) -> Response:
    """One claim with its items, proofs and the steps to what was approved."""
    only = _only(caller, app)
    found = await app.document(caller.principal, "claims", claim_id)
    if only not in (None, found["claimant_id"]):
        raise NotFound
    return shown(_seen(caller, found))


def _only(caller: Caller, app: App) -> str | None:
    """The claimant whose claims alone the caller may read; None for who may read all of them."""
    app.access.check(caller.principal, READ_CLAIMS)
    return None if app.access.allows(caller.principal, READ_FUNDS) else caller.principal.by


async def may_ask(app: Application, who: Principal, seen: Seen) -> bool:
    """Whether a partner may ask why its claim was decided so; of one for a SPIFF, whoever may read it."""
    it: ClaimDecided = seen.event
    if it.kind != SPIFF_CLAIM:
        return app.access.allows(who, READ_FUNDS) and disclosed(app, seen, who)
    if not who.acts_for(it.partner_id) or not app.access.allows(who, READ_CLAIMS):
        return False
    found: Claim = (await app.executor.state(seen.tenant, Claims.at(it.claim_id)))[0]
    claimant = found.it.sale.claimant_id if found.it.sale else None
    return app.access.allows(who, READ_FUNDS) or claimant == who.by


def _seen(caller: Caller, document: dict[str, Any]) -> dict[str, Any]:
    return seen_by_partner(document) if caller.principal.kind == "partner" else document

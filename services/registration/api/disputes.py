"""Disputes over HTTP: file, show evidence, decide, appeal, withdraw, read."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from chassis.access import sees
from chassis.answers import Page, answers
from chassis.case import Stage
from chassis.decider import NotFound
from chassis.event import Sealed
from chassis.http import App, Body, Caller, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import Contains, Range
from contracts.values import DisputeGround, RegistrationId
from services.registration.access import READ_DISPUTES
from services.registration.api.bodies import EvidenceBody, Id, Text, between, subject_of
from services.registration.api.deals import asked
from services.registration.application.on_disputes import appealing, filing, on_dispute
from services.registration.domain.dispute import (
    AppealDispute,
    DecideDispute,
    FileDispute,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.registration.projections.disputes import ShownDispute, for_partner, name_of

router = APIRouter(tags=["disputes"])
SORT = r"^-?(opened_at|due_at)$"
Documents = Annotated[tuple[EvidenceBody, ...], Field(max_length=20)]


class FileBody(Body):
    """The deal, on which ground, and what happened."""

    registration_id: Annotated[str, Field(min_length=1, max_length=64)]
    kind: DisputeGround
    statement: Text
    evidence: Documents = ()


class QuestionBody(Body):
    question: Text


class ShowBody(Body):
    evidence: Annotated[list[EvidenceBody], Field(min_length=1, max_length=20)]


class DecideBody(Body):
    """A split gives the filer so many percent, the holder the rest of 100.00."""

    outcome: Literal["upheld", "overturned", "split", "letter_required", "no_protection"]
    reason: Text
    percent: Annotated[Decimal | None, Field(gt=0, lt=100, max_digits=5, decimal_places=2)] = None


class AppealBody(Body):
    statement: Text


Fields = Callable[[dict[str, Any]], Any]


async def _take(dispute_id: str, action: type[Any], caller: Caller, app: App, make: Fields) -> Response:
    """Runs a step of a dispute; another partner's is not found, as one that never was."""

    def prepare(fields: dict[str, Any]) -> Any:
        return make({**fields, "by": caller.principal.by})

    wish = asked(caller, app, dispute_id, action)
    return await perform(caller, app, action, on_dispute(wish, prepare))


@router.post("/disputes", status_code=201)
async def file(body: FileBody, caller: Writer, app: App) -> Response:
    """Contests a rejection, a revocation or a wait; until the day that the answer to it named."""
    statement = app.seal(caller.tenant, subject_of(body.registration_id), body.statement)
    told = {"kind": body.kind, "statement": statement, "by": caller.principal.by}
    evidence = tuple(one.evidence() for one in body.evidence)
    wish = asked(caller, app, body.registration_id, FileDispute)
    return await perform(caller, app, FileDispute, filing(wish, {**told, "evidence": evidence}), status=201)


async def _seal(dispute_id: str, caller: Caller, app: App, text: str) -> Sealed:
    """With the key of the deal, also where the dispute is over the hold of who takes part in it."""
    invitation = await app.read.get("invitations", caller.tenant, dispute_id) or {"registration_id": dispute_id}
    sealed: Sealed = app.seal(caller.tenant, subject_of(invitation["registration_id"]), text)
    return sealed


@router.post("/disputes/{dispute_id}/request-evidence")
async def request(dispute_id: Id, body: QuestionBody, caller: Writer, app: App) -> Response:
    """Asks the partner for more."""
    question = await _seal(dispute_id, caller, app, body.question)
    action = RequestDisputeEvidence
    return await _take(dispute_id, action, caller, app, lambda fields: action(**fields, question=question))


@router.post("/disputes/{dispute_id}/show-evidence")
async def show(dispute_id: Id, body: ShowBody, caller: Writer, app: App) -> Response:
    """Answers with documents: where the vendor asks for more, and where its decision asks for a letter of the customer."""
    evidence = tuple(one.evidence() for one in body.evidence)
    action = ShowDisputeEvidence
    return await _take(dispute_id, action, caller, app, lambda fields: action(**fields, evidence=evidence))


@router.post("/disputes/{dispute_id}/decide")
async def decide(dispute_id: Id, body: DecideBody, caller: Writer, app: App) -> Response:
    """What an arbiter decides who took no part; it takes effect when it cannot be appealed any more."""
    told: dict[str, Any] = {
        "outcome": body.outcome,
        "reason": await _seal(dispute_id, caller, app, body.reason),
        "percent": body.percent,
    }
    return await _take(dispute_id, DecideDispute, caller, app, lambda fields: DecideDispute(**fields, **told))


@router.post("/disputes/{dispute_id}/appeal")
async def appeal(dispute_id: Id, body: AppealBody, caller: Writer, app: App) -> Response:
    """Asks for another arbiter, once. Either side may, each by its own deal, or the invitation by which it takes part."""
    statement = await _seal(dispute_id, caller, app, body.statement)
    told = {"statement": statement, "by": caller.principal.by}

    async def contesting(holder: str) -> RegistrationId | None:
        await app.caught_up("disputes")
        against = {"against": Contains(holder), "stage": Stage.DECIDED.value}
        found = (await app.read.find("disputes", caller.tenant, where=against, limit=1)).items
        return RegistrationId(found[0]["dispute_id"]) if found else None

    wish = asked(caller, app, dispute_id, AppealDispute)
    return await perform(caller, app, AppealDispute, appealing(wish, contesting, told))


@router.post("/disputes/{dispute_id}/withdraw")
async def withdraw(dispute_id: Id, caller: Writer, app: App) -> Response:
    """Takes the dispute back."""
    return await _take(dispute_id, WithdrawDispute, caller, app, lambda fields: WithdrawDispute(**fields))


async def days(opened_from: Day | None = None, opened_before: Day | None = None) -> Range | None:
    """When they were opened, in UTC days."""
    return between(opened_from, opened_before)


async def filters(
    opened: Annotated[Range | None, Depends(days)],
    stage: Annotated[list[Stage] | None, Query(max_length=len(Stage))] = None,
    kind: DisputeGround | None = None,
    registration_id: Annotated[str | None, Query(max_length=64)] = None,
    partner_id: Annotated[str | None, Query(max_length=64, description="who filed it, for the vendor")] = None,
) -> dict[str, Any]:
    """Which disputes a list is asked for."""
    about = Contains(registration_id) if registration_id else None
    stages = tuple(one.value for one in stage or ()) or None
    return {"stage": stages, "kind": kind, "partner_id": partner_id, "deals": about, "opened_at": opened}


@router.get("/disputes")
@answers(Page[ShownDispute])
@reads("disputes")
async def disputes(
    caller: Reader,
    app: App,
    paged: Paged,
    wanted: Annotated[dict[str, Any], Depends(filters)],
    sort: Annotated[str, Query(pattern=SORT)] = "-opened_at",
) -> Response:
    """The disputes: those that a partner filed or that contest what it holds, all for the vendor.

    With `registration_id` those over what that deal holds, or those who take part in it, on either side; a partner names
    its own deal. Who filed one against it, it learns by no question: `partner_id` is the vendor's.
    """
    app.access.check(caller.principal, READ_DISPUTES)
    mine, about = caller.principal.partner_ids, wanted["deals"]
    if about is not None and mine:
        await app.document(caller.principal, "deal_board", about.value)
    side = {"sides": Contains.any_of(mine), "partner_id": None} if mine else {}
    items, cursor = await page(caller, app, "disputes", paged, wanted | side, sort)
    return listed([_shown(caller, app, item) for item in items], cursor)


@router.get("/disputes/{dispute_id}")
@answers(ShownDispute)
@reads("disputes")
async def dispute(dispute_id: Id, caller: Reader, app: App) -> Response:
    """One dispute with its steps. A partner names its own deal, or the invitation by which it takes part in one.

    On whichever side of the dispute that stands: of one that is over and a later one against it, it reads the later. The
    vendor names the one that it is over.
    """
    app.access.check(caller.principal, READ_DISPUTES)
    filed = await app.read.get("disputes", caller.tenant, dispute_id)
    if filed is not None and sees(caller.principal, filed):
        later = await _newest_against(caller, app, dispute_id) if _is_over(caller, filed) else None
        since = later if later and later["opened_at"] > filed["opened_at"] else filed
        return shown(_shown(caller, app, since))
    return shown(_shown(caller, app, await _against(caller, app, dispute_id)))


def _is_over(caller: Caller, filed: dict[str, Any]) -> bool:
    """Whether a partner may ask by the same name for one that contests what it has won or kept."""
    return caller.principal.kind == "partner" and filed["stage"] in (Stage.FINAL, Stage.WITHDRAWN)


async def _newest_against(caller: Caller, app: App, dispute_id: str) -> dict[str, Any] | None:
    where = {"against": Contains(dispute_id)}
    found = (await app.read.find("disputes", caller.tenant, where=where, sort="-opened_at", limit=1)).items
    return found[0] if found else None


async def _against(caller: Caller, app: App, dispute_id: str) -> dict[str, Any]:
    """The newest dispute that contests this hold. Raises NotFound, also for another partner's hold."""
    found = await _newest_against(caller, app, dispute_id) if caller.principal.kind == "partner" else None
    if found is None:
        raise NotFound
    mine = [one for one in found["holders"] if caller.principal.acts_for(one["partner_id"])]
    if dispute_id not in map(name_of, mine):
        await app.document(caller.principal, "deal_board", dispute_id)
    return found


def _shown(caller: Caller, app: App, document: dict[str, Any]) -> dict[str, Any]:
    who = caller.principal
    own = for_partner(document, who.partner_ids) if who.kind == "partner" else document
    opened: dict[str, Any] = app.opened(caller.tenant, own)
    return opened

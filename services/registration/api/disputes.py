"""Disputes over HTTP: file, show evidence, decide, appeal, withdraw, read."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chassis.http import App, Body, Caller, Paged, Reader, Writer, listed, page, perform, reads, shown
from services.registration.access import READ_DISPUTES
from services.registration.api.bodies import EvidenceBody, Id, Text, subject_of
from services.registration.api.deals import asked
from services.registration.application import filing, on_deal
from services.registration.domain.deal import Deal
from services.registration.domain.dispute import (
    AppealDispute,
    DecideDispute,
    FileDispute,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.registration.projections.disputes import for_partner

router = APIRouter(tags=["disputes"])
Documents = Annotated[tuple[EvidenceBody, ...], Field(max_length=20)]


class FileBody(Body):
    """The deal, on which ground, and what happened."""

    registration_id: Annotated[str, Field(min_length=1, max_length=64)]
    kind: Literal["earlier_work", "incumbent", "customer_choice", "territory", "wrong_match", "conduct"]
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


async def _take(registration_id: str, action: type[Any], caller: Caller, app: App, make: Fields) -> Response:
    """Runs a step of the dispute on a deal; another partner's is not found, as one that never was."""

    def prepare(_: Deal, fields: dict[str, Any]) -> Any:
        return make({**fields, "by": caller.principal.by})

    wish = asked(caller, app, registration_id, action)
    return await perform(caller, app, action, on_deal(wish, prepare))


@router.post("/disputes", status_code=201)
async def file(body: FileBody, caller: Writer, app: App) -> Response:
    """Contests a rejection, a revocation or a wait; until the day that the answer to it named."""
    statement = app.seal(caller.tenant, subject_of(body.registration_id), body.statement)
    told = {"kind": body.kind, "statement": statement, "by": caller.principal.by}
    evidence = tuple(one.evidence() for one in body.evidence)
    wish = asked(caller, app, body.registration_id, FileDispute)
    return await perform(caller, app, FileDispute, filing(wish, {**told, "evidence": evidence}), status=201)


@router.post("/disputes/{registration_id}/request-evidence")
async def request(registration_id: Id, body: QuestionBody, caller: Writer, app: App) -> Response:
    """Asks the partner for more."""
    question = app.seal(caller.tenant, subject_of(registration_id), body.question)
    action = RequestDisputeEvidence
    return await _take(registration_id, action, caller, app, lambda fields: action(**fields, question=question))


@router.post("/disputes/{registration_id}/show-evidence")
async def show(registration_id: Id, body: ShowBody, caller: Writer, app: App) -> Response:
    """Answers with documents."""
    evidence = tuple(one.evidence() for one in body.evidence)
    action = ShowDisputeEvidence
    return await _take(registration_id, action, caller, app, lambda fields: action(**fields, evidence=evidence))


@router.post("/disputes/{registration_id}/decide")
async def decide(registration_id: Id, body: DecideBody, caller: Writer, app: App) -> Response:
    """What an arbiter decides who took no part; it takes effect when it cannot be appealed any more."""
    told: dict[str, Any] = {
        "outcome": body.outcome,
        "reason": app.seal(caller.tenant, subject_of(registration_id), body.reason),
        "percent": body.percent,
    }
    return await _take(registration_id, DecideDispute, caller, app, lambda fields: DecideDispute(**fields, **told))


@router.post("/disputes/{registration_id}/appeal")
async def appeal(registration_id: Id, body: AppealBody, caller: Writer, app: App) -> Response:
    """Asks for another arbiter, once."""
    statement = app.seal(caller.tenant, subject_of(registration_id), body.statement)
    action = AppealDispute
    return await _take(registration_id, action, caller, app, lambda fields: action(**fields, statement=statement))


@router.post("/disputes/{registration_id}/withdraw")
async def withdraw(registration_id: Id, caller: Writer, app: App) -> Response:
    """Takes the dispute back."""
    return await _take(registration_id, WithdrawDispute, caller, app, lambda fields: WithdrawDispute(**fields))


@router.get("/disputes")
@reads("disputes")
async def disputes(
    caller: Reader, app: App, paged: Paged, stage: Annotated[str | None, Query(max_length=32)] = None
) -> Response:
    """The disputes, the newest first: a partner's own, all of them for the vendor."""
    app.access.check(caller.principal, READ_DISPUTES)
    where = {"stage": stage, "partner_id": caller.principal.partner_id}
    items, cursor = await page(caller, app, "disputes", paged, where, "-opened_at")
    return listed([_shown(caller, app, item) for item in items], cursor)


@router.get("/disputes/{registration_id}")
@reads("disputes")
async def dispute(registration_id: Id, caller: Reader, app: App) -> Response:
    """One dispute with its steps."""
    app.access.check(caller.principal, READ_DISPUTES)
    return shown(_shown(caller, app, await app.document(caller.principal, "disputes", registration_id)))


def _shown(caller: Caller, app: App, document: dict[str, Any]) -> dict[str, Any]:
    own = for_partner(document) if caller.principal.kind == "partner" else document
    opened: dict[str, Any] = app.opened(caller.tenant, own)
    return opened

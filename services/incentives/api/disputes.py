"""Disputes of lines over HTTP: file, show evidence, decide, appeal, withdraw, read."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.case import Stage
from chassis.decider import Refused
from chassis.execution import Peek
from chassis.http import App, Body, Paged, Reader, Writer, listed, page, perform, reads
from chassis.read_store.port import each
from services.incentives.access import READ_EARNINGS
from services.incentives.api.earnings import own
from services.incentives.api.narrowing import Sort, StatedFilter, sorted_by
from services.incentives.application.disputing import Verdict, deciding
from services.incentives.application.sales import rules_of_kind
from services.incentives.domain.line_dispute import (
    AppealDispute,
    DecideDispute,
    DisputeEvidence,
    DisputeLine,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.incentives.domain.payment_rules import PAYMENT
from services.incentives.projections.disputes import DisputeDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=500)]

router = APIRouter(tags=["disputes"])


class EvidenceBody(Body):
    """A document, by the SHA-256 of its file, and what it shows."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    text: Text


class OnLineBody(Body):
    """Which line of the statement, by its event."""

    event_id: Annotated[str, Field(min_length=1, max_length=64)]


class ReasonBody(Body):
    """What is wrong with it, and what shows that."""

    reason: Text
    evidence: Annotated[tuple[EvidenceBody, ...], Field(max_length=20)] = ()


class DisputeBody(OnLineBody, ReasonBody):
    """Which line of the statement, by its event, what is wrong with it, and what shows that."""


class QuestionBody(OnLineBody):
    question: Text


class ShowBody(OnLineBody):
    evidence: Annotated[tuple[EvidenceBody, ...], Field(min_length=1, max_length=20)]


class DecisionBody(OnLineBody):
    outcome: Literal["upheld", "rejected"]
    reason: Text


class AppealBody(OnLineBody):
    statement: Text


class NotStated(Refused):
    """No statement holds this line yet: it can be disputed for ten business days once one does."""

    slug = "not-stated"


@router.post("/statements/{statement_id}/dispute", status_code=201)
async def dispute(statement_id: Id, body: DisputeBody, caller: Writer, app: App) -> Response:
    """The payee says that a line is wrong, within ten business days; it is not paid until the dispute is final."""
    app.access.check(caller.principal, DisputeLine)
    found = await app.document(caller.principal, "statements", statement_id)
    return await _disputed(caller, app, found, body.event_id, body)


async def _disputed(
    caller: Writer, app: App, statement: Mapping[str, Any], event_id: str, said: ReasonBody
) -> Response:
    wish = DisputeLine(
        **await _on(caller, app, statement, event_id),
        reason=said.reason,
        evidence=_evidence(said.evidence),
        by=caller.principal.by,
    )
    return await perform(caller, app, DisputeLine, wish, status=201)


async def _on(caller: Writer, app: App, statement: Mapping[str, Any], event_id: str) -> dict[str, Any]:
    """The fields of a command on a dispute that counts days."""
    return {
        "account_id": statement["account_id"],
        "statement_id": statement["statement_id"],
        "event_id": event_id,
        "rules": await rules_of_kind(app, caller.tenant, PAYMENT),
        "now": app.clock.now(),
    }


def _evidence(shown: tuple[EvidenceBody, ...]) -> tuple[DisputeEvidence, ...]:
    return tuple(DisputeEvidence(sha256=one.sha256, text=one.text) for one in shown)


@router.post("/lines/{line_id}/dispute", status_code=201)
async def dispute_line(line_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """The payee says that an earning line is wrong, where its newest statement has it; else as a statement's dispute."""
    app.access.check(caller.principal, DisputeLine)
    line = await app.document(caller.principal, "earnings", line_id)
    await app.caught_up("statements")
    mine = {"partner_id": line["partner_id"]}
    async for statement in each(app.read, "statements", caller.tenant, mine, "-issued_at"):
        stated = [one["event_id"] for one in statement["lines"] if one["cause"] == line_id]
        if stated:
            return await _disputed(caller, app, statement, stated[-1], body)
    raise NotStated


@router.post("/statements/{statement_id}/dispute/request-evidence")
async def request(statement_id: Id, body: QuestionBody, caller: Writer, app: App) -> Response:
    """Asks the payee for more, within five business days."""
    return await _step(caller, app, RequestDisputeEvidence, statement_id, body, question=body.question)


@router.post("/statements/{statement_id}/dispute/show-evidence")
async def show(statement_id: Id, body: ShowBody, caller: Writer, app: App) -> Response:
    """Answers with documents; it is decided next."""
    return await _step(caller, app, ShowDisputeEvidence, statement_id, body, evidence=_evidence(body.evidence))


@router.post("/statements/{statement_id}/dispute/appeal")
async def appeal(statement_id: Id, body: AppealBody, caller: Writer, app: App) -> Response:
    """Asks for another person's decision, once, within ten business days; that one is final."""
    return await _step(caller, app, AppealDispute, statement_id, body, statement=body.statement)


async def _step(
    caller: Writer, app: App, action: type[Any], statement_id: str, body: OnLineBody, **told: Any
) -> Response:
    app.access.check(caller.principal, action)
    found = await app.document(caller.principal, "statements", statement_id)
    wish = action(**await _on(caller, app, found, body.event_id), **told, by=caller.principal.by)
    return await perform(caller, app, action, wish)


@router.post("/statements/{statement_id}/dispute/withdraw")
async def withdraw(statement_id: Id, body: OnLineBody, caller: Writer, app: App) -> Response:
    """Takes the dispute back, before it is decided: its line can be paid."""
    app.access.check(caller.principal, WithdrawDispute)
    found = await app.document(caller.principal, "statements", statement_id)
    wish = WithdrawDispute(
        account_id=found["account_id"],
        statement_id=statement_id,
        event_id=body.event_id,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, WithdrawDispute, wish)


@router.post("/statements/{statement_id}/dispute/decide")
async def decide(statement_id: Id, body: DecisionBody, caller: Writer, app: App) -> Response:
    """Decides a dispute: upheld (correct the line by an adjustment), or rejected. Who took part in the line cannot."""
    app.access.check(caller.principal, DecideDispute)
    found = await app.document(caller.principal, "statements", statement_id)
    said = Verdict(
        account_id=found["account_id"], statement_id=statement_id, **body.model_dump(), by=caller.principal.by
    )

    async def make(peek: Peek) -> DecideDispute:
        return await deciding(app, caller.tenant, peek, said)

    return await perform(caller, app, DecideDispute, make)


@router.get("/disputes")
@answers(Page[DisputeDocument])
@reads("disputes")
async def disputes(
    caller: Reader,
    app: App,
    paged: Paged,
    narrowed: StatedFilter,
    sort: Sort = "-date",
    stage: Annotated[Stage | None, Query()] = None,
) -> Response:
    """Disputed lines, by the day of the last change or by amount; a partner's own only.

    State: open, upheld, rejected, withdrawn.
    """
    app.access.check(caller.principal, READ_EARNINGS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"]), "stage": stage.value if stage else None}
    return listed(*await page(caller, app, "disputes", paged, where, sorted_by(sort, "changed_at")))

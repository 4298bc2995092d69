"""Disputes of lines over HTTP: file, show evidence, decide, appeal, withdraw, read."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.access import PARTNER
from chassis.answers import Page, answers
from chassis.case import DECIDE, STEPS, Stage
from chassis.decider import Forbidden, NotFound, Refused
from chassis.execution import Peek
from chassis.http import App, Body, Paged, Reader, Writer, listed, page, perform, reads
from chassis.read_store.port import each
from services.incentives.access import READ_DISPUTED
from services.incentives.api.earnings import earned_at, only_payee, shown_to
from services.incentives.api.narrowing import Sort, StatedFilter, sorted_by
from services.incentives.application.disputing import Verdict, deciding, may_decide
from services.incentives.application.sales import rules_of_kind
from services.incentives.domain.line_dispute import (
    AppealDispute,
    DecideDispute,
    DisputeEvidence,
    DisputeLine,
    NoteCorrected,
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


class CorrectedBody(OnLineBody):
    """How the line was corrected, where it was not adjusted."""

    reason: Text


class AppealBody(OnLineBody):
    statement: Text


class NotStated(Refused):
    """No statement holds this line yet: it can be disputed for ten business days once one does."""

    slug = "not-stated"


@router.post("/statements/{statement_id}/dispute", status_code=201)
async def dispute(statement_id: Id, body: DisputeBody, caller: Writer, app: App) -> Response:
    """The payee says that a line is wrong, within ten business days; it is not paid until the dispute is final."""
    found = await _stated(caller, app, DisputeLine, statement_id)
    return await _disputed(caller, app, found, body.event_id, body)


async def _stated(caller: Writer, app: App, action: type[Any], statement_id: str) -> dict[str, Any]:
    """The statement of which the caller may take this step. Raises NotFound for another's."""
    app.access.check(caller.principal, action)
    return await _known(caller, app, "statements", statement_id)


async def _known(caller: Writer, app: App, model: str, identity: str) -> dict[str, Any]:
    """The statement or line, if it is the caller's: of a person its own alone, also of where it worked before.

    Raises Forbidden where a partner that reads what its person earned would dispute it in that person's place.
    """
    only = only_payee(caller, app) if caller.principal.kind == PARTNER else None
    if only is None:
        seen = await app.document(caller.principal, model, identity)
        if caller.principal.kind == PARTNER and seen["payee_id"] not in (seen["partner_id"], caller.principal.by):
            raise Forbidden("whose pay it is disputes it, and nobody else")
        return seen
    await app.caught_up(model)
    found = await app.read.get(model, caller.tenant, identity)
    if found is None:
        raise NotFound
    return shown_to(only, found)


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
    line = await _known(caller, app, "earnings", line_id)
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
    found = await _stated(caller, app, action, statement_id)
    wish = action(**await _on(caller, app, found, body.event_id), **told, by=caller.principal.by)
    return await perform(caller, app, action, wish)


@router.post("/statements/{statement_id}/dispute/withdraw")
async def withdraw(statement_id: Id, body: OnLineBody, caller: Writer, app: App) -> Response:
    """Takes the dispute back, before it is decided: its line can be paid."""
    found = await _stated(caller, app, WithdrawDispute, statement_id)
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


@router.post("/statements/{statement_id}/dispute/corrected")
async def corrected(statement_id: Id, body: CorrectedBody, caller: Writer, app: App) -> Response:
    """Says how the line of who was right was corrected, where it was not adjusted: nobody is asked for it any more."""
    found = await _stated(caller, app, NoteCorrected, statement_id)
    wish = NoteCorrected(
        account_id=found["account_id"],
        statement_id=statement_id,
        event_id=body.event_id,
        by=caller.principal.by,
        reason=body.reason,
        now=app.clock.now(),
    )
    return await perform(caller, app, NoteCorrected, wish)


class ShownDispute(DisputeDocument):
    """`may_decide` is whether who asks may decide it now: nobody does who took part in the line, filed or decided it."""

    may_decide: bool


@router.get("/disputes")
@answers(Page[ShownDispute])
@reads("disputes")
async def disputes(
    caller: Reader,
    app: App,
    paged: Paged,
    narrowed: StatedFilter,
    sort: Sort = "-date",
    stage: Annotated[Stage | None, Query()] = None,
) -> Response:
    """Disputed lines, by the day of the last change or by amount; a partner's own only, a person's likewise.

    State: open, upheld, rejected, withdrawn.
    """
    only = None if app.access.allows(caller.principal, READ_DISPUTED) else only_payee(caller, app)
    earned = earned_at(caller, only, narrowed["partner_id"])
    where = {**narrowed, "partner_id": earned, "payee_id": only, "stage": stage.value if stage else None}
    found, cursor = await page(caller, app, "disputes", paged, where, sorted_by(sort, "changed_at"))
    mine = await _decided_by(caller, app, found)
    return listed([{**one, "may_decide": (one["account_id"], one["event_id"]) in mine} for one in found], cursor)


async def _decided_by(caller: Reader, app: App, found: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The disputes, by account and line, that the caller may decide now."""
    if not app.access.allows(caller.principal, DecideDispute):
        return set()
    said = [_verdict(one, caller.principal.by) for one in found if one["stage"] in STEPS[DECIDE][0]]
    may = await may_decide(app, caller.tenant, said)
    return {(one.account_id, one.event_id) for one, allowed in zip(said, may, strict=True) if allowed}


def _verdict(it: Mapping[str, Any], by: str) -> Verdict:
    named = {name: it[name] for name in ("account_id", "statement_id", "event_id")}
    return Verdict(**named, outcome="", reason="", by=by)

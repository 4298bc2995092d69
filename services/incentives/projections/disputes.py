"""Which lines of statements are disputed, where does each dispute stand, and how was it decided?"""

from datetime import datetime
from typing import Annotated, Any, TypedDict

from chassis.case import Stage
from chassis.event import LEFT_OUT, Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.line_dispute import (
    CorrectionAsked,
    DisputeAppealed,
    DisputeConcluded,
    DisputeDecided,
    DisputeEvidence,
    DisputeEvidenceRequested,
    DisputeEvidenceShown,
    DisputeHeard,
    DisputeWithdrawn,
    LineCorrected,
    LineDisputed,
)
from services.incentives.projections.amounts import sorts

OPEN, WITHDRAWN = "open", "withdrawn"
ADJUSTED = "adjusted"
STEPS = (
    *(LineDisputed, DisputeEvidenceRequested, DisputeEvidenceShown, DisputeHeard),
    *(DisputeDecided, DisputeAppealed, DisputeConcluded, DisputeWithdrawn),
)


class DisputeDocument(TypedDict):
    """State: open until it is final, then upheld or rejected; or withdrawn. `stage` is where it stands, `due_at` the next step.

    `outcome` and `decision` are what was decided last, and why; it may be appealed still. `correct_by` is until when finance
    corrects the line of who was right, `corrected` how it did. `amount_sorts` is the amount as a text that sorts as the
    number does.
    """

    event_id: str
    account_id: str
    partner_id: str
    payee_id: str
    statement_id: str
    amount: Annotated[dict[str, str], Money]
    amount_sorts: str
    reason: str
    evidence: list[Annotated[dict[str, str], DisputeEvidence]]
    question: str | None
    state: str
    stage: Annotated[str, Stage]
    due_at: Annotated[str, datetime] | None
    outcome: str | None
    decision: str | None
    appeal: str | None
    correct_by: Annotated[str, datetime] | None
    corrected: str | None
    changed_at: str


def evolve(document: DisputeDocument | None, seen: Seen) -> DisputeDocument | None:
    happened = seen.event
    if isinstance(happened, LineDisputed):
        return _disputed(happened, iso(seen.recorded_at))
    if document is None:
        return None
    changed: Any = {**document, **_changes(document, happened), "changed_at": iso(seen.recorded_at)}
    return changed  # type: ignore[no-any-return]


def _disputed(it: LineDisputed, at: str) -> DisputeDocument:
    amount: dict[str, Any] = plain(it.amount)
    return {
        "event_id": it.event_id,
        "account_id": it.account_id,
        "partner_id": it.partner_id,
        "payee_id": it.account_id.rpartition("-")[0],
        "statement_id": it.statement_id,
        "amount": amount,
        "amount_sorts": sorts(amount),
        "reason": it.reason,
        "evidence": plain(it.evidence or ()),
        "question": None,
        "state": OPEN,
        "stage": Stage.OPENED.value,
        "due_at": iso(it.due_at) if it.due_at else None,
        "outcome": None,
        "decision": None,
        "appeal": None,
        "correct_by": None,
        "corrected": None,
        "changed_at": at,
    }


def _changes(document: DisputeDocument, happened: object) -> dict[str, Any]:
    match happened:
        case DisputeEvidenceRequested(question=question, due_at=due_at):
            return {"stage": Stage.EVIDENCE_REQUESTED.value, "question": question, "due_at": iso(due_at)}
        case DisputeEvidenceShown(evidence=shown, due_at=due_at):
            evidence = [*document["evidence"], *plain(shown)]
            return {"stage": Stage.UNDER_REVIEW.value, "evidence": evidence, "due_at": iso(due_at)}
        case DisputeHeard(due_at=due_at):
            return {"stage": Stage.UNDER_REVIEW.value, "due_at": iso(due_at)}
        case DisputeDecided():
            return _decided(happened)
        case DisputeAppealed(statement=statement, due_at=due_at):
            return {"stage": Stage.APPEALED.value, "appeal": statement, "due_at": iso(due_at)}
        case DisputeConcluded(outcome=outcome):
            return {"stage": Stage.FINAL.value, "state": outcome, "due_at": None}
        case DisputeWithdrawn():
            return {"stage": Stage.WITHDRAWN.value, "state": WITHDRAWN, "due_at": None}
        case _:
            return _correction(happened)


def _correction(happened: object) -> dict[str, Any]:
    if isinstance(happened, CorrectionAsked):
        return {"correct_by": iso(happened.due_at)}
    return {"correct_by": None, "corrected": getattr(happened, "reason", None) or ADJUSTED}


def _decided(it: DisputeDecided) -> dict[str, Any]:
    told = {"outcome": it.outcome, "decision": it.reason, "due_at": iso(it.due_at) if it.due_at else None}
    if it.due_at is LEFT_OUT:
        return {**told, "stage": Stage.FINAL.value, "state": it.outcome}
    return {**told, "stage": Stage.DECIDED.value}


def of_dispute(seen: Seen) -> str:
    return f"{seen.event.account_id}-{seen.event.event_id}"


DISPUTES = Projection(
    name="disputes",
    version=4,
    keys=dict.fromkeys((*STEPS, CorrectionAsked, LineCorrected), of_dispute),
    evolve=evolve,
    indexes=(
        *("changed_at", "partner_id,changed_at", "state,changed_at", "stage,changed_at"),
        *("amount_sorts", "partner_id,amount_sorts", "payee_id,changed_at", "payee_id,amount_sorts", "statement_id"),
    ),
)

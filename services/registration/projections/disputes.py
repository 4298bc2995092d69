"""What is contested, where it stands, and what came of it. Against whom it goes is the vendor's to know."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.case import Stage
from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Effect
from services.registration.domain.deal_events import Evidence
from services.registration.domain.dispute import (
    DisputeAppealed,
    DisputeConcluded,
    DisputeDecided,
    DisputeEvidenceRequested,
    DisputeEvidenceShown,
    DisputeHeard,
    DisputeLetterShown,
    DisputeOpened,
    DisputeWithdrawn,
    Holder,
    OfDispute,
)

FILER, HOLDER = "filer", "holder"
OF_BOTH_SIDES = ("against", "holders", "sides", "deals", "barred")


class DisputeStep(TypedDict):
    event_id: str
    event: str
    at: Annotated[str, datetime]


class Appeal(TypedDict):
    """Which side appealed, and what it says; null once its person is forgotten."""

    side: str
    statement: Annotated[dict[str, Any], Sealed]


class DisputeDocument(TypedDict):
    """`effects` are those of the decision, which count once it is final.

    `dispute_id` is the name of the claim that it is over: a deal, or an invitation. `sides` are the partners on both sides,
    `deals` theirs, `holders` the deals of the other side with their partners. `barred` are the people who may not decide
    it: who took part, and who has decided it before.
    """

    dispute_id: str
    registration_id: str
    invitation_id: NotRequired[str]
    partner_id: str
    number: str
    kind: str
    stage: str
    due_at: str | None
    outcome: str | None
    effects: list[Annotated[dict[str, Any], Effect]]
    statement: Annotated[dict[str, Any], Sealed]
    question: Annotated[dict[str, Any], Sealed] | None
    reason: Annotated[dict[str, Any], Sealed] | None
    evidence: list[Annotated[dict[str, Any], Evidence]]
    appeal: Appeal | None
    against: list[str]
    holders: list[Annotated[dict[str, str], Holder]]
    sides: list[str]
    deals: list[str]
    barred: list[str]
    opened_at: str
    steps: list[DisputeStep]


class ShownDispute(TypedDict):
    """A dispute as one side may read it: `filer` and `holder` of the other's deal nothing, the vendor all of it.

    A holder gets no number, statement, question, reason and steps. `dispute_id` is the name by which this side asks for it:
    its deal, or the invitation by which it takes part in one; that is in `invitation_id` too.
    """

    dispute_id: str | None
    registration_id: str | None
    invitation_id: NotRequired[str]
    side: NotRequired[str]
    kind: str
    stage: Annotated[str, Stage]
    due_at: str | None
    outcome: str | None
    opened_at: str
    effects: list[Effect]
    evidence: list[Evidence]
    appeal: Appeal | None
    partner_id: NotRequired[str]
    number: NotRequired[str]
    statement: NotRequired[Sealed]
    question: NotRequired[Sealed | None]
    reason: NotRequired[Sealed | None]
    steps: NotRequired[list[DisputeStep]]
    against: NotRequired[list[str]]
    holders: NotRequired[list[Holder]]
    sides: NotRequired[list[str]]
    deals: NotRequired[list[str]]
    barred: NotRequired[list[str]]


def of_dispute(seen: Seen) -> str:
    """The dispute that an event is about, named as the claim is which it is over."""
    happened: OfDispute = seen.event
    return happened.dispute_id


def evolve(document: DisputeDocument | None, seen: Seen) -> DisputeDocument | None:
    happened = seen.event
    before = _begun(happened) if isinstance(happened, DisputeOpened) else document
    if before is None:
        return None
    step = {"event_id": seen.id, "event": type(happened).__name__, "at": iso(seen.recorded_at)}
    return {**before, **_changes(before, happened), "steps": [*before["steps"], step]}  # type: ignore[return-value]


def _begun(it: DisputeOpened) -> DisputeDocument:
    opened = _opened(it)
    return {**opened, "invitation_id": it.invitation_id} if it.invitation_id else opened


def _opened(it: DisputeOpened) -> DisputeDocument:
    return {
        "dispute_id": it.dispute_id,
        "registration_id": it.registration_id,
        "partner_id": it.partner_id,
        "number": it.number,
        "kind": it.kind,
        "stage": "opened",
        "due_at": iso(it.due_at),
        "outcome": None,
        "effects": [],
        "statement": plain(it.statement),
        "question": None,
        "reason": None,
        "evidence": plain(it.evidence),
        "appeal": None,
        "against": list(it.against),
        "holders": plain(it.holders),
        "sides": sorted({it.partner_id, *(one.partner_id for one in it.holders)}),
        "deals": sorted({it.registration_id, *(one.registration_id for one in it.holders)}),
        "barred": list(it.barred),
        "opened_at": iso(it.opened_at),
        "steps": [],
    }


def _changes(document: DisputeDocument, happened: object) -> dict[str, Any]:
    match happened:
        case DisputeEvidenceRequested(question=question, due_at=at):
            return {"stage": "evidence_requested", "question": plain(question), "due_at": iso(at)}
        case DisputeEvidenceShown() | DisputeLetterShown():
            return _shown(document, happened)
        case DisputeHeard(due_at=at):
            return {"stage": "under_review", "due_at": iso(at)}
        case DisputeDecided(outcome=outcome, reason=reason, shares=shares, due_at=until, decided_by=by):
            told = {"stage": "decided", "outcome": outcome, "reason": plain(reason)}
            told["effects"] = _sharing(document, shares)
            return {**told, "barred": [*document["barred"], by], "due_at": iso(until) if until else None}
        case DisputeAppealed(due_at=at, holder=holder, statement=statement):
            side = HOLDER if holder else FILER
            return {"stage": "appealed", "due_at": iso(at), "appeal": {"side": side, "statement": plain(statement)}}
        case DisputeConcluded(outcome=outcome, effects=effects):
            return {"stage": "final", "outcome": outcome, "effects": plain(effects), "due_at": None}
        case DisputeWithdrawn():
            return {"stage": "withdrawn", "due_at": None}
        case _:
            return {}


def _shown(document: DisputeDocument, it: DisputeEvidenceShown | DisputeLetterShown) -> dict[str, Any]:
    """More documents; those that were asked for go to an arbiter, a letter leaves it as it was decided."""
    heard = {"stage": "under_review", "due_at": iso(it.due_at)} if isinstance(it, DisputeEvidenceShown) else {}
    return {**heard, "evidence": [*document["evidence"], *plain(it.evidence)]}


def _sharing(document: DisputeDocument, shares: Sequence[Effect]) -> list[dict[str, Any]]:
    """What each side is to get, which each must know before it may still appeal: the filer first, then who holds."""
    sides = (document["partner_id"], *(one["partner_id"] for one in document["holders"]))
    return [{**plain(share), "partner_id": whose} for share, whose in zip(shares, sides, strict=False)]


def for_partner(document: dict[str, Any], own: Collection[str]) -> dict[str, Any]:
    """What a side of it reads: who filed it nothing of those whom it goes against, a holder nothing of who filed it.

    `own` are the ids of who reads it: its own, and those of who it absorbed.
    """
    effects = [one for one in document["effects"] if one["partner_id"] in own]
    if document["partner_id"] in own:
        filed = {name: value for name, value in document.items() if name not in OF_BOTH_SIDES}
        return {**filed, "side": FILER, "effects": effects, "appeal": _own_appeal(document, FILER)}
    told = {name: document[name] for name in ("kind", "stage", "due_at", "outcome", "opened_at")}
    appeal = _own_appeal(document, HOLDER)
    return {**_held(document, own), "side": HOLDER, **told, "effects": effects, "evidence": [], "appeal": appeal}


def _held(document: dict[str, Any], own: Collection[str]) -> dict[str, Any]:
    """What of this partner the dispute goes against."""
    mine: Mapping[str, Any] = next((one for one in document["holders"] if one["partner_id"] in own), {})
    beside = {name: mine[name] for name in ("invitation_id",) if name in mine}
    return {"registration_id": mine.get("registration_id"), **beside, "dispute_id": name_of(mine)}


def name_of(holder: Mapping[str, Any]) -> str | None:
    """The name of a holder's claim, by which it asks for the dispute."""
    name: str | None = holder.get("invitation_id") or holder.get("registration_id")
    return name


def _own_appeal(document: dict[str, Any], side: str) -> dict[str, Any] | None:
    appeal = document["appeal"]
    return appeal if appeal and appeal["side"] == side else None


DISPUTES = Projection(
    name="disputes",
    version=6,
    keys=dict.fromkeys(
        (
            *(DisputeOpened, DisputeEvidenceRequested, DisputeEvidenceShown, DisputeLetterShown, DisputeHeard),
            *(DisputeDecided, DisputeAppealed, DisputeConcluded, DisputeWithdrawn),
        ),
        of_dispute,
    ),
    evolve=evolve,
    indexes=("stage", "kind", "partner_id", "opened_at", "due_at", "against[]", "sides[]", "deals[]"),
)

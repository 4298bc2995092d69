"""One deal: what was submitted, what became of it, step by step with the reasons, and what was found around it.

`found` holds rivals and similar customers: it is the vendor's, and is left out of what a partner reads.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from chassis.rulebook import Change, CodedReason, Reason
from contracts.values import Entitlement, Money, ProductLine, RuleRef
from services.registration.domain.customer import Customer
from services.registration.domain.deal_events import (
    ActivityNoted,
    AmendmentApproved,
    ConflictDetected,
    DealAmended,
    DealLinked,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealScreened,
    DisplacementApproved,
    Evidence,
    EvidenceAdded,
    ExtensionAnswered,
    ExtensionRequested,
    FindingDecided,
    InactivityWarned,
    MissingLinkCleared,
    MissingLinkFlagged,
    OrderRecorded,
    ParticipantInvited,
    ParticipantJoined,
    ParticipantLeft,
    ProtectionExtended,
    ReviewOverdue,
    RevocationProposed,
    StepApproved,
)
from services.registration.domain.deal_events import DealApproved as Approved
from services.registration.domain.disclosure import rival_since, told
from services.registration.domain.screening import explained
from services.registration.projections import deal_board
from services.registration.projections.deal_board import BoardDocument, of_deal

PRIVATE_STEPS = (
    *("DealScreened", "FindingDecided", "StepOpened", "StepApproved", "StepClosed", "ReviewOverdue"),
    *("DisplacementApproved", "RevocationProposed", "AmendmentApproved", "DealMoved"),
    *("MissingLinkFlagged", "MissingLinkCleared"),
)
"""Steps of the vendor's own review, not told to the partner."""
VENDORS_OWN = ("found", "crm_pending")


class Step(TypedDict):
    """One event in the deal's history. `reasons` are {code, text}."""

    event_id: str
    event: str
    at: str
    by: str | None
    reasons: list[CodedReason]


class Protection(TypedDict):
    """How long the deal is protected; `exclusive`: no other partner may work on the customer."""

    start: Annotated[str, datetime]
    end: Annotated[str, datetime]
    exclusive: bool


class Returned(TypedDict):
    """What the vendor asks to be corrected; the fields by name."""

    fields: list[str]
    message: Annotated[dict[str, Any], Sealed]


class Rejected(TypedDict):
    message: Annotated[dict[str, Any], Sealed]


Conflict = TypedDict(
    "Conflict",
    {
        "class": str,
        "told_class": NotRequired[str],
        "free_from": Annotated[str, date] | None,
        "rival_since": Annotated[str, date] | None,
        "detected_at": str,
    },
)
"""That a rival holds the customer, how surely, until when, and on which day it asked.

`told_class` is what the partner reads as its class, where that is another one: the vendor alone reads both.
"""


class BookedOrder(TypedDict):
    order_ref: str
    amount: Annotated[dict[str, Any], Money]
    ordered_on: str


class AskedExtension(TypedDict):
    """The end that was asked for, and when it is granted unless somebody answers."""

    new_end: Annotated[str, datetime]
    answer_by: Annotated[str, datetime]


class TakingPart(TypedDict):
    """Another partner that takes part in the deal, in its own role."""

    invitation_id: str
    partner_id: str
    role: str
    joined_at: Annotated[str, datetime]


class Sale(TypedDict):
    """The deal in the CRM; `external_id` is its number there, once it has one."""

    opportunity_id: str
    external_id: str | None


class _Deal(TypedDict):
    registration_id: str
    partner_id: str
    version: int
    board: Annotated[Any, BoardDocument]
    customer: Annotated[dict[str, Any], Customer]
    products: list[Annotated[dict[str, Any], ProductLine]]
    scope: str
    rules: Annotated[dict[str, Any], RuleRef]
    protection: Protection | None
    returned: Returned | None
    rejected: Rejected | None
    outcome: str | None
    reasons: list[Annotated[dict[str, Any], Reason]]
    conflict: Conflict | None
    orders: list[BookedOrder]
    participants: list[TakingPart]
    sale: Sale | None
    entitlement: Annotated[dict[str, Any], Entitlement] | None
    extension: AskedExtension | None
    inactive_from: Annotated[str, datetime] | None
    confidential: bool
    replaces: str | None
    history: list[Step]


class DealDocument(_Deal):
    """`board` is the row of the list; `details` may hold sealed texts. `crm_pending`: the CRM should have it by now."""

    details: dict[str, Any]
    crm_pending: bool
    found: dict[str, Any]


class ShownDetails(TypedDict):
    """What may still change after submission. Who may not read about people gets no `contacts` and `description`."""

    amount: Money
    close_on: str
    tender: str
    tender_on: str | None
    description: NotRequired[Sealed | None]
    contacts: NotRequired[list[Sealed]]
    partner_reference: str | None
    price_reference: str | None
    fund_reference: str | None
    crm_reference: str | None
    evidence: list[Evidence]


class Verdict(TypedDict):
    """What a person said of a similar customer: same, different or related."""

    account_id: str
    verdict: str


class Found(TypedDict, total=False):
    """The newest screening: rivals, similar customers, what would have changed it, and what was decided of them."""

    screening: dict[str, Any]
    would_change: list[Change]
    decided: list[Verdict]


class ShownDeal(_Deal):
    """A deal with its history. What was found around it, its rivals among it, is shown to the vendor only.

    So is `crm_pending`: a day after its approval nobody had told of its sale in the CRM. `contest_until` is the end of the
    time to dispute a rejection, a revocation or a wait.
    """

    details: ShownDetails
    crm_pending: NotRequired[bool]
    contest_until: NotRequired[Annotated[str, datetime] | None]
    found: NotRequired[Found]


def evolve(document: DealDocument | None, seen: Seen) -> DealDocument | None:
    happened = seen.event
    before = _registered(happened) if isinstance(happened, DealRegistered) else document
    if before is None:
        return None
    change = _CHANGES.get(type(happened))
    changes = change(before, happened) if change else {}
    row = deal_board.evolve(before["board"], seen) if type(happened) in deal_board.READS else before["board"]
    history = [*before["history"], _step(seen)]
    return {**before, **changes, "board": row, "version": seen.version, "history": history}  # type: ignore[return-value]


def _registered(happened: DealRegistered) -> DealDocument:
    return {
        "registration_id": happened.registration_id,
        "partner_id": happened.partner_id,
        "version": 1,
        "board": None,
        "customer": {name: value for name, value in plain(happened.customer).items() if name != "phones"},
        "products": plain(happened.terms.products),
        "scope": happened.reach.place.scope,
        "details": plain(happened.details),
        "rules": plain(happened.terms.rules),
        "protection": None,
        "returned": None,
        "rejected": None,
        "outcome": None,
        "reasons": [],
        "conflict": None,
        "found": {},
        "orders": [],
        "participants": [],
        "sale": None,
        "crm_pending": False,
        "entitlement": None,
        "extension": None,
        "inactive_from": None,
        "confidential": happened.confidential,
        "replaces": happened.replaces,
        "history": [],
    }


# What each event changes


def _screened(document: DealDocument, it: DealScreened) -> dict[str, Any]:
    decision = plain(explained(it.screening, it.rules))
    found = {**document["found"], "screening": decision["detail"], "would_change": decision["would_change"]}
    # Who met somebody before and meets nobody now is in no conflict: one that lasts is told again after each screening.
    return {"outcome": it.screening.outcome, "reasons": decision["reasons"], "found": found, "conflict": None}


def _conflict(document: DealDocument, it: ConflictDetected) -> dict[str, Any]:
    free_from = iso(it.free_on) if it.free_on else None
    since = rival_since(document["found"].get("screening", {}).get("conflicts", ()))
    known = {"class": it.match, "free_from": free_from, "rival_since": since, "detected_at": iso(it.detected_at)}
    return {"conflict": {**known, "told_class": it.told_match} if it.told_match else known}


def _returned(document: DealDocument, it: DealReturned) -> dict[str, Any]:
    return {"returned": {"fields": list(it.fields), "message": plain(it.message)}}


def _rejected(document: DealDocument, it: DealRejected) -> dict[str, Any]:
    return {"rejected": {"message": plain(it.message)} if it.message else None}


def _details(document: DealDocument, it: DealResubmitted | DealAmended) -> dict[str, Any]:
    answered = {"returned": None} if isinstance(it, DealResubmitted) else {}
    return {"details": plain(it.details), **answered}


def _evidence(document: DealDocument, it: EvidenceAdded) -> dict[str, Any]:
    details = document["details"]
    return {"details": {**details, "evidence": [*details["evidence"], *plain(it.evidence)]}}


def _order(document: DealDocument, it: OrderRecorded) -> dict[str, Any]:
    order = {"order_ref": it.order_ref, "amount": plain(it.amount), "ordered_on": iso(it.ordered_on)}
    return {"orders": [*document["orders"], order]}


def _joined(document: DealDocument, it: ParticipantJoined) -> dict[str, Any]:
    known = {"invitation_id": it.invitation_id, **plain(it.participant), "joined_at": iso(it.joined_at)}
    return {"participants": [*document["participants"], known]}


def _left(document: DealDocument, it: ParticipantLeft) -> dict[str, Any]:
    return {"participants": [one for one in document["participants"] if one["invitation_id"] != it.invitation_id]}


def _linked(document: DealDocument, it: DealLinked) -> dict[str, Any]:
    return {"sale": {"opportunity_id": it.opportunity_id, "external_id": it.external_id}}


def _unlinked(document: DealDocument, it: MissingLinkFlagged | MissingLinkCleared) -> dict[str, Any]:
    return {"crm_pending": isinstance(it, MissingLinkFlagged)}


def _approved(document: DealDocument, it: Approved) -> dict[str, Any]:
    protection = {"start": iso(it.protection.start), "end": iso(it.protection.end), "exclusive": it.exclusive}
    return {"protection": protection, "entitlement": plain(it.entitlement)}


def _extended(document: DealDocument, it: ProtectionExtended) -> dict[str, Any]:
    return {"protection": {**(document["protection"] or {}), "end": iso(it.new_end)}}


def _asked(document: DealDocument, it: ExtensionRequested) -> dict[str, Any]:
    return {"extension": {"new_end": iso(it.new_end), "answer_by": iso(it.answer_by)}}


def _answered(document: DealDocument, it: ExtensionAnswered) -> dict[str, Any]:
    return {"extension": None}


def _warned(document: DealDocument, it: InactivityWarned) -> dict[str, Any]:
    return {"inactive_from": iso(it.ends_at)}


def _alive(document: DealDocument, it: ActivityNoted) -> dict[str, Any]:
    return {"inactive_from": None}


def _decided(document: DealDocument, it: FindingDecided) -> dict[str, Any]:
    decided = [*document["found"].get("decided", []), {"account_id": it.account_id, "verdict": it.verdict}]
    return {"found": {**document["found"], "decided": decided}}


_CHANGES: dict[type[Any], Callable[[DealDocument, Any], dict[str, Any]]] = {
    DealScreened: _screened,
    ConflictDetected: _conflict,
    DealReturned: _returned,
    DealRejected: _rejected,
    DealResubmitted: _details,
    DealAmended: _details,
    EvidenceAdded: _evidence,
    OrderRecorded: _order,
    ParticipantJoined: _joined,
    ParticipantLeft: _left,
    DealLinked: _linked,
    MissingLinkFlagged: _unlinked,
    MissingLinkCleared: _unlinked,
    Approved: _approved,
    ExtensionRequested: _asked,
    ExtensionAnswered: _answered,
    ProtectionExtended: _extended,
    InactivityWarned: _warned,
    ActivityNoted: _alive,
    FindingDecided: _decided,
}


_TOLD = (
    *(StepApproved, ReviewOverdue, AmendmentApproved, DisplacementApproved, RevocationProposed),
    ParticipantInvited,
)
"""Steps of the history that change nothing else."""


# What the partner reads


def _step(seen: Seen) -> Step:
    reasons = getattr(seen.event, "reasons", ())
    return {
        "event_id": seen.id,
        "event": type(seen.event).__name__,
        "at": iso(seen.recorded_at),
        "by": seen.actor.kind if seen.actor else None,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in reasons],
    }


def for_partner(document: dict[str, Any]) -> dict[str, Any]:
    """What the deal's own partner reads of it."""
    withheld = document["board"]["withheld"]
    steps = [told(step, withheld) for step in document["history"] if step["event"] not in PRIVATE_STEPS]
    shown = {name: value for name, value in told(document, withheld).items() if name not in VENDORS_OWN}
    conflict = told(_as_told(document["conflict"]), withheld) if document["conflict"] else None
    return {**shown, "board": for_own(document["board"]), "history": steps, "conflict": conflict}


def _as_told(conflict: dict[str, Any]) -> dict[str, Any]:
    """The conflict with the class that the partner is told, and no word of another."""
    rest = {name: value for name, value in conflict.items() if name != "told_class"}
    return {**rest, "class": conflict.get("told_class", conflict["class"])}


def for_own(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the board as its partner reads it: whose approval it waits for, and what rules withhold, is the vendor's."""
    return {**told(row, row["withheld"]), "steps": []}


DEAL = Projection(
    name="deal",
    version=10,
    keys=dict.fromkeys((*deal_board.READS, *_CHANGES, *_TOLD), of_deal),
    evolve=evolve,
)

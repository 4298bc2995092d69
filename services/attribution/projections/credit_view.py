"""Who is credited for a sale, in each pool, by revision, and why? One document a pool of a sale."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.attribution import Share
from services.attribution.domain.credit import CreditAllocated, credit_id
from services.attribution.domain.credit_policy import Part, Row

REVISIONS_MAX = 200


class Revision(TypedDict):
    """Who had how much of the sale, by which touches, under which policy. A person's revision has its reason.

    A partner reads its own shares, touches and parts, and of all others together `others_percent`.
    """

    revision: int
    status: str
    win_no: int | None
    shares: list[Annotated[dict[str, Any], Share]]
    model: str
    policy_id: str
    policy_version: int
    reason_code: str
    reason: str | None
    revised_by: str | None
    cutoff_at: str
    known_at: str
    event_id: str
    decision_sha256: str
    rows: list[Annotated[dict[str, Any], Row]]
    parts: list[Annotated[dict[str, Any], Part]]
    others_percent: NotRequired[str]


class CreditDocument(TypedDict):
    opportunity_id: str
    registration_id: str | None
    pool: str
    status: str
    partner_ids: list[str]
    revisions: list[Revision]
    changed_at: str
    version: int


class ShownCredit(CreditDocument):
    """The credit of a sale in one pool, with every revision of it; `current` is the newest that was known."""

    current: Revision


class CreditOfSale(TypedDict):
    """Every pool of a sale."""

    opportunity_id: str
    pools: list[ShownCredit]


def evolve(document: CreditDocument | None, seen: Seen) -> CreditDocument:
    it: CreditAllocated = seen.event
    named = {share.partner_id for share in it.shares} | set(document["partner_ids"] if document else ())
    return {
        "opportunity_id": it.opportunity_id,
        "registration_id": it.registration_id,
        "pool": it.pool,
        "status": it.status,
        "partner_ids": sorted(named),
        "revisions": [*(document["revisions"] if document else ()), _revision(seen, it)][-REVISIONS_MAX:],
        "changed_at": iso(seen.recorded_at),
        "version": seen.version,
    }


def _revision(seen: Seen, it: CreditAllocated) -> Revision:
    return {
        "revision": it.revision,
        "status": it.status,
        "win_no": it.win_no,
        "shares": plain(it.shares),
        "model": it.model,
        "policy_id": it.policy_id,
        "policy_version": it.policy_version,
        "reason_code": it.reason_code,
        "reason": it.reason,
        "revised_by": it.revised_by,
        "cutoff_at": iso(it.cutoff_at),
        "known_at": iso(seen.recorded_at),
        "event_id": seen.id,
        "decision_sha256": it.decision_sha256,
        "rows": plain(it.rows),
        "parts": plain(it.parts),
    }


def as_known(document: dict[str, Any], known_at: datetime | None) -> dict[str, Any] | None:
    """The pool as it was known by an instant: the last revision recorded by then, and those before it."""
    known = [r for r in document["revisions"] if known_at is None or _at(r["known_at"]) <= known_at]
    if not known:
        return None
    return {**document, "status": known[-1]["status"], "current": known[-1], "revisions": known}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def for_partner(document: dict[str, Any], mine: Sequence[str]) -> dict[str, Any]:
    """Every revision with the shares and touches of the reader's ids, and one nameless sum of all others."""
    revisions = [_own(revision, mine) for revision in document["revisions"]]
    return {**document, "partner_ids": [one for one in mine if one in document["partner_ids"]], "revisions": revisions}


def _own(revision: dict[str, Any], mine: Sequence[str]) -> dict[str, Any]:
    others = [share for share in revision["shares"] if share["partner_id"] not in mine]
    return {
        **revision,
        "shares": [share for share in revision["shares"] if share["partner_id"] in mine],
        "others_percent": str(sum((Decimal(share["percent"]) for share in others), Decimal("0.00"))),
        "rows": [row for row in revision["rows"] if row["partner_id"] in mine],
        "parts": [part for part in revision["parts"] if part["partner_id"] in mine],
        "reason": None,
        "revised_by": None,
    }


def _by_pool(seen: Seen) -> str:
    return credit_id(seen.event.opportunity_id, seen.event.pool)


CREDIT_VIEW = Projection(
    name="credit_view",
    version=1,
    keys={CreditAllocated: _by_pool},
    evolve=evolve,
    indexes=("opportunity_id", "partner_ids[]", "status", "changed_at", "pool"),
)

"""Both claims side by side, for the vendor's review desk: the last screening of a deal that met somebody."""

from datetime import date
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.claim import Claim
from services.registration.domain.deal_events import DealScreened
from services.registration.domain.matching import Finding
from services.registration.projections.deal_board import BoardDocument, of_deal


class Rival(TypedDict):
    """A claim that this one meets. `blocks`: it holds the customer; `wins`: the policies would give its place away."""

    account_id: str
    match: str
    claim: Annotated[dict[str, Any], Claim]
    meets: dict[str, Any]
    blocks: bool
    path: str | None
    wins: bool


class ConflictDocument(TypedDict):
    """`mine` and each of `rivals` hold a claim as it was when screened; `meets` says where the two overlap.

    No field names the partner whose deal it is, so no partner can be given this document.
    """

    registration_id: str
    number: str
    outcome: str
    match: str | None
    mine: Annotated[dict[str, Any], Claim]
    rivals: list[Rival]
    findings: list[Annotated[dict[str, Any], Finding]]
    displace: list[str]
    free_from: Annotated[str, date] | None
    screening_id: str
    screened_at: str


def evolve(_: ConflictDocument | None, seen: Seen) -> ConflictDocument | None:
    happened: DealScreened = seen.event
    screening = happened.screening
    if not screening.conflicts and not screening.findings:
        return None
    return {
        "registration_id": happened.registration_id,
        "number": happened.number,
        "outcome": screening.outcome,
        "match": screening.match,
        "mine": plain(happened.facts.mine),
        "rivals": [_rival(conflict) for conflict in screening.conflicts],
        "findings": plain(screening.findings),
        "displace": list(screening.displace),
        "free_from": iso(screening.free_on) if screening.free_on else None,
        "screening_id": happened.screening_id,
        "screened_at": iso(happened.screened_at),
    }


def _rival(conflict: Any) -> Rival:
    return {
        "account_id": conflict.account_id,
        "match": conflict.match,
        "claim": plain(conflict.claim),
        "meets": conflict.meets._asdict(),
        "blocks": conflict.blocks,
        "path": conflict.path,
        "wins": conflict.wins,
    }


class RivalDeal(Rival):
    deal: BoardDocument | None


class ShownConflict(TypedDict):
    """Both claims, as they were when the deal was screened last. Of a deal that met nobody there is no more than itself."""

    registration_id: str
    number: NotRequired[str]
    outcome: NotRequired[str]
    match: NotRequired[str | None]
    mine: NotRequired[Claim]
    rivals: list[RivalDeal]
    findings: list[Finding]
    displace: NotRequired[list[str]]
    free_from: NotRequired[Annotated[str, date] | None]
    screening_id: NotRequired[str]
    screened_at: NotRequired[str]
    deal: BoardDocument


CONFLICTS = Projection(name="conflicts", version=2, keys={DealScreened: of_deal}, evolve=evolve)

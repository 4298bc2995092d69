"""Both claims side by side, for the vendor's review desk: the last screening of a deal that met somebody."""

from typing import Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.deal_events import DealScreened
from services.registration.projections.deal_board import of_deal


class ConflictDocument(TypedDict):
    """`mine` and each of `rivals` hold a claim as it was when screened; `meets` says where the two overlap.

    No field names the partner whose deal it is, so no partner can be given this document.
    """

    registration_id: str
    number: str
    outcome: str
    match: str | None
    mine: dict[str, Any]
    rivals: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    displace: list[str]
    free_from: str | None
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


def _rival(conflict: Any) -> dict[str, Any]:
    return {
        "account_id": conflict.account_id,
        "match": conflict.match,
        "claim": plain(conflict.claim),
        "meets": conflict.meets._asdict(),
        "blocks": conflict.blocks,
        "path": conflict.path,
        "wins": conflict.wins,
    }


CONFLICTS = Projection(name="conflicts", version=2, keys={DealScreened: of_deal}, evolve=evolve)

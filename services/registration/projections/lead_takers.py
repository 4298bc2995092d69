"""The partners that leads can go to: whose turn is next, and what became of those that each was offered."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from math import sqrt
from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from chassis.read_store.port import Queries
from services.registration.domain.lead import LeadAccepted, LeadConverted, LeadDeclined
from services.registration.domain.partner_facts import NEW_BUSINESS, PartnerFactsRecorded
from services.registration.domain.rotation import TurnTaken
from services.registration.domain.routing import Taker

FLAG_SIGMAS = 3
COUNTED = {TurnTaken: "offered", LeadAccepted: "accepted", LeadDeclined: "declined", LeadConverted: "converted"}


class TakerDocument(TypedDict):
    """`turn` sorts those whose last lead is longest ago first; "" for who never had one."""

    partner_id: str
    country: str
    open: bool
    turn: str
    offered: int
    accepted: int
    declined: int
    converted: int


class LeadShare(TypedDict):
    """A partner's part of all offers beside the part that its weight promises; `flag`: more than 3 sigma apart."""

    partner_id: str
    offered: int
    accepted: int
    declined: int
    converted: int
    expected_percent: str
    actual_percent: str
    flag: bool


def _partner(seen: Seen) -> str | None:
    partner_id: str | None = seen.event.partner_id
    return partner_id


def evolve(document: TakerDocument | None, seen: Seen) -> TakerDocument:
    happened = seen.event
    before = document or TakerDocument(
        partner_id=happened.partner_id, country="", open=False, turn="", offered=0, accepted=0, declined=0, converted=0
    )
    if isinstance(happened, PartnerFactsRecorded):
        return {**before, **_facts(before, happened)}  # type: ignore[typeddict-item]
    counted = COUNTED[type(happened)]
    turn = iso(happened.taken_at) if isinstance(happened, TurnTaken) else before["turn"]
    return {**before, "turn": turn, counted: before[counted] + 1}  # type: ignore[misc]


def _facts(before: TakerDocument, it: PartnerFactsRecorded) -> dict[str, Any]:
    open_now = before["open"] if it.suspended is None else NEW_BUSINESS not in it.suspended
    return {"country": it.country or before["country"], "open": open_now}


def shares(rows: Iterable[Any], weights: dict[str, int]) -> list[LeadShare]:
    """Each partner's part of all offers beside the part that its weight promises; `flag`: more than 3 sigma apart."""
    known = [row for row in rows if row["open"] or row["offered"]]
    total, weight = sum(row["offered"] for row in known), sum(weights.get(row["partner_id"], 1) for row in known)
    return [_share(row, total, weights.get(row["partner_id"], 1) / weight if weight else 0.0) for row in known]


def _share(row: dict[str, Any], total: int, expected: float) -> LeadShare:
    sigma = sqrt(total * expected * (1 - expected))
    return {
        "partner_id": row["partner_id"],
        "offered": row["offered"],
        "accepted": row["accepted"],
        "declined": row["declined"],
        "converted": row["converted"],
        "expected_percent": _percent(expected),
        "actual_percent": _percent(row["offered"] / total if total else 0.0),
        "flag": abs(row["offered"] - total * expected) > FLAG_SIGMAS * sigma,
    }


def _percent(share: float) -> str:
    return str(Decimal(share * 100).quantize(Decimal("0.01")))


CANDIDATES_MAX = 200
"""Of more partners, those whose last lead is longest ago are looked at."""


async def takers(read: Queries, tenant: str, country: str, listed: Iterable[str]) -> tuple[Taker, ...]:
    """Who could take a lead: the partners listed, else those open for business, in a country if one is named."""
    ids = sorted(set(listed))
    if ids:
        found = list((await read.get_many("lead_takers", tenant, ids)).values())
    else:
        where = {"open": True, **({"country": country} if country else {})}
        found = (await read.find("lead_takers", tenant, where=where, sort="turn", limit=CANDIDATES_MAX)).items
    return tuple(_taker(row) for row in found)


def _taker(row: dict[str, Any]) -> Taker:
    return Taker(
        partner_id=row["partner_id"],
        country=row["country"] or None,
        suspended=not row["open"],
        last_turn_at=datetime.fromisoformat(row["turn"]) if row["turn"] else None,
    )


LEAD_TAKERS = Projection(
    name="lead_takers",
    version=1,
    keys=dict.fromkeys((PartnerFactsRecorded, *COUNTED), _partner),
    evolve=evolve,
    indexes=("country", "open", "turn"),
)

"""What became of each partner's deals, and of the deals of small and large partners together: are they treated alike?"""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from chassis.event import Seen
from chassis.projection import Projection
from services.registration.domain.deal_events import DealApproved, DealQueued, DealRegistered, DealRejected, DealRevoked

COUNTED = {
    DealRegistered: "registered",
    DealApproved: "approved",
    DealRejected: "rejected",
    DealQueued: "queued",
    DealRevoked: "revoked",
}
COUNTS = tuple(COUNTED.values())
SIZES = ((1, "1"), (10, "2-10"), (50, "11-50"), (None, "51+"))
"""A partner's size is how many deals it has registered: up to so many, and its name."""


class PartnerCounts(TypedDict):
    partner_id: str
    registered: int
    approved: int
    rejected: int
    queued: int
    revoked: int


class SizeCounts(TypedDict):
    """The deals of all partners of one size."""

    size: str
    partners: int
    registered: int
    approved: int
    rejected: int
    queued: int
    revoked: int
    approved_percent: str | None
    rejected_percent: str | None


def evolve(document: PartnerCounts | None, seen: Seen) -> PartnerCounts:
    happened = seen.event
    before = document or PartnerCounts(
        partner_id=happened.partner_id, registered=0, approved=0, rejected=0, queued=0, revoked=0
    )
    counted = COUNTED[type(happened)]
    return {**before, counted: before[counted] + 1}  # type: ignore[misc]


def by_size(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The partners of each size with their deals: how many were approved and rejected, and in what part."""
    sizes = {name: {"partners": 0, **dict.fromkeys(COUNTS, 0)} for _, name in SIZES}
    for row in rows:
        of = sizes[size_of(row["registered"])]
        of["partners"] += 1
        for name in COUNTS:
            of[name] += row[name]
    return [{"size": name, **counts, **_parts(counts)} for name, counts in sizes.items()]


def size_of(registered: int) -> str:
    """The name of the size of a partner that has registered so many deals."""
    return next(name for most, name in SIZES if most is None or registered <= most)


def _parts(counts: Mapping[str, int]) -> dict[str, str | None]:
    all_of_them = counts["registered"]
    return {
        f"{name}_percent": f"{100 * counts[name] / all_of_them:.2f}" if all_of_them else None
        for name in ("approved", "rejected")
    }


PARTNER_SIZES = Projection(
    name="partner_sizes",
    version=1,
    keys=dict.fromkeys(COUNTED, lambda seen: seen.event.partner_id),
    evolve=evolve,
    indexes=("registered",),
)

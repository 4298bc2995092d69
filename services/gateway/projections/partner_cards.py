"""Who is each partner, in one line, and may its people and programs come in?"""

from typing import Any, TypedDict

from chassis.event import Seen
from chassis.projection import Projection
from chassis.read_store.port import ReadStore
from contracts import onboarding


class PartnerCard(TypedDict):
    """`access` is false while a suspension closes it. `revision` is the newest version of the partner's stream heard.

    `survivor_id` is who goes on for the partner, while it is one with another.
    """

    partner_id: str
    name: str
    country: str
    types: list[str]
    status: str
    access: bool
    survivor_id: str | None
    revision: int


def evolve(card: dict[str, Any] | None, seen: Seen) -> dict[str, Any]:
    happened = seen.event
    before = card or dict(_unknown(happened.partner_id))
    revision = getattr(happened, "revision", 0)
    if revision and revision <= before["revision"]:
        return before
    return {**before, **_change(happened), "revision": max(revision, before["revision"])}


def _unknown(partner_id: str) -> PartnerCard:
    return {
        "partner_id": partner_id,
        "name": "",
        "country": "",
        "types": [],
        "status": "applied",
        "access": False,
        "survivor_id": None,
        "revision": 0,
    }


def _change(happened: Any) -> dict[str, Any]:
    match happened:
        case onboarding.PartnerApplied():
            return {"country": happened.country, "types": list(happened.types), "name": happened.domains[0]}
        case onboarding.PartnerActivated():
            return {**_profile(happened), "status": "active", "access": True}
        case onboarding.PartnerProfileChanged():
            return _profile(happened)
        case onboarding.PartnerSuspended() | onboarding.PartnerReinstated():
            return _suspending(happened)
        case onboarding.PartnerOffboarded():
            return {"status": "offboarded"}
        case onboarding.PartnersMerged() | onboarding.PartnersUnmerged():
            return _merging(happened)
        case _:
            return {"status": "declined"}


def _merging(happened: onboarding.PartnersMerged | onboarding.PartnersUnmerged) -> dict[str, Any]:
    if isinstance(happened, onboarding.PartnersMerged):
        return {"status": "merged", "survivor_id": happened.survivor_id}
    status = "suspended" if happened.scopes else "active"
    return {"status": status, "access": "access" not in happened.scopes, "survivor_id": None}


def _suspending(happened: onboarding.PartnerSuspended | onboarding.PartnerReinstated) -> dict[str, Any]:
    if isinstance(happened, onboarding.PartnerReinstated):
        return {"status": "active", "access": True}
    return {"status": "suspended", "access": "access" not in happened.scopes}


def _profile(happened: Any) -> dict[str, Any]:
    name = happened.display_name or happened.domains[0]
    return {"name": name, "country": happened.country, "types": list(happened.types)}


# Which partners are one now

ABSORBED_MAX = 100
"""The most absorbed partners for which anybody acts: all are named in each signed principal, which has a limit."""


async def up_from(read: ReadStore, tenant: str, partner_id: str) -> list[dict[str, Any]]:
    """The card of a partner, and of each that goes on for the one before it; none of a partner that is not known."""
    cards: list[dict[str, Any]] = []
    following: str | None = partner_id
    while following and following not in [card["partner_id"] for card in cards]:
        card = await read.get("partner_cards", tenant, following)
        cards += [card] if card else []
        following = card["survivor_id"] if card else None
    return cards


async def absorbed_by(read: ReadStore, tenant: str, partner_id: str) -> tuple[str, ...]:
    """All partners that this one goes on for now, also over several steps."""
    found: list[str] = []
    wanted = [partner_id]
    while wanted and len(found) < ABSORBED_MAX:
        cards = await read.find("partner_cards", tenant, where={"survivor_id": tuple(wanted)}, limit=ABSORBED_MAX)
        wanted = [card["partner_id"] for card in cards.items if card["partner_id"] not in (partner_id, *found)]
        found += wanted
    return tuple(sorted(found[:ABSORBED_MAX]))


PARTNER_CARDS = Projection(
    name="partner_cards",
    version=4,
    keys=dict.fromkeys(
        (
            onboarding.PartnerApplied,
            onboarding.PartnerDeclined,
            onboarding.PartnerActivated,
            onboarding.PartnerProfileChanged,
            onboarding.PartnerSuspended,
            onboarding.PartnerReinstated,
            onboarding.PartnerOffboarded,
            onboarding.PartnersMerged,
            onboarding.PartnersUnmerged,
        ),
        lambda seen: seen.event.partner_id,
    ),
    evolve=evolve,
    indexes=("name", "status", "survivor_id"),
)

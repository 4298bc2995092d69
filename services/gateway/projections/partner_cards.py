"""Who is each partner, in one line, and may its people and programs come in?"""

from typing import Any, TypedDict

from chassis.event import Seen
from chassis.projection import Projection
from contracts import onboarding


class PartnerCard(TypedDict):
    """`access` is false while a suspension closes it. `revision` is the newest version of the partner's stream heard."""

    partner_id: str
    name: str
    country: str
    types: list[str]
    status: str
    access: bool
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
        return {"status": "merged"}
    return {"status": "suspended" if happened.scopes else "active", "access": "access" not in happened.scopes}


def _suspending(happened: onboarding.PartnerSuspended | onboarding.PartnerReinstated) -> dict[str, Any]:
    if isinstance(happened, onboarding.PartnerReinstated):
        return {"status": "active", "access": True}
    return {"status": "suspended", "access": "access" not in happened.scopes}


def _profile(happened: Any) -> dict[str, Any]:
    name = happened.display_name or happened.domains[0]
    return {"name": name, "country": happened.country, "types": list(happened.types)}


PARTNER_CARDS = Projection(
    name="partner_cards",
    version=3,
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
    indexes=("name", "status"),
)

"""Who are our partners, and in what state is each?"""

from datetime import date, datetime
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.onboarding.domain import merging, offboarding, partner

Document = dict[str, Any]


class Settling(TypedDict):
    """What one of finance says that shows that nothing is owed; `confirmed_by` once another one did.

    Until `confirm_until` another one may; then it has lapsed.
    """

    settled_on: str
    evidence_sha256: str
    reason: str
    proposed_by: str
    confirmed_by: str | None
    confirm_until: str | None


class Leaving(TypedDict):
    """`run_off_until` is null while a second administrator has to confirm; then `run_off_days` is.

    `proposed_by` is null where the partner's owner started it.
    """

    reason_code: str
    last_business_day: Annotated[str, date]
    proposed_by: str | None
    run_off_days: int | None
    run_off_until: Annotated[str, date] | None


class Merging(TypedDict):
    """Into whom it is merged, or proposed to be while `merged_at` is null, and the day from which the two are one."""

    into: str
    effective_on: str
    proposed_by: str
    merged_at: str | None


class Absorbed(TypedDict):
    """A partner that is one with it, from which day."""

    partner_id: str
    effective_on: str


class _Partner(TypedDict):
    partner_id: str
    status: str
    profile: Annotated[dict[str, Any], partner.Profile]
    scopes: list[str]
    until: Annotated[str, datetime] | None
    offboarding: Leaving | None
    merge: Merging | None
    absorbed: list[Absorbed]
    applied_at: str
    changed_at: str
    version: int


class PartnerDocument(_Partner):
    screening: Annotated[dict[str, Any], partner.PartnerScreened] | None
    settling: Settling | None
    name_sort: str
    domains: list[str]


class ShownPartner(_Partner):
    """A partner: review, active, suspended in `scopes` (`until` then), declined, withdrawn, merged or offboarded.

    What screening found, and what finance shows to settle, are shown to the vendor only.
    """

    screening: NotRequired[partner.PartnerScreened | None]
    settling: NotRequired[Settling | None]


def evolve(document: Document | None, seen: Seen) -> Document | None:
    happened = seen.event
    if isinstance(happened, partner.PartnerApplied):
        return _applied(seen, happened)
    if document is None:
        return None
    return {**document, **_change(document, happened), "changed_at": iso(seen.recorded_at), "version": seen.version}


def _applied(seen: Seen, it: partner.PartnerApplied) -> Document:
    return {
        "partner_id": it.partner_id,
        "status": "review",
        **_profile(it.profile),
        "screening": None,
        "scopes": [],
        "until": None,
        "offboarding": None,
        "settling": None,
        "merge": None,
        "absorbed": [],
        "applied_at": iso(it.applied_at),
        "changed_at": iso(seen.recorded_at),
        "version": seen.version,
    }


def _profile(profile: partner.Profile) -> dict[str, Any]:
    return {
        "profile": plain(profile),
        "name_sort": profile.legal_name.casefold(),
        "domains": list(profile.domains),
    }


def _change(document: Document, happened: partner.PartnerEvent) -> dict[str, Any]:
    match happened:
        case partner.PartnerScreened():
            return {"screening": plain(happened)}
        case partner.PartnerActivated() | partner.PartnerReinstated():
            return {"status": "active", "scopes": [], "until": None}
        case partner.PartnerDeclined():
            return {"status": "declined"}
        case partner.PartnerWithdrawn():
            return {"status": "withdrawn"}
        case partner.PartnerSuspended():
            return _suspended(happened)
        case partner.PartnerProfileChanged():
            return _profile(happened.profile)
        case _:
            return _merging(document, happened)


def _merging(document: Document, happened: partner.PartnerEvent) -> dict[str, Any]:
    match happened:
        case merging.MergeProposed():
            return {"merge": {**_into(happened), "merged_at": None}}
        case merging.PartnersMerged(merged_at=at):
            return {"merge": {**_into(happened), "merged_at": iso(at)}, "status": merging.MERGED}
        case merging.PartnersUnmerged(scopes=scopes):
            until = document["until"] if scopes else None
            status = "suspended" if scopes else "active"
            return {"merge": None, "status": status, "scopes": list(scopes), "until": until}
        case merging.PartnerAbsorbed(absorbed_id=absorbed_id, effective_on=day):
            return {"absorbed": [*document["absorbed"], {"partner_id": absorbed_id, "effective_on": iso(day)}]}
        case merging.PartnerParted(absorbed_id=absorbed_id):
            return {"absorbed": [one for one in document["absorbed"] if one["partner_id"] != absorbed_id]}
        case _:
            return _leaving(happened)


def _into(it: merging.MergeProposed | merging.PartnersMerged) -> dict[str, Any]:
    return {"into": it.into, "effective_on": iso(it.effective_on), "proposed_by": it.proposed_by}


def _leaving(happened: partner.PartnerEvent) -> dict[str, Any]:
    match happened:
        case offboarding.OffboardingProposed(run_off_days=days):
            return {"offboarding": {**_terms(happened), "run_off_days": days, "run_off_until": None}}
        case offboarding.OffboardingStarted(run_off_until=until):
            return {"offboarding": {**_terms(happened), "run_off_days": None, "run_off_until": iso(until)}}
        case offboarding.SettlementProposed():
            return {
                "settling": {**_settling(happened, None), "confirm_until": iso(offboarding.confirm_until(happened))}
            }
        case offboarding.OffboardingSettled():
            by_hand = happened.confirmed_by
            return {"settling": _settling(happened, by_hand) if isinstance(by_hand, str) else None}
        case offboarding.OffboardingCancelled():
            return {"offboarding": None, "settling": None}
        case offboarding.PartnerOffboarded():
            return {"status": offboarding.OFFBOARDED}
        case _:
            return {}


def _settling(
    it: offboarding.SettlementProposed | offboarding.OffboardingSettled, confirmed_by: str | None
) -> dict[str, Any]:
    said = {"settled_on": iso(it.settled_on), "evidence_sha256": it.evidence_sha256, "reason": it.reason}
    return {**said, "proposed_by": it.proposed_by, "confirmed_by": confirmed_by, "confirm_until": None}


def _terms(it: offboarding.OffboardingProposed | offboarding.OffboardingStarted) -> dict[str, Any]:
    """`run_off_until` beside them is absent while a second administrator has to confirm."""
    last = iso(it.last_business_day)
    return {"reason_code": it.reason_code, "last_business_day": last, "proposed_by": it.proposed_by}


def _suspended(it: partner.PartnerSuspended) -> dict[str, Any]:
    return {"status": "suspended", "scopes": list(it.scopes), "until": iso(it.until) if it.until else None}


def _by_partner(seen: Seen) -> str:
    identity: str = seen.event.partner_id
    return identity


PARTNERS = Projection(
    name="partners",
    version=5,
    keys=dict.fromkeys(
        (
            partner.PartnerApplied,
            partner.PartnerScreened,
            partner.PartnerApproved,
            partner.PartnerActivated,
            partner.PartnerDeclined,
            partner.PartnerWithdrawn,
            partner.PartnerSuspended,
            partner.PartnerReinstated,
            partner.PartnerProfileChanged,
            offboarding.OffboardingProposed,
            offboarding.OffboardingStarted,
            offboarding.OffboardingCancelled,
            offboarding.SettlementProposed,
            offboarding.OffboardingSettled,
            offboarding.PartnerOffboarded,
            merging.MergeProposed,
            merging.PartnersMerged,
            merging.PartnersUnmerged,
            merging.PartnerAbsorbed,
            merging.PartnerParted,
        ),
        _by_partner,
    ),
    evolve=evolve,
    indexes=("partner_id", "status", "name_sort", "applied_at", "domains"),
)

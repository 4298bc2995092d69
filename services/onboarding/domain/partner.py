"""A partner: it applies, is screened and approved, becomes active, may be suspended and reinstated."""

from dataclasses import field, replace
from datetime import datetime
from typing import Any

from chassis.decider import Decider, Invalid, Refused, WrongState
from chassis.event import Seen, as_stored, command, event, frozen
from chassis.rulebook import Decision, Rulebook, decision_from
from contracts.values import PartnerId, RuleRef
from services.onboarding.domain import merging, offboarding
from services.onboarding.domain.merging import MERGED, MergeEvent, Merging, PartnersMerged, PartnersUnmerged
from services.onboarding.domain.offboarding import (
    LIVE,
    OFFBOARDED,
    Offboarding,
    OffboardingEvent,
    PartnerOffboarded,
)
from services.onboarding.domain.screening import DECLINE, SCREENING, Application

TYPES = (
    "reseller", "referral", "agency", "consultant", "affiliate", "dealer", "distributor", "franchisee", "alliance",
    "service_provider",
)  # fmt: skip
SCOPES = ("new_business", "access", "content", "payouts")


@frozen
class Profile:
    """Who the partner is. Country ISO 3166-1 alpha-2, domains registrable, zone of the IANA, locale a BCP 47 tag."""

    legal_name: str
    natural_person: bool = False
    country: str
    domains: tuple[str, ...]
    types: tuple[str, ...]
    locale: str
    zone: str


# Events


@event("onboarding.PartnerApplied.v1")
class PartnerApplied:
    partner_id: PartnerId
    profile: Profile
    source: str
    applied_at: datetime


@event("onboarding.PartnerScreened.v1")
class PartnerScreened:
    """What screening found, with its facts and the version of its rules."""

    partner_id: PartnerId
    rules: RuleRef | None
    decision: dict[str, Any]
    screened_at: datetime


@event("onboarding.PartnerApproved.v1")
class PartnerApproved:
    partner_id: PartnerId
    approved_by: str
    reason: str | None
    approved_at: datetime


@event("onboarding.PartnerActivated.v1")
class PartnerActivated:
    """The partner may do business, under the profile it has now."""

    partner_id: PartnerId
    profile: Profile
    activated_at: datetime


@event("onboarding.PartnerDeclined.v1")
class PartnerDeclined:
    partner_id: PartnerId
    reason_code: str
    declined_by: str
    declined_at: datetime


@event("onboarding.PartnerWithdrawn.v1")
class PartnerWithdrawn:
    partner_id: PartnerId
    withdrawn_at: datetime


@event("onboarding.PartnerSuspended.v1")
class PartnerSuspended:
    partner_id: PartnerId
    scopes: tuple[str, ...]
    reason_code: str
    until: datetime | None
    suspended_by: str
    suspended_at: datetime


@event("onboarding.PartnerReinstated.v1")
class PartnerReinstated:
    partner_id: PartnerId
    reinstated_by: str
    reinstated_at: datetime


@event("onboarding.PartnerProfileChanged.v1")
class PartnerProfileChanged:
    partner_id: PartnerId
    profile: Profile
    changed_at: datetime


PartnerEvent = (
    PartnerApplied
    | PartnerScreened
    | PartnerApproved
    | PartnerActivated
    | PartnerDeclined
    | PartnerWithdrawn
    | PartnerSuspended
    | PartnerReinstated
    | PartnerProfileChanged
    | OffboardingEvent
    | MergeEvent
)

# Commands


@command("onboarding.Apply.v1")
class Apply:
    """An organisation wants to be a partner. `known_domains` are its domains that a live partner already has."""

    partner_id: PartnerId
    profile: Profile
    known_domains: tuple[str, ...] = ()
    source: str
    rulebook_id: str
    now: datetime


@command("onboarding.ApprovePartner.v1")
class ApprovePartner:
    """`reason` is needed when screening said decline."""

    partner_id: PartnerId
    approved_by: str
    reason: str | None = None
    now: datetime


@command("onboarding.DeclinePartner.v1")
class DeclinePartner:
    partner_id: PartnerId
    reason_code: str
    declined_by: str
    now: datetime


@command("onboarding.WithdrawApplication.v1")
class WithdrawApplication:
    partner_id: PartnerId
    now: datetime


@command("onboarding.SuspendPartner.v1")
class SuspendPartner:
    partner_id: PartnerId
    scopes: tuple[str, ...]
    reason_code: str
    until: datetime | None = None
    suspended_by: str
    now: datetime


@command("onboarding.ReinstatePartner.v1")
class ReinstatePartner:
    """`suspension_until` is set by the deadline: it ends only the suspension it was made for."""

    partner_id: PartnerId
    reinstated_by: str
    suspension_until: datetime | None = None
    now: datetime


@command("onboarding.ChangeProfile.v1")
class ChangeProfile:
    partner_id: PartnerId
    profile: Profile
    now: datetime


# State


@frozen
class Partner:
    """Status: none, review, active, suspended, declined, withdrawn, offboarded or merged."""

    status: str = "none"
    profile: Profile | None = None
    screening: str = ""
    until: datetime | None = None
    scopes: tuple[str, ...] = ()
    offboarding: Offboarding = field(default_factory=Offboarding)
    merging: Merging = field(default_factory=Merging)


# Refusals


class AlreadyApplied(Refused):
    """This partner has applied before."""

    slug = "already-applied"


class ReasonRequired(Invalid):
    """Screening said decline: approving needs a reason."""

    slug = "reason-required"


# Decisions


def apply(wish: Apply, partner: Partner, book: Rulebook) -> list[PartnerEvent]:
    if partner.status != "none":
        raise AlreadyApplied(state=partner.status)
    _known("types", wish.profile.types, TYPES)
    applied = PartnerApplied(partner_id=wish.partner_id, profile=wish.profile, source=wish.source, applied_at=wish.now)
    return [applied, _screened(wish, book)]


def _screened(wish: Apply, book: Rulebook) -> PartnerScreened:
    version = book.in_force(wish.now)
    facts = Application(country=wish.profile.country, domains=wish.profile.domains, known_domains=wish.known_domains)
    decision = SCREENING.evaluate(facts, SCREENING.read(version.body if version else {}))
    rules = (
        RuleRef(rulebook_id=version.rulebook_id, version=version.version, sha256=version.sha256) if version else None
    )
    return PartnerScreened(partner_id=wish.partner_id, rules=rules, decision=as_stored(decision), screened_at=wish.now)


def approve(wish: ApprovePartner, partner: Partner) -> list[PartnerEvent]:
    """Approves and, as the journey has no steps, activates at once."""
    if partner.status in LIVE:
        return []
    profile = _reviewed(partner)
    if partner.screening == DECLINE and not wish.reason:
        raise ReasonRequired
    return [
        PartnerApproved(
            partner_id=wish.partner_id, approved_by=wish.approved_by, reason=wish.reason, approved_at=wish.now
        ),
        PartnerActivated(partner_id=wish.partner_id, profile=profile, activated_at=wish.now),
    ]


def _reviewed(partner: Partner) -> Profile:
    _in(partner, "review")
    if partner.profile is None:
        raise WrongState("the partner has not applied", state=partner.status, allowed=["review"])
    return partner.profile


def decline(wish: DeclinePartner, partner: Partner) -> list[PartnerEvent]:
    if partner.status == "declined":
        return []
    _in(partner, "review")
    return [
        PartnerDeclined(
            partner_id=wish.partner_id,
            reason_code=wish.reason_code,
            declined_by=wish.declined_by,
            declined_at=wish.now,
        )
    ]


def withdraw(wish: WithdrawApplication, partner: Partner) -> list[PartnerEvent]:
    if partner.status == "withdrawn":
        return []
    _in(partner, "review")
    return [PartnerWithdrawn(partner_id=wish.partner_id, withdrawn_at=wish.now)]


def suspend(wish: SuspendPartner, partner: Partner) -> list[PartnerEvent]:
    _known("scopes", wish.scopes, SCOPES)
    if partner.status == "suspended" and (partner.scopes, partner.until) == (wish.scopes, wish.until):
        return []
    _in(partner, *LIVE)
    if wish.until is not None and wish.until <= wish.now:
        raise Invalid("a suspension ends in the future", errors=[_fault("until", "past", "name a later instant")])
    return [
        PartnerSuspended(
            partner_id=wish.partner_id,
            scopes=wish.scopes,
            reason_code=wish.reason_code,
            until=wish.until,
            suspended_by=wish.suspended_by,
            suspended_at=wish.now,
        )
    ]


def reinstate(wish: ReinstatePartner, partner: Partner) -> list[PartnerEvent]:
    outdated = wish.suspension_until is not None and wish.suspension_until != partner.until
    if partner.status == "active" or outdated:
        return []
    _in(partner, "suspended")
    return [PartnerReinstated(partner_id=wish.partner_id, reinstated_by=wish.reinstated_by, reinstated_at=wish.now)]


def change_profile(wish: ChangeProfile, partner: Partner) -> list[PartnerEvent]:
    _in(partner, *LIVE)
    _known("types", wish.profile.types, TYPES)
    if wish.profile == partner.profile:
        return []
    return [PartnerProfileChanged(partner_id=wish.partner_id, profile=wish.profile, changed_at=wish.now)]


def _in(partner: Partner, *states: str) -> None:
    if partner.status not in states:
        raise WrongState(f"the partner is {partner.status}", state=partner.status, allowed=list(states))


def _known(name: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    faults = [
        _fault(name, "unknown", f"{value!r} is none of {', '.join(known)}") for value in given if value not in known
    ]
    if faults or not given:
        raise Invalid(f"{name} names at least one of: {', '.join(known)}", errors=faults)


def _fault(path: str, code: str, message: str) -> dict[str, str]:
    return {"path": path, "code": code, "message": message}


# Evolve


def evolve(partner: Partner, happened: PartnerEvent) -> Partner:  # noqa: C901, PLR0911, PLR0912  a case an event
    match happened:
        case PartnerApplied():
            return Partner(status="review", profile=happened.profile)
        case PartnerScreened():
            return replace(partner, screening=happened.decision["outcome"])
        case PartnerApproved():
            return partner
        case PartnerActivated():
            return replace(partner, status="active")
        case PartnerDeclined():
            return replace(partner, status="declined")
        case PartnerWithdrawn():
            return replace(partner, status="withdrawn")
        case PartnerSuspended():
            return replace(partner, status="suspended", scopes=happened.scopes, until=happened.until)
        case PartnerReinstated():
            return replace(partner, status="active", scopes=(), until=None)
        case PartnerProfileChanged():
            return replace(partner, profile=happened.profile)
        case _:
            return _leaving_or_merging(partner, happened)


def _leaving_or_merging(partner: Partner, happened: OffboardingEvent | MergeEvent) -> Partner:
    return _merging(partner, happened) if isinstance(happened, MergeEvent) else _leaving(partner, happened)


def _merging(partner: Partner, happened: MergeEvent) -> Partner:
    known = replace(partner, merging=merging.evolve(partner.merging, happened))
    if isinstance(happened, PartnersUnmerged):
        until = partner.until if happened.scopes else None
        return replace(known, status=_as_before(happened), scopes=happened.scopes, until=until)
    return replace(known, status=MERGED) if isinstance(happened, PartnersMerged) else known


def _as_before(happened: PartnersUnmerged) -> str:
    return "suspended" if happened.scopes else "active"


def _leaving(partner: Partner, happened: OffboardingEvent) -> Partner:
    status = OFFBOARDED if isinstance(happened, PartnerOffboarded) else partner.status
    return replace(partner, status=status, offboarding=offboarding.evolve(partner.offboarding, happened))


Partners = Decider[Partner, PartnerEvent](kind="partner", initial=Partner(), evolve=evolve)


# Explain


def explain_screening(seen: Seen) -> Decision:
    """Why an application was screened as it was."""
    screened: PartnerScreened = seen.event
    return decision_from(screened.decision)


EXPLAIN = {PartnerScreened: explain_screening}

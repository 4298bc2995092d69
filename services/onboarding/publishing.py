"""Which of onboarding's events the other services hear, and in what words. Names of people never leave."""

from typing import Any

from chassis.event import PublicEvent, Seen
from contracts import onboarding as public
from contracts.shared import of_rulebook
from services.onboarding.domain import certificate, membership, merging, offboarding, partner, person, roster


def publish(seen: Seen) -> PublicEvent | None:
    """The public form of a recorded event, or None."""
    translate = TRANSLATIONS.get(type(seen.event))
    return translate(seen, seen.event) if translate else of_rulebook(seen)


def _profile(profile: partner.Profile) -> dict[str, Any]:
    return {
        "display_name": None if profile.natural_person else profile.legal_name,
        "country": profile.country,
        "domains": profile.domains,
        "types": profile.types,
        "locale": profile.locale,
        "zone": profile.zone,
    }


def _applied(seen: Seen, it: partner.PartnerApplied) -> PublicEvent:
    return public.PartnerApplied(
        partner_id=it.partner_id,
        country=it.profile.country,
        domains=it.profile.domains,
        types=it.profile.types,
        applied_at=it.applied_at,
    )


def _declined(seen: Seen, it: partner.PartnerDeclined) -> PublicEvent:
    return public.PartnerDeclined(partner_id=it.partner_id, reason_code=it.reason_code, declined_at=it.declined_at)


def _activated(seen: Seen, it: partner.PartnerActivated) -> PublicEvent:
    return public.PartnerActivated(
        partner_id=it.partner_id, revision=seen.version, activated_at=it.activated_at, **_profile(it.profile)
    )


def _changed(seen: Seen, it: partner.PartnerProfileChanged) -> PublicEvent:
    return public.PartnerProfileChanged(
        partner_id=it.partner_id, revision=seen.version, changed_at=it.changed_at, **_profile(it.profile)
    )


def _suspended(seen: Seen, it: partner.PartnerSuspended) -> PublicEvent:
    return public.PartnerSuspended(
        partner_id=it.partner_id,
        revision=seen.version,
        scopes=it.scopes,
        reason_code=it.reason_code,
        until=it.until,
        suspended_at=it.suspended_at,
    )


def _reinstated(seen: Seen, it: partner.PartnerReinstated) -> PublicEvent:
    return public.PartnerReinstated(partner_id=it.partner_id, revision=seen.version, reinstated_at=it.reinstated_at)


def _started(seen: Seen, it: membership.MembershipStarted) -> PublicEvent:
    return public.MembershipStarted(
        membership_id=it.membership_id,
        person_id=it.person_id,
        partner_id=it.partner_id,
        roles=it.roles,
        position=it.position,
        primary=it.primary,
        effective_on=it.effective_on,
    )


def _ended(seen: Seen, it: membership.MembershipEnded) -> PublicEvent:
    return public.MembershipEnded(
        membership_id=it.membership_id,
        person_id=it.person_id,
        partner_id=it.partner_id,
        roles=it.roles,
        effective_on=it.effective_on,
    )


def _erased(seen: Seen, it: person.PersonErased) -> PublicEvent:
    return public.PersonForgotten(person_id=it.person_id, forgotten_at=it.erased_at)


def _leaving(seen: Seen, it: offboarding.OffboardingStarted) -> PublicEvent:
    return public.OffboardingStarted(
        partner_id=it.partner_id,
        revision=seen.version,
        reason_code=it.reason_code,
        last_business_day=it.last_business_day,
        run_off_until=it.run_off_until,
        started_at=it.started_at,
    )


def _stays(seen: Seen, it: offboarding.OffboardingCancelled) -> PublicEvent:
    return public.OffboardingCancelled(partner_id=it.partner_id, revision=seen.version, cancelled_at=it.cancelled_at)


def _offboarded(seen: Seen, it: offboarding.PartnerOffboarded) -> PublicEvent:
    return public.PartnerOffboarded(partner_id=it.partner_id, revision=seen.version, offboarded_at=it.offboarded_at)


def _earned(seen: Seen, it: certificate.CertificationEarned) -> PublicEvent:
    return public.CertificationEarned(
        **_of_certificate(it),
        proof=it.proof.source,
        valid_from=it.valid_from,
        valid_until=it.valid_until,
        earned_at=it.earned_at,
    )


def _lapsed(seen: Seen, it: certificate.CertificationLapsed) -> PublicEvent:
    return public.CertificationLapsed(
        **_of_certificate(it),
        cause=it.cause,
        reason_code=it.reason_code,
        effective_on=it.effective_on,
        lapsed_at=it.lapsed_at,
    )


def _of_certificate(it: certificate.CertificationEarned | certificate.CertificationLapsed) -> dict[str, Any]:
    return {
        "certificate_id": it.certificate_id,
        "person_id": it.person_id,
        "partner_id": it.partner_id,
        "certification": it.certification,
        "version": it.rules.version,
    }


def _counted(seen: Seen, it: roster.CertifiedCountChanged) -> PublicEvent:
    return public.CertifiedCountChanged(
        partner_id=it.partner_id,
        certification=it.certification,
        effective_on=it.effective_on,
        count=it.count,
        person_ids=it.person_ids,
        rule_version=it.rule_version,
        changed_at=it.changed_at,
    )


def _merged(seen: Seen, it: merging.PartnersMerged) -> PublicEvent:
    return public.PartnersMerged(
        partner_id=it.partner_id,
        survivor_id=it.into,
        absorbed_id=it.partner_id,
        revision=seen.version,
        effective_on=it.effective_on,
        merged_at=it.merged_at,
    )


def _unmerged(seen: Seen, it: merging.PartnersUnmerged) -> PublicEvent:
    return public.PartnersUnmerged(
        partner_id=it.partner_id,
        survivor_id=it.survivor_id,
        absorbed_id=it.partner_id,
        revision=seen.version,
        scopes=it.scopes,
        unmerged_at=it.unmerged_at,
    )


TRANSLATIONS: dict[type[Any], Any] = {
    partner.PartnerApplied: _applied,
    partner.PartnerDeclined: _declined,
    partner.PartnerActivated: _activated,
    partner.PartnerProfileChanged: _changed,
    partner.PartnerSuspended: _suspended,
    partner.PartnerReinstated: _reinstated,
    offboarding.OffboardingStarted: _leaving,
    offboarding.OffboardingCancelled: _stays,
    offboarding.PartnerOffboarded: _offboarded,
    merging.PartnersMerged: _merged,
    merging.PartnersUnmerged: _unmerged,
    membership.MembershipStarted: _started,
    membership.MembershipEnded: _ended,
    person.PersonErased: _erased,
    certificate.CertificationEarned: _earned,
    certificate.CertificationLapsed: _lapsed,
    roster.CertifiedCountChanged: _counted,
}

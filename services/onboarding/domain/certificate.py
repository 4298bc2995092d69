"""A certificate: a person has shown what a certification asks for. It is renewed, lapses by the clock, or is revoked."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, assert_never

from chassis.decider import Decider, Invalid, Refused, WrongState
from chassis.event import Seen, as_stored, command, event, frozen, stable_id
from chassis.rulebook import Decision, FourEyes, Rulebook, Version, decision_from
from contracts.values import PartnerId, PersonId, RuleRef
from services.onboarding.domain.certification import (
    CERTIFICATION,
    OVER,
    Assessment,
    CertificationRules,
    begins_at,
    span_of,
    today,
)

ACTIVE, LAPSED, REVOKED = "active", "lapsed", "revoked"
PROPOSAL_DAYS = 14
SOURCES = ("trainer_sheet", "trusted_source")


@frozen
class Proof:
    """What shows it: a trainer's sheet or a trusted source, and under which reference it is found there."""

    source: str
    reference: str


def certificate_id(person_id: str, certification: str) -> str:
    """A person has one certificate of a certification."""
    return stable_id("certificate", person_id, certification)


# Events


@event("onboarding.CertificationEarned.v1")
class CertificationEarned:
    """Earned, or renewed, under a version of the certification's rules. `valid_until` is exclusive, `ends_at` its instant.

    `partner_id` is the partner that the person mainly acts for then, if any.
    """

    certificate_id: str
    person_id: PersonId
    partner_id: PartnerId | None = None
    certification: str
    rules: RuleRef
    proof: Proof
    decision: dict[str, Any]
    valid_from: date
    valid_until: date
    ends_at: datetime
    awarded_by: str
    earned_at: datetime


@event("onboarding.CertificationLapsed.v1")
class CertificationLapsed:
    """It holds no more from that day on: lapsed by the clock, or revoked by two people for a reason."""

    certificate_id: str
    person_id: PersonId
    partner_id: PartnerId | None = None
    certification: str
    rules: RuleRef
    cause: str
    reason_code: str | None = None
    effective_on: date
    proposed_by: str | None = None
    lapsed_at: datetime


@event("onboarding.RevocationProposed.v1")
class RevocationProposed:
    """One of the vendor wants it revoked; another one confirms it within 14 days."""

    certificate_id: str
    reason_code: str
    proposed_by: str
    proposed_at: datetime


CertificateEvent = CertificationEarned | CertificationLapsed | RevocationProposed

# Commands


@command("onboarding.AwardCertificate.v1")
class AwardCertificate:
    """Awards a certificate, or renews it."""

    certificate_id: str
    person_id: PersonId
    partner_id: PartnerId | None = None
    certification: str
    earned_on: date
    proof: Proof
    by: str
    now: datetime


@command("onboarding.RevokeCertificate.v1")
class RevokeCertificate:
    certificate_id: str
    partner_id: PartnerId | None = None
    reason_code: str
    by: str
    now: datetime


@command("onboarding.LapseCertificate.v1")
class LapseCertificate:
    """`valid_until` is the end for which the deadline was made: a renewed certificate has another one."""

    certificate_id: str
    partner_id: PartnerId | None = None
    valid_until: date
    now: datetime


# State


@frozen
class Certificate:
    """Status: none, active, lapsed or revoked."""

    status: str = "none"
    earned: CertificationEarned | None = None
    proposed: RevocationProposed | None = None


# Refusals


class NoDefinition(Refused):
    """This certification has no rules in force: publish a rulebook of the kind `certification` under its name."""

    slug = "no-definition"


# Decisions


def award(wish: AwardCertificate, certificate: Certificate, book: Rulebook) -> list[CertificateEvent]:
    """Awards or renews it. What adds no day to the certificate changes nothing."""
    version = book.in_force(wish.now)
    if version is None or version.kind != CERTIFICATION.name:
        raise NoDefinition(certification=wish.certification)
    rules = CERTIFICATION.read(version.body)
    _sound(wish, rules)
    held = certificate.earned.valid_until if certificate.earned and certificate.status == ACTIVE else None
    facts = Assessment(earned_on=wish.earned_on, held_until=held, today=today(wish.now, rules))
    decision = CERTIFICATION.evaluate(facts, rules)
    if decision.outcome == OVER:
        raise Invalid("such a certificate would be over by now", errors=[_fault("earned_on", "past")])
    if held is not None and span_of(decision)[1] <= held:
        return []
    return [_earned(wish, version, rules, decision)]


def _sound(wish: AwardCertificate, rules: CertificationRules) -> None:
    if wish.proof.source not in SOURCES:
        raise Invalid(f"a proof's source is one of {', '.join(SOURCES)}", errors=[_fault("proof.source", "unknown")])
    if wish.earned_on > today(wish.now, rules):
        raise Invalid("nothing is earned ahead of its day", errors=[_fault("earned_on", "future")])


def _fault(path: str, code: str) -> dict[str, str]:
    return {"path": path, "code": code, "message": "name another one"}


def _earned(
    wish: AwardCertificate, version: Version, rules: CertificationRules, decision: Decision
) -> CertificationEarned:
    valid_from, valid_until = span_of(decision)
    return CertificationEarned(
        certificate_id=wish.certificate_id,
        person_id=wish.person_id,
        partner_id=wish.partner_id,
        certification=wish.certification,
        rules=RuleRef(rulebook_id=version.rulebook_id, version=version.version, sha256=version.sha256),
        proof=wish.proof,
        decision=as_stored(decision),
        valid_from=valid_from,
        valid_until=valid_until,
        ends_at=begins_at(valid_until, rules),
        awarded_by=wish.by,
        earned_at=wish.now,
    )


def revoke(wish: RevokeCertificate, certificate: Certificate) -> list[CertificateEvent]:
    """The first proposes it, a second one confirms it for the same reason."""
    if certificate.status == REVOKED:
        return []
    earned = _active(certificate)
    proposed = certificate.proposed
    if proposed is None or proposed.reason_code != wish.reason_code or wish.now > _confirm_until(proposed):
        return [
            RevocationProposed(
                certificate_id=wish.certificate_id,
                reason_code=wish.reason_code,
                proposed_by=wish.by,
                proposed_at=wish.now,
            )
        ]
    if proposed.proposed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    ended = _ended(wish, earned, cause=REVOKED, on=wish.now.date())
    return [replace(ended, reason_code=wish.reason_code, proposed_by=proposed.proposed_by)]


def _confirm_until(proposed: RevocationProposed) -> datetime:
    return proposed.proposed_at + timedelta(days=PROPOSAL_DAYS)


def lapse(wish: LapseCertificate, certificate: Certificate) -> list[CertificateEvent]:
    """Ends the certificate whose time is over; one that was renewed or ended since is left alone."""
    earned = certificate.earned
    if certificate.status != ACTIVE or earned is None or earned.valid_until != wish.valid_until:
        return []
    return [_ended(wish, earned, cause=LAPSED, on=wish.valid_until)]


def _active(certificate: Certificate) -> CertificationEarned:
    if certificate.status != ACTIVE or certificate.earned is None:
        raise WrongState(f"the certificate is {certificate.status}", state=certificate.status, allowed=[ACTIVE])
    return certificate.earned


def _ended(
    wish: RevokeCertificate | LapseCertificate, earned: CertificationEarned, *, cause: str, on: date
) -> CertificationLapsed:
    return CertificationLapsed(
        certificate_id=earned.certificate_id,
        person_id=earned.person_id,
        partner_id=wish.partner_id,
        certification=earned.certification,
        rules=earned.rules,
        cause=cause,
        effective_on=on,
        lapsed_at=wish.now,
    )


# Evolve


def evolve(certificate: Certificate, happened: CertificateEvent) -> Certificate:
    match happened:
        case CertificationEarned():
            return Certificate(status=ACTIVE, earned=happened)
        case CertificationLapsed(cause=cause):
            return replace(certificate, status=cause, proposed=None)
        case RevocationProposed():
            return replace(certificate, proposed=happened)
        case _:
            assert_never(happened)


Certificates = Decider[Certificate, CertificateEvent](kind="certificate", initial=Certificate(), evolve=evolve)


# Explain


def explain_certificate(seen: Seen) -> Decision:
    """Why a certificate holds from then until then."""
    earned: CertificationEarned = seen.event
    return decision_from(earned.decision)

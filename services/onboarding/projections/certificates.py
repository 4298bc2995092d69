"""Who holds which certificate, and how many of a partner's people do?"""

from datetime import date
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from services.onboarding.domain.certificate import CertificationEarned, CertificationLapsed, Proof, RevocationProposed
from services.onboarding.domain.roster import CertifiedCountChanged


class ProposedRevocation(TypedDict):
    """Why one of the vendor wants to take it away; a second one has to confirm."""

    reason_code: str
    proposed_by: str


class _Certificate(TypedDict):
    certificate_id: str
    person_id: str
    partner_id: str | None
    certification: str
    status: str
    proof: Annotated[dict[str, Any], Proof]
    valid_from: Annotated[str, date]
    valid_until: Annotated[str, date]
    reason_code: str | None
    event_id: str
    version: int


class CertificateDocument(_Certificate):
    proposed: ProposedRevocation | None


class ShownCertificate(_Certificate):
    """What a person has earned, with its name; that the vendor thinks of taking it away, the vendor alone reads."""

    name: Sealed | None
    proposed: NotRequired[ProposedRevocation | None]


class _Roster(TypedDict):
    partner_id: str
    certification: str
    count: int
    effective_on: str
    rule_version: int


class RosterDocument(_Roster):
    person_ids: list[str]


class ShownRoster(_Roster):
    """How many people of a partner hold a certification; who they are, its owner and the vendor read."""

    person_ids: NotRequired[list[str]]


def evolve_certificate(document: CertificateDocument | None, seen: Seen) -> CertificateDocument | None:
    happened = seen.event
    if isinstance(happened, CertificationEarned):
        return _earned(seen, happened)
    if document is None:
        return None
    if isinstance(happened, RevocationProposed):
        proposed: ProposedRevocation = {"reason_code": happened.reason_code, "proposed_by": happened.proposed_by}
        return {**document, "proposed": proposed, "version": seen.version}
    return {
        **document,
        "status": happened.cause,
        "valid_until": iso(happened.effective_on),
        "reason_code": happened.reason_code,
        "proposed": None,
        "version": seen.version,
    }


def _earned(seen: Seen, it: CertificationEarned) -> CertificateDocument:
    return {
        "certificate_id": it.certificate_id,
        "person_id": it.person_id,
        "partner_id": it.partner_id,
        "certification": it.certification,
        "status": "active",
        "proof": plain(it.proof),
        "valid_from": iso(it.valid_from),
        "valid_until": iso(it.valid_until),
        "reason_code": None,
        "proposed": None,
        "event_id": seen.id,
        "version": seen.version,
    }


CERTIFICATES = Projection(
    name="certificates",
    version=1,
    keys=dict.fromkeys(
        (CertificationEarned, CertificationLapsed, RevocationProposed), lambda seen: seen.event.certificate_id
    ),
    evolve=evolve_certificate,
    indexes=("partner_id", "person_id", "certification", "status", "valid_until"),
)


def evolve_roster(_: RosterDocument | None, seen: Seen) -> RosterDocument:
    it: CertifiedCountChanged = seen.event
    return {
        "partner_id": it.partner_id,
        "certification": it.certification,
        "count": it.count,
        "person_ids": list(it.person_ids),
        "effective_on": iso(it.effective_on),
        "rule_version": it.rule_version,
    }


ROSTERS = Projection(
    name="rosters",
    version=1,
    keys={CertifiedCountChanged: lambda seen: f"{seen.event.partner_id}.{seen.event.certification}"},
    evolve=evolve_roster,
    indexes=("partner_id", "certification"),
)

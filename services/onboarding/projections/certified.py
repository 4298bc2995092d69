"""Which certificates end by themselves, and on which rosters does a person count by now?"""

from datetime import date, datetime
from typing import Any, TypedDict

from chassis.application import Application, Prepared
from chassis.deadlines import Deadline
from chassis.event import Seen, iso
from chassis.execution import Peek
from contracts.values import PartnerId, PersonId
from services.onboarding.domain.certificate import CertificationEarned, CertificationLapsed, LapseCertificate
from services.onboarding.domain.membership import MembershipEnded, MembershipStarted
from services.onboarding.domain.roster import RecordCertified, Seat
from services.onboarding.projections.people import main_partner

# The ends of certificates


def evolve_end(_: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    it = seen.event
    if not isinstance(it, CertificationEarned):
        return None
    named = {"certificate_id": it.certificate_id, "person_id": it.person_id}
    return {"due_at": iso(it.ends_at), "valid_until": iso(it.valid_until), **named}


def lapse(document: dict[str, Any], now: datetime) -> Prepared:
    """The command of a certificate whose end has passed."""

    async def make(app: Application, tenant: str, _: Peek) -> LapseCertificate:
        return LapseCertificate(
            certificate_id=document["certificate_id"],
            partner_id=await main_partner(app.read, tenant, document["person_id"]),
            valid_until=date.fromisoformat(document["valid_until"]),
            now=now,
        )

    return Prepared(make)


CERTIFICATE_ENDS = Deadline(
    name="certificate_ends",
    version=1,
    keys=dict.fromkeys((CertificationEarned, CertificationLapsed), lambda seen: seen.event.certificate_id),
    evolve=evolve_end,
    issue=lapse,
)

# The rosters


class Held(TypedDict):
    """Whether it counts, since which day it does or does not, and under which rules."""

    counts: bool
    on: str
    rule_version: int


class StandingDocument(TypedDict):
    """The partners that a person mainly acts or acted for, and what it has earned."""

    person_id: str
    partners: dict[str, Held]
    earned: dict[str, Held]
    due_at: str
    turn: str


def evolve_standing(document: StandingDocument | None, seen: Seen) -> StandingDocument | None:
    it = seen.event
    before = document or _nothing(it.person_id)
    again: StandingDocument = {**before, "due_at": iso(seen.recorded_at), "turn": seen.id}
    if isinstance(it, MembershipStarted | MembershipEnded):
        counts = isinstance(it, MembershipStarted) and it.primary
        if not counts and it.partner_id not in before["partners"]:
            return document
        held: Held = {"counts": counts, "on": iso(it.effective_on), "rule_version": 0}
        return {**again, "partners": {**before["partners"], it.partner_id: held}}
    return {**again, "earned": {**before["earned"], it.certification: _earned(it)}}


def _nothing(person_id: str) -> StandingDocument:
    return {"person_id": person_id, "partners": {}, "earned": {}, "due_at": "", "turn": ""}


def _earned(it: CertificationEarned | CertificationLapsed) -> Held:
    counts = isinstance(it, CertificationEarned)
    on = it.valid_from if isinstance(it, CertificationEarned) else it.effective_on
    return {"counts": counts, "on": iso(on), "rule_version": it.rules.version}


def record(document: StandingDocument, now: datetime) -> RecordCertified | None:
    """Where the person counts by now; None where it has earned nothing, or acts for nobody."""
    pairs = [(p, c) for p in sorted(document["partners"]) for c in sorted(document["earned"])]
    if not pairs:
        return None
    seats = tuple(_seat(document, partner_id, certification) for partner_id, certification in pairs)
    return RecordCertified(person_id=PersonId(document["person_id"]), seats=seats, now=now)


def _seat(document: StandingDocument, partner_id: str, certification: str) -> Seat:
    """It counts while both hold: from the later beginning on, until the earlier end."""
    here, earned = document["partners"][partner_id], document["earned"][certification]
    counts = here["counts"] and earned["counts"]
    ended = [one["on"] for one in (here, earned) if not one["counts"]]
    return Seat(
        partner_id=PartnerId(partner_id),
        certification=certification,
        counts=counts,
        effective_on=date.fromisoformat(max(here["on"], earned["on"]) if counts else min(ended)),
        rule_version=earned["rule_version"],
    )


ROSTER_CHANGES = Deadline(
    name="roster_changes",
    version=1,
    keys=dict.fromkeys(
        (MembershipStarted, MembershipEnded, CertificationEarned, CertificationLapsed),
        lambda seen: seen.event.person_id,
    ),
    evolve=evolve_standing,
    issue=record,
)

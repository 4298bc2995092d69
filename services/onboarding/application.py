"""What onboarding can do: each command and the streams it touches."""

from datetime import date
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import iso
from chassis.execution import Handles
from chassis.rulebook import Kind, Rules
from services.onboarding.domain import certificate, membership, merging, offboarding, partner, person, roster
from services.onboarding.domain.certificate import Certificates
from services.onboarding.domain.certification import CERTIFICATION
from services.onboarding.domain.membership import Memberships, Teams
from services.onboarding.domain.partner import Partners
from services.onboarding.domain.person import People
from services.onboarding.domain.roster import Rosters
from services.onboarding.domain.screening import SCREENING

KINDS: dict[str, Kind[Any, Any]] = {SCREENING.name: SCREENING, CERTIFICATION.name: CERTIFICATION}
SCREENING_BOOK = "screening"


class PartnerAnswer(TypedDict):
    """Where the partner stands now: review, active, suspended, declined, withdrawn, merged or offboarded."""

    partner_id: str
    status: str


class OffboardingAnswer(TypedDict):
    """Whether the offboarding is confirmed, and until when what is left runs off then."""

    partner_id: str
    confirmed: bool
    run_off_until: NotRequired[Annotated[str, date]]


class PartnerMergeAnswer(TypedDict):
    """The partner that is to be one with `into`: `merged` once a second administrator has confirmed it."""

    partner_id: str
    into: str
    status: str


class PersonAnswer(TypedDict):
    """The person by its id: known or erased."""

    person_id: str
    status: str


class MembershipAnswer(TypedDict):
    """Where the membership stands now: invited, active or ended."""

    membership_id: str
    partner_id: str
    status: str


class CertificateAnswer(TypedDict):
    """Where the certificate stands, and until when it counts; `proposed`: one person wants to take it away."""

    certificate_id: str
    status: str
    valid_until: Annotated[str, date] | None
    proposed: bool


def _partner(wish: Any, state: partner.Partner) -> PartnerAnswer:
    return {"partner_id": wish.partner_id, "status": state.status}


def _offboarding(wish: Any, state: partner.Partner) -> OffboardingAnswer:
    started = state.offboarding.started
    said: OffboardingAnswer = {"partner_id": wish.partner_id, "confirmed": started is not None}
    return {**said, "run_off_until": iso(started.run_off_until)} if started else said


def _merge(wish: Any, absorbed: partner.Partner, _: partner.Partner) -> PartnerMergeAnswer:
    return {"partner_id": wish.partner_id, "into": wish.into, "status": absorbed.status}


def _person(wish: Any, state: person.Person) -> PersonAnswer:
    return {"person_id": wish.person_id, "status": state.status}


def _membership(wish: Any, state: membership.Membership, *_: Any) -> MembershipAnswer:
    return {"membership_id": wish.membership_id, "partner_id": wish.partner_id, "status": state.status}


def _certificate(wish: Any, state: certificate.Certificate) -> CertificateAnswer:
    until = iso(state.earned.valid_until) if state.earned else None
    return {
        "certificate_id": wish.certificate_id,
        "status": state.status,
        "valid_until": until,
        "proposed": state.proposed is not None,
    }


def _certificate_stream(wish: Any) -> tuple[Any, ...]:
    return (Certificates.at(wish.certificate_id),)


def _roster_streams(wish: roster.RecordCertified) -> tuple[Any, ...]:
    return (tuple(Rosters.at(seat.roster) for seat in wish.seats),)


def _partner_stream(wish: Any) -> tuple[Any, ...]:
    return (Partners.at(wish.partner_id),)


def _both_streams(wish: Any) -> tuple[Any, ...]:
    return Partners.at(wish.partner_id), Partners.at(wish.into)


def _person_stream(wish: Any) -> tuple[Any, ...]:
    return (People.at(wish.person_id),)


def _team_streams(wish: Any) -> tuple[Any, ...]:
    return Memberships.at(wish.membership_id), Teams.at(wish.partner_id)


def _screening_rules(wish: partner.Apply) -> tuple[Any, ...]:
    return (Rules.at(wish.rulebook_id),)


HANDLES = (
    Handles(partner.Apply, partner.apply, _partner_stream, reads=_screening_rules, answer=_partner),
    Handles(partner.ApprovePartner, partner.approve, _partner_stream, answer=_partner),
    Handles(partner.DeclinePartner, partner.decline, _partner_stream, answer=_partner),
    Handles(partner.WithdrawApplication, partner.withdraw, _partner_stream, answer=_partner),
    Handles(partner.SuspendPartner, partner.suspend, _partner_stream, answer=_partner),
    Handles(partner.ReinstatePartner, partner.reinstate, _partner_stream, answer=_partner),
    Handles(partner.ChangeProfile, partner.change_profile, _partner_stream, answer=_partner),
    Handles(offboarding.StartOffboarding, offboarding.start_offboarding, _partner_stream, answer=_offboarding),
    Handles(offboarding.CancelOffboarding, offboarding.cancel_offboarding, _partner_stream, answer=_offboarding),
    Handles(offboarding.SettleOffboarding, offboarding.settle_offboarding, _partner_stream),
    *(
        Handles(offboarding.SettleByHand, decision, _partner_stream, answer=_partner, evaluator=evaluator)
        for evaluator, decision in ((1, offboarding.settle_by_hand_whenever), (2, offboarding.settle_by_hand))
    ),
    Handles(merging.MergePartners, merging.merge_partners, _both_streams, answer=_merge),
    Handles(merging.UndoMerge, merging.undo_merge, _both_streams, answer=_merge),
    Handles(person.RegisterPerson, person.register, _person_stream, answer=_person),
    Handles(person.ErasePerson, person.erase, _person_stream, answer=_person),
    Handles(
        membership.InviteMember,
        membership.invite,
        lambda wish: (Memberships.at(wish.membership_id),),
        answer=_membership,
    ),
    Handles(membership.JoinPartner, membership.join, _team_streams, answer=_membership),
    Handles(membership.CloseTeam, membership.close_team, lambda wish: (Teams.at(wish.partner_id),)),
    Handles(membership.EndMembership, membership.end, _team_streams, answer=_membership),
    Handles(
        certificate.AwardCertificate,
        certificate.award,
        _certificate_stream,
        reads=lambda wish: (Rules.at(wish.certification),),
        answer=_certificate,
    ),
    Handles(certificate.RevokeCertificate, certificate.revoke, _certificate_stream, answer=_certificate),
    Handles(certificate.LapseCertificate, certificate.lapse, _certificate_stream),
    Handles(roster.RecordCertified, roster.record_certified, _roster_streams),
)

"""What onboarding tells: who the partners are, what state they are in, and which people belong to them."""

from dataclasses import field
from datetime import date, datetime

from chassis.event import PublicEvent, public_event
from contracts.values import AuthorisationNeed, PartnerId, PersonId


@public_event("entente.onboarding.PartnerApplied.v1", audience="vendor")
class PartnerApplied(PublicEvent):
    partner_id: PartnerId
    country: str
    domains: tuple[str, ...]
    types: tuple[str, ...]
    applied_at: datetime


@public_event("entente.onboarding.PartnerDeclined.v1", audience="vendor")
class PartnerDeclined(PublicEvent):
    partner_id: PartnerId
    reason_code: str
    declined_at: datetime


@public_event("entente.onboarding.PartnerActivated.v1", audience="both")
class PartnerActivated(PublicEvent):
    """The partner may do business. `revision` is its stream's version; `display_name` is absent for a natural person."""

    partner_id: PartnerId
    revision: int
    display_name: str | None = None
    country: str
    domains: tuple[str, ...]
    types: tuple[str, ...]
    links: tuple[dict[str, str], ...] = ()
    locale: str
    zone: str
    activated_at: datetime


@public_event("entente.onboarding.PartnerProfileChanged.v1", audience="both")
class PartnerProfileChanged(PublicEvent):
    partner_id: PartnerId
    revision: int
    display_name: str | None = None
    country: str
    domains: tuple[str, ...]
    types: tuple[str, ...]
    links: tuple[dict[str, str], ...] = ()
    locale: str
    zone: str
    changed_at: datetime


@public_event("entente.onboarding.PartnerSuspended.v1", audience="both")
class PartnerSuspended(PublicEvent):
    """Scopes: new_business, access, content, payouts. Those named are closed until reinstated."""

    partner_id: PartnerId
    revision: int
    scopes: tuple[str, ...]
    reason_code: str
    until: datetime | None = None
    suspended_at: datetime


@public_event("entente.onboarding.PartnerReinstated.v1", audience="both")
class PartnerReinstated(PublicEvent):
    partner_id: PartnerId
    revision: int
    reinstated_at: datetime


@public_event("entente.onboarding.OffboardingStarted.v1", audience="both")
class OffboardingStarted(PublicEvent):
    """The partner leaves: nothing is earned after `last_business_day`, what is left is settled after `run_off_until`."""

    partner_id: PartnerId
    revision: int
    reason_code: str
    last_business_day: date
    run_off_until: date
    started_at: datetime


@public_event("entente.onboarding.OffboardingCancelled.v1", audience="both")
class OffboardingCancelled(PublicEvent):
    """The partner stays after all."""

    partner_id: PartnerId
    revision: int
    cancelled_at: datetime


@public_event("entente.onboarding.PartnerOffboarded.v1", audience="both")
class PartnerOffboarded(PublicEvent):
    """Nothing is owed any more: the partnership has ended."""

    partner_id: PartnerId
    revision: int
    offboarded_at: datetime


@public_event("entente.onboarding.PartnersMerged.v1", audience="both")
class PartnersMerged(PublicEvent):
    """From `effective_on` on the absorbed partner, whose event it is, is one with the survivor."""

    partner_id: PartnerId
    survivor_id: PartnerId
    absorbed_id: PartnerId
    revision: int
    effective_on: date
    merged_at: datetime

    def partners(self) -> tuple[str, ...]:
        return self.absorbed_id, self.survivor_id


@public_event("entente.onboarding.PartnersUnmerged.v1", audience="both")
class PartnersUnmerged(PublicEvent):
    """The two are two again. `scopes` are what is closed of the one that was absorbed, as before."""

    partner_id: PartnerId
    survivor_id: PartnerId
    absorbed_id: PartnerId
    revision: int
    scopes: tuple[str, ...] = ()
    unmerged_at: datetime

    def partners(self) -> tuple[str, ...]:
        return self.absorbed_id, self.survivor_id


@public_event("entente.onboarding.MembershipStarted.v1", audience="both")
class MembershipStarted(PublicEvent):
    """A person acts for a partner. Roles are the partner roles of the gateway: owner, seller, marketer, finance, learner."""

    membership_id: str
    person_id: PersonId
    partner_id: PartnerId
    roles: tuple[str, ...]
    position: str | None = None
    primary: bool = True
    effective_on: date


@public_event("entente.onboarding.MembershipEnded.v1", audience="both")
class MembershipEnded(PublicEvent):
    membership_id: str
    person_id: PersonId
    partner_id: PartnerId
    roles: tuple[str, ...] = field(default=())
    effective_on: date


@public_event("entente.onboarding.PersonForgotten.v1", audience="vendor")
class PersonForgotten(PublicEvent):
    person_id: PersonId
    forgotten_at: datetime


@public_event("entente.onboarding.CertificationEarned.v1", audience="both")
class CertificationEarned(PublicEvent):
    """A person holds a certification from `valid_from` until `valid_until`, exclusive. Renewed, it is told again.

    `proof` names what shows it: a trainer_sheet or a trusted_source. `partner_id` is whom the person mainly acts for.
    """

    certificate_id: str
    person_id: PersonId
    partner_id: PartnerId | None = None
    certification: str
    version: int
    proof: str
    valid_from: date
    valid_until: date
    earned_at: datetime


@public_event("entente.onboarding.CertificationLapsed.v1", audience="both")
class CertificationLapsed(PublicEvent):
    """From `effective_on` on it holds no more: its time is over (lapsed), or it was revoked for a reason."""

    certificate_id: str
    person_id: PersonId
    partner_id: PartnerId | None = None
    certification: str
    version: int
    cause: str
    reason_code: str | None = None
    effective_on: date
    lapsed_at: datetime


@public_event("entente.onboarding.CertifiedCountChanged.v1", audience="both")
class CertifiedCountChanged(PublicEvent):
    """How many people of a partner hold a certification from `effective_on` on: those who mainly act for it."""

    partner_id: PartnerId
    certification: str
    effective_on: date
    count: int
    person_ids: tuple[PersonId, ...]
    rule_version: int
    changed_at: datetime


@public_event("entente.onboarding.AuthorisationGranted.v1", audience="both")
class AuthorisationGranted(PublicEvent):
    """A partner may sell these products in these territories and roles, from a day on up to and without another one.

    Granted anew after a pause, it is told again. `exclusive`: nobody else may, there. `needs` must stay met.
    """

    authorisation_id: str
    partner_id: PartnerId
    products: tuple[str, ...]
    territories: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    exclusive: bool = False
    effective_from: date
    effective_until: date | None = None
    needs: tuple[AuthorisationNeed, ...] = ()
    granted_at: datetime


@public_event("entente.onboarding.AuthorisationEnded.v1", audience="both")
class AuthorisationEnded(PublicEvent):
    """From `effective_on` on it holds no more: it ended, or it is paused until what it needs is met. Cause: ended, paused."""

    authorisation_id: str
    partner_id: PartnerId
    cause: str
    effective_on: date
    ended_at: datetime


@public_event("entente.onboarding.AgreementSigned.v1", audience="both")
class AgreementSigned(PublicEvent):
    """Everybody has signed a version of an agreement; it binds from a day on up to and without another one.

    Kind: nda, partner, distribution, referral, data_processing, funds, terms. Cause: first, amendment, renewal.
    """

    agreement_id: str
    partner_id: PartnerId
    kind: str
    version: int
    cause: str
    document_hash: str
    effective_from: date
    effective_until: date | None = None
    signed_on: date
    signed_at: datetime


@public_event("entente.onboarding.AgreementLapsed.v1", audience="both")
class AgreementLapsed(PublicEvent):
    """From `effective_on` on no version of the agreement binds: its time is over, notice was given, or it was terminated.

    `version`, its `cause` and hash are those of the last one that bound. A termination has a `reason_code`.
    """

    agreement_id: str
    partner_id: PartnerId
    kind: str
    version: int
    cause: str
    document_hash: str
    effective_on: date
    reason_code: str | None = None
    lapsed_at: datetime

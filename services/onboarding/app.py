"""Onboarding put together: its settings and `build`."""

from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from services.onboarding.access import ACCESS
from services.onboarding.api import certificates, partners, people
from services.onboarding.application import HANDLES, KINDS
from services.onboarding.domain.certificate import CertificationEarned, explain_certificate
from services.onboarding.domain.partner import EXPLAIN
from services.onboarding.domain.person import PersonErased
from services.onboarding.projections.certificates import CERTIFICATES, ROSTERS
from services.onboarding.projections.certified import CERTIFICATE_ENDS, ROSTER_CHANGES
from services.onboarding.projections.departures import DEPARTURES
from services.onboarding.projections.partners import PARTNERS
from services.onboarding.projections.people import MEMBERSHIPS, PEOPLE
from services.onboarding.projections.suspensions import SUSPENSION_ENDS
from services.onboarding.publishing import publish
from services.onboarding.reactions import REACTIONS


class Settings(ServiceSettings):
    """Onboarding needs no settings of its own."""


BLUEPRINT = Blueprint(
    declared_in=__name__,
    name="onboarding",
    handles=HANDLES,
    access=ACCESS,
    routers=(partners.router, people.router, certificates.router),
    publish=publish,
    projections=(PARTNERS, PEOPLE, MEMBERSHIPS, CERTIFICATES, ROSTERS),
    reactions=REACTIONS,
    deadlines=(SUSPENSION_ENDS, CERTIFICATE_ENDS, ROSTER_CHANGES, DEPARTURES),
    kinds=KINDS,
    explain={**EXPLAIN, CertificationEarned: explain_certificate},
    forgets={PersonErased: lambda erased: erased.person_id},
)


def build(settings: Settings, world: World) -> Service:
    """The service on the stores and transport that the settings name."""
    return assemble(BLUEPRINT, settings, world)

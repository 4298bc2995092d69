"""Onboarding put together: its settings and `build`."""

from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from services.onboarding.access import ACCESS
from services.onboarding.api import partners, people
from services.onboarding.application import HANDLES, KINDS
from services.onboarding.domain.partner import EXPLAIN
from services.onboarding.domain.person import PersonErased
from services.onboarding.projections.partners import PARTNERS
from services.onboarding.projections.people import MEMBERSHIPS, PEOPLE
from services.onboarding.projections.suspensions import SUSPENSION_ENDS
from services.onboarding.publishing import publish
from services.onboarding.reactions import REACTIONS


class Settings(ServiceSettings):
    """Onboarding needs no settings of its own."""


BLUEPRINT = Blueprint(
    name="onboarding",
    handles=HANDLES,
    access=ACCESS,
    routers=(partners.router, people.router),
    publish=publish,
    projections=(PARTNERS, PEOPLE, MEMBERSHIPS),
    reactions=REACTIONS,
    deadlines=(SUSPENSION_ENDS,),
    kinds=KINDS,
    explain=EXPLAIN,
    forgets={PersonErased: lambda erased: erased.person_id},
)


def build(settings: Settings, world: World) -> Service:
    """The service on the stores and transport that the settings name."""
    return assemble(BLUEPRINT, settings, world)

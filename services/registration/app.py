"""Registration put together: its settings and `build`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import Field

from chassis.bulk_work import Bulk
from chassis.holidays import written_out_in
from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from contracts.business_time import HOLIDAYS_MAX
from services.registration.access import ACCESS
from services.registration.adapters.account_index import FeedIndex
from services.registration.adapters.customers import Libraries
from services.registration.adapters.mail_parser import LabelledLines
from services.registration.adapters.past_index import PastIndex
from services.registration.api import (
    accounts,
    asking,
    batches,
    bodies,
    deals,
    disputes,
    drafts,
    exclusions,
    figures,
    forms,
    invitations,
    lead_bodies,
    leads,
    machines,
    mails,
    notes,
    people,
    programmes,
    proving,
    replacing,
    reviews,
)
from services.registration.application import HANDLES, KINDS
from services.registration.application.looking_again import LookUps
from services.registration.application.ports import Ports
from services.registration.domain import lead_rules, rules
from services.registration.domain.disclosure import disclosed
from services.registration.domain.explaining import BRIEFLY, EXPLAIN, TALLY
from services.registration.domain.forgotten import ContactForgotten, DealForgotten, subject_of
from services.registration.domain.kept_mail import MailForgotten
from services.registration.domain.lead import LeadForgotten
from services.registration.domain.routing import LEAD_RULES
from services.registration.domain.screening import DEAL_RULES
from services.registration.projections.accounts import ACCOUNTS
from services.registration.projections.attempts import ATTEMPTS
from services.registration.projections.conflicts import CONFLICTS
from services.registration.projections.contacts import CONTACTS
from services.registration.projections.deal import DEAL
from services.registration.projections.deal_board import DEAL_BOARD
from services.registration.projections.deal_notes import DEAL_NOTES
from services.registration.projections.disputes import DISPUTES
from services.registration.projections.drafts import DRAFTS
from services.registration.projections.exclusions import EXCLUSIONS
from services.registration.projections.incumbents import INCUMBENTS
from services.registration.projections.invitations import INVITATIONS
from services.registration.projections.lead_figures import LEAD_FIGURES
from services.registration.projections.lead_takers import LEAD_TAKERS
from services.registration.projections.leads import LEADS
from services.registration.projections.mails import MAILS
from services.registration.projections.partner_aliases import PARTNER_ALIASES
from services.registration.projections.partner_sizes import PARTNER_SIZES
from services.registration.projections.review_times import REVIEW_TIMES
from services.registration.publishing import publish
from services.registration.reactions import DEADLINES, REACTIONS


class Settings(ServiceSettings):
    """`mail_bytes_max` is the largest mail that a deal may come in by.

    So many look for similar customers at once, each in its turn, and so many at most look or wait for it: beyond them 503.
    """

    mail_bytes_max: int = Field(default=256 << 10, ge=1 << 10)
    lookups_at_once: int = Field(default=4, ge=1)
    lookups_waiting_max: int = Field(default=256, ge=1)


WRITTEN: dict[str, Mapping[str, Any]] = {DEAL_RULES.name: rules.WRITTEN_ANEW, LEAD_RULES.name: lead_rules.WRITTEN_ANEW}
HOLIDAYS = written_out_in("hours", HOLIDAYS_MAX)


def _written_out(unless_said: Mapping[str, Any], body: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The rules as they are kept: with what they say where their author says nothing, and the dates of holidays.

    Rules of before say less, and are followed as they were.
    """
    return HOLIDAYS({**unless_said, **body}, now)


BLUEPRINT = Blueprint(
    declared_in=__name__,
    name="registration",
    handles=HANDLES,
    access=ACCESS,
    routers=(
        asking.router,
        drafts.router,
        deals.router,
        replacing.router,
        proving.router,
        reviews.router,
        notes.router,
        mails.router,
        people.router,
        accounts.router,
        exclusions.router,
        disputes.router,
        invitations.router,
        leads.router,
        forms.router,
        figures.router,
        machines.router,
        programmes.router,
    ),
    publish=publish,
    projections=(
        *(DEAL_BOARD, DEAL, DRAFTS, DEAL_NOTES, ATTEMPTS, CONFLICTS, ACCOUNTS, EXCLUSIONS, DISPUTES),
        *(INVITATIONS, MAILS, LEADS, LEAD_TAKERS, LEAD_FIGURES, REVIEW_TIMES, PARTNER_SIZES),
        *(PARTNER_ALIASES, INCUMBENTS, CONTACTS),
    ),
    reactions=REACTIONS,
    deadlines=DEADLINES,
    kinds={name: replace(kind, complete=partial(_written_out, WRITTEN[name])) for name, kind in KINDS.items()},
    explain=EXPLAIN,
    briefly=BRIEFLY,
    disclose=disclosed,
    tally=TALLY,
    afresh={DEAL_RULES.name: lambda: LookUps(PastIndex())},
    bulk=Bulk(at="/batches", kinds=(batches.DEALS,)),
    forgets={
        LeadForgotten: lambda forgotten: lead_bodies.subject_of(forgotten.lead_id),
        ContactForgotten: lambda forgotten: subject_of(forgotten.contact_id),
        DealForgotten: lambda forgotten: bodies.subject_of(forgotten.registration_id),
        MailForgotten: lambda forgotten: mails.subject_of(forgotten.mail_id),
    },
)


def build(settings: Settings, world: World) -> Service:
    """The service on the stores and transport that the settings name, with the matching libraries."""
    service = assemble(BLUEPRINT, settings, world)
    index = FeedIndex(
        service.store, settings.lookups_at_once, settings.lookups_waiting_max, opens=service.application.keys.open
    )
    service.application.ports = Ports(
        customers=Libraries(), accounts=index, mails=LabelledLines(), mail_bytes_max=settings.mail_bytes_max
    )
    return service

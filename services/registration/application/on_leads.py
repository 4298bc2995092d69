"""Commands on a lead: what is looked up before they are decided."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import field
from datetime import date, datetime
from typing import Any

from chassis.event import frozen
from chassis.execution import Peek
from chassis.rulebook import Rules
from contracts.values import PartnerId
from services.registration.application.on_deals import Make
from services.registration.application.streams import routing_of
from services.registration.domain.account_key import DOMAIN, AccountKeys, Key
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.incumbent import sold_before
from services.registration.domain.lead import Lead, Leads
from services.registration.domain.lead_commands import AssignLead
from services.registration.domain.routing import LEAD_RULES, Taker


@frozen
class AskedOfLead:
    """A wish on a lead. `allow(lead)` raises NotFound for who may not know of it."""

    lead_id: str
    by: str
    now: datetime
    allow: Callable[[Lead], None] = field(default=lambda lead: None)


def on_lead(asked: AskedOfLead, make: Callable[[Lead, dict[str, Any]], Any]) -> Make:
    """Prepares a command on a lead: `make(lead, fields)` gets the lead and the fields of `OnLead`."""

    async def prepare(peek: Peek) -> Any:
        lead: Lead = await peek(Leads.at(asked.lead_id))
        rulebook = routing_of(lead.first.programme)
        asked.allow(lead)
        return make(lead, {"lead_id": asked.lead_id, "rulebook": rulebook, "by": asked.by, "now": asked.now})

    return prepare


Takers = Callable[[str, Iterable[str]], Awaitable[tuple[Taker, ...]]]
"""Finds who could take a lead of a country; with partners named, only those."""


def assigning(asked: AskedOfLead, takers: Takers, named: PartnerId | None = None, *, by_hand: bool = False) -> Make:
    """Prepares the next offer of a lead: who could take it, and who has sold to its customer before."""

    async def prepare(peek: Peek) -> AssignLead:
        lead: Lead = await peek(Leads.at(asked.lead_id))
        company, rulebook = lead.first.enquiry.company, routing_of(lead.first.programme)
        version = (await peek(Rules.at(rulebook))).version(lead.first.rules.version)
        rules = LEAD_RULES.read(version.body) if version else None
        listed = (named,) if named else tuple(one.partner_id for one in rules.partners) if rules else ()
        country = company.country if rules and rules.same_country and not named else ""
        asks = rules is not None and rules.incumbent_first and company.domain
        incumbents = await _incumbents(peek, company.domain, asked.now.date()) if asks and company.domain else ()
        found = await takers(country, listed)
        return AssignLead(
            lead_id=asked.lead_id,
            rulebook=rulebook,
            takers=(*found, *await _besides(found, incumbents, takers, named)),
            incumbents=incumbents,
            named=named,
            by_hand=by_hand,
            by=asked.by,
            now=asked.now,
        )

    return prepare


async def _besides(
    found: tuple[Taker, ...], incumbents: tuple[PartnerId, ...], takers: Takers, named: PartnerId | None
) -> tuple[Taker, ...]:
    """The incumbents that were not among so many looked at: whose last lead was a moment ago is looked at last."""
    known = {one.partner_id for one in found}
    others = tuple(one for one in incumbents if one not in known)
    return await takers("", others) if others and named is None else ()


async def _incumbents(peek: Peek, domain: str, today: date) -> tuple[PartnerId, ...]:
    """The partners that have sold something to the customer with this domain, or who goes on for them."""
    bound = await peek(AccountKeys.at(Key(scheme=DOMAIN, value=domain).identity))
    if bound.account_id is None:
        return ()
    claims = await peek(ClaimsOf.at(bound.account_id))
    return sold_before(claims.incumbents, today)

"""Partners that became one, and are two again: what is looked up before."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from chassis.execution import Peek
from contracts.values import AccountId, PartnerId, RegistrationId
from services.registration.application.on_accounts import colliding_deals
from services.registration.application.on_deals import Make, followed
from services.registration.application.streams import lines_streams
from services.registration.domain.claims import Claims
from services.registration.domain.deal import Deal, Deals
from services.registration.domain.partner_alias import AliasPartner, met_by, settled_by


def aliasing(
    registration_id: RegistrationId, partner_id: PartnerId, counts_as: PartnerId | None, now: datetime
) -> Make:
    """Prepares that a partner counts as another one, or by itself again, on the customers of a deal that it is in."""

    async def prepare(peek: Peek) -> AliasPartner:
        deal: Deal = await peek(Deals.at(registration_id))
        made: AliasPartner = await aliasing_at(deal.accounts, partner_id, counts_as, now)(peek)
        return made

    return prepare


def aliasing_at(
    customers: Iterable[AccountId], partner_id: PartnerId, counts_as: PartnerId | None, now: datetime
) -> Make:
    """Prepares that a partner counts as another one, or by itself again, on customers, as which ones they go on."""

    async def prepare(peek: Peek) -> AliasPartner:
        accounts = await followed(peek, customers)
        lines: tuple[Claims, ...] = tuple(await peek.all(lines_streams(accounts)))
        wish = AliasPartner(partner_id=partner_id, counts_as=counts_as, accounts=accounts, now=now)
        met = met_by(wish, lines)
        return replace(wish, collisions=await colliding_deals(peek, met), settled=settled_by(wish, lines))

    return prepare

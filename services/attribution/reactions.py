"""What attribution does when registration says something: open a sale, follow the registration behind it."""

from chassis.application import Application
from chassis.event import Seen
from chassis.execution import Peek
from contracts.registration import DealAmended, DealApproved, DealWithdrawn, ProtectionEnded
from services.attribution.application import open_from, opportunity_id
from services.attribution.domain.opening import FollowRegistration, OpenOpportunity


async def on_deal_approved(seen: Seen, app: Application) -> None:
    """An approved registration opens its sale, once."""

    async def make(peek: Peek) -> OpenOpportunity:
        return await open_from(peek, seen.tenant, seen.event, app.clock.now())

    await app.react(seen, "open_opportunity", make)


async def on_deal_amended(seen: Seen, app: Application) -> None:
    """The partner's own amount and date in the CRM follow the registration."""
    deal: DealAmended = seen.event
    wish = FollowRegistration(
        opportunity_id=opportunity_id(seen.tenant, deal.registration_id),
        registration_id=deal.registration_id,
        amount=deal.amount,
        close_on=deal.close_on,
        now=app.clock.now(),
    )
    await app.react(seen, "follow_amended", wish)


async def on_deal_withdrawn(seen: Seen, app: Application) -> None:
    """A withdrawn registration clears its partner from the open CRM record; the touch stays."""
    deal: DealWithdrawn = seen.event
    await app.react(seen, "follow_withdrawn", _ended(seen, app, deal, "withdrawn"))


async def on_protection_ended(seen: Seen, app: Application) -> None:
    """The end of protection bounds what the registration can still earn, unless the sale itself ended it."""
    deal: ProtectionEnded = seen.event
    await app.react(seen, "follow_protection_ended", _ended(seen, app, deal, deal.reason_code))


def _ended(seen: Seen, app: Application, deal: DealWithdrawn | ProtectionEnded, status: str) -> FollowRegistration:
    return FollowRegistration(
        opportunity_id=opportunity_id(seen.tenant, deal.registration_id),
        registration_id=deal.registration_id,
        status=status,
        protection_ended_at=deal.withdrawn_at if isinstance(deal, DealWithdrawn) else deal.ended_at,
        now=app.clock.now(),
    )


REACTIONS = {
    DealApproved: on_deal_approved,
    DealAmended: on_deal_amended,
    DealWithdrawn: on_deal_withdrawn,
    ProtectionEnded: on_protection_ended,
}

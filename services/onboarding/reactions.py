"""What onboarding does when incentives tells it something: a partnership ends once nothing is owed."""

from typing import Any

from chassis.application import Application, Reaction
from chassis.event import Seen
from contracts.incentives import PartnerSettled
from services.onboarding.domain.offboarding import SettleOffboarding


async def on_partner_settled(seen: Seen, app: Application) -> None:
    """The partner that leaves is offboarded."""
    it: PartnerSettled = seen.event
    wish = SettleOffboarding(partner_id=it.partner_id, settled_on=it.settled_on, now=app.clock.now())
    await app.react(seen, "settle_offboarding", wish)


REACTIONS: dict[type[Any], Reaction] = {PartnerSettled: on_partner_settled}

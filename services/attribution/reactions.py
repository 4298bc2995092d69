"""What attribution does when others say something: open a sale, follow the registration behind it and its partners."""

from typing import Any

from chassis.application import Application
from chassis.event import Seen
from chassis.execution import Peek
from chassis.read_store.port import Contains, each
from contracts.onboarding import PartnersMerged, PartnersUnmerged
from contracts.registration import DealAmended, DealApproved, DealWithdrawn, ParticipantJoined, ProtectionEnded
from contracts.values import OpportunityId
from services.attribution.application import POLICY_ID, merged_of, open_from, opportunity_id, touch_from
from services.attribution.domain.credit_policy import POOLS_MAX
from services.attribution.domain.merger import MergePartner, UnmergePartner
from services.attribution.domain.opening import FollowMerger, FollowRegistration, OpenOpportunity
from services.attribution.domain.touch import RecordTouch
from services.attribution.projections.mergers import one_with


async def on_deal_approved(seen: Seen, app: Application) -> None:
    """An approved registration opens its sale, once."""

    async def make(peek: Peek) -> OpenOpportunity:
        return await open_from(peek, seen.tenant, seen.event, app.clock.now())

    await app.react(seen, "open_opportunity", make)


async def on_participant_joined(seen: Seen, app: Application) -> None:
    """Who joins an approved registration leaves the touch of its role. One who joins before is in the approval.

    The touch stays when the participant leaves: what it did for the sale is done.
    """
    joined: ParticipantJoined = seen.event
    if joined.held_until is None:
        return

    async def make(peek: Peek) -> RecordTouch:
        return await touch_from(peek, seen.tenant, joined, app.clock.now())

    await app.react(seen, "touch_participant", make)


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


# Partners that are one

OF_PARTNERS = ("opportunity_board", "credit_view")
"""Where sales stand by their partners: those that touched them, and those that are credited."""


async def on_partners_merged(seen: Seen, app: Application) -> None:
    """What is not final yet of the absorbed partner goes on for the survivor."""
    it: PartnersMerged = seen.event
    wish = MergePartner(
        partner_id=it.absorbed_id,
        survivor_id=it.survivor_id,
        revision=it.revision,
        effective_on=it.effective_on,
        now=app.clock.now(),
    )
    await app.react(seen, "merge_partner", wish)
    await _follow(seen, app, undone=False)


async def on_partners_unmerged(seen: Seen, app: Application) -> None:
    """All of it comes back, also what was won meanwhile."""
    it: PartnersUnmerged = seen.event
    wish = UnmergePartner(
        partner_id=it.absorbed_id, survivor_id=it.survivor_id, revision=it.revision, now=app.clock.now()
    )
    await app.react(seen, "unmerge_partner", wish)
    await _follow(seen, app, undone=True)


async def _follow(seen: Seen, app: Application, *, undone: bool) -> None:
    """Tells every sale in which the absorbed partner has a part, itself or for another one, each once."""
    told: set[str] = set()
    await app.caught_up("mergers")
    whose = await one_with(app, seen.tenant, seen.event.absorbed_id)
    for model in OF_PARTNERS:
        await app.caught_up(model)
        async for document in each(app.read, model, seen.tenant, {"partner_ids": Contains(whose[0], whose[1:])}):
            sale_id = document["opportunity_id"]
            if sale_id not in told:
                told.add(sale_id)
                await app.react(seen, f"follow_merger {sale_id}", _following(seen, app, sale_id, undone=undone))


def _following(seen: Seen, app: Application, sale_id: str, *, undone: bool) -> Any:
    async def make(peek: Peek) -> FollowMerger:
        found = await app.read.find(
            "credit_view", seen.tenant, where={"opportunity_id": sale_id}, sort="pool", limit=2 * POOLS_MAX
        )
        return FollowMerger(
            opportunity_id=OpportunityId(sale_id),
            merged=await merged_of(peek, [seen.event.absorbed_id]),
            pools=tuple(document["pool"] for document in found.items),
            policy_id=POLICY_ID,
            undone=undone,
            now=app.clock.now(),
        )

    return make


REACTIONS = {
    PartnersMerged: on_partners_merged,
    PartnersUnmerged: on_partners_unmerged,
    DealApproved: on_deal_approved,
    ParticipantJoined: on_participant_joined,
    DealAmended: on_deal_amended,
    DealWithdrawn: on_deal_withdrawn,
    ProtectionEnded: on_protection_ended,
}

"""Commands on a dispute: what is looked up before they are decided."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from chassis.case import Stage
from chassis.decider import NotFound
from chassis.event import LEFT_OUT, LeftOut, frozen
from chassis.execution import Peek
from chassis.rulebook import Rules
from contracts.values import PartnerId, RegistrationId
from services.registration.application.on_deals import Asked, Make, followed, holders, screens, seen_before
from services.registration.application.streams import lines_streams
from services.registration.domain.claim import Claim
from services.registration.domain.claims import Claims
from services.registration.domain.concluding import LOST_DISPUTE
from services.registration.domain.deal import Deal, Deals
from services.registration.domain.deal_commands import GivesWay
from services.registration.domain.dispute import (
    DISPUTABLE,
    AppealDispute,
    ConcludeDispute,
    Dispute,
    Disputes,
    FileDispute,
    contest_until,
)
from services.registration.domain.invitation import Invitation, Invitations
from services.registration.domain.partner_facts import Partners


@frozen
class Side:
    """Whose hold it is: a deal's own, or with `invitation_id` that of who takes part in it."""

    deal: Deal
    partner_id: PartnerId
    invitation_id: str | LeftOut = LEFT_OUT

    def fields(self, now: datetime) -> dict[str, Any]:
        """The fields of `OnDispute`."""
        first = self.deal.first
        of_deal = {"registration_id": first.registration_id, "accounts": self.deal.accounts}
        return {**of_deal, "programme": first.programme, "invitation_id": self.invitation_id, "now": now}

    @property
    def name(self) -> RegistrationId:
        """The name of its claim, and of the dispute over it."""
        return RegistrationId(self.invitation_id or self.deal.first.registration_id)


async def side_of(peek: Peek, asked: Asked) -> Side:
    """The side that a name tells: of a deal, or of an invitation. Raises NotFound, also for who may not touch it."""
    deal: Deal = await peek(Deals.at(asked.registration_id))
    if deal.registered is not None:
        asked.allow(deal.first.partner_id)
        return Side(deal=deal, partner_id=deal.first.partner_id)
    invitation: Invitation = await peek(Invitations.at(asked.registration_id))
    if invitation.sent is None:
        raise NotFound
    asked.allow(invitation.first.partner_id)
    deal = await peek(Deals.at(invitation.first.registration_id))
    return Side(deal=deal, partner_id=invitation.first.partner_id, invitation_id=asked.registration_id)


def on_dispute(asked: Asked, make: Callable[[dict[str, Any]], Any]) -> Make:
    """Prepares a step of a dispute, which is named as its claim is: `make` gets the fields of `OnDispute`."""

    async def prepare(peek: Peek) -> Any:
        return make((await side_of(peek, asked)).fields(asked.now))

    return prepare


def filing(asked: Asked, told: dict[str, Any]) -> Make:
    """Prepares a dispute against the deals that hold what the disputed one asked for."""

    async def prepare(peek: Peek) -> FileDispute:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        asked.allow(deal.first.partner_id)
        return FileDispute(
            registration_id=deal.first.registration_id,
            accounts=deal.accounts,
            programme=deal.first.programme,
            against=await holders(peek, deal, asked.now),
            now=asked.now,
            **told,
        )

    return prepare


async def last_day_of(peek: Peek, registration_id: str, now: datetime) -> datetime | None:
    """Until when a deal can be contested that was rejected, revoked or set behind a rival; None for any other one."""
    deal: Deal = await peek(Deals.at(registration_id))
    if deal.status not in DISPUTABLE:
        return None
    against = await peek.all([Deals.at(one) for one in await holders(peek, deal, now)])
    return contest_until(deal, against, await peek(Rules.at(deal.first.programme)))


Contesting = Callable[[str], Awaitable[RegistrationId | None]]
"""Finds the name of a dispute against this hold that was decided and may be appealed."""


def appealing(asked: Asked, contesting: Contesting, told: dict[str, Any]) -> Make:
    """Prepares the appeal of either side; each names its own hold."""

    async def prepare(peek: Peek) -> AppealDispute:
        mine = await side_of(peek, asked)
        own: Dispute = await peek(Disputes.at(mine.name))
        other = None if own.case.stage == Stage.DECIDED else await contesting(mine.name)
        contested = await side_of(peek, Asked(registration_id=other, now=asked.now)) if other else mine
        return AppealDispute(**contested.fields(asked.now), holder=mine.name if other else None, **told)

    return prepare


def concluding(asked: Asked, screening_id: str) -> Make:
    """Prepares the end of a dispute, with those of its opponents that still hold."""

    async def prepare(peek: Peek) -> ConcludeDispute:
        side = await side_of(peek, asked)
        dispute: Dispute = await peek(Disputes.at(side.name))
        fields = await screens(peek, side.deal, asked, seen_before(side.deal), screening_id)
        here = await followed(peek, side.deal.accounts)
        counts_as = await counts_as_whom(peek, side.deal.first.partner_id)
        rivals = await _rivals(peek, side, dispute, asked.now, counts_as)
        told = {"accounts": here, "gives_way": rivals, "invitation_id": side.invitation_id, "counts_as": counts_as}
        return ConcludeDispute(**{**fields, **told})

    return prepare


async def counts_as_whom(peek: Peek, partner_id: PartnerId) -> PartnerId | LeftOut:
    """The partner that goes on for this one, at the end of the chain: its claim is gone, so no line knows it any more."""
    passed = [partner_id]
    while survivor := (await peek(Partners.at(passed[-1]))).survivor_id:
        if survivor in passed:
            break
        passed.append(survivor)
    return passed[-1] if len(passed) > 1 else LEFT_OUT


async def _rivals(
    peek: Peek, side: Side, dispute: Dispute, now: datetime, counts_as: PartnerId | LeftOut
) -> tuple[GivesWay, ...]:
    """The opponents that still hold what this side holds or asks for."""
    lines: list[Claims] = await peek.all(lines_streams(side.deal.accounts))
    met = (claim for line in lines for mine in _own(side, line, counts_as) for claim in line.live if claim.rivals(mine))
    holding = {claim.registration_id: claim for claim in met if claim.protected(now)}
    named = [holding[name] for name in dispute.first.against if name in holding]
    deals = dict.fromkeys(claim.deal for claim in named)
    return tuple([await _giving_way(peek, one, [claim for claim in named if claim.deal == one]) for one in deals])


def _own(side: Side, line: Claims, counts_as: PartnerId | LeftOut) -> tuple[Claim, ...]:
    """Its claim in a line; none of who takes part in the deal no more."""
    if not side.invitation_id:
        return (line.counted(side.deal.claim(), counts_as),)
    joined = side.deal.joined(side.invitation_id)
    return (line.counted(side.deal.claim_of(joined)),) if joined else ()


async def _giving_way(peek: Peek, registration_id: RegistrationId, claims: list[Claim]) -> GivesWay:
    """The deal, or of a deal that is no opponent itself those who take part in it."""
    deal: Deal = await peek(Deals.at(registration_id))
    beside = tuple(claim.registration_id for claim in claims if claim.deal_id)
    return GivesWay(
        registration_id=registration_id,
        accounts=deal.accounts,
        reason_code=LOST_DISPUTE,
        invitations=beside if len(beside) == len(claims) else LEFT_OUT,
    )

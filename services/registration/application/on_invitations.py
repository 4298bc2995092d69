"""Commands on an invitation: what is looked up before they are decided."""

from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from typing import Any

from chassis.event import frozen, stable_id
from chassis.execution import Peek
from services.registration.application.on_deals import Make
from services.registration.domain.deal import Deal, Deals
from services.registration.domain.invitation import Invitation, Invitations


def invitation_id(registration_id: str, partner_id: str) -> str:
    """One partner is invited to one deal once at a time: so the two name the invitation."""
    return stable_id("invitation", registration_id, partner_id)


@frozen
class AskedOfInvitation:
    """A wish on an invitation. `allow(invitation)` raises NotFound for who may not know of it."""

    invitation_id: str
    by: str
    now: datetime
    allow: Callable[[Invitation], None] = field(default=lambda invitation: None)


def on_invitation(asked: AskedOfInvitation, make: Callable[[Invitation, dict[str, Any]], Any]) -> Make:
    """Prepares a command on an invitation alone: `make(invitation, fields)` gets the fields of `OnInvitation`."""

    async def prepare(peek: Peek) -> Any:
        invitation: Invitation = await peek(Invitations.at(asked.invitation_id))
        asked.allow(invitation)
        return make(invitation, {"invitation_id": asked.invitation_id, "by": asked.by, "now": asked.now})

    return prepare


def taking_part(asked: AskedOfInvitation, make: Callable[[Invitation, dict[str, Any]], Any]) -> Make:
    """As `on_invitation`, for a command that changes the deal too: `fields` are also those of `OnDeal`."""

    async def prepare(peek: Peek) -> Any:
        invitation: Invitation = await peek(Invitations.at(asked.invitation_id))
        asked.allow(invitation)
        deal: Deal = await peek(Deals.at(invitation.first.registration_id))
        of_deal = {"registration_id": deal.first.registration_id, "accounts": deal.accounts}
        about = {**of_deal, "programme": deal.first.programme, "now": asked.now}
        return make(invitation, {**about, "invitation_id": asked.invitation_id, "by": asked.by})

    return prepare

"""Whose people still act for a partner that has left? One after the other loses its membership, and so its access."""

from datetime import datetime
from typing import Any

from chassis.application import Application, NothingToDo, Prepared
from chassis.deadlines import DUE_AT, Deadline
from chassis.event import Seen, iso
from chassis.execution import Peek
from chassis.read_store.port import TURN
from services.onboarding.domain.membership import CloseTeam, EndMembership, MembershipEnded, Team, TeamClosed, Teams
from services.onboarding.domain.offboarding import PartnerOffboarded


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    """Due when the partner has left, and again after each step."""
    if document is None and not isinstance(seen.event, PartnerOffboarded):
        return None
    return {DUE_AT: iso(seen.recorded_at), TURN: seen.id, "partner_id": seen.event.partner_id}


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """Nobody joins any more, then each membership ends."""

    async def make(app: Application, tenant: str, peek: Peek) -> CloseTeam | EndMembership:
        partner_id = document["partner_id"]
        team: Team = await peek(Teams.at(partner_id))
        if not team.closed:
            return CloseTeam(partner_id=partner_id, now=now)
        await app.caught_up("memberships")
        where = {"partner_id": partner_id, "status": "active"}
        found = await app.read.find("memberships", tenant, where=where, sort="person_id", limit=1)
        if not found.items:
            raise NothingToDo
        membership_id = found.items[0]["membership_id"]
        return EndMembership(membership_id=membership_id, partner_id=partner_id, on=now.date(), now=now)

    return Prepared(make)


DEPARTURES = Deadline(
    name="departures",
    version=1,
    keys=dict.fromkeys((PartnerOffboarded, TeamClosed, MembershipEnded), lambda seen: str(seen.event.partner_id)),
    evolve=evolve,
    issue=issue,
)

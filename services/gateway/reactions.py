"""What the gateway does when it hears: sessions end with what they stood on."""

from typing import Any

from chassis.application import Application, Reaction
from chassis.event import SHARED, PublicEvent, Seen
from chassis.read_store.port import each
from contracts import onboarding
from services.gateway.domain.session import EndSession
from services.gateway.projections.partner_cards import absorbed_by


async def on_membership_ended(seen: Seen, app: Application) -> None:
    """A person who left a partner is signed out of it."""
    where = {"subject": seen.event.person_id, "partner_id": seen.event.partner_id}
    await _end_sessions(seen, app, where, "membership_ended")


async def on_person_forgotten(seen: Seen, app: Application) -> None:
    """A person who is forgotten is signed out everywhere."""
    await _end_sessions(seen, app, {"subject": seen.event.person_id}, "forgotten")


async def on_partner_suspended(seen: Seen, app: Application) -> None:
    """A suspension that closes access ends the sessions of the partner's people, and of those that it goes on for."""
    if "access" in seen.event.scopes:
        whose = seen.event.partner_id
        family = whose, *await absorbed_by(app.read, seen.tenant, whose)
        await _end_sessions(seen, app, {"partner_id": family}, "suspended")


async def _end_sessions(seen: Seen, app: Application, where: dict[str, Any], cause: str) -> None:
    await app.caught_up("sessions")  # who has signed in a moment ago is signed out too
    async for session in each(app.read, "sessions", SHARED, where):
        command = EndSession(session_id=session["session_id"], cause=cause, now=app.clock.now())
        await app.issue(SHARED, f"{seen.id}-{session['session_id']}", command)


REACTIONS: dict[type[PublicEvent], Reaction] = {
    onboarding.MembershipEnded: on_membership_ended,
    onboarding.PartnerSuspended: on_partner_suspended,
    onboarding.PersonForgotten: on_person_forgotten,
}

"""Taking part in another partner's deal, over HTTP: invite, answer, leave, read."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.http import App, Body, Caller, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import Contains
from contracts.values import PartnerId
from services.registration.access import READ_INVITATIONS
from services.registration.api.bodies import Code, Id, Text, between, subject_of
from services.registration.api.deals import asked
from services.registration.application.on_deals import on_deal
from services.registration.application.on_invitations import (
    AskedOfInvitation,
    invitation_id,
    on_invitation,
    taking_part,
)
from services.registration.domain.deal import Deal
from services.registration.domain.invitation import (
    LEFT,
    REMOVED,
    AcceptInvitation,
    DeclineInvitation,
    Invitation,
    InviteParticipant,
    LeaveDeal,
    RevokeInvitation,
)
from services.registration.projections.invitations import ShownInvitation, for_host, for_invited

router = APIRouter(tags=["invitations"])
SORT = r"^-?(sent_at|due_at)$"
Key = Annotated[str, Field(min_length=1, max_length=64)]
HOST, INVITED = "host_id", "partner_id"


class InviteBody(Body):
    """The deal, whom to ask, in which role, and a word to that partner."""

    registration_id: Key
    partner_id: Key
    role: Literal["distribute", "resell", "service"]
    message: Text | None = None


class DeclineBody(Body):
    reason_code: Code = "declined"


class RevokeBody(Body):
    reason_code: Code = "revoked"


def _asked(caller: Caller, app: App, identity: str, action: type[Any], side: str) -> AskedOfInvitation:
    """A wish of one side of an invitation, or of the vendor; who is on neither learns nothing of it."""
    app.access.check(caller.principal, action)

    def allow(invitation: Invitation) -> None:
        app.access.check(caller.principal, action, getattr(invitation.first, side))

    return AskedOfInvitation(invitation_id=identity, by=caller.principal.by, now=app.clock.now(), allow=allow)


@router.post("/invitations", status_code=201)
async def invite(body: InviteBody, caller: Writer, app: App) -> Response:
    """Asks another partner to take part in a deal, for fourteen days."""
    sealed = app.seal(caller.tenant, subject_of(body.registration_id), body.message) if body.message else None
    named = invitation_id(body.registration_id, body.partner_id)
    told: dict[str, Any] = {"invitation_id": named, "role": body.role, "message": sealed, "by": caller.principal.by}

    def make(_: Deal, fields: dict[str, Any]) -> InviteParticipant:
        return InviteParticipant(**fields, partner_id=PartnerId(body.partner_id), **told)

    wish = asked(caller, app, body.registration_id, InviteParticipant)
    answer = await perform(caller, app, InviteParticipant, on_deal(wish, make), status=201)
    answer.headers["Location"] = f"/invitations/{named}"
    return answer


@router.post("/invitations/{invitation_id}/accept")
async def accept(invitation_id: Id, caller: Writer, app: App) -> Response:
    """Takes part in the deal; on a protected one with a claim of its own that holds at once."""

    def make(invitation: Invitation, fields: dict[str, Any]) -> AcceptInvitation:
        return AcceptInvitation(**fields, partner_id=invitation.first.partner_id)

    wish = _asked(caller, app, invitation_id, AcceptInvitation, INVITED)
    return await perform(caller, app, AcceptInvitation, taking_part(wish, make))


@router.post("/invitations/{invitation_id}/decline")
async def decline(invitation_id: Id, body: DeclineBody, caller: Writer, app: App) -> Response:
    """Says no."""
    wish = _asked(caller, app, invitation_id, DeclineInvitation, INVITED)
    return await _alone(caller, app, wish, DeclineInvitation, body.reason_code)


@router.post("/invitations/{invitation_id}/revoke")
async def revoke(invitation_id: Id, body: RevokeBody, caller: Writer, app: App) -> Response:
    """Takes back an invitation that nobody has answered."""
    wish = _asked(caller, app, invitation_id, RevokeInvitation, HOST)
    return await _alone(caller, app, wish, RevokeInvitation, body.reason_code)


Alone = type[DeclineInvitation] | type[RevokeInvitation]


async def _alone(caller: Caller, app: App, wish: AskedOfInvitation, action: Alone, reason_code: str) -> Response:
    made = on_invitation(wish, lambda _, fields: action(**fields, reason_code=reason_code))
    return await perform(caller, app, action, made)


@router.post("/invitations/{invitation_id}/leave")
async def leave(invitation_id: Id, caller: Writer, app: App) -> Response:
    """Takes part no more: by its own wish, or taken out by the deal desk. Its claim is released at once."""
    reason_code = LEFT if caller.principal.kind == "partner" else REMOVED
    wish = _asked(caller, app, invitation_id, LeaveDeal, INVITED)
    made = taking_part(wish, lambda _, fields: LeaveDeal(**fields, reason_code=reason_code))
    return await perform(caller, app, LeaveDeal, made)


async def sent(
    family: Annotated[str | None, Query(max_length=80)] = None,
    sent_from: Day | None = None,
    sent_before: Day | None = None,
) -> dict[str, Any]:
    """What a list is narrowed by besides status, deal and partner: a product family, UTC days."""
    return {"families": Contains(family) if family else None, "sent_at": between(sent_from, sent_before)}


async def filters(
    names: Annotated[dict[str, Any], Depends(sent)],
    status: Annotated[str | None, Query(max_length=32)] = None,
    registration_id: Annotated[str | None, Query(max_length=64)] = None,
    partner_id: Annotated[str | None, Query(max_length=64, description="who is invited")] = None,
) -> dict[str, Any]:
    """Which invitations a list is asked for."""
    return {"status": status, "registration_id": registration_id, INVITED: partner_id, **names}


@router.get("/invitations")
@answers(Page[ShownInvitation])
@reads("invitations")
async def invitations(
    caller: Reader,
    app: App,
    paged: Paged,
    wanted: Annotated[dict[str, Any], Depends(filters)],
    sort: Annotated[str, Query(pattern=SORT)] = "-sent_at",
) -> Response:
    """The invitations: those to a partner and those to its deals, all for the vendor."""
    app.access.check(caller.principal, READ_INVITATIONS)
    side = _side(caller.principal.partner_ids, wanted["registration_id"])
    items, cursor = await page(caller, app, "invitations", paged, wanted | side, sort)
    found = await app.read.get_many("deal", caller.tenant, sorted({item["registration_id"] for item in items}))
    return listed([_shown(caller, app, item, found.get(item["registration_id"])) for item in items], cursor)


def _side(own: tuple[str, ...], registration_id: str | None) -> dict[str, Any]:
    """What a partner may list: both sides of its own; of a deal that it names, only where the deal is its own."""
    if not own:
        return {}
    return {HOST: own} if registration_id else {"partner_ids": Contains.any_of(own)}


@router.get("/invitations/{invitation_id}")
@answers(ShownInvitation)
@reads("invitations", "deal")
async def invitation(invitation_id: Id, caller: Reader, app: App) -> Response:
    """One invitation, as this side of it may read it."""
    app.access.check(caller.principal, READ_INVITATIONS)
    found = await app.document(caller.principal, "invitations", invitation_id)
    deal = await app.read.get("deal", caller.tenant, found["registration_id"])
    return shown(_shown(caller, app, found, deal))


def _shown(caller: Caller, app: App, document: dict[str, Any], deal: dict[str, Any] | None) -> dict[str, Any]:
    who = caller.principal
    invited = who.acts_for(document[INVITED]) and not who.acts_for(document[HOST])
    own = for_invited(document, deal) if invited else for_host(document)
    opened: dict[str, Any] = app.opened(caller.tenant, own)
    return opened

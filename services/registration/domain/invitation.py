"""An invitation: another partner is asked to take part in a deal, in a role of its own.

It is pending until the invited partner answers, and for fourteen days at most. Who accepts takes part in the deal: as long
as that is protected, so is its own claim in its own role, under the rules that hold for every claim. It takes part no more
when the deal ends, when it leaves, and when a rival keeps it out as the deal is approved.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from chassis.decider import Decider, Invalid, NotFound, Refused, WrongState
from chassis.event import Sealed, command, event, frozen
from chassis.rulebook import Rulebook
from contracts.values import Money, Participant, PartnerId, RegistrationId, Span
from services.registration.domain.claim import Claim
from services.registration.domain.claims import ClaimEvent, Claims, kept_out, release, take_part
from services.registration.domain.deal import (
    SUBMITTED,
    AlreadyRegistered,
    Deal,
    PartnerUnknown,
    Status,
    stands_in,
    unmoved,
)
from services.registration.domain.deal_commands import OnDeal
from services.registration.domain.deal_events import DealEvent, ParticipantInvited, ParticipantJoined, ParticipantLeft
from services.registration.domain.ending import parted
from services.registration.domain.judging import rules_of
from services.registration.domain.machine import Move, allowed_in
from services.registration.domain.partner_facts import PartnerFacts

ROLES = DISTRIBUTE, RESELL, SERVICE = "distribute", "resell", "service"
"""The roles in which others take part: the distributor, a sub-reseller, a service partner."""
ANSWER_DAYS = 14
INVITATIONS_MAX = 20
CLAIMED_ALREADY = "You work on this customer already in that role: decline the invitation, or withdraw what you have."
LEFT, REMOVED, DEAL_OVER = "left", "removed", "deal-over"


class Answer(StrEnum):
    """What became of an invitation. That who accepted has left stands on the deal alone."""

    NONE = "none"
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LAPSED = "lapsed"
    REVOKED = "revoked"
    LEFT = "left"


# Events


@frozen
class OfInvitation:
    """What every event of an invitation says: which deal it is to, and who is invited in which role."""

    invitation_id: str
    registration_id: RegistrationId
    partner_id: PartnerId
    role: str


@event("registration.InvitationSent.v1")
class InvitationSent(OfInvitation):
    """`host_id` is whose deal it is. What the invited partner reads before it answers: families, country, size.

    `size` is the power of ten that the amount does not exceed.
    """

    number: str
    programme: str
    host_id: PartnerId
    families: tuple[str, ...]
    country: str
    size: Money
    message: Sealed | None
    due_at: datetime
    sent_by: str
    sent_at: datetime


@event("registration.InvitationAccepted.v1")
class InvitationAccepted(OfInvitation):
    accepted_by: str
    accepted_at: datetime


@event("registration.InvitationDeclined.v1")
class InvitationDeclined(OfInvitation):
    reason_code: str
    declined_by: str
    declined_at: datetime


@event("registration.InvitationLapsed.v1")
class InvitationLapsed(OfInvitation):
    """Nobody answered in time."""

    lapsed_at: datetime


@event("registration.InvitationRevoked.v1")
class InvitationRevoked(OfInvitation):
    """Who invited took it back. Reason codes of the service: deal-over, partner-left."""

    reason_code: str
    revoked_by: str
    revoked_at: datetime


InvitationEvent = InvitationSent | InvitationAccepted | InvitationDeclined | InvitationLapsed | InvitationRevoked


# Commands


@command("registration.InviteParticipant.v1")
class InviteParticipant(OnDeal):
    invitation_id: str
    partner_id: PartnerId
    role: str
    message: Sealed | None = None
    by: str


@command("registration.AcceptInvitation.v1")
class AcceptInvitation(OnDeal):
    invitation_id: str
    partner_id: PartnerId
    by: str


@command("registration.LeaveDeal.v1")
class LeaveDeal(OnDeal):
    invitation_id: str
    reason_code: str
    by: str


@frozen
class OnInvitation:
    """What a command says that changes the invitation alone."""

    invitation_id: str
    by: str
    now: datetime


@command("registration.DeclineInvitation.v1")
class DeclineInvitation(OnInvitation):
    reason_code: str


@command("registration.RevokeInvitation.v1")
class RevokeInvitation(OnInvitation):
    reason_code: str


@command("registration.LapseInvitation.v1")
class LapseInvitation(OnInvitation):
    pass


def _moves() -> dict[type[Any], Move[Answer]]:
    pending = (Answer.PENDING,)
    again = (Answer.NONE, Answer.ACCEPTED, Answer.DECLINED, Answer.LAPSED, Answer.REVOKED, Answer.LEFT)
    return {
        InviteParticipant: Move("invite", (*again, Answer.PENDING), pending),
        AcceptInvitation: Move("accept", pending, (Answer.ACCEPTED,)),
        DeclineInvitation: Move("decline", pending, (Answer.DECLINED,)),
        RevokeInvitation: Move("revoke", pending, (Answer.REVOKED,)),
        LapseInvitation: Move("", pending, (Answer.LAPSED,)),
        LeaveDeal: Move("leave", (Answer.ACCEPTED,), (Answer.LEFT,)),
    }


MOVES = _moves()


# State


@frozen
class Invitation:
    """The newest invitation of one partner to one deal."""

    answer: Answer = Answer.NONE
    sent: InvitationSent | None = None

    @property
    def first(self) -> InvitationSent:
        """What was asked. Raises NotFound where nobody was."""
        if self.sent is None:
            raise NotFound
        return self.sent

    @property
    def header(self) -> dict[str, Any]:
        """The fields of `OfInvitation`."""
        return {name: getattr(self.first, name) for name in OfInvitation.__dataclass_fields__}

    def waits(self, now: datetime) -> bool:
        """Whether it can still be answered."""
        return self.answer == Answer.PENDING and now < self.first.due_at


# Refusals


class AlreadyInvited(Refused):
    """This partner takes part in the deal, or has not answered yet."""

    slug = "already-invited"


class OwnDeal(Invalid):
    """The deal is this partner's own: invite another one."""

    slug = "own-deal"


class RoleNotAllowed(Invalid):
    """The programme takes nobody in this role: see `roles`."""

    slug = "role-not-allowed"


class TooManyInvitations(Invalid):
    """A deal takes twenty invitations."""

    slug = "too-many-invitations"


class NoNewBusiness(Refused):
    """This partner may not open new business now."""

    slug = "partner-not-active"


class InvitationOver(Refused):
    """The time to answer this invitation is over: ask for another one."""

    slug = "invitation-lapsed"


class DealOver(Refused):
    """The deal that this is about has ended."""

    slug = "deal-over"


class RoleHeld(Refused):
    """Another partner holds this customer in that role, or asked first."""

    slug = "role-held"


# Decisions


Invited = tuple[list[InvitationEvent], list[DealEvent]]


def invite_participant(
    wish: InviteParticipant, invitation: Invitation, deal: Deal, partner: PartnerFacts, book: Rulebook
) -> Invited:
    """Asks another partner to take part in a deal; once more, where it takes part no more or did not come."""
    stands_in(deal, *SUBMITTED)
    _may_be_invited(wish, deal, partner, book)
    if invitation.waits(wish.now) or deal.joined(wish.invitation_id):
        raise AlreadyInvited(invitation_id=wish.invitation_id)
    if deal.invitations >= INVITATIONS_MAX:
        raise TooManyInvitations(limit=INVITATIONS_MAX)
    over = [_lapsed(invitation, wish.now)] if invitation.answer == Answer.PENDING else []
    participant = Participant(partner_id=wish.partner_id, role=wish.role)
    told = ParticipantInvited(
        **deal.header,
        invitation_id=wish.invitation_id,
        participant=participant,
        invited_by=wish.by,
        invited_at=wish.now,
    )
    return [*over, _sent(wish, deal)], [told]


def _may_be_invited(wish: InviteParticipant, deal: Deal, partner: PartnerFacts, book: Rulebook) -> None:
    roles = [role for role in ROLES if role in rules_of(deal, book).roles]
    if wish.role not in roles:
        raise RoleNotAllowed(roles=roles)
    if wish.partner_id == deal.partner_id:
        raise OwnDeal
    if not partner.known:
        raise PartnerUnknown
    _does_business(partner, wish.now)


def _does_business(partner: PartnerFacts, now: datetime) -> None:
    if not partner.may_register(now.date()):
        raise NoNewBusiness


def _sent(wish: InviteParticipant, deal: Deal) -> InvitationSent:
    first = deal.first
    return InvitationSent(
        invitation_id=wish.invitation_id,
        registration_id=first.registration_id,
        partner_id=wish.partner_id,
        role=wish.role,
        number=first.number,
        programme=first.programme,
        host_id=first.partner_id,
        families=tuple(sorted({line.family for line in first.terms.products})),
        country=first.terms.account.country,
        size=size_of(deal.now_details.amount),
        message=wish.message,
        due_at=wish.now + timedelta(days=ANSWER_DAYS),
        sent_by=wish.by,
        sent_at=wish.now,
    )


def size_of(amount: Money) -> Money:
    """How large a deal is, as others may know it: the power of ten that its amount does not exceed."""
    size = Decimal(1)
    while size < amount.amount:
        size *= 10
    return Money(amount=size, currency=amount.currency)


Accepted = tuple[list[InvitationEvent], list[DealEvent], list[list[ClaimEvent]]]


def accept_invitation(
    wish: AcceptInvitation, invitation: Invitation, deal: Deal, claims: tuple[Claims, ...], partner: PartnerFacts
) -> Accepted:
    """Takes part in the deal: on a protected one with a claim of its own that holds at once.

    Whoever has claimed the same already is not told by which deal: that would say whose customer this is.
    """
    try:
        return accept_invitation_naming_the_deal(wish, invitation, deal, claims, partner)
    except AlreadyRegistered:
        raise AlreadyRegistered(CLAIMED_ALREADY) from None


def accept_invitation_naming_the_deal(
    wish: AcceptInvitation, invitation: Invitation, deal: Deal, claims: tuple[Claims, ...], partner: PartnerFacts
) -> Accepted:
    """As the first evaluator decided: a refusal named the deal by which the partner has the customer already."""
    _pending(invitation, AcceptInvitation, wish.now)
    if deal.status not in SUBMITTED or (deal.status == Status.APPROVED and not _protected(wish, claims)):
        raise DealOver
    unmoved(wish, deal)
    _does_business(partner, wish.now)
    joined = _joined(wish, invitation, deal, claims)
    mine = deal.claim_of(joined)
    _not_twice(mine, claims, wish.now)
    if any(kept_out(state, mine, wish.now) for state in claims):
        raise RoleHeld
    accepted = InvitationAccepted(**invitation.header, accepted_by=wish.by, accepted_at=wish.now)
    return [accepted], [joined], [_taken(wish, joined, deal, state) for state in claims]


def _protected(wish: AcceptInvitation, claims: tuple[Claims, ...]) -> bool:
    own = (state.of(wish.registration_id) for state in claims)
    return all(claim is not None and claim.protected(wish.now) for claim in own)


def _joined(
    wish: AcceptInvitation, invitation: Invitation, deal: Deal, claims: tuple[Claims, ...]
) -> ParticipantJoined:
    ends = [claim.protection.end for state in claims if (claim := state.of(wish.registration_id)) and claim.protection]
    return ParticipantJoined(
        **deal.header,
        invitation_id=wish.invitation_id,
        participant=Participant(partner_id=wish.partner_id, role=invitation.first.role),
        held_until=max(ends, default=None),
        joined_by=wish.by,
        joined_at=wish.now,
    )


def _not_twice(mine: Claim, claims: tuple[Claims, ...], now: datetime) -> None:
    for known in (claim for state in claims for claim in state.live if not claim.lapsed(now)):
        if known.whose == mine.whose and known.meets(mine):
            raise AlreadyRegistered(registration_id=known.deal)


def _taken(wish: AcceptInvitation, joined: ParticipantJoined, deal: Deal, state: Claims) -> list[ClaimEvent]:
    """The claim of the new participant on one account, for as long as the deal holds it."""
    own = state.of(wish.registration_id)
    if own is None or own.protection is None:
        return []
    span = Span(start=wish.now, end=own.protection.end)
    return take_part(state, deal.claim_of(joined), span, wish.now, exclusive=own.exclusive)


def leave_deal(
    wish: LeaveDeal, invitation: Invitation, deal: Deal, claims: tuple[Claims, ...]
) -> tuple[list[InvitationEvent], list[DealEvent], list[list[ClaimEvent]]]:
    """Takes part no more; its claim is released, and who waited for that role moves up. Once it has left it cannot."""
    if invitation.answer == Answer.ACCEPTED and deal.joined(wish.invitation_id) is None:
        raise _wrong(replace(invitation, answer=Answer.LEFT))
    return leave_deal_that_was_accepted(wish, invitation, deal, claims)


def leave_deal_that_was_accepted(
    wish: LeaveDeal, invitation: Invitation, deal: Deal, claims: tuple[Claims, ...]
) -> tuple[list[InvitationEvent], list[DealEvent], list[list[ClaimEvent]]]:
    """As the first evaluator decided: who had left was told that it takes part, and might leave."""
    joined = deal.joined(wish.invitation_id)
    if joined is None:
        raise _wrong(invitation)
    unmoved(wish, deal)
    gone: ParticipantLeft = parted(deal, joined, wish.reason_code, wish.now, deal_over=False, by=wish.by)
    claim_id = RegistrationId(wish.invitation_id)
    return [], [gone], [release(state, claim_id, wish.reason_code, wish.now) for state in claims]


def decline_invitation(wish: DeclineInvitation, invitation: Invitation) -> list[InvitationEvent]:
    """Says no."""
    _pending(invitation, DeclineInvitation, wish.now)
    told: dict[str, Any] = {"reason_code": wish.reason_code, "declined_by": wish.by, "declined_at": wish.now}
    return [InvitationDeclined(**invitation.header, **told)]


def revoke_invitation(wish: RevokeInvitation, invitation: Invitation) -> list[InvitationEvent]:
    """Takes an invitation back that nobody has answered."""
    _pending(invitation, RevokeInvitation, None)
    told: dict[str, Any] = {"reason_code": wish.reason_code, "revoked_by": wish.by, "revoked_at": wish.now}
    return [InvitationRevoked(**invitation.header, **told)]


def lapse_invitation(wish: LapseInvitation, invitation: Invitation) -> list[InvitationEvent]:
    """The time to answer is over; nothing where it is not, or somebody has answered."""
    if invitation.answer != Answer.PENDING or invitation.waits(wish.now):
        return []
    return [_lapsed(invitation, wish.now)]


def _lapsed(invitation: Invitation, now: datetime) -> InvitationLapsed:
    return InvitationLapsed(**invitation.header, lapsed_at=now)


def _pending(invitation: Invitation, command: type[Any], now: datetime | None) -> None:
    """Raises WrongState where it is answered, and InvitationOver where it is too late to answer at `now`."""
    due_at = invitation.first.due_at
    if invitation.answer not in MOVES[command].begins:
        raise _wrong(invitation)
    if now is not None and now >= due_at:
        raise InvitationOver(due_at=due_at.isoformat())


def _wrong(invitation: Invitation) -> WrongState:
    answer = invitation.answer
    return WrongState(f"the invitation is {answer.value}", state=answer.value, allowed=allowed_in(MOVES, answer))


# Evolve


ANSWERED: dict[type[InvitationEvent], Answer] = {
    InvitationAccepted: Answer.ACCEPTED,
    InvitationDeclined: Answer.DECLINED,
    InvitationLapsed: Answer.LAPSED,
    InvitationRevoked: Answer.REVOKED,
}


def evolve(invitation: Invitation, happened: InvitationEvent) -> Invitation:
    match happened:
        case InvitationSent():
            return Invitation(answer=Answer.PENDING, sent=happened)
        case InvitationAccepted() | InvitationDeclined() | InvitationLapsed() | InvitationRevoked():
            return Invitation(answer=ANSWERED[type(happened)], sent=invitation.sent)
        case _:
            assert_never(happened)


Invitations = Decider[Invitation, InvitationEvent](kind="invitation", initial=Invitation(), evolve=evolve)

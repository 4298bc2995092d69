"""A membership: a person is invited to act for a partner, joins, and leaves. A partner keeps at least one owner."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import assert_never

from chassis.decider import Decider, Invalid, Refused, WrongState
from chassis.event import command, event, frozen
from contracts.values import PartnerId, PersonId

ROLES = ("owner", "seller", "marketer", "finance", "learner")
INVITATION_DAYS = 14

# Events


@event("onboarding.MemberInvited.v1")
class MemberInvited:
    membership_id: str
    person_id: PersonId
    partner_id: PartnerId
    roles: tuple[str, ...]
    position: str | None
    primary: bool
    expires_at: datetime
    invited_at: datetime


@event("onboarding.MembershipStarted.v1")
class MembershipStarted:
    membership_id: str
    person_id: PersonId
    partner_id: PartnerId
    roles: tuple[str, ...]
    position: str | None
    primary: bool
    effective_on: date


@event("onboarding.MembershipEnded.v1")
class MembershipEnded:
    membership_id: str
    person_id: PersonId
    partner_id: PartnerId
    roles: tuple[str, ...]
    effective_on: date


MembershipEvent = MemberInvited | MembershipStarted | MembershipEnded


@event("onboarding.OwnerAdded.v1")
class OwnerAdded:
    membership_id: str


@event("onboarding.OwnerRemoved.v1")
class OwnerRemoved:
    membership_id: str


@event("onboarding.TeamClosed.v1")
class TeamClosed:
    """The partner has left: nobody joins any more, and who is there goes, the last owner too."""

    partner_id: PartnerId
    closed_at: datetime


TeamEvent = OwnerAdded | OwnerRemoved | TeamClosed

# Commands


@command("onboarding.InviteMember.v1")
class InviteMember:
    membership_id: str
    person_id: PersonId
    partner_id: PartnerId
    roles: tuple[str, ...]
    position: str | None = None
    primary: bool = True
    now: datetime


@command("onboarding.JoinPartner.v1")
class JoinPartner:
    membership_id: str
    partner_id: PartnerId
    on: date
    now: datetime


@command("onboarding.EndMembership.v1")
class EndMembership:
    """Who is `forgotten` goes, though it be the last owner."""

    membership_id: str
    partner_id: PartnerId
    on: date
    now: datetime
    forgotten: bool = False


@command("onboarding.CloseTeam.v1")
class CloseTeam:
    partner_id: PartnerId
    now: datetime


# State


@frozen
class Membership:
    """Status: none, invited, active or ended."""

    status: str = "none"
    invitation: MemberInvited | None = None


@dataclass(frozen=True)
class Team:
    """The memberships of a partner's owners; `closed` once the partner has left."""

    owners: frozenset[str] = frozenset()
    closed: bool = False


# Refusals


class InvitationExpired(Refused):
    """The invitation has expired: ask for a new one."""

    status = 410
    slug = "invite-expired"


class LastOwner(Refused):
    """A partner keeps at least one owner: name another one first."""

    slug = "last-owner"


# Decisions


def invite(wish: InviteMember, membership: Membership) -> list[MembershipEvent]:
    if membership.status == "invited" and not _expired(membership, wish.now):
        return []
    if membership.status == "active":
        raise WrongState("the person is a member already", state="active", allowed=["none", "ended"])
    unknown = sorted(set(wish.roles) - set(ROLES))
    if unknown or not wish.roles:
        raise Invalid(f"roles are of: {', '.join(ROLES)}", errors=[_fault(role) for role in unknown])
    return [
        MemberInvited(
            membership_id=wish.membership_id,
            person_id=wish.person_id,
            partner_id=wish.partner_id,
            roles=wish.roles,
            position=wish.position,
            primary=wish.primary,
            expires_at=wish.now + timedelta(days=INVITATION_DAYS),
            invited_at=wish.now,
        )
    ]


def join(wish: JoinPartner, membership: Membership, team: Team) -> tuple[list[MembershipEvent], list[TeamEvent]]:
    if membership.status == "active":
        return [], []
    if team.closed:
        raise WrongState("the partner has left", state="offboarded", allowed=["active", "suspended"])
    invitation = _open_invitation(membership, wish.now)
    started = MembershipStarted(
        membership_id=wish.membership_id,
        person_id=invitation.person_id,
        partner_id=invitation.partner_id,
        roles=invitation.roles,
        position=invitation.position,
        primary=invitation.primary,
        effective_on=wish.on,
    )
    owner: list[TeamEvent] = [OwnerAdded(membership_id=wish.membership_id)] if "owner" in invitation.roles else []
    return [started], owner


def _open_invitation(membership: Membership, now: datetime) -> MemberInvited:
    if membership.status != "invited" or membership.invitation is None:
        raise WrongState(f"the membership is {membership.status}", state=membership.status, allowed=["invited"])
    if _expired(membership, now):
        raise InvitationExpired
    return membership.invitation


def end(wish: EndMembership, membership: Membership, team: Team) -> tuple[list[MembershipEvent], list[TeamEvent]]:
    if membership.status == "ended":
        return [], []
    if membership.status != "active" or membership.invitation is None:
        raise WrongState(f"the membership is {membership.status}", state=membership.status, allowed=["active"])
    if team.owners == {wish.membership_id} and not (wish.forgotten or team.closed):
        raise LastOwner
    ended = MembershipEnded(
        membership_id=wish.membership_id,
        person_id=membership.invitation.person_id,
        partner_id=membership.invitation.partner_id,
        roles=membership.invitation.roles,
        effective_on=wish.on,
    )
    leaves = wish.membership_id in team.owners
    return [ended], [OwnerRemoved(membership_id=wish.membership_id)] if leaves else []


def close_team(wish: CloseTeam, team: Team) -> list[TeamEvent]:
    """Closes the team of a partner that has left, once."""
    return [] if team.closed else [TeamClosed(partner_id=wish.partner_id, closed_at=wish.now)]


def _expired(membership: Membership, now: datetime) -> bool:
    return membership.invitation is not None and membership.invitation.expires_at <= now


def _fault(role: str) -> dict[str, str]:
    return {"path": "roles", "code": "unknown", "message": f"{role!r} is not a role at a partner"}


# Evolve


def evolve(membership: Membership, happened: MembershipEvent) -> Membership:
    match happened:
        case MemberInvited():
            return Membership(status="invited", invitation=happened)
        case MembershipStarted():
            return replace(membership, status="active")
        case MembershipEnded():
            return replace(membership, status="ended")
        case _:
            assert_never(happened)


def evolve_team(team: Team, happened: TeamEvent) -> Team:
    match happened:
        case OwnerAdded():
            return replace(team, owners=team.owners | {happened.membership_id})
        case OwnerRemoved():
            return replace(team, owners=team.owners - {happened.membership_id})
        case TeamClosed():
            return replace(team, closed=True)
        case _:
            assert_never(happened)


Memberships = Decider[Membership, MembershipEvent](kind="membership", initial=Membership(), evolve=evolve)
Teams = Decider[Team, TeamEvent](kind="team", initial=Team(), evolve=evolve_team)

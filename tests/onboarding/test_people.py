"""People and their memberships: known, invited, joined, gone; a partner keeps an owner."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chassis.decider import Invalid, WrongState
from chassis.event import Sealed
from chassis.testing.kit import given
from services.onboarding.application import HANDLES
from services.onboarding.domain.membership import (
    CloseTeam,
    EndMembership,
    InvitationExpired,
    InviteMember,
    JoinPartner,
    LastOwner,
    MemberInvited,
    MembershipEnded,
    Memberships,
    MembershipStarted,
    OwnerAdded,
    OwnerRemoved,
    TeamClosed,
    Teams,
)
from services.onboarding.domain.person import ErasePerson, People, PersonErased, PersonRegistered, RegisterPerson

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
EXPIRY = datetime(2026, 3, 17, 10, tzinfo=UTC)
NAME, MAIL = Sealed(subject="x-1", box="name"), Sealed(subject="x-1", box="mail")
BY_COMMAND = {handles.command: handles for handles in HANDLES}

# Persons

REGISTER = RegisterPerson(person_id="x-1", name=NAME, mail=MAIL, mail_key="k", locale="en", zone="UTC", now=NOW)
REGISTERED = PersonRegistered(
    person_id="x-1", name=NAME, mail=MAIL, mail_key="k", locale="en", zone="UTC", registered_at=NOW
)
ERASE = ErasePerson(person_id="x-1", now=LATER)
ERASED = PersonErased(person_id="x-1", erased_at=LATER)


def person(command: Any, *history: Any) -> Any:
    return given(BY_COMMAND[type(command)], (People.at("x-1"), history)).when(command)


def test_a_person_becomes_known_once() -> None:
    person(REGISTER).then([REGISTERED])
    person(replace(REGISTER, locale="de"), REGISTERED).then_nothing()


def test_an_address_that_is_another_s_is_refused() -> None:
    assert person(replace(REGISTER, mail_key="other"), REGISTERED).refused(WrongState).fields["state"] == "known"


def test_a_person_is_erased_once() -> None:
    person(ERASE, REGISTERED).then([ERASED])
    person(ERASE, REGISTERED, ERASED).then_nothing()


def test_who_is_not_known_cannot_be_erased() -> None:
    assert person(ERASE).refused(WrongState).fields == {"state": "none", "allowed": ["known"]}


def test_who_was_erased_does_not_come_back() -> None:
    assert person(REGISTER, REGISTERED, ERASED).refused(WrongState).fields == {"state": "erased", "allowed": ["none"]}


# Memberships

INVITE = InviteMember(membership_id="m-1", person_id="x-1", partner_id="p-1", roles=("owner",), position="CEO", now=NOW)
INVITED = MemberInvited(
    membership_id="m-1",
    person_id="x-1",
    partner_id="p-1",
    roles=("owner",),
    position="CEO",
    primary=True,
    expires_at=EXPIRY,
    invited_at=NOW,
)
JOIN = JoinPartner(membership_id="m-1", partner_id="p-1", on=date(2026, 3, 4), now=LATER)
STARTED = MembershipStarted(
    membership_id="m-1",
    person_id="x-1",
    partner_id="p-1",
    roles=("owner",),
    position="CEO",
    primary=True,
    effective_on=date(2026, 3, 4),
)
END = EndMembership(membership_id="m-1", partner_id="p-1", on=date(2026, 3, 5), now=LATER)
ENDED = MembershipEnded(
    membership_id="m-1", person_id="x-1", partner_id="p-1", roles=("owner",), effective_on=date(2026, 3, 5)
)
MINE, ANOTHER = OwnerAdded(membership_id="m-1"), OwnerAdded(membership_id="m-2")
SELLER = replace(INVITED, roles=("seller",))


def membership(command: Any, *history: Any, team: tuple[Any, ...] = ()) -> Any:
    streams = (Memberships.at("m-1"), history), (Teams.at("p-1"), team)
    return given(BY_COMMAND[type(command)], *streams).when(command)


def test_an_invitation_holds_fourteen_days() -> None:
    membership(INVITE).then([INVITED])
    membership(replace(INVITE, now=EXPIRY - timedelta(microseconds=1)), INVITED).then_nothing()
    again = replace(INVITED, invited_at=EXPIRY, expires_at=EXPIRY + timedelta(days=14))
    membership(replace(INVITE, now=EXPIRY), INVITED).then([again])


def test_who_left_can_be_invited_again() -> None:
    membership(INVITE, INVITED, STARTED, ENDED).then([INVITED])


def test_a_member_is_not_invited() -> None:
    refusal = membership(INVITE, INVITED, STARTED).refused(WrongState)
    assert refusal.fields == {"state": "active", "allowed": ["none", "ended"]}


@pytest.mark.parametrize("roles", [(), ("admin",), ("owner", "deal_desk")])
def test_a_role_that_no_partner_has_is_refused(roles: tuple[str, ...]) -> None:
    membership(replace(INVITE, roles=roles)).refused(Invalid)


def test_joining_adds_an_owner() -> None:
    membership(JOIN, INVITED).then([STARTED], [MINE])
    membership(JOIN, INVITED, STARTED, team=(MINE,)).then_nothing()


def test_joining_as_something_else_adds_no_owner() -> None:
    membership(JOIN, SELLER).then([replace(STARTED, roles=("seller",))], [])


def test_an_invitation_that_has_expired_opens_nothing() -> None:
    refusal = membership(replace(JOIN, now=EXPIRY), INVITED).refused(InvitationExpired)
    assert (refusal.status, refusal.slug) == (410, "invite-expired")


@pytest.mark.parametrize(("history", "state"), [((), "none"), ((INVITED, STARTED, ENDED), "ended")])
def test_nobody_joins_without_an_invitation(history: tuple[Any, ...], state: str) -> None:
    assert membership(JOIN, *history).refused(WrongState).fields == {"state": state, "allowed": ["invited"]}


def test_a_membership_ends_once() -> None:
    membership(END, INVITED, STARTED, team=(MINE, ANOTHER)).then([ENDED], [OwnerRemoved(membership_id="m-1")])
    membership(END, INVITED, STARTED, ENDED, team=(ANOTHER,)).then_nothing()


def test_who_is_no_owner_leaves_no_gap() -> None:
    started = replace(STARTED, roles=("seller",))
    membership(END, SELLER, started, team=(ANOTHER,)).then([replace(ENDED, roles=("seller",))], [])


def test_the_last_owner_stays() -> None:
    membership(END, INVITED, STARTED, team=(MINE,)).refused(LastOwner)
    membership(END, INVITED, STARTED, team=(MINE, ANOTHER, OwnerRemoved(membership_id="m-2"))).refused(LastOwner)


@pytest.mark.parametrize(("history", "state"), [((), "none"), ((INVITED,), "invited")])
def test_what_has_not_begun_does_not_end(history: tuple[Any, ...], state: str) -> None:
    assert membership(END, *history).refused(WrongState).fields == {"state": state, "allowed": ["active"]}


def test_nobody_joins_a_partner_that_has_left_and_its_last_owner_goes() -> None:
    closed = TeamClosed(partner_id="p-1", closed_at=LATER)
    wish = CloseTeam(partner_id="p-1", now=LATER)
    given(BY_COMMAND[CloseTeam], (Teams.at("p-1"), ())).when(wish).then([closed])
    given(BY_COMMAND[CloseTeam], (Teams.at("p-1"), (closed,))).when(wish).then_nothing()
    membership(JOIN, INVITED, team=(closed,)).refused(WrongState)
    membership(END, INVITED, STARTED, team=(MINE, closed)).then([ENDED], [OwnerRemoved(membership_id="m-1")])

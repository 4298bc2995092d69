"""What the gateway decides: tenants open, staff come and go, keys are made and ended, sessions open and end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.decider import Forbidden, Invalid, WrongState
from chassis.event import Sealed
from chassis.execution import Handles
from chassis.testing.kit import given
from services.gateway.application import HANDLES
from services.gateway.domain.client import (
    SCOPES,
    ClientCreated,
    ClientRevoked,
    Clients,
    CreateClient,
    KeyOfAnother,
    RevokeClient,
    RotateSecret,
    ScopeBeyondOwn,
    SecretRotated,
)
from services.gateway.domain.session import (
    EndSession,
    OpenSession,
    SessionEnded,
    SessionOpened,
    Sessions,
    SessionUsed,
    UseSession,
)
from services.gateway.domain.staff import (
    DUTIES,
    ROLES,
    AddStaff,
    ChangeRoles,
    EndStaff,
    OwnRoles,
    RolesChanged,
    StaffEnded,
    StaffJoined,
    StaffMembers,
)
from services.gateway.domain.tenant import OpenTenant, SlugTaken, TenantOpened, Tenants

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NAME, MAIL = Sealed(subject="s-1", box="name"), Sealed(subject="s-1", box="mail")
BY_COMMAND = {handles.command: handles for handles in HANDLES}


def how(command: Any) -> Handles:
    return BY_COMMAND[type(command)]


# Tenants

OPEN = OpenTenant(
    slug="acme",
    name="Acme",
    sandbox=True,
    zone="Europe/Berlin",
    currency="EUR",
    locales=("en", "de"),
    opened_by="op",
    now=NOW,
)
OPENED = TenantOpened(
    slug="acme",
    name="Acme",
    sandbox=True,
    zone="Europe/Berlin",
    currency="EUR",
    locales=("en", "de"),
    opened_by="op",
    opened_at=NOW,
)


def test_a_tenant_opens() -> None:
    given(how(OPEN)).when(OPEN).then([OPENED])


def test_a_slug_opens_once() -> None:
    given(how(OPEN), (Tenants.at("acme"), [OPENED])).when(replace(OPEN, name="Another")).refused(SlugTaken)


# Staff

ADD = AddStaff(
    staff_id="s-1",
    handle="dora",
    name=NAME,
    mail=MAIL,
    mail_key="k",
    roles=("deal_desk",),
    duties=("approver",),
    added_by="op",
    now=NOW,
)
JOINED = StaffJoined(
    staff_id="s-1",
    handle="dora",
    name=NAME,
    mail=MAIL,
    mail_key="k",
    roles=("deal_desk",),
    duties=("approver",),
    added_by="op",
    joined_at=NOW,
)
CHANGE = ChangeRoles(staff_id="s-1", roles=("admin",), duties=(), changed_by="s-2", now=LATER)
CHANGED = RolesChanged(staff_id="s-1", roles=("admin",), duties=(), changed_by="s-2", changed_at=LATER)
END = EndStaff(staff_id="s-1", ended_by="s-2", now=LATER)
ENDED = StaffEnded(staff_id="s-1", ended_by="s-2", ended_at=LATER)
DORA = StaffMembers.at("s-1")


def test_staff_join() -> None:
    given(how(ADD)).when(ADD).then([JOINED])


def test_adding_the_same_again_changes_nothing() -> None:
    given(how(ADD), (DORA, [JOINED])).when(ADD).then_nothing()


@pytest.mark.parametrize("other", [{"roles": ("admin",)}, {"duties": ()}])
def test_who_is_staff_is_not_added_with_other_rights(other: dict[str, Any]) -> None:
    refusal = given(how(ADD), (DORA, [JOINED])).when(replace(ADD, **other)).refused(WrongState)
    assert refusal.fields == {"state": "active", "allowed": ["none"]}


def test_who_has_left_may_join_again() -> None:
    again = replace(ADD, now=LATER)
    given(how(ADD), (DORA, [JOINED, ENDED])).when(again).then([replace(JOINED, joined_at=LATER)])


@pytest.mark.parametrize("wish", [ADD, CHANGE])
@pytest.mark.parametrize(
    ("given_rights", "unknown"),
    [({"roles": ("god",)}, ["god"]), ({"duties": ("root", "approver")}, ["root"]), ({"roles": ()}, [])],
)
def test_a_right_that_nobody_has_is_refused(wish: Any, given_rights: dict[str, Any], unknown: list[str]) -> None:
    history = [] if wish is ADD else [(DORA, [JOINED])]
    refusal = given(how(wish), *history).when(replace(wish, **given_rights)).refused(Invalid)
    assert [fault["message"].split("'")[1] for fault in refusal.fields["errors"]] == unknown


def test_every_role_and_duty_of_the_vendor_can_be_given() -> None:
    all_rights = replace(ADD, roles=ROLES, duties=DUTIES)
    given(how(ADD)).when(all_rights).then([replace(JOINED, roles=ROLES, duties=DUTIES)])


def test_roles_change() -> None:
    given(how(CHANGE), (DORA, [JOINED])).when(CHANGE).then([CHANGED])


def test_the_roles_that_one_has_are_no_change() -> None:
    given(how(CHANGE), (DORA, [JOINED, CHANGED])).when(CHANGE).then_nothing()


def test_nobody_changes_their_own_roles() -> None:
    given(how(CHANGE), (DORA, [JOINED])).when(replace(CHANGE, changed_by="s-1")).refused(OwnRoles)


@pytest.mark.parametrize("wish", [CHANGE, END])
def test_who_never_was_staff_has_no_roles_and_no_end(wish: Any) -> None:
    assert given(how(wish)).when(wish).refused(WrongState).fields == {"state": "none", "allowed": ["active"]}


def test_roles_of_who_has_left_do_not_change() -> None:
    refusal = given(how(CHANGE), (DORA, [JOINED, ENDED])).when(CHANGE).refused(WrongState)
    assert refusal.fields == {"state": "ended", "allowed": ["active"]}


def test_staff_leave_once() -> None:
    given(how(END), (DORA, [JOINED])).when(END).then([ENDED])
    given(how(END), (DORA, [JOINED, ENDED])).when(END).then_nothing()


def test_nobody_ends_themselves() -> None:
    given(how(END), (DORA, [JOINED])).when(replace(END, ended_by="s-1")).refused(OwnRoles)


# Clients

CREATE = CreateClient(
    client_id="c-1",
    name="Exporter",
    kind="partner",
    partner_id="p-1",
    roles=("owner",),
    duties=(),
    scopes=("registration:read", "registration:write"),
    secret_sha256="aa",
    days=30,
    created_by="person-1",
    now=NOW,
)
CREATED = ClientCreated(
    client_id="c-1",
    name="Exporter",
    kind="partner",
    partner_id="p-1",
    roles=("owner",),
    duties=(),
    scopes=("registration:read", "registration:write"),
    secret_sha256="aa",
    created_by="person-1",
    created_at=NOW,
    expires_at=datetime(2026, 4, 2, 10, tzinfo=UTC),
)
ROTATE = RotateSecret(client_id="c-1", secret_sha256="bb", overlap_hours=24, now=LATER)
ROTATED = SecretRotated(
    client_id="c-1", secret_sha256="bb", old_until=datetime(2026, 3, 4, 11, tzinfo=UTC), rotated_at=LATER
)
REVOKE = RevokeClient(client_id="c-1", revoked_by="person-1", now=LATER)
REVOKED = ClientRevoked(client_id="c-1", revoked_by="person-1", revoked_at=LATER)
EXPORTER = Clients.at("c-1")


def test_a_client_is_made_once() -> None:
    given(how(CREATE)).when(CREATE).then([CREATED])
    given(how(CREATE), (EXPORTER, [CREATED])).when(CREATE).then_nothing()


@pytest.mark.parametrize(("scopes", "faults"), [((), 0), (("registration:read", "bank:write"), 1), (("*",), 1)])
def test_a_scope_that_is_none_is_refused(scopes: tuple[str, ...], faults: int) -> None:
    refusal = given(how(CREATE)).when(replace(CREATE, scopes=scopes)).refused(Invalid)
    assert len(refusal.fields["errors"]) == faults


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_key_lives_a_year_at_most(days: int) -> None:
    given(how(CREATE)).when(replace(CREATE, days=days)).refused(Invalid)


def test_every_scope_can_be_given() -> None:
    assert len(SCOPES) == 10
    given(how(CREATE)).when(replace(CREATE, scopes=SCOPES)).then([replace(CREATED, scopes=SCOPES)])


def test_a_key_that_a_key_makes_reaches_no_further() -> None:
    narrow = replace(CREATE, own_scopes=("registration:read",))
    given(how(CREATE)).when(narrow).refused(ScopeBeyondOwn)
    within = replace(narrow, scopes=("registration:read",))
    given(how(CREATE)).when(within).then([replace(CREATED, scopes=("registration:read",))])


def test_a_secret_is_rotated() -> None:
    given(how(ROTATE), (EXPORTER, [CREATED])).when(ROTATE).then([ROTATED])
    given(how(ROTATE), (EXPORTER, [CREATED, ROTATED])).when(ROTATE).then_nothing()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"rotated_by": "person-2"}, KeyOfAnother),
        ({"rotated_by": "person-2", "own_scopes": SCOPES}, KeyOfAnother),
        ({"rotated_by": "person-1", "own_scopes": ("registration:read", "gateway:write")}, ScopeBeyondOwn),
    ],
)
def test_nobody_comes_by_another_s_rights_by_rotating(changes: dict[str, Any], refusal: type[Forbidden]) -> None:
    wish = replace(ROTATE, **changes)
    given(how(wish), (EXPORTER, [CREATED])).when(wish).refused(refusal)


def test_a_maker_rotates_by_hand_and_by_a_key_that_reaches_as_far() -> None:
    for own in ((), CREATED.scopes, SCOPES):
        wish = replace(ROTATE, rotated_by="person-1", own_scopes=own)
        given(how(wish), (EXPORTER, [CREATED])).when(wish).then([ROTATED])


def test_a_client_is_revoked_once() -> None:
    given(how(REVOKE), (EXPORTER, [CREATED])).when(REVOKE).then([REVOKED])
    given(how(REVOKE), (EXPORTER, [CREATED, REVOKED])).when(REVOKE).then_nothing()


@pytest.mark.parametrize(
    ("wish", "history", "state"),
    [(ROTATE, [], "none"), (REVOKE, [], "none"), (ROTATE, [CREATED, REVOKED], "revoked")],
)
def test_only_an_active_client_is_rotated_or_revoked(wish: Any, history: list[Any], state: str) -> None:
    refusal = given(how(wish), (EXPORTER, history)).when(wish).refused(WrongState)
    assert refusal.fields == {"state": state, "allowed": ["active"]}


@pytest.mark.parametrize(
    ("history", "secret", "at", "opens"),
    [
        ([], "aa", NOW, False),
        ([CREATED], "aa", NOW, True),
        ([CREATED], "ab", NOW, False),
        ([CREATED], "", NOW, False),
        ([CREATED], "aa", CREATED.expires_at - timedelta(microseconds=1), True),
        ([CREATED], "aa", CREATED.expires_at, False),
        ([CREATED, ROTATED], "bb", LATER, True),
        ([CREATED, ROTATED], "aa", ROTATED.old_until - timedelta(microseconds=1), True),
        ([CREATED, ROTATED], "aa", ROTATED.old_until, False),
        ([CREATED, ROTATED, replace(ROTATED, secret_sha256="cc")], "aa", LATER, False),
        ([CREATED, ROTATED, replace(ROTATED, secret_sha256="cc")], "bb", LATER, True),
        ([CREATED, REVOKED], "aa", LATER, False),
        ([CREATED, ROTATED, REVOKED], "bb", LATER, False),
    ],
)
def test_which_secret_opens_when(history: list[Any], secret: str, at: datetime, opens: bool) -> None:
    assert Clients.fold(history).opens(secret, at) is opens


# Sessions

SIGN_IN = OpenSession(
    session_id="h", tenant="acme", subject="s-1", kind="vendor", roles=("finance",), duties=("approver",), now=NOW
)
SIGNED_IN = SessionOpened(
    session_id="h",
    tenant="acme",
    subject="s-1",
    kind="vendor",
    partner_id=None,
    roles=("finance",),
    duties=("approver",),
    opened_at=NOW,
    expires_at=datetime(2026, 3, 3, 22, tzinfo=UTC),
)
SIGN_OUT = EndSession(session_id="h", cause="signed_out", now=LATER)
SIGNED_OUT = SessionEnded(session_id="h", cause="signed_out", ended_at=LATER)
MINE = Sessions.at("h")


def test_a_session_opens_once_and_never_again() -> None:
    given(how(SIGN_IN)).when(SIGN_IN).then([SIGNED_IN])
    given(how(SIGN_IN), (MINE, [SIGNED_IN])).when(SIGN_IN).then_nothing()
    given(how(SIGN_IN), (MINE, [SIGNED_IN, SIGNED_OUT])).when(SIGN_IN).then_nothing()


def test_a_session_ends_once() -> None:
    given(how(SIGN_OUT)).when(SIGN_OUT).then_nothing()
    given(how(SIGN_OUT), (MINE, [SIGNED_IN])).when(SIGN_OUT).then([SIGNED_OUT])
    given(how(SIGN_OUT), (MINE, [SIGNED_IN, SIGNED_OUT])).when(SIGN_OUT).then_nothing()


IDLING = replace(SIGNED_IN, idle_minutes=60)


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def used(minutes: float) -> SessionUsed:
    return SessionUsed(session_id="h", used_at=after(minutes))


USED = used(15)


def test_a_session_takes_its_lengths_from_the_sign_in() -> None:
    wish = replace(SIGN_IN, absolute_hours=2, idle_minutes=60)
    given(how(wish)).when(wish).then([replace(IDLING, expires_at=NOW + timedelta(hours=2))])


@pytest.mark.parametrize(
    ("history", "minutes", "recorded"),
    [
        ([], 20, False),
        ([SIGNED_IN], 20, False),
        ([IDLING], 14.9, False),
        ([IDLING], 15, True),
        ([IDLING, used(15)], 29.9, False),
        ([IDLING, used(15)], 30, True),
        ([IDLING, used(15)], 74.9, True),
        ([IDLING, used(15)], 75, False),
        ([IDLING, SIGNED_OUT], 20, False),
    ],
)
def test_a_use_is_recorded_once_a_quarter_of_the_idle_time(history: list[Any], minutes: float, recorded: bool) -> None:
    wish = UseSession(session_id="h", now=after(minutes))
    deciding = given(how(wish), (MINE, history)).when(wish)
    if recorded:
        deciding.then([used(minutes)])
    else:
        deciding.then_nothing()


@pytest.mark.parametrize(
    ("history", "at", "good"),
    [
        ([], NOW, False),
        ([SIGNED_IN], NOW, True),
        ([IDLING], after(59.9), True),
        ([IDLING], after(60), False),
        ([IDLING, used(59)], after(118.9), True),
        ([IDLING, used(59)], after(119), False),
        ([SIGNED_IN], SIGNED_IN.expires_at - timedelta(microseconds=1), True),
        ([SIGNED_IN], SIGNED_IN.expires_at, False),
        ([SIGNED_IN, SIGNED_OUT], NOW, False),
    ],
)
def test_when_a_session_signs_in(history: list[Any], at: datetime, good: bool) -> None:
    assert Sessions.fold(history).good(at) is good

"""A member of the vendor's staff: roles and duties, from joining to leaving."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider, Invalid, Refused, WrongState
from chassis.event import Sealed, command, event, frozen

ROLES = ("admin", "channel_manager", "deal_desk", "finance", "marketing", "analyst")
DUTIES = (
    "legal", "trainer", "signatory", "plan_admin", "approver", "fund_manager", "credit_controller", "override",
    "arbiter", "auditor",
)  # fmt: skip

# Events


@event("gateway.StaffJoined.v1")
class StaffJoined:
    """`handle` is the short name that colleagues use; the full name and mail are sealed."""

    staff_id: str
    handle: str
    name: Sealed
    mail: Sealed
    mail_key: str
    roles: tuple[str, ...]
    duties: tuple[str, ...]
    added_by: str
    joined_at: datetime


@event("gateway.RolesChanged.v1")
class RolesChanged:
    staff_id: str
    roles: tuple[str, ...]
    duties: tuple[str, ...]
    changed_by: str
    changed_at: datetime


@event("gateway.StaffEnded.v1")
class StaffEnded:
    staff_id: str
    ended_by: str
    ended_at: datetime


StaffEvent = StaffJoined | RolesChanged | StaffEnded

# Commands


@command("gateway.AddStaff.v1")
class AddStaff:
    staff_id: str
    handle: str
    name: Sealed
    mail: Sealed
    mail_key: str
    roles: tuple[str, ...]
    duties: tuple[str, ...] = ()
    added_by: str
    now: datetime


@command("gateway.ChangeRoles.v1")
class ChangeRoles:
    staff_id: str
    roles: tuple[str, ...]
    duties: tuple[str, ...] = ()
    changed_by: str
    now: datetime


@command("gateway.EndStaff.v1")
class EndStaff:
    staff_id: str
    ended_by: str
    now: datetime


# State


@frozen
class Staff:
    """Status: none, active or ended."""

    status: str = "none"
    roles: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()


# Refusals


class OwnRoles(Refused):
    """Nobody changes their own roles: ask another administrator."""

    slug = "own-roles"


# Decisions


def add(wish: AddStaff, staff: Staff) -> list[StaffEvent]:
    _known(wish.roles, wish.duties)
    if staff.status == "active" and (staff.roles, staff.duties) == (wish.roles, wish.duties):
        return []
    if staff.status == "active":
        raise WrongState("this person is staff already: change the roles instead", state="active", allowed=["none"])
    return [
        StaffJoined(
            staff_id=wish.staff_id,
            handle=wish.handle,
            name=wish.name,
            mail=wish.mail,
            mail_key=wish.mail_key,
            roles=wish.roles,
            duties=wish.duties,
            added_by=wish.added_by,
            joined_at=wish.now,
        )
    ]


def change_roles(wish: ChangeRoles, staff: Staff) -> list[StaffEvent]:
    _known(wish.roles, wish.duties)
    _active(staff)
    if wish.changed_by == wish.staff_id:
        raise OwnRoles
    if (staff.roles, staff.duties) == (wish.roles, wish.duties):
        return []
    return [
        RolesChanged(
            staff_id=wish.staff_id,
            roles=wish.roles,
            duties=wish.duties,
            changed_by=wish.changed_by,
            changed_at=wish.now,
        )
    ]


def end(wish: EndStaff, staff: Staff) -> list[StaffEvent]:
    if staff.status == "ended":
        return []
    _active(staff)
    if wish.ended_by == wish.staff_id:
        raise OwnRoles
    return [StaffEnded(staff_id=wish.staff_id, ended_by=wish.ended_by, ended_at=wish.now)]


def _active(staff: Staff) -> None:
    if staff.status != "active":
        raise WrongState(f"the member of staff is {staff.status}", state=staff.status, allowed=["active"])


def _known(roles: tuple[str, ...], duties: tuple[str, ...]) -> None:
    unknown = sorted({*roles} - {*ROLES} | {*duties} - {*DUTIES})
    if unknown or not roles:
        faults = [{"path": "roles", "code": "unknown", "message": f"{name!r} is no role or duty"} for name in unknown]
        raise Invalid(f"roles (one at least) are of: {', '.join(ROLES)}; duties of: {', '.join(DUTIES)}", errors=faults)


# Evolve


def evolve(staff: Staff, happened: StaffEvent) -> Staff:
    match happened:
        case StaffJoined() | RolesChanged():
            return Staff(status="active", roles=happened.roles, duties=happened.duties)
        case StaffEnded():
            return replace(staff, status="ended")
        case _:
            assert_never(happened)


StaffMembers = Decider[Staff, StaffEvent](kind="staff", initial=Staff(), evolve=evolve)

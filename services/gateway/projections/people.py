"""Who may sign in, as whom? Vendor staff, members of partners, API clients, sessions. No names: they are sealed."""

from typing import Any, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from contracts import onboarding
from services.gateway.domain import client, session, staff

Document = dict[str, Any]


class ShownStaff(TypedDict):
    """A member of the vendor's staff with its roles and duties: active or ended."""

    staff_id: str
    handle: str
    name: Sealed
    mail: Sealed
    roles: list[str]
    duties: list[str]
    status: str
    version: int


class ClientDocument(TypedDict):
    """An API client: active or revoked, and until when its key opens."""

    client_id: str
    name: str
    kind: str
    partner_id: str | None
    scopes: list[str]
    status: str
    created_at: str
    expires_at: str
    rotated_at: str | None
    version: int


def evolve_staff(document: Document | None, seen: Seen) -> Document | None:
    happened = seen.event
    if isinstance(happened, staff.StaffJoined):
        return _joined(happened, seen.version)
    if document is None:
        return None
    if isinstance(happened, staff.RolesChanged):
        return {**document, "roles": list(happened.roles), "duties": list(happened.duties), "version": seen.version}
    return {**document, "status": "ended", "version": seen.version}


def _joined(it: staff.StaffJoined, version: int) -> Document:
    return {
        "staff_id": it.staff_id,
        "handle": it.handle,
        "name": plain(it.name),
        "mail": plain(it.mail),
        "mail_key": it.mail_key,
        "roles": list(it.roles),
        "duties": list(it.duties),
        "status": "active",
        "version": version,
    }


STAFF = Projection(
    name="staff",
    version=2,
    keys=dict.fromkeys((staff.StaffJoined, staff.RolesChanged, staff.StaffEnded), lambda seen: seen.event.staff_id),
    evolve=evolve_staff,
    indexes=("handle", "status", "mail_key"),
)


def evolve_member(document: Document | None, seen: Seen) -> Document:
    happened = seen.event
    return {
        "membership_id": happened.membership_id,
        "person_id": happened.person_id,
        "partner_id": happened.partner_id,
        "roles": list(happened.roles),
        "status": "active" if isinstance(happened, onboarding.MembershipStarted) else "ended",
    }


MEMBERS = Projection(
    name="members",
    version=1,
    keys=dict.fromkeys(
        (onboarding.MembershipStarted, onboarding.MembershipEnded), lambda seen: seen.event.membership_id
    ),
    evolve=evolve_member,
    indexes=("partner_id", "person_id", "status"),
)


def evolve_client(document: Document | None, seen: Seen) -> Document | None:
    happened = seen.event
    if isinstance(happened, client.ClientCreated):
        return _client(happened, seen.version)
    if document is None:
        return None
    if isinstance(happened, client.SecretRotated):
        return {**document, "rotated_at": iso(happened.rotated_at), "version": seen.version}
    return {**document, "status": "revoked", "version": seen.version}


def _client(it: client.ClientCreated, version: int) -> Document:
    return {
        "client_id": it.client_id,
        "name": it.name,
        "kind": it.kind,
        "partner_id": it.partner_id,
        "scopes": list(it.scopes),
        "status": "active",
        "created_at": iso(it.created_at),
        "expires_at": iso(it.expires_at),
        "rotated_at": None,
        "version": version,
    }


CLIENTS = Projection(
    name="clients",
    version=1,
    keys=dict.fromkeys(
        (client.ClientCreated, client.SecretRotated, client.ClientRevoked), lambda seen: seen.event.client_id
    ),
    evolve=evolve_client,
    indexes=("partner_id", "created_at"),
)


def evolve_session(document: Document | None, seen: Seen) -> Document | None:
    happened = seen.event
    if isinstance(happened, session.SessionOpened):
        return {
            "session_id": happened.session_id,
            "tenant": happened.tenant,
            "subject": happened.subject,
            "partner_id": happened.partner_id,
            "opened_at": iso(happened.opened_at),
            "expires_at": iso(happened.expires_at),
        }
    return None


SESSIONS = Projection(
    name="sessions",
    version=1,
    keys=dict.fromkeys((session.SessionOpened, session.SessionEnded), lambda seen: seen.event.session_id),
    evolve=evolve_session,
    indexes=("subject", "partner_id"),
)

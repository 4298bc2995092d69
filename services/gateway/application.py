"""What the gateway can do: each command and the streams it touches."""

from typing import Any, TypedDict

from chassis.execution import Handles
from services.gateway.domain import client, login, session, staff, tenant
from services.gateway.domain.client import Clients
from services.gateway.domain.login import Identities, Logins, identity_of
from services.gateway.domain.session import Sessions
from services.gateway.domain.staff import StaffMembers
from services.gateway.domain.tenant import Tenants


def _tenant_stream(wish: tenant.OpenTenant) -> tuple[Any, ...]:
    return (Tenants.at(wish.slug),)


def _staff_stream(wish: Any) -> tuple[Any, ...]:
    return (StaffMembers.at(wish.staff_id),)


def _client_stream(wish: Any) -> tuple[Any, ...]:
    return (Clients.at(wish.client_id),)


def _session_stream(wish: Any) -> tuple[Any, ...]:
    return (Sessions.at(wish.session_id),)


def _login_and_identity(wish: login.LinkPerson) -> tuple[Any, ...]:
    return Logins.at(wish.login_id), Identities.at(identity_of(wish.tenant, wish.subject))


def _identity_stream(wish: login.ReleaseIdentity) -> tuple[Any, ...]:
    return (Identities.at(identity_of(wish.tenant, wish.subject)),)


class TenantAnswer(TypedDict):
    slug: str
    status: str


class StaffAnswer(TypedDict):
    """The member of the vendor's staff with what it may do now."""

    staff_id: str
    status: str
    roles: list[str]
    duties: list[str]


class ClientAnswer(TypedDict):
    """The API client, and how far it reaches."""

    client_id: str
    status: str
    scopes: list[str]


class ReleaseAnswer(TypedDict):
    """Whose account was let go of."""

    subject: str
    status: str


def _tenant(wish: tenant.OpenTenant, state: tenant.Tenant) -> TenantAnswer:
    return {"slug": wish.slug, "status": "open"}


def _staff(wish: Any, state: staff.Staff) -> StaffAnswer:
    return {"staff_id": wish.staff_id, "status": state.status, "roles": list(state.roles), "duties": list(state.duties)}


def _client(wish: Any, state: client.Client) -> ClientAnswer:
    return {"client_id": wish.client_id, "status": state.status, "scopes": list(state.scopes)}


def _released(wish: login.ReleaseIdentity, _: login.Identity) -> ReleaseAnswer:
    return {"subject": wish.subject, "status": "released"}


HANDLES = (
    Handles(tenant.OpenTenant, tenant.open_tenant, _tenant_stream, answer=_tenant),
    Handles(staff.AddStaff, staff.add, _staff_stream, answer=_staff),
    Handles(staff.ChangeRoles, staff.change_roles, _staff_stream, answer=_staff),
    Handles(staff.EndStaff, staff.end, _staff_stream, answer=_staff),
    Handles(client.CreateClient, client.create, _client_stream, answer=_client),
    Handles(client.RotateSecret, client.rotate, _client_stream, answer=_client),
    Handles(client.RevokeClient, client.revoke, _client_stream, answer=_client),
    Handles(session.OpenSession, session.open_session, _session_stream),
    Handles(session.UseSession, session.use_session, _session_stream),
    Handles(session.EndSession, session.end_session, _session_stream),
    Handles(login.LinkPerson, login.link_person, _login_and_identity),
    Handles(login.ReleaseIdentity, login.release_identity, _identity_stream, answer=_released),
)

"""Who may do and see what at the gateway (the page's rows `users, clients, endpoints` and `audit`)."""

from chassis.access import Access, Who, anonymous, partner, service, vendor
from services.gateway.domain.client import CreateClient, RevokeClient, RotateSecret
from services.gateway.domain.login import LinkPerson, ReleaseIdentity
from services.gateway.domain.session import EndSession, OpenSession, UseSession
from services.gateway.domain.staff import AddStaff, ChangeRoles, EndStaff
from services.gateway.domain.tenant import OpenTenant

ME, READ_STAFF, READ_CLIENTS = "read me", "read staff", "read clients"
READ_PERSON = "read everything about a person"
READ_EVENTS, READ_TIMELINE, READ_BOARD, SEARCH = "read events", "read timeline", "read deal board", "search"
READ_WORKLIST = "read worklist"
READ_DEAL_EVENTS, READ_MONEY_EVENTS, READ_PARTNER_EVENTS = (
    "read deal events",
    "read money events",
    "read partner events",
)

_BOTH = (vendor(), partner(), service())
_ADMIN = (vendor("admin"), service())
_CLIENT_OWNERS = (vendor("admin"), partner("owner"), service())
_OPERATOR = Who("operator")
_DEALS = (
    vendor("admin", "channel_manager", "deal_desk", "finance", "analyst"),
    partner("owner", "seller", "finance"),
    service(),
)
_MONEY = (vendor("admin", "channel_manager", "finance", "analyst"), partner("owner", "finance"), service())

ACCESS = Access(
    {
        OpenTenant: (_OPERATOR, service()),
        AddStaff: (*_ADMIN, _OPERATOR),
        ChangeRoles: _ADMIN,
        EndStaff: _ADMIN,
        CreateClient: _CLIENT_OWNERS,
        RotateSecret: _CLIENT_OWNERS,
        RevokeClient: _CLIENT_OWNERS,
        OpenSession: (anonymous(),),
        UseSession: (anonymous(),),
        EndSession: (anonymous(),),
        LinkPerson: (anonymous(),),
        ReleaseIdentity: _ADMIN,
        ME: _BOTH,
        READ_STAFF: (vendor(), service()),
        READ_CLIENTS: _CLIENT_OWNERS,
        READ_PERSON: (vendor("admin"),),
        READ_EVENTS: _BOTH,
        READ_DEAL_EVENTS: _DEALS,
        READ_MONEY_EVENTS: _MONEY,
        READ_PARTNER_EVENTS: _BOTH,
        READ_TIMELINE: _DEALS,
        READ_BOARD: _DEALS,
        SEARCH: _DEALS,
        READ_WORKLIST: _BOTH,
    }
)

EVENTS_OF = {
    "onboarding": READ_PARTNER_EVENTS,
    "registration": READ_DEAL_EVENTS,
    "attribution": READ_DEAL_EVENTS,
    "incentives": READ_MONEY_EVENTS,
    "gateway": READ_PARTNER_EVENTS,
}
"""Whose events are whose to read: each service's, of who may read what they are about."""

"""Who may do and see what at the gateway (the page's rows `users, clients, endpoints` and `audit`)."""

from chassis.access import Access, Who, anonymous, partner, service, vendor
from services.gateway.domain.client import CreateClient, RevokeClient, RotateSecret
from services.gateway.domain.session import EndSession, OpenSession
from services.gateway.domain.staff import AddStaff, ChangeRoles, EndStaff
from services.gateway.domain.tenant import OpenTenant

ME, READ_STAFF, READ_CLIENTS = "read me", "read staff", "read clients"
READ_EVENTS, READ_TIMELINE, READ_BOARD, SEARCH = "read events", "read timeline", "read deal board", "search"

_BOTH = (vendor(), partner(), service())
_ADMIN = (vendor("admin"), service())
_CLIENT_OWNERS = (vendor("admin"), partner("owner"), service())
_OPERATOR = Who("operator")

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
        EndSession: (anonymous(),),
        ME: _BOTH,
        READ_STAFF: (vendor(), service()),
        READ_CLIENTS: _CLIENT_OWNERS,
        READ_EVENTS: _BOTH,
        READ_TIMELINE: _BOTH,
        READ_BOARD: _BOTH,
        SEARCH: _BOTH,
    }
)

"""What the gateway tells: tenants open."""

from datetime import datetime

from chassis.event import PublicEvent, public_event


@public_event("entente.gateway.TenantOpened.v1", audience="vendor")
class TenantOpened(PublicEvent):
    """A vendor starts; every service may now receive its commands. `zone` is an IANA time zone."""

    slug: str
    name: str
    sandbox: bool
    zone: str
    currency: str
    locales: tuple[str, ...]
    opened_at: datetime

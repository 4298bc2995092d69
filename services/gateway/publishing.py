"""Which of the gateway's events the services hear."""

from chassis.event import PublicEvent, Seen
from contracts import gateway as public
from services.gateway.domain.tenant import TenantOpened


def publish(seen: Seen) -> PublicEvent | None:
    """The public form of a recorded event, or None."""
    match seen.event:
        case TenantOpened() as it:
            return public.TenantOpened(
                slug=it.slug,
                name=it.name,
                sandbox=it.sandbox,
                zone=it.zone,
                currency=it.currency,
                locales=it.locales,
                opened_at=it.opened_at,
            )
        case _:
            return None

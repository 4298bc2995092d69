"""Whether the CRM has the sale of an approved deal: told by attribution, and missed a day after the approval."""

from datetime import timedelta

from services.registration.domain.deal import Deal, Status
from services.registration.domain.deal_commands import FlagMissingLink, LinkDeal
from services.registration.domain.deal_events import DealEvent, DealLinked, MissingLinkCleared, MissingLinkFlagged

LINK_HOURS = 24
FLAGGED_FOR = timedelta(days=7)
"""How long after that it is still flagged: a deal of before links were listened to is not said to have none."""


def link_deal(wish: LinkDeal, deal: Deal) -> list[DealEvent]:
    """Writes down that the sale is there; told again, nothing changes."""
    if deal.opportunity_id == wish.opportunity_id:
        return []
    linked = DealLinked(
        **deal.header,
        opportunity_id=wish.opportunity_id,
        external_id=wish.external_id,
        source_event_id=wish.source_event_id,
        linked_at=wish.now,
    )
    missed = [MissingLinkCleared(**deal.header, reason_code="linked", cleared_at=wish.now)] if deal.unlinked else []
    return [linked, *missed]


def flag_missing_link(wish: FlagMissingLink, deal: Deal) -> list[DealEvent]:
    """Says once that an approved deal has no sale in the CRM though it should by now."""
    waits = deal.status == Status.APPROVED and deal.opportunity_id is None and not deal.unlinked
    late = wish.now - wish.approved_at - timedelta(hours=LINK_HOURS)
    if not waits or not timedelta() <= late < FLAGGED_FOR or deal.approved_at != wish.approved_at:
        return []
    return [MissingLinkFlagged(**deal.header, approved_at=wish.approved_at, flagged_at=wish.now)]

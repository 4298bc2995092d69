"""How a deal ends: withdrawn by its partner, protection over, won or lost in the CRM."""

from collections.abc import Iterable

from services.registration.domain.claims import ClaimEvent, Claims, release
from services.registration.domain.deal import OPEN, Deal, Status, stands_in, unmoved
from services.registration.domain.deal_commands import CloseDeal, EndProtection, OnDeal, WithdrawDeal
from services.registration.domain.deal_events import DealClosed, DealEvent, DealWithdrawn, ProtectionEnded

Ended = tuple[list[DealEvent], list[list[ClaimEvent]]]


# Decisions


def withdraw_deal(wish: WithdrawDeal, deal: Deal, claims: tuple[Claims, ...]) -> Ended:
    """Takes a deal back; who waited behind it moves up."""
    stands_in(deal, *OPEN, Status.APPROVED)
    unmoved(wish, deal)
    withdrawn = DealWithdrawn(**deal.header, reason_code=wish.reason_code, withdrawn_by=wish.by, withdrawn_at=wish.now)
    return [withdrawn, *_unprotected(wish, deal, "withdrawn")], _released(wish, claims, "withdrawn")


def end_protection(wish: EndProtection, deal: Deal, claims: tuple[Claims, ...]) -> Ended:
    """Ends a protection whose time is over; before that, or when it is gone already, nothing."""
    over = deal.status == Status.APPROVED and deal.protection is not None and deal.protection.end <= wish.now
    if not over:
        return [], [[] for _ in claims]
    unmoved(wish, deal)
    return _unprotected(wish, deal, "expired"), _released(wish, claims, "expired")


def close_deal(wish: CloseDeal, deal: Deal, claims: tuple[Claims, ...]) -> Ended:
    """Writes down how the CRM says it went, also after the protection is over."""
    stands_in(deal, Status.APPROVED, Status.EXPIRED)
    unmoved(wish, deal)
    closed = DealClosed(
        **deal.header,
        result=wish.result,
        opportunity_id=wish.opportunity_id,
        source_event_id=wish.source_event_id,
        closed_at=wish.now,
    )
    return [closed, *_unprotected(wish, deal, wish.result)], _released(wish, claims, wish.result)


def _unprotected(wish: OnDeal, deal: Deal, reason_code: str) -> list[DealEvent]:
    if deal.status != Status.APPROVED:
        return []
    return [ProtectionEnded(**deal.header, reason_code=reason_code, ended_at=wish.now)]


def _released(wish: OnDeal, claims: Iterable[Claims], reason_code: str) -> list[list[ClaimEvent]]:
    return [release(state, wish.registration_id, reason_code, wish.now) for state in claims]

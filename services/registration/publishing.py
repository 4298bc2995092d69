"""Which facts of registration the other services hear, and in which words. No person, no rival, no free text."""

from typing import Any

from chassis.event import PublicEvent, Seen
from contracts import registration as public
from contracts.shared import of_rulebook
from services.registration.domain.deal_events import (
    ConflictDetected,
    DealAmended,
    DealApproved,
    DealPromoted,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealWithdrawn,
    OfDeal,
    OrderRecorded,
    ProtectionEnded,
    Terms,
)


def publish(seen: Seen) -> PublicEvent | None:
    """The public form of a recorded event; None where it stays private."""
    match seen.event:
        case DealRegistered() as happened:
            return public.DealRegistered(**_of(happened), **_terms(happened.terms))
        case DealApproved() as happened:
            return _approved(happened)
        case DealReturned() as happened:
            return public.DealReturned(**_of(happened), fields=happened.fields, returned_at=happened.returned_at)
        case DealResubmitted(fields=fields, resubmitted_at=at) as happened:
            return public.DealResubmitted(**_of(happened), fields=fields, resubmitted_at=at)
        case ConflictDetected() as happened:
            return _conflict(happened)
        case _:
            return _moved(seen.event) or of_rulebook(seen)


def _moved(happened: Any) -> PublicEvent | None:
    match happened:
        case DealQueued(place=place, free_on=day, queued_at=at):
            return public.DealQueued(**_of(happened), place=place, free_from=day, queued_at=at)
        case DealPromoted(promoted_at=at):
            return public.DealPromoted(**_of(happened), promoted_at=at)
        case DealRejected(reasons=reasons, rejected_at=at):
            codes = tuple(reason.code for reason in reasons)
            return public.DealRejected(**_of(happened), reason_codes=codes, rejected_at=at)
        case DealAmended(details=details, amended_at=at):
            return public.DealAmended(**_of(happened), amount=details.amount, close_on=details.close_on, amended_at=at)
        case OrderRecorded(order_ref=ref, amount=amount, ordered_on=day, recorded_at=at):
            return public.OrderRecorded(**_of(happened), order_ref=ref, amount=amount, ordered_on=day, recorded_at=at)
        case DealWithdrawn(reason_code=code, withdrawn_at=at):
            return public.DealWithdrawn(**_of(happened), reason_code=code, withdrawn_at=at)
        case ProtectionEnded(reason_code=code, ended_at=at):
            return public.ProtectionEnded(**_of(happened), reason_code=code, ended_at=at)
        case _:
            return None


def _of(happened: OfDeal) -> dict[str, Any]:
    return {name: getattr(happened, name) for name in ("registration_id", "number", "programme", "partner_id")}


def _terms(terms: Terms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in Terms.__dataclass_fields__}


def _approved(happened: DealApproved) -> public.DealApproved:
    return public.DealApproved(
        **_of(happened),
        **_terms(happened.terms),
        protection=happened.protection,
        exclusive=happened.exclusive,
        basis=happened.basis,
        approved_at=happened.approved_at,
    )


def _conflict(happened: ConflictDetected) -> public.ConflictDetected:
    return public.ConflictDetected(
        **_of(happened),
        screening_id=happened.screening_id,
        conflict_class=happened.match,
        outcome=happened.outcome,
        free_from=happened.free_on,
        detected_at=happened.detected_at,
    )

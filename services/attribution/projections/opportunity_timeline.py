"""What happened to a sale, in order, each entry with the event that `why` explains? One document a sale."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.attribution.domain import opportunity
from services.attribution.domain.credit import CreditAllocated
from services.attribution.domain.crm_record import CrmChangeQuarantined
from services.attribution.projections.opportunity_board import BoardDocument, by_sale

ENTRIES_MAX = 500


class Entry(TypedDict):
    """One thing that happened to the sale; `partner_id` where it is a partner's own. `detail` is as the event's kind."""

    event_id: str
    type: str
    at: Annotated[str, datetime]
    partner_id: str | None
    detail: dict[str, Any]


class SaleWithTimeline(BoardDocument):
    """A sale with what happened to it, in order."""

    timeline: list[Entry]


class TimelineDocument(TypedDict):
    opportunity_id: str
    partner_ids: list[str]
    entries: list[Entry]


def evolve(document: TimelineDocument | None, seen: Seen) -> TimelineDocument:
    before: TimelineDocument = document or {
        "opportunity_id": seen.event.opportunity_id,
        "partner_ids": [],
        "entries": [],
    }
    partner_id, detail = _told(seen.event)
    entry: Entry = {
        "event_id": seen.id,
        "type": type(seen.event).__name__,
        "at": iso(seen.recorded_at),
        "partner_id": partner_id,
        "detail": detail,
    }
    return {
        "opportunity_id": before["opportunity_id"],
        "partner_ids": sorted({*before["partner_ids"], *([partner_id] if partner_id else [])}),
        "entries": [*before["entries"], entry][-ENTRIES_MAX:],
    }


def _told(happened: Any) -> tuple[str | None, dict[str, Any]]:
    """Whose entry it is (None: the sale's own) and what it says."""
    match happened:
        case opportunity.OpportunityOpened():
            return happened.partner_id, {"number": happened.number, "amount": plain(happened.amount)}
        case opportunity.OpportunityTouched(touch=touch):
            return touch.partner_id, {"touch_type": touch.touch_type, "role": touch.role}
        case opportunity.MergerFollowed():
            return happened.partner_id, {"survivor_id": happened.survivor_id}
        case opportunity.DealStageChanged() | opportunity.DealReopened():
            return None, {
                "from_stage": happened.from_stage,
                "to_stage": happened.to_stage,
                "amount": plain(happened.amount),
            }
        case opportunity.DealWon():
            return None, {
                "win_no": happened.win_no,
                "amount": plain(happened.amount),
                "closed_on": iso(happened.closed_on),
            }
        case opportunity.DealLost():
            return None, {"reason_code": happened.reason_code, "closed_on": iso(happened.closed_on)}
        case _:
            return None, _told_of_money(happened)


def _told_of_money(happened: Any) -> dict[str, Any]:
    match happened:
        case opportunity.RevenueReversed():
            return {
                "amount": plain(happened.amount),
                "remaining": plain(happened.remaining),
                "reason_code": happened.reason_code,
            }
        case CreditAllocated():
            return {"pool": happened.pool, "revision": happened.revision, "status": happened.status}
        case CrmChangeQuarantined():
            return {"code": happened.code}
        case _:
            return {}


def for_partner(document: dict[str, Any], mine: Sequence[str]) -> dict[str, Any]:
    """The sale's own entries and those of the reader's ids; none of another partner, none of the vendor's CRM."""
    entries = [
        entry
        for entry in document["entries"]
        if entry["partner_id"] in (None, *mine) and entry["type"] != CrmChangeQuarantined.__name__
    ]
    return {**document, "partner_ids": [one for one in mine if one in document["partner_ids"]], "entries": entries}


OPPORTUNITY_TIMELINE = Projection(
    name="opportunity_timeline",
    version=2,
    keys=dict.fromkeys(
        (
            opportunity.OpportunityOpened,
            opportunity.OpportunityTouched,
            opportunity.MergerFollowed,
            opportunity.DealStageChanged,
            opportunity.DealReopened,
            opportunity.DealWon,
            opportunity.DealLost,
            opportunity.RevenueReversed,
            CreditAllocated,
            CrmChangeQuarantined,
        ),
        by_sale,
    ),
    evolve=evolve,
)

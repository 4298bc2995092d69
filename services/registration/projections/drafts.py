"""What a partner has begun and not submitted yet. Only its own people read it."""

from typing import Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.deal_events import DealRegistered, DraftDiscarded, DraftSaved
from services.registration.projections.deal_board import of_deal


class _Draft(TypedDict):
    registration_id: str
    partner_id: str
    number: str
    saved_at: str


class DraftDocument(_Draft):
    """`body` is the sealed JSON of the registration as far as it is written."""

    body: dict[str, Any]


class ShownDraft(_Draft):
    """`body` is the registration as far as it is written; null once its person is forgotten."""

    body: dict[str, Any] | None


def evolve(_: DraftDocument | None, seen: Seen) -> DraftDocument | None:
    happened = seen.event
    if not isinstance(happened, DraftSaved):
        return None
    return {
        "registration_id": happened.registration_id,
        "partner_id": happened.partner_id,
        "number": happened.number,
        "body": plain(happened.body),
        "saved_at": iso(happened.saved_at),
    }


DRAFTS = Projection(
    name="drafts",
    version=1,
    keys={DraftSaved: of_deal, DealRegistered: of_deal, DraftDiscarded: of_deal},
    evolve=evolve,
    indexes=("partner_id", "saved_at"),
)

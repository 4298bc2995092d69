"""Which sales are there, in what stage, worth what? One row a sale; each partner is shown its own."""

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict, cast

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.attribution.domain import opportunity
from services.attribution.domain.stages import LOST, OPEN_STAGES, WON


class BoardDocument(TypedDict):
    """A sale: waiting, open, won or lost. No partner reads another one's id."""

    opportunity_id: str
    registration_id: str | None
    number: str
    customer: str | None
    partner_id: str | None
    partner_ids: list[str]
    stage: str
    status: str
    amount: Annotated[dict[str, str], Money] | None
    remaining: Annotated[dict[str, str], Money] | None
    expected_close_on: str | None
    closed_on: str | None
    win_no: int
    external_id: str | None
    products: list[str]
    opened_at: str
    changed_at: str
    version: int


def evolve(document: BoardDocument | None, seen: Seen) -> BoardDocument | None:
    before = document or _waiting(seen)
    after: Any = {**before, **_change(before, seen.event), "changed_at": iso(seen.recorded_at), "version": seen.version}
    return cast("BoardDocument", {**after, "status": _status(after["stage"])})


def _waiting(seen: Seen) -> BoardDocument:
    """A sale of which only a touch is known yet."""
    return {
        "opportunity_id": seen.event.opportunity_id,
        "registration_id": None,
        "number": "",
        "customer": None,
        "partner_id": None,
        "partner_ids": [],
        "stage": "",
        "status": "waiting",
        "amount": None,
        "remaining": None,
        "expected_close_on": None,
        "closed_on": None,
        "win_no": 0,
        "external_id": None,
        "products": [],
        "opened_at": iso(seen.recorded_at),
        "changed_at": iso(seen.recorded_at),
        "version": seen.version,
    }


def _change(document: BoardDocument, happened: opportunity.OpportunityEvent) -> dict[str, Any]:
    match happened:
        case opportunity.OpportunityOpened():
            return _opened(document, happened)
        case opportunity.OpportunityTouched(touch=touch):
            return {"partner_ids": _with(document["partner_ids"], touch.partner_id)}
        case opportunity.CrmRecordKnown(external_id=external_id):
            return {"external_id": external_id}
        case opportunity.DealStageChanged() | opportunity.DealReopened():
            return _moved(happened)
        case opportunity.DealWon():
            return _won(happened)
        case opportunity.DealLost(closed_on=closed_on):
            return {"stage": LOST, "closed_on": iso(closed_on)}
        case opportunity.RevenueReversed(remaining=remaining):
            return {"remaining": plain(remaining)}
        case _:
            return {}


def _opened(document: BoardDocument, it: opportunity.OpportunityOpened) -> dict[str, Any]:
    return {
        "registration_id": it.registration_id,
        "number": it.number,
        "customer": it.account.name,
        "partner_id": it.partner_id,
        "partner_ids": _with(document["partner_ids"], it.partner_id),
        "stage": OPEN_STAGES[0],
        "amount": plain(it.amount),
        "expected_close_on": iso(it.close_on),
        "external_id": it.external_id,
        "products": [product.family for product in it.products],
        "opened_at": iso(it.opened_at),
    }


def _moved(it: opportunity.DealStageChanged | opportunity.DealReopened) -> dict[str, Any]:
    return {
        "stage": it.to_stage,
        "amount": plain(it.amount),
        "expected_close_on": iso(it.expected_close_on) if it.expected_close_on else None,
        "closed_on": None,
        "remaining": None,
    }


def _won(it: opportunity.DealWon) -> dict[str, Any]:
    return {
        "stage": WON,
        "amount": plain(it.amount),
        "remaining": plain(it.amount),
        "closed_on": iso(it.closed_on),
        "win_no": it.win_no,
    }


def _status(stage: str) -> str:
    if stage in (WON, LOST):
        return stage
    return "open" if stage else "waiting"


def _with(known: list[str], one: str) -> list[str]:
    return known if one in known else [*known, one]


def for_partner(document: dict[str, Any], mine: Sequence[str]) -> dict[str, Any]:
    """The row with no other partner named. `mine` are the reader's ids: its own, and of those that are one with it.

    Who takes part in another partner's deal reads what the sale is worth once it is won: then it has a share of it.
    """
    registered = document["partner_id"] if document["partner_id"] in mine else None
    hidden = document["registration_id"] and not registered and document["status"] != WON
    return {
        **document,
        "partner_id": registered,
        "partner_ids": [one for one in mine if one in document["partner_ids"]],
        "amount": None if hidden else document["amount"],
    }


def by_sale(seen: Seen) -> str:
    """The sale that a fact is about."""
    identity: str = seen.event.opportunity_id
    return identity


OPPORTUNITY_BOARD = Projection(
    name="opportunity_board",
    version=1,
    keys=dict.fromkeys(
        (
            opportunity.OpportunityOpened,
            opportunity.OpportunityTouched,
            opportunity.CrmRecordKnown,
            opportunity.DealStageChanged,
            opportunity.DealReopened,
            opportunity.DealWon,
            opportunity.DealLost,
            opportunity.RevenueReversed,
        ),
        by_sale,
    ),
    evolve=evolve,
    indexes=("changed_at", "opened_at", "status", "stage", "partner_ids[]", "registration_id"),
)

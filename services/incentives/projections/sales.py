"""What is known of each sale: its wins, credits and reversals, and the lines that came of them?"""

from typing import Any, TypedDict

import msgspec

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.incentives.domain.sale import Sale, told_name
from services.incentives.domain.sale_events import (
    BasisRecorded,
    CreditRecorded,
    FactQuarantined,
    FactResolved,
    PayoutCalculated,
    ReversalRecorded,
    WinRecorded,
)


class SaleDocument(TypedDict):
    """Facts by their keys, `told` in the order in which they became known.

    `missing` says what the sale waits for before it can be rated.
    """

    opportunity_id: str
    registration_id: str | None
    wins: dict[str, Any]
    credits: dict[str, Any]
    reversals: dict[str, Any]
    bases: dict[str, Any]
    told: list[str]
    quarantined: dict[str, str]
    line_ids: list[str]
    missing: list[str]
    changed_at: str


def evolve(document: SaleDocument | None, seen: Seen) -> SaleDocument:
    happened = seen.event
    known = document or _empty(happened.opportunity_id)
    changed = _changed(known, happened)
    waits = {"wins": not changed["wins"], "credits": not changed["credits"]}
    missing = [name for name, waited_for in waits.items() if waited_for]
    return {**changed, "missing": missing, "changed_at": iso(seen.recorded_at)}


def _empty(opportunity_id: str) -> SaleDocument:
    return {
        "opportunity_id": opportunity_id,
        "registration_id": None,
        "wins": {},
        "credits": {},
        "reversals": {},
        "bases": {},
        "told": [],
        "quarantined": {},
        "line_ids": [],
        "missing": [],
        "changed_at": "",
    }


def _changed(known: SaleDocument, happened: Any) -> SaleDocument:
    match happened:
        case WinRecorded():
            wins = {**known["wins"], str(happened.win_no): plain(happened)}
            return {**known, "wins": wins, "registration_id": happened.registration_id or known["registration_id"]}
        case CreditRecorded():
            return {**known, "credits": {**known["credits"], f"{happened.pool}-{happened.win_no}": plain(happened)}}
        case ReversalRecorded():
            reversals = {**known["reversals"], happened.asked.reversal_id: plain(happened)}
            return {**known, "reversals": reversals, "told": [*known["told"], told_name(happened)]}
        case BasisRecorded():
            bases = {**known["bases"], happened.external_id: plain(happened)}
            told = [] if told_name(happened) in known["told"] else [told_name(happened)]
            return {**known, "bases": bases, "told": [*known["told"], *told]}
        case FactQuarantined():
            return {**known, "quarantined": {**known["quarantined"], _key(happened): happened.reason_code}}
        case FactResolved():
            left = {key: code for key, code in known["quarantined"].items() if key != _key(happened)}
            return {**known, "quarantined": left}
        case PayoutCalculated():
            return {**known, "line_ids": [*known["line_ids"], happened.line_id]}
        case _:
            return known


def _key(happened: FactQuarantined | FactResolved) -> str:
    named = f"{happened.win_no}-{happened.plan_id}"
    return f"{named}-{happened.fact_id}" if happened.fact_id else named


def _opportunity(seen: Seen) -> str:
    opportunity_id: str = seen.event.opportunity_id
    return opportunity_id


SALES = Projection(
    name="sales",
    version=3,
    keys=dict.fromkeys(
        (
            WinRecorded,
            BasisRecorded,
            CreditRecorded,
            ReversalRecorded,
            FactQuarantined,
            FactResolved,
            PayoutCalculated,
        ),
        _opportunity,
    ),
    evolve=evolve,
    indexes=("changed_at", "registration_id", "opportunity_id"),
)


# Queries


def sale_of(document: SaleDocument) -> Sale:
    """The facts of a document as the domain has them; its lines are not among them."""
    credits_known = [msgspec.convert(credit, CreditRecorded) for credit in document["credits"].values()]
    return Sale(
        wins={int(number): msgspec.convert(win, WinRecorded) for number, win in document["wins"].items()},
        credits={(credit.pool, credit.win_no): credit for credit in credits_known},
        reversals=tuple(msgspec.convert(one, ReversalRecorded) for one in document["reversals"].values()),
        bases={name: msgspec.convert(one, BasisRecorded) for name, one in document["bases"].items()},
        told=tuple(document["told"]),
    )

"""What is known of each sale: its wins, credits and reversals, and the lines that came of them?"""

from decimal import Decimal
from typing import Any, TypedDict

import msgspec

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.incentives.domain.sale import Sale, fact_name, told_name
from services.incentives.domain.sale_events import (
    BasisRecorded,
    CreditRecorded,
    FactQuarantined,
    FactResolved,
    LineKey,
    PayoutCalculated,
    PayoutReversed,
    RebateCounted,
    ReversalRecorded,
    WinRecorded,
)


class WaitingFact(TypedDict):
    """What cannot be rated, since when, and why. `partner_ids` are those whose shares wait for it, where they are known."""

    win_no: int
    plan_id: str
    fact_id: str | None
    reason_code: str
    partner_ids: list[str]
    since: str
    event_id: str


class SaleDocument(TypedDict):
    """Facts by their keys, `told` in the order in which they became known.

    `taken` is what each reversal has taken of which line, in the line's currency; new credit takes too, under an id of its own.
    `missing` says what the sale waits for before it can be rated, `waiting` what of it cannot be rated, and
    `waiting_partner_ids` for whom.
    """

    opportunity_id: str
    registration_id: str | None
    wins: dict[str, Any]
    credits: dict[str, Any]
    reversals: dict[str, Any]
    bases: dict[str, Any]
    told: list[str]
    quarantined: dict[str, str]
    waiting: list[WaitingFact]
    waiting_partner_ids: list[str]
    waits: int
    line_ids: list[str]
    taken: dict[str, dict[str, str]]
    missing: list[str]
    changed_at: str


def evolve(document: SaleDocument | None, seen: Seen) -> SaleDocument:
    happened = seen.event
    known = document or _empty(happened.opportunity_id)
    changed = _changed(known, happened)
    waits = {"wins": not changed["wins"], "credits": not changed["credits"]}
    missing = [name for name, waited_for in waits.items() if waited_for]
    waiting = _waiting(changed["waiting"], seen)
    of = sorted({partner_id for one in waiting for partner_id in concerned(changed, one)})
    return {
        **changed,
        "missing": missing,
        "waiting": waiting,
        "waiting_partner_ids": of,
        "waits": int(bool(waiting)),
        "changed_at": iso(seen.recorded_at),
    }


def concerned(sale: SaleDocument, one: WaitingFact) -> list[str]:
    """Whose shares wait: those that are named, and for what waits for its amount whoever is credited now."""
    return one["partner_ids"] if one["plan_id"] and one["partner_ids"] else _credited(sale) or one["partner_ids"]


def _credited(sale: SaleDocument) -> list[str]:
    """Whoever the newest final credits of a sale name."""
    shares = (share for credit in sale["credits"].values() for share in credit["shares"])
    return sorted({str(share["partner_id"]) for share in shares if Decimal(share["percent"]) > 0})


def _waiting(known: list[WaitingFact], seen: Seen) -> list[WaitingFact]:
    """What waits: until a person resolves it, it is rated after all, or comes once more with its amount."""
    match seen.event:
        case FactQuarantined():
            return [*(one for one in known if not _is_of(one, seen.event)), _waits(seen)]
        case FactResolved():
            return [one for one in known if not _is_of(one, seen.event)]
        case PayoutCalculated(key=key) | RebateCounted(key=key):
            return [left for one in known if (left := _without(one, key))]
        case BasisRecorded(kind=kind, external_id=external_id):
            named = {("", external_id), ("", fact_name(kind, external_id))}
            return [one for one in known if (one["plan_id"], one["fact_id"]) not in named]
        case _:
            return known


def _waits(seen: Seen) -> WaitingFact:
    it: FactQuarantined = seen.event
    return {
        "win_no": it.win_no,
        "plan_id": it.plan_id,
        "fact_id": it.fact_id,
        "reason_code": it.reason_code,
        "partner_ids": list(it.partner_ids or ()),
        "since": iso(it.quarantined_at),
        "event_id": seen.id,
    }


def _is_of(one: WaitingFact, it: FactQuarantined | FactResolved) -> bool:
    return (one["win_no"], one["plan_id"], one["fact_id"]) == (it.win_no, it.plan_id, it.fact_id)


def _without(one: WaitingFact, key: LineKey) -> WaitingFact | None:
    """What still waits once a share was rated; None where nothing does."""
    if (one["win_no"], one["plan_id"], one["fact_id"]) != (key.win_no, key.plan_id, key.fact_id):
        return one
    left = [partner_id for partner_id in one["partner_ids"] if partner_id != key.partner_id]
    return {**one, "partner_ids": left} if left else None


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
        "waiting": [],
        "waiting_partner_ids": [],
        "waits": 0,
        "line_ids": [],
        "taken": {},
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
            bases = {**known["bases"], fact_name(happened.kind, happened.external_id): plain(happened)}
            told = [] if told_name(happened) in known["told"] else [told_name(happened)]
            return {**known, "bases": bases, "told": [*known["told"], *told]}
        case FactQuarantined():
            return {**known, "quarantined": {**known["quarantined"], _key(happened): happened.reason_code}}
        case FactResolved():
            left = {key: code for key, code in known["quarantined"].items() if key != _key(happened)}
            return {**known, "quarantined": left}
        case _:
            return _earned(known, happened)


def _earned(known: SaleDocument, happened: Any) -> SaleDocument:
    match happened:
        case PayoutCalculated():
            return {**known, "line_ids": [*known["line_ids"], happened.line_id]}
        case PayoutReversed():
            return {**known, "taken": _taken(known["taken"], happened)}
        case _:
            return known


def _taken(known: dict[str, dict[str, str]], it: PayoutReversed) -> dict[str, dict[str, str]]:
    mine = known.get(it.reversal_id, {})
    amount = Decimal(mine.get(it.line_id, "0")) + it.amount.amount
    return {**known, it.reversal_id: {**mine, it.line_id: str(amount)}}


def _key(happened: FactQuarantined | FactResolved) -> str:
    named = f"{happened.win_no}-{happened.plan_id}"
    return f"{named}-{happened.fact_id}" if happened.fact_id else named


def _opportunity(seen: Seen) -> str:
    opportunity_id: str = seen.event.opportunity_id
    return opportunity_id


SALES = Projection(
    name="sales",
    version=6,
    keys=dict.fromkeys(
        (
            WinRecorded,
            BasisRecorded,
            CreditRecorded,
            ReversalRecorded,
            FactQuarantined,
            FactResolved,
            PayoutCalculated,
            PayoutReversed,
            RebateCounted,
        ),
        _opportunity,
    ),
    evolve=evolve,
    indexes=("changed_at", "registration_id", "opportunity_id", "waiting_partner_ids", "waits,changed_at"),
)


# Queries

WHY = {
    "no-rate": "no rate of exchange of that week is recorded, or none at which money can hold it: "
    "the vendor's finance records one, and resolves it",
    "no-amount": "it came without an amount: it counts once whoever sent it sends it with one",
}


def why_waiting(reason_code: str) -> str:
    """Why something waits, and what ends that, in a sentence."""
    return WHY.get(reason_code, reason_code)


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

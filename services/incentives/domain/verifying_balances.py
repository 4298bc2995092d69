"""The verifier's own reckoning of a balance in the books: what was drawn of it, given up, lost or moved stands for its part.

Standard library only, and nothing of what the service reckons with.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from services.incentives.domain.verifying_lines import Found
from services.incentives.domain.verifying_numbers import amount_of, rounded, split, text_of
from services.incentives.domain.verifying_payments import APPROVED, TAXED

BLOCKED, DECLINED = "incentives.PaymentBlocked.v1", "incentives.PaymentDeclined.v1"
WRITTEN_OFF, FORFEITED = "incentives.NegativeWrittenOff.v1", "incentives.BalanceForfeited.v1"
TRANSFERRED = "incentives.BalanceTransferred.v1"
OF_BALANCES = (APPROVED, BLOCKED, DECLINED, WRITTEN_OFF, FORFEITED, TRANSFERRED)
"""The events whose journals stand for a part of a balance, or for what was taken of one before."""
PAYABLE, TAX = "payable", "payable:tax"
PREPARED_SECONDS = 60
"""A balance is read before what is drawn of it is written: what was recorded within so many seconds may be missing in it."""
Entry = dict[str, Any]
Side = tuple[Fraction, Fraction]
"""An amount in the payee's favour, and what it stands for in the books."""
NOTHING: Side = (Fraction(0), Fraction(0))
Balance = dict[str, Side]


@dataclass
class Known:
    """The balance after each event, with when it was recorded; of payments what is drawn; of others what was moved."""

    currency: str
    stood: list[tuple[datetime | None, Balance]]
    drawn: dict[str, list[Entry]] = field(default_factory=dict)
    taxed: dict[str, list[Entry]] = field(default_factory=dict)
    moved: dict[tuple[str, bool], Side] = field(default_factory=dict)


def tells_worth(statement: dict[str, Any] | None, events: Iterable[dict[str, Any]]) -> bool:
    """Whether a statement says what it opens and closes with in the books, and all its lines can be read."""
    if statement is None or not statement.get("opening_worth"):
        return False
    names = {line["event_id"] for line in statement["lines"]}
    return names <= {one["id"] for one in events if one["data"] is not None}


def is_recomputed(statement: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether what an event says of a balance follows from the statement's file: not what came of another's account."""
    it = event["data"]
    comes_from_elsewhere = event["type"] == TRANSFERRED and not (it["absorbed"] or it["undone"])
    return event["type"] in OF_BALANCES and _within(statement, event) and not comes_from_elsewhere


def in_balance(statement: dict[str, Any] | None, events: Iterable[dict[str, Any]]) -> Found:
    """The statement's balance in the books, event by event, from what it opens with to what it closes with."""
    told = list(events)
    if statement is None or not tells_worth(statement, told):
        return []
    opening = _worths(statement["opening_worth"])
    known, found = Known(_currency(statement), [(None, opening)]), []
    if sum((amount for amount, _ in opening.values()), Fraction(0)) != amount_of(statement["opening"]):
        found.append("what it opens with in the books is not of the amount that it opens with")
    for event in sorted(told, key=lambda one: (int(one["position"]), int(one["version"]))):
        if _is_of(statement, event):
            found += [f"{event['type']} {event['id']}: {text}" for text in _step(statement, event, known)]
    return [*found, *_closed(known.stood[-1][1], _worths(statement["closing_worth"]))]


def _worths(told: Iterable[dict[str, Any]]) -> Balance:
    return {one["side"]: (amount_of(one["amount"]), amount_of(one["books"])) for one in told}


def _currency(statement: dict[str, Any]) -> str:
    return str(statement["opening_worth"][0]["books"]["currency"])


def _closed(stands: Balance, told: Balance) -> Found:
    wrong = sorted(side for side in {*stands, *told} if stands.get(side, NOTHING) != told.get(side, NOTHING))
    return [
        f"{side} closes with {_text(stands.get(side, NOTHING))} in the books, it says {_text(told.get(side, NOTHING))}"
        for side in wrong
    ]


def _text(side: Side) -> str:
    return f"{text_of(side[0])} worth {text_of(side[1])}"


def _is_of(statement: dict[str, Any], event: dict[str, Any]) -> bool:
    entries = _entries(event["data"])
    currency = statement["opening"]["currency"]
    return event["data"].get("payee_id") == statement["payee_id"] and all(
        one["amount"]["currency"] == currency for one in entries
    )


def _within(statement: dict[str, Any], event: dict[str, Any]) -> bool:
    return int(statement["from_position"]) < int(event["position"]) <= int(statement["to_position"])


def _entries(it: dict[str, Any]) -> list[Entry]:
    return it["journal"]["entries"] if it.get("journal") else []


def _side(entry: Entry) -> str:
    return f"{entry['account']}:{entry['of']}" if entry.get("of") else str(entry["account"])


def _books(entry: Entry) -> Fraction | None:
    return amount_of(entry["books_amount"]) if entry.get("books_amount") else None


def _step(statement: dict[str, Any], event: dict[str, Any], known: Known) -> Found:
    """What speaks against an event of the statement's own time; one before it is what others point at."""
    kind, it = event["type"], event["data"]
    within = _within(statement, event)
    found = CHECKS[kind](event, known) if within and kind in CHECKS else []
    if kind in KEPT:
        KEPT[kind](it, known)
    if within:
        known.stood.append((_recorded_at(event), _moved(known.stood[-1][1], _entries(it))))
    return found


def _moved(before: Balance, entries: list[Entry]) -> Balance:
    after = dict(before)
    for entry in entries:
        if entry["account"] == PAYABLE:
            amount, worth = after.get(_side(entry), NOTHING)
            after[_side(entry)] = (amount - amount_of(entry["amount"]), worth - (_books(entry) or 0))
    return after


def _recorded_at(event: dict[str, Any]) -> datetime | None:
    """When it was recorded, where the stored bytes are there to say."""
    state = event.get("state")
    return datetime.fromisoformat(json.loads(base64.b64decode(state))["recorded_at"]) if state else None


def _as_read(event: dict[str, Any], known: Known) -> list[Balance]:
    """The balances that may have been read for an event: the newest, and older ones where what came since was only just there."""
    at, found = _recorded_at(event), []
    for recorded, balance in reversed(known.stood):
        found.append(balance)
        if at is None or recorded is None or (at - recorded).total_seconds() > PREPARED_SECONDS:
            break
    return found


# What is drawn, given up or lost: a part of what stands


def _is_part(event: dict[str, Any], known: Known) -> Found:
    """Each part of what is payable stands for its part of the balance."""
    balances = _as_read(event, known)
    drawn = [entry for entry in _entries(event["data"]) if entry["account"] == PAYABLE]
    return [text for entry in drawn for text in _fits(entry, known, balances)]


def _fits(entry: Entry, known: Known, balances: list[Balance]) -> Found:
    dues = [_part(amount_of(entry["amount"]), one.get(_side(entry), NOTHING), known) for one in balances]
    told = _books(entry)
    if told in dues:
        return []
    text = "nothing" if told is None else text_of(told)
    due = "nothing" if dues[0] is None else text_of(dues[0])
    return [f"in the books it should be {due} of what stands as {_side(entry)}, it is {text}"]


def _part(amount: Fraction, stands: Side, known: Known) -> Fraction | None:
    whole, worth = stands
    return rounded(worth * amount / whole, known.currency) if whole else None


def _approval(event: dict[str, Any], known: Known) -> Found:
    """What is drawn stands for its part, and goes to the payee and to its tax by largest remainder."""
    it, entries = event["data"], _entries(event["data"])
    tax = [one for one in entries if _side(one) == TAX]
    taken = [one for one in entries if one["account"] == PAYABLE and one not in tax]
    given = [one for one in entries if one["account"] != PAYABLE][: 2 if it.get("withheld") else 1]
    worth = sum((_books(one) or Fraction(0) for one in taken), Fraction(0))
    weights = [-amount_of(one["amount"]) for one in given]
    due = [-one for one in split(worth, weights, known.currency)]
    told = [_books(one) or Fraction(0) for one in given]
    wrong = [f"of {text_of(worth)} in the books other parts are due to the payee and its tax"] if due != told else []
    return [*_is_part(event, known), *wrong]


# What comes back: as it was


def _opposite(entry: Entry) -> tuple[str, Fraction, Fraction | None]:
    worth = _books(entry)
    return _side(entry), -amount_of(entry["amount"]), None if worth is None else -worth


def _as_it_is(entry: Entry) -> tuple[str, Fraction, Fraction | None]:
    return _side(entry), amount_of(entry["amount"]), _books(entry)


def _comes_back(event: dict[str, Any], known: Known) -> Found:
    """All that a payment drew, and of one that is given up the tax on its invoice too."""
    it = event["data"]
    due = list(map(_opposite, known.drawn.get(it["payment_id"], [])))
    due += map(_opposite, known.taxed.get(it["payment_id"], []) if event["type"] == DECLINED else [])
    told = list(map(_as_it_is, _entries(it)))
    return [] if sorted(map(str, due)) == sorted(map(str, told)) else ["it is not what the payment had drawn"]


def _transfer(event: dict[str, Any], known: Known) -> Found:
    """On its way to another account a part of what stands; undone, all that was moved, at the worth that it had."""
    it = event["data"]
    if not it["undone"]:
        return _is_part(event, known) if it["absorbed"] else []
    amount, worth = known.moved.get((it["other_id"], it["fund"]), NOTHING)
    told = (amount_of(it["amount"]), amount_of(it["books"]) if it.get("books") else Fraction(0))
    texts = [] if told == (-amount, -worth) else [f"{_text((-amount, -worth))} come back, it says {_text(told)}"]
    drawn = [_books(one) for one in _entries(it) if one["account"] == PAYABLE]
    return [*texts, *([] if drawn in ([-told[1]], [None]) else ["its journal moves another worth than it says"])]


CHECKS = {
    APPROVED: _approval,
    BLOCKED: _comes_back,
    DECLINED: _comes_back,
    WRITTEN_OFF: _is_part,
    FORFEITED: _is_part,
    TRANSFERRED: _transfer,
}


# What later events point at


def _draw(it: dict[str, Any], known: Known) -> None:
    known.drawn[it["payment_id"]] = _entries(it)


def _give_back(it: dict[str, Any], known: Known) -> None:
    known.drawn[it["payment_id"]] = []


def _charge(it: dict[str, Any], known: Known) -> None:
    known.taxed[it["payment_id"]] = _entries(it)


def _give_up(it: dict[str, Any], known: Known) -> None:
    known.drawn[it["payment_id"]], known.taxed[it["payment_id"]] = [], []


def _move(it: dict[str, Any], known: Known) -> None:
    amount, worth = known.moved.get((it["other_id"], it["fund"]), NOTHING)
    told = amount_of(it["books"]) if it.get("books") else Fraction(0)
    known.moved[it["other_id"], it["fund"]] = (amount + amount_of(it["amount"]), worth + told)


KEPT = {APPROVED: _draw, BLOCKED: _give_back, DECLINED: _give_up, TAXED: _charge, TRANSFERRED: _move}

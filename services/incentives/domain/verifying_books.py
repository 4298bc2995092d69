"""The verifier's own reckoning of the books: what each amount stands for in their currency, by the rates that were recorded.

Standard library only, and nothing of what the service reckons with.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from services.incentives.domain.verifying_claims import DECIDED, INSTALMENT
from services.incentives.domain.verifying_lines import CALCULATED, REVERSED_EVENT, Found
from services.incentives.domain.verifying_numbers import amount_of, number, rounded, text_of
from services.incentives.domain.verifying_payments import TAXED
from services.incentives.domain.verifying_windows import REDUCED, TRUE_UP_RELEASED, TRUED_UP

OPENED, RATES = "incentives.BooksOpened.v1", "incentives.RatesRecorded.v1"
RATE_DAYS_MAX = 7
INVERSE = 10**10
"""A pair that was recorded the other way round was once multiplied by its inverse, of ten digits."""
REST_IN_BOOKS = 3
"""The first evaluator that booked what a budget had left, and not the whole award."""
Worth = Fraction | None
"""What something stands for in the books; None where it is in their currency."""


@dataclass
class Stand:
    """What stands of a line, a true-up or an accrual, and its worth; `earned` and `booked` are what it began with."""

    amount: Fraction
    worth: Worth
    earned: Fraction = Fraction(0)
    booked: Worth = None


@dataclass
class Known:
    """All that the file tells until an event: the currency of the books, the rates, and what stands of everything."""

    hidden: set[str]
    currency: str | None = None
    rates: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[str, Stand] = field(default_factory=dict)
    accrued: dict[str, Worth] = field(default_factory=dict)
    instalments: dict[tuple[str, int], Worth] = field(default_factory=dict)

    def worths(self, amount: dict[str, str], day: str) -> list[Worth]:
        """What an amount can stand for by the newest rates of the week up to a day; nothing where the file has none."""
        if self.currency is None or amount["currency"] == self.currency:
            return [None]
        pair, today = {amount["currency"], self.currency}, date.fromisoformat(day)
        fits = [one for one in self.rates if {one["base"], one["quote"]} == pair and 0 <= _age(one, today)]
        newest = max((one["on"] for one in fits if _age(one, today) <= RATE_DAYS_MAX), default=None)
        factors = [factor for one in fits if one["on"] == newest for factor in _factors(one, amount["currency"])]
        return [rounded(amount_of(amount) * factor, self.currency) for factor in factors]


def _age(rate: dict[str, Any], today: date) -> int:
    return (today - date.fromisoformat(rate["on"])).days


def _factors(rate: dict[str, Any], base: str) -> list[Fraction]:
    told = number(rate["rate"])
    if rate["base"] == base:
        return [told]
    return [1 / told, Fraction(int(INVERSE / told + Fraction(1, 2)), INVERSE)]


def in_books(events: Iterable[dict[str, Any]], kept_back: Iterable[str]) -> Found:
    """Each journal of the file in the currency of the books, from the rates that were recorded before it."""
    known, found = Known(set(kept_back)), []
    for event in sorted(events, key=lambda one: (int(one["position"]), int(one["version"]))):
        hidden = event["data"].get("line_id") in known.hidden
        texts = [*_balanced(event["data"]), *([] if hidden else _step(event, known))]
        found += [f"{event['type']} {event['id']}: {text}" for text in texts]
    return found


def _step(event: dict[str, Any], known: Known) -> Found:
    """What became of a line that is not in the file is named by others."""
    kind, it = event["type"], event["data"]
    if kind in OF_LINES:
        stand = known.lines.get(it["line_id"])
        return OF_LINES[kind](it, known, stand) if stand else []
    return STEPS[kind](event, known) if kind in STEPS else []


def _balanced(it: dict[str, Any]) -> Found:
    sums: dict[str, Fraction] = {}
    for entry in _entries(it):
        booked = entry.get("books_amount") or entry["amount"]
        sums[booked["currency"]] = sums.get(booked["currency"], Fraction(0)) + amount_of(booked)
    return ["its journal does not sum to nothing in the books"] if any(sums.values()) else []


def _entries(it: dict[str, Any]) -> list[dict[str, Any]]:
    return it["journal"]["entries"] if it.get("journal") else []


def is_booked(it: dict[str, Any]) -> bool:
    """Whether a journal says what it stands for in another currency than its own."""
    return any(entry.get("books_amount") for entry in _entries(it))


def _told(it: dict[str, Any]) -> Worth:
    """What the first entry of a journal says that it stands for."""
    entries = _entries(it)
    return amount_of(entries[0]["books_amount"]) if entries and entries[0].get("books_amount") else None


def _as_due(it: dict[str, Any], known: Known, *dues: Worth) -> Found:
    """What speaks against a journal that should stand for one of these; below zero where it moves the other way."""
    entries = _entries(it)
    if not entries:
        return [] if any(not one for one in dues) else [f"{_text(dues[0])} stand in the books, and it moves nothing"]
    return _fits(entries[0], known, dues)


def _fits(entry: dict[str, Any], known: Known, dues: Iterable[Worth]) -> Found:
    booked, asked = entry.get("books_amount"), list(dues)
    told = amount_of(booked) if booked else None
    if told in asked and (booked is None or booked["currency"] == known.currency):
        return []
    if not asked:
        return [f"no rate of {entry['amount']['currency']} of the week before it is in the file"]
    return [f"in the books it should be {' or '.join(dict.fromkeys(map(_text, asked)))}, it is {_text(told)}"]


def _text(worth: Worth) -> str:
    return "the amount itself" if worth is None else text_of(worth)


def _at_rate(it: dict[str, Any], known: Known, day: str) -> Found:
    """The first entry stands for what the rate of its day makes of it."""
    return [text for entry in _entries(it)[:1] for text in _fits(entry, known, known.worths(entry["amount"], day))]


def _part(worth: Fraction, part: Fraction, whole: Fraction, known: Known) -> Fraction:
    return rounded(worth * part / whole, known.currency or "")


# Step by step


def _opened(event: dict[str, Any], known: Known) -> Found:
    known.currency = known.currency or event["data"]["currency"]
    return []


def _recorded(event: dict[str, Any], known: Known) -> Found:
    known.rates += event["data"]["rates"]
    return []


def _born(event: dict[str, Any], known: Known) -> Found:
    it, told = event["data"], _told(event["data"])
    amount = amount_of(it["amount"])
    known.lines[it["line_id"]] = Stand(amount, told, amount, told)
    if it.get("budget_id") and _evaluator(event) < REST_IN_BOOKS:
        return []
    return _at_rate(it, known, it["calculated_at"][:10])


def _evaluator(event: dict[str, Any]) -> int:
    """By which evaluator it was decided: a new one, where the stored bytes are not there to say."""
    state = event.get("state")
    return int(json.loads(base64.b64decode(state))["evaluator"]) if state else REST_IN_BOOKS


def _reverse(it: dict[str, Any], known: Known, stand: Stand) -> Found:
    amount, due = amount_of(it["amount"]), stand.worth
    if due is not None:
        due = _part(due, amount, stand.amount, known) if stand.amount else None
    return _lifted(it, known, stand, due, by=-1)


def _adjust(it: dict[str, Any], known: Known, stand: Stand) -> Found:
    """By the rate of the line itself; a line of nothing by what stands of it, or by the rate of the day."""
    amount = amount_of(it["amount"])
    if stand.earned:
        due = None if stand.booked is None else _part(stand.booked, amount, stand.earned, known)
    elif stand.worth is not None and stand.amount:
        due = _part(stand.worth, amount, stand.amount, known)
    else:
        found = _at_rate(it, known, it["adjusted_at"][:10])
        return [*found, *_lifted(it, known, stand, _told(it), by=1)]
    return _lifted(it, known, stand, due, by=1)


def _lifted(it: dict[str, Any], known: Known, stand: Stand, due: Worth, by: int) -> Found:
    """Adds to what stands, or takes of it, what a step moves, and says whether that is what was due."""
    told = _told(it)
    stand.amount += by * amount_of(it["amount"])
    if told is not None:
        stand.worth = (stand.worth or Fraction(0)) + by * told
    return _as_due(it, known, due)


def _moved(it: dict[str, Any], known: Known, stand: Stand) -> Found:
    """All that stands goes to another account, at the worth that it has."""
    entries, worth = _entries(it), stand.worth
    if not entries:
        return []
    return _as_due(it, known, -worth if worth is not None and amount_of(entries[0]["amount"]) < 0 else worth)


def _accrue(event: dict[str, Any], known: Known) -> Found:
    it, told = event["data"], _told(event["data"])
    before = known.accrued.get(it["meter_id"])
    known.accrued[it["meter_id"]] = told if told is None or before is None else before + told
    return _at_rate(it, known, it["accrued_on"])


def _settle(event: dict[str, Any], known: Known) -> Found:
    return _as_due(event["data"], known, known.accrued.pop(event["data"]["meter_id"], None))


def _true_up(event: dict[str, Any], known: Known) -> Found:
    it = event["data"]
    given = it["exchange"]["given"] if it.get("exchange") else it["amount"]
    known.lines[it["line_id"]] = Stand(amount_of(given), _told(it))
    return _at_rate(it, known, it["earned_on"])


def _reduce(it: dict[str, Any], known: Known, stand: Stand) -> Found:
    """The part of what is held that is taken; all of its worth where nothing is left, of which once a rest was."""
    given, worth = amount_of(it.get("given") or it["amount"]), stand.worth
    if worth is None:
        dues: list[Worth] = [None]
    else:
        dues = [_part(worth, given, stand.amount, known), *([] if amount_of(it["remaining"]) else [worth])]
    stand.amount, stand.worth = stand.amount - given, None if worth is None else worth - (_told(it) or 0)
    return _as_due(it, known, *dues)


def _carried(event: dict[str, Any], known: Known) -> Found:
    it, meter = event["data"], event["stream"].partition("-")[2].partition("~")[0]
    known.accrued[meter] = _of(it.get("books"))
    for one in it.get("held") or ():
        known.lines[one["line_id"]] = Stand(amount_of(one.get("given") or one["amount"]), _of(one.get("books")))
    return []


def _of(books: dict[str, str] | None) -> Worth:
    return amount_of(books) if books else None


def _claimed(event: dict[str, Any], known: Known) -> Found:
    """What it costs stands for what the rate of its day makes of it; of what is owed for that the whole is the same."""
    it = event["data"]
    for one in it.get("instalments") or ():
        known.instalments[it["claim_id"], one["number"]] = _of(one.get("books"))
    costs = [entry for entry in _entries(it) if amount_of(entry["amount"]) > 0]
    return [text for one in costs for text in _fits(one, known, known.worths(one["amount"], it["decided_on"]))]


def _instalment(event: dict[str, Any], known: Known) -> Found:
    it = event["data"]
    return _as_due(it, known, known.instalments.get((it["claim_id"], it["number"])))


def _tax(event: dict[str, Any], known: Known) -> Found:
    return _at_rate(event["data"], known, event["data"]["taxed_at"][:10])


STEPS = {
    OPENED: _opened,
    RATES: _recorded,
    CALCULATED: _born,
    "incentives.RebateAccrued.v1": _accrue,
    "incentives.RebateSettled.v1": _settle,
    TRUED_UP: _true_up,
    "incentives.MeterCarried.v1": _carried,
    DECIDED: _claimed,
    INSTALMENT: _instalment,
    TAXED: _tax,
}
OF_LINES = {
    REVERSED_EVENT: _reverse,
    "incentives.PayoutAdjusted.v1": _adjust,
    "incentives.PayoutReleased.v1": _moved,
    "incentives.PayoutPostponed.v1": _moved,
    "incentives.PayoutPutUnderReview.v1": _moved,
    REDUCED: _reduce,
    TRUE_UP_RELEASED: _moved,
    "incentives.TrueUpHeldLonger.v1": _moved,
}
BOOKED = (*STEPS, *OF_LINES)
"""The events whose journals are recomputed in the currency of the books; what others move follows from a balance."""

"""The verifier's own reckoning of windows: what a rebate accrues and is settled by, and what a window is trued up by.

Standard library only, and nothing of what the service reckons with.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from services.incentives.domain.verifying_lines import HELD, PAYABLE, Found, Plans, quota_of, released
from services.incentives.domain.verifying_numbers import (
    HUNDRED,
    amount_of,
    exchanged,
    number,
    rounded,
    split,
    text_of,
    value_of,
)

TRUED_UP, REDUCED = "incentives.WindowTruedUp.v1", "incentives.TrueUpReduced.v1"
TRUE_UP_RELEASED = "incentives.TrueUpReleased.v1"
METER_KINDS = (
    "TrueUpPostponed",
    "TrueUpHeldLonger",
    "Metered",
    "RebateAccrued",
    "RebateSettled",
    "WindowClosed",
    "MeterCarried",
)
OF_METERS = (TRUED_UP, REDUCED, TRUE_UP_RELEASED, *(f"incentives.{kind}.v1" for kind in METER_KINDS))
Expected = tuple[str, str | None, Fraction, str | None]
"""What a true-up has to be: its type, the line that it lowers, its amount and its day."""


def trued_up(line: dict[str, Any], plans: Plans) -> Found:
    """What the window is worth, recomputed from its measure and the plan's own bands; the first true-ups name no measure."""
    if "measure" not in line:
        return []
    plan = plans.get((line["plan_id"], line["plan_version"]))
    if plan is None:
        return ["the plan version that rated it is not in the file"]
    schedule = {**plan["body"]["schedule"], "quota": line["quota"]}
    worth = rounded(value_of(schedule, number(line["measure"])), line["total"]["currency"])
    found = [] if worth == amount_of(line["total"]) else [f"the plan makes {text_of(worth)} of the window"]
    return [*found, *_paid_out(line)]


def releases(events: Iterable[dict[str, Any]]) -> Found:
    """No true-up is payable before its day, nor beyond what it was: all that can be said without its window."""
    told = list(events)
    known = {one["data"]["line_id"]: one["data"] for one in told if one["type"] == TRUED_UP}
    found = []
    for event in [one for one in told if one["type"] == TRUE_UP_RELEASED]:
        it, line = event["data"], known.get(event["data"]["line_id"])
        named = f"{event['type']} {event['id']}"
        if line is None:
            found.append(f"{named}: the true-up that it releases is not in the file")
        elif amount_of(it["amount"]) > amount_of(line["amount"]):
            found.append(f"{named}: it releases more than {line['amount']['amount']}")
        elif not line["payable_on"] <= it["payable_on"] <= it["released_at"][:10]:
            found.append(f"{named}: the line is held until {line['payable_on']}")
    return found


# A whole window, from its first sale on


@dataclass
class Window:
    """What a payee counted in a window, what was posted and settled for it, and which of its true-ups are held until when.

    `paid` is what stands of those that are held, each in the currency that it is paid in, and `payable` are those that
    became payable since its stream was carried on, likewise with their day.
    """

    body: dict[str, Any]
    measure: Fraction = Fraction(0)
    mix: Fraction = Fraction(0)
    posted: Fraction = Fraction(0)
    settled: Fraction = Fraction(0)
    closes_on: str = ""
    closed: bool = False
    entitled: bool = True
    held: dict[str, tuple[Fraction, str]] = field(default_factory=dict)
    paid: dict[str, Fraction] = field(default_factory=dict)
    payable: dict[str, tuple[Fraction, Fraction, str]] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)

    @property
    def currency(self) -> str:
        return str(self.body["currency"])

    def worth(self, payee_id: str) -> Fraction:
        """F of what was counted: above a rebate's baseline, with its mix, and where the payee is entitled to it."""
        terms, measure = self.body.get("rebate") or {}, self.measure
        if terms.get("type") == "growth":
            known = {one.get("payee_id"): number(one["measure"]) for one in terms.get("baselines", ())}
            measure = max(measure - known.get(payee_id, known.get(None, Fraction(0))), Fraction(0))
        short = terms.get("type") == "mix" and self.mix * HUNDRED < measure * number(terms.get("mix_percent") or 0)
        last = date.fromisoformat(self.closes_on) - timedelta(days=1)
        schedule = {**self.body["schedule"], "quota": quota_of(self.body, payee_id, last)}
        return Fraction(0) if short or not self.entitled else rounded(value_of(schedule, measure), self.currency)


def windows(events: Iterable[dict[str, Any]], plans: Plans) -> Found:
    """Each window of the file, step by step, every amount recomputed from what was counted in it."""
    known: dict[str, Window] = {}
    found = []
    for event in sorted(events, key=lambda one: (int(one["position"]), int(one["version"]))):
        if event["type"] not in OF_METERS:
            continue
        it, kind = event["data"], event["type"].split(".")[1]
        meter = it.get("meter_id") or event["stream"].partition("-")[2].partition("~")[0]
        plan = plans.get((it["plan_id"], it["plan_version"])) if "plan_id" in it else None
        if meter not in known and plan is not None:
            known[meter] = Window(plan["body"])
        if meter not in known:
            found.append(f"{event['type']} {event['id']}: the plan version of its window is not in the file")
            continue
        found += [f"{event['type']} {event['id']}: {text}" for text in _step(kind, it, known[meter])]
    return found


def _step(kind: str, it: dict[str, Any], window: Window) -> Found:
    trues_up = kind in ("WindowTruedUp", "TrueUpReduced")
    found = [] if trues_up or not window.expected else ["what the window was trued up by before is not whole"]
    if not trues_up:
        window.expected = []
    return [*found, *STEPS[kind](it, window), *_journal(it)]


def _journal(it: dict[str, Any]) -> Found:
    """What moves is the amount: one side adds it and the other one takes it."""
    entries = it["journal"]["entries"] if "journal" in it else []
    amounts = sorted(abs(amount_of(entry["amount"])) for entry in entries)
    amount = abs(amount_of(it["amount"])) if entries else Fraction(0)
    return [] if all(one == amount for one in amounts) else ["its journal does not move its amount"]


def _metered(it: dict[str, Any], window: Window) -> Found:
    found = [] if number(it["before"]) == window.measure else [f"{text_of(window.measure)} was counted before"]
    window.measure, window.closes_on = number(it["after"]), it["closes_on"]
    window.posted += number(it.get("posted") or 0)
    window.mix += number(it.get("mix") or 0)
    return found


def _carried(it: dict[str, Any], window: Window) -> Found:
    """A busy window goes on in its next segment, with all that is known of it."""
    found = []
    if window.closes_on and number(it["measure"]) != window.measure:
        found.append(f"{text_of(window.measure)} was counted before")
    window.measure, window.mix, window.closes_on = number(it["measure"]), number(it["mix"]), it["closes_on"]
    window.posted, window.settled = number(it["posted"]), number(it["settled"])
    window.closed, window.entitled = it["closed"], it["entitled"]
    held = {one["line_id"]: one for one in it.get("held") or ()}
    window.held = {
        name: (amount_of(one.get("given") or one["amount"]), one["payable_on"]) for name, one in held.items()
    }
    window.paid = {name: amount_of(one["amount"]) for name, one in held.items()}
    window.payable = {}
    return found


def _closed(it: dict[str, Any], window: Window) -> Found:
    window.closed, window.entitled = True, it["entitled"]
    return [] if number(it["measure"]) == window.measure else [f"{text_of(window.measure)} was counted in it"]


def _accrued(it: dict[str, Any], window: Window) -> Found:
    terms = window.body.get("rebate") or {}
    worth = window.worth(it["payee_id"])
    if it["kind"] == "accrued" and terms.get("accrual") == "forecast_percent":
        worth = rounded(window.measure * number(terms["forecast_percent"]) / HUNDRED, window.currency)
    before, window.posted = window.posted, amount_of(it["total"])
    return _against(it, worth, worth - before)


def _settled(it: dict[str, Any], window: Window) -> Found:
    worth = window.worth(it["payee_id"])
    before, window.settled = window.settled, amount_of(it["total"])
    return _against(it, worth, worth - before)


def _against(it: dict[str, Any], worth: Fraction, due: Fraction) -> Found:
    found = [] if amount_of(it["total"]) == worth else [f"the plan makes {text_of(worth)} of the window"]
    return found if amount_of(it["amount"]) == due else [*found, f"it should be {text_of(due)}"]


# True-ups: lines for what is still to be posted, and what is taken of those that are held


def _true_up(it: dict[str, Any], window: Window) -> Found:
    found, due = _next(it, window, TRUED_UP)
    amount = amount_of(it["exchange"]["given"] if it.get("exchange") else it["amount"])
    found += _paid_out(it)
    day = it.get("payable_on") or it["earned_on"]
    if due and ((due[0], due[2]) != (TRUED_UP, amount) or due[3] not in (None, day)):
        found.append(f"it should be {text_of(due[2])}, payable on {due[3] or day}")
    if it["earned_on"] < day:
        window.held[it["line_id"]], window.paid[it["line_id"]] = (amount, day), amount_of(it["amount"])
    elif amount > 0:
        window.payable[it["line_id"]] = amount, amount_of(it["amount"]), day
    side = HELD if it["earned_on"] < day else PAYABLE
    there = {entry["account"] for entry in it["journal"]["entries"]} & {HELD, PAYABLE}
    return found if there == {side} else [*found, f"its money should be {side}"]


def _paid_out(it: dict[str, Any]) -> Found:
    """What is paid in another currency than the plan's follows from its rate."""
    exchange = it.get("exchange")
    if not exchange or exchanged(exchange, it["amount"]["currency"]) == amount_of(it["amount"]):
        return []
    return ["the exchange of its payout does not follow from its rate"]


def _reduced(it: dict[str, Any], window: Window) -> Found:
    found, due = _next(it, window, REDUCED)
    given = amount_of(it.get("given") or it["amount"])
    if due and due[:3] != (REDUCED, it["line_id"], given):
        found.append(f"it should take {text_of(due[2])} of the one that is released last")
    before, day = window.held.pop(it["line_id"], (Fraction(0), ""))
    paid = window.paid.pop(it["line_id"], Fraction(0))
    taken = rounded(paid * given / before, it["amount"]["currency"]) if before else given
    if before != given and paid != taken:
        window.held[it["line_id"]], window.paid[it["line_id"]] = (before - given, day), paid - taken
    fits = (amount_of(it["amount"]), amount_of(it["remaining"])) == (taken, paid - taken)
    return found if fits else [*found, f"{text_of(paid - taken)} of it is held still"]


def _released(it: dict[str, Any], window: Window) -> Found:
    given, day = window.held.pop(it["line_id"], (Fraction(0), ""))
    amount = window.paid.pop(it["line_id"], Fraction(0))
    window.payable[it["line_id"]] = given, amount, day
    if amount != amount_of(it["amount"]):
        return [f"{text_of(amount)} of it is held, it releases {it['amount']['amount']}"]
    early = it["payable_on"] != day or it["released_at"][:10] < day
    return [f"the line is held until {day}"] if early else []


def _postponed(it: dict[str, Any], window: Window) -> Found:
    """It is held until a later day."""
    amount, day = window.held.get(it["line_id"], (Fraction(0), ""))
    window.held[it["line_id"]] = (amount, it["payable_on"])
    fits = day < it["payable_on"] and window.paid.get(it["line_id"]) == amount_of(it["amount"])
    return [] if fits else [f"it is held until {day}"]


def _held_longer(it: dict[str, Any], window: Window) -> Found:
    """It is held until a later day: again, where it was payable."""
    name, was_payable = it["line_id"], it["line_id"] in window.payable
    if was_payable:
        given, amount, day = window.payable.pop(name)
        window.held[name], window.paid[name] = (given, day), amount
    found = _postponed(it, window)
    there = {entry["account"] for entry in it["journal"]["entries"]}
    moves = {HELD, PAYABLE} if was_payable else set()
    return found if there == moves else [*found, "its money should be held"]


def _next(it: dict[str, Any], window: Window, kind: str) -> tuple[Found, Expected | None]:
    """What comes next of what the window is trued up by, and what speaks against its worth."""
    worth = window.worth(it["payee_id"])
    found = [] if amount_of(it["total"]) == worth else [f"the plan makes {text_of(worth)} of the window"]
    if not window.expected:
        window.expected = _due(it, window, worth - window.posted, kind)
    window.posted = amount_of(it["total"])
    if not window.expected:
        return [*found, "nothing was left to be trued up"], None
    return found, window.expected.pop(0)


def _due(it: dict[str, Any], window: Window, due: Fraction, kind: str) -> list[Expected]:
    if not due or (kind == TRUED_UP and "payable_on" not in it):
        return [(TRUED_UP, None, due, None)] if due else []
    if due < 0:
        return _lowered(window, -due)
    parts, today = released(window.body), date.fromisoformat(it["earned_on"])
    amounts = split(due, [number(one["percent"]) for one in parts], window.currency)
    days = [(today + timedelta(days=one["after_days"])).isoformat() for one in parts]
    return [(TRUED_UP, None, amount, day) for amount, day in zip(amounts, days, strict=True) if amount]


def _lowered(window: Window, amount: Fraction) -> list[Expected]:
    """Of what is held the last to be released comes first; the rest is owed at once."""
    found: list[Expected] = []
    for line_id, (held, _) in sorted(window.held.items(), key=lambda one: (one[1][1], one[0]), reverse=True):
        taken = min(held, amount)
        if taken:
            found.append((REDUCED, line_id, taken, None))
            amount -= taken
    return [*found, (TRUED_UP, None, -amount, None)] if amount else found


STEPS = {
    "Metered": _metered,
    "MeterCarried": _carried,
    "WindowClosed": _closed,
    "RebateAccrued": _accrued,
    "RebateSettled": _settled,
    "WindowTruedUp": _true_up,
    "TrueUpReduced": _reduced,
    "TrueUpReleased": _released,
    "TrueUpPostponed": _postponed,
    "TrueUpHeldLonger": _held_longer,
}

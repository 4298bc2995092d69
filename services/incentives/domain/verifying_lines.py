"""The verifier's own reckoning of earning lines: their pay, their parts, their day, and all that became of them.

Standard library only, and nothing of what the service reckons with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import combinations
from typing import Any

from services.incentives.domain.verifying_numbers import (
    HUNDRED,
    amount_of,
    endless,
    exchanged,
    number,
    rounded,
    split,
    text_of,
    value_of,
)

Found = list[str]
Plans = dict[tuple[str, int], dict[str, Any]]
MEASURES = ("measure_before", "measure_after")
HOLD_DAYS = 30
"""How long a plan that does not say so holds its lines."""
PARTS_A_WINDOW = {"year": 12, "quarter": 3}
HELD, PAYABLE, REVERSED = "held", "payable", "reversed"
CALCULATED = "incentives.PayoutCalculated.v1"
REVERSED_EVENT = "incentives.PayoutReversed.v1"


# What a line pays


def calculated(line: dict[str, Any], plans: Plans) -> Found:
    """The line's pay, recomputed from basis, share, and the plan's own bands, modifiers and bounds."""
    plan = plans.get((line["key"]["plan_id"], line["plan_version"]))
    if plan is None or plan["sha256"] != line["plan_sha256"]:
        return ["the plan version that rated it is not in the file"]
    made, body = line["derivation"], plan["body"]
    found = [*_measure(made, body), *_modifiers(made, body), *_quota(line, body)]
    schedule = _schedule(made, body)
    currency = made["rounded_after"]["currency"]
    factor = Fraction(1) if accumulates(body) else _factor(made, body)
    before, after = (rounded(value_of(schedule, number(made[name])) * factor, currency) for name in MEASURES)
    if (before, after) != (amount_of(made["rounded_before"]), amount_of(made["rounded_after"])):
        found.append(f"the plan makes {text_of(after)} less {text_of(before)} of it")
    pay = _bounded(after - before, made, body, currency)
    return [*found, *_amount(line, pay, body, currency), *_day(line, body)]


def accumulates(body: dict[str, Any]) -> bool:
    return bool(body.get("accumulate", "line") != "line")


def _measure(made: dict[str, Any], body: dict[str, Any]) -> Found:
    if made["axis"] == "units":
        return []
    basis = made.get("exchange") or {}
    if basis and exchanged(basis, body["currency"]) != amount_of(basis["result"]):
        return ["the exchange does not follow from its rate"]
    whole = amount_of(basis["result"]) if basis else amount_of(made["basis"])
    weight = _factor(made, body) if accumulates(body) else Fraction(1)
    measure = whole * number(made["share_percent"]) / HUNDRED * weight
    if measure != number(made["measure"]):
        return [f"basis and share make a measure of {text_of(measure)}"]
    if number(made["measure_before"]) + measure != number(made["measure_after"]):
        return ["the measure before and this one do not make the measure after"]
    return []


def _modifiers(made: dict[str, Any], body: dict[str, Any]) -> Found:
    """Unless the plan sums them one modifier counts; and a term has the percent of a new or of a renewed one."""
    found = []
    if body.get("stack", "highest") != "sum" and len(_taken(made, body)) > 1:
        found.append("of the modifiers that hold one alone counts")
    terms, percent = body.get("recurring"), made.get("term_percent")
    if percent is not None and terms:
        known = {number(terms["new_percent"]), number(terms["renewal_percent"]), Fraction(0)}
        found += [] if number(percent) in known else [f"no term has {percent} percent"]
    return found


def _quota(line: dict[str, Any], body: dict[str, Any]) -> Found:
    own = quota_of(body, line["key"]["partner_id"], date.fromisoformat(line["credited_on"]))
    told = line["derivation"]["schedule"].get("quota")
    if own is None or told is None or number(told) == own:
        return []
    return [f"the quota is {text_of(own)}"]


def quota_of(body: dict[str, Any], payee_id: str, day: date) -> Fraction | None:
    """The most exact quota of the plan: of payee and window, payee, window, everyone; as far as its window has begun."""
    known = {(one.get("payee_id"), one.get("window")): one["quota"] for one in body.get("quotas", ())}
    window = _window(body.get("accumulate", "line"), day)
    keys = ((payee_id, window), (payee_id, None), (None, window), (None, None))
    found = next((known[key] for key in keys if key in known), body["schedule"].get("quota"))
    if found is None:
        return None
    months = PARTS_A_WINDOW.get(body.get("accumulate", "line"), 1)
    begun = (day.month - 1) % months + 1 if body.get("quota_to_date") else months
    return number(found) * begun / months


def _window(accumulate: str, day: date) -> str | None:
    names = {"year": f"{day.year:04}", "quarter": f"{day.year:04}-Q{(day.month + 2) // 3}", "month": f"{day:%Y-%m}"}
    return names.get(accumulate)


def _taken(made: dict[str, Any], body: dict[str, Any]) -> list[dict[str, Any]]:
    names = {one["modifier_id"] for one in made.get("weighed", ()) if one["taken"]}
    return [modifier for modifier in body.get("modifiers", ()) if modifier["modifier_id"] in names]


def _factor(made: dict[str, Any], body: dict[str, Any]) -> Fraction:
    factor = Fraction(1)
    for modifier in _taken(made, body):
        factor *= number(modifier.get("multiply") or 1)
    return factor


def _schedule(made: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The plan's schedule with the percent of a term, and what the taken modifiers make of it; quotas as recorded."""
    taken = _taken(made, body)
    points = sum((number(modifier.get("add_points") or 0) for modifier in taken), Fraction(0))
    replaced = [number(m["replace_percent"]) for m in taken if m.get("replace_percent") is not None]
    percent = max(replaced) if replaced else made.get("term_percent")
    bands = [dict(band) for band in body["schedule"]["bands"]]
    for band in bands:
        if band.get("percent") is not None:
            own = number(band["percent"]) if percent is None else number(percent)
            band["percent"] = max(own + points, Fraction(0))
    return {**body["schedule"], "bands": bands, "quota": made["schedule"].get("quota")}


def _bounded(pay: Fraction, made: dict[str, Any], body: dict[str, Any], currency: str) -> Fraction:
    """The pay within the plan's floor and caps; what of a deal's cap is left is taken as it was recorded."""
    if pay <= 0:
        return pay
    if body.get("line_floor") is not None:
        pay = max(pay, rounded(number(body["line_floor"]), currency))
    for name in ("line_cap", "deal_cap"):
        if body.get(name) is not None:
            pay = min(pay, rounded(number(body[name]), currency))
    deal = [bound for bound in made.get("bounds", ()) if bound["name"] == "deal_cap"]
    return min(pay, amount_of(deal[0]["after"])) if deal and body.get("deal_cap") is not None else pay


# Its parts: payees, days, and what a budget gave


def _amount(line: dict[str, Any], pay: Fraction, body: dict[str, Any], currency: str) -> Found:
    """The line's amount is its payee's part of the pay, of it the release part, at the rate of the payout's exchange."""
    exchange, amount = line.get("exchange"), amount_of(line["amount"])
    if exchange and exchanged(exchange, line["amount"]["currency"]) != amount_of(exchange["result"]):
        return ["the exchange of its payout does not follow from its rate"]
    given = amount_of(exchange["given"]) if exchange else amount
    parts = _parts(line, pay, body, currency)
    if body.get("budget_id"):
        return _of_budget(line, given, parts, body)
    if exchange and amount != amount_of(exchange["result"]):
        return ["its amount does not follow from its exchange"]
    if given in parts:
        return []
    return [f"it should pay {' or '.join(text_of(part) for part in parts)}, it pays {text_of(given)}"]


def _parts(line: dict[str, Any], pay: Fraction, body: dict[str, Any], currency: str) -> list[Fraction]:
    """What the line can be: the release part of one party's share of the pay, or of several where the payee is these."""
    release = released(body)
    place = line.get("part", 0)
    weights = [number(one["percent"]) for one in release]
    wholes = _shares(line, pay, body, currency)
    found = [split(whole, weights, currency)[place] for whole in wholes if place < len(release)]
    return sorted(set(found))


def released(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The release parts of a plan; one of everything where it names none."""
    return body.get("release") or [{"percent": "100", "after_days": body.get("hold_days", HOLD_DAYS)}]


def _shares(line: dict[str, Any], pay: Fraction, body: dict[str, Any], currency: str) -> list[Fraction]:
    """The shares that the payee may have: a party's that the deal does not have is the credited partner's."""
    payees = body.get("payees") or [{"party": "partner", "percent": "100"}]
    shares = dict(enumerate(split(pay, [number(one["percent"]) for one in payees], currency)))
    own = {place for place, one in enumerate(payees) if one["party"] == "partner"}
    mine = line["payee_id"] == line["key"]["partner_id"]
    fixed, others = (own, shares.keys() - own) if mine else (set(), shares.keys() - own)
    picked = [(*fixed, *some) for size in range(len(others) + 1) for some in combinations(sorted(others), size)]
    return [sum((shares[place] for place in some), Fraction(0)) for some in picked if some]


def _of_budget(line: dict[str, Any], given: Fraction, parts: Sequence[Fraction], body: dict[str, Any]) -> Found:
    """What a budget gave is taken as it was recorded, up to the part; of one that gives no rest it is the whole part."""
    amount, drawn = amount_of(line["amount"]), line.get("drawn")
    most = max(parts, default=Fraction(0))
    paid = amount_of(line["exchange"]["result"]) if line.get("exchange") else given
    if drawn and (amount_of(drawn) != given or amount != paid):
        return ["its amount does not follow from what it drew of the budget"]
    if not 0 <= given <= most or not 0 <= amount <= paid:
        return [f"it should pay {text_of(most)} at most, it pays {text_of(given)}"]
    if body.get("last_award", "rest") == "none" and (given not in parts or amount != paid):
        return ["the budget gives no rest, and this is not the whole award"]
    return []


def _day(line: dict[str, Any], body: dict[str, Any]) -> Found:
    """When it may be paid, by the plan; held until then."""
    release, place = released(body), line.get("part", 0)
    if place >= len(release):
        return [f"the plan releases no part {place}"]
    day = date.fromisoformat(line["earned_on"]) + timedelta(days=release[place]["after_days"])
    if line["payable_on"] != day.isoformat():
        return [f"it is payable on {day.isoformat()}, it says {line['payable_on']}"]
    held = line["calculated_at"][:10] < line["payable_on"]
    return [] if line["state"] == (HELD if held else PAYABLE) else [f"it says that it is {line['state']}"]


def reversal(line: dict[str, Any], _: Plans) -> Found:
    """What is taken back: `round(earned * taken / basis)` less what was taken before, never more than stands."""
    whole, amount, before = _whole(line), amount_of(line["amount"]), amount_of(line["reversed_before"])
    if amount > whole - before or (amount < whole - before and amount_of(line["remaining"]) != 0):
        return [f"it should take back {text_of(whole - before)}, it takes {text_of(amount)}"]
    return []


def _whole(it: dict[str, Any]) -> Fraction:
    earned, basis, taken = amount_of(it["earned"]), amount_of(it["basis"]), endless(it["taken"])
    return earned if basis <= 0 else rounded(earned * min(taken, basis) / basis, it["earned"]["currency"])


# All that became of a line


@dataclass
class Life:
    """A line as it stands: what of it stands, what was taken back, where its money is, and until when it is held."""

    earned: Fraction
    basis: Fraction
    stands: Fraction
    state: str
    day: str
    reversed: Fraction = Fraction(0)


def lives(events: Iterable[dict[str, Any]], kept_back: Iterable[str]) -> Found:
    """Each line of the file from when it was earned, step by step: what it moves is what stands of it, and when it may."""
    known: dict[str, Life] = {}
    ledger: dict[tuple[str, str], Fraction] = {}
    hidden, found = set(kept_back), []
    for event in sorted(events, key=lambda one: int(one["position"])):
        step = STEPS.get(event["type"])
        if (event["type"] != CALCULATED and step is None) or event["data"]["line_id"] in hidden:
            continue
        it = event["data"]
        named = f"{event['type']} {event['id']}"
        if step is None:
            known[it["line_id"]] = _born(it)
        elif it["line_id"] not in known:
            found.append(f"{named}: the line that it is of is not in the file")
            continue
        else:
            found += [f"{named}: {text}" for text in step(it, known[it["line_id"]])]
        found += [f"{named}: {text}" for text in _moved(it, known[it["line_id"]], ledger)]
    return found


def _born(it: dict[str, Any]) -> Life:
    made = it["derivation"]
    basis = amount_of(made.get("booked") or made["basis"])
    return Life(amount_of(it["amount"]), basis, amount_of(it["amount"]), it["state"], it["payable_on"])


def _moved(it: dict[str, Any], life: Life, ledger: dict[tuple[str, str], Fraction]) -> Found:
    """What all journals of a line come to is what stands of it, on the account where it is."""
    for entry in it["journal"]["entries"]:
        side = (it["line_id"], entry["account"])
        ledger[side] = ledger.get(side, Fraction(0)) - amount_of(entry["amount"])
    there = {account: ledger.get((it["line_id"], account), Fraction(0)) for account in (HELD, PAYABLE)}
    due = {account: life.stands if account == life.state else Fraction(0) for account in (HELD, PAYABLE)}
    return [
        f"{text_of(due[account])} of the line should be {account}, the journals make {text_of(there[account])}"
        for account in (HELD, PAYABLE)
        if there[account] != due[account]
    ]


def _stands(it: dict[str, Any], life: Life) -> Found:
    told = amount_of(it["remaining"])
    return [] if told == life.stands else [f"{text_of(life.stands)} of the line stands, it says {text_of(told)}"]


def _reverse(it: dict[str, Any], life: Life) -> Found:
    found = []
    if (amount_of(it["earned"]), amount_of(it["basis"])) != (life.earned, life.basis):
        found.append("the line earned otherwise, or on another basis")
    if amount_of(it["reversed_before"]) != life.reversed:
        found.append(f"{text_of(life.reversed)} was taken back before")
    due = life.stands if it["reason_code"] == "recredited" else _due(it, life)
    amount = amount_of(it["amount"])
    if amount != due:
        found.append(f"it should take back {text_of(due)}, it takes {text_of(amount)}")
    life.reversed, life.stands = life.reversed + amount, life.stands - amount
    life.state = REVERSED if not life.stands else life.state
    return [*found, *_stands(it, life)]


def _due(it: dict[str, Any], life: Life) -> Fraction:
    """What of the whole was not taken back before, as far as it stands."""
    due = max(_whole(it), life.reversed, key=abs) - life.reversed
    return min(due, life.stands, key=abs)


def _adjust(it: dict[str, Any], life: Life) -> Found:
    found = ["one person alone corrected it"] if it["proposed_by"] == it["confirmed_by"] else []
    life.stands += amount_of(it["amount"])
    life.state = REVERSED if not life.stands else HELD if life.state == HELD else PAYABLE
    return [*found, *_stands(it, life)]


def _release(it: dict[str, Any], life: Life) -> Found:
    found = [] if life.state == HELD else [f"the line is {life.state}, not held"]
    if it["payable_on"] != life.day or it["released_at"][:10] < life.day:
        found.append(f"the line is held until {life.day}")
    life.state = PAYABLE
    return [*found, *_all_of(it, life)]


def _postpone(it: dict[str, Any], life: Life) -> Found:
    life.state, life.day = HELD, it["payable_on"]
    return _all_of(it, life)


def _review(it: dict[str, Any], life: Life) -> Found:
    life.state = HELD
    return _all_of(it, life)


def _all_of(it: dict[str, Any], life: Life) -> Found:
    amount = amount_of(it["amount"])
    return [] if amount == life.stands else [f"{text_of(life.stands)} of the line stands, it moves {text_of(amount)}"]


STEPS = {
    REVERSED_EVENT: _reverse,
    "incentives.PayoutAdjusted.v1": _adjust,
    "incentives.PayoutReleased.v1": _release,
    "incentives.PayoutPostponed.v1": _postpone,
    "incentives.PayoutPutUnderReview.v1": _review,
}

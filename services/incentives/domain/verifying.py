"""An independent check of a downloaded statement: standard library only, another way of reckoning than the service's.

It takes the text of a statement's proof and answers what does not hold, a sentence each, naming the line. Whoever holds
a file and this module needs nothing else: amounts are recomputed from the exported events and the plans' own words.
"""

import base64
import hashlib
import json
import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

FORMAT, WITHOUT_LOG = "entente-statement-2", "entente-statement-1"
"""The newest format, and the first, in which the events' places in the log are missing."""
DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"), 0),
    **dict.fromkeys(("VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""The minor digits of ISO 4217 currencies that have not two."""
HUNDRED = Fraction(100)
Found = list[str]


def verify(text: str) -> Found:
    """Everything that does not hold in a statement's proof; nothing for a sound one."""
    try:
        proof = json.loads(text)
        if proof["format"] not in (FORMAT, WITHOUT_LOG):
            return [f"this is not a proof of the format {FORMAT}"]
        events = {event["id"]: event for event in proof["events"]}
        checks = (_events(proof), _lines(proof, events), _plans(proof), _earnings(proof, events))
        logged = _log(proof) if proof["format"] == FORMAT else []
        return [*_statement(proof["statement"]), *(text for found in checks for text in found), *logged]
    except (KeyError, TypeError, ValueError, ArithmeticError) as missing:
        return [f"the file cannot be read: {type(missing).__name__} {missing}"]


def kept_back(text: str) -> int:
    """How many of the events of a sound proof are told by their hashes alone: parts of other partners' sales."""
    return sum(event["data"] is None for event in json.loads(text)["events"])


# The statement itself


def _statement(statement: dict[str, Any]) -> Found:
    found = []
    lines = sum((_number(line["amount"]["amount"]) for line in statement["lines"]), Fraction(0))
    closing = _number(statement["opening"]["amount"]) + lines
    if closing != _number(statement["closing"]["amount"]):
        found.append(
            f"opening and lines make {_text(closing)}, the statement closes with {statement['closing']['amount']}"
        )
    content = {name: value for name, value in statement.items() if name != "sha256"}
    if _sha256(content) != statement["sha256"]:
        found.append("the statement's content does not have the SHA-256 that it names")
    return found


def _lines(proof: dict[str, Any], events: dict[str, Any]) -> Found:
    """Each line is what its event's journal adds to what is payable to the payee."""
    found = []
    for line in proof["statement"]["lines"]:
        event = events.get(line["event_id"])
        named = f"line {line['event_id']} ({line['kind']} {line['amount']['amount']})"
        if event is None:
            found.append(f"{named}: its event is not in the file")
        elif event["data"] is not None:
            found += [f"{named}: {text}" for text in _journal(line, event["data"]["journal"]["entries"])]
    return found


def _journal(line: dict[str, Any], entries: list[dict[str, Any]]) -> Found:
    found = []
    if sum((_number(entry["amount"]["amount"]) for entry in entries), Fraction(0)):
        found.append("the event's journal does not sum to nothing")
    payable = -sum((_number(e["amount"]["amount"]) for e in entries if e["account"] == "payable"), Fraction(0))
    if payable != _number(line["amount"]["amount"]):
        found.append(f"the event's journal moves {_text(payable)}")
    return found


def _events(proof: dict[str, Any]) -> Found:
    """Each event's body has the SHA-256 of the bytes that were stored."""
    return [
        f"event {event['id']} ({event['type']}) does not have its SHA-256"
        for event in proof["events"]
        if event["data"] is not None and hashlib.sha256(_compact(event["data"]).encode()).hexdigest() != event["sha256"]
    ]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _plans(proof: dict[str, Any]) -> Found:
    return [
        f"plan {plan['rulebook_id']} version {plan['version']} does not have its SHA-256"
        for plan in proof["plans"]
        if _sha256(plan["body"]) != plan["sha256"]
    ]


# The log: RFC 9162 hashing over the stored bytes, framed as the documentation of proofs says

FRAME = struct.Struct(">QQIIQ")
Node = bytes


def _log(proof: dict[str, Any]) -> Found:
    """Every event, the statement's own too, stands in the log whose root the checkpoint names, and says what it says here."""
    issued, (_, size, root, *_rest) = proof["issued"], proof["checkpoint"].split("\n")
    found = [text for event in (issued, *proof["events"]) for text in _logged(event, int(size), base64.b64decode(root))]
    if issued["data"] != proof["statement"]:
        found.append("the statement is not what its own event says")
    return found


def _logged(event: dict[str, Any], size: int, root: Node) -> Found:
    path = [base64.b64decode(step) for step in event["proof"]]
    named, found = f"event {event['id']} ({event['type']})", []
    if _root(_leaf(event), event["leaf"], size, path) != root:
        found.append(f"{named} is not in the log that the checkpoint covers")
    if event["state"] is not None and json.loads(base64.b64decode(event["state"]))["data"] != event["data"]:
        found.append(f"{named} does not say what the log has")
    return found


def _leaf(event: dict[str, Any]) -> Node:
    """The hash of an event's stored bytes; what is kept back is told by that alone."""
    if event["state"] is None:
        return base64.b64decode(event["leaf_hash"])
    state, kind, stream = base64.b64decode(event["state"]), event["type"].encode(), event["stream"].encode()
    head = FRAME.pack(event["position"], event["version"], len(kind), len(stream), len(state))
    return hashlib.sha256(b"\0" + head + kind + stream + state).digest()


def _root(leaf: Node, place: int, size: int, path: list[Node]) -> Node | None:
    """The root of a tree of so many leaves, from one of them and its path: RFC 9162, 2.1.3.1, backwards."""
    if size == 1:
        return leaf if (place, path) == (0, []) else None
    if not path:
        return None
    left, (*below, sibling) = 1 << (size - 1).bit_length() - 1, path
    under = _root(leaf, place, left, below) if place < left else _root(leaf, place - left, size - left, below)
    if under is None:
        return None
    pair = under + sibling if place < left else sibling + under
    return hashlib.sha256(b"\1" + pair).digest()


# What was earned and what was taken back


def _earnings(proof: dict[str, Any], events: dict[str, Any]) -> Found:
    plans = {(plan["rulebook_id"], plan["version"]): plan for plan in proof["plans"]}
    found = []
    for event in events.values():
        check = CHECKS.get(event["type"]) if event["data"] is not None else None
        found += [f"{event['type']} {event['id']}: {text}" for text in check(event["data"], plans)] if check else []
    return [*found, *_releases(events)]


def _releases(events: dict[str, Any]) -> Found:
    """No true-up is payable before its day, nor beyond what it was."""
    known = {one["data"]["line_id"]: one["data"] for one in events.values() if one["type"] == TRUED_UP}
    found = []
    for event in [one for one in events.values() if one["type"] == TRUE_UP_RELEASED]:
        it, line = event["data"], known.get(event["data"]["line_id"])
        named = f"{event['type']} {event['id']}"
        if line is None:
            found.append(f"{named}: the true-up that it releases is not in the file")
        elif _of(it["amount"]) > _of(line["amount"]):
            found.append(f"{named}: it releases more than {line['amount']['amount']}")
        elif (it["payable_on"] != line["payable_on"]) or it["released_at"][:10] < line["payable_on"]:
            found.append(f"{named}: the line is held until {line['payable_on']}")
    return found


TRUED_UP, TRUE_UP_RELEASED = "incentives.WindowTruedUp.v1", "incentives.TrueUpReleased.v1"
Plans = dict[tuple[str, int], dict[str, Any]]


def _calculated(line: dict[str, Any], plans: Plans) -> Found:
    """The line's pay, recomputed from basis, share, and the plan's own bands, modifiers and bounds."""
    plan = plans.get((line["key"]["plan_id"], line["plan_version"]))
    if plan is None or plan["sha256"] != line["plan_sha256"]:
        return ["the plan version that rated it is not in the file"]
    made, body = line["derivation"], plan["body"]
    found = _measure(made, body)
    schedule = _schedule(made, body)
    currency = made["rounded_after"]["currency"]
    factor = Fraction(1) if body.get("accumulate", "line") != "line" else _factor(made, body)
    before, after = (_round(_value(schedule, _number(made[name])) * factor, currency) for name in MEASURES)
    if (before, after) != (_of(made["rounded_before"]), _of(made["rounded_after"])):
        found.append(f"the plan makes {_text(after)} less {_text(before)} of it")
    pay = _bounded(after - before, made, body, currency)
    return [*found, *_amount(line, pay, body)]


MEASURES = ("measure_before", "measure_after")


def _measure(made: dict[str, Any], body: dict[str, Any]) -> Found:
    if made["axis"] == "units":
        return []
    basis = made.get("exchange") or {}
    if basis and _exchanged(basis, body["currency"]) != _of(basis["result"]):
        return ["the exchange does not follow from its rate"]
    whole = _of(basis["result"]) if basis else _of(made["basis"])
    weight = _factor(made, body) if body.get("accumulate", "line") != "line" else Fraction(1)
    measure = whole * _number(made["share_percent"]) / HUNDRED * weight
    if measure != _number(made["measure"]):
        return [f"basis and share make a measure of {_text(measure)}"]
    if _number(made["measure_before"]) + measure != _number(made["measure_after"]):
        return ["the measure before and this one do not make the measure after"]
    return []


def _exchanged(basis: dict[str, Any], currency: str) -> Fraction:
    """What was given at its rate, or divided by the one that was recorded for the pair the other way round."""
    given, rate = _of(basis["given"]), basis["rate"]
    per = rate.get("per")
    return _round(given / _number(per) if per else given * _number(rate["rate"]), currency)


def _taken(made: dict[str, Any], body: dict[str, Any]) -> list[dict[str, Any]]:
    names = {one["modifier_id"] for one in made.get("weighed", ()) if one["taken"]}
    return [modifier for modifier in body.get("modifiers", ()) if modifier["modifier_id"] in names]


def _factor(made: dict[str, Any], body: dict[str, Any]) -> Fraction:
    factor = Fraction(1)
    for modifier in _taken(made, body):
        factor *= _number(modifier.get("multiply") or 1)
    return factor


def _schedule(made: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The plan's schedule with the percent of a term, and what the taken modifiers make of it; quotas as recorded."""
    taken = _taken(made, body)
    points = sum((_number(modifier.get("add_points") or 0) for modifier in taken), Fraction(0))
    replaced = [_number(m["replace_percent"]) for m in taken if m.get("replace_percent") is not None]
    percent = max(replaced) if replaced else made.get("term_percent")
    bands = [dict(band) for band in body["schedule"]["bands"]]
    for band in bands:
        if band.get("percent") is not None:
            own = _number(band["percent"]) if percent is None else _number(percent)
            band["percent"] = max(own + points, Fraction(0))
    return {**body["schedule"], "bands": bands, "quota": made["schedule"].get("quota")}


def _value(schedule: dict[str, Any], measure: Fraction) -> Fraction:
    """F: each slice at its band, or everything at the band reached."""
    if measure <= 0:
        return Fraction(0)
    value, reached, above, opens = Fraction(0), Fraction(0), Fraction(0), False
    for band in schedule["bands"]:
        upper = _upper(schedule, band)
        if not (measure > above or (opens and measure == above)):
            break
        end = measure if upper is None else min(measure, upper)
        value += _band(band, end - above)
        reached = _band(band, end)
        above, opens = (end if upper is None else upper), not band.get("includes_up_to", True)
    whole = value if schedule["semantics"] == "marginal" else reached
    floor, cap = schedule.get("floor"), schedule.get("cap")
    lifted = whole if floor is None else max(whole, _number(floor))
    return lifted if cap is None else min(lifted, _number(cap))


def _upper(schedule: dict[str, Any], band: dict[str, Any]) -> Fraction | None:
    if band.get("up_to") is None:
        return None
    bound = _number(band["up_to"])
    return bound * _number(schedule["quota"]) / HUNDRED if schedule.get("axis") == "attainment" else bound


def _band(band: dict[str, Any], measure: Fraction) -> Fraction:
    if band.get("percent") is not None:
        return measure * _number(band["percent"]) / HUNDRED
    return measure * _number(band["per_unit"]) if band.get("per_unit") is not None else _number(band.get("flat") or 0)


def _bounded(pay: Fraction, made: dict[str, Any], body: dict[str, Any], currency: str) -> Fraction:
    """The pay within the plan's floor and caps; what of a deal's cap is left is taken as it was recorded."""
    if pay <= 0:
        return pay
    if body.get("line_floor") is not None:
        pay = max(pay, _round(_number(body["line_floor"]), currency))
    if body.get("line_cap") is not None:
        pay = min(pay, _round(_number(body["line_cap"]), currency))
    deal = [bound for bound in made.get("bounds", ()) if bound["name"] == "deal_cap"]
    return min(pay, _of(deal[0]["after"])) if deal and body.get("deal_cap") is not None else pay


def _amount(line: dict[str, Any], pay: Fraction, body: dict[str, Any]) -> Found:
    """The line's amount: all of the pay, or not more than that where it is split between payees, days or a budget."""
    amount, exchange = _of(line["amount"]), line.get("exchange")
    if exchange:
        paid = _of(exchange["result"])
        if paid != _exchanged(exchange, line["amount"]["currency"]):
            return ["the exchange of its payout does not follow from its rate"]
        if paid != amount and not (body.get("budget_id") and 0 <= amount <= paid):
            return ["its amount does not follow from its exchange"]
        amount = _of(exchange["given"])
    split = body.get("payees") or body.get("release") or body.get("budget_id")
    if amount == pay or (split and 0 <= amount <= pay):
        return []
    return [f"it should pay {_text(pay)}, it pays {_text(amount)}"]


def _reversed(line: dict[str, Any], _: Plans) -> Found:
    """What is taken back: `round(earned * taken / basis)` less what was taken before, never more than stands."""
    earned, basis, taken = _of(line["earned"]), _of(line["basis"]), _number(line["taken"])
    whole = earned if not basis else _round(earned * min(taken, basis) / basis, line["earned"]["currency"])
    amount, before = _of(line["amount"]), _of(line["reversed_before"])
    if amount > whole - before or (amount < whole - before and _of(line["remaining"]) != 0):
        return [f"it should take back {_text(whole - before)}, it takes {_text(amount)}"]
    return []


def _trued_up(line: dict[str, Any], plans: Plans) -> Found:
    """What the window is worth, recomputed from its measure and the plan's own bands; the first true-ups name no measure."""
    if "measure" not in line:
        return []
    plan = plans.get((line["plan_id"], line["plan_version"]))
    if plan is None:
        return ["the plan version that rated it is not in the file"]
    schedule = {**plan["body"]["schedule"], "quota": line["quota"]}
    worth = _round(_value(schedule, _number(line["measure"])), line["total"]["currency"])
    return [] if worth == _of(line["total"]) else [f"the plan makes {_text(worth)} of the window"]


CHECKS = {
    "incentives.PayoutCalculated.v1": _calculated,
    "incentives.PayoutReversed.v1": _reversed,
    TRUED_UP: _trued_up,
}


# Numbers and hashes


def _number(text: Any) -> Fraction:
    return Fraction(str(text))


def _of(money: dict[str, str]) -> Fraction:
    return _number(money["amount"])


def _round(exact: Fraction, currency: str) -> Fraction:
    """The nearest minor unit; a half goes away from zero."""
    unit = Fraction(1, 10 ** DIGITS.get(currency, 2))
    steps = abs(exact) / unit
    whole = (2 * steps.numerator + steps.denominator) // (2 * steps.denominator)
    return whole * unit if exact >= 0 else -whole * unit


def _text(exact: Fraction) -> str:
    return str(Decimal(exact.numerator) / Decimal(exact.denominator))


def _sha256(value: Any) -> str:
    spelled = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(spelled.encode()).hexdigest()

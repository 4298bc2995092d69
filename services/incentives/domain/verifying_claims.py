"""The verifier's own reckoning of claims: what a fund pays of an activity, and a special price for what was sold under it.

Standard library only, and nothing of what the service reckons with.
"""

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from services.incentives.domain.verifying_lines import Found
from services.incentives.domain.verifying_numbers import HUNDRED, amount_of, number, rounded, split, text_of

PUBLISHED = "chassis.RulesPublished.v1"
DRAFTED, DECIDED = "incentives.ClaimDrafted.v1", "incentives.ClaimDecided.v1"
INSTALMENT = "incentives.ClaimInstalmentReleased.v1"
REQUEST_DECIDED, DRAWN = "incentives.FundRequestDecided.v1", "incentives.FundRequestDrawn.v1"
GRANTED, USED = "incentives.SpecialPriceGranted.v1", "incentives.SpecialPriceUsed.v1"
ENDED = "incentives.SpecialPriceEnded.v1"
OF_CLAIMS = (DECIDED, INSTALMENT)
"""The events of claims by which money becomes payable."""
TAX_PERCENT_MAX = 27
PARTICIPATION_PERCENT = 50
"""What part of an activity a fund pays that does not say so."""
NOT_COUNTED, COUNTED_BEFORE = " do not count: ", "it was counted before"
"""How a step says of a row that it does not count, and that another claim's row was the same."""
ALL_TAX = {"fund": 2, "special_price": 1}
"""The last evaluators of which each paid all tax that was claimed."""
WHOLE_TOLERANCE = 3
"""The last evaluator that gave each claim for a request its whole tolerance."""
OF_DAYS_TO_COME = 3
"""The last evaluator that paid for what was not sold yet."""


@dataclass
class Request:
    """What is still reserved for a request, how far its claims may go beyond that, and the fund's part of what they are."""

    percent: Fraction
    rest: Fraction
    tolerance: Fraction
    whole: Fraction


@dataclass
class Price:
    """An agreement: its words, when it ends, and the units of it that were counted."""

    granted: dict[str, Any]
    ends_on: str
    used: dict[str, int] = field(default_factory=dict)


@dataclass
class Known:
    """All that the file tells until an event: claims as they were drafted and decided, requests, agreements, and rules."""

    rules: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    drafts: dict[str, dict[str, Any]] = field(default_factory=dict)
    decided: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    units: dict[str, dict[str, int]] = field(default_factory=dict)


def claims(events: Iterable[dict[str, Any]]) -> Found:
    """Each approved claim of the file, recomputed from what was claimed, and what was reserved or agreed before it."""
    known, found = Known(), []
    for event in sorted(events, key=lambda one: int(one["position"])):
        if step := STEPS.get(event["type"]):
            found += [f"{event['type']} {event['id']}: {text}" for text in step(event, known)]
    return found


def _evaluator(event: dict[str, Any]) -> int:
    """By which evaluator it was decided: a new one, where the stored bytes are not there to say."""
    state = event.get("state")
    return int(json.loads(base64.b64decode(state))["evaluator"]) if state else WHOLE_TOLERANCE + 1


# What is known before a claim


def _published(event: dict[str, Any], known: Known) -> Found:
    it = event["data"]
    known.rules[it["rulebook_id"], it["version"]] = it["body"]
    return []


def _drafted(event: dict[str, Any], known: Known) -> Found:
    known.drafts[event["data"]["claim_id"]] = event["data"]
    return []


def _requested(event: dict[str, Any], known: Known) -> Found:
    """What of a request is reserved: the fund's part of what was accepted. An amendment that is not leaves it as it is."""
    it, terms = event["data"], event["data"]["terms"]
    if terms is None:
        return []
    currency, percent = terms["reserved"]["currency"], number(terms["participation_percent"])
    reserved, tolerance = amount_of(terms["reserved"]), amount_of(terms["tolerance"])
    known.requests[it["fund_request_id"]] = Request(percent, reserved, tolerance, tolerance)
    accepted = sum((amount_of(one["amount"]) for one in it["items"]), Fraction(0))
    due = rounded(accepted * percent / HUNDRED, currency)
    found = []
    if (accepted, due, due) != (amount_of(terms["accepted"]), reserved, amount_of(it["amount"])):
        found.append(f"{text_of(due)} are reserved of the {text_of(accepted)} that were accepted")
    return [*found, *_by_the_fund(it, terms, known)]


def _by_the_fund(it: dict[str, Any], terms: dict[str, Any], known: Known) -> Found:
    body = known.rules.get((it["fund_id"], terms["plan_version"]))
    if body is None:
        return ["the rules of its fund are not in the file"]
    part = number(body.get("participation_percent", PARTICIPATION_PERCENT))
    beyond = number(body.get("tolerance_percent", 0)) * amount_of(terms["reserved"]) / HUNDRED
    due = (part, rounded(beyond, terms["reserved"]["currency"]))
    if due == (number(terms["participation_percent"]), amount_of(terms["tolerance"])):
        return []
    return [f"the fund pays {text_of(due[0])} percent, and {text_of(due[1])} beyond"]


def _granted(event: dict[str, Any], known: Known) -> Found:
    it = event["data"]
    known.prices[it["special_price_id"]] = Price(it, it["ends_on"])
    return []


def _ended(event: dict[str, Any], known: Known) -> Found:
    if price := known.prices.get(event["data"]["special_price_id"]):
        price.ends_on = event["data"]["ends_on"]
    return []


# What a claim comes to


def _decided(event: dict[str, Any], known: Known) -> Found:
    it = event["data"]
    if it["outcome"] != "approved" or it["kind"] not in CLAIMED:
        return []
    draft = known.drafts.get(it["claim_id"])
    if draft is None:
        return ["what was claimed is not in the file"]
    known.decided[it["claim_id"]] = it
    claimed = sum((amount_of(one["amount"]) for one in draft["items"]), Fraction(0))
    found = [] if claimed == amount_of(it["claimed"]) else [f"{text_of(claimed)} were claimed"]
    evaluator = _evaluator(event)
    return [*found, *CLAIMED[it["kind"]](it, draft, evaluator, known), *_tax(it, draft, evaluator), *_journal(it)]


def _of_fund(it: dict[str, Any], _: dict[str, Any], evaluator: int, known: Known) -> Found:
    """The fund's part of what is eligible, at most what is left of the reservation and of the tolerance."""
    request = known.requests.get(it["of_id"])
    if request is None:
        return ["the request that it is for is not in the file"]
    tolerance = request.whole if evaluator <= WHOLE_TOLERANCE else request.tolerance
    eligible = amount_of(it["eligible"])
    due = min(rounded(eligible * request.percent / HUNDRED, it["amount"]["currency"]), request.rest + tolerance)
    found = [] if eligible <= amount_of(it["claimed"]) else ["more is eligible than was claimed"]
    if due != amount_of(it["amount"]):
        found.append(f"of {text_of(eligible)} the fund pays {text_of(due)}, it says {it['amount']['amount']}")
    return found


def _of_price(it: dict[str, Any], draft: dict[str, Any], evaluator: int, known: Known) -> Found:
    """Units times cost less price, at most what was claimed; of days to come nothing counts, as it once did."""
    price = known.prices.get(it["of_id"])
    if price is None:
        return ["the special price that it is for is not in the file"]
    products = {one["sku"]: one for one in price.granted["products"]}
    last = _day_after(it["decided_on"]) if evaluator > OF_DAYS_TO_COME else price.ends_on
    until = replace(price, ends_on=min(price.ends_on, last))
    units, found = _counted(it["steps"], [one["sold"] for one in draft["items"]], until, products)
    known.units[it["claim_id"]] = units
    calculated = sum(
        (
            count * (amount_of(products[sku]["cost"]) - amount_of(products[sku]["price"]))
            for sku, count in units.items()
        ),
        Fraction(0),
    )
    due = min(amount_of(it["claimed"]), calculated)
    if (calculated, due) != (amount_of(it["eligible"]), amount_of(it["amount"])):
        told = f"{it['eligible']['amount']} and pays {it['amount']['amount']}"
        found.append(f"what was sold comes to {text_of(calculated)} and pays {text_of(due)}, it says {told}")
    return found


def _day_after(day: str) -> str:
    """The day on which it may have been sold elsewhere on earth by then."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


CLAIMED: dict[str, Callable[[dict[str, Any], dict[str, Any], int, Known], Found]] = {
    "fund": _of_fund,
    "special_price": _of_price,
}


def _counted(
    steps: list[str], rows: list[dict[str, Any]], price: Price, products: dict[str, Any]
) -> tuple[dict[str, int], Found]:
    """The units that count by product. What another claim counted, and which order was of the deal, is as it was told."""
    units: dict[str, int] = {}
    found, seen = [], set()
    for place, row in enumerate(rows):
        sku, left = row["sku"], _left(row["sku"], units, price, products)
        told = steps[place].partition(NOT_COUNTED)[2] if place < len(steps) else ""
        as_told = told == COUNTED_BEFORE or (told != "" and _of_unnamed_deal(row, price))
        counts = _fits(row, price, products) and _shown(row) not in seen and left > 0
        seen.add(_shown(row))
        if counts == bool(told) and not as_told:
            found.append(f"row {place + 1} {'counts' if counts else 'does not count'}")
        if counts and not as_told:
            units[sku] = units.get(sku, 0) + min(int(row["quantity"]), left)
    return units, found


def _left(sku: str, units: dict[str, int], price: Price, products: dict[str, Any]) -> int:
    most = int(products[sku]["units_max"]) if sku in products else 0
    return most - price.used.get(sku, 0) - units.get(sku, 0)


def _shown(row: dict[str, Any]) -> tuple[str, str, str]:
    """The same unit, or the same product on the same invoice, counts once."""
    if row.get("serial"):
        return (row["sku"], "serial", row["serial"])
    return (row["sku"], "invoice", row.get("invoice") or "")


def _fits(row: dict[str, Any], price: Price, products: dict[str, Any]) -> bool:
    it = price.granted
    of_deal = it["registration_id"] is None or row.get("registration_id") in (None, it["registration_id"])
    customer = it.get("customer_domain")
    of_customer = customer is None or row.get("customer_domain") == customer
    return row["sku"] in products and it["starts_on"] <= row["sold_on"] <= price.ends_on and of_deal and of_customer


def _of_unnamed_deal(row: dict[str, Any], price: Price) -> bool:
    """Whether a row counts only if a distributor's order is known of its deal."""
    return row.get("registration_id") is None and price.granted["registration_id"] is not None


def _tax(it: dict[str, Any], draft: dict[str, Any], evaluator: int) -> Found:
    """The part of the tax that is on what was approved; before, all of it."""
    amount, claimed, currency = amount_of(it["amount"]), amount_of(it["claimed"]), it["amount"]["currency"]
    charged = amount_of(draft["tax"]["amount"]) if draft["tax"] and amount else Fraction(0)
    most = min(charged, rounded(claimed * TAX_PERCENT_MAX / HUNDRED, currency))
    part = rounded(most * amount / claimed, currency) if claimed else Fraction(0)
    due = charged if evaluator <= ALL_TAX[it["kind"]] else part
    told = amount_of(it["tax"]["amount"]) if it["tax"] else Fraction(0)
    return [] if told == due else [f"the tax on it is {text_of(due)}, it says {text_of(told)}"]


def _journal(it: dict[str, Any]) -> Found:
    """Its amount is the expense, its tax what the vendor has back, and both are owed, in parts where it is paid so."""
    moved: dict[str, Fraction] = {}
    for entry in it["journal"]["entries"]:
        moved[entry["account"]] = moved.get(entry["account"], Fraction(0)) + amount_of(entry["amount"])
    amount, tax = amount_of(it["amount"]), amount_of(it["tax"]["amount"]) if it["tax"] else Fraction(0)
    found = []
    if (moved.pop("expense", Fraction(0)), moved.pop("vat", Fraction(0))) != (amount, tax):
        found.append("its journal does not move its amount and tax")
    if -sum(moved.values(), Fraction(0)) != amount + tax:
        found.append(f"its journal does not owe {text_of(amount + tax)}")
    parts = [amount_of(one["amount"]) for one in it.get("instalments") or ()]
    if parts and parts != split(amount + tax, [Fraction(1)] * len(parts), it["amount"]["currency"]):
        found.append("its instalments are not equal parts of it")
    return found


# What a claim does to its request and its agreement, and what becomes payable later


def _drawn(event: dict[str, Any], known: Known) -> Found:
    it = event["data"]
    request, claim = known.requests.get(it["fund_request_id"]), known.decided.get(it["claim_id"])
    if request is None:
        return ["the request that it draws on is not in the file"]
    amount, before = amount_of(it["amount"]), request.rest
    request.tolerance -= max(amount - before, Fraction(0))
    request.rest = before - min(before, amount)
    found = [] if request.rest == amount_of(it["rest"]) else [f"{text_of(request.rest)} are left of the reservation"]
    if claim and amount_of(claim["amount"]) != amount:
        found.append(f"its claim is paid {claim['amount']['amount']}")
    return found


def _used(event: dict[str, Any], known: Known) -> Found:
    it = event["data"]
    if price := known.prices.get(it["special_price_id"]):
        price.used = {sku: price.used.get(sku, 0) + it["units"].get(sku, 0) for sku in {*price.used, *it["units"]}}
    due = known.units.get(it["claim_id"], it["units"])
    return [] if due == it["units"] else ["these are not the units that its claim counts"]


def _instalment(event: dict[str, Any], known: Known) -> Found:
    it, claim = event["data"], known.decided.get(event["data"]["claim_id"])
    parts = {one["number"]: one for one in claim["instalments"]} if claim else {}
    part = parts.get(it["number"])
    if part is None:
        return ["the claim that it is a part of is not in the file"]
    if amount_of(part["amount"]) != amount_of(it["amount"]):
        return [f"instalment {it['number']} is {part['amount']['amount']}"]
    early = it["released_at"][:10] < part["payable_on"]
    return [f"instalment {it['number']} is payable on {part['payable_on']}"] if early else []


STEPS: dict[str, Callable[[dict[str, Any], Known], Found]] = {
    PUBLISHED: _published,
    DRAFTED: _drafted,
    REQUEST_DECIDED: _requested,
    GRANTED: _granted,
    ENDED: _ended,
    DECIDED: _decided,
    DRAWN: _drawn,
    USED: _used,
    INSTALMENT: _instalment,
}

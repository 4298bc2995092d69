"""The verifier's own reckoning of payments: the tax on an invoice, what is withheld by the rules, and what the payee gets.

Standard library only, and nothing of what the service reckons with.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from services.incentives.domain.verifying_lines import Found, Plans
from services.incentives.domain.verifying_numbers import HUNDRED, amount_of, number, rounded, text_of

TAXED, APPROVED = "incentives.InvoiceTaxed.v1", "incentives.PaymentApproved.v1"
FORM, FORM_DECIDED = "incentives.TaxFormSubmitted.v1", "incentives.TaxFormDecided.v1"
PUBLISHED, ENDED = "chassis.RulesPublished.v1", "chassis.RulesEnded.v1"
PAYMENT_RULES, WITHHOLDING = "payment", "withholding"
COMPANY = "company"
"""What a payee is of whom a rule does not say it."""
Form = dict[str, Any]


def taxed(invoice: dict[str, Any], _: Plans) -> Found:
    """The tax of an invoice is what the vendor has back, and what becomes payable."""
    vat = [amount_of(entry["amount"]) for entry in invoice["journal"]["entries"] if entry["account"] == "vat"]
    tax = invoice["tax"]
    return [] if vat == [amount_of(tax)] else [f"a tax of {tax['amount']} is not what its journal moves"]


def approved(payment: dict[str, Any], _: Plans) -> Found:
    """To the payee go the amount and the tax on its invoice, less what is withheld."""
    if payment.get("net") is None:
        return []
    tax, paid = _of(payment, "tax"), payment["net"]
    net = amount_of(payment["amount"]) + tax - _of(payment, "withheld")
    told = f"{paid['amount']} go to the payee, amount and tax less what is withheld make {text_of(net)}"
    return [] if net == amount_of(paid) else [told]


def _of(payment: dict[str, Any], name: str) -> Fraction:
    return amount_of(payment[name]) if payment.get(name) else Fraction(0)


# What is withheld


@dataclass
class Known:
    """The rules of payments that the file tells, and each payee's tax forms: handed in, and by year those that were accepted."""

    rules: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    handed_in: dict[str, Form] = field(default_factory=dict)
    accepted: dict[str, dict[int, Form]] = field(default_factory=dict)


def withholdings(events: Iterable[dict[str, Any]]) -> Found:
    """What was withheld of each approved payment, recomputed from the payee's forms and the table of the rules that held."""
    known, found = Known(), []
    for event in sorted(events, key=lambda one: int(one["position"])):
        it = event["data"]
        if step := STEPS.get(event["type"]):
            step(it, known)
        elif event["type"] == APPROVED:
            found += [f"{event['type']} {event['id']}: {text}" for text in _withheld(it, known)]
    return found


def _publish(it: dict[str, Any], known: Known) -> None:
    if it["kind"] == PAYMENT_RULES:
        known.rules[it["rulebook_id"], it["version"]] = it


def _end(it: dict[str, Any], known: Known) -> None:
    if rules := known.rules.get((it["rulebook_id"], it["version"])):
        known.rules[it["rulebook_id"], it["version"]] = {**rules, "effective_until": it["ended_from"]}


def _hand_in(it: dict[str, Any], known: Known) -> None:
    known.handed_in[it["form_id"]] = it


def _decide(it: dict[str, Any], known: Known) -> None:
    """The accepted form of a year takes the place of the one before it; one that is rejected is none any more."""
    form = known.handed_in[it["form_id"]]
    others = known.accepted.get(it["payee_id"], {})
    kept = {year: one for year, one in others.items() if one["form_id"] != it["form_id"]}
    if it["outcome"] == "accepted":
        kept[form["tax_year"]] = form
    known.accepted[it["payee_id"]] = kept


STEPS = {PUBLISHED: _publish, ENDED: _end, FORM: _hand_in, FORM_DECIDED: _decide}


def _withheld(it: dict[str, Any], known: Known) -> Found:
    body = _in_force(known.rules.values(), it["approved_at"])
    year = datetime.fromisoformat(it["approved_at"]).year
    form = _form(known.accepted.get(it["payee_id"], {}), year, by_threshold=bool(body.get("thresholds")))
    percent, found = _percent(body, form, year), []
    if it.get("jurisdiction") != (form["jurisdiction"] if form else None):
        found.append("its jurisdiction is not the one of the payee's tax form")
    measured = [one for one in it.get("thresholds") or () if one["asks"] == WITHHOLDING]
    bounds = _bounds(body, form, year) if form else []
    if form and bounds != [amount_of(one["threshold"]) for one in measured]:
        found.append(f"the rules name thresholds of {', '.join(map(text_of, bounds)) or 'none'}")
    begun = not bounds or any(map(_reached, measured))
    due = rounded(amount_of(it["amount"]) * percent / HUNDRED, it["amount"]["currency"]) if begun else Fraction(0)
    if due != _of(it, "withheld"):
        found.append(f"{text_of(percent)} % withhold {text_of(due)}, it says {text_of(_of(it, 'withheld'))}")
    return found


def _in_force(rules: Iterable[dict[str, Any]], at: str) -> dict[str, Any]:
    """The body of the rules that held at an instant; nothing is withheld by none."""
    moment = datetime.fromisoformat(at)
    held = [one for one in rules if _holds(one, moment)]
    first = min((one["rulebook_id"] for one in held), default=None)
    newest = max(
        (one for one in held if one["rulebook_id"] == first), key=lambda one: int(one["version"]), default=None
    )
    return newest["body"] if newest else {}


def _holds(rules: dict[str, Any], moment: datetime) -> bool:
    until = rules["effective_until"]
    begun = datetime.fromisoformat(rules["effective_from"]) <= moment
    return begun and (until is None or moment < datetime.fromisoformat(until))


def _form(accepted: dict[int, Form], year: int, *, by_threshold: bool) -> Form | None:
    """The form of the year; where thresholds let one be asked for later, else the newest one before."""
    if not by_threshold:
        return accepted.get(year)
    return accepted.get(max((known for known in accepted if known <= year), default=0))


def _percent(body: dict[str, Any], form: Form | None, year: int) -> Fraction:
    chosen = _row(body.get("withholding", ()), form, year)
    return number(chosen["percent"]) if chosen else Fraction(0)


def _bounds(body: dict[str, Any], form: Form, year: int) -> list[Fraction]:
    """From how much of the year on something is withheld, where that begins at an amount."""
    rows = [one for one in body.get("thresholds", ()) if one["asks"] == WITHHOLDING]
    chosen = _row(rows, form, year)
    return [number(chosen["from_amount"])] if chosen else []


def _row(rows: Iterable[dict[str, Any]], form: Form | None, year: int) -> dict[str, Any] | None:
    """The row of a table for a form's jurisdiction and kind of payee: that of the year before one of every year."""
    home = (form["jurisdiction"], form["payee_kind"]) if form else None
    fitting = [
        one
        for one in rows
        if (one["jurisdiction"], one.get("payee_kind", COMPANY)) == home and one.get("tax_year") in (year, None)
    ]
    return max(fitting, key=lambda one: one.get("tax_year") or 0, default=None)


def _reached(measured: dict[str, Any]) -> bool:
    """What cannot be counted for want of a rate counts as reached."""
    return measured["total"] is None or amount_of(measured["total"]) >= amount_of(measured["threshold"])

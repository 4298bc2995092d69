"""Who can be paid, and which gate is shut before whom?"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from chassis.read_store.port import PAGE_MAX, ReadStore
from contracts.values import Money
from services.incentives.domain.merging import PayeeMerged, PayeeUnmerged
from services.incentives.domain.payee import (
    ACCEPTED,
    BANK_VERIFIED,
    BLOCKED,
    COOL_DOWN,
    EMPLOYER_CONSENT,
    FORGOTTEN,
    MERGED,
    PAYOUTS,
    SUSPENDED,
    UNDER_REVIEW,
    Payee,
)
from services.incentives.domain.payee_events import (
    BankDetailsChanged,
    BankDetailsVerified,
    EmployerChanged,
    PayeeBlocked,
    PayeeForgotten,
    PayeeOpened,
    PayeeReinstated,
    PayeeReviewClosed,
    PayeeReviewOpened,
    PayeeSuspended,
    PayeeUnblocked,
    PersonConsented,
    PersonLeft,
    TaxFormDecided,
    TaxFormSubmitted,
    UnblockProposed,
)
from services.incentives.domain.payment_rules import PaymentRules, percent_of
from services.incentives.domain.thresholds import TAX_FORM, Measured, text_of_measured


class PayeeDocument(TypedDict):
    """`gates` are those that are shut; a suspension with `until` opens by itself then, a cool-down after its hours."""

    payee_id: str
    partner_id: str
    gates: list[str]
    until: str | None
    reason_code: str | None
    bank: dict[str, Any] | None
    tax_forms: dict[str, dict[str, Any]]
    blocked_reason: str | None
    unblock_proposed_by: str | None
    changed_at: str
    left_on: str | None


def evolve(document: PayeeDocument | None, seen: Seen) -> PayeeDocument | None:
    happened = seen.event
    if document is None and isinstance(happened, PayeeForgotten):
        return None
    known = document or _empty(happened.payee_id, happened.partner_id)
    changed: Any = {**known, **CHANGES[type(happened)](known, happened), "changed_at": iso(seen.recorded_at)}
    return changed  # type: ignore[no-any-return]


def _empty(payee_id: str, partner_id: str) -> PayeeDocument:
    return {
        "payee_id": payee_id,
        "partner_id": partner_id,
        "gates": [],
        "until": None,
        "reason_code": None,
        "bank": None,
        "tax_forms": {},
        "blocked_reason": None,
        "unblock_proposed_by": None,
        "changed_at": "",
        "left_on": None,
    }


Changed = dict[str, Any]


def _shut(known: PayeeDocument, gate: str) -> Changed:
    return {"gates": sorted({*known["gates"], gate})}


def _opened(known: PayeeDocument, gate: str) -> Changed:
    return {"gates": [one for one in known["gates"] if one != gate]}


def _began(known: PayeeDocument, it: PayeeOpened) -> Changed:
    return _shut(known, EMPLOYER_CONSENT) if it.payee_id != it.partner_id else {}


def _suspended(known: PayeeDocument, it: PayeeSuspended) -> Changed:
    if PAYOUTS not in it.scopes:
        return {**_opened(known, SUSPENDED), "until": None, "reason_code": None}
    return {**_shut(known, SUSPENDED), "until": iso(it.until) if it.until else None, "reason_code": it.reason_code}


def _reinstated(known: PayeeDocument, _: PayeeReinstated) -> Changed:
    return {**_opened(known, SUSPENDED), "until": None, "reason_code": None}


def _bank(known: PayeeDocument, it: BankDetailsChanged) -> Changed:
    bank = {"bank_id": it.bank_id, "changed_at": iso(it.changed_at), "changed_by": it.changed_by, "verified": False}
    return {**_shut(known, BANK_VERIFIED), "bank": bank}


def _verified(known: PayeeDocument, _: BankDetailsVerified) -> Changed:
    return {**_opened(known, BANK_VERIFIED), "bank": {**(known["bank"] or {}), "verified": True}}


def _submitted(known: PayeeDocument, it: TaxFormSubmitted) -> Changed:
    form = {
        "form": plain(it.sealed) if it.sealed else it.form,
        "jurisdiction": it.jurisdiction,
        "tax_year": it.tax_year,
        "state": "submitted",
    }
    return {"tax_forms": {**known["tax_forms"], it.form_id: form}}


def _decided(known: PayeeDocument, it: TaxFormDecided) -> Changed:
    form = {**known["tax_forms"].get(it.form_id, {}), "state": it.outcome, "reason": it.reason}
    return {"tax_forms": {**known["tax_forms"], it.form_id: form}}


def _consented(known: PayeeDocument, _: PersonConsented) -> Changed:
    return _opened(known, EMPLOYER_CONSENT)


def _employed(known: PayeeDocument, it: EmployerChanged) -> Changed:
    """The consent, and a suspension, was the former employer's."""
    gates = sorted({*known["gates"], EMPLOYER_CONSENT} - {SUSPENDED})
    own = {"partner_id": it.partner_id, "left_on": None}
    return {"gates": gates, "until": None, "reason_code": None, **own}


def _forgotten(_: PayeeDocument, __: PayeeForgotten) -> Changed:
    """Nothing that somebody wrote about the person is left."""
    gone = dict.fromkeys(("until", "reason_code", "bank", "blocked_reason", "unblock_proposed_by"))
    return {"gates": [FORGOTTEN], "tax_forms": {}, **gone}


def _left(known: PayeeDocument, it: PersonLeft) -> Changed:
    return {"left_on": iso(it.left_on)}


def _blocked(known: PayeeDocument, it: PayeeBlocked) -> Changed:
    return {**_shut(known, BLOCKED), "blocked_reason": it.reason, "unblock_proposed_by": None}


def _unblocking(known: PayeeDocument, it: UnblockProposed) -> Changed:
    return {"unblock_proposed_by": it.proposed_by}


def _unblocked(known: PayeeDocument, _: PayeeUnblocked) -> Changed:
    return {**_opened(known, BLOCKED), "blocked_reason": None, "unblock_proposed_by": None}


def _review_opened(known: PayeeDocument, _: PayeeReviewOpened) -> Changed:
    return _shut(known, UNDER_REVIEW)


def _review_closed(known: PayeeDocument, it: PayeeReviewClosed) -> Changed:
    return {} if it.others_open else _opened(known, UNDER_REVIEW)


def _merged(known: PayeeDocument, _: PayeeMerged) -> Changed:
    return _shut(known, MERGED)


def _unmerged(known: PayeeDocument, _: PayeeUnmerged) -> Changed:
    return _opened(known, MERGED)


CHANGES: dict[type[Any], Any] = {
    PayeeOpened: _began,
    PayeeSuspended: _suspended,
    PayeeReinstated: _reinstated,
    BankDetailsChanged: _bank,
    BankDetailsVerified: _verified,
    TaxFormSubmitted: _submitted,
    TaxFormDecided: _decided,
    PersonConsented: _consented,
    EmployerChanged: _employed,
    PersonLeft: _left,
    PayeeForgotten: _forgotten,
    PayeeBlocked: _blocked,
    UnblockProposed: _unblocking,
    PayeeUnblocked: _unblocked,
    PayeeReviewOpened: _review_opened,
    PayeeReviewClosed: _review_closed,
    PayeeMerged: _merged,
    PayeeUnmerged: _unmerged,
}

PAYEE_GATES = Projection(
    name="payee_gates",
    version=5,
    keys=dict.fromkeys(CHANGES, lambda seen: str(seen.event.payee_id)),
    evolve=evolve,
    indexes=("partner_id", "changed_at", "partner_id,changed_at"),
)


async def under_own_partner(read: ReadStore, tenant: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the partner that each payee is, or works for now; as they are where the payee is not known."""
    payee_ids = sorted({row["payee_id"] for row in rows})
    known: dict[str, Any] = {}
    for start in range(0, len(payee_ids), PAGE_MAX):
        known |= await read.get_many("payee_gates", tenant, payee_ids[start : start + PAGE_MAX])
    return [{**row, "partner_id": known.get(row["payee_id"], row)["partner_id"]} for row in rows]


def gates_now(document: dict[str, Any], rules: PaymentRules, now: datetime, *, asks_form: bool) -> list[str]:
    """The gates of a document that are shut at an instant, those of the rules and the clock included.

    `asks_form` says whether the rules want a tax form of this payee by now.
    """
    bank = document["bank"]
    gates = set(document["gates"])
    if FORGOTTEN in gates:
        return [FORGOTTEN]
    if document["until"] and document["until"] <= iso(now):
        gates.discard(SUSPENDED)
    if bank is None and BANK_VERIFIED in rules.gates:
        gates.add(BANK_VERIFIED)
    if bank and now < datetime.fromisoformat(bank["changed_at"]) + timedelta(hours=rules.cool_down_hours):
        gates.add(COOL_DOWN)
    years = {form["tax_year"] for form in document["tax_forms"].values() if form["state"] == ACCEPTED}
    if asks_form and now.year not in years:
        gates.add(TAX_FORM)
    return sorted(gates)


NO_BANK_FILE = "no_bank_file"
NO_BANK_FILE_TEXT = (
    "there are no bank details, and the payment rules ask for none: the provider is handed payments under the payee's id "
    "and pays the account that it knows, but a bank's file (pain.001) with a payment to this payee cannot be written"
)


def cautions(document: dict[str, Any], rules: PaymentRules) -> list[dict[str, str]]:
    """What shuts no gate and still makes a money order fail, and which one."""
    if document["bank"] is not None or BANK_VERIFIED in rules.gates or FORGOTTEN in document["gates"]:
        return []
    return [{"code": NO_BANK_FILE, "text": NO_BANK_FILE_TEXT}]


def why_shut(
    gate: str, document: dict[str, Any], rules: PaymentRules, now: datetime, thresholds: Sequence[Measured] = ()
) -> str:
    """Why a gate is shut, and what opens it."""
    bank, until = document["bank"], document["until"]
    return {
        FORGOTTEN: "the person was forgotten: its bank details and tax forms can be read no more, nothing is paid to it, and "
        "what is payable stands in the ledger; decline what is under way",
        SUSPENDED: f"payouts are suspended ({document['reason_code']}){f' until {until}' if until else ''}",
        BLOCKED: f"finance stopped every payment: {document['blocked_reason']}; two people open it again",
        UNDER_REVIEW: "a person of the vendor looks at something first; payments wait until that is settled",
        MERGED: "the partner is one with another: what is payable goes there, decline what is under way here",
        EMPLOYER_CONSENT: "the owner of the employer has not agreed yet that this person is paid",
        BANK_VERIFIED: "another person than who entered the bank details has to verify them"
        if bank
        else "there are no bank details, and the payment rules ask for them",
        COOL_DOWN: f"changed bank details wait {rules.cool_down_hours} hours, until {_cooled(bank, rules)}",
        TAX_FORM: f"no tax form of {now.year} has been accepted, and the payment rules ask for one{_since(thresholds)}",
    }[gate]


def _since(thresholds: Sequence[Measured]) -> str:
    """By which thresholds a tax form is asked for."""
    reached = [text_of_measured(one) for one in thresholds if one.asks == TAX_FORM and one.reached]
    return f": {'; '.join(reached)}" if reached else ""


def shown_threshold(one: Measured) -> dict[str, Any]:
    """A threshold with what the payee has come to."""
    return {**plain(one), "reached": one.reached, "text": text_of_measured(one)}


def _cooled(bank: dict[str, Any] | None, rules: PaymentRules) -> str | None:
    """From when on money may go to changed bank details."""
    return iso(datetime.fromisoformat(bank["changed_at"]) + timedelta(hours=rules.cool_down_hours)) if bank else None


class Caution(TypedDict):
    """What shuts no gate and still makes a money order fail."""

    code: str
    text: str


class _Payee(TypedDict):
    """`left_on`: since when a person works no more for the partner that it earned at."""

    payee_id: str
    partner_id: str
    until: Annotated[str, datetime] | None
    reason_code: str | None
    blocked_reason: str | None
    unblock_proposed_by: str | None
    changed_at: str
    left_on: Annotated[str, date] | None
    cautions: list[Caution]


class ListedPayee(_Payee):
    """Who can be paid, and which gates are shut now. Bank and tax forms are told to who may read papers."""

    gates: list[str]
    bank: dict[str, Any] | None
    tax_forms: dict[str, dict[str, Any]]


class ShutGate(TypedDict):
    """A gate that is shut, and what opens it."""

    gate: str
    text: str


class BankShown(TypedDict):
    """Bank details by their last digits; money goes there once they are verified and `cools_until` has passed."""

    bank_id: str
    changed_at: str
    changed_by: str
    verified: bool
    last_digits: str
    cools_until: Annotated[str, datetime] | None


class TaxFormShown(TypedDict):
    """A tax form: submitted, accepted or rejected with its reason, and what is withheld by it."""

    form_id: str
    form: str
    jurisdiction: str
    tax_year: int
    state: str
    reason: NotRequired[str | None]
    payee_kind: NotRequired[str]
    submitted_by: NotRequired[str]
    withheld_percent: NotRequired[str]


class ThresholdShown(TypedDict):
    """From which amount of the year on a tax form is asked for (`tax_form`) or tax is withheld (`withholding`).

    `total` is what the payee was paid in the year and what is on its way to it, in the currency of the threshold; it is
    null where an amount has no recorded rate of its day, and then counts as reaching it.
    """

    asks: str
    jurisdiction: str
    payee_kind: str
    tax_year: int
    threshold: Annotated[dict[str, str], Money]
    total: Annotated[dict[str, str], Money] | None
    reached: bool
    text: str


class ShownPayee(_Payee):
    """Why a payee can or cannot be paid now. `asked_gates` are those that the rules ask for.

    `thresholds` are those of the rules that count for this payee; the next payment counts with what it has come to.
    """

    gates: list[ShutGate]
    bank: BankShown | None
    tax_forms: list[TaxFormShown]
    asked_gates: list[str]
    thresholds: list[ThresholdShown]
    payout_currency: str | None


def papers(document: dict[str, Any], payee: Payee, last_digits: str, rules: PaymentRules) -> dict[str, Any]:
    """Bank details by their last digits, and tax forms with what each has withheld."""
    bank, submitted = document["bank"], payee.tax_forms
    forms = [
        {**form, "form_id": name, **_taxed(submitted.get(name), rules)} for name, form in document["tax_forms"].items()
    ]
    return {
        "bank": {**bank, "last_digits": last_digits, "cools_until": _cooled(bank, rules)} if bank else None,
        "tax_forms": sorted(forms, key=lambda form: (-form["tax_year"], form["form_id"])),
    }


def _taxed(form: TaxFormSubmitted | None, rules: PaymentRules) -> dict[str, Any]:
    if form is None:
        return {}
    percent = percent_of(rules, form.jurisdiction, form.payee_kind, form.tax_year)
    return {"payee_kind": form.payee_kind, "submitted_by": form.submitted_by, "withheld_percent": str(percent)}

"""Payees over HTTP: bank details under protection, tax forms, consent, blocks."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypedDict

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, Field, model_validator

from chassis.access import PARTNER
from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.event import iso
from chassis.execution import Outcome
from chassis.http import App, Body, Paged, Reader, Writer, answered, listed, page, perform, reads, shown
from services.incentives.access import READ_EARNINGS, READ_OWN_PAY, READ_PAPERS
from services.incentives.api.earnings import only_payee, own
from services.incentives.api.narrowing import ByDay, Filter, sorted_by
from services.incentives.application.bank_numbers import bank_code, bank_number, iban_number
from services.incentives.application.paying import payment_rules_now
from services.incentives.application.tax_years import so_far
from services.incentives.domain.bank_account import BIC, BankAccount, bank_account
from services.incentives.domain.payee import Payee, PayeeGone, Payees, asks_tax_form, cooled_at, thresholds_of
from services.incentives.domain.payee_commands import (
    BlockPayee,
    ChangeBankDetails,
    ConsentToPerson,
    DecideTaxForm,
    SetPayoutCurrency,
    SubmitTaxForm,
    UnblockPayee,
    VerifyBankDetails,
)
from services.incentives.domain.payment_rules import PaymentRules
from services.incentives.domain.thresholds import TAX_FORM, WITHHOLDING, Measured
from services.incentives.projections.payee_gates import (
    ListedPayee,
    ShownPayee,
    cautions,
    gates_now,
    papers,
    shown_threshold,
    why_shut,
)
from services.incentives.projections.settlements import SettlementDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]

router = APIRouter(tags=["payees"])


class BankBody(Body):
    """The account that money goes to. It is kept sealed, must be verified by another person, and cools down.

    An `iban`, or the `number` of an account with the bank that has it: by its `bic`, by its `clearing_number` in a
    `clearing` system, or by both. `clearing` is the system's code in ISO 20022, such as `USABA`, `CACPA`, `AUBSB`, `JPZGN`.
    """

    iban: Annotated[str, Field(pattern=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"), AfterValidator(iban_number)] | None = None
    number: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,34}$")] | None = None
    bic: Annotated[str, Field(pattern=f"^({BIC})?$"), AfterValidator(bank_code)] = ""
    clearing: Annotated[str, Field(pattern="^([A-Z]{5})?$")] = ""
    clearing_number: Annotated[str, Field(max_length=12)] = ""
    holder: Annotated[str, Field(min_length=1, max_length=70)]

    @model_validator(mode="after")
    def _one_account_at_one_bank(self) -> Self:
        if (self.iban is None) == (self.number is None):
            raise ValueError("name the account by its IBAN, or by its number and its bank: one of the two")
        if self.iban is not None and (self.bic or self.clearing or self.clearing_number):
            raise ValueError("an IBAN names its bank: leave the bank out")
        if self.number is not None and not (self.bic or self.clearing):
            raise ValueError("the number of an account needs its bank: by its BIC, or its number in a clearing system")
        if bool(self.clearing) != bool(self.clearing_number):
            raise ValueError("a clearing system and the bank's number in it go together")
        return self

    @model_validator(mode="after")
    def _numbered_so(self) -> Self:
        if self.clearing:
            bank_number(self.clearing, self.clearing_number)
        return self

    def account(self) -> BankAccount:
        parts = self.model_dump(exclude={"iban", "number"})
        return BankAccount(number=self.iban or self.number or "", **parts)


class VerifyBody(Body):
    bank_id: Annotated[str, Field(min_length=1, max_length=64)]
    method: Literal["second_person", "test_deposit"] = "second_person"


class TaxBody(Body):
    """A tax form: which one, of which jurisdiction and year, and the SHA-256 of the file."""

    form: Annotated[str, Field(min_length=1, max_length=64)]
    jurisdiction: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
    payee_kind: Literal["company", "person"] = "company"
    tax_year: Annotated[int, Field(ge=2000, le=2100)]
    form_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class TaxDecisionBody(Body):
    outcome: Literal["accepted", "rejected"]
    reason: Annotated[str, Field(max_length=500)] = ""


class CurrencyBody(Body):
    """What to pay in from now on; null: in the currency of each plan."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None


class ReasonBody(Body):
    reason: Reason


async def _known(caller: Reader, app: App, payee_id: str, action: Any) -> Payee:
    """The payee, if the caller may act on it: a partner only on itself and on its own people, a person only on itself."""
    app.access.check(caller.principal, action)
    if not _is_allowed(caller, app, payee_id):
        raise NotFound
    payee: Payee = (await app.executor.state(caller.tenant, Payees.at(payee_id)))[0]
    if not payee.opened:
        raise NotFound
    app.access.check_at_home(caller.principal, action, payee.partner_id)
    if payee.forgotten:  # before anything is sealed for who was forgotten: it would make a new key
        raise PayeeGone
    return payee


async def _with_paper(caller: Writer, app: App, wish: ChangeBankDetails | SubmitTaxForm, paper_id: str) -> Outcome:
    """Runs a command with a sealed paper. Of who is forgotten in between it can be read no more either."""
    try:
        return await app.executor.run(caller.order(), wish)
    except PayeeGone:
        app.keys.forget(caller.tenant, paper_id)
        raise


def _readable(app: App, tenant: str, document: dict[str, Any]) -> dict[str, Any]:
    """The document with the names of a person's tax forms opened; they are empty where they can be read no more."""
    forms = {
        name: {**form, "form": (app.opened(tenant, form["form"]) or "").partition("\n")[0]}
        for name, form in document["tax_forms"].items()
    }
    return {**document, "tax_forms": forms}


def _is_allowed(caller: Reader, app: App, payee_id: str) -> bool:
    """Whoever may not see the papers of its partner has its own alone. Others are told what is theirs elsewhere."""
    itself = app.access.allows(caller.principal, READ_OWN_PAY) and payee_id == caller.principal.by
    return itself or caller.principal.kind != PARTNER or app.access.allows(caller.principal, READ_PAPERS)


@router.get("/payees")
@answers(Page[ListedPayee])
@reads("payee_gates")
async def payees(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, sort: ByDay | None = None
) -> Response:
    """Who can be paid, and which gate is shut now; a partner sees itself and its people, a person itself.

    By partner, or by the day of the last change.
    """
    where = {"partner_id": own(caller, partner_id), "payee_id": only_payee(caller, app)}
    items, cursor = await page(
        caller, app, "payee_gates", paged, where, sorted_by(sort, "changed_at") if sort else "partner_id"
    )
    rules = await payment_rules_now(app, caller.tenant)
    hides = caller.principal.kind != PARTNER and not app.access.allows(caller.principal, READ_PAPERS)
    hidden: dict[str, Any] = {"bank": None, "tax_forms": {}} if hides else {}
    shut = [await _gates(caller, app, item, rules) for item in items]
    told = [
        {**_readable(app, caller.tenant, item), "gates": gates, "cautions": cautions(item, rules)}
        for item, (gates, _) in zip(items, shut, strict=True)
    ]
    return listed([{**item, **hidden} for item in told], cursor)


async def _gates(
    caller: Reader, app: App, document: dict[str, Any], rules: PaymentRules
) -> tuple[list[str], tuple[Measured, ...]]:
    """The gates of a payee that are shut now, and the thresholds that count for it."""
    now = app.clock.now()
    if not rules.thresholds:
        return gates_now(document, rules, now, asks_form=TAX_FORM in rules.gates), ()
    payee: Payee = await app.executor.peek(caller.tenant)(Payees.at(document["payee_id"]))
    year = await so_far(app, caller.tenant, document["payee_id"], rules.thresholds)
    asks_form = asks_tax_form(payee, now, rules, year)
    found = [one for asks in (TAX_FORM, WITHHOLDING) for one in thresholds_of(payee, now, rules, year, asks)]
    return gates_now(document, rules, now, asks_form=asks_form), tuple(found)


@router.get("/payees/{payee_id}")
@answers(ShownPayee)
@reads("payee_gates")
async def one_payee(payee_id: Id, caller: Reader, app: App) -> Response:
    """Why a payee can or cannot be paid now, its bank details by their last digits, and its tax forms."""
    app.access.check(caller.principal, READ_OWN_PAY if payee_id == caller.principal.by else READ_PAPERS)
    found = _readable(app, caller.tenant, await app.document(caller.principal, "payee_gates", payee_id))
    payee: Payee = (await app.executor.state(caller.tenant, Payees.at(payee_id)))[0]
    now, rules = app.clock.now(), await payment_rules_now(app, caller.tenant)
    opened = app.keys.open(caller.tenant, payee.bank.account) if payee.bank else None
    last_digits = bank_account(opened).last_digits if opened else ""
    gates, thresholds = await _gates(caller, app, found, rules)
    shut = [{"gate": gate, "text": why_shut(gate, found, rules, now, thresholds)} for gate in gates]
    asked = {"asked_gates": list(rules.gates), "thresholds": [shown_threshold(one) for one in thresholds]}
    said = {"gates": shut, "cautions": cautions(found, rules), "payout_currency": payee.payout_currency}
    return shown({**found, **papers(found, payee, last_digits, rules), **asked, **said})


@router.get("/settlements/{partner_id}")
@answers(SettlementDocument)
@reads("settlements")
async def settlement(partner_id: Id, caller: Reader, app: App) -> Response:
    """How far the settlement of a partner that leaves is, and what of it is still open; a partner sees its own."""
    app.access.check(caller.principal, READ_EARNINGS)
    return shown(await app.document(caller.principal, "settlements", partner_id))


class BankAnswer(TypedDict):
    """What another person verifies by its id, and until when it cools down; null where it is no longer the account."""

    payee_id: str
    bank_id: str
    last_digits: str
    cools_until: Annotated[str, datetime] | None


@router.put("/payees/{payee_id}/bank")
@answers(BankAnswer)
async def change_bank(payee_id: Id, body: BankBody, caller: Writer, app: App) -> Response:
    """Changes where money goes. Payments wait until another person has verified it and it has cooled down."""
    await _known(caller, app, payee_id, ChangeBankDetails)
    bank_id, account = caller.new_id("bank"), body.account()
    wish = ChangeBankDetails(
        payee_id=payee_id,
        bank_id=bank_id,
        account=app.seal(caller.tenant, bank_id, account.sealed_text()),
        fingerprint=app.keys.hmac(caller.tenant, account.identity),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    done = await _with_paper(caller, app, wish, bank_id)
    bank = (await app.executor.peek(caller.tenant)(Payees.at(payee_id))).bank
    stands = bank is not None and bank.bank_id == bank_id
    cools_until = iso(cooled_at(bank, await payment_rules_now(app, caller.tenant))) if stands else None
    named = {"payee_id": payee_id, "bank_id": bank_id, "last_digits": account.last_digits}
    return answered(app, replace(done, answer={**named, "cools_until": cools_until}))


@router.post("/payees/{payee_id}/bank/verify")
async def verify_bank(payee_id: Id, body: VerifyBody, caller: Writer, app: App) -> Response:
    """Another person vouches for the bank details."""
    await _known(caller, app, payee_id, VerifyBankDetails)
    by, now = caller.principal.by, app.clock.now()
    wish = VerifyBankDetails(payee_id=payee_id, bank_id=body.bank_id, method=body.method, by=by, now=now)
    return await perform(caller, app, VerifyBankDetails, wish)


class TaxFormAnswer(TypedDict):
    """What another person accepts or rejects by its id."""

    payee_id: str
    form_id: str


@router.put("/payees/{payee_id}/tax")
@answers(TaxFormAnswer)
async def submit_tax(payee_id: Id, body: TaxBody, caller: Writer, app: App) -> Response:
    """Hands in a tax form. Which one it is, and its file's SHA-256, are kept sealed of a person."""
    payee = await _known(caller, app, payee_id, SubmitTaxForm)
    form_id, by, now = caller.new_id("tax-form"), caller.principal.by, app.clock.now()
    wish = SubmitTaxForm(payee_id=payee_id, form_id=form_id, **body.model_dump(), by=by, now=now)
    if payee.person:
        sealed = app.seal(caller.tenant, form_id, f"{body.form}\n{body.form_sha256}")
        wish = replace(wish, form="", form_sha256="", sealed=sealed)
    done = await _with_paper(caller, app, wish, form_id)
    return answered(app, replace(done, answer={"payee_id": payee_id, "form_id": form_id}))


@router.put("/payees/{payee_id}/currency")
async def payout_currency(payee_id: Id, body: CurrencyBody, caller: Writer, app: App) -> Response:
    """Says in which currency what is earned from now on is paid."""
    await _known(caller, app, payee_id, SetPayoutCurrency)
    by, now = caller.principal.by, app.clock.now()
    wish = SetPayoutCurrency(payee_id=payee_id, currency=body.currency, by=by, now=now)
    return await perform(caller, app, SetPayoutCurrency, wish)


@router.post("/payees/{payee_id}/tax/{form_id}/decide")
async def decide_tax(payee_id: Id, form_id: Id, body: TaxDecisionBody, caller: Writer, app: App) -> Response:
    """Accepts or rejects a tax form; the accepted one decides what is withheld."""
    await _known(caller, app, payee_id, DecideTaxForm)
    by, now = caller.principal.by, app.clock.now()
    wish = DecideTaxForm(payee_id=payee_id, form_id=form_id, outcome=body.outcome, reason=body.reason, by=by, now=now)
    return await perform(caller, app, DecideTaxForm, wish)


@router.post("/payees/{payee_id}/consent")
async def consent(payee_id: Id, caller: Writer, app: App) -> Response:
    """The employer's owner agrees that its person is paid."""
    employer = (await _known(caller, app, payee_id, ConsentToPerson)).partner_id
    by, now = caller.principal.by, app.clock.now()
    wish = ConsentToPerson(payee_id=payee_id, partner_id=employer, by=by, now=now)
    return await perform(caller, app, ConsentToPerson, wish)


@router.post("/payees/{payee_id}/block")
async def block(payee_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """Stops every payment to the payee at once."""
    await _known(caller, app, payee_id, BlockPayee)
    by, now = caller.principal.by, app.clock.now()
    return await perform(caller, app, BlockPayee, BlockPayee(payee_id=payee_id, reason=body.reason, by=by, now=now))


@router.post("/payees/{payee_id}/unblock")
async def unblock(payee_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """The first person proposes it, a second one opens the gate again."""
    await _known(caller, app, payee_id, UnblockPayee)
    by, now = caller.principal.by, app.clock.now()
    return await perform(caller, app, UnblockPayee, UnblockPayee(payee_id=payee_id, reason=body.reason, by=by, now=now))

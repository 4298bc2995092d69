"""A payee: who may be paid, and the gates that stand before a payment. Lines still earn while a gate is shut.

Bank details are protected: whoever changed them cannot verify them, and they cool down before money goes there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, assert_never

from chassis.decider import Decider, NotFound, Refused
from chassis.event import LEFT_OUT
from contracts.values import MINOR_DIGITS
from services.incentives.domain import merging, settlement
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.exchange import UnknownCurrency
from services.incentives.domain.merging import MergeEvent, Merging, PayeeMerged, PayeeUnmerged
from services.incentives.domain.payee_commands import (
    BlockPayee,
    ChangeBankDetails,
    ConsentToPerson,
    DecideTaxForm,
    EmployPerson,
    LetPersonGo,
    OpenPayee,
    RecordCertified,
    RecordStanding,
    ReinstatePayee,
    SetPayoutCurrency,
    SubmitTaxForm,
    SuspendPayee,
    UnblockPayee,
    VerifyBankDetails,
)
from services.incentives.domain.payee_events import (
    BankDetailsChanged,
    BankDetailsVerified,
    Blocking,
    CertifiedRecorded,
    EmployerChanged,
    Employment,
    Forgetting,
    PaperForgotten,
    Paperwork,
    PayeeBlocked,
    PayeeEvent,
    PayeeForgotten,
    PayeeOpened,
    PayeeReinstated,
    PayeeReviewClosed,
    PayeeReviewOpened,
    PayeeSuspended,
    PayeeUnblocked,
    PaymentPassedGates,
    PayoutCurrencySet,
    PersonConsented,
    PersonLeft,
    StandingRecorded,
    TaxFormDecided,
    TaxFormSubmitted,
    UnblockProposed,
)
from services.incentives.domain.payment_rules import NO_RULES, PaymentRules
from services.incentives.domain.settlement import (
    Leaving,
    PartnerSettled,
    PayeeLeaving,
    PayeeStays,
    SettledByHandNoted,
    SettlementAwaited,
    SettlementEvent,
)
from services.incentives.domain.thresholds import TAX_FORM, Measured, TaxHome, YearSoFar, asked, measured
from services.incentives.domain.two_people import FourEyes

PAYOUTS = "payouts"
SUSPENDED, NOT_ACTIVE = "suspended", "not_active"
BANK_VERIFIED, COOL_DOWN = "bank_verified", "bank_cool_down"
EMPLOYER_CONSENT, BLOCKED, UNDER_REVIEW, MERGED = "employer_consent", "blocked", "under_review", "merged"
FORGOTTEN = "forgotten"
SUBMITTED, ACCEPTED, REJECTED = "submitted", "accepted", "rejected"


# State


@dataclass(frozen=True)
class Payee:
    """Whether the payee is known, what shuts its gates, and its standing."""

    opened: bool = False
    partner_id: str = ""
    payee_id: str = ""
    revision: int = 0
    suspended: bool = False
    suspended_until: datetime | None = None
    standing: tuple[StandingRecorded, ...] = ()
    certified: tuple[CertifiedRecorded, ...] = ()
    bank: BankDetailsChanged | None = None
    bank_verified: bool = False
    tax_forms: dict[str, TaxFormSubmitted] = field(default_factory=dict)
    accepted: dict[int, TaxFormSubmitted] = field(default_factory=dict)
    consented: bool = False
    left_on: date | None = None
    blocked: PayeeBlocked | None = None
    unblock_proposed_by: str | None = None
    payout_currency: str | None = None
    reviews: frozenset[str] = frozenset()
    banks: tuple[BankDetailsChanged, ...] = ()
    """All bank details that were entered, the newest last."""
    papers: tuple[str, ...] = ()
    """All that was ever sealed for the payee, by the names of its keys."""
    forgotten: bool = False
    leaving: Leaving = field(default_factory=Leaving)
    merging: Merging = field(default_factory=Merging)

    def bank_before(self, at: datetime) -> BankDetailsChanged | None:
        """The bank details that were entered before an instant; None for none, or none any more."""
        return next((one for one in reversed(self.banks) if one.changed_at < at), None)

    @property
    def person(self) -> bool:
        """Whether this is a person whose employer has to agree."""
        return self.opened and self.payee_id != self.partner_id


def stated_with(payee: Payee, partner_id: str) -> str:
    """The partner whose statements tell what a payee earned at a partner: its own, if it is one; else that partner."""
    return payee.payee_id if payee.opened and not payee.person else partner_id


def circumstances_of(payee: Payee, day: date, deal: Circumstances) -> Circumstances:
    """What a modifier may look at: the deal, and the tier, certifications and region that the payee had on a day."""
    known: dict[str, tuple[str, ...]] = {}
    for recorded in sorted(payee.standing, key=lambda one: one.effective_on):
        if recorded.effective_on <= day:
            known[recorded.field] = recorded.values
    return replace(
        deal,
        tier=next(iter(known.get("tier", ())), None),
        certifications=tuple(dict.fromkeys((*known.get("certification", ()), *certifications_on(payee, day)))),
        region=next(iter(known.get("region", ())), None),
    )


def certifications_on(payee: Payee, day: date) -> tuple[str, ...]:
    """The certifications that at least one of the partner's people holds on a day, by name: the newest word counts."""
    newest: dict[str, CertifiedRecorded] = {}
    for told in sorted(payee.certified, key=lambda one: one.source_position):
        if told.effective_on <= day:
            newest[told.certification] = told
    return tuple(sorted(name for name, told in newest.items() if told.count))


def standing_for(payees: Mapping[str, Payee], payee_id: str, day: date) -> Payee:
    """Whose tier, certifications and region count for a payee on a day: its own, or those of who it is one with."""
    payee = payees.get(payee_id, Payee())
    seen = {payee_id}
    while (survivor_id := payee.merging.survivor(day) or payee_id) in payees and survivor_id not in seen:
        seen.add(survivor_id)
        payee = payees[survivor_id]
    return payee


def unmet(
    payee: Payee, now: datetime, rules: PaymentRules = NO_RULES, so_far: YearSoFar | None = None
) -> tuple[str, ...]:
    """The gates that are shut at an instant; a suspension whose end has passed shuts none.

    Bank details that were entered must be verified and have cooled down; that they exist, the rules may demand. `so_far`
    is what the thresholds of the rules look at.
    """
    if payee.forgotten:
        return (FORGOTTEN,)
    if not payee.opened:
        return (NOT_ACTIVE,)
    over = payee.suspended_until is not None and payee.suspended_until <= now
    shut = {
        SUSPENDED: payee.suspended and not over,
        BLOCKED: payee.blocked is not None,
        UNDER_REVIEW: bool(payee.reviews),
        MERGED: payee.merging.survivor_id is not None,
        EMPLOYER_CONSENT: payee.person and not payee.consented,
        BANK_VERIFIED: not payee.bank_verified if payee.bank else BANK_VERIFIED in rules.gates,
        COOL_DOWN: payee.bank is not None and now < cooled_at(payee.bank, rules),
        TAX_FORM: tax_form_of(payee, now) is None and asks_tax_form(payee, now, rules, so_far),
    }
    return tuple(gate for gate, is_shut in shut.items() if is_shut)


def domains_of(payee: Payee) -> tuple[str, ...]:
    """The domains that the partner has now."""
    known = [recorded.values for recorded in payee.standing if recorded.field == "domain"]
    return known[-1] if known else ()


def cooled_at(bank: BankDetailsChanged, rules: PaymentRules) -> datetime:
    """From when on money may go to changed bank details."""
    return bank.changed_at + timedelta(hours=rules.cool_down_hours)


def tax_form_of(payee: Payee, now: datetime) -> TaxFormSubmitted | None:
    """The accepted tax form of a year."""
    return payee.accepted.get(now.year)


def newest_form_of(payee: Payee, now: datetime) -> TaxFormSubmitted | None:
    """The accepted tax form of this year, else of the newest year before."""
    years = [year for year in payee.accepted if year <= now.year]
    return payee.accepted[max(years)] if years else None


def withholding_form_of(payee: Payee, now: datetime, rules: PaymentRules) -> TaxFormSubmitted | None:
    """The form by which tax is withheld: that of the year; where thresholds let one begin without it, the newest one."""
    return newest_form_of(payee, now) if rules.thresholds else tax_form_of(payee, now)


def tax_home(payee: Payee, now: datetime) -> TaxHome:
    """Where a payee is taxed: by its newest accepted form of this year or one before, else in its partner's country.

    A person may be taxed elsewhere than who it works for.
    """
    if form := newest_form_of(payee, now):
        return TaxHome(jurisdiction=form.jurisdiction, payee_kind=form.payee_kind)
    if payee.person:
        return TaxHome(jurisdiction=None, payee_kind="person")
    return TaxHome(jurisdiction=country_of(payee, now.date()), payee_kind="company")


def country_of(payee: Payee, day: date) -> str | None:
    """The country that a partner is in on a day, as onboarding told it."""
    told = [one for one in payee.standing if one.field == "region" and one.effective_on <= day]
    known = sorted(told, key=lambda one: one.effective_on)
    return next(iter(known[-1].values), None) if known else None


def asks_tax_form(payee: Payee, now: datetime, rules: PaymentRules, so_far: YearSoFar | None) -> bool:
    """Whether the rules want a tax form of this year before the payee is paid."""
    home = tax_home(payee, now)
    return asked(thresholds_of(payee, now, rules, so_far, TAX_FORM), home, otherwise=TAX_FORM in rules.gates)


def thresholds_of(
    payee: Payee, now: datetime, rules: PaymentRules, so_far: YearSoFar | None, asks: str
) -> tuple[Measured, ...]:
    """The thresholds of the rules that count for the payee, with what it has come to in the year."""
    return measured(rules.thresholds, asks, tax_home(payee, now), now.year, so_far)


# Refusals


class UnknownPayee(NotFound):
    """There is no such payee."""


class PayeeGone(Refused):
    """The person was forgotten: nothing is kept of it any more, and nothing is paid to it."""

    slug = "payee-forgotten"


class UnknownPaper(NotFound):
    """There are no such bank details, or no such tax form, waiting."""


class NotEmployer(Refused):
    """Only the partner that a person works for can consent."""

    status = 403
    slug = "not-employer"


# Decisions


def open_payee(wish: OpenPayee, payee: Payee) -> list[PayeeEvent]:
    if payee.opened:
        return []
    payee_id = wish.payee_id or wish.partner_id
    return [PayeeOpened(payee_id=payee_id, partner_id=wish.partner_id, revision=wish.revision, opened_at=wish.now)]


def suspend_payee(wish: SuspendPayee, payee: Payee) -> list[PayeeEvent]:
    """Shuts the gate of a partner, or of a person who works for it."""
    if wish.revision <= payee.revision or _of_another(wish, payee):
        return []
    return [
        PayeeSuspended(
            payee_id=wish.payee_id or wish.partner_id,
            partner_id=wish.partner_id,
            revision=wish.revision,
            scopes=wish.scopes,
            reason_code=wish.reason_code,
            until=wish.until,
            suspended_at=wish.now,
        )
    ]


def _of_another(wish: SuspendPayee | ReinstatePayee, payee: Payee) -> bool:
    """Whether it is about a person who works for another partner by now, or was never known."""
    return wish.payee_id is not None and (not payee.opened or payee.partner_id != wish.partner_id)


def reinstate_payee(wish: ReinstatePayee, payee: Payee) -> list[PayeeEvent]:
    """Opens the gate again."""
    if wish.revision <= payee.revision or _of_another(wish, payee):
        return []
    return [
        PayeeReinstated(
            payee_id=wish.payee_id or wish.partner_id,
            partner_id=wish.partner_id,
            revision=wish.revision,
            reinstated_at=wish.now,
        )
    ]


def record_certified(wish: RecordCertified, payee: Payee) -> list[PayeeEvent]:
    """Keeps how many of the partner's people hold a certification from a day on; the same again changes nothing."""
    if any(known.source_event_id == wish.source_event_id for known in payee.certified):
        return []
    return [
        CertifiedRecorded(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            certification=wish.certification,
            count=wish.count,
            effective_on=wish.effective_on,
            source_event_id=wish.source_event_id,
            source_position=wish.source_position,
            recorded_at=wish.now,
        )
    ]


def record_standing(wish: RecordStanding, payee: Payee) -> list[PayeeEvent]:
    """Keeps what the payee has from a day on; the same again changes nothing."""
    if any(known.source_event_id == wish.source_event_id and known.field == wish.field for known in payee.standing):
        return []
    return [
        StandingRecorded(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            field=wish.field,
            values=wish.values,
            effective_on=wish.effective_on,
            source_event_id=wish.source_event_id,
            recorded_at=wish.now,
        )
    ]


def change_bank_details(wish: ChangeBankDetails, payee: Payee) -> list[PayeeEvent]:
    """Keeps new bank details; they are unverified and cool down, even where they are the old ones."""
    _known(payee)
    if payee.bank and payee.bank.bank_id == wish.bank_id:
        return []
    return [
        BankDetailsChanged(
            payee_id=wish.payee_id,
            partner_id=payee.partner_id,
            bank_id=wish.bank_id,
            account=wish.account,
            fingerprint=wish.fingerprint,
            changed_by=wish.by,
            changed_at=wish.now,
        )
    ]


def verify_bank_details(wish: VerifyBankDetails, payee: Payee) -> list[PayeeEvent]:
    """Another person than the one who changed them vouches for the bank details."""
    _known(payee)
    if payee.bank is None or payee.bank.bank_id != wish.bank_id:
        raise UnknownPaper
    if payee.bank_verified:
        return []
    if payee.bank.changed_by == wish.by:
        raise FourEyes(changed_by=wish.by)
    return [
        BankDetailsVerified(
            payee_id=wish.payee_id,
            partner_id=payee.partner_id,
            bank_id=wish.bank_id,
            method=wish.method,
            verified_by=wish.by,
            verified_at=wish.now,
        )
    ]


def submit_tax_form(wish: SubmitTaxForm, payee: Payee) -> list[PayeeEvent]:
    """Keeps a tax form of a year until it is decided."""
    _known(payee)
    if wish.form_id in payee.tax_forms:
        return []
    return [
        TaxFormSubmitted(
            payee_id=wish.payee_id,
            partner_id=payee.partner_id,
            form_id=wish.form_id,
            form=wish.form,
            jurisdiction=wish.jurisdiction,
            payee_kind=wish.payee_kind,
            tax_year=wish.tax_year,
            form_sha256=wish.form_sha256,
            submitted_by=wish.by,
            submitted_at=wish.now,
            sealed=wish.sealed or LEFT_OUT,
        )
    ]


def decide_tax_form(wish: DecideTaxForm, payee: Payee) -> list[PayeeEvent]:
    """Accepts or rejects a tax form; the accepted one of a year decides what is withheld."""
    _known(payee)
    form = payee.tax_forms.get(wish.form_id)
    if form is None:
        raise UnknownPaper
    if payee.accepted.get(form.tax_year) == form and wish.outcome == ACCEPTED:
        return []
    if form.submitted_by == wish.by:
        raise FourEyes(submitted_by=wish.by)
    return [
        TaxFormDecided(
            payee_id=wish.payee_id,
            partner_id=payee.partner_id,
            form_id=wish.form_id,
            outcome=wish.outcome,
            reason=wish.reason,
            decided_by=wish.by,
            decided_at=wish.now,
        )
    ]


def consent_to_person(wish: ConsentToPerson, payee: Payee) -> list[PayeeEvent]:
    """The employer's owner agrees that its person is paid."""
    _known(payee)
    if payee.partner_id != wish.partner_id:
        raise NotEmployer
    if payee.consented or not payee.person:
        return []
    return [
        PersonConsented(
            payee_id=wish.payee_id, partner_id=payee.partner_id, consented_by=wish.by, consented_at=wish.now
        )
    ]


def employ_person(wish: EmployPerson, payee: Payee) -> list[PayeeEvent]:
    """A partner's person can be paid once the partner consents; one who changes the employer, once the new one does."""
    if payee.forgotten:
        return []
    if not payee.opened:
        return [PayeeOpened(payee_id=wish.payee_id, partner_id=wish.partner_id, revision=0, opened_at=wish.now)]
    elsewhere = payee.partner_id != wish.partner_id and wish.primary
    if not elsewhere and payee.left_on is None:
        return []
    return [
        EmployerChanged(
            payee_id=wish.payee_id,
            partner_id=wish.partner_id,
            former_id=payee.partner_id,
            since=wish.since,
            changed_at=wish.now,
        )
    ]


def let_person_go(wish: LetPersonGo, payee: Payee) -> list[PayeeEvent]:
    """Keeps that a person has left its employer; nothing that was earned is lost by it."""
    if not payee.opened or payee.partner_id != wish.partner_id or payee.left_on is not None:
        return []
    return [PersonLeft(payee_id=wish.payee_id, partner_id=wish.partner_id, left_on=wish.left_on, recorded_at=wish.now)]


def block_payee(wish: BlockPayee, payee: Payee) -> list[PayeeEvent]:
    """Stops every payment to the payee at once."""
    _known(payee)
    if payee.blocked:
        return []
    return [
        PayeeBlocked(
            payee_id=wish.payee_id,
            partner_id=payee.partner_id,
            reason=wish.reason,
            blocked_by=wish.by,
            blocked_at=wish.now,
        )
    ]


def unblock_payee(wish: UnblockPayee, payee: Payee) -> list[PayeeEvent]:
    """The first person proposes, a second one opens the gate again."""
    _known(payee)
    if payee.blocked is None:
        return []
    if payee.unblock_proposed_by is None:
        return [
            UnblockProposed(
                payee_id=wish.payee_id,
                partner_id=payee.partner_id,
                reason=wish.reason,
                proposed_by=wish.by,
                proposed_at=wish.now,
            )
        ]
    if payee.unblock_proposed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    return [
        PayeeUnblocked(payee_id=wish.payee_id, partner_id=payee.partner_id, confirmed_by=wish.by, unblocked_at=wish.now)
    ]


def set_payout_currency(wish: SetPayoutCurrency, payee: Payee) -> list[PayeeEvent]:
    """Pays in another currency from now on; what was earned before stays in its own."""
    _known(payee)
    if wish.currency is not None and wish.currency not in MINOR_DIGITS:
        raise UnknownCurrency(currency=wish.currency)
    if payee.payout_currency == wish.currency:
        return []
    return [
        PayoutCurrencySet(
            payee_id=wish.payee_id,
            partner_id=payee.partner_id,
            currency=wish.currency,
            set_by=wish.by,
            set_at=wish.now,
        )
    ]


def _known(payee: Payee) -> None:
    if payee.forgotten:
        raise PayeeGone
    if not payee.opened:
        raise UnknownPayee


# Evolve


def evolve(payee: Payee, happened: PayeeEvent) -> Payee:
    match happened:
        case PayeeOpened() | EmployerChanged() | PersonLeft() | PayeeForgotten() | PaperForgotten():
            return _belonging(payee, happened)
        case PayeeSuspended() | PayeeReinstated():
            return _suspending(payee, happened)
        case PaymentPassedGates() | PayoutCurrencySet():
            return _paid(payee, happened)
        case StandingRecorded() | CertifiedRecorded():
            return _standing(payee, happened)
        case PayeeBlocked() | UnblockProposed() | PayeeUnblocked():
            return _blocking(payee, happened)
        case PayeeReviewOpened() | PayeeReviewClosed():
            others = payee.reviews - {happened.case_id}
            opened = isinstance(happened, PayeeReviewOpened)
            return replace(payee, reviews=others | {happened.case_id} if opened else others)
        case (
            PayeeLeaving()
            | PayeeStays()
            | SettlementAwaited()
            | PartnerSettled()
            | SettledByHandNoted()
            | PayeeMerged()
            | PayeeUnmerged()
        ):
            return _of_the_partner(payee, happened)
        case _:
            return _with_paper(payee, happened)


def _paid(payee: Payee, happened: PaymentPassedGates | PayoutCurrencySet) -> Payee:
    return replace(payee, payout_currency=happened.currency) if isinstance(happened, PayoutCurrencySet) else payee


def _standing(payee: Payee, happened: StandingRecorded | CertifiedRecorded) -> Payee:
    if isinstance(happened, CertifiedRecorded):
        return replace(payee, certified=(*payee.certified, happened))
    return replace(payee, standing=(*payee.standing, happened))


def _of_the_partner(payee: Payee, happened: SettlementEvent | MergeEvent) -> Payee:
    if isinstance(happened, MergeEvent):
        return replace(payee, merging=merging.evolve(payee.merging, happened))
    return replace(payee, leaving=settlement.evolve(payee.leaving, happened))


def _suspending(payee: Payee, happened: PayeeSuspended | PayeeReinstated) -> Payee:
    if isinstance(happened, PayeeReinstated):
        return replace(payee, revision=happened.revision, suspended=False, suspended_until=None)
    suspended = PAYOUTS in happened.scopes
    return replace(payee, revision=happened.revision, suspended=suspended, suspended_until=happened.until)


def _forgotten(payee: Payee) -> Payee:
    without: dict[str, Any] = {"bank": None, "banks": (), "tax_forms": {}, "accepted": {}, "blocked": None}
    return replace(payee, forgotten=True, bank_verified=False, unblock_proposed_by=None, **without)


def _belonging(payee: Payee, happened: PayeeOpened | Employment | Forgetting) -> Payee:
    match happened:
        case PayeeForgotten() | PaperForgotten():
            return _forgotten(payee)
        case PayeeOpened():
            known = replace(payee, opened=True, payee_id=happened.payee_id, partner_id=happened.partner_id)
            return replace(known, revision=max(payee.revision, happened.revision))
        case EmployerChanged():
            anew = replace(payee, partner_id=happened.partner_id, consented=False, left_on=None)
            return replace(anew, revision=0, suspended=False, suspended_until=None)
        case PersonLeft():
            return replace(payee, left_on=happened.left_on)
        case _:
            assert_never(happened)


def _blocking(payee: Payee, happened: Blocking) -> Payee:
    proposed_by = happened.proposed_by if isinstance(happened, UnblockProposed) else None
    blocked = happened if isinstance(happened, PayeeBlocked) else payee.blocked
    gone = isinstance(happened, PayeeUnblocked)
    return replace(payee, blocked=None if gone else blocked, unblock_proposed_by=proposed_by)


def _with_paper(payee: Payee, happened: Paperwork) -> Payee:
    match happened:
        case BankDetailsChanged():
            papers = (*payee.papers, happened.bank_id)
            return replace(payee, bank=happened, bank_verified=False, banks=(*payee.banks, happened), papers=papers)
        case BankDetailsVerified():
            return replace(payee, bank_verified=True)
        case TaxFormSubmitted():
            papers = (*payee.papers, happened.form_id) if happened.sealed else payee.papers
            return replace(payee, tax_forms={**payee.tax_forms, happened.form_id: happened}, papers=papers)
        case TaxFormDecided():
            return replace(payee, accepted=_accepted(payee, happened))
        case PersonConsented():
            return replace(payee, consented=True)
        case _:
            assert_never(happened)


def _accepted(payee: Payee, decided: TaxFormDecided) -> dict[int, TaxFormSubmitted]:
    form = payee.tax_forms.get(decided.form_id)
    if form is None:
        return payee.accepted
    others = {year: known for year, known in payee.accepted.items() if known != form}
    return {**others, form.tax_year: form} if decided.outcome == ACCEPTED else others


Payees = Decider[Payee, PayeeEvent](kind="payee", initial=Payee(), evolve=evolve)

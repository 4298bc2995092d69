"""A payment: one money order for one statement. One proposes it, another approves it, a provider carries it out.

`PaymentSubmitted` is recorded before the provider is called, so whatever becomes of the call, the same reference is
asked again and never another.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from chassis.decider import Decider, Invalid, NotFound, Raced, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, frozen, stable_id
from chassis.rulebook import Rulebook
from contracts.values import AmountTooLarge, Money, none_of, split, total
from services.incentives.domain.account import (
    FUND_APPROVED,
    LINES_MAX,
    Account,
    AccountEvent,
    InvoiceNoted,
    PaymentClosed,
    PaymentHandedOver,
    PaymentOpened,
    StatementIssued,
    StatementLine,
)
from services.incentives.domain.claim_tax import TAX_PERCENT_MAX, most_tax
from services.incentives.domain.drawing import Due, due, due_together
from services.incentives.domain.exchange import NoRate
from services.incentives.domain.journal import FUND_MONEY, INVOICE_TAX, NO_JOURNAL, Entry, Journal, Side, entry, move
from services.incentives.domain.payee import Payee, tax_home, thresholds_of, unmet, withholding_form_of
from services.incentives.domain.payee_events import PaymentPassedGates
from services.incentives.domain.payment_commands import (
    ApprovePayment,
    AttachInvoice,
    DeclinePayment,
    NoteUnreported,
    ProposePayment,
    ReportOutcome,
    ResumePayment,
    RetryPayment,
    SubmitPayment,
)
from services.incentives.domain.payment_events import (
    InvoiceAccepted,
    InvoiceTaxed,
    OutcomeContradicted,
    PaymentApproved,
    PaymentBlocked,
    PaymentDeclined,
    PaymentEvent,
    PaymentFailed,
    PaymentMade,
    PaymentProposed,
    PaymentResumed,
    PaymentRetried,
    PaymentSubmitted,
    PaymentUnknown,
    PaymentUnreported,
)
from services.incentives.domain.payment_rules import (
    NO_RULES,
    PAYMENT_RULES,
    PaymentRules,
    limit_of,
    minimum_of,
    withheld_of,
)
from services.incentives.domain.thresholds import TAX_FORM, WITHHOLDING, Measured, asked
from services.incentives.domain.two_people import FourEyes

ATTEMPTS_MAX = 5
REFERENCE = re.compile("[0-9a-f]{32}-[0-9]{2}")
INVOICE = "invoice"
IN_PAYMENT, UNPAID = "in_payment", ["held", "payable"]
"""Where a line stands whose money was drawn, and where one does that can be held longer."""
TAKEN_BACK, DISPUTED = "taken_back", "disputed"
ASK_FIRST_SECONDS = 60
ASK_MOST_SECONDS = 3_600
ASK_FOR_HOURS = 24
PAID, REJECTED, UNKNOWN, RETURNED = "paid", "rejected", "unknown", "returned"
EARNING = ("calculated", "released", "trued_up", "rebate_settled", "claim_approved", FUND_APPROVED)
"""The kinds of statement lines by which an earning becomes payable."""


# State


class Stage(StrEnum):
    NONE = "none"
    PENDING_INVOICE = "pending_invoice"
    PROPOSED = "proposed"
    APPROVED = "approved"
    BLOCKED = "blocked"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"
    DECLINED = "declined"


GIVEN_UP_DRAWN = (Stage.APPROVED, Stage.FAILED, Stage.RETURNED)
DRAWN = (*GIVEN_UP_DRAWN, Stage.SUBMITTED, Stage.UNKNOWN, Stage.PAID)


@frozen
class Payment:
    """Where a money order stands. `references` are all that were ever submitted, the last one counts.

    `banks` are the accounts that they were drawn on, where that is known.
    Under those in `returned` the money came back: whatever the provider says of them, they are settled.
    """

    stage: Stage = Stage.NONE
    proposed: PaymentProposed | None = None
    taxed: InvoiceTaxed | None = None
    approved: PaymentApproved | None = None
    made: PaymentMade | None = None
    references: tuple[str, ...] = ()
    banks: Mapping[str, str] = field(default_factory=dict)
    returned: frozenset[str] = frozenset()
    provider_events: frozenset[str] = frozenset()
    asks: int = 0
    unknown_since: datetime | None = None
    submitted_at: datetime | None = None
    """When it was handed to the provider, the last time."""

    @property
    def net(self) -> Money:
        """What goes to the payee."""
        return self.approved.net if self.approved and self.approved.net else self.order.amount

    @property
    def tax(self) -> Money:
        """The tax on the payee's invoice, which goes to it on top of the amount."""
        return self.taxed.tax if self.taxed else none_of(self.order.amount.currency)

    @property
    def whole(self) -> Money:
        """All that somebody approves: the amount and the tax on it."""
        return self.order.amount + self.tax

    @property
    def attempts(self) -> int:
        return len(self.references)

    @property
    def order(self) -> PaymentProposed:
        """What was proposed. Raises UnknownPayment when nothing was."""
        if self.proposed is None:
            raise UnknownPayment
        return self.proposed


# Refusals


class UnknownPayment(NotFound):
    """There is no such payment."""


class UnknownReference(NotFound):
    """Under that reference the payment was never submitted."""

    slug = "unknown-reference"


class AlreadyOpen(Refused):
    """Another payment of this account is under way: wait until it is paid or declined."""

    slug = "payment-open"


class BelowMinimum(Refused):
    """There is nothing to pay now: the balance carries forward."""

    slug = "below-minimum"


class GateUnmet(Refused):
    """A gate is still shut, see `gates`."""

    slug = "gate-unmet"


class AttemptsSpent(Refused):
    """Five attempts are spent: decline this payment and find out why it fails."""

    slug = "attempts-spent"


class OverLimit(Refused):
    """The amount is above the limit of your roles: ask somebody with a higher one."""

    status = 403
    slug = "over-limit"


class InvoiceDiffers(Refused):
    """The invoice says another amount than the payment."""

    slug = "invoice-differs"


class InvoiceInvalid(Invalid):
    """The tax on an invoice is at most 27 % of its net amount, and of a country that it names."""

    slug = "invoice-invalid"


class InvoiceDuplicate(Refused):
    """Another payment has an invoice of that number."""

    slug = "invoice-duplicate"


# Decisions


Both = tuple[list[PaymentEvent], list[AccountEvent]]
HandedOver = tuple[list[PaymentEvent], list[AccountEvent], list[PaymentPassedGates]]


def payment_id(account: str, statement_number: int) -> str:
    return stable_id("payment", account, statement_number)


def reference_of(payment: str, attempt: int) -> str:
    """Payment id in hex, hyphen, two digits of attempt: 35 characters, an EndToEndId."""
    return f"{UUID(payment).hex}-{attempt:02}"


def payment_of(reference: str) -> str:
    """The payment that a reference is of. Raises UnknownReference for what is none of ours."""
    if not REFERENCE.fullmatch(reference):
        raise UnknownReference
    return str(UUID(reference.partition("-")[0]))


def earnings_of(order: PaymentProposed) -> Money:
    """What of a payment is earned: fund money stands apart, is never forfeited and is paid another time."""
    return order.amount - order.fund if order.fund else order.amount


def rules_of(books: Sequence[Rulebook], now: datetime) -> PaymentRules:
    """The payment rules in force; without any, two people and the payee's own gates suffice."""
    found = [version for book in books if (version := book.in_force(now))]
    return PAYMENT_RULES.read(found[0].body) if found else NO_RULES


def propose_payment(wish: ProposePayment, payment: Payment, account: Account, books: Sequence[Rulebook]) -> Both:
    """Proposes to pay a statement, never more than is payable after all that was drawn before.

    It is for the lines of that statement, and of those before it that were carried into it unpaid, but for those that are
    disputed: a later one pays them.
    """
    made, told = _proposed(wish, payment, account, books, due, _undisputed)
    return made, [_without_disputed(one, account) for one in told]


def propose_payment_for_all(
    wish: ProposePayment, payment: Payment, account: Account, books: Sequence[Rulebook]
) -> Both:
    """As the third evaluator decided: for lines that are disputed too, though it does not pay them."""
    return _proposed(wish, payment, account, books, due, _carried_into)


def propose_payment_alone(wish: ProposePayment, payment: Payment, account: Account, books: Sequence[Rulebook]) -> Both:
    """As the second evaluator decided: for the lines of that statement alone, whatever was carried into it."""
    return _proposed(wish, payment, account, books, due, _alone)


def propose_payment_together(
    wish: ProposePayment, payment: Payment, account: Account, books: Sequence[Rulebook]
) -> Both:
    """As the first evaluator decided, which netted fund money with earnings."""
    return _proposed(wish, payment, account, books, due_together, _alone)


def _alone(statement: StatementIssued, _: Account) -> list[StatementLine]:
    return list(statement.lines)


def _carried_into(statement: StatementIssued, account: Account) -> list[StatementLine]:
    """The lines of a statement and of those before it, back to the last one that was paid; the newest `LINES_MAX`."""
    drawn = {payment.statement_id for payment in account.payments.values()}
    earlier = [one.number for one in account.statements if one.statement_id in drawn and one.number < statement.number]
    since = max(earlier, default=0)
    found = [line for one in account.statements if since < one.number <= statement.number for line in one.lines]
    return found[-LINES_MAX:]


def _undisputed(statement: StatementIssued, account: Account) -> list[StatementLine]:
    """The lines carried into a statement, and those whose dispute kept them from being paid before, if that is over."""
    carried, waits = _carried_into(statement, account), _waiting(statement, account)
    left = set(account.undrawn) - {line.event_id for line in carried}
    kept = [one for one in account.stated(statement) if one.event_id in left] if left else []
    return [line for line in (*kept, *carried) if line.event_id not in waits][-LINES_MAX:]


def _waiting(statement: StatementIssued, account: Account) -> tuple[str, ...]:
    """The lines in the payee's favour that wait for the end of a dispute."""
    waits = account.disputes.keys() - account.too_late
    return tuple(one.event_id for one in account.stated(statement) if one.event_id in waits and one.amount.amount > 0)


def _without_disputed(told: AccountEvent, account: Account) -> AccountEvent:
    if not isinstance(told, PaymentOpened):
        return told
    return replace(told, waiting=_waiting(account.statement(told.statement_id), account) or LEFT_OUT)


def _proposed(
    wish: ProposePayment,
    payment: Payment,
    account: Account,
    books: Sequence[Rulebook],
    due_of: Callable[[StatementIssued, Account, Money, Money], Due],
    lines_of: Callable[[StatementIssued, Account], list[StatementLine]],
) -> Both:
    if payment.proposed:
        return [], []
    statement = account.statement(wish.statement_id)
    if account.open_payment:
        raise AlreadyOpen(payment_id=account.open_payment)
    rules = rules_of(books, wish.now)
    found = due_of(statement, account, wish.released, wish.fund_released or none_of(wish.released.currency))
    too_little = not wish.final and found.amount < minimum_of(rules, found.amount.currency)
    if found.amount.amount <= 0 or too_little:
        now = wish.released - total(account.drawn, wish.released.currency)
        raise BelowMinimum(closing=str(statement.closing.amount), payable=str(now.amount))
    proposed = PaymentProposed(
        payment_id=wish.payment_id,
        account_id=wish.account_id,
        statement_id=statement.statement_id,
        statement_number=statement.number,
        payee_id=statement.payee_id,
        partner_id=statement.partner_id,
        amount=found.amount,
        line_ids=tuple(dict.fromkeys(line.cause for line in lines_of(statement, account) if line.kind in EARNING)),
        released=wish.released,
        released_position=wish.released_position,
        proposed_by=wish.by,
        proposed_at=wish.now,
        needs_invoice=INVOICE in rules.gates,
        fund=None if found.fund.zero else found.fund,
        earned=None if found.fund.zero else found.earned,
    )
    return [proposed], [_opened(proposed)]


def _opened(proposed: PaymentProposed) -> PaymentOpened:
    return PaymentOpened(
        account_id=proposed.account_id,
        payment_id=proposed.payment_id,
        statement_id=proposed.statement_id,
        amount=proposed.amount,
        opened_at=proposed.proposed_at,
        fund=proposed.fund,
    )


def attach_invoice(wish: AttachInvoice, payment: Payment, account: Account) -> Both:
    """Takes the payee's invoice: the same amount, and a number that no other payment has.

    The number of a payment that was given up is free again: its invoice is not paid. The tax that it charges is payable
    with the payment.
    """
    accepted, noted = attach_invoice_untaxed(wish, payment, account)
    if not accepted or wish.tax.zero:
        return accepted, noted
    taxed = _taxed(wish, payment.order)
    told = InvoiceNoted(
        account_id=wish.account_id,
        number=wish.number,
        payment_id=wish.payment_id,
        noted_at=wish.now,
        tax=wish.tax,
    )
    return [*accepted, taxed], [told]


def _taxed(wish: AttachInvoice, order: PaymentProposed) -> InvoiceTaxed:
    """Raises InvoiceInvalid where it is more than any rate makes of the net amount, or of no country."""
    if wish.country is None:
        raise InvoiceInvalid("name the country whose tax it is")
    if wish.tax > most_tax(wish.net):
        raise InvoiceInvalid(f"the tax is at most {TAX_PERCENT_MAX} % of the net amount")
    return InvoiceTaxed(
        payment_id=order.payment_id,
        account_id=order.account_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        number=wish.number,
        country=wish.country,
        tax=wish.tax,
        journal=move(
            wish.tax,
            debit=("vat", wish.country),
            credit=INVOICE_TAX,
            payee_id=order.payee_id,
            cause=order.payment_id,
            books=wish.books.amount(wish.tax, wish.now.astimezone(UTC).date()),
        ),
        taxed_at=wish.now,
    )


def attach_invoice_untaxed(wish: AttachInvoice, payment: Payment, account: Account) -> Both:
    """As the second evaluator decided: the tax was kept with the invoice, and not paid."""
    return _invoiced(wish, payment, {name: one for name, one in account.invoices.items() if one in account.payments})


def attach_invoice_once(wish: AttachInvoice, payment: Payment, account: Account) -> Both:
    """As the first evaluator decided: a number was used for ever, also where its payment was given up."""
    return _invoiced(wish, payment, account.invoices)


def _invoiced(wish: AttachInvoice, payment: Payment, used: Mapping[str, str]) -> Both:
    order = payment.order
    if order.account_id != wish.account_id:
        raise Raced
    if used.get(wish.number) == wish.payment_id:
        return [], []
    _only_in(payment, Stage.PENDING_INVOICE)
    if wish.number in used:
        raise InvoiceDuplicate(payment_id=used[wish.number])
    if wish.net != order.amount:
        raise InvoiceDiffers(amount=str(order.amount.amount), net=str(wish.net.amount))
    accepted = InvoiceAccepted(
        payment_id=order.payment_id,
        account_id=order.account_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        number=wish.number,
        net=wish.net,
        tax=wish.tax,
        invoice_sha256=wish.invoice_sha256,
        accepted_at=wish.now,
    )
    noted = InvoiceNoted(account_id=wish.account_id, number=wish.number, payment_id=wish.payment_id, noted_at=wish.now)
    return [accepted], [noted]


def approve_payment(
    wish: ApprovePayment, payment: Payment, payee: Payee, books: Sequence[Rulebook]
) -> list[PaymentEvent]:
    """A second person agrees within the limit of their roles; a shut gate blocks the payment instead.

    So does what was taken back since it was proposed, where less is payable now than it pays, and a line of it that is
    disputed.
    """
    order = payment.order
    if payment.stage == Stage.APPROVED:
        return []
    _only_in(payment, Stage.PROPOSED)
    if wish.by == order.proposed_by:
        raise FourEyes(proposed_by=order.proposed_by)
    rules = rules_of(books, wish.now)
    limit = limit_of(rules, wish.roles, order.amount.currency)
    if limit is not None and limit < payment.whole:
        raise OverLimit(limit=str(limit.amount))
    if gates := (*_unmet(wish, payee, rules), *_taken_back(wish, order)):
        return [_blocked(payment, gates, wish.now, _of_form(wish, gates, payee, rules))]
    return [_approved(wish, payment, payee, rules)]


def _unmet(wish: ApprovePayment | ResumePayment | SubmitPayment, payee: Payee, rules: PaymentRules) -> tuple[str, ...]:
    """The payee's gates that are shut, and the one of a line that is disputed."""
    return (*unmet(payee, wish.now, rules, wish.so_far), *((DISPUTED,) if wish.disputed else ()))


def _taken_back(wish: ApprovePayment, order: PaymentProposed) -> tuple[str, ...]:
    """The gate that is shut once less of the earnings is payable than the payment pays of them."""
    earned = earnings_of(order)
    short = wish.payable and not earned.zero and wish.payable < earned
    return (TAKEN_BACK,) if short else ()


def _of_form(
    wish: ApprovePayment | SubmitPayment, gates: tuple[str, ...], payee: Payee, rules: PaymentRules
) -> tuple[Measured, ...]:
    """The thresholds by which a missing tax form blocks a payment."""
    return thresholds_of(payee, wish.now, rules, wish.so_far, TAX_FORM) if TAX_FORM in gates else ()


def _approved(wish: ApprovePayment, payment: Payment, payee: Payee, rules: PaymentRules) -> PaymentApproved:
    order = payment.order
    form = withholding_form_of(payee, wish.now, rules)
    jurisdiction = form.jurisdiction if form else None
    kind = form.payee_kind if form else "company"
    whole = withheld_of(rules, order.amount, jurisdiction, kind, wish.now.year)
    found = thresholds_of(payee, wish.now, rules, wish.so_far, WITHHOLDING)
    withheld = whole if asked(found, tax_home(payee, wish.now), otherwise=True) else none_of(whole.currency)
    approved = PaymentApproved(
        payment_id=order.payment_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        journal=NO_JOURNAL,
        proposed_by=order.proposed_by,
        approved_by=wish.by,
        approved_at=wish.now,
        net=payment.whole - withheld,
        withheld=None if withheld.zero else withheld,
        jurisdiction=jurisdiction,
        books=wish.books,
        tells_withheld=True,
        thresholds=_if_any((*thresholds_of(payee, wish.now, rules, wish.so_far, TAX_FORM), *found)),
        tax=payment.taxed.tax if payment.taxed else LEFT_OUT,
    )
    drawn = _drawn(approved, order.fund, wish.fund_books)
    return replace(approved, journal=Journal(entries=(*drawn.entries, *_tax_drawn(payment.taxed))))


def _tax_drawn(taxed: InvoiceTaxed | None) -> tuple[Entry, ...]:
    """The tax on an invoice, from payable to in payment."""
    payable = [one for one in taxed.journal.entries if one.account == "payable"] if taxed else []
    return tuple(drawn for one in payable for drawn in (_opposite(one), replace(one, account="in_payment", of=None)))


def _if_any(found: tuple[Measured, ...]) -> tuple[Measured, ...] | LeftOut:
    return found or LEFT_OUT


def _drawn(approved: PaymentApproved, fund: Money | None, fund_books: Money | None) -> Journal:
    """From payable to in payment, and what is withheld to its jurisdiction; in the books by largest remainder."""
    withheld = [approved.withheld] if approved.withheld else []
    parts = [total([approved.amount, *(-one for one in withheld)], approved.amount.currency), *withheld]
    sides: list[Side] = ["in_payment", ("withheld", approved.jurisdiction or "")]
    books = split(approved.books, [part.amount for part in parts]) if approved.books else [None] * len(parts)
    who, cause = approved.payee_id, approved.payment_id
    drawn = [
        entry(side, -part, who, cause, None if worth is None else -worth)
        for side, part, worth in zip(sides, parts, books, strict=False)
    ]
    if fund is None:
        return Journal(entries=(entry("payable", approved.amount, who, cause, approved.books), *drawn))
    earned = approved.amount - fund
    worth = approved.books - fund_books if approved.books and fund_books else approved.books
    from_earnings = () if earned.zero else (entry("payable", earned, who, cause, worth),)
    return Journal(entries=(*from_earnings, entry(FUND_MONEY, fund, who, cause, fund_books), *drawn))


def drawn_by(payment: Payment) -> PaymentApproved | None:
    """The approval by which money is drawn now; None where none is, also where it was and came back."""
    return payment.approved if payment.stage in DRAWN else None


def check_unpaid(payments: Sequence[Payment], *, paid: bool) -> None:
    """Raises WrongState where an earning line is paid, or its money was drawn by one of the payments that pay it."""
    drawn = [one for one in payments if drawn_by(one)]
    if paid or any(one.stage == Stage.PAID for one in drawn):
        raise WrongState("the line is paid", state=Stage.PAID.value, allowed=UNPAID)
    if drawn:
        text = f"a payment of the line is {drawn[0].stage.value}: decline it first"
        raise WrongState(text, state=IN_PAYMENT, allowed=UNPAID, payment_id=drawn[0].order.payment_id)


def withheld_now(payment: Payment) -> Money:
    """What is withheld of a payment now."""
    approved = drawn_by(payment)
    return (approved.withheld if approved else None) or none_of(payment.order.amount.currency)


def given_back(payment: Payment) -> Journal:
    """What a payment that is given up drew is payable again, and the tax on its invoice is not."""
    untaxed = tuple(_opposite(one) for one in payment.taxed.journal.entries) if payment.taxed else ()
    return Journal(entries=(*_undrawn(payment).entries, *untaxed))


def _undrawn(payment: Payment) -> Journal:
    """The other way round: what was drawn is payable again."""
    approved = drawn_by(payment)
    if approved is None:
        return NO_JOURNAL
    return Journal(entries=tuple(_opposite(one) for one in approved.journal.entries))


def _opposite(one: Entry) -> Entry:
    worth = None if one.books_amount is None else -one.books_amount
    return replace(one, amount=-one.amount, books_amount=worth)


def resume_payment(
    wish: ResumePayment, payment: Payment, payee: Payee, books: Sequence[Rulebook]
) -> list[PaymentEvent]:
    """A blocked payment is proposed again once its gates are open."""
    order = payment.order
    if payment.stage == Stage.PROPOSED:
        return []
    _only_in(payment, Stage.BLOCKED)
    if gates := _unmet(wish, payee, rules_of(books, wish.now)):
        raise GateUnmet(gates=list(gates))
    return [
        PaymentResumed(
            payment_id=order.payment_id, partner_id=order.partner_id, resumed_by=wish.by, resumed_at=wish.now
        )
    ]


def submit_payment(
    wish: SubmitPayment, payment: Payment, account: Account, payee: Payee, books: Sequence[Rulebook]
) -> HandedOver:
    """Fixes the reference, then the provider may be called. The gates are asked once more.

    Account and payee are told in the same commit, so what stops it (a dispute, a gate that shuts) is either in time, or
    comes after it.
    """
    if payment.order.payee_id != wish.payee_id:
        raise Raced
    made, told = submit_payment_unguarded(wish, payment, account, payee, books)
    return made, told, [passed_gates_of(one) for one in made if isinstance(one, PaymentSubmitted)]


def passed_gates_of(it: PaymentSubmitted) -> PaymentPassedGates:
    """What its payee is told of a payment that is submitted."""
    return PaymentPassedGates(
        payee_id=it.payee_id, partner_id=it.partner_id, payment_id=it.payment_id, passed_at=it.submitted_at
    )


def submit_payment_unguarded(
    wish: SubmitPayment, payment: Payment, account: Account, payee: Payee, books: Sequence[Rulebook]
) -> Both:
    """As the third evaluator decided: a gate that shut after the look at the payee came too late."""
    order = payment.order
    if order.account_id != wish.account_id:
        raise Raced
    asked = replace(wish, disputed=account.stops(order.payment_id))
    made = submit_payment_looked_up(asked, payment, payee, books)
    return made, [handed_over_of(one) for one in made if isinstance(one, PaymentSubmitted)]


def handed_over_of(it: PaymentSubmitted) -> PaymentHandedOver:
    """What its account is told of a payment that is submitted."""
    return PaymentHandedOver(account_id=it.account_id, payment_id=it.payment_id, handed_over_at=it.submitted_at)


def submit_payment_looked_up(
    wish: SubmitPayment, payment: Payment, payee: Payee, books: Sequence[Rulebook]
) -> list[PaymentEvent]:
    """As the second evaluator decided: a dispute that was filed after the look at it came too late."""
    order = payment.order
    if payment.stage in (Stage.SUBMITTED, Stage.UNKNOWN):
        return []
    _only_in(payment, Stage.APPROVED)
    rules = rules_of(books, wish.now)
    if gates := _unmet(wish, payee, rules):
        return [_blocked(payment, gates, wish.now, _of_form(wish, gates, payee, rules))]
    attempt = payment.attempts + 1
    return [
        PaymentSubmitted(
            payment_id=order.payment_id,
            account_id=order.account_id,
            payee_id=order.payee_id,
            partner_id=order.partner_id,
            amount=order.amount,
            reference=reference_of(order.payment_id, attempt),
            attempt=attempt,
            submitted_by=wish.by,
            submitted_at=wish.now,
            net=payment.net,
            earlier=payment.references,
            bank=wish.bank or LEFT_OUT,
        )
    ]


def report_outcome(wish: ReportOutcome, payment: Payment, _: Account) -> Both:
    """What the provider says of a reference. A repeat changes nothing; a contradiction is kept for a person."""
    order = payment.order
    if order.account_id != wish.account_id:
        raise Raced
    if wish.reference not in payment.references:
        raise UnknownReference
    if wish.provider_event_id in payment.provider_events or _says_the_same(wish, payment):
        return [], []
    is_last = wish.unsent or wish.reference == payment.references[-1]
    if not is_last or not _fits(wish.outcome, payment.stage):
        return [_contradicted(wish, payment)], []
    if wish.outcome == UNKNOWN:
        return [_unknown(wish, payment)], []
    if wish.outcome == PAID:
        closed = PaymentClosed(account_id=order.account_id, payment_id=order.payment_id, paid=True, closed_at=wish.now)
        return [_made(wish, payment)], [closed]
    return [_failed(wish, payment)], []


def note_unreported(wish: NoteUnreported, payment: Payment) -> list[PaymentEvent]:
    """Keeps that nobody said what became of a submitted payment; once something was reported, nothing."""
    if payment.stage != Stage.SUBMITTED or wish.reference != payment.references[-1]:
        return []
    order = payment.order
    return [
        PaymentUnreported(
            payment_id=order.payment_id, partner_id=order.partner_id, reference=wish.reference, noted_at=wish.now
        )
    ]


def _contradicted(wish: ReportOutcome, payment: Payment) -> OutcomeContradicted:
    return OutcomeContradicted(
        payment_id=payment.order.payment_id,
        partner_id=payment.order.partner_id,
        reference=wish.reference,
        outcome=wish.outcome,
        stage=payment.stage.value,
        provider_event_id=wish.provider_event_id,
        reported_at=wish.now,
    )


def _says_the_same(wish: ReportOutcome, payment: Payment) -> bool:
    if wish.reference != payment.references[-1]:
        return wish.outcome in (REJECTED, UNKNOWN)
    settled = {
        Stage.PAID: (PAID, UNKNOWN),
        Stage.FAILED: (REJECTED, UNKNOWN),
        Stage.APPROVED: (REJECTED, UNKNOWN),
        Stage.DECLINED: (REJECTED, UNKNOWN),
        Stage.RETURNED: (RETURNED, PAID, UNKNOWN),
    }
    return wish.outcome in settled.get(payment.stage, ())


def _fits(outcome: str, stage: Stage) -> bool:
    if outcome == RETURNED:
        return stage == Stage.PAID
    return stage in (Stage.SUBMITTED, Stage.UNKNOWN)


def _unknown(wish: ReportOutcome, payment: Payment) -> PaymentUnknown:
    order = payment.order
    since = payment.unknown_since or wish.now
    wait = min(ASK_FIRST_SECONDS * 2**payment.asks, ASK_MOST_SECONDS)
    again = wish.now + timedelta(seconds=wait)
    return PaymentUnknown(
        payment_id=order.payment_id,
        account_id=order.account_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reference=wish.reference,
        asks=payment.asks + 1,
        ask_again_at=again if again - since <= timedelta(hours=ASK_FOR_HOURS) else None,
        reported_at=wish.now,
    )


def _made(wish: ReportOutcome, payment: Payment) -> PaymentMade:
    order, approved = payment.order, payment.approved
    return PaymentMade(
        payment_id=order.payment_id,
        account_id=order.account_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reference=wish.reference,
        line_ids=order.line_ids,
        provider_event_id=wish.provider_event_id,
        journal=_paid(wish, payment),
        paid_on=wish.on,
        reported_at=wish.now,
        net=payment.net,
        withheld=approved.withheld if approved else None,
        tells_withheld=True,
        tax=payment.taxed.tax if payment.taxed else LEFT_OUT,
    )


def _paid(wish: ReportOutcome, payment: Payment) -> Journal:
    """From in payment to the bank, and so the tax on an invoice: each stands for a worth of its own in the books."""
    drawn = [one for one in _entries(payment) if one.account == "in_payment"]
    return Journal(entries=tuple(made for one in drawn for made in _given(wish, payment, one)))


def _given(wish: ReportOutcome, payment: Payment, drawn: Entry) -> list[Entry]:
    """In the books the bank gives what the day's rate says; the difference is kept."""
    order, amount = payment.order, -drawn.amount
    bank = payment.banks.get(wish.reference)
    cash: Side = ("cash", bank) if bank else "cash"
    stands = -drawn.books_amount if drawn.books_amount else None
    given = _worth(wish, amount) if stands is not None else None
    if stands is None or given is None:
        given = stands
    made = [
        entry("in_payment", amount, order.payee_id, order.payment_id, stands),
        entry(cash, -amount, order.payee_id, order.payment_id, None if given is None else -given),
    ]
    if stands is not None and given is not None and given != stands:
        nothing = amount - amount
        made.append(entry("fx_difference", nothing, order.payee_id, order.payment_id, given - stands))
    return made


def _entries(payment: Payment) -> tuple[Entry, ...]:
    return payment.approved.journal.entries if payment.approved else ()


def _worth(wish: ReportOutcome, amount: Money) -> Money | None:
    """What the amount is in the books on the day it was paid; None without a rate that fits: it was paid all the same."""
    try:
        return wish.books.amount(amount, wish.on)
    except (NoRate, AmountTooLarge):
        return None


def _failed(wish: ReportOutcome, payment: Payment) -> PaymentFailed:
    order, made = payment.order, payment.made
    back = NO_JOURNAL
    if wish.outcome == RETURNED and made is not None:
        back = Journal(entries=tuple(_opposite(one) for one in made.journal.entries))
    return PaymentFailed(
        payment_id=order.payment_id,
        account_id=order.account_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reference=wish.reference,
        line_ids=order.line_ids,
        reason_code=wish.outcome,
        provider_event_id=wish.provider_event_id,
        journal=back,
        failed_at=wish.now,
        withheld=withheld_now(payment),
        says=wish.says,
    )


def retry_payment(wish: RetryPayment, payment: Payment) -> list[PaymentEvent]:
    """A failed or returned payment is approved again; its next submission has a new reference."""
    order = payment.order
    if payment.stage == Stage.APPROVED:
        return []
    _only_in(payment, Stage.FAILED, Stage.RETURNED)
    if payment.attempts >= ATTEMPTS_MAX:
        raise AttemptsSpent(attempts=payment.attempts)
    return [
        PaymentRetried(
            payment_id=order.payment_id,
            partner_id=order.partner_id,
            attempts=payment.attempts,
            retried_by=wish.by,
            retried_at=wish.now,
        )
    ]


def decline_payment(wish: DeclinePayment, payment: Payment, _: Account) -> Both:
    """A second person gives the payment up; what it drew is payable again."""
    order = payment.order
    if order.account_id != wish.account_id:
        raise Raced
    if payment.stage == Stage.DECLINED:
        return [], []
    _only_in(payment, Stage.PENDING_INVOICE, Stage.PROPOSED, Stage.BLOCKED, *GIVEN_UP_DRAWN)
    if wish.by == order.proposed_by:
        raise FourEyes(proposed_by=order.proposed_by)
    declined = PaymentDeclined(
        payment_id=order.payment_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reason_code=wish.category,
        journal=given_back(payment),
        declined_by=wish.by,
        declined_at=wish.now,
        withheld=withheld_now(payment),
    )
    return [declined], [
        PaymentClosed(account_id=order.account_id, payment_id=order.payment_id, paid=False, closed_at=wish.now)
    ]


def _only_in(payment: Payment, *stages: Stage) -> None:
    if payment.stage not in stages:
        raise WrongState(
            f"the payment is {payment.stage}", state=payment.stage.value, allowed=[s.value for s in stages]
        )


def _blocked(payment: Payment, gates: tuple[str, ...], now: datetime, found: tuple[Measured, ...]) -> PaymentBlocked:
    order = payment.order
    return PaymentBlocked(
        payment_id=order.payment_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        gates=gates,
        journal=_undrawn(payment),
        blocked_at=now,
        thresholds=_if_any(found),
        withheld=withheld_now(payment),
    )


# Evolve


STAGE_AFTER = {
    PaymentRetried: Stage.APPROVED,
    PaymentBlocked: Stage.BLOCKED,
    PaymentResumed: Stage.PROPOSED,
    PaymentDeclined: Stage.DECLINED,
}


def evolve(payment: Payment, happened: PaymentEvent) -> Payment:
    match happened:
        case PaymentProposed():
            stage = Stage.PENDING_INVOICE if happened.needs_invoice else Stage.PROPOSED
            return replace(payment, stage=stage, proposed=happened)
        case PaymentApproved():
            return replace(payment, stage=Stage.APPROVED, approved=happened)
        case PaymentRetried() | PaymentBlocked() | PaymentResumed() | PaymentDeclined():
            kept = None if isinstance(happened, PaymentDeclined) else payment.taxed
            return replace(payment, stage=STAGE_AFTER[type(happened)], taxed=kept)
        case OutcomeContradicted():
            return replace(payment, provider_events=payment.provider_events | {happened.provider_event_id})
        case PaymentUnreported():
            return payment
        case InvoiceAccepted() | InvoiceTaxed():
            taxed = happened if isinstance(happened, InvoiceTaxed) else None
            return replace(payment, stage=Stage.PROPOSED, taxed=taxed)
        case PaymentSubmitted() | PaymentMade() | PaymentFailed() | PaymentUnknown():
            return _after_provider(payment, happened)
        case _:
            assert_never(happened)


def _after_provider(
    payment: Payment, happened: PaymentSubmitted | PaymentMade | PaymentFailed | PaymentUnknown
) -> Payment:
    match happened:
        case PaymentSubmitted():
            references = (*payment.references, happened.reference)
            drawn = replace(payment, banks=_banks(payment, happened))
            handed = replace(drawn, stage=Stage.SUBMITTED, references=references, submitted_at=happened.submitted_at)
            return replace(handed, asks=0, unknown_since=None)
        case PaymentUnknown():
            since = payment.unknown_since or happened.reported_at
            return replace(payment, stage=Stage.UNKNOWN, asks=happened.asks, unknown_since=since)
        case PaymentMade():
            return replace(payment, stage=Stage.PAID, made=happened, provider_events=_heard(payment, happened))
        case PaymentFailed():
            heard = replace(payment, stage=Stage.FAILED, provider_events=_heard(payment, happened))
            if happened.reason_code != RETURNED:
                return heard
            return replace(heard, stage=Stage.RETURNED, returned=payment.returned | {happened.reference})
        case _:
            assert_never(happened)


def _banks(payment: Payment, happened: PaymentSubmitted) -> Mapping[str, str]:
    return {**payment.banks, happened.reference: happened.bank} if happened.bank else payment.banks


def _heard(payment: Payment, happened: PaymentMade | PaymentFailed) -> frozenset[str]:
    return payment.provider_events | {happened.provider_event_id}


Payments = Decider[Payment, PaymentEvent](kind="payment", initial=Payment(), evolve=evolve)

"""What happens to a payment."""

from datetime import date, datetime

from chassis.event import LEFT_OUT, LeftOut, event
from contracts.values import Money
from services.incentives.domain.journal import Journal
from services.incentives.domain.thresholds import Measured


@event("incentives.PaymentProposed.v1")
class PaymentProposed:
    """`amount` is the smaller of the statement's closing and what is payable now. `line_ids` are the lines stated.

    `fund` is what of it is fund money, `earned` what stands of earnings: below zero it is carried forward.
    """

    payment_id: str
    account_id: str
    statement_id: str
    statement_number: int
    payee_id: str
    partner_id: str
    amount: Money
    line_ids: tuple[str, ...]
    released: Money
    released_position: int
    proposed_by: str
    proposed_at: datetime
    needs_invoice: bool = False
    fund: Money | None = None
    earned: Money | None = None


@event("incentives.InvoiceAccepted.v1")
class InvoiceAccepted:
    """The payee's invoice for the payment: it says the same amount, and no other payment has its number."""

    payment_id: str
    account_id: str
    payee_id: str
    partner_id: str
    number: str
    net: Money
    tax: Money
    invoice_sha256: str
    accepted_at: datetime


@event("incentives.InvoiceTaxed.v1")
class InvoiceTaxed:
    """The tax on the payee's own invoice is payable with the payment; the vendor has it back from its `country`."""

    payment_id: str
    account_id: str
    payee_id: str
    partner_id: str
    number: str
    country: str
    tax: Money
    journal: Journal
    taxed_at: datetime


@event("incentives.PaymentApproved.v1")
class PaymentApproved:
    """A second person agrees. `net` goes to the payee, `withheld` to the jurisdiction; `books` is what both stand for.

    `tax` of an invoice goes to the payee on top of the amount, and is in `net`. One that was recorded without
    `tells_withheld` does not tell the others what is withheld. `thresholds` are those that counted for the payee.
    """

    payment_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    journal: Journal
    proposed_by: str
    approved_by: str
    approved_at: datetime
    net: Money | None = None
    withheld: Money | None = None
    jurisdiction: str | None = None
    books: Money | None = None
    tells_withheld: bool | LeftOut = LEFT_OUT
    thresholds: tuple[Measured, ...] | LeftOut = LEFT_OUT
    tax: Money | LeftOut = LEFT_OUT


@event("incentives.PaymentBlocked.v1")
class PaymentBlocked:
    """Gates that are shut: those of `payee.unmet`, such as suspended, blocked, bank_cool_down; taken_back, and disputed.

    `thresholds` are those by which a tax form is asked for. `withheld` is what was withheld at its approval, and is payable
    again with the rest: nothing where it was blocked instead.
    """

    payment_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    gates: tuple[str, ...]
    journal: Journal
    blocked_at: datetime
    thresholds: tuple[Measured, ...] | LeftOut = LEFT_OUT
    withheld: Money | LeftOut = LEFT_OUT


@event("incentives.PaymentResumed.v1")
class PaymentResumed:
    payment_id: str
    partner_id: str
    resumed_by: str
    resumed_at: datetime


@event("incentives.PaymentSubmitted.v1")
class PaymentSubmitted:
    """The provider is about to be called with this reference. `attempt` counts from 1.

    `bank` names the vendor's account that is drawn on; what was submitted before it was told is paid from `cash`.
    """

    payment_id: str
    account_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    attempt: int
    submitted_by: str
    submitted_at: datetime
    net: Money | None = None
    earlier: tuple[str, ...] = ()
    bank: str | LeftOut = LEFT_OUT


@event("incentives.PaymentMade.v1")
class PaymentMade:
    """The provider paid `net`: the amount, with the `tax` of an invoice, less what is withheld."""

    payment_id: str
    account_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    line_ids: tuple[str, ...]
    provider_event_id: str
    journal: Journal
    paid_on: date
    reported_at: datetime
    net: Money | None = None
    withheld: Money | None = None
    tells_withheld: bool | LeftOut = LEFT_OUT
    tax: Money | LeftOut = LEFT_OUT


@event("incentives.PaymentFailed.v1")
class PaymentFailed:
    """Reason codes: rejected; returned when the money came back after it was paid. What is `withheld` of it still is.

    `says` is why, in the provider's words.
    """

    payment_id: str
    account_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    line_ids: tuple[str, ...]
    reason_code: str
    provider_event_id: str
    journal: Journal
    failed_at: datetime
    withheld: Money | LeftOut = LEFT_OUT
    says: str | LeftOut = LEFT_OUT


@event("incentives.PaymentUnknown.v1")
class PaymentUnknown:
    """Nobody knows yet what became of the reference. Without `ask_again_at` a person has to find out."""

    payment_id: str
    account_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reference: str
    asks: int
    ask_again_at: datetime | None
    reported_at: datetime


@event("incentives.PaymentUnreported.v1")
class PaymentUnreported:
    """No report came of what was handed over: a person has to ask the bank."""

    payment_id: str
    partner_id: str
    reference: str
    noted_at: datetime


@event("incentives.OutcomeContradicted.v1")
class OutcomeContradicted:
    """The provider says otherwise than before of a reference: a person has to settle it with the provider."""

    payment_id: str
    partner_id: str
    reference: str
    outcome: str
    stage: str
    provider_event_id: str
    reported_at: datetime


@event("incentives.PaymentRetried.v1")
class PaymentRetried:
    payment_id: str
    partner_id: str
    attempts: int
    retried_by: str
    retried_at: datetime


@event("incentives.PaymentDeclined.v1")
class PaymentDeclined:
    """Given up. `withheld` is what was withheld at its approval, and is payable again: nothing where it had none."""

    payment_id: str
    statement_id: str
    payee_id: str
    partner_id: str
    amount: Money
    reason_code: str
    journal: Journal
    declined_by: str
    declined_at: datetime
    withheld: Money | LeftOut = LEFT_OUT


PaymentEvent = (
    PaymentProposed
    | PaymentApproved
    | PaymentBlocked
    | PaymentResumed
    | PaymentSubmitted
    | PaymentMade
    | PaymentFailed
    | PaymentUnknown
    | PaymentUnreported
    | InvoiceAccepted
    | InvoiceTaxed
    | OutcomeContradicted
    | PaymentRetried
    | PaymentDeclined
)

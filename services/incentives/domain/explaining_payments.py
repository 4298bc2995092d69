"""Why a payment stands where it stands, and what would have to happen for it to go out."""

from collections.abc import Callable, Sequence
from typing import Any

from chassis.event import Seen, iso
from chassis.rulebook import Change, Decision, Input, Reason
from services.incentives.domain import payment_events
from services.incentives.domain.payment import ATTEMPTS_MAX
from services.incentives.domain.rating import text_of
from services.incentives.domain.thresholds import Measured, text_of_measured

GATES = {
    "not_active": "the partner is activated",
    "suspended": "the suspension of its payouts is lifted, or its end has passed",
    "blocked": "two people of finance let payments to it go on",
    "employer_consent": "the owner of the employer agrees",
    "bank_verified": "somebody else than who entered the bank details verifies them",
    "bank_cool_down": "the changed bank details have waited their hours",
    "tax_form": "a tax form for this year is accepted",
    "under_review": "the case that holds it is closed as a false alarm",
    "merged": "the two partners are two again",
    "disputed": "the dispute over a line of it is final; declined, the rest can be paid without that line",
    "taken_back": "as much is payable again as it pays; declined, what is payable is paid with the next statement",
}
"""What opens each gate."""
FORGOTTEN = Change(
    code="forgotten",
    text="a person that was forgotten is never paid: decline it, and what it drew stands in the ledger as payable",
    outcome="declined",
)
APPROVAL = Change(
    code="approve", text="a second person approves it, within the limit of their roles", outcome="approved"
)
SUBMISSION = Change(code="submit", text="finance submits it; the gates are asked again", outcome="submitted")
RESUMPTION = Change(code="resume", text="then it is proposed again", outcome="proposed")
PROVIDER = Change(code="provider", text="the provider says that it paid", outcome="paid")
NEXT_PROPOSAL = Change(
    code="propose", text="finance proposes a payment again: what this one drew is payable", outcome="proposed"
)


def proposed(seen: Seen) -> Decision:
    """The smaller of what the statement closes with and what is payable after what was drawn."""
    order: payment_events.PaymentProposed = seen.event
    text = f"statement {order.statement_number}, and not more than is payable now"
    invoice = Change(code="invoice", text=f"the payee's invoice of {text_of(order.amount)} is here", outcome="proposed")
    return Decision(
        outcome=text_of(order.amount),
        reasons=(Reason(code="statement", text=text), *_fund_money(order)),
        inputs=(Input(name="released", value=text_of(order.released), position=order.released_position),),
        would_change=(invoice, APPROVAL) if order.needs_invoice else (APPROVAL,),
    )


def _fund_money(order: payment_events.PaymentProposed) -> tuple[Reason, ...]:
    if order.fund is None or order.earned is None:
        return ()
    below = order.earned.amount < 0
    rest = "that balance is carried forward, fund money does not pay it" if below else "both are paid"
    text = f"{text_of(order.fund)} is fund money, earnings stand at {text_of(order.earned)}: {rest}"
    return (Reason(code="fund-money", text=text),)


def invoiced(seen: Seen) -> Decision:
    """The invoice says the same amount as the payment."""
    order: payment_events.InvoiceAccepted = seen.event
    reason = Reason(code="invoice", text=f"invoice {order.number} says {text_of(order.net)}, as the payment does")
    return Decision(outcome="proposed", reasons=(reason,), would_change=(APPROVAL,))


def taxed(seen: Seen) -> Decision:
    """The tax that the invoice charges is paid with it."""
    it: payment_events.InvoiceTaxed = seen.event
    text = f"invoice {it.number} charges {text_of(it.tax)} of tax in {it.country}, which is paid with the net amount"
    return Decision(outcome="proposed", reasons=(Reason(code="tax", text=text),), would_change=(APPROVAL,))


def approved(seen: Seen) -> Decision:
    """Two people: who proposed, who agreed."""
    order: payment_events.PaymentApproved = seen.event
    return Decision(
        outcome="approved",
        reasons=(
            Reason(code="four-eyes", text="a second person agreed, and every gate was open"),
            *_tax(order),
            *_withheld(order),
            *_measured(order),
        ),
        inputs=(Input(name="amount", value=text_of(order.amount)),),
        would_change=(SUBMISSION,),
    )


def _tax(order: payment_events.PaymentApproved) -> tuple[Reason, ...]:
    if not order.tax:
        return ()
    return (Reason(code="tax", text=f"{text_of(order.tax)} of tax on the payee's invoice go with it"),)


def _withheld(order: payment_events.PaymentApproved) -> tuple[Reason, ...]:
    if order.withheld is None or order.net is None:
        return ()
    text = f"{text_of(order.withheld)} is withheld for {order.jurisdiction}, {text_of(order.net)} goes to the payee"
    return (Reason(code="withheld", text=text),)


def _measured(order: payment_events.PaymentApproved | payment_events.PaymentBlocked) -> tuple[Reason, ...]:
    found: tuple[Measured, ...] = order.thresholds or ()
    return tuple(Reason(code="threshold", text=text_of_measured(one)) for one in found)


def blocked(seen: Seen) -> Decision:
    """The gates that were shut, what opens each of them, and what is done then."""
    order: payment_events.PaymentBlocked = seen.event
    return Decision(
        outcome="blocked",
        reasons=(
            *(Reason(code=gate, text=f"the gate {gate} is shut") for gate in order.gates),
            *_measured(order),
        ),
        would_change=opening(order.gates) if FORGOTTEN.code in order.gates else (*opening(order.gates), RESUMPTION),
    )


def opening(gates: Sequence[str]) -> tuple[Change, ...]:
    """What opens some gates."""
    return tuple(_opens(gate) for gate in gates)


def _opens(gate: str) -> Change:
    if gate == FORGOTTEN.code:
        return FORGOTTEN
    return Change(code=gate, text=f"{gate} opens once {GATES[gate]}", outcome="open")


def resumed(_: Seen) -> Decision:
    """Every gate was open again."""
    reason = Reason(code="gates-open", text="every gate was open again")
    return Decision(outcome="proposed", reasons=(reason,), would_change=(APPROVAL,))


def submitted(seen: Seen) -> Decision:
    """The reference was fixed before the provider was called."""
    order: payment_events.PaymentSubmitted = seen.event
    text = f"attempt {order.attempt} goes out as {order.reference}, recorded before the provider is called"
    return Decision(outcome="submitted", reasons=(Reason(code="reference", text=text),), would_change=(PROVIDER,))


def unknown(seen: Seen) -> Decision:
    """Nobody knows whether the provider paid, so it is asked again and the payment is not sent a second time."""
    order: payment_events.PaymentUnknown = seen.event
    asks = f"it is asked again at {iso(order.ask_again_at)}" if order.ask_again_at else "a person has to ask it"
    text = f"the provider does not know what became of {order.reference}, asked {order.asks} times: {asks}"
    return Decision(outcome="unknown", reasons=(Reason(code="unknown", text=text),), would_change=(PROVIDER,))


def unreported(seen: Seen) -> Decision:
    """It was handed over, and no report says what became of it."""
    order: payment_events.PaymentUnreported = seen.event
    text = f"no report came of {order.reference}: a person has to ask the bank"
    return Decision(outcome="submitted", reasons=(Reason(code="unreported", text=text),), would_change=(PROVIDER,))


def declined(seen: Seen) -> Decision:
    """The category that was given."""
    order: payment_events.PaymentDeclined = seen.event
    reason = Reason(code=order.reason_code, text="a second person declined it")
    return Decision(outcome="declined", reasons=(reason,), would_change=(NEXT_PROPOSAL,))


def made(seen: Seen) -> Decision:
    """The provider's word for the reference."""
    order: payment_events.PaymentMade = seen.event
    text = f"the provider paid {order.reference} on {iso(order.paid_on)}"
    return Decision(
        outcome="paid",
        reasons=(Reason(code="provider", text=text),),
        inputs=(Input(name="provider_event_id", value=order.provider_event_id),),
    )


def failed(seen: Seen) -> Decision:
    """The provider's word for the reference; while attempts are left it can be tried again."""
    order: payment_events.PaymentFailed = seen.event
    text = f"the provider says {order.reason_code} of {order.reference}{f': {order.says}' if order.says else ''}"
    return Decision(
        outcome="failed",
        reasons=(Reason(code=order.reason_code, text=text),),
        inputs=(Input(name="provider_event_id", value=order.provider_event_id),),
        would_change=(_after(int(order.reference[-2:])),),
    )


def _after(attempt: int) -> Change:
    if attempt >= ATTEMPTS_MAX:
        text = f"all {ATTEMPTS_MAX} attempts are spent: once it is declined, what it drew can be proposed again"
        return Change(code="decline", text=text, outcome="declined")
    text = f"finance tries again under a new reference, attempt {attempt + 1} of {ATTEMPTS_MAX}"
    return Change(code="retry", text=text, outcome="approved")


def retried(seen: Seen) -> Decision:
    """It goes out under a new reference."""
    reason = Reason(code="retry", text="finance tries again: the provider had not paid under any reference before")
    return Decision(outcome="approved", reasons=(reason,), would_change=(SUBMISSION,))


def contradicted(seen: Seen) -> Decision:
    """What the provider said first, and then."""
    it: payment_events.OutcomeContradicted = seen.event
    text = f"{it.reference} was {it.stage}, then the provider said {it.outcome}"
    return Decision(outcome="contradicted", reasons=(Reason(code="outcome-contradicts", text=text),))


EXPLAIN_PAYMENTS: dict[type[Any], Callable[[Seen], Decision]] = {
    payment_events.PaymentProposed: proposed,
    payment_events.InvoiceAccepted: invoiced,
    payment_events.InvoiceTaxed: taxed,
    payment_events.PaymentApproved: approved,
    payment_events.PaymentBlocked: blocked,
    payment_events.PaymentResumed: resumed,
    payment_events.PaymentSubmitted: submitted,
    payment_events.PaymentUnknown: unknown,
    payment_events.PaymentUnreported: unreported,
    payment_events.PaymentDeclined: declined,
    payment_events.PaymentMade: made,
    payment_events.PaymentFailed: failed,
    payment_events.PaymentRetried: retried,
    payment_events.OutcomeContradicted: contradicted,
}

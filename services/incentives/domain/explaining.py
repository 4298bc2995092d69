"""Why each event of money happened: recomputed from what the event keeps, with what would have changed it."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from chassis.event import Seen, iso
from chassis.rulebook import Change, Decision, Input, Reason
from contracts.values import none_of
from services.incentives.domain import account, payment, sale
from services.incentives.domain.rating import alternatives, inputs, steps, text_of


def calculated(seen: Seen) -> Decision:
    """Facts, credit revision, plan version, F(before), F(after), rounding, dates; the pay without each band and cap."""
    line: sale.PayoutCalculated = seen.event
    plan_id = line.key.plan_id
    dates = f"credited {iso(line.credited_on)}, earned {iso(line.earned_on)}, payable {iso(line.payable_on)}"
    version = f"version {line.plan_version} of {plan_id} was in force on {iso(line.credited_on)}"
    return Decision(
        outcome=text_of(line.amount),
        reasons=(
            Reason(code="plan", text=version, rule=plan_id, version=line.plan_version),
            *steps(line.derivation, rule=plan_id, version=line.plan_version),
            Reason(code="dates", text=dates, rule=plan_id, version=line.plan_version),
        ),
        inputs=(
            Input(name="win", value=line.key.win_no, event_id=line.win_event_id),
            Input(name="credit_revision", value=line.credit_revision, event_id=line.credit_event_id),
            *inputs(line.derivation),
        ),
        would_change=alternatives(line.derivation),
        detail={"rule_id": line.rule_id, "pool": line.key.pool, "plan_sha256": line.plan_sha256, "state": line.state},
    )


def reversed_line(seen: Seen) -> Decision:
    """Earned, basis, what was taken of it, and what was reversed before."""
    line: sale.PayoutReversed = seen.event
    share = f"{text_of(line.earned)} * {line.taken} / {line.basis.amount}"
    text = f"{share}, half-up, less {text_of(line.reversed_before)} reversed before = {text_of(line.amount)}"
    return Decision(
        outcome=text_of(line.amount),
        reasons=(
            Reason(code=line.reason_code, text=text, rule=line.key.plan_id, version=line.plan_version),
            Reason(code="remaining", text=f"{text_of(line.remaining)} of the line stands"),
        ),
        inputs=(
            Input(name="reversal", value=line.reversal_id, event_id=line.source_event_id),
            Input(name="earned", value=text_of(line.earned)),
            Input(name="basis", value=text_of(line.basis)),
            Input(name="taken", value=str(line.taken)),
        ),
        would_change=(_without("reversal", line.amount.currency),),
    )


def _without(code: str, currency: str) -> Change:
    nothing = text_of(none_of(currency))
    return Change(code=code, text=f"without the {code} nothing would be reversed", outcome=nothing)


def released(seen: Seen) -> Decision:
    """The hold was over on its day."""
    line: sale.PayoutReleased = seen.event
    text = f"the hold ended on {iso(line.payable_on)}"
    return Decision(
        outcome="released",
        reasons=(Reason(code="hold-over", text=text),),
        inputs=(Input(name="payable_on", value=iso(line.payable_on)), Input(name="amount", value=text_of(line.amount))),
    )


def postponed(seen: Seen) -> Decision:
    """A person held the line back, and why."""
    line: sale.PayoutPostponed = seen.event
    return Decision(
        outcome="postponed",
        reasons=(Reason(code="postponed", text=line.reason),),
        inputs=(Input(name="payable_on", value=iso(line.payable_on)),),
    )


def issued(seen: Seen) -> Decision:
    """Opening plus lines is closing; every line with the event that it came from."""
    statement: account.StatementIssued = seen.event
    text = f"{text_of(statement.opening)} and {len(statement.lines)} lines make {text_of(statement.closing)}"
    return Decision(
        outcome=text_of(statement.closing),
        reasons=(Reason(code="sum", text=text),),
        inputs=tuple(
            Input(name=line.kind, value=text_of(line.amount), event_id=line.event_id, position=line.position)
            for line in statement.lines
        ),
        detail={"sha256": statement.sha256, "previous_sha256": statement.previous_sha256},
    )


def proposed(seen: Seen) -> Decision:
    """The smaller of what the statement closes with and what is payable after what was drawn."""
    order: payment.PaymentProposed = seen.event
    text = f"statement {order.statement_number}, and not more than is payable now"
    return Decision(
        outcome=text_of(order.amount),
        reasons=(Reason(code="statement", text=text),),
        inputs=(Input(name="released", value=text_of(order.released), position=order.released_position),),
    )


def approved(seen: Seen) -> Decision:
    """Two people: who proposed, who agreed."""
    order: payment.PaymentApproved = seen.event
    return Decision(
        outcome="approved",
        reasons=(Reason(code="four-eyes", text="a second person agreed, and every gate was open"),),
        inputs=(Input(name="amount", value=text_of(order.amount)),),
    )


def blocked(seen: Seen) -> Decision:
    """The gates that were shut."""
    order: payment.PaymentBlocked = seen.event
    opened = (
        Change(code=gate, text=f"once {gate} no longer holds it can be resumed", outcome="proposed")
        for gate in order.gates
    )
    return Decision(
        outcome="blocked",
        reasons=tuple(Reason(code=gate, text=f"the gate {gate} is shut") for gate in order.gates),
        would_change=tuple(opened),
    )


def declined(seen: Seen) -> Decision:
    """The category that was given."""
    order: payment.PaymentDeclined = seen.event
    return Decision(outcome="declined", reasons=(Reason(code=order.reason_code, text="a second person declined it"),))


def made(seen: Seen) -> Decision:
    """The provider's word for the reference."""
    order: payment.PaymentMade = seen.event
    text = f"the provider paid {order.reference} on {iso(order.paid_on)}"
    return Decision(
        outcome="paid",
        reasons=(Reason(code="provider", text=text),),
        inputs=(Input(name="provider_event_id", value=order.provider_event_id),),
    )


def failed(seen: Seen) -> Decision:
    """The provider's word for the reference."""
    order: payment.PaymentFailed = seen.event
    text = f"the provider says {order.reason_code} of {order.reference}"
    return Decision(
        outcome="failed",
        reasons=(Reason(code=order.reason_code, text=text),),
        inputs=(Input(name="provider_event_id", value=order.provider_event_id),),
    )


EXPLAIN: dict[type[Any], Callable[[Seen], Decision]] = {
    sale.PayoutCalculated: calculated,
    sale.PayoutReversed: reversed_line,
    sale.PayoutReleased: released,
    sale.PayoutPostponed: postponed,
    account.StatementIssued: issued,
    payment.PaymentProposed: proposed,
    payment.PaymentApproved: approved,
    payment.PaymentBlocked: blocked,
    payment.PaymentDeclined: declined,
    payment.PaymentMade: made,
    payment.PaymentFailed: failed,
}


def weigh(event: Any) -> Iterator[tuple[str, str, Decimal]]:
    """The money that an event earns a partner, or takes back from it: partner, currency, amount."""
    if isinstance(event, sale.PayoutCalculated):
        yield event.key.partner_id, event.amount.currency, event.amount.amount
    elif isinstance(event, sale.PayoutReversed):
        yield event.key.partner_id, event.amount.currency, -event.amount.amount

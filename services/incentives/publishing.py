"""Which of incentives' events the other services hear, and in what words. Names of people who decided never leave."""

from collections.abc import Callable
from typing import Any

from chassis.event import PublicEvent, Seen
from contracts import incentives as public
from contracts.shared import AttentionRaised, of_rulebook
from contracts.values import LineId, OpportunityId, PartnerId, PaymentId, StatementId
from services.incentives.domain import account, payment, sale


def publish(seen: Seen) -> PublicEvent | None:
    """The public form of a recorded event, or None."""
    translate = TRANSLATIONS.get(type(seen.event))
    return translate(seen.event) if translate else of_rulebook(seen)


def _calculated(it: sale.PayoutCalculated) -> PublicEvent:
    return public.PayoutCalculated(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        registration_id=it.registration_id,
        partner_id=PartnerId(it.key.partner_id),
        payee_id=it.payee_id,
        kind=it.kind,
        plan_id=it.key.plan_id,
        plan_version=it.plan_version,
        rule_id=it.rule_id,
        credit_revision=it.credit_revision,
        amount=it.amount,
        credited_on=it.credited_on,
        earned_on=it.earned_on,
        payable_on=it.payable_on,
        calculated_at=it.calculated_at,
    )


def _reversed(it: sale.PayoutReversed) -> PublicEvent:
    return public.PayoutReversed(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        registration_id=it.registration_id,
        partner_id=PartnerId(it.key.partner_id),
        payee_id=it.payee_id,
        kind=it.kind,
        plan_id=it.key.plan_id,
        plan_version=it.plan_version,
        rule_id=it.rule_id,
        reversal_id=it.reversal_id,
        reason_code=it.reason_code,
        amount=it.amount,
        remaining=it.remaining,
        reversed_at=it.reversed_at,
    )


def _released(it: sale.PayoutReleased) -> PublicEvent:
    return public.PayoutReleased(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        registration_id=it.registration_id,
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id,
        amount=it.amount,
        payable_on=it.payable_on,
        released_at=it.released_at,
    )


def _issued(it: account.StatementIssued) -> PublicEvent:
    return public.StatementIssued(
        statement_id=StatementId(it.statement_id),
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id,
        number=it.number,
        period=it.period,
        opening=it.opening,
        closing=it.closing,
        to_position=it.to_position,
        sha256=it.sha256,
        issued_at=it.issued_at,
    )


def _order(it: Any) -> dict[str, Any]:
    return {
        "payment_id": PaymentId(it.payment_id),
        "statement_id": StatementId(it.statement_id),
        "partner_id": PartnerId(it.partner_id),
        "payee_id": it.payee_id,
        "amount": it.amount,
    }


def _approved(it: payment.PaymentApproved) -> PublicEvent:
    return public.PaymentApproved(**_order(it), approved_at=it.approved_at)


def _blocked(it: payment.PaymentBlocked) -> PublicEvent:
    codes = tuple(gate.replace("_", "-") for gate in it.gates)
    return public.PaymentBlocked(**_order(it), reason_codes=codes, blocked_at=it.blocked_at)


def _declined(it: payment.PaymentDeclined) -> PublicEvent:
    return public.PaymentDeclined(**_order(it), reason_code=it.reason_code, declined_at=it.declined_at)


def _made(it: payment.PaymentMade) -> PublicEvent:
    return public.PaymentMade(**_order(it), reference=it.reference, paid_on=it.paid_on)


def _failed(it: payment.PaymentFailed) -> PublicEvent:
    return public.PaymentFailed(
        **_order(it), reference=it.reference, reason_code=it.reason_code, failed_at=it.failed_at
    )


def _unknown(it: payment.PaymentUnknown) -> PublicEvent | None:
    """Only a payment that nobody will ask about again by itself needs a person."""
    if it.ask_again_at is not None:
        return None
    return AttentionRaised(
        attention_id=it.payment_id,
        side="vendor",
        roles=("finance",),
        topic="payment-unknown",
        subject=it.payment_id,
        severity="high",
    )


TRANSLATIONS: dict[type[Any], Callable[[Any], PublicEvent | None]] = {
    sale.PayoutCalculated: _calculated,
    sale.PayoutReversed: _reversed,
    sale.PayoutReleased: _released,
    account.StatementIssued: _issued,
    payment.PaymentApproved: _approved,
    payment.PaymentBlocked: _blocked,
    payment.PaymentDeclined: _declined,
    payment.PaymentMade: _made,
    payment.PaymentFailed: _failed,
    payment.PaymentUnknown: _unknown,
}

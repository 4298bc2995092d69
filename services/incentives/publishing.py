"""Which of incentives' events the other services hear, and in what words. Names of people who decided never leave."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from chassis.event import LEFT_OUT, LeftOut, PublicEvent, Seen, stable_id
from contracts import incentives as public
from contracts.shared import AttentionCleared, AttentionRaised, of_rulebook
from contracts.values import LineId, Money, OpportunityId, PartnerId, PaymentId, StatementId, none_of
from services.incentives.domain import (
    account,
    attention,
    books,
    budget,
    case,
    claim,
    forfeiture,
    fund_request_events,
    line_dispute,
    meter,
    payee_events,
    payment_events,
    recognition,
    sale_events,
    settlement,
    tier,
)

RETURNED_REQUEST, RETURNED_CLAIM = "fund-request-returned", "claim-returned"


def publish(seen: Seen) -> PublicEvent | None:
    """The public form of a recorded event, or None."""
    translate = TRANSLATIONS.get(type(seen.event))
    return translate(seen.event) if translate else of_rulebook(seen)


def _calculated(it: sale_events.PayoutCalculated) -> PublicEvent:
    return public.PayoutCalculated(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        registration_id=it.registration_id,
        partner_id=PartnerId(it.whose),
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


def _reversed(it: sale_events.PayoutReversed) -> PublicEvent:
    return public.PayoutReversed(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        registration_id=it.registration_id,
        partner_id=PartnerId(it.whose),
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


def _released(it: sale_events.PayoutReleased) -> PublicEvent:
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


def _true_up_postponed(it: meter.TrueUpPostponed | meter.TrueUpHeldLonger) -> PublicEvent:
    return public.PayoutPostponed(
        line_id=LineId(it.line_id),
        partner_id=PartnerId(it.payee_id),
        payee_id=it.payee_id,
        amount=it.amount,
        payable_on=it.payable_on,
        reason=it.reason,
        postponed_at=it.postponed_at,
    )


def _postponed(it: sale_events.PayoutPostponed) -> PublicEvent:
    return public.PayoutPostponed(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id,
        amount=it.amount,
        payable_on=it.payable_on,
        reason=it.reason,
        postponed_at=it.postponed_at,
    )


def _adjusted(it: sale_events.PayoutAdjusted) -> PublicEvent:
    return public.PayoutAdjusted(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        registration_id=it.registration_id,
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id,
        kind=it.kind,
        amount=it.amount,
        remaining=it.remaining,
        reason=it.reason,
        adjusted_at=it.adjusted_at,
    )


def _awarded(it: sale_events.SpiffAwarded) -> PublicEvent:
    return public.SpiffAwarded(
        line_id=LineId(it.line_id),
        opportunity_id=OpportunityId(it.opportunity_id),
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id,
        plan_id=it.plan_id,
        plan_version=it.plan_version,
        amount=it.amount,
        awarded_at=it.awarded_at,
    )


def _quarantined(it: sale_events.FactQuarantined) -> PublicEvent:
    """A sale that cannot be rated waits for a person. It is about a partner where one partner's share alone waits."""
    partner_ids = it.partner_ids or ()
    return AttentionRaised(
        attention_id=_quarantine_id(it),
        side="vendor",
        roles=("finance",),
        topic=f"fact-{it.reason_code}",
        subject=it.opportunity_id,
        partner_id=partner_ids[0] if len(partner_ids) == 1 else None,
        severity="high",
    )


def _resolved(it: sale_events.FactResolved) -> PublicEvent:
    return AttentionCleared(
        attention_id=_quarantine_id(it), side="vendor", topic="fact-resolved", subject=it.opportunity_id
    )


def _quarantine_id(it: sale_events.FactQuarantined | sale_events.FactResolved) -> str:
    return sale_events.quarantine_id(it.opportunity_id, it.win_no, it.plan_id, it.fact_id)


def _window_waits(it: meter.WindowWaits) -> PublicEvent:
    """A window that can post nothing without a rate of exchange waits for who records them."""
    return AttentionRaised(
        attention_id=stable_id("window", it.meter_id),
        side="vendor",
        roles=("finance",),
        topic="window-no-rate",
        subject=it.meter_id,
        partner_id=it.payee_id,
        severity="high",
    )


def _contradicted(it: payment_events.OutcomeContradicted) -> PublicEvent:
    """The provider contradicts itself: a person has to find out what became of the money."""
    return AttentionRaised(
        attention_id=stable_id(it.payment_id, it.provider_event_id),
        side="vendor",
        roles=("finance",),
        topic="payment-contradicted",
        subject=it.payment_id,
        severity="high",
    )


def _disputed(it: line_dispute.LineDisputed) -> PublicEvent:
    return AttentionRaised(roles=("finance",), **_arbiter_of(it))


def _dispute_heard(
    it: line_dispute.DisputeHeard | line_dispute.DisputeEvidenceShown | line_dispute.DisputeAppealed,
) -> PublicEvent:
    """Somebody decides next who took no part."""
    return AttentionRaised(roles=("finance", "arbiter"), due_at=it.due_at, **_arbiter_of(it))


def _dispute_over(it: line_dispute.OfDispute) -> PublicEvent:
    return AttentionCleared(**_arbiter_of(it))


def _dispute_decided(it: line_dispute.DisputeDecided) -> PublicEvent:
    """Of a decision from before payees were told of it, only that nobody need decide it any more."""
    if not it.payee_id:
        return _dispute_over(it)
    return _decision(it, it.outcome, final=False, until=it.due_at or None, at=it.decided_at)


def _dispute_concluded(it: line_dispute.DisputeConcluded) -> PublicEvent | None:
    return _decision(it, it.outcome, final=True, until=None, at=it.concluded_at) if it.payee_id else None


def _decision(
    it: line_dispute.DisputeDecided | line_dispute.DisputeConcluded,
    outcome: str,
    *,
    final: bool,
    until: datetime | None,
    at: datetime,
) -> PublicEvent:
    return public.LineDisputeDecided(
        statement_id=StatementId(it.statement_id),
        event_id=it.event_id,
        line_id=it.line_id or "",
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id or "",
        outcome=outcome,
        final=final,
        appeal_until=until,
        decided_at=at,
    )


def _correction_asked(it: line_dispute.CorrectionAsked) -> PublicEvent:
    """The payee was right: finance corrects the line."""
    severity = "high" if it.times > 1 else "normal"
    return AttentionRaised(roles=("finance",), due_at=it.due_at, severity=severity, **_correction_of(it))


def _corrected(it: line_dispute.LineCorrected) -> PublicEvent:
    return AttentionCleared(**_correction_of(it))


def _correction_of(it: line_dispute.OfDispute) -> dict[str, Any]:
    return {
        **_arbiter_of(it),
        "attention_id": stable_id(it.account_id, it.event_id, "correct"),
        "topic": "line-to-correct",
    }


def _arbiter_of(it: line_dispute.LineDisputed | line_dispute.OfDispute) -> dict[str, Any]:
    about = {"side": "vendor", "topic": "line-disputed", "subject": it.statement_id, "partner_id": it.partner_id}
    return {"attention_id": stable_id(it.account_id, it.event_id), **about}


def _dispute_asked(it: line_dispute.DisputeEvidenceRequested) -> PublicEvent:
    """The payee answers next: the partner's owner or finance, a person of its own pay and nobody in its place."""
    return AttentionRaised(
        attention_id=stable_id(it.account_id, it.event_id, "evidence"),
        side="partner",
        roles=() if it.payee_id else ("owner", "finance"),
        person_id=it.payee_id,
        topic="line-dispute-evidence",
        subject=it.statement_id,
        partner_id=it.partner_id,
        due_at=it.due_at,
    )


def _bank_changed(it: payee_events.BankDetailsChanged) -> PublicEvent:
    return public.BankDetailsChanged(
        partner_id=PartnerId(it.partner_id), payee_id=it.payee_id, changed_at=it.changed_at
    )


def _partner_settled(it: settlement.PartnerSettled) -> PublicEvent:
    return public.PartnerSettled(
        partner_id=PartnerId(it.partner_id), settled_on=it.settled_on, settled_at=it.settled_at
    )


def _accrued(it: meter.RebateAccrued) -> PublicEvent:
    return public.RebateAccrued(
        plan_id=it.plan_id,
        plan_version=it.plan_version,
        partner_id=PartnerId(it.payee_id),
        payee_id=it.payee_id,
        window=it.window,
        kind=it.kind,
        amount=it.amount,
        total=it.total,
        accrued_at=it.accrued_at,
    )


def _settled(it: meter.RebateSettled) -> PublicEvent | None:
    """A settlement is an earning of its window; one of nothing is none."""
    return None if it.amount.zero else _of_window(it, "rebate", it.settled_on, it.settled_at)


def _trued_up(it: meter.WindowTruedUp) -> PublicEvent:
    told = _of_window(it, "true_up", it.earned_on, it.trued_up_at)
    return replace(told, payable_on=it.payable_day)


def _reduced(it: meter.TrueUpReduced) -> PublicEvent:
    return public.PayoutReversed(
        line_id=LineId(it.line_id),
        partner_id=PartnerId(it.payee_id),
        payee_id=it.payee_id,
        kind="true_up",
        plan_id=it.plan_id,
        plan_version=it.plan_version,
        rule_id=it.window,
        reversal_id=stable_id(it.line_id, str(it.remaining.amount)),
        reason_code="true-up",
        amount=it.amount,
        remaining=it.remaining,
        reversed_at=it.reduced_at,
    )


def _true_up_released(it: meter.TrueUpReleased) -> PublicEvent:
    return public.PayoutReleased(
        line_id=LineId(it.line_id),
        partner_id=PartnerId(it.payee_id),
        payee_id=it.payee_id,
        amount=it.amount,
        payable_on=it.payable_on,
        released_at=it.released_at,
    )


def _of_window(
    it: meter.RebateSettled | meter.WindowTruedUp, kind: str, day: date, at: datetime
) -> public.PayoutCalculated:
    return public.PayoutCalculated(
        line_id=LineId(it.line_id),
        partner_id=PartnerId(it.payee_id),
        payee_id=it.payee_id,
        kind=kind,
        plan_id=it.plan_id,
        plan_version=it.plan_version,
        rule_id=it.window,
        amount=it.amount,
        credited_on=day,
        earned_on=day,
        payable_on=day,
        calculated_at=at,
    )


def _closed(it: books.MonthClosed) -> PublicEvent:
    return public.PeriodClosed(month=it.month, position=it.position, sha256=it.sha256, closed_at=it.closed_at)


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


def _approved(it: payment_events.PaymentApproved) -> PublicEvent:
    return public.PaymentApproved(**_order(it), approved_at=it.approved_at, withheld=_withheld(it), tax=it.tax)


def _blocked(it: payment_events.PaymentBlocked) -> PublicEvent:
    codes = tuple(gate.replace("_", "-") for gate in it.gates)
    return public.PaymentBlocked(**_order(it), reason_codes=codes, blocked_at=it.blocked_at, withheld=it.withheld)


def _declined(it: payment_events.PaymentDeclined) -> PublicEvent:
    return public.PaymentDeclined(
        **_order(it), reason_code=it.reason_code, declined_at=it.declined_at, withheld=it.withheld
    )


def _made(it: payment_events.PaymentMade) -> PublicEvent:
    return public.PaymentMade(
        **_order(it), reference=it.reference, paid_on=it.paid_on, withheld=_withheld(it), tax=it.tax
    )


def _withheld(it: payment_events.PaymentApproved | payment_events.PaymentMade) -> Money | LeftOut:
    """What is withheld, nothing included; of an event from before it was told that is left out."""
    return (it.withheld or none_of(it.amount.currency)) if it.tells_withheld else LEFT_OUT


def _failed(it: payment_events.PaymentFailed) -> PublicEvent:
    return public.PaymentFailed(
        **_order(it),
        reference=it.reference,
        reason_code=it.reason_code,
        failed_at=it.failed_at,
        withheld=it.withheld,
    )


def _unreported(it: payment_events.PaymentUnreported) -> PublicEvent:
    return AttentionRaised(
        attention_id=stable_id(it.payment_id, it.reference, "report"),
        side="vendor",
        roles=("finance",),
        topic="payment-unreported",
        subject=it.payment_id,
    )


def _unknown(it: payment_events.PaymentUnknown) -> PublicEvent | None:
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


# Funds


def _allocated(it: budget.BudgetAllocated) -> PublicEvent | None:
    """Only a partner's share of a fund is the partner's to know."""
    if it.fund is None:
        return None
    return public.FundAllocated(
        fund_id=it.fund.fund_id,
        programme=it.fund.programme,
        period=it.fund.period,
        partner_id=PartnerId(it.fund.partner_id),
        amount=it.amount,
        available=it.available,
        allocated_at=it.allocated_at,
    )


def _fund_submitted(it: fund_request_events.FundRequestSubmitted) -> PublicEvent:
    return _fund_attention(it.fund_request_id, "fund-request-submitted", it.partner_id)


def _escalated(it: fund_request_events.FundRequestEscalated) -> PublicEvent:
    return _fund_attention(it.fund_request_id, "fund-request-escalated", it.partner_id, "high")


def _fund_attention(subject: str, topic: str, partner_id: str, severity: str = "normal") -> AttentionRaised:
    return AttentionRaised(
        attention_id=stable_id("fund", subject, topic),
        side="vendor",
        roles=("fund_manager",),
        topic=topic,
        subject=subject,
        partner_id=partner_id,
        severity=severity,
    )


def _fund_decided(it: fund_request_events.FundRequestDecided) -> PublicEvent:
    return public.FundRequestDecided(
        fund_id=it.fund_id,
        fund_request_id=it.fund_request_id,
        partner_id=PartnerId(it.partner_id),
        outcome=it.outcome,
        amount=it.amount,
        available=it.available,
        claim_by=it.claim_by,
        decided_at=it.decided_at,
    )


def _fund_returned(it: fund_request_events.FundRequestReturned) -> PublicEvent:
    return AttentionRaised(
        attention_id=stable_id("fund", it.fund_request_id, RETURNED_REQUEST),
        side="partner",
        roles=("owner", "marketer", "finance"),
        topic=RETURNED_REQUEST,
        subject=it.fund_request_id,
        partner_id=it.partner_id,
    )


def _reminded(it: fund_request_events.FundClaimReminded) -> PublicEvent:
    return public.FundClaimDue(
        fund_id=it.fund_id,
        fund_request_id=it.fund_request_id,
        partner_id=PartnerId(it.partner_id),
        amount=it.amount,
        claim_by=it.claim_by,
        days_left=it.days_left,
    )


def _claim_submitted(it: claim.ClaimSubmitted) -> PublicEvent:
    """The vendor's reviewers see it; which other claim showed the same is never told."""
    topic = "claim-needs-review" if it.reused else "claim-submitted"
    return _fund_attention(it.claim_id, topic, it.partner_id, "high" if it.reused else "normal")


def _claim_decided(it: claim.ClaimDecided) -> PublicEvent | None:
    if it.kind == claim.SPIFF_CLAIM:
        return _spiff_claim_decided(it)
    if it.fund_id is None:
        return public.SpecialPriceDecided(
            special_price_id=it.of_id,
            claim_id=it.claim_id,
            partner_id=PartnerId(it.partner_id),
            outcome=it.outcome,
            claimed=it.claimed,
            calculated=it.eligible,
            amount=it.amount,
            decided_at=it.decided_at,
        )
    return public.FundClaimDecided(
        fund_id=it.fund_id,
        fund_request_id=it.of_id,
        claim_id=it.claim_id,
        partner_id=PartnerId(it.partner_id),
        outcome=it.outcome,
        amount=it.amount,
        available=it.available or none_of(it.amount.currency),
        decided_at=it.decided_at,
    )


def _claim_returned(it: claim.ClaimReturned) -> PublicEvent:
    return AttentionRaised(
        attention_id=stable_id("claim", it.claim_id, claim.RETURNED),
        side="partner",
        roles=("owner", "marketer", "finance"),
        topic=RETURNED_CLAIM,
        subject=it.claim_id,
        partner_id=it.partner_id,
    )


def _spiff_claim_decided(it: claim.ClaimDecided) -> PublicEvent | None:
    """An award is told by its line. Of one that is not given the partner hears; of a dispute its reviewers know."""
    if it.outcome not in (claim.DENIED, claim.RETURNED):
        return None
    return AttentionRaised(
        attention_id=stable_id("spiff", it.claim_id, it.outcome),
        side="partner",
        roles=("owner", "seller", "marketer", "finance"),
        topic=f"claim-{it.outcome}",
        subject=it.claim_id,
        partner_id=it.partner_id,
    )


def _claim_settled(it: claim.ClaimSettled) -> PublicEvent | None:
    if it.fund_id is None:
        return None
    return public.FundReimbursed(
        fund_id=it.fund_id,
        fund_request_id=it.of_id,
        claim_id=it.claim_id,
        partner_id=PartnerId(it.partner_id),
        amount=it.amount,
        payment_id=PaymentId(it.payment_id),
        paid_on=it.paid_on,
    )


# Tiers


def _tier_changed(it: tier.TierChanged) -> PublicEvent:
    return public.TierChanged(
        programme=it.programme,
        partner_id=PartnerId(it.partner_id),
        from_level=it.from_level,
        to_level=it.to_level,
        effective_on=it.effective_on,
        version=it.version,
        cause=it.cause,
        until=it.until,
        criteria=_criteria(it),
    )


def _criteria(it: tier.TierChanged | tier.TierReviewOpened) -> tuple[public.TierCriterion, ...] | LeftOut:
    if not it.tells_criteria:
        return LEFT_OUT
    return tuple(
        public.TierCriterion(metric=one.metric, value=one.value, threshold=one.threshold) for one in it.criteria
    )


def _tier_review(it: tier.TierReviewOpened) -> PublicEvent:
    return public.TierReviewOpened(
        programme=it.programme,
        partner_id=PartnerId(it.partner_id),
        level=it.level,
        qualifies_for=it.qualifies_for,
        version=it.version,
        grace_until=it.grace_until,
        criteria=_criteria(it),
    )


def _tier_escalated(it: tier.TierReviewEscalated) -> PublicEvent:
    return _tier_attention(it, "tier-review-undecided", "high")


def _tier_appealed(it: tier.TierAppealed) -> PublicEvent:
    return _tier_attention(it, "tier-appealed", "normal")


def _tier_attention(it: tier.TierReviewEscalated | tier.TierAppealed, topic: str, severity: str) -> AttentionRaised:
    return AttentionRaised(
        attention_id=stable_id("tier", it.programme, it.partner_id, topic),
        side="vendor",
        roles=("channel_manager",),
        topic=topic,
        subject=tier.tier_id(it.programme, it.partner_id),
        partner_id=it.partner_id,
        severity=severity,
    )


# Forfeiture


def _forfeits(it: forfeiture.ForfeitureNoticed) -> PublicEvent:
    """The payee is told what is missing while there is time."""
    return AttentionRaised(
        attention_id=stable_id("forfeiture", it.payment_id),
        side="partner",
        roles=("owner", "finance"),
        topic="balance-forfeits",
        subject=it.payment_id,
        partner_id=it.partner_id,
        due_at=datetime.combine(it.forfeits_on, time(), tzinfo=UTC),
        severity="high",
    )


def _no_longer_forfeits(it: forfeiture.ForfeitureLifted | forfeiture.BalanceForfeited) -> PublicEvent:
    return AttentionCleared(
        attention_id=stable_id("forfeiture", it.payment_id),
        side="partner",
        topic="balance-forfeits",
        subject=it.payment_id,
        partner_id=it.partner_id,
    )


# Cases


def _case_opened(it: case.CaseOpened) -> PublicEvent:
    """The vendor's people look at it. The partner is told nothing: its line is under review, its payment waits."""
    return AttentionRaised(
        attention_id=it.case_id,
        side="vendor",
        roles=("finance",),
        topic="case-opened",
        subject=it.case_id,
        partner_id=it.partner_id,
        severity="high" if it.action == "hold" else "normal",
    )


def _case_closed(it: case.CaseClosed) -> PublicEvent:
    return AttentionCleared(
        attention_id=it.case_id, side="vendor", topic="case-opened", subject=it.case_id, partner_id=it.partner_id
    )


def _attention_settled(it: attention.AttentionSettled) -> PublicEvent:
    one = it.attention
    return AttentionCleared(
        attention_id=one.attention_id, side=one.side, topic=one.topic, subject=one.subject, partner_id=one.partner_id
    )


def _attention_asked(it: attention.AttentionAsked | attention.AttentionAskedAgain) -> PublicEvent:
    one = it.wish.attention
    return AttentionRaised(
        attention_id=one.attention_id,
        side=one.side,
        roles=it.wish.roles,
        topic=one.topic,
        subject=one.subject,
        partner_id=one.partner_id,
        due_at=it.wish.due_at,
        severity=it.wish.severity,
        person_id=it.wish.person_id or LEFT_OUT,
    )


# Recognition


def _recognised(it: recognition.RecognitionAwarded) -> PublicEvent:
    return public.RecognitionAwarded(
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id,
        year=it.year,
        plan_id=it.plan_id,
        plan_version=it.version,
        badge=it.badge,
        points=it.points,
        awarded_at=it.awarded_at,
    )


def _unrecognised(it: recognition.RecognitionRevoked) -> PublicEvent:
    return public.RecognitionRevoked(
        partner_id=PartnerId(it.partner_id),
        payee_id=it.payee_id,
        year=it.year,
        plan_id=it.plan_id,
        plan_version=it.version,
        badge=it.badge,
        points=it.points,
        reason_code=it.reason_code,
        revoked_at=it.revoked_at,
    )


TRANSLATIONS: dict[type[Any], Callable[[Any], PublicEvent | None]] = {
    sale_events.PayoutCalculated: _calculated,
    sale_events.PayoutReversed: _reversed,
    sale_events.PayoutReleased: _released,
    sale_events.PayoutPostponed: _postponed,
    sale_events.PayoutAdjusted: _adjusted,
    sale_events.SpiffAwarded: _awarded,
    sale_events.FactQuarantined: _quarantined,
    sale_events.FactResolved: _resolved,
    meter.RebateAccrued: _accrued,
    meter.RebateSettled: _settled,
    meter.WindowTruedUp: _trued_up,
    meter.WindowWaits: _window_waits,
    meter.TrueUpPostponed: _true_up_postponed,
    meter.TrueUpHeldLonger: _true_up_postponed,
    meter.TrueUpReduced: _reduced,
    meter.TrueUpReleased: _true_up_released,
    books.MonthClosed: _closed,
    account.StatementIssued: _issued,
    payment_events.PaymentApproved: _approved,
    payment_events.PaymentBlocked: _blocked,
    payment_events.PaymentDeclined: _declined,
    payment_events.PaymentMade: _made,
    payment_events.PaymentFailed: _failed,
    payment_events.PaymentUnknown: _unknown,
    payment_events.PaymentUnreported: _unreported,
    payment_events.OutcomeContradicted: _contradicted,
    line_dispute.LineDisputed: _disputed,
    line_dispute.DisputeEvidenceRequested: _dispute_asked,
    **dict.fromkeys(
        (line_dispute.DisputeHeard, line_dispute.DisputeEvidenceShown, line_dispute.DisputeAppealed), _dispute_heard
    ),
    **dict.fromkeys((line_dispute.DisputeAnswered, line_dispute.DisputeWithdrawn), _dispute_over),
    line_dispute.DisputeDecided: _dispute_decided,
    line_dispute.DisputeConcluded: _dispute_concluded,
    line_dispute.CorrectionAsked: _correction_asked,
    line_dispute.LineCorrected: _corrected,
    payee_events.BankDetailsChanged: _bank_changed,
    settlement.PartnerSettled: _partner_settled,
    budget.BudgetAllocated: _allocated,
    fund_request_events.FundRequestSubmitted: _fund_submitted,
    fund_request_events.FundRequestEscalated: _escalated,
    fund_request_events.FundRequestDecided: _fund_decided,
    fund_request_events.FundRequestReturned: _fund_returned,
    fund_request_events.FundClaimReminded: _reminded,
    claim.ClaimSubmitted: _claim_submitted,
    claim.ClaimDecided: _claim_decided,
    claim.ClaimReturned: _claim_returned,
    claim.ClaimSettled: _claim_settled,
    forfeiture.ForfeitureNoticed: _forfeits,
    forfeiture.ForfeitureLifted: _no_longer_forfeits,
    forfeiture.BalanceForfeited: _no_longer_forfeits,
    case.CaseOpened: _case_opened,
    case.CaseClosed: _case_closed,
    attention.AttentionSettled: _attention_settled,
    attention.AttentionAsked: _attention_asked,
    attention.AttentionAskedAgain: _attention_asked,
    recognition.RecognitionAwarded: _recognised,
    recognition.RecognitionRevoked: _unrecognised,
    tier.TierChanged: _tier_changed,
    tier.TierReviewOpened: _tier_review,
    tier.TierReviewEscalated: _tier_escalated,
    tier.TierAppealed: _tier_appealed,
}

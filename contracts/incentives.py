"""What incentives tells: what was earned, reversed and released, what a statement says, what was paid."""

from datetime import date, datetime
from decimal import Decimal

from chassis.event import LEFT_OUT, LeftOut, PublicEvent, frozen, public_event
from contracts.values import LineId, Money, OpportunityId, PartnerId, PaymentId, StatementId


@public_event("entente.incentives.PayoutCalculated.v1", audience="both")
class PayoutCalculated(PublicEvent):
    """One earning line: what one payee earned from one cause under one plan version.

    Kind: commission, rebate, spiff, true_up. `credited_on` the deal was won, `earned_on` its basis happened,
    `payable_on` the hold is over.
    """

    line_id: LineId
    opportunity_id: OpportunityId | None = None
    registration_id: str | None = None
    partner_id: PartnerId
    payee_id: str
    kind: str
    plan_id: str
    plan_version: int
    rule_id: str
    credit_revision: int | None = None
    amount: Money
    credited_on: date
    earned_on: date
    payable_on: date
    calculated_at: datetime


@public_event("entente.incentives.PayoutReversed.v1", audience="both")
class PayoutReversed(PublicEvent):
    """Part of a line is taken back. `amount` is what is reversed now, `remaining` what of the line stands."""

    line_id: LineId
    opportunity_id: OpportunityId | None = None
    registration_id: str | None = None
    partner_id: PartnerId
    payee_id: str
    kind: str
    plan_id: str
    plan_version: int
    rule_id: str
    reversal_id: str
    reason_code: str
    amount: Money
    remaining: Money
    reversed_at: datetime


@public_event("entente.incentives.PayoutReleased.v1", audience="both")
class PayoutReleased(PublicEvent):
    """The line's hold is over: its remaining amount may be paid."""

    line_id: LineId
    opportunity_id: OpportunityId | None = None
    registration_id: str | None = None
    partner_id: PartnerId
    payee_id: str
    amount: Money
    payable_on: date
    released_at: datetime


@public_event("entente.incentives.StatementIssued.v1", audience="both")
class StatementIssued(PublicEvent):
    """What changed on a payee's account in a period: opening + lines = closing. `sha256` names its exact content."""

    statement_id: StatementId
    partner_id: PartnerId
    payee_id: str
    number: int
    period: str
    opening: Money
    closing: Money
    to_position: int
    sha256: str
    issued_at: datetime


@public_event("entente.incentives.LineDisputeDecided.v1", audience="both")
class LineDisputeDecided(PublicEvent):
    """How the dispute over a line of a statement was decided. Outcome: upheld, the line is corrected; or rejected.

    Until `appeal_until` the payee may ask for another person's decision; `final`: no more. `event_id` names the line of the
    statement, `line_id` what it is of, an earning line or a payment.
    """

    statement_id: StatementId
    event_id: str
    line_id: str
    partner_id: PartnerId
    payee_id: str
    outcome: str
    final: bool
    appeal_until: datetime | None = None
    decided_at: datetime


@public_event("entente.incentives.PaymentApproved.v1", audience="both")
class PaymentApproved(PublicEvent):
    """Of the `amount`, `withheld` goes to a tax authority; it is left out by events from before it was told.

    `tax` is what the payee's own invoice charges on top of the amount; left out where it charges none.
    """

    payment_id: PaymentId
    statement_id: StatementId
    partner_id: PartnerId
    payee_id: str
    amount: Money
    approved_at: datetime
    withheld: Money | LeftOut = LEFT_OUT
    tax: Money | LeftOut = LEFT_OUT


@public_event("entente.incentives.PaymentBlocked.v1", audience="both")
class PaymentBlocked(PublicEvent):
    """A gate is shut. `withheld` is what had been withheld at its approval, and is payable again with the rest.

    It is nothing where the payment was not approved, and left out by events from before it was told.
    """

    payment_id: PaymentId
    statement_id: StatementId
    partner_id: PartnerId
    payee_id: str
    amount: Money
    reason_codes: tuple[str, ...]
    blocked_at: datetime
    withheld: Money | LeftOut = LEFT_OUT


@public_event("entente.incentives.PaymentDeclined.v1", audience="both")
class PaymentDeclined(PublicEvent):
    """The payment is given up: what it drew is payable again, with what was `withheld` of it at its approval, if it was.

    It is left out by events from before it was told.
    """

    payment_id: PaymentId
    statement_id: StatementId
    partner_id: PartnerId
    payee_id: str
    amount: Money
    reason_code: str
    declined_at: datetime
    withheld: Money | LeftOut = LEFT_OUT


@public_event("entente.incentives.PaymentMade.v1", audience="both")
class PaymentMade(PublicEvent):
    """Of the `amount`, `withheld` went to a tax authority; it is left out by events from before it was told.

    `tax` is what the payee's own invoice charges on top of the amount; left out where it charges none.
    """

    payment_id: PaymentId
    statement_id: StatementId
    partner_id: PartnerId
    payee_id: str
    amount: Money
    reference: str
    paid_on: date
    withheld: Money | LeftOut = LEFT_OUT
    tax: Money | LeftOut = LEFT_OUT


@public_event("entente.incentives.PaymentFailed.v1", audience="both")
class PaymentFailed(PublicEvent):
    """The provider says no. Reason codes: rejected, returned, attempts_spent.

    What is `withheld` of it stays withheld until it is declined; it is left out by events from before it was told.
    """

    payment_id: PaymentId
    statement_id: StatementId
    partner_id: PartnerId
    payee_id: str
    amount: Money
    reference: str
    reason_code: str
    failed_at: datetime
    withheld: Money | LeftOut = LEFT_OUT


@public_event("entente.incentives.PayoutPostponed.v1", audience="both")
class PayoutPostponed(PublicEvent):
    """A line is held back until a later day."""

    line_id: LineId
    opportunity_id: OpportunityId | None = None
    partner_id: PartnerId
    payee_id: str
    amount: Money
    payable_on: date
    reason: str
    postponed_at: datetime


@public_event("entente.incentives.PayoutAdjusted.v1", audience="both")
class PayoutAdjusted(PublicEvent):
    """A line was corrected by hand, by two people. `amount` is above or below zero, `remaining` what of it stands."""

    line_id: LineId
    opportunity_id: OpportunityId | None = None
    registration_id: str | None = None
    partner_id: PartnerId
    payee_id: str
    kind: str
    amount: Money
    remaining: Money
    reason: str
    adjusted_at: datetime


@public_event("entente.incentives.SpiffAwarded.v1", audience="both")
class SpiffAwarded(PublicEvent):
    """A line of a SPIFF was earned; it is a line like every other, and PayoutCalculated tells its dates."""

    line_id: LineId
    opportunity_id: OpportunityId | None = None
    partner_id: PartnerId
    payee_id: str
    plan_id: str
    plan_version: int
    amount: Money
    awarded_at: datetime


@public_event("entente.incentives.RebateAccrued.v1", audience="both")
class RebateAccrued(PublicEvent):
    """What a rebate's window is worth changed by `amount` to `total`. Kind: accrued, true_up."""

    plan_id: str
    plan_version: int
    partner_id: PartnerId
    payee_id: str
    window: str
    kind: str
    amount: Money
    total: Money
    accrued_at: datetime


@public_event("entente.incentives.PeriodClosed.v1", audience="vendor")
class PeriodClosed(PublicEvent):
    """A month of the books is closed for ever: what is recorded after `position` counts in a later one."""

    month: str
    position: int
    sha256: str
    closed_at: datetime


@public_event("entente.incentives.BankDetailsChanged.v1", audience="both")
class BankDetailsChanged(PublicEvent):
    """Where a payee's money goes was changed. It must be verified by another person and cools down before it is used."""

    partner_id: PartnerId
    payee_id: str
    changed_at: datetime


@public_event("entente.incentives.PartnerSettled.v1", audience="both")
class PartnerSettled(PublicEvent):
    """A partner that leaves is owed nothing, owes nothing, and has nothing reserved any more."""

    partner_id: PartnerId
    settled_on: date
    settled_at: datetime


# Funds


@public_event("entente.incentives.FundAllocated.v1", audience="both")
class FundAllocated(PublicEvent):
    """A partner's share of a programme's fund in a period was raised by `amount`; `available` is what it has now."""

    fund_id: str
    programme: str
    period: str
    partner_id: PartnerId
    amount: Money
    available: Money
    allocated_at: datetime


@public_event("entente.incentives.FundRequestDecided.v1", audience="both")
class FundRequestDecided(PublicEvent):
    """Outcome: accepted (`amount` is reserved, to be claimed by `claim_by`), returned or rejected."""

    fund_id: str
    fund_request_id: str
    partner_id: PartnerId
    outcome: str
    amount: Money
    available: Money
    claim_by: date | None = None
    decided_at: datetime


@public_event("entente.incentives.FundClaimDue.v1", audience="both")
class FundClaimDue(PublicEvent):
    """In `days_left` days the time to claim what is reserved is over."""

    fund_id: str
    fund_request_id: str
    partner_id: PartnerId
    amount: Money
    claim_by: date
    days_left: int


@public_event("entente.incentives.FundClaimDecided.v1", audience="both")
class FundClaimDecided(PublicEvent):
    """Outcome: approved (`amount` is payable), denied or returned."""

    fund_id: str
    fund_request_id: str
    claim_id: str
    partner_id: PartnerId
    outcome: str
    amount: Money
    available: Money
    decided_at: datetime


@public_event("entente.incentives.FundReimbursed.v1", audience="both")
class FundReimbursed(PublicEvent):
    """What was approved of a fund claim has been paid."""

    fund_id: str
    fund_request_id: str
    claim_id: str
    partner_id: PartnerId
    amount: Money
    payment_id: PaymentId
    paid_on: date


@public_event("entente.incentives.SpecialPriceDecided.v1", audience="both")
class SpecialPriceDecided(PublicEvent):
    """Outcome: approved (`amount` is payable), denied, returned, or disputed: it was claimed otherwise than calculated."""

    special_price_id: str
    claim_id: str
    partner_id: PartnerId
    outcome: str
    claimed: Money
    calculated: Money
    amount: Money
    decided_at: datetime


# Tiers


@frozen
class TierCriterion:
    """One threshold of a level: what the partner has of the metric, and what the level asks for."""

    metric: str
    value: Decimal
    threshold: Decimal


@public_event("entente.incentives.TierChanged.v1", audience="both")
class TierChanged(PublicEvent):
    """Cause: evaluation (only ever up), review or override (by people). `until` is the last day of an override.

    `criteria` are those of the level it came to; they are left out by events from before they were told.
    """

    programme: str
    partner_id: PartnerId
    from_level: str | None = None
    to_level: str | None = None
    effective_on: date
    version: int
    cause: str
    until: date | None = None
    criteria: tuple[TierCriterion, ...] | LeftOut = LEFT_OUT


@public_event("entente.incentives.TierReviewOpened.v1", audience="both")
class TierReviewOpened(PublicEvent):
    """The partner qualifies for less than its level, and has until `grace_until` to recover.

    `criteria` are those of the level that it has; they are left out by events from before they were told.
    """

    programme: str
    partner_id: PartnerId
    level: str
    qualifies_for: str | None = None
    version: int
    grace_until: date
    criteria: tuple[TierCriterion, ...] | LeftOut = LEFT_OUT


# Recognition


@public_event("entente.incentives.RecognitionAwarded.v1", audience="both")
class RecognitionAwarded(PublicEvent):
    """A payee's points of a year reached a badge's total."""

    partner_id: PartnerId
    payee_id: str
    year: int
    plan_id: str
    plan_version: int
    badge: str
    points: int
    awarded_at: datetime


@public_event("entente.incentives.RecognitionRevoked.v1", audience="both")
class RecognitionRevoked(PublicEvent):
    """What a badge was given for was taken back: the points of the year no longer reach it."""

    partner_id: PartnerId
    payee_id: str
    year: int
    plan_id: str
    plan_version: int
    badge: str
    points: int
    reason_code: str
    revoked_at: datetime

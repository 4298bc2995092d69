"""What happens to a sale and its lines."""

from dataclasses import field
from datetime import date, datetime
from decimal import Decimal

from chassis.event import LEFT_OUT, LeftOut, event, frozen, stable_id
from contracts.attribution import Share
from contracts.values import Money, Term
from services.incentives.domain.ageing import Ageing
from services.incentives.domain.exchange import Exchange
from services.incentives.domain.journal import Journal
from services.incentives.domain.rating import Derivation, Sold
from services.incentives.domain.recognition_rules import Achievement
from services.incentives.domain.taking import Asked
from services.incentives.domain.units import UnitsPaid

CRM, BILLING = "crm", "billing"


# Events


@event("incentives.WinRecorded.v1")
class WinRecorded:
    """The lines of `sold` sum to `amount`. A backfilled win is history: it earns nothing.

    `approved_on` is the day its registration was approved, `chain_started_on` the first day of the chain of terms that
    it renews, `parties` the payees by party whom the deal names beside its partner. With an `achievement` it is no win: a
    deal was registered or a lead converted on that day. Nothing was sold by that, so the lines of `sold` have no amounts.
    """

    opportunity_id: str
    registration_id: str | None
    win_no: int
    amount: Money
    sold: tuple[Sold, ...]
    deal_type: str
    credited_on: date
    backfill: bool
    source_event_id: str
    recorded_at: datetime
    margin: Money | None = None
    term: Term | None = None
    chain_started_on: date | None = None
    approved_on: date | None = None
    parties: dict[str, str] = field(default_factory=dict)
    achievement: Achievement | LeftOut = LEFT_OUT


@event("incentives.BasisRecorded.v1")
class BasisRecorded:
    """More that happened to a won sale: an addition, an invoice, a collection, a row of a point of sale.

    Kind: added, invoiced, collected, pos, ordered. An order of a distributor names no product: its `sold` are those of the
    registration, without amounts of their own where they are several, or one line without a product;
    it may be in another currency than the sale. `line_id` is the sold line that it is about, where it says so.
    """

    opportunity_id: str
    win_no: int
    kind: str
    external_id: str
    sold: tuple[Sold, ...]
    amount: Money
    happened_on: date
    source_event_id: str
    recorded_at: datetime


@event("incentives.CreditRecorded.v1")
class CreditRecorded:
    """One final revision of one pool's credit: the whole vector of shares."""

    opportunity_id: str
    pool: str
    revision: int
    win_no: int | None
    shares: tuple[Share, ...]
    source_event_id: str
    recorded_at: datetime


@event("incentives.ReversalRecorded.v1")
class ReversalRecorded:
    """What is asked back. With a `fact_kind` only of plans that rate facts of that kind: such a fact was taken back."""

    opportunity_id: str
    win_no: int
    asked: Asked
    source_event_id: str
    recorded_at: datetime
    source: str = CRM
    fact_kind: str | LeftOut = LEFT_OUT


@event("incentives.FactQuarantined.v1")
class FactQuarantined:
    """A plan cannot rate this win. Reason codes: no-rate, no-amount (a fact came without one: `fact_id` is its kind and id).

    `partner_ids` are those whose shares wait; it is told again when these are others.
    """

    opportunity_id: str
    win_no: int
    plan_id: str
    reason_code: str
    quarantined_at: datetime
    fact_id: str | None = None
    partner_ids: tuple[str, ...] | LeftOut = LEFT_OUT


def quarantine_id(opportunity_id: str, win_no: int, plan_id: str, fact_id: str | None) -> str:
    """Under which id a person is asked to look at what waits."""
    return stable_id(opportunity_id, win_no, plan_id, fact_id)


@event("incentives.FactResolved.v1")
class FactResolved:
    """What a plan could not rate is rated now, or was found to need no line."""

    opportunity_id: str
    win_no: int
    plan_id: str
    fact_id: str | None
    resolved_by: str
    resolved_at: datetime


@frozen
class LineKey:
    """What a line is for: one share of one win under one plan; `fact_id` names what happened later, if that is rated."""

    win_no: int
    pool: str
    role: str
    partner_id: str
    plan_id: str
    fact_id: str | None = None


@event("incentives.PayoutCalculated.v1")
class PayoutCalculated:
    """One earning line with its full derivation. `state` is held, or payable where there is no hold left.

    `amount` is this payee's part of the derivation's pay, release part `part`, in the payout's currency (`exchange`).
    `measured` of the derivation's measure and `rated` of its pay stand on this line, so that a refund lowers both once.
    `partner_id` is whose line it is where that is not who is credited: a distributor's, say, with a part of the pay.
    `hears` is where its plan hears reversals from. `drawn` is what it took of its budget, in the plan's currency, and
    `drawn_units` how many units where the budget is one of units. Of such a budget `units` are those of the whole share,
    of which it may pay a part; lines of before do not say them.
    """

    line_id: str
    opportunity_id: str
    registration_id: str | None
    key: LineKey
    payee_id: str
    kind: str
    component: str
    plan_version: int
    plan_sha256: str
    rule_id: str
    credit_revision: int
    credit_event_id: str
    win_event_id: str
    meter_id: str | None
    amount: Money
    derivation: Derivation
    refund_days: int | None
    credited_on: date
    earned_on: date
    payable_on: date
    state: str
    journal: Journal
    calculated_at: datetime
    part: int = 0
    ageing: tuple[Ageing, ...] = ()
    exchange: Exchange | None = None
    measured: Decimal | None = None
    rated: Decimal | None = None
    hears: str = CRM
    budget_id: str | None = None
    drawn: Money | LeftOut = LEFT_OUT
    drawn_units: Decimal | LeftOut = LEFT_OUT
    partner_id: str | LeftOut = LEFT_OUT
    units: UnitsPaid | LeftOut = LEFT_OUT

    @property
    def whose(self) -> str:
        """The partner whose line it is."""
        return self.partner_id or self.key.partner_id


@event("incentives.RebateCounted.v1")
class RebateCounted:
    """A share of a sale counts in a rebate's window: nothing is earned on the line, the window accrues it."""

    line_id: str
    opportunity_id: str
    key: LineKey
    payee_id: str
    plan_version: int
    credit_revision: int
    meter_id: str
    derivation: Derivation
    refund_days: int | None
    ageing: tuple[Ageing, ...]
    hears: str
    earned_on: date
    counted_at: datetime
    mix: Decimal = Decimal(0)


@event("incentives.SpiffAwarded.v1")
class SpiffAwarded:
    """The line that was just calculated is an award of a SPIFF."""

    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    plan_id: str
    plan_version: int
    budget_id: str | None
    amount: Money
    awarded_at: datetime


@event("incentives.AwardMissed.v1")
class AwardMissed:
    """A SPIFF's budget had nothing left for this share. Reason code: budget-exhausted."""

    line_id: str
    opportunity_id: str
    key: LineKey
    payee_id: str
    budget_id: str
    amount: Money
    reason_code: str
    missed_at: datetime


@event("incentives.AwardClaimed.v1")
class AwardClaimed:
    """A claim for a SPIFF was approved: what the sale earns a partner under it is earned now. The claimant is its seller."""

    opportunity_id: str
    win_no: int
    partner_id: str
    plan_id: str
    claim_id: str
    claimant_id: str
    claimed_at: datetime


@event("incentives.PayoutReversed.v1")
class PayoutReversed:
    """Part of a line is taken back: `round(earned * taken / basis)` less what was reversed before.

    Reason codes: those of the reversal, or recredited. `remaining` is what of the line stands. `partner_id` is whose line
    it is where that is not who is credited.
    """

    line_id: str
    opportunity_id: str
    registration_id: str | None
    key: LineKey
    payee_id: str
    kind: str
    plan_version: int
    rule_id: str
    reversal_id: str
    reason_code: str
    source_event_id: str
    basis: Money
    taken: Decimal
    earned: Money
    reversed_before: Money
    amount: Money
    remaining: Money
    effective_on: date
    journal: Journal
    reversed_at: datetime
    partner_id: str | LeftOut = LEFT_OUT

    @property
    def whose(self) -> str:
        """The partner whose line it is."""
        return self.partner_id or self.key.partner_id


@event("incentives.PayoutReleased.v1")
class PayoutReleased:
    """The hold is over: what remains of the line may be paid."""

    line_id: str
    opportunity_id: str
    registration_id: str | None
    partner_id: str
    payee_id: str
    amount: Money
    payable_on: date
    journal: Journal
    released_at: datetime


@event("incentives.PayoutPostponed.v1")
class PayoutPostponed:
    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    amount: Money
    payable_on: date
    reason: str
    postponed_by: str
    journal: Journal
    postponed_at: datetime


@event("incentives.AdjustmentProposed.v1")
class AdjustmentProposed:
    """Someone wants to correct a line by an amount of either sign; a second person confirms."""

    line_id: str
    opportunity_id: str
    adjustment_id: str
    amount: Money
    reason: str
    proposed_by: str
    proposed_at: datetime


@event("incentives.PayoutAdjusted.v1")
class PayoutAdjusted:
    """A line is corrected by hand. `remaining` is what of the line stands."""

    line_id: str
    opportunity_id: str
    registration_id: str | None
    partner_id: str
    payee_id: str
    kind: str
    adjustment_id: str
    amount: Money
    remaining: Money
    reason: str
    proposed_by: str
    confirmed_by: str
    journal: Journal
    adjusted_at: datetime


@event("incentives.PayoutPutUnderReview.v1")
class PayoutPutUnderReview:
    """A case holds the line: it is not released before somebody has said what the case was."""

    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    case_id: str
    amount: Money
    journal: Journal
    held_at: datetime


@event("incentives.PayoutCleared.v1")
class PayoutCleared:
    """The case was a false alarm; without another one the line is released on its day."""

    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    case_id: str
    payable_on: date
    others_open: bool
    cleared_at: datetime


Reviewed = PayoutPutUnderReview | PayoutCleared
LineEvent = (
    PayoutCalculated
    | RebateCounted
    | PayoutReversed
    | PayoutReleased
    | PayoutPostponed
    | AdjustmentProposed
    | PayoutAdjusted
    | Reviewed
)
SaleEvent = (
    WinRecorded
    | BasisRecorded
    | CreditRecorded
    | ReversalRecorded
    | FactQuarantined
    | FactResolved
    | AwardMissed
    | AwardClaimed
    | SpiffAwarded
    | LineEvent
)

"""What attribution tells: opportunities as the CRM has them, revenue, touches, and who is credited."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Self

from chassis.event import PublicEvent, frozen, public_event
from contracts.values import AccountId, Money, OpportunityId, PartnerId, RegistrationId, Term


@frozen
class Customer:
    """The CRM's customer of an opportunity."""

    legal_name: str
    domain: str | None = None
    country: str | None = None


@frozen
class SoldLine:
    """One line of a won deal. Amount is the line's total, not a unit price."""

    line_id: str
    product_family: str
    sku: str | None = None
    quantity: int = 1
    amount: Money


@frozen
class Share:
    """One partner's part of a pool, in percent, for the months from `from_month` (`2026-03`) on."""

    partner_id: PartnerId
    role: str
    percent: Decimal
    from_month: str
    until_month: str | None = None


@public_event("entente.attribution.OpportunityMirrored.v1", audience="vendor")
class OpportunityMirrored(PublicEvent):
    opportunity_id: OpportunityId
    connection_id: str
    external_id: str
    registration_id: RegistrationId | None = None
    customer: Customer
    product_families: tuple[str, ...]
    stage: str
    opened_on: date
    direct: bool
    backfill: bool = False


@public_event("entente.attribution.OpportunityLinked.v1", audience="both")
class OpportunityLinked(PublicEvent):
    """A registration and an opportunity are one sale. Method: opened, named or matched."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId
    partner_id: PartnerId
    external_id: str | None = None
    method: str
    linked_at: datetime


@frozen
class OfPartners(PublicEvent):
    """A fact about several partners, of whom each may see only itself."""

    partner_ids: tuple[PartnerId, ...]

    def partners(self) -> tuple[str, ...]:
        return self.partner_ids

    def for_partner(self, partner_id: str) -> Self | None:
        """The fact with no other partner named; None for who is not in it."""
        mine = tuple(known for known in self.partner_ids if known == partner_id)
        return replace(self, partner_ids=mine) if mine else None


@public_event("entente.attribution.DealStageChanged.v1", audience="both")
class DealStageChanged(OfPartners):
    """Stages: prospect, qualified, technical_validation, business_validation, committed, won, lost.

    Of a registered sale the first of `partner_ids` is whose deal it is.
    """

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None = None
    from_stage: str
    to_stage: str
    true_at: datetime
    amount: Money | None = None
    probability_percent: Decimal | None = None
    expected_close_on: date | None = None

    def for_partner(self, partner_id: str) -> "DealStageChanged | None":
        """As for every partner; without the amount for who takes part in another partner's deal."""
        mine = super().for_partner(partner_id)
        hidden = self.registration_id is not None and self.partner_ids[:1] != (partner_id,)
        return replace(mine, amount=None) if mine and hidden else mine


@public_event("entente.attribution.DealWon.v1", audience="both")
class DealWon(OfPartners):
    """The CRM says won. `win_no` rises when a reopened deal is won again. A backfilled win is history and pays nothing."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None = None
    account_id: AccountId | None = None
    win_no: int
    amount: Money
    margin: Money | None = None
    lines: tuple[SoldLine, ...]
    deal_type: str
    closed_on: date
    term: Term | None = None
    renews_id: OpportunityId | None = None
    backfill: bool = False
    won_at: datetime

    def for_partner(self, partner_id: str) -> "DealWon | None":
        """As for every partner, without the vendor's margin."""
        mine = super().for_partner(partner_id)
        return replace(mine, margin=None) if mine else None


@public_event("entente.attribution.IncumbentChanged.v1", audience="vendor")
class IncumbentChanged(PublicEvent):
    """The vendor said who sold a family of products to a customer before: who comes first when that is renewed.

    Without a partner nobody does. `until_on` is the last day on which it counts.
    """

    account_id: AccountId
    product_family: str
    partner_id: PartnerId | None
    from_on: date
    until_on: date | None = None


@public_event("entente.attribution.DealLost.v1", audience="both")
class DealLost(OfPartners):
    opportunity_id: OpportunityId
    registration_id: RegistrationId | None = None
    closed_on: date
    reason_code: str


@public_event("entente.attribution.RevenueReversed.v1", audience="both")
class RevenueReversed(OfPartners):
    """Part of a win is taken back. Reason codes: refund, reopened, corrected, fraud, deleted."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None = None
    win_no: int
    reversal_id: str
    amount: Money
    lines: tuple[SoldLine, ...] = ()
    remaining: Money
    reason_code: str
    occurred_on: date


@public_event("entente.attribution.TouchRecorded.v1", audience="both")
class TouchRecorded(PublicEvent):
    touch_id: str
    touch_type: str
    partner_id: PartnerId
    role: str
    opportunity_id: OpportunityId | None = None
    registration_id: RegistrationId | None = None
    account_id: AccountId | None = None
    touched_at: datetime
    source: str


@public_event("entente.attribution.CreditAllocated.v1", audience="both")
class CreditAllocated(PublicEvent):
    """The whole vector of shares of one pool: it replaces the one before. Status: provisional or final; only final pays.

    Reason codes: model, split, correction, dispute, customer, merge, move.
    """

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None = None
    pool: str
    revision: int
    status: str
    win_no: int | None = None
    shares: tuple[Share, ...]
    others_percent: Decimal | None = None
    policy_id: str
    policy_version: int
    model: str
    reason_code: str
    restates_closed: bool = False
    cutoff_at: datetime
    decision_sha256: str

    def partners(self) -> tuple[str, ...]:
        return tuple(share.partner_id for share in self.shares)

    def for_partner(self, partner_id: str) -> "CreditAllocated | None":
        """Its own share and one nameless sum of all others."""
        own = tuple(share for share in self.shares if share.partner_id == partner_id)
        others = sum((share.percent for share in self.shares if share.partner_id != partner_id), Decimal("0.00"))
        return replace(self, shares=own, others_percent=others) if own else None

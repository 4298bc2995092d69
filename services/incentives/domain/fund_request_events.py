"""What happens to a request for fund money."""

from datetime import date, datetime
from typing import Literal

from chassis.event import event, frozen
from contracts.values import Money, total
from services.incentives.domain.budget import BudgetEvent

Ending = Literal["completed", "expired", "cancelled"]
ItemOutcome = Literal["accepted_as_is", "accepted_with_changes", "denied", "returned"]


@frozen
class RequestItem:
    """One thing that the activity costs; a quote may be shown by its hash."""

    text: str
    amount: Money
    quote_sha256: str | None = None


@frozen
class RequestDetails:
    """What is planned: which activity, when, what it costs, and what it should bring."""

    activity_type: str
    starts_on: date
    ends_on: date
    items: tuple[RequestItem, ...]
    expected_leads: int | None = None
    expected_revenue: Money | None = None

    @property
    def asked(self) -> Money:
        """What all items cost."""
        return total((item.amount for item in self.items), self.items[0].amount.currency)


@frozen
class ItemDecision:
    """What was decided of one item, in the order of the items; `amount` is what was accepted of it."""

    outcome: ItemOutcome
    amount: Money
    reason: str = ""


@frozen
class FundTerms:
    """What the fund's version says of an accepted request; later versions change nothing of it."""

    plan_version: int
    accepted: Money
    reserved: Money
    tolerance: Money
    participation_percent: str
    proofs: tuple[str, ...]
    extension_days: int


# Events


@event("incentives.FundRequestDrafted.v1")
class FundRequestDrafted:
    fund_request_id: str
    partner_id: str
    fund_id: str
    period: str
    details: RequestDetails
    drafted_by: str
    drafted_at: datetime


@event("incentives.FundRequestSubmitted.v1")
class FundRequestSubmitted:
    fund_request_id: str
    partner_id: str
    fund_id: str
    asked: Money
    submitted_at: datetime


@event("incentives.FundRequestRecalled.v1")
class FundRequestRecalled:
    fund_request_id: str
    partner_id: str
    recalled_at: datetime


@event("incentives.FundRequestAmended.v1")
class FundRequestAmended:
    """An accepted request is to change and is decided again; until then the old reservation stands."""

    fund_request_id: str
    partner_id: str
    fund_id: str
    details: RequestDetails
    reason: str
    amended_by: str
    amended_at: datetime


@event("incentives.FundRequestEscalated.v1")
class FundRequestEscalated:
    """Somebody wanted to accept more than its limit: a person with a higher one decides."""

    fund_request_id: str
    partner_id: str
    fund_id: str
    amount: Money
    limit: Money
    escalated_by: str
    escalated_at: datetime


@event("incentives.FundRequestDecided.v1")
class FundRequestDecided:
    """Outcome: accepted (then with terms and the day to claim by), returned or rejected. `available` is what is left."""

    fund_request_id: str
    partner_id: str
    fund_id: str
    period: str
    outcome: str
    items: tuple[ItemDecision, ...]
    terms: FundTerms | None
    ref: str | None
    claim_by: date | None
    amount: Money
    available: Money
    reason: str
    decided_by: str
    decided_at: datetime


@event("incentives.FundRequestReturned.v1")
class FundRequestReturned:
    """The partner is asked to write it anew: it was decided so just before. One that was accepted before stays so."""

    fund_request_id: str
    partner_id: str
    fund_id: str
    returned_at: datetime


@event("incentives.FundRequestExtended.v1")
class FundRequestExtended:
    fund_request_id: str
    partner_id: str
    claim_by: date
    reason: str
    extended_by: str
    extended_at: datetime


@event("incentives.FundClaimReminded.v1")
class FundClaimReminded:
    """The day to claim by comes near and nothing has been claimed."""

    fund_request_id: str
    partner_id: str
    fund_id: str
    claim_by: date
    days_left: int
    amount: Money
    reminded_at: datetime


@event("incentives.FundRequestClaimed.v1")
class FundRequestClaimed:
    """A claim waits to be decided: until then the request does not end."""

    fund_request_id: str
    partner_id: str
    claim_id: str
    claimed_at: datetime


@event("incentives.FundRequestDrawn.v1")
class FundRequestDrawn:
    """A claim was decided; `amount` of the reservation was used for it, `rest` is kept on under `ref`."""

    fund_request_id: str
    partner_id: str
    claim_id: str
    amount: Money
    rest: Money
    ref: str
    drawn_at: datetime


@event("incentives.FundRequestEnded.v1")
class FundRequestEnded:
    """Outcome: completed, expired or cancelled. What was still reserved is available again."""

    fund_request_id: str
    partner_id: str
    fund_id: str
    outcome: str
    released: Money
    reason: str
    ended_by: str
    ended_at: datetime


Asking = FundRequestDrafted | FundRequestSubmitted | FundRequestRecalled | FundRequestAmended | FundRequestEscalated
Claiming = FundRequestExtended | FundClaimReminded | FundRequestClaimed | FundRequestDrawn
FundRequestEvent = Asking | FundRequestDecided | FundRequestReturned | Claiming | FundRequestEnded
Decided = tuple[list[FundRequestEvent], list[BudgetEvent]]

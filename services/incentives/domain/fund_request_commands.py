"""What is asked of a request for fund money."""

from datetime import datetime

from chassis.event import command
from services.incentives.domain.fund_request_events import Ending, ItemDecision, RequestDetails


@command("incentives.DraftFundRequest.v1")
class DraftFundRequest:
    fund_request_id: str
    partner_id: str
    fund_id: str
    period: str
    details: RequestDetails
    by: str
    now: datetime


@command("incentives.SubmitFundRequest.v1")
class SubmitFundRequest:
    fund_request_id: str
    fund_id: str
    now: datetime


@command("incentives.RecallFundRequest.v1")
class RecallFundRequest:
    fund_request_id: str
    now: datetime


@command("incentives.AmendFundRequest.v1")
class AmendFundRequest:
    fund_request_id: str
    fund_id: str
    details: RequestDetails
    reason: str
    by: str
    now: datetime


@command("incentives.DecideFundRequest.v1")
class DecideFundRequest:
    """One decision an item, in their order. `roles` are the roles and duties of who decides."""

    fund_request_id: str
    fund_id: str
    budget_id: str
    items: tuple[ItemDecision, ...]
    reason: str
    by: str
    roles: tuple[str, ...]
    now: datetime


@command("incentives.RequestExtension.v1")
class RequestExtension:
    fund_request_id: str
    reason: str
    by: str
    now: datetime


@command("incentives.EndFundRequest.v1")
class EndFundRequest:
    fund_request_id: str
    budget_id: str
    outcome: Ending
    reason: str
    by: str
    now: datetime


@command("incentives.CheckFundRequest.v1")
class CheckFundRequest:
    """The clock: reminds before the day to claim by, and ends the request after it."""

    fund_request_id: str
    budget_id: str
    now: datetime

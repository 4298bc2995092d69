"""Who may do and see what in incentives: finance prepares money, an approver confirms it, a plan admin writes plans."""

from chassis.access import Access, partner, service, vendor
from chassis.rulebook import DraftRules, EndRules, PublishRules
from services.incentives.domain.account import IssueStatement
from services.incentives.domain.payment import (
    ApprovePayment,
    DeclinePayment,
    ProposePayment,
    ReportOutcome,
    ResumePayment,
    RetryPayment,
    SubmitPayment,
)
from services.incentives.domain.sale import PostponeLine

READ_EARNINGS = "read earnings"
READ_PAYMENTS = "read payments"
READ_SALES = "read sales"
READ_LEDGER = "read ledger"

_PREPARES = (vendor("finance"),)
_CONFIRMS = (vendor("finance", duty="approver"),)
_WRITES_PLANS = (vendor(duty="plan_admin"), service())
_OWN_MONEY = (partner("owner", "finance"),)
_VENDOR = (vendor("admin", "channel_manager", "finance"), service())

ACCESS = Access(
    {
        DraftRules: _WRITES_PLANS,
        PublishRules: _WRITES_PLANS,
        EndRules: _WRITES_PLANS,
        PostponeLine: _PREPARES,
        IssueStatement: _PREPARES,
        ProposePayment: _PREPARES,
        SubmitPayment: _PREPARES,
        ResumePayment: _PREPARES,
        RetryPayment: _PREPARES,
        ReportOutcome: (service(),),
        ApprovePayment: _CONFIRMS,
        DeclinePayment: _CONFIRMS,
        READ_EARNINGS: (*_VENDOR, *_OWN_MONEY),
        READ_PAYMENTS: (vendor("finance"), *_CONFIRMS, service(), *_OWN_MONEY),
        READ_SALES: _VENDOR,
        READ_LEDGER: (vendor("finance"), vendor(duty="auditor"), *_CONFIRMS, service()),
    }
)

"""Who may do and see what in incentives: finance prepares money, an approver confirms it, a plan admin writes plans."""

from chassis.access import Access, partner, service, vendor
from chassis.bulk import READ_BATCHES, ApplyBatch, DiscardBatch, UndoBatch, UploadBatch
from chassis.rulebook import DraftRules, EndRules, PublishRules
from services.incentives.domain.account import IssueStatement, WriteOffNegative
from services.incentives.domain.batch import ApproveBatch, CloseBatch, PrepareBatch, SendBatch
from services.incentives.domain.books import CloseMonth, RecordRates
from services.incentives.domain.budget import AllocateBudget, AllocateUnits, ExpireBudget
from services.incentives.domain.case import CloseCase
from services.incentives.domain.claim import (
    CreditClaim,
    DecideFundClaim,
    DecideSpecialPriceClaim,
    DraftClaim,
    SubmitClaim,
)
from services.incentives.domain.fund_request_commands import (
    AmendFundRequest,
    DecideFundRequest,
    DraftFundRequest,
    EndFundRequest,
    RecallFundRequest,
    RequestExtension,
    SubmitFundRequest,
)
from services.incentives.domain.fund_share import AllocateFund
from services.incentives.domain.line_dispute import (
    AppealDispute,
    DecideDispute,
    DisputeLine,
    NoteCorrected,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.incentives.domain.meter import PostponeTrueUp
from services.incentives.domain.payee_commands import (
    BlockPayee,
    ChangeBankDetails,
    ConsentToPerson,
    DecideTaxForm,
    SetPayoutCurrency,
    SubmitTaxForm,
    UnblockPayee,
    VerifyBankDetails,
)
from services.incentives.domain.payment_commands import (
    ApprovePayment,
    AttachInvoice,
    DeclinePayment,
    ProposePayment,
    ReportOutcome,
    ResumePayment,
    RetryPayment,
    SubmitPayment,
)
from services.incentives.domain.recognition import ShareRecognition
from services.incentives.domain.sale_commands import (
    AdjustLine,
    ConfirmAdjustment,
    DecideSpiffClaim,
    PostponeLine,
    RecordBasis,
    RecordReversal,
    ResolveFact,
)
from services.incentives.domain.special_price import EndSpecialPrice, GrantSpecialPrice
from services.incentives.domain.tax import RemitTax
from services.incentives.domain.tier import (
    AnswerTierAppeal,
    AppealTier,
    DecideTierReview,
    EvaluateTier,
    OverrideTier,
    RecordTierMetric,
)

READ_EARNINGS = "read earnings"
READ_OWN_PAY = "read one's own pay"
READ_PAYMENTS = "read payments"
UPLOAD_REPORTS = "upload provider reports"
READ_PAPERS = "read bank and tax"
READ_SALES = "read sales"
READ_LEDGER = "read ledger"
READ_TOTALS = "read totals of earnings"
READ_FUNDS = "read funds"
READ_CLAIMS = "read claims"
CLAIM_FUNDS = "claim funds and special prices"
READ_TIERS = "read tiers"
READ_RECOGNITION = "read recognition"
READ_CASES = "read cases"
READ_DISPUTED = "read what is disputed"

_PREPARES = (vendor("finance"),)
_CONFIRMS = (vendor("finance", duty="approver"),)
_ARBITERS = (vendor(duty="arbiter"),)
_WRITES_PLANS = (vendor(duty="plan_admin"), service())
_OWN_MONEY = (partner("owner", "finance"),)
_VENDOR = (vendor("admin", "channel_manager", "finance"), service())
_FUND_MANAGER = (vendor(duty="fund_manager"),)
_KEEPS_TIERS = (vendor("admin", "channel_manager"),)
_READS_BOOKS = (vendor("finance"), vendor(duty="auditor"), vendor(duty="fund_manager"), *_CONFIRMS, service())
_MARKETS = (vendor("marketing", "analyst"),)
_ASKS = (partner("owner", "marketer", "finance"),)
_SELLS = (partner("owner", "seller", "marketer", "finance"),)

ACCESS = Access(
    {
        DraftRules: _WRITES_PLANS,
        PublishRules: _WRITES_PLANS,
        EndRules: _WRITES_PLANS,
        PostponeLine: _PREPARES,
        PostponeTrueUp: _PREPARES,
        AdjustLine: _PREPARES,
        ConfirmAdjustment: _CONFIRMS,
        RecordBasis: (*_PREPARES, service()),
        RecordReversal: (*_PREPARES, service()),
        UploadBatch: _PREPARES,
        ApplyBatch: _PREPARES,
        UndoBatch: _PREPARES,
        DiscardBatch: _PREPARES,
        READ_BATCHES: _PREPARES,
        ResolveFact: _PREPARES,
        RecordRates: (*_PREPARES, service()),
        CloseMonth: _CONFIRMS,
        AllocateBudget: (vendor(duty="fund_manager"), *_CONFIRMS),
        AllocateUnits: (vendor(duty="fund_manager"), *_CONFIRMS),
        ExpireBudget: (vendor(duty="fund_manager"), *_CONFIRMS),
        IssueStatement: _PREPARES,
        ProposePayment: _PREPARES,
        SubmitPayment: _PREPARES,
        ResumePayment: _PREPARES,
        RetryPayment: _PREPARES,
        ReportOutcome: (service(),),
        ApprovePayment: _CONFIRMS,
        DeclinePayment: _CONFIRMS,
        AttachInvoice: (*_PREPARES, *_OWN_MONEY),
        PrepareBatch: _PREPARES,
        ApproveBatch: _CONFIRMS,
        SendBatch: _PREPARES,
        CloseBatch: _PREPARES,
        DisputeLine: (partner(),),
        ShowDisputeEvidence: (partner(),),
        AppealDispute: (partner(),),
        WithdrawDispute: (partner(),),
        RequestDisputeEvidence: (*_PREPARES, *_ARBITERS),
        DecideDispute: (*_CONFIRMS, *_ARBITERS),
        NoteCorrected: _PREPARES,
        READ_DISPUTED: _ARBITERS,
        WriteOffNegative: (*_PREPARES, *_CONFIRMS),
        ChangeBankDetails: (partner(),),
        VerifyBankDetails: (partner("owner", "finance"), *_CONFIRMS),
        SubmitTaxForm: (partner(),),
        SetPayoutCurrency: (*_PREPARES, partner()),
        RemitTax: _CONFIRMS,
        DecideTaxForm: _PREPARES,
        ConsentToPerson: (partner("owner"),),
        BlockPayee: _PREPARES,
        UnblockPayee: _CONFIRMS,
        AllocateFund: _FUND_MANAGER,
        DraftFundRequest: _ASKS,
        SubmitFundRequest: _ASKS,
        RecallFundRequest: _ASKS,
        AmendFundRequest: _ASKS,
        RequestExtension: _ASKS,
        DecideFundRequest: _FUND_MANAGER,
        EndFundRequest: (*_FUND_MANAGER, *_ASKS),
        DraftClaim: _SELLS,
        SubmitClaim: _SELLS,
        CLAIM_FUNDS: _ASKS,
        DecideSpiffClaim: _FUND_MANAGER,
        DecideFundClaim: _FUND_MANAGER,
        DecideSpecialPriceClaim: _FUND_MANAGER,
        CreditClaim: _PREPARES,
        GrantSpecialPrice: _FUND_MANAGER,
        EndSpecialPrice: _FUND_MANAGER,
        RecordTierMetric: (*_KEEPS_TIERS, service()),
        EvaluateTier: (*_KEEPS_TIERS, service()),
        DecideTierReview: _KEEPS_TIERS,
        OverrideTier: _KEEPS_TIERS,
        AppealTier: (partner("owner"),),
        AnswerTierAppeal: _KEEPS_TIERS,
        ShareRecognition: (partner("owner"),),
        CloseCase: (*_CONFIRMS, vendor("admin")),
        READ_CASES: (vendor("admin", "finance"), vendor(duty="auditor"), *_CONFIRMS),
        READ_RECOGNITION: (*_VENDOR, partner()),
        READ_TIERS: (*_VENDOR, *_MARKETS, vendor("deal_desk"), *_SELLS),
        READ_FUNDS: (*_VENDOR, *_MARKETS, *_FUND_MANAGER, *_ASKS),
        READ_CLAIMS: (*_VENDOR, *_MARKETS, *_FUND_MANAGER, *_SELLS),
        READ_EARNINGS: (*_VENDOR, *_OWN_MONEY),
        READ_OWN_PAY: (partner(),),
        READ_PAYMENTS: (vendor("finance"), *_CONFIRMS, service(), *_OWN_MONEY),
        UPLOAD_REPORTS: (*_PREPARES, service()),
        READ_PAPERS: (*_PREPARES, *_OWN_MONEY),
        READ_SALES: _VENDOR,
        READ_LEDGER: _READS_BOOKS,
        READ_TOTALS: (*_READS_BOOKS, vendor("admin", "channel_manager", "analyst")),
    }
)

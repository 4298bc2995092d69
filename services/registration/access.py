"""Who may do and see what in registration (the gateway page's row `deals, disputes`)."""

from chassis.access import Access, anonymous, partner, service, vendor
from chassis.bulk import READ_BATCHES, ApplyBatch, DiscardBatch, UndoBatch, UploadBatch
from services.registration.domain.account import AddKey, ConfirmIdentity, OpenAccount
from services.registration.domain.availability import CheckCustomer
from services.registration.domain.deal_commands import (
    AddEvidence,
    AmendDeal,
    ApproveDeal,
    DecideFinding,
    GrantExtension,
    MergeDuplicate,
    QueueDeal,
    RecordOrder,
    RefuseExtension,
    RegisterDeal,
    RejectDeal,
    RequestExtension,
    ResubmitDeal,
    ReturnDeal,
    RevokeDeal,
    SaveDraft,
    WithdrawDeal,
)
from services.registration.domain.deal_notes import AddNote
from services.registration.domain.dispute import (
    AppealDispute,
    DecideDispute,
    FileDispute,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.registration.domain.exclusion import AddExclusion, EndExclusion
from services.registration.domain.forgotten import ForgetContact, ForgetDeal
from services.registration.domain.grouping import CutParent, LinkParent
from services.registration.domain.invitation import (
    AcceptInvitation,
    DeclineInvitation,
    InviteParticipant,
    LeaveDeal,
    RevokeInvitation,
)
from services.registration.domain.kept_mail import ForgetMail, KeepMail, ReadMailAgain
from services.registration.domain.lead_commands import (
    AcceptLead,
    AppealLead,
    AssignLead,
    ClaimLead,
    CloseLead,
    ConvertLead,
    DeclineLead,
    ForgetLead,
    PoolLead,
    ReleaseLead,
    ReportProgress,
    ReturnLead,
    SubmitLead,
)
from services.registration.domain.merging import MergeAccounts, SplitAccounts
from services.registration.domain.rules import APPROVERS

READ_DEALS = "read deals"
READ_CONFLICTS = "read conflicts"
FIND_CONTACT = "find a contact"
READ_ACCOUNTS = "read accounts"
READ_CONTACTS = "read contacts"
READ_EXCLUSIONS = "read exclusions"
READ_DISPUTES = "read disputes"
READ_DRAFTS = "read drafts"
READ_MAILS = "read mails"
READ_INVITATIONS = "read invitations"
READ_NOTES = "read notes"
READ_ATTEMPTS = "read attempts"
SUBMIT_FORM = "submit a form"
READ_LEADS = "read leads"
READ_LEAD_CONTACTS = "read lead contacts"
READ_LEAD_SHARES = "read lead shares"
READ_LEAD_FIGURES = "read lead figures"
READ_CAPACITY = "read capacity"
READ_ATTAINMENT = "read attainment"
READ_MACHINES = "read machines"
READ_INTAKE = "read the form of a deal"
READ_FAIRNESS = "read fairness"

_SELLERS = (partner("owner"), partner("seller"))
_DESK = (vendor("deal_desk"),)
_ARBITERS = (vendor(duty="arbiter"),)
_KEEPERS = tuple(vendor(role) for role in ("admin", "channel_manager", "deal_desk"))
_APPROVERS = tuple(vendor(role) for role in APPROVERS)
_LEAD_DESK = (vendor("channel_manager"), vendor("deal_desk"))
_LEAD_READERS = tuple(vendor(role) for role in ("admin", "channel_manager", "deal_desk", "marketing", "analyst"))
_VENDOR = tuple(vendor(role) for role in ("admin", "channel_manager", "deal_desk", "finance", "analyst"))

ACCESS = Access(
    {
        SaveDraft: _SELLERS,
        RegisterDeal: (*_SELLERS, *_DESK),
        KeepMail: (*_SELLERS, *_DESK),
        ReadMailAgain: (*_SELLERS, *_DESK),
        ForgetMail: (*_SELLERS, vendor("admin"), *_DESK),
        ResubmitDeal: _SELLERS,
        AmendDeal: _SELLERS,
        AddEvidence: (*_SELLERS, *_DESK),
        RecordOrder: (*_SELLERS, *_DESK),
        InviteParticipant: (*_SELLERS, *_DESK),
        AcceptInvitation: _SELLERS,
        DeclineInvitation: _SELLERS,
        RevokeInvitation: (*_SELLERS, *_DESK),
        LeaveDeal: (*_SELLERS, *_DESK),
        MergeDuplicate: _DESK,
        WithdrawDeal: (*_SELLERS, *_DESK),
        UploadBatch: (*_SELLERS, *_DESK),
        ApplyBatch: (*_SELLERS, *_DESK),
        UndoBatch: (*_SELLERS, *_DESK),
        DiscardBatch: (*_SELLERS, *_DESK),
        AddNote: (*_SELLERS, vendor("deal_desk"), vendor("channel_manager")),
        CheckCustomer: (*_SELLERS, vendor("deal_desk"), vendor("channel_manager")),
        RequestExtension: _SELLERS,
        GrantExtension: _DESK,
        RefuseExtension: _DESK,
        ReturnDeal: _DESK,
        DecideFinding: _DESK,
        ApproveDeal: _APPROVERS,
        RevokeDeal: _APPROVERS,
        RejectDeal: _DESK,
        QueueDeal: (*_DESK, service()),
        FileDispute: _SELLERS,
        ShowDisputeEvidence: _SELLERS,
        AppealDispute: _SELLERS,
        WithdrawDispute: _SELLERS,
        RequestDisputeEvidence: (*_DESK, *_ARBITERS),
        DecideDispute: _ARBITERS,
        AddExclusion: _KEEPERS,
        EndExclusion: _KEEPERS,
        OpenAccount: _DESK,
        ConfirmIdentity: _DESK,
        AddKey: _DESK,
        MergeAccounts: _DESK,
        SplitAccounts: _DESK,
        LinkParent: _DESK,
        CutParent: _DESK,
        SubmitLead: (*_SELLERS, *_LEAD_DESK),
        SUBMIT_FORM: (anonymous(),),
        AppealLead: _SELLERS,
        ReleaseLead: _LEAD_DESK,
        AssignLead: _LEAD_DESK,
        PoolLead: _LEAD_DESK,
        ClaimLead: _SELLERS,
        AcceptLead: (*_SELLERS, *_LEAD_DESK),
        DeclineLead: (*_SELLERS, *_LEAD_DESK),
        ReportProgress: (*_SELLERS, *_LEAD_DESK),
        ReturnLead: _SELLERS,
        ConvertLead: (*_SELLERS, *_LEAD_DESK),
        CloseLead: (*_SELLERS, *_LEAD_DESK),
        ForgetLead: (vendor("admin"), *_LEAD_DESK),
        FIND_CONTACT: (vendor("admin"),),
        ForgetContact: (vendor("admin"),),
        ForgetDeal: (vendor("admin"),),
        READ_LEADS: (*_LEAD_READERS, *_SELLERS, partner("marketer")),
        READ_LEAD_CONTACTS: (vendor("admin"), *_LEAD_DESK, *_SELLERS),
        READ_LEAD_SHARES: _LEAD_READERS,
        READ_LEAD_FIGURES: (vendor(), partner()),
        READ_CAPACITY: (*_SELLERS, *_KEEPERS),
        READ_ATTAINMENT: (vendor(), partner()),
        READ_FAIRNESS: _VENDOR,
        READ_MACHINES: (vendor(), partner()),
        READ_INTAKE: (vendor(), partner()),
        READ_DEALS: (*_VENDOR, *_SELLERS, partner("finance"), service()),
        READ_CONTACTS: (vendor("admin"), vendor("channel_manager"), vendor("deal_desk"), *_SELLERS),
        READ_DRAFTS: _SELLERS,
        READ_MAILS: (*_SELLERS, vendor("admin"), *_DESK),
        READ_INVITATIONS: (*_VENDOR, *_SELLERS, partner("finance")),
        READ_BATCHES: (*_SELLERS, *_DESK),
        READ_NOTES: (vendor("admin"), vendor("channel_manager"), vendor("deal_desk"), *_SELLERS),
        READ_ATTEMPTS: (vendor("admin"), vendor("channel_manager"), vendor("deal_desk"), *_SELLERS),
        READ_DISPUTES: (*_VENDOR, *_ARBITERS, *_SELLERS, partner("finance")),
        READ_EXCLUSIONS: _KEEPERS,
        READ_CONFLICTS: (vendor("deal_desk"), vendor("channel_manager")),
        READ_ACCOUNTS: (vendor("admin"), vendor("channel_manager"), vendor("deal_desk"), service()),
    }
)

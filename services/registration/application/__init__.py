"""What registration can do: every command with the streams it touches."""

from typing import Any

from chassis.execution import Handles
from chassis.rulebook import Kind
from services.registration.application import asking_more
from services.registration.application.answers import (
    answer,
    appealed,
    case_of,
    checked,
    checked_without_rest,
    cut,
    drafted,
    excluded,
    filed,
    forgotten,
    gone,
    invited,
    keyed,
    lead_answer,
    lead_forgotten,
    linked,
    looked_at,
    mailed,
    merged,
    noted,
    opened,
    ordered,
    split,
    whole,
    withdrawn,
)
from services.registration.application.streams import (
    adding_streams,
    aliasing_streams,
    amending_streams,
    around_streams,
    assigning_streams,
    book_streams,
    closing_streams,
    colliding_deals_streams,
    colliding_streams,
    concluding_streams,
    converted_streams,
    cutting_streams,
    deal_and_claims_streams,
    deal_streams,
    dispute_streams,
    disputed_streams,
    exclusion_streams,
    filed_streams,
    filing_streams,
    finding_streams,
    forgotten_reads,
    forgotten_streams,
    invitation_streams,
    inviting_reads,
    inviting_streams,
    joining_reads,
    joining_streams,
    lead_rules_streams,
    lead_streams,
    lines_streams,
    linking_streams,
    mail_streams,
    marking_streams,
    merging_accounts_streams,
    merging_finding_streams,
    merging_streams,
    registering_reads,
    registering_streams,
    releasing_streams,
    resubmitting_streams,
    settling_streams,
    splitting_accounts_streams,
    unseen_streams,
)
from services.registration.domain.account import (
    Accounts,
    AddKey,
    ConfirmIdentity,
    OpenAccount,
    add_key,
    confirm_identity,
    open_by_hand,
)
from services.registration.domain.account_key import AccountKeys
from services.registration.domain.approving import (
    approve_deal,
    approve_deal_counting_amendments,
    escalate_review,
    revoke_deal,
)
from services.registration.domain.availability import CheckCustomer, Checks, check_customer
from services.registration.domain.capacity import ReleaseSlot, release_slot
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.concluding import (
    conclude_dispute,
    conclude_dispute_at_once,
    conclude_dispute_between_deals,
    conclude_dispute_by_letters_of_the_deal,
    conclude_dispute_of_who_waits,
    conclude_dispute_without_time_in_a_split,
)
from services.registration.domain.crm_link import flag_missing_link, link_deal
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import (
    AddEvidence,
    AmendDeal,
    ApproveDeal,
    CloseDeal,
    DecideFinding,
    EndProtection,
    EscalateReview,
    FlagMissingLink,
    GrantExtension,
    LinkDeal,
    MergeDuplicate,
    NoteActivity,
    PromoteDeal,
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
    WarnInactivity,
    WithdrawDeal,
)
from services.registration.domain.deal_notes import AddNote, DealNotes, add_note
from services.registration.domain.dispute import (
    AppealDispute,
    ConcludeDispute,
    DecideDispute,
    FileDispute,
    HearDispute,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
    answering,
    appeal_dispute,
    decide_dispute,
    decide_dispute_between_two,
    file_dispute,
    file_dispute_at_any_time_of_a_wait,
    file_dispute_by_the_day,
    hear_dispute,
    request_dispute_evidence,
    show_dispute_evidence,
    show_dispute_evidence_before_the_decision,
    unanswered,
    withdraw_any_dispute,
    withdraw_dispute,
)
from services.registration.domain.ending import close_deal, merge_duplicate, merge_duplicate_untold, withdraw_deal
from services.registration.domain.exclusion import AddExclusion, EndExclusion, add_exclusion, end_exclusion
from services.registration.domain.exclusive_grants import ExclusiveGrants, NoteExclusive, note_exclusive
from services.registration.domain.finding import MergeFinding, merge_finding
from services.registration.domain.forgotten import (
    ForgetContact,
    ForgetDeal,
    forget_contact,
    forget_contact_once,
    forget_deal,
    forget_deal_but_no_draft,
    forget_deal_once,
)
from services.registration.domain.grouping import (
    CutParent,
    LinkParent,
    cut_parent,
    link_parent,
    link_parent_between_deals,
)
from services.registration.domain.incumbent import RecordIncumbent, record_incumbent
from services.registration.domain.invitation import (
    AcceptInvitation,
    DeclineInvitation,
    InviteParticipant,
    LapseInvitation,
    LeaveDeal,
    RevokeInvitation,
    accept_invitation,
    accept_invitation_naming_the_deal,
    decline_invitation,
    invite_participant,
    lapse_invitation,
    leave_deal,
    leave_deal_that_was_accepted,
    revoke_invitation,
)
from services.registration.domain.keeping import (
    add_evidence,
    amend_deal,
    amend_deal_in_brief,
    amend_deal_in_full,
    amend_deal_without_documents,
    record_order,
    record_order_of_nobody,
)
from services.registration.domain.kept_mail import (
    ForgetMail,
    KeepMail,
    ReadMailAgain,
    SettleMail,
    forget_mail,
    keep_mail,
    read_mail_again,
    settle_mail,
)
from services.registration.domain.lead_commands import (
    AcceptLead,
    AppealLead,
    AssignLead,
    ClaimLead,
    CloseLead,
    ConvertLead,
    DeclineLead,
    ForgetLead,
    LapseOffers,
    PoolLead,
    ReclaimLead,
    ReleaseLead,
    ReportProgress,
    ReturnLead,
    SubmitLead,
)
from services.registration.domain.lead_gate import appeal_lead, release_lead, submit_lead, submit_lead_of_no_role
from services.registration.domain.merging import (
    MergeAccounts,
    SplitAccounts,
    merge_accounts,
    merge_accounts_between_deals,
    split_accounts,
    split_accounts_by_first_wins,
)
from services.registration.domain.offering import (
    accept_lead,
    assign_lead,
    claim_lead,
    decline_lead,
    lapse_offers,
    pool_lead,
)
from services.registration.domain.partner_alias import AliasPartner, alias_partner, alias_partner_between_deals
from services.registration.domain.partner_facts import (
    Partners,
    RecordCertifiedCount,
    RecordPartnerFacts,
    RecordStanding,
    record_certified_count,
    record_partner_facts,
    record_standing,
)
from services.registration.domain.partner_tier import RecordPartnerTier, TiersOf, record_partner_tier
from services.registration.domain.protecting import (
    end_protection,
    grant_extension,
    note_activity,
    refuse_extension,
    request_extension,
    request_extension_until_the_end_is_told,
    warn_inactivity,
)
from services.registration.domain.pursuing import (
    close_lead,
    convert_lead,
    forget_lead,
    reclaim_lead,
    report_progress,
    return_lead,
)
from services.registration.domain.reviewing import (
    decide_finding,
    decide_finding_of_its_own,
    promote_deal,
    promote_deal_without_due,
    queue_deal,
    reject_deal,
    return_deal,
)
from services.registration.domain.routing import LEAD_RULES
from services.registration.domain.screening import DEAL_RULES
from services.registration.domain.submitting import (
    register_deal,
    resubmit_deal,
    resubmit_deal_in_brief,
    resubmit_deal_in_full,
    resubmit_deal_without_documents,
    save_draft,
)

KINDS: dict[str, Kind[Any, Any]] = {DEAL_RULES.name: DEAL_RULES, LEAD_RULES.name: LEAD_RULES}


LEAD_HANDLES = (
    *(
        Handles(
            SubmitLead,
            decision,
            streams=marking_streams,
            reads=lead_rules_streams,
            answer=lead_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in ((1, submit_lead_of_no_role), (2, submit_lead))
    ),
    Handles(AppealLead, appeal_lead, streams=lead_streams, answer=lead_answer),
    Handles(ReleaseLead, release_lead, streams=marking_streams, answer=lead_answer),
    Handles(AssignLead, assign_lead, streams=assigning_streams, reads=lead_rules_streams, answer=lead_answer),
    Handles(PoolLead, pool_lead, streams=lead_streams, reads=lead_rules_streams, answer=lead_answer),
    Handles(ClaimLead, claim_lead, streams=lead_streams, reads=lead_rules_streams, answer=lead_answer),
    Handles(AcceptLead, accept_lead, streams=lead_streams, reads=lead_rules_streams, answer=lead_answer),
    Handles(DeclineLead, decline_lead, streams=lead_streams, answer=lead_answer),
    Handles(LapseOffers, lapse_offers, streams=lead_streams, answer=lead_answer),
    Handles(ReportProgress, report_progress, streams=lead_streams, reads=lead_rules_streams, answer=lead_answer),
    Handles(ReturnLead, return_lead, streams=lead_streams, answer=lead_answer),
    Handles(ReclaimLead, reclaim_lead, streams=lead_streams, answer=lead_answer),
    Handles(ConvertLead, convert_lead, streams=lead_streams, reads=converted_streams, answer=lead_answer),
    Handles(CloseLead, close_lead, streams=lead_streams, answer=lead_answer),
    Handles(ForgetLead, forget_lead, streams=lead_streams, answer=lead_forgotten),
)

INVITATION_HANDLES = (
    Handles(InviteParticipant, invite_participant, streams=inviting_streams, reads=inviting_reads, answer=invited),
    *(
        Handles(AcceptInvitation, decision, joining_streams, reads=joining_reads, answer=invited, evaluator=evaluator)
        for evaluator, decision in ((1, accept_invitation_naming_the_deal), (2, accept_invitation))
    ),
    *(
        Handles(LeaveDeal, decision, streams=joining_streams, answer=told, evaluator=evaluator)
        for evaluator, decision, told in ((1, leave_deal_that_was_accepted, invited), (2, leave_deal, gone))
    ),
    Handles(DeclineInvitation, decline_invitation, streams=invitation_streams, answer=invited),
    Handles(RevokeInvitation, revoke_invitation, streams=invitation_streams, answer=invited),
    Handles(LapseInvitation, lapse_invitation, streams=invitation_streams),
)

SCREENED_AGAIN: dict[str, Any] = {"prepare": asking_more.screening, "foreseen": True}

HANDLES = (
    *LEAD_HANDLES,
    *INVITATION_HANDLES,
    Handles(SaveDraft, save_draft, streams=deal_streams, answer=drafted),
    Handles(KeepMail, keep_mail, streams=mail_streams, answer=mailed),
    Handles(ReadMailAgain, read_mail_again, streams=mail_streams, answer=mailed),
    Handles(SettleMail, settle_mail, streams=mail_streams, answer=mailed),
    *(
        Handles(ForgetContact, decision, streams=forgotten_streams, answer=forgotten, evaluator=evaluator)
        for evaluator, decision in ((1, forget_contact_once), (2, forget_contact))
    ),
    *(
        Handles(ForgetDeal, decision, forgotten_streams, reads=forgotten_reads, answer=forgotten, evaluator=evaluator)
        for evaluator, decision in ((1, forget_deal_once), (2, forget_deal_but_no_draft), (3, forget_deal))
    ),
    Handles(ForgetMail, forget_mail, streams=mail_streams, answer=mailed),
    Handles(
        RegisterDeal,
        register_deal,
        streams=registering_streams,
        reads=registering_reads,
        answer=answer,
        prepare=asking_more.registration,
        foreseen=True,
        besides=asking_more.registering_besides,
    ),
    Handles(ReturnDeal, return_deal, streams=deal_streams, reads=book_streams, answer=whole),
    *(
        Handles(
            ResubmitDeal,
            decision,
            resubmitting_streams,
            reads=unseen_streams,
            answer=answer,
            evaluator=evaluator,
            **SCREENED_AGAIN,
            besides=asking_more.resubmitting_besides,
        )
        for evaluator, decision in (
            (1, resubmit_deal_in_brief),
            (2, resubmit_deal_in_full),
            (3, resubmit_deal_without_documents),
            (4, resubmit_deal),
        )
    ),
    *(
        Handles(AmendDeal, decision, streams=amending_streams, reads=book_streams, answer=answer, evaluator=evaluator)
        for evaluator, decision in (
            (1, amend_deal_in_brief),
            (2, amend_deal_in_full),
            (3, amend_deal_without_documents),
            (4, amend_deal),
        )
    ),
    Handles(AddEvidence, add_evidence, streams=adding_streams, answer=answer),
    *(
        Handles(RecordOrder, decision, streams=deal_streams, answer=ordered, evaluator=evaluator)
        for evaluator, decision in ((1, record_order_of_nobody), (2, record_order))
    ),
    *(
        Handles(DecideFinding, decision, streams=finding_streams, answer=whole, evaluator=evaluator)
        for evaluator, decision in ((1, decide_finding_of_its_own), (2, decide_finding))
    ),
    Handles(
        MergeFinding,
        merge_finding,
        streams=merging_finding_streams,
        reads=lambda c: colliding_streams(c.merge),
        answer=whole,
    ),
    *(
        Handles(
            ApproveDeal,
            decision,
            settling_streams,
            reads=around_streams,
            answer=looked_at,
            evaluator=evaluator,
            **SCREENED_AGAIN,
        )
        for evaluator, decision in ((1, approve_deal_counting_amendments), (2, approve_deal))
    ),
    Handles(RevokeDeal, revoke_deal, streams=deal_and_claims_streams, reads=book_streams, answer=whole),
    Handles(EscalateReview, escalate_review, settling_streams, reads=around_streams, answer=whole, **SCREENED_AGAIN),
    Handles(RejectDeal, reject_deal, streams=deal_and_claims_streams, reads=book_streams, answer=whole),
    Handles(QueueDeal, queue_deal, settling_streams, reads=around_streams, answer=whole, **SCREENED_AGAIN),
    *(
        Handles(
            PromoteDeal,
            decision,
            settling_streams,
            reads=around_streams,
            answer=whole,
            evaluator=evaluator,
            **SCREENED_AGAIN,
        )
        for evaluator, decision in ((1, promote_deal_without_due), (2, promote_deal))
    ),
    Handles(WithdrawDeal, withdraw_deal, streams=deal_and_claims_streams, reads=book_streams, answer=withdrawn),
    *(
        Handles(MergeDuplicate, decision, merging_streams, reads=book_streams, answer=whole, evaluator=evaluator)
        for evaluator, decision in ((1, merge_duplicate_untold), (2, merge_duplicate))
    ),
    Handles(
        AddNote,
        add_note,
        streams=lambda c: (DealNotes.at(c.registration_id),),
        reads=lambda c: (Deals.at(c.registration_id),),
        answer=noted,
    ),
    *(
        Handles(
            RequestExtension, decision, deal_and_claims_streams, reads=book_streams, answer=answer, evaluator=evaluator
        )
        for evaluator, decision in ((1, request_extension_until_the_end_is_told), (2, request_extension))
    ),
    Handles(GrantExtension, grant_extension, streams=deal_streams, reads=book_streams, answer=whole),
    Handles(RefuseExtension, refuse_extension, streams=deal_and_claims_streams, reads=book_streams, answer=whole),
    Handles(NoteActivity, note_activity, streams=deal_streams),
    Handles(LinkDeal, link_deal, streams=deal_streams),
    Handles(FlagMissingLink, flag_missing_link, streams=deal_streams),
    Handles(WarnInactivity, warn_inactivity, streams=deal_streams, reads=book_streams),
    Handles(EndProtection, end_protection, streams=deal_and_claims_streams, reads=book_streams, answer=answer),
    Handles(CloseDeal, close_deal, streams=closing_streams, reads=book_streams, answer=answer),
    Handles(
        OpenAccount,
        open_by_hand,
        streams=lambda c: (Accounts.at(c.account_id), tuple(AccountKeys.at(key.identity) for key in c.keys)),
        answer=opened,
    ),
    Handles(ConfirmIdentity, confirm_identity, streams=lambda c: (Accounts.at(c.account_id),)),
    Handles(
        AddKey, add_key, streams=lambda c: (Accounts.at(c.account_id), AccountKeys.at(c.key.identity)), answer=keyed
    ),
    *(
        Handles(MergeAccounts, decision, merging_accounts_streams, reads=reads, answer=merged, evaluator=evaluator)
        for evaluator, decision, reads in (
            (1, merge_accounts_between_deals, colliding_deals_streams),
            (2, merge_accounts, colliding_streams),
        )
    ),
    *(
        Handles(SplitAccounts, decision, streams=splitting_accounts_streams, answer=split, evaluator=evaluator)
        for evaluator, decision in (
            (1, unanswered(split_accounts_by_first_wins)),
            (2, split_accounts_by_first_wins),
            (3, split_accounts),
        )
    ),
    *(
        Handles(LinkParent, decision, linking_streams, reads=reads, answer=linked, evaluator=evaluator)
        for evaluator, decision, reads in (
            (1, link_parent_between_deals, colliding_deals_streams),
            (2, link_parent, colliding_streams),
        )
    ),
    *(
        Handles(CutParent, decision, streams=cutting_streams, answer=cut, evaluator=evaluator)
        for evaluator, decision in ((1, unanswered(cut_parent)), (2, cut_parent))
    ),
    *(
        Handles(CheckCustomer, check_customer, lambda c: (Checks.at(c.day),), answer=told, evaluator=evaluator)
        for evaluator, told in ((1, checked_without_rest), (2, checked))
    ),
    *(
        Handles(FileDispute, decision, filed_streams, reads=filing_streams, answer=filed, evaluator=evaluator)
        for evaluator, decision in (
            *((1, file_dispute_by_the_day), (2, file_dispute_at_any_time_of_a_wait)),
            (3, file_dispute),
        )
    ),
    *(
        Handles(command, decision, dispute_streams, reads=disputed_streams, answer=case_of, evaluator=evaluator)
        for command, first, then in (
            (RequestDisputeEvidence, request_dispute_evidence, request_dispute_evidence),
            (DecideDispute, decide_dispute_between_two, decide_dispute),
        )
        for evaluator, decision in ((1, first), (2, answering(then)))
    ),
    *(
        Handles(ShowDisputeEvidence, decision, dispute_streams, disputed_streams, answer=case_of, evaluator=evaluator)
        for evaluator, decision in (
            (1, show_dispute_evidence_before_the_decision),
            (2, answering(show_dispute_evidence_before_the_decision)),
            (3, answering(show_dispute_evidence)),
        )
    ),
    *(
        Handles(HearDispute, decision, dispute_streams, reads=disputed_streams, evaluator=evaluator)
        for evaluator, decision in ((1, hear_dispute), (2, answering(hear_dispute)))
    ),
    Handles(AppealDispute, appeal_dispute, streams=dispute_streams, reads=disputed_streams, answer=appealed),
    *(
        Handles(WithdrawDispute, decision, dispute_streams, answer=case_of, evaluator=evaluator)
        for evaluator, decision in (
            *((1, withdraw_any_dispute), (2, answering(withdraw_any_dispute))),
            (3, answering(withdraw_dispute)),
        )
    ),
    *(
        Handles(ConcludeDispute, decision, concluding_streams, around_streams, evaluator=evaluator, **SCREENED_AGAIN)
        for evaluator, decision in (
            (1, conclude_dispute_at_once),
            (2, conclude_dispute_between_deals),
            (3, conclude_dispute_of_who_waits),
            (4, conclude_dispute_without_time_in_a_split),
            (5, conclude_dispute_by_letters_of_the_deal),
            (6, conclude_dispute),
        )
    ),
    Handles(ReleaseSlot, release_slot, streams=releasing_streams, prepare=asking_more.release, foreseen=True),
    Handles(AddExclusion, add_exclusion, streams=exclusion_streams, answer=excluded),
    Handles(EndExclusion, end_exclusion, streams=exclusion_streams, answer=excluded),
    Handles(RecordPartnerFacts, record_partner_facts, streams=lambda c: (Partners.at(c.partner_id),)),
    *(
        Handles(AliasPartner, decision, streams=aliasing_streams, reads=reads, evaluator=evaluator)
        for evaluator, decision, reads in (
            (1, unanswered(alias_partner_between_deals), colliding_deals_streams),
            (2, unanswered(alias_partner), colliding_streams),
            (3, alias_partner, colliding_streams),
        )
    ),
    Handles(NoteExclusive, note_exclusive, streams=lambda c: (ExclusiveGrants.at(c.product),)),
    Handles(RecordStanding, record_standing, streams=lambda c: (Partners.at(c.partner_id),)),
    Handles(RecordCertifiedCount, record_certified_count, streams=lambda c: (Partners.at(c.partner_id),)),
    Handles(
        RecordIncumbent,
        record_incumbent,
        streams=lambda c: (ClaimsOf.at(c.account_id),),
        reads=lambda c: (Accounts.at(c.account_id), lines_streams(c.through or ())),
    ),
    Handles(RecordPartnerTier, record_partner_tier, streams=lambda c: (TiersOf.at(c.partner_id),)),
)

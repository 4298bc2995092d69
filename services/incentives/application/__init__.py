"""What incentives can do: every command with the streams it touches."""

from collections.abc import Callable
from functools import partial
from typing import Any

from chassis.execution import Handles, no_answer
from chassis.rulebook import Kind
from services.incentives.application.answers import (
    batch_answer,
    budget_answer,
    case_answer,
    claim_answer,
    line_answer,
    month_answer,
    payment_answer,
    price_answer,
    request_answer,
    reversal_answer,
    share_answer,
    statement_answer,
    tier_answer,
    true_up_answer,
)
from services.incentives.application.sales import (
    ANSWERS_REVERSALS,
    AWARD_EVALUATORS,
    EVALUATORS,
    decide_award,
    decide_fact,
    with_streams,
)
from services.incentives.application.streams import (
    account_stream,
    accruals_and_shares_streams,
    accruing_books_streams,
    approval_stream,
    attention_stream,
    batch_reads,
    batch_stream,
    batch_streams,
    both_accounts_streams,
    budget_stream,
    case_streams,
    claim_and_evidence_streams,
    claim_and_fact_streams,
    claim_and_price_streams,
    claim_request_and_share_streams,
    claim_stream,
    claimed_award_streams,
    closing_reads,
    contradiction_stream,
    disputed_and_window_reads,
    disputed_reads,
    fact_reads,
    fact_streams,
    forfeiture_streams,
    fund_book_streams,
    fund_request_stream,
    gates_streams,
    guarded_batch_streams,
    handed_over_streams,
    meter_reads,
    meter_stream,
    month_before_streams,
    month_stream,
    opened_payee_streams,
    payee_stream,
    payee_streams,
    payment_and_account_streams,
    payment_stream,
    payments_streams,
    pool_and_share_streams,
    rates_stream,
    recognition_stream,
    request_and_share_streams,
    rules_streams,
    sale_stream,
    sent_batch_streams,
    share_and_following_streams,
    special_price_stream,
    tax_stream,
    tier_and_payee_streams,
    tier_book_streams,
    tier_stream,
)
from services.incentives.domain import (
    account,
    accrual,
    approval,
    attention,
    batch,
    budget,
    case,
    claim,
    contradiction,
    disputing,
    forfeiture,
    forgetting,
    fund_request,
    fund_request_commands,
    fund_share,
    line,
    line_dispute,
    merging,
    meter,
    payee,
    payee_commands,
    payment,
    payment_commands,
    recognition,
    settlement,
    special_price,
    tax,
    tier,
)
from services.incentives.domain import books as bookkeeping
from services.incentives.domain.abuse_rules import ABUSES
from services.incentives.domain.books import CURRENCY, AllBooks
from services.incentives.domain.fund import FUNDS
from services.incentives.domain.payment_rules import PAYMENT_RULES
from services.incentives.domain.rating import PLANS
from services.incentives.domain.recognition_rules import RECOGNITIONS
from services.incentives.domain.sale_commands import (
    AdjustLine,
    ConfirmAdjustment,
    DecideSpiffClaim,
    PostponeLine,
    RecordBasis,
    RecordCredit,
    RecordReversal,
    RecordWin,
    ReleaseLine,
    ResolveFact,
)
from services.incentives.domain.telling import back_untold, lowered_untold, untold
from services.incentives.domain.tier_rules import TIERS

KINDS: dict[str, Kind[Any, Any]] = {
    PLANS.name: PLANS,
    PAYMENT_RULES.name: PAYMENT_RULES,
    FUNDS.name: FUNDS,
    TIERS.name: TIERS,
    RECOGNITIONS.name: RECOGNITIONS,
    ABUSES.name: ABUSES,
}


# The table


def _as_now(decide: Callable[..., Any]) -> Callable[..., Any]:
    return decide


SINCE_TOLD = ((1, untold), (2, _as_now))
"""Evaluators of what the others are told more of by the second one."""
SINCE_TOLD_TWICE = ((1, untold), (2, back_untold), (3, _as_now))
SINCE_BACK_TOLD = ((1, back_untold), (2, _as_now))
"""And of what a payment had withheld that is blocked, fails or is declined, by the last one."""


HANDLES = (
    *(
        Handles(
            fact,
            partial(decide_fact, evaluator),
            fact_streams,
            reads=fact_reads,
            prepare=with_streams,
            answer=reversal_answer if fact is RecordReversal and evaluator >= ANSWERS_REVERSALS else no_answer,
            evaluator=evaluator,
        )
        for evaluator in EVALUATORS
        for fact in (RecordWin, RecordBasis, RecordCredit, RecordReversal, ResolveFact)
    ),
    Handles(ReleaseLine, line.release_line, sale_stream, answer=line_answer),
    Handles(PostponeLine, line.postpone_line_paid_or_not, sale_stream, answer=line_answer),
    Handles(PostponeLine, line.postpone_line, sale_stream, reads=payments_streams, answer=line_answer, evaluator=2),
    Handles(AdjustLine, line.adjust_line, sale_stream, answer=line_answer),
    Handles(ConfirmAdjustment, line.confirm_adjustment, sale_stream, answer=line_answer),
    Handles(approval.RecordApproval, approval.record_approval, approval_stream),
    Handles(approval.NameCustomer, approval.name_customer, approval_stream),
    Handles(approval.RecordParty, approval.record_party, approval_stream),
    Handles(approval.RecordDealEnd, approval.record_deal_end, approval_stream),
    Handles(approval.NoteOrder, approval.note_order, approval_stream),
    Handles(bookkeeping.OpenBooks, bookkeeping.open_books, lambda _: (AllBooks.at(CURRENCY),)),
    Handles(bookkeeping.RecordRates, bookkeeping.record_rates_once, rates_stream),
    Handles(bookkeeping.RecordRates, bookkeeping.record_rates, rates_stream, evaluator=2),
    Handles(
        bookkeeping.CloseMonth, bookkeeping.close_month, month_stream, reads=month_before_streams, answer=month_answer
    ),
    Handles(meter.SettleRebate, meter.settle_rebate, meter_stream, reads=meter_reads),
    *(
        Handles(meter.CloseWindow, decision, meter_stream, reads=closing_reads, evaluator=evaluator)
        for evaluator, decision in (
            (1, meter.close_window_by_own_standing),
            (2, meter.close_window_payable_at_once),
            (3, meter.close_window_in_plan_currency),
            (4, meter.close_window),
        )
    ),
    Handles(meter.NoteWindowWaits, meter.note_window_waits, meter_stream),
    Handles(meter.ResumeWindow, meter.resume_window, meter_stream, reads=meter_reads),
    Handles(meter.ReleaseTrueUp, meter.release_true_up, meter_stream),
    Handles(meter.PostponeTrueUp, meter.postpone_held_true_up, meter_stream, answer=true_up_answer),
    Handles(
        meter.PostponeTrueUp,
        meter.postpone_true_up,
        meter_stream,
        reads=payments_streams,
        answer=true_up_answer,
        evaluator=2,
    ),
    Handles(budget.AllocateBudget, budget.allocate_budget, budget_stream, answer=budget_answer),
    Handles(budget.AllocateUnits, budget.allocate_units, budget_stream, answer=budget_answer),
    Handles(budget.ReserveBudget, budget.reserve_budget, budget_stream, answer=budget_answer),
    Handles(budget.UseBudget, budget.use_budget, budget_stream, answer=budget_answer),
    Handles(budget.ReleaseBudget, budget.release_budget, budget_stream, answer=budget_answer),
    Handles(budget.ExpireBudget, budget.expire_budget, budget_stream, answer=budget_answer),
    Handles(
        fund_share.AllocateFund,
        fund_share.allocate_fund,
        pool_and_share_streams,
        reads=fund_book_streams,
        answer=share_answer,
    ),
    *(
        Handles(
            fund_share.ExpireFundShare,
            decision,
            share_and_following_streams,
            reads=fund_book_streams,
            evaluator=evaluator,
        )
        for evaluator, decision in ((1, fund_share.expire_while_in_force), (2, fund_share.expire_fund_share))
    ),
    Handles(accrual.AccrueFunds, accrual.accrue_funds, accruals_and_shares_streams, reads=accruing_books_streams),
    *(
        Handles(
            fund_request_commands.DraftFundRequest,
            decision,
            fund_request_stream,
            answer=request_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, fund_request.draft_fund_request_of_details),
            (2, fund_request.draft_fund_request),
        )
    ),
    *(
        Handles(wish, decision, fund_request_stream, answer=request_answer)
        for wish, decision in (
            (fund_request_commands.RecallFundRequest, fund_request.recall_fund_request),
            (fund_request_commands.RequestExtension, fund_request.request_extension),
        )
    ),
    *(
        Handles(wish, decision, fund_request_stream, reads=fund_book_streams, answer=request_answer)
        for wish, decision in (
            (fund_request_commands.SubmitFundRequest, fund_request.submit_fund_request),
            (fund_request_commands.AmendFundRequest, fund_request.amend_fund_request),
        )
    ),
    *(
        Handles(
            fund_request_commands.DecideFundRequest,
            decision,
            request_and_share_streams,
            reads=fund_book_streams,
            answer=request_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, fund_request.decide_fund_request_unextended),
            (2, fund_request.decide_fund_request_in_force),
            (3, fund_request.decide_fund_request),
        )
    ),
    Handles(
        fund_request_commands.EndFundRequest,
        fund_request.end_fund_request,
        request_and_share_streams,
        answer=request_answer,
    ),
    Handles(fund_request_commands.CheckFundRequest, fund_request.check_fund_request, request_and_share_streams),
    *(
        Handles(claim.DraftClaim, decision, claim_stream, answer=claim_answer, evaluator=evaluator)
        for evaluator, decision in (
            (1, claim.draft_claim_at_any_tax),
            (2, claim.draft_claim_of_many_a_serial),
            (3, claim.draft_claim),
        )
    ),
    *(
        Handles(
            claim.SubmitClaim,
            decision,
            claim_and_evidence_streams,
            reads=claimed_award_streams,
            answer=claim_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, claim.submit_claim_as_written),
            (2, claim.submit_claim_for_ever),
            (3, claim.submit_claim),
        )
    ),
    *(
        Handles(
            DecideSpiffClaim,
            partial(decide_award, evaluator),
            claim_and_fact_streams,
            reads=fact_reads,
            prepare=with_streams,
            answer=claim_answer,
            evaluator=evaluator,
        )
        for evaluator in AWARD_EVALUATORS
    ),
    *(
        Handles(
            claim.DecideFundClaim,
            decision,
            claim_request_and_share_streams,
            reads=fund_book_streams,
            answer=claim_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, claim.decide_fund_claim_together),
            (2, claim.decide_fund_claim_with_all_tax),
            (3, claim.decide_fund_claim_tolerant_again),
            (4, claim.decide_fund_claim_unasked),
            (5, claim.decide_fund_claim_in_force),
            (6, claim.decide_fund_claim),
        )
    ),
    *(
        Handles(
            claim.DecideSpecialPriceClaim,
            decision,
            claim_and_price_streams,
            answer=claim_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, claim.decide_special_price_claim_with_all_tax),
            (2, claim.decide_special_price_claim_unasked),
            (3, claim.decide_special_price_claim_as_written),
            (4, claim.decide_special_price_claim),
        )
    ),
    Handles(claim.SettleClaim, claim.settle_claim, claim_stream),
    Handles(claim.ReleaseInstalments, claim.release_instalments, claim_stream),
    Handles(claim.CreditClaim, claim.credit_claim, claim_stream, answer=claim_answer),
    Handles(
        special_price.GrantSpecialPrice,
        special_price.grant_special_price,
        special_price_stream,
        answer=price_answer,
    ),
    *(
        Handles(
            special_price.EndSpecialPrice,
            decision,
            special_price_stream,
            answer=price_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, special_price.end_special_price_on_any_day),
            (2, special_price.end_special_price),
        )
    ),
    *(
        Handles(
            wish,
            as_then(decision),
            tier_and_payee_streams,
            reads=tier_book_streams,
            answer=tier_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_TOLD
        for wish, decision in (
            (tier.RecordTierMetric, tier.record_tier_metric_of_named_levels),
            (tier.EvaluateTier, tier.evaluate_tier_of_named_levels),
            (tier.DecideTierReview, tier.decide_tier_review_at_any_time),
        )
    ),
    *(
        Handles(
            tier.OverrideTier,
            as_then(tier.override_tier),
            tier_and_payee_streams,
            reads=tier_book_streams,
            answer=tier_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in ((1, untold), (2, lowered_untold), (3, _as_now))
    ),
    *(
        Handles(
            wish, decision, tier_and_payee_streams, reads=tier_book_streams, answer=tier_answer, evaluator=evaluator
        )
        for wish, third, fourth in (
            (tier.RecordTierMetric, tier.record_tier_metric_as_divided, tier.record_tier_metric),
            (tier.EvaluateTier, tier.evaluate_tier_as_divided, tier.evaluate_tier),
            (tier.DecideTierReview, tier.decide_tier_review_as_divided, tier.decide_tier_review),
        )
        for evaluator, decision in ((3, third), (4, fourth))
    ),
    Handles(recognition.RecordAchievement, recognition.record_achievement, recognition_stream, reads=rules_streams),
    Handles(recognition.TakeBackAchievement, recognition.take_back_achievement, recognition_stream),
    Handles(recognition.ShareRecognition, recognition.share_recognition, recognition_stream),
    *(
        Handles(
            forfeiture.ForfeitBalance,
            as_then(forfeiture.forfeit_balance),
            forfeiture_streams,
            reads=gates_streams,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_BACK_TOLD
    ),
    *(
        Handles(case.LookForAbuse, decision, case_streams, reads=rules_streams, evaluator=evaluator)
        for evaluator, decision in ((1, case.look_for_abuse_once), (2, case.look_for_abuse))
    ),
    Handles(contradiction.OpenContradictionCase, contradiction.open_contradiction_case, contradiction_stream),
    Handles(attention.SettleAttentions, attention.settle_attentions, attention_stream),
    Handles(attention.AskForAttention, attention.ask, attention_stream),
    Handles(attention.AskForAttentionAgain, attention.ask_again, attention_stream),
    *(
        Handles(case.CloseCase, decision, case_streams, answer=case_answer, evaluator=evaluator)
        for evaluator, decision in ((1, case.close_case_as_named), (2, case.close_case))
    ),
    Handles(tier.AppealTier, tier.appeal_tier, tier_stream, answer=tier_answer),
    Handles(tier.AnswerTierAppeal, tier.answer_tier_appeal, tier_stream, answer=tier_answer),
    Handles(payee_commands.RecordStanding, payee.record_standing, payee_stream),
    Handles(payee_commands.RecordCertified, payee.record_certified, payee_stream),
    Handles(payee_commands.OpenPayee, payee.open_payee, opened_payee_streams),
    Handles(payee_commands.ChangeBankDetails, payee.change_bank_details, payee_streams),
    Handles(payee_commands.VerifyBankDetails, payee.verify_bank_details, payee_streams),
    Handles(payee_commands.SubmitTaxForm, payee.submit_tax_form, payee_streams),
    Handles(payee_commands.DecideTaxForm, payee.decide_tax_form, payee_streams),
    Handles(payee_commands.ConsentToPerson, payee.consent_to_person, payee_streams),
    Handles(payee_commands.EmployPerson, payee.employ_person, payee_streams),
    Handles(payee_commands.LetPersonGo, payee.let_person_go, payee_streams),
    Handles(payee_commands.BlockPayee, payee.block_payee, payee_streams),
    Handles(payee_commands.UnblockPayee, payee.unblock_payee, payee_streams),
    Handles(payee_commands.ForgetPayee, forgetting.forget_payee, payee_streams),
    Handles(tax.RemitTax, tax.remit_tax, tax_stream),
    Handles(payee_commands.SetPayoutCurrency, payee.set_payout_currency, payee_streams),
    Handles(account.ScheduleStatement, account.schedule_statement, account_stream),
    Handles(line_dispute.DisputeLine, disputing.dispute_line_to_be_decided_at_once, account_stream),
    *(
        Handles(line_dispute.DisputeLine, decision, account_stream, reads=rules_streams, evaluator=evaluator)
        for evaluator, decision in ((2, disputing.dispute_line_of_statement), (3, disputing.dispute_line))
    ),
    Handles(line_dispute.DecideDispute, disputing.decide_dispute_at_once, account_stream),
    *(
        Handles(line_dispute.DecideDispute, decision, account_stream, reads=disputed_reads, evaluator=evaluator)
        for evaluator, decision in (
            (2, disputing.decide_dispute_untold),
            (3, disputing.decide_dispute_but_of_windows),
        )
    ),
    Handles(
        line_dispute.DecideDispute,
        disputing.decide_dispute,
        account_stream,
        reads=disputed_and_window_reads,
        evaluator=4,
    ),
    *(
        Handles(wish, decision, account_stream, reads=rules_streams)
        for wish, decision in (
            (line_dispute.ShowDisputeEvidence, disputing.show_dispute_evidence),
            (line_dispute.HearDispute, disputing.hear_dispute),
            (line_dispute.AppealDispute, disputing.appeal_dispute),
            (line_dispute.RemindCorrection, disputing.remind_correction),
        )
    ),
    *(
        Handles(line_dispute.RequestDisputeEvidence, decision, account_stream, reads=rules_streams, evaluator=evaluator)
        for evaluator, decision in (
            (1, disputing.request_dispute_evidence_of_partner),
            (2, disputing.request_dispute_evidence),
        )
    ),
    Handles(line_dispute.ConcludeDispute, disputing.conclude_dispute_untold, account_stream),
    Handles(line_dispute.ConcludeDispute, disputing.conclude_dispute, account_stream, reads=rules_streams, evaluator=2),
    Handles(line_dispute.NoteCorrected, disputing.note_corrected, account_stream),
    Handles(line_dispute.WithdrawDispute, disputing.withdraw_dispute, account_stream),
    Handles(account.WriteOffNegative, account.write_off_negative, account_stream),
    *(
        Handles(
            payment_commands.AttachInvoice,
            decision,
            payment_and_account_streams,
            answer=payment_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, payment.attach_invoice_once),
            (2, payment.attach_invoice_untaxed),
            (3, payment.attach_invoice),
        )
    ),
    Handles(batch.PrepareBatch, batch.prepare_batch, batch_stream, reads=payments_streams, answer=batch_answer),
    *(
        Handles(
            batch.ApproveBatch,
            as_then(batch.approve_batch),
            batch_streams,
            reads=batch_reads,
            answer=batch_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_TOLD_TWICE
    ),
    *(
        Handles(
            batch.SendBatch,
            as_then(batch.send_batch_looked_up),
            batch_streams,
            reads=batch_reads,
            answer=batch_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_BACK_TOLD
    ),
    Handles(
        batch.SendBatch,
        batch.send_batch_unguarded,
        sent_batch_streams,
        reads=batch_reads,
        answer=batch_answer,
        evaluator=3,
    ),
    Handles(
        batch.SendBatch,
        batch.send_batch,
        guarded_batch_streams,
        reads=rules_streams,
        answer=batch_answer,
        evaluator=4,
    ),
    Handles(batch.CloseBatch, batch.close_batch, batch_stream, reads=payments_streams, answer=batch_answer),
    Handles(settlement.LetPayeeLeave, settlement.let_payee_leave, payee_stream),
    Handles(settlement.KeepPayee, settlement.keep_payee, payee_stream),
    Handles(settlement.SettlePartner, settlement.settle_partner, payee_stream),
    Handles(settlement.NoteSettledByHand, settlement.note_settled_by_hand, payee_stream),
    Handles(merging.MergePayee, merging.merge_payee, payee_stream),
    Handles(merging.UnmergePayee, merging.unmerge_payee, payee_stream),
    Handles(merging.TransferBalance, merging.transfer_balance, both_accounts_streams, reads=payee_streams),
    Handles(payee_commands.SuspendPayee, payee.suspend_payee, opened_payee_streams),
    Handles(payee_commands.ReinstatePayee, payee.reinstate_payee, opened_payee_streams),
    Handles(account.IssueStatement, account.issue_statement, account_stream, answer=statement_answer),
    *(
        Handles(
            payment_commands.ProposePayment,
            decision,
            payment_and_account_streams,
            reads=rules_streams,
            answer=payment_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in (
            (1, payment.propose_payment_together),
            (2, payment.propose_payment_alone),
            (3, payment.propose_payment_for_all),
            (4, payment.propose_payment),
        )
    ),
    *(
        Handles(
            payment_commands.ApprovePayment,
            as_then(payment.approve_payment),
            payment_stream,
            reads=gates_streams,
            answer=payment_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_TOLD_TWICE
    ),
    Handles(
        payment_commands.ResumePayment,
        payment.resume_payment,
        payment_stream,
        reads=gates_streams,
        answer=payment_answer,
    ),
    *(
        Handles(
            payment_commands.SubmitPayment,
            as_then(payment.submit_payment_looked_up),
            payment_stream,
            reads=gates_streams,
            answer=payment_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_BACK_TOLD
    ),
    Handles(
        payment_commands.SubmitPayment,
        payment.submit_payment_unguarded,
        payment_and_account_streams,
        reads=gates_streams,
        answer=payment_answer,
        evaluator=3,
    ),
    Handles(
        payment_commands.SubmitPayment,
        payment.submit_payment,
        handed_over_streams,
        reads=rules_streams,
        answer=payment_answer,
        evaluator=4,
    ),
    *(
        Handles(
            payment_commands.ReportOutcome,
            as_then(payment.report_outcome),
            payment_and_account_streams,
            answer=payment_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_TOLD_TWICE
    ),
    Handles(payment_commands.NoteUnreported, payment.note_unreported, payment_stream),
    Handles(payment_commands.RetryPayment, payment.retry_payment, payment_stream, answer=payment_answer),
    *(
        Handles(
            payment_commands.DeclinePayment,
            as_then(payment.decline_payment),
            payment_and_account_streams,
            answer=payment_answer,
            evaluator=evaluator,
        )
        for evaluator, as_then in SINCE_BACK_TOLD
    ),
)

"""The streams that a command writes and reads."""

from typing import Any

from chassis.rulebook import Rules
from services.incentives.application.sales import FactCommand
from services.incentives.domain import accrual, case, claim, forfeiture, fund_share, merging, tax
from services.incentives.domain.account import Accounts
from services.incentives.domain.approval import Approvals
from services.incentives.domain.attention import AskForAttention, AskForAttentionAgain, Attentions, SettleAttentions
from services.incentives.domain.batch import Batches
from services.incentives.domain.books import AllBooks, month_before, month_name
from services.incentives.domain.budget import Budgets
from services.incentives.domain.claim import Claims
from services.incentives.domain.contradiction import OpenContradictionCase
from services.incentives.domain.evidence import AllEvidence
from services.incentives.domain.fund import next_period
from services.incentives.domain.fund_request import FundRequests
from services.incentives.domain.fund_share import pool_id, share_id
from services.incentives.domain.line_dispute import DecideDispute
from services.incentives.domain.meter import Meters
from services.incentives.domain.payee import Payees
from services.incentives.domain.payment import Payments
from services.incentives.domain.recognition import Recognitions, recognition_id
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import DecideSpiffClaim
from services.incentives.domain.special_price import SpecialPrices
from services.incentives.domain.tier import Tiers, tier_id

# Facts of sales: which plans may rate them and which streams they move is looked up before they are decided


def fact_streams(wish: FactCommand) -> tuple[Any, ...]:
    return (
        Sales.at(wish.opportunity_id),
        tuple(Meters.at(meter) for meter in wish.meter_ids),
        tuple(Budgets.at(budget) for budget in wish.looked_up.budget_ids),
    )


def fact_reads(wish: FactCommand) -> tuple[Any, ...]:
    return (
        tuple(Rules.at(plan_id) for plan_id in wish.plan_ids),
        tuple(Payees.at(payee_id) for payee_id in wish.looked_up.payee_ids),
    )


# The table


def sale_stream(wish: Any) -> tuple[Any, ...]:
    return (Sales.at(wish.opportunity_id),)


def approval_stream(wish: Any) -> tuple[Any, ...]:
    return (Approvals.at(wish.registration_id),)


def rates_stream(wish: Any) -> tuple[Any, ...]:
    return (AllBooks.at(month_name(wish.on)),)


def month_stream(wish: Any) -> tuple[Any, ...]:
    return (AllBooks.at(wish.month),)


def month_before_streams(wish: Any) -> tuple[Any, ...]:
    return (AllBooks.at(month_before(wish.month)),)


def meter_stream(wish: Any) -> tuple[Any, ...]:
    return (Meters.at(wish.meter_id),)


def meter_reads(wish: Any) -> tuple[Any, ...]:
    return ((Rules.at(wish.plan_id),), Payees.at(wish.payee_id))


def closing_reads(wish: Any) -> tuple[Any, ...]:
    return *meter_reads(wish), tuple(Payees.at(payee_id) for payee_id in wish.survivor_ids)


def budget_stream(wish: Any) -> tuple[Any, ...]:
    return (Budgets.at(wish.budget_id),)


def payee_stream(wish: Any) -> tuple[Any, ...]:
    return (Payees.at(wish.partner_id),)


def tax_stream(wish: Any) -> tuple[Any, ...]:
    return (tax.Taxes.at(wish.tax_id),)


def account_stream(wish: Any) -> tuple[Any, ...]:
    return (Accounts.at(wish.account_id),)


def disputed_reads(wish: DecideDispute) -> tuple[Any, ...]:
    return (
        tuple(Sales.at(opportunity_id) for opportunity_id in wish.sale_ids),
        tuple(Claims.at(claim_id) for claim_id in wish.claim_ids),
        tuple(Payments.at(payment_id) for payment_id in wish.payment_ids),
        *rules_streams(wish),
    )


def disputed_and_window_reads(wish: DecideDispute) -> tuple[Any, ...]:
    sales, claims, payments, rules = disputed_reads(wish)
    return sales, claims, payments, tuple(Meters.at(meter_id) for meter_id in wish.meter_ids), rules


def both_accounts_streams(wish: merging.TransferBalance) -> tuple[Any, ...]:
    return Accounts.at(wish.account_id), Accounts.at(wish.to_account_id)


def payment_stream(wish: Any) -> tuple[Any, ...]:
    return (Payments.at(wish.payment_id),)


def payment_and_account_streams(wish: Any) -> tuple[Any, ...]:
    return Payments.at(wish.payment_id), Accounts.at(wish.account_id)


def gates_streams(wish: Any) -> tuple[Any, ...]:
    return Payees.at(wish.payee_id), rules_streams(wish)[0]


def rules_streams(wish: Any) -> tuple[Any, ...]:
    return (tuple(Rules.at(rulebook_id) for rulebook_id in wish.rules),)


def payee_streams(wish: Any) -> tuple[Any, ...]:
    return (Payees.at(wish.payee_id),)


def opened_payee_streams(wish: Any) -> tuple[Any, ...]:
    return (Payees.at(wish.payee_id or wish.partner_id),)


def batch_streams(wish: Any) -> tuple[Any, ...]:
    return Batches.at(wish.batch_id), tuple(Payments.at(payment_id) for payment_id in wish.payment_ids)


def sent_batch_streams(wish: Any) -> tuple[Any, ...]:
    return *batch_streams(wish), tuple(Accounts.at(account_id) for account_id in wish.account_ids)


def handed_over_streams(wish: Any) -> tuple[Any, ...]:
    return *payment_and_account_streams(wish), Payees.at(wish.payee_id)


def guarded_batch_streams(wish: Any) -> tuple[Any, ...]:
    return *sent_batch_streams(wish), tuple(Payees.at(payee_id) for payee_id in wish.payee_ids)


def batch_reads(wish: Any) -> tuple[Any, ...]:
    return tuple(Payees.at(payee_id) for payee_id in wish.payee_ids), rules_streams(wish)[0]


def batch_stream(wish: Any) -> tuple[Any, ...]:
    return (Batches.at(wish.batch_id),)


def payments_streams(wish: Any) -> tuple[Any, ...]:
    return (tuple(Payments.at(payment_id) for payment_id in wish.payment_ids),)


def fund_book_streams(wish: Any) -> tuple[Any, ...]:
    return (Rules.at(wish.fund_id),)


def pool_and_share_streams(wish: fund_share.AllocateFund) -> tuple[Any, ...]:
    share = share_id(wish.fund_id, wish.period, wish.partner_id)
    return Budgets.at(pool_id(wish.fund_id, wish.period)), Budgets.at(share)


def share_and_following_streams(wish: fund_share.ExpireFundShare) -> tuple[Any, ...]:
    following = next_period(wish.period)
    return tuple(Budgets.at(share_id(wish.fund_id, one, wish.partner_id)) for one in (wish.period, following))


def accruals_and_shares_streams(wish: accrual.AccrueFunds) -> tuple[Any, ...]:
    return (
        tuple(accrual.Accruals.at(accrual.accrual_id(one.fund_id, one.partner_id)) for one in wish.shares),
        tuple(Budgets.at(share_id(one.fund_id, one.period, one.partner_id)) for one in wish.shares),
    )


def accruing_books_streams(wish: accrual.AccrueFunds) -> tuple[Any, ...]:
    return (tuple(Rules.at(one.fund_id) for one in wish.shares),)


def fund_request_stream(wish: Any) -> tuple[Any, ...]:
    return (FundRequests.at(wish.fund_request_id),)


def request_and_share_streams(wish: Any) -> tuple[Any, ...]:
    return FundRequests.at(wish.fund_request_id), Budgets.at(wish.budget_id)


def claim_stream(wish: Any) -> tuple[Any, ...]:
    return (Claims.at(wish.claim_id),)


def claim_and_evidence_streams(wish: claim.SubmitClaim) -> tuple[Any, ...]:
    return (
        Claims.at(wish.claim_id),
        tuple(FundRequests.at(request_id) for request_id in wish.request_ids),
        tuple(AllEvidence.at(one) for one in (*wish.evidence_ids, *(wish.withdrawn_ids or ()))),
    )


def claim_request_and_share_streams(wish: claim.DecideFundClaim) -> tuple[Any, ...]:
    return Claims.at(wish.claim_id), *request_and_share_streams(wish)


def claim_and_price_streams(wish: claim.DecideSpecialPriceClaim) -> tuple[Any, ...]:
    return Claims.at(wish.claim_id), SpecialPrices.at(wish.special_price_id)


def claim_and_fact_streams(wish: DecideSpiffClaim) -> tuple[Any, ...]:
    return Claims.at(wish.claim_id), *fact_streams(wish)


def claimed_award_streams(wish: claim.SubmitClaim) -> tuple[Any, ...]:
    return (
        tuple(Sales.at(opportunity_id) for opportunity_id in wish.sale_ids),
        tuple(Rules.at(plan_id) for plan_id in wish.plan_ids),
    )


def special_price_stream(wish: Any) -> tuple[Any, ...]:
    return (SpecialPrices.at(wish.special_price_id),)


def tier_stream(wish: Any) -> tuple[Any, ...]:
    return (Tiers.at(tier_id(wish.programme, wish.partner_id)),)


def tier_and_payee_streams(wish: Any) -> tuple[Any, ...]:
    return *tier_stream(wish), Payees.at(wish.partner_id)


def tier_book_streams(wish: Any) -> tuple[Any, ...]:
    return (Rules.at(wish.programme),)


def forfeiture_streams(wish: forfeiture.ForfeitBalance) -> tuple[Any, ...]:
    return forfeiture.Forfeitures.at(wish.payment_id), *payment_and_account_streams(wish)


def case_streams(wish: case.LookForAbuse | case.CloseCase) -> tuple[Any, ...]:
    sales = tuple(Sales.at(opportunity_id) for opportunity_id in case.sales_of(wish.lines))
    return case.Cases.at(wish.case_id), sales, Payees.at(wish.payee_id)


def contradiction_stream(wish: OpenContradictionCase) -> tuple[Any, ...]:
    return (case.Cases.at(wish.case_id),)


def attention_stream(wish: SettleAttentions | AskForAttention | AskForAttentionAgain) -> tuple[Any, ...]:
    return (Attentions.at(wish.subject),)


def recognition_stream(wish: Any) -> tuple[Any, ...]:
    return (Recognitions.at(recognition_id(wish.payee_id, wish.year)),)

"""Incentives: what partners earn and are owed.

Owns: plans (rules of kind `plan`), sales and their earning lines, meters and rebates, budgets, the ledger and its
books, statements, payments, payees.
Publishes: PayoutCalculated, PayoutReversed, PayoutReleased, PayoutPostponed, PayoutAdjusted, SpiffAwarded,
RebateAccrued, StatementIssued, PaymentApproved, PaymentBlocked, PaymentDeclined, PaymentMade, PaymentFailed,
PeriodClosed, AttentionRaised, AttentionCleared, and the rules' RulesPublished and RulesEnded.
Listens to: DealWon, CreditAllocated, RevenueReversed (attribution); DealApproved (registration); PartnerActivated,
PartnerProfileChanged, PartnerSuspended, PartnerReinstated (onboarding); TenantOpened (gateway).
"""

"""Incentives: what partners earn and are owed.

Owns: plans (rules of kind `plan`), sales and their earning lines, meters, the ledger, statements, payments, payees.
Publishes: PayoutCalculated, PayoutReversed, PayoutReleased, StatementIssued, PaymentApproved, PaymentBlocked,
PaymentDeclined, PaymentMade, PaymentFailed, and the rules' RulesPublished and RulesEnded.
Listens to: DealWon, CreditAllocated, RevenueReversed (attribution); PartnerActivated, PartnerSuspended,
PartnerReinstated (onboarding).
"""

"""Incentives: what partners earn and are owed.

Owns: plans (rules of kind `plan`), payment rules, sales and their earning lines, meters and rebates, budgets, funds (rules
of kind `fund`) with their requests and claims, special prices, tiers (rules of kind `tier`), recognition (rules of kind
`recognition`), cases of possible abuse (rules of kind `abuse`), the ledger and its books, statements, payments and their
batches, payees.
Publishes: PayoutCalculated, PayoutReversed, PayoutReleased, PayoutPostponed, PayoutAdjusted, SpiffAwarded,
RebateAccrued, StatementIssued, LineDisputeDecided, PaymentApproved, PaymentBlocked, PaymentDeclined, PaymentMade, PaymentFailed,
PeriodClosed, BankDetailsChanged, PartnerSettled, FundAllocated, FundRequestDecided, FundClaimDue,
FundClaimDecided, FundReimbursed, SpecialPriceDecided, TierChanged, TierReviewOpened, RecognitionAwarded,
RecognitionRevoked, AttentionRaised, AttentionCleared, and the rules' RulesPublished and RulesEnded.
Listens to: OpportunityLinked, DealStageChanged, DealWon, DealLost, CreditAllocated, RevenueReversed (attribution);
DealRegistered, DealApproved, DealAmended, DealRejected, DealWithdrawn, DealRevoked, ParticipantJoined, ParticipantLeft,
LeadConverted, OrderRecorded (registration);
PartnerActivated, PartnerProfileChanged, PartnerSuspended, PartnerReinstated, OffboardingStarted, OffboardingCancelled,
PartnerOffboarded, PartnersMerged, PartnersUnmerged, MembershipStarted, MembershipEnded, PersonForgotten,
CertifiedCountChanged (onboarding); TenantOpened (gateway).
"""

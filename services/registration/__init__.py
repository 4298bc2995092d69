"""Registration: which partner may work on which customer, until when, and why.

Owns deals, end customers (accounts), and partners' claims on them.
Publishes DealRegistered, DealReturned, DealResubmitted, DealQueued, DealPromoted, DealApproved, DealRejected,
DealAmended, DealRevoked, DealWithdrawn, ProtectionExtended, ProtectionEnded, ConflictDetected, OrderRecorded, ReviewOverdue,
AttentionRaised, AttentionCleared, RulesPublished, RulesEnded.
Listens to onboarding (PartnerActivated, PartnerProfileChanged, PartnerSuspended, PartnerReinstated) and attribution
(OpportunityMirrored, DealStageChanged, DealWon, DealLost).
"""

"""Registration: which partner may work on which customer, until when, and why.

Owns leads, deals, disputes, end customers (accounts), what the vendor keeps for itself, partners'
claims on customers, and who takes part in whose deal.
Publishes LeadSubmitted, LeadAssigned, LeadAccepted, LeadDeclined, LeadReturned, LeadConverted, LeadClosed,
DealRegistered, DealReturned, DealResubmitted, DealQueued, DealPromoted, DealApproved, DealRejected,
DealAmended, DealRevoked, DealWithdrawn, ProtectionExtended, ProtectionEnded, ParticipantJoined, ParticipantLeft,
ConflictDetected, OrderRecorded, ReviewOverdue, DisputeOpened, DisputeDecided, AccountsMerged, AccountsSplit,
AttentionRaised, AttentionCleared, RulesPublished, RulesEnded.
Listens to onboarding (PartnerActivated, PartnerProfileChanged, PartnerSuspended, PartnerReinstated,
OffboardingStarted, OffboardingCancelled, PartnerOffboarded, PartnersMerged, PartnersUnmerged,
AuthorisationGranted, AuthorisationEnded, AgreementSigned, AgreementLapsed, CertifiedCountChanged), incentives
(TierChanged) and attribution (OpportunityMirrored, OpportunityLinked, DealStageChanged, DealWon, DealLost,
IncumbentChanged).
"""

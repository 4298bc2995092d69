"""Attribution: which sale is whose, and by how much.

Owns the mirror of the CRM's opportunities, touches, and credit: who is credited for a sale, in percent, and why.
Publishes OpportunityLinked, DealStageChanged, DealWon, DealLost, RevenueReversed, TouchRecorded, CreditAllocated,
IncumbentChanged, RulesPublished, RulesEnded.
Listens to registration (DealApproved, DealAmended, DealWithdrawn, ParticipantJoined, ProtectionEnded), onboarding
(PartnersMerged, PartnersUnmerged) and, over `CrmPort`, to the CRM.
"""

"""Onboarding owns who the partners are: applications, partners and their state, people, memberships, certificates.

Publishes: PartnerApplied, PartnerDeclined, PartnerActivated, PartnerProfileChanged, PartnerSuspended, PartnerReinstated,
OffboardingStarted, OffboardingCancelled, PartnerOffboarded, PartnersMerged, PartnersUnmerged, MembershipStarted,
MembershipEnded, PersonForgotten, CertificationEarned, CertificationLapsed, CertifiedCountChanged, RulesPublished,
RulesEnded.
Listens to: PartnerSettled (incentives).
"""

"""Onboarding owns who the partners are: applications and their screening, partners and their state, people and memberships.

Publishes: PartnerApplied, PartnerDeclined, PartnerActivated, PartnerProfileChanged, PartnerSuspended, PartnerReinstated,
OffboardingStarted, OffboardingCancelled, PartnerOffboarded, MembershipStarted, MembershipEnded, PersonForgotten,
RulesPublished, RulesEnded.
Listens to: PartnerSettled (incentives).
"""

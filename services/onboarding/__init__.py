"""Onboarding owns who the partners are: applications and their screening, partners and their state, people and memberships.

Publishes: PartnerApplied, PartnerDeclined, PartnerActivated, PartnerProfileChanged, PartnerSuspended, PartnerReinstated,
MembershipStarted, MembershipEnded, PersonForgotten, RulesPublished, RulesEnded. Listens to nobody.
"""

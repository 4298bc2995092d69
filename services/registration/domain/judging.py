"""Which version of a programme's rules judges a deal: the one in force at its first submission, throughout."""

from datetime import datetime

from chassis.rulebook import Rulebook, Version
from contracts.values import RuleRef
from services.registration.domain.deal import Deal, NoRules
from services.registration.domain.rules import DealRules
from services.registration.domain.screening import DEAL_RULES


def in_force(book: Rulebook, now: datetime) -> Version:
    """The version that judges what is submitted now. Raises NoRules."""
    version = book.in_force(now)
    if version is None:
        raise NoRules
    return version


def judging(deal: Deal, book: Rulebook) -> Version:
    """The version under which the deal was submitted. Raises NoRules."""
    version = book.version(deal.first.terms.rules.version)
    if version is None:
        raise NoRules
    return version


def rules_of(deal: Deal, book: Rulebook) -> DealRules:
    """The rules under which the deal was submitted."""
    return DEAL_RULES.read(judging(deal, book).body)


def reference(version: Version) -> RuleRef:
    """The version as events name it."""
    return RuleRef(rulebook_id=version.rulebook_id, version=version.version, sha256=version.sha256)

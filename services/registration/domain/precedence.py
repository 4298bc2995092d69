"""Who comes first of those who want the same: the policies of the rules, one after the other, until one names a winner.

Each policy gives every claim a place; the places of several are compared in the order of the list. What comes after a
policy that lets nobody be ahead is not asked. Pure.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from services.registration.domain.claim import Claim, Won
from services.registration.domain.overlap import RENEWAL, overlap
from services.registration.domain.rules import (
    CUSTOMER_CHOICE,
    FIRST_TO_REGISTER,
    INCUMBENT_ON_RENEWAL,
    MOST_EVIDENCE,
    OPEN_TO_ALL,
)

LETTER = "letter"
WEIGHTS = {"letter": 8, "mail": 4, "meeting": 2, "note": 1}


def places(claim: Claim, position: int, policies: Sequence[str], incumbents: Sequence[Won], today: date) -> list[int]:
    """The claim's place under each policy in turn, smaller is better. Position is its place in line, from 0."""
    return list(_places(claim, position, policies, incumbents, today))


def _places(
    claim: Claim, position: int, policies: Sequence[str], incumbents: Sequence[Won], today: date
) -> Iterator[int]:
    for policy in policies:
        match policy:
            case _ if policy in OPEN_TO_ALL:
                return
            case _ if policy == FIRST_TO_REGISTER:
                yield position
            case _ if policy == INCUMBENT_ON_RENEWAL:
                yield 0 if _incumbent(claim, incumbents, today) else 1
            case _ if policy == CUSTOMER_CHOICE:
                yield -_newest_letter(claim, today)
            case _ if policy == MOST_EVIDENCE:
                yield -sum(WEIGHTS.get(one.kind, 0) for one in claim.evidence)


def _incumbent(claim: Claim, incumbents: Sequence[Won], today: date) -> bool:
    """Whether its partner renews what it won here before, as the last that was won or told of it says."""
    if claim.reach.deal_type != RENEWAL:
        return False
    won = [one for one in incumbents if overlap(one.reach, claim.reach).product]
    return bool(won) and won[-1].whose == claim.whose and won[-1].counts_on(today)


def _newest_letter(claim: Claim, today: date) -> int:
    """The day of its newest letter of the customer that is not too old, as a number; 0 without one."""
    oldest = today - timedelta(days=claim.letter_days)
    days = [one.dated_on for one in claim.evidence if one.kind == LETTER and oldest <= one.dated_on <= today]
    return max((day.toordinal() for day in days), default=0)


def path(one: Sequence[int], other: Sequence[int], policies: Sequence[str]) -> str | None:
    """The first policy under which the two places differ; None where nobody is ahead of the other."""
    return next((policy for a, b, policy in zip(one, other, policies, strict=False) if a != b), None)

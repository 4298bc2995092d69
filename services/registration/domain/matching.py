"""How likely two names are one customer. Keys decide identity; a name only asks for a look.

Names are compared by a library before the command is made; what it measured comes here as a `Candidate`.
"""

from chassis.event import LEFT_OUT, LeftOut, frozen
from contracts.values import AccountId
from services.registration.domain.rules import Matching

IDENTICAL, RELATED, PROBABLE, POSSIBLE, WEAK = "identical", "related", "probable", "possible", "weak"
STRENGTH = (IDENTICAL, RELATED, PROBABLE, POSSIBLE, WEAK)
DECIDE_FIRST = (RELATED, PROBABLE)
"""Findings of these classes are decided by a person before an approval."""


@frozen
class IndexSeen:
    """The index of customers as a look asked it: the version of its method, and up to where it had read the log."""

    version: int
    position: int


@frozen
class Candidate:
    """Another account that may be the same customer, with what was measured: scores in whole percent, rounded down.

    Link: alias, parent, shared_key, contradicted_domain or unchecked_number (the same number, of a kind that nobody can
    check), where one is known. `same_phone` is left out where it is not so, and in what was measured before it was looked at.
    """

    account_id: AccountId
    name: str
    country: str
    same_country: bool
    token_set_percent: int = 0
    token_sort_percent: int = 0
    same_address: bool = False
    link: str | None = None
    same_phone: bool | LeftOut = LEFT_OUT


@frozen
class Finding:
    """A candidate with its class."""

    candidate: Candidate
    match: str

    @property
    def told(self) -> str:
        """The class as a partner is told it: a telephone number that is the same would tell whom its rival named."""
        by_phone_alone = self.match == PROBABLE and not self.candidate.same_address
        return POSSIBLE if by_phone_alone else self.match


def classify(candidate: Candidate, rules: Matching) -> str | None:
    """The first class whose evidence is there; None when the two have nothing in common.

    A telephone number makes nothing a finding that is none without it: that there is one is told to the partner.
    """
    if candidate.link:
        return RELATED
    alike = candidate.token_set_percent >= rules.possible_percent
    at_one_place = candidate.same_address or (candidate.same_phone and alike)
    if candidate.same_country and at_one_place and candidate.token_sort_percent >= rules.probable_percent:
        return PROBABLE
    if alike:
        return POSSIBLE if candidate.same_country else WEAK
    return None


def find(candidates: tuple[Candidate, ...], rules: Matching) -> tuple[Finding, ...]:
    """The candidates that matter, strongest class first, then by score."""
    classed = ((candidate, classify(candidate, rules)) for candidate in candidates)
    found = [Finding(candidate=candidate, match=match) for candidate, match in classed if match]
    return tuple(sorted(found, key=_strongest_first))


def _strongest_first(finding: Finding) -> tuple[int, int, str]:
    return STRENGTH.index(finding.match), -finding.candidate.token_set_percent, finding.candidate.account_id

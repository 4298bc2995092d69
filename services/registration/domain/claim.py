"""One deal's claim on a customer, as it stands in line with the others."""

from dataclasses import field
from datetime import date, datetime

from chassis.event import LEFT_OUT, LeftOut, frozen
from contracts.values import PartnerId, RegistrationId, Span
from services.registration.domain.overlap import Reach, overlap

PENDING, WAITING, HELD, CONTESTED = "pending", "waiting", "held", "contested"
HOLDING = (HELD, CONTESTED)


@frozen
class Proof:
    """What a document counts for in line. Kind: letter, mail, meeting, note."""

    kind: str
    dated_on: date


@frozen
class Alias:
    """A partner that became one with another one, and the one as which it counts."""

    partner_id: PartnerId
    counts_as: PartnerId


NOBODY = PartnerId("")
"""The incumbent where the vendor said that there is none: no partner has this id."""


@frozen
class Won:
    """A partner won this here, or attribution told so of what was before: it is the incumbent when that is renewed.

    As whom it counts by now makes it no other one: a split finds it again among those that came with a merge. What was
    told may name its last day, `until_on`, and has its place in attribution's log.
    """

    partner_id: PartnerId
    reach: Reach
    counts_as: PartnerId | LeftOut = field(default=LEFT_OUT, compare=False)
    until_on: date | LeftOut = LEFT_OUT
    source_position: int | LeftOut = LEFT_OUT

    @property
    def whose(self) -> PartnerId:
        return self.counts_as or self.partner_id

    def counts_on(self, day: date) -> bool:
        """Whether it is not over by then."""
        return not self.until_on or day <= self.until_on


@frozen
class Claim:
    """One deal's live claim: pending (in review), waiting (behind a rival), held (protected) or contested.

    Contested: two accounts that both had a holder turned out to be one, so that two rivals hold the same. Neither lost
    anything; a dispute decides. `deal_id` is that of a participant's claim, which is named by its invitation: it stands
    as long as the hold of the deal that it was invited to. `counts_as` is the partner that its own one is one with.
    """

    registration_id: RegistrationId
    partner_id: PartnerId
    reach: Reach
    priority: str
    priorities: tuple[str, ...] = ()
    letter_days: int = 90
    evidence: tuple[Proof, ...] = ()
    state: str = PENDING
    submitted_at: datetime
    protection: Span | None = None
    exclusive: bool = True
    deal_id: RegistrationId | LeftOut = LEFT_OUT
    counts_as: PartnerId | LeftOut = LEFT_OUT

    @property
    def whose(self) -> PartnerId:
        """The partner that asks or holds: of two that became one, the one that goes on."""
        return self.counts_as or self.partner_id

    @property
    def deal(self) -> RegistrationId:
        """The deal that it is of: its own, or the one whose participant it is."""
        return self.deal_id or self.registration_id

    @property
    def policies(self) -> tuple[str, ...]:
        """The priority policies of its rules, the first one first."""
        return self.priorities or (self.priority,)

    def holds(self, now: datetime) -> bool:
        """Whether it binds rivals at `now`: a hold whose end has passed binds nobody."""
        return self.exclusive and self.protected(now)

    def protected(self, now: datetime) -> bool:
        """Whether its partner may work on the customer at `now`, alone or beside others."""
        return self.state in HOLDING and self.protection is not None and now < self.protection.end

    def lapsed(self, now: datetime) -> bool:
        """Whether it was held, and the end of that has passed."""
        return self.state in HOLDING and not self.protected(now)

    def rivals(self, other: "Claim") -> bool:
        """Whether two partners want the same thing, other than together, in one deal."""
        return self.whose != other.whose and self.deal != other.deal and self.meets(other)

    def meets(self, other: "Claim") -> bool:
        """Whether both ask for the same thing."""
        return overlap(self.reach, other.reach).complete

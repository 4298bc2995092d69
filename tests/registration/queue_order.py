"""The order of the queue told a second time, as the rule says it: priority, then position. Nothing here is the service's.

Random lives compare with it who waits, at which place, and who is let back into review. `first_to_approve` puts nobody
ahead; under `most_evidence` and `customer_choice` nobody is ahead of an equal, who is still served in the order asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

PENDING, WAITING, HOLDS = "pending", "waiting", "holds"
POINTS = {"letter": 8, "mail": 4, "meeting": 2, "note": 1}
LETTER_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one partner wants of one customer. A SKU of None is the whole family.

    `position` is its place in the line of that customer. `until` is the end of a hold that keeps rivals out.
    """

    name: str
    deal: str
    partner: str
    sku: str | None
    role: str
    position: int
    papers: tuple[tuple[str, date], ...]
    state: str
    until: datetime | None = None

    def rival(self, other: "Ask") -> bool:
        apart = self.sku and other.sku and self.sku != other.sku
        together = self.partner == other.partner or self.deal == other.deal
        return self.role == other.role and not apart and not together


@dataclass(frozen=True)
class Queue:
    """One customer's line at one instant."""

    asks: Sequence[Ask]
    policies: tuple[str, ...]
    now: datetime

    def free(self) -> tuple[str, ...]:
        """Those who wait for nobody any more, first served first."""
        free: list[Ask] = []
        for one in self._served():
            if one.state == WAITING and not self._kept_out(one, free):
                free.append(one)
        return tuple(one.name for one in free)

    def blocked(self, name: str) -> bool:
        """Whether a rival holds, is in review ahead of it, or is the next one to be, ahead of it."""
        free = self.free()
        return self._kept_out(self._of(name), [one for one in self.asks if one.name in free])

    def place(self, name: str) -> int:
        """Its place behind the rivals that wait already, from 1."""
        mine = self._of(name)
        before = [one for one in self._served() if self._serves(one) < self._serves(mine)]
        return 1 + sum(one.state == WAITING and one.rival(mine) for one in before)

    def _of(self, name: str) -> Ask:
        return next(one for one in self.asks if one.name == name)

    def _served(self) -> list[Ask]:
        return sorted(self.asks, key=self._serves)

    def _serves(self, one: Ask) -> tuple[list[int], int]:
        return self._priority(one), one.position

    def _kept_out(self, mine: Ask, next_ones: Sequence[Ask]) -> bool:
        reviewed = [*(one for one in self.asks if one.state == PENDING), *next_ones]
        ahead = [one for one in reviewed if self._priority(one) < self._priority(mine)]
        holding = [one for one in self.asks if one.state == HOLDS and one.until and self.now < one.until]
        return any(one.rival(mine) for one in (*ahead, *holding))

    def _priority(self, one: Ask) -> list[int]:
        """Smaller goes first."""
        asked = self.policies[: self.policies.index("first_to_approve")] if self._open else self.policies
        return [self._rank(one, policy) for policy in asked]

    @property
    def _open(self) -> bool:
        return "first_to_approve" in self.policies

    def _rank(self, one: Ask, policy: str) -> int:
        if policy == "first_to_register":
            return one.position
        if policy == "most_evidence":
            return -sum(POINTS[kind] for kind, _ in one.papers)
        assert policy == "customer_choice"
        today = self.now.date()
        letters = [day for kind, day in one.papers if kind == "letter" and 0 <= (today - day).days <= LETTER_DAYS]
        return -max((day.toordinal() for day in letters), default=0)

"""The account index of a log that is read again, as it was at any position lately passed.

A search rests on all that the index holds, so for one of an earlier position the index takes back what it has learnt
since. Between the look-up of a command and its commit lie the commits of those who were quicker: few.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chassis.event import LeftOut, replace
from contracts.values import AccountId
from services.registration.adapters.account_index import METHOD, READ, TenantIndex
from services.registration.adapters.customers import LIBRARIES
from services.registration.adapters.names import normal_names
from services.registration.application.ports import Then
from services.registration.domain.account import AccountEvent, AccountOpened, NameAdded
from services.registration.domain.customer import Customer
from services.registration.domain.matching import IndexSeen

STEPS_MAX = 10_000
"""So many events of accounts can be taken back. No index that has caught up before it is asked lags so far behind."""
NAMES_KEPT = 4_096
NAMING = ("anyascii", "rapidfuzz")
"""The libraries on which it rests which customers are named."""
OTHER_METHOD, OTHER_LIBRARIES, NOT_AS_THEN = "other-index-method", "other-libraries", "index-not-as-then"
"""Why another look may name others: the index or its libraries are not those of then, or its position is not known."""


Learnt = tuple[int, AccountEvent]
"""What is to be learnt: an event with its position."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event that the index holds, and how to take it back."""

    position: int
    happened: AccountEvent
    undo: Callable[[], None]


class PastIndex:
    """The accounts of one tenant, with their names in the normal form that the libraries of today give them.

    It stands where it was asked last: what came later waits in `_ahead` until a search is of a later position.
    """

    reads = READ

    def __init__(self, steps_max: int = STEPS_MAX) -> None:
        self._index = TenantIndex()
        self._steps: deque[Step] = deque(maxlen=steps_max)
        self._ahead: deque[Learnt] = deque()
        self._not_before = 0

    def learn(self, happened: Any, position: int) -> None:
        """Learns from an event of an account; positions never fall."""
        self._ahead.append((position, happened))
        if len(self._ahead) > STEPS_MAX:
            self._take(*self._ahead.popleft())

    def near(self, customer: Customer, accounts: Iterable[AccountId], seen: IndexSeen | LeftOut) -> Then:
        """What an index that had read as far as `seen` names; where that was not kept, one that had read everything."""
        self._go_to(seen.position if isinstance(seen, IndexSeen) else sys.maxsize)
        found = self._index.near(_renamed(customer), frozenset(accounts))
        index = replace(seen, version=METHOD) if isinstance(seen, IndexSeen) else seen
        return Then(candidates=found, index=index, remarks=self._remarks(customer, seen))

    def _go_to(self, position: int) -> None:
        """Takes back what lies behind a position, the last first, or learns what lies before it."""
        while self._steps and self._steps[-1].position > position:
            step = self._steps.pop()
            step.undo()
            self._ahead.appendleft((step.position, step.happened))
        while self._ahead and self._ahead[0][0] <= position:
            self._take(*self._ahead.popleft())

    def _take(self, position: int, happened: AccountEvent) -> None:
        if len(self._steps) == self._steps.maxlen:
            self._not_before = self._steps[0].position
        renewed = self._renewed(happened)
        self._steps.append(Step(position, happened, self._index.undoing(renewed)))
        self._index.take(renewed)

    def _remarks(self, customer: Customer, seen: IndexSeen | LeftOut) -> tuple[str, ...]:
        reasons = {
            OTHER_METHOD: isinstance(seen, IndexSeen) and seen.version != METHOD,
            OTHER_LIBRARIES: any(customer.libraries.get(one) != LIBRARIES[one] for one in NAMING),
            NOT_AS_THEN: not isinstance(seen, IndexSeen) or seen.position < self._not_before,
        }
        return tuple(code for code, holds in reasons.items() if holds)

    def _renewed(self, happened: AccountEvent) -> AccountEvent:
        match happened:
            case AccountOpened(customer=customer):
                return replace(happened, customer=_renamed(customer))
            case NameAdded(account_id=account_id, name=name, normal_names=names):
                known = self._index.known[account_id].names
                named = dict.fromkeys((*normal_names((name,)), *names))
                return replace(happened, normal_names=tuple(one for one in named if one not in known))
            case _:
                return happened


def _renamed(customer: Customer) -> Customer:
    """The customer with its names in normal form by the libraries of today."""
    return replace(customer, normal_names=_normal_names((customer.name, *customer.trade_names)))


@lru_cache(NAMES_KEPT)
def _normal_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Kept for a while: a customer is submitted, opened and approved under the same names."""
    return normal_names(names)

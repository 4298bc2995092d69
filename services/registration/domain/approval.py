"""Which approvals a deal needs, which of them are open now, and who may give one. Pure, on the steps of the rules."""

from collections.abc import Sequence

from chassis.event import frozen
from contracts.values import Money
from services.registration.domain.rules import Step


@frozen
class Approval:
    """One person's approval of one step, by its place in the rules' chain."""

    step: int
    by: str


def open_steps(chain: Sequence[Step], amount: Money, given: Sequence[Approval]) -> tuple[int, ...]:
    """The places of the steps that wait for somebody: those of the lowest order that is not complete."""
    missing = [place for place, step in enumerate(chain) if step.needed(amount) and not complete(place, step, given)]
    first = min((chain[place].order for place in missing), default=None)
    return tuple(place for place in missing if chain[place].order == first)


def complete(place: int, step: Step, given: Sequence[Approval]) -> bool:
    """Whether the step has all the approvals that it needs."""
    people = {one.by for one in given if one.step == place}
    return set(step.all_of) <= people if step.all_of else len(people) >= step.approvals


def last_step(chain: Sequence[Step], amount: Money) -> int:
    """The place of the step that decides last for that amount."""
    needed = [place for place, step in enumerate(chain) if step.needed(amount)]
    return max(needed, key=lambda place: (chain[place].order, place))


def fitting_step(
    chain: Sequence[Step], waiting: Sequence[int], *, by: str, roles: Sequence[str], deputy: str | None = None
) -> int | None:
    """The first waiting step that this person may approve. A `deputy` role stands in for every other one."""
    for place in waiting:
        step = chain[place]
        named = by in step.all_of if step.all_of else step.role in roles
        if named or (deputy is not None and deputy in roles):
            return place
    return None

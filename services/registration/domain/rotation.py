"""Whose turn it was: the leads that partners were offered, by queue and day of UTC, so that caps and turns are exact."""

from dataclasses import field
from datetime import date, datetime

from chassis.decider import Decider
from chassis.event import event, frozen
from contracts.values import PartnerId


@event("registration.TurnTaken.v1")
class TurnTaken:
    """A partner was offered a lead. `queue` is the rulebook that routes."""

    queue: str
    partner_id: PartnerId
    lead_id: str
    taken_at: datetime


@event("registration.TurnsCarried.v1")
class TurnsCarried:
    """The turns of a busy day, with which its next segment begins."""

    last: dict[str, datetime]
    counts: dict[str, int]


@frozen
class Turns:
    """The last turn of each partner on this day, and how many it had."""

    last: dict[str, datetime] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def identity(queue: str, day: date) -> str:
    """The stream of a queue's day."""
    return f"{queue}.{day.isoformat()}"


def evolve(turns: Turns, happened: TurnTaken | TurnsCarried) -> Turns:
    match happened:
        case TurnTaken(partner_id=who, taken_at=at):
            counts = {**turns.counts, who: turns.counts.get(who, 0) + 1}
            return Turns(last={**turns.last, who: at}, counts=counts)
        case TurnsCarried(last=last, counts=counts):
            return Turns(last=last, counts=counts)


def carry(turns: Turns) -> TurnsCarried:
    return TurnsCarried(last=turns.last, counts=turns.counts)


Rotations = Decider[Turns, TurnTaken | TurnsCarried](kind="rotation", initial=Turns(), evolve=evolve, carry=carry)

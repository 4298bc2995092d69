"""What people order about parked messages: replay them, or give one up after two persons agreed. Each order is recorded.

The orders are in the log under the tenant `shared`, because a service's parked messages span tenants; the messages
themselves are in `chassis.parking`. An order is recorded first and carried out then, and carrying it out twice is the
same as once: a repeat after a crash in between heals it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import TypedDict, assert_never

from chassis.decider import Decider, Problem, Refused
from chassis.event import SHARED, command, event, frozen, iso, stable_id
from chassis.execution import Executor, Handles, Order, Outcome, Peek
from chassis.parking import FINISHED, Parking, Place


class SamePerson(Refused):
    """Whoever proposed to discard a message cannot be the one who agrees: ask a second person."""

    slug = "same-person"


class AlreadySettled(Problem):
    """This message is done or discarded already: nothing waits for it."""

    status = 409
    slug = "already-settled"


# Events


@event("chassis.ParkedReplayed.v1")
class ParkedReplayed:
    """Parked messages were let go again: those of a group, of a subject, or all. `messages` is how many were parked."""

    group: str | None = None
    subject: str | None = None
    messages: int
    replayed_by: str
    replayed_at: datetime


@event("chassis.DiscardProposed.v1")
class DiscardProposed:
    """One person wants to give a message up."""

    place: Place
    proposed_by: str
    proposed_at: datetime


@event("chassis.ParkedDiscarded.v1")
class ParkedDiscarded:
    """A second person agreed: the message is given up for good."""

    place: Place
    proposed_by: str
    discarded_by: str
    discarded_at: datetime


# Commands


@command("chassis.ReplayParked.v1")
class ReplayParked:
    group: str | None = None
    subject: str | None = None
    messages: int
    by: str
    now: datetime


@command("chassis.DiscardParked.v1")
class DiscardParked:
    place: Place
    by: str
    now: datetime


# State


@frozen
class Discarding:
    """How far two persons have come with giving one message up."""

    proposed_by: str | None = None
    discarded_by: str | None = None


# Decisions


def replay_parked(wish: ReplayParked, _: date | None) -> list[ParkedReplayed]:
    """Whoever may order it orders it."""
    return [
        ParkedReplayed(
            group=wish.group,
            subject=wish.subject,
            messages=wish.messages,
            replayed_by=wish.by,
            replayed_at=wish.now,
        )
    ]


def discard_parked(wish: DiscardParked, so_far: Discarding) -> list[DiscardProposed | ParkedDiscarded]:
    """The first person proposes, another one agrees. Raises SamePerson."""
    if so_far.discarded_by is not None:
        return []
    if so_far.proposed_by is None:
        return [DiscardProposed(place=wish.place, proposed_by=wish.by, proposed_at=wish.now)]
    if so_far.proposed_by == wish.by:
        raise SamePerson(proposed_by=wish.by)
    return [
        ParkedDiscarded(place=wish.place, proposed_by=so_far.proposed_by, discarded_by=wish.by, discarded_at=wish.now)
    ]


# Evolve


def _replayed(_: date | None, happened: ParkedReplayed) -> date:
    return happened.replayed_at.date()


def _discarding(so_far: Discarding, happened: DiscardProposed | ParkedDiscarded) -> Discarding:
    match happened:
        case DiscardProposed():
            return replace(so_far, proposed_by=happened.proposed_by)
        case ParkedDiscarded():
            return replace(so_far, discarded_by=happened.discarded_by)
        case _:
            assert_never(happened)


Replays = Decider[date | None, ParkedReplayed](kind="parked_replays", initial=None, evolve=_replayed)
Discards = Decider[Discarding, DiscardProposed | ParkedDiscarded](
    kind="parked_discard", initial=Discarding(), evolve=_discarding
)


def _identity(place: Place) -> str:
    return stable_id(place.group, place.topic, place.partition, place.offset)


class Released(TypedDict):
    """How many messages go again."""

    released: int


class Discard(TypedDict):
    """Whether a second person has agreed: `proposed` or `discarded`, and who they are."""

    state: str
    proposed_by: str | None
    discarded_by: str | None


def _released(wish: ReplayParked, _: date | None) -> Released:
    return {"released": wish.messages}


def _discard(wish: DiscardParked, so_far: Discarding) -> Discard:
    state = "discarded" if so_far.discarded_by else "proposed"
    return {"state": state, "proposed_by": so_far.proposed_by, "discarded_by": so_far.discarded_by}


HANDLES = (
    Handles(
        ReplayParked,
        replay_parked,
        streams=lambda wish: (Replays.at(iso(wish.now.date())),),
        answer=_released,
    ),
    Handles(DiscardParked, discard_parked, streams=lambda wish: (Discards.at(_identity(wish.place)),), answer=_discard),
)
"""What every service offers for its parked messages."""


# Carried out


@frozen
class Orders:
    """Records orders about the parked messages of one service and carries them out. `now` tells the time."""

    executor: Executor
    parking: Parking
    now: Callable[[], datetime]

    async def replay(self, order: Order, *, by: str, group: str | None = None, subject: str | None = None) -> Outcome:
        """Lets parked messages go again, all or those of a group or subject; the service carries them out in order."""

        async def make(_: Peek) -> ReplayParked:
            parked = await self.parking.parked(group=group, subject=subject)
            return ReplayParked(group=group, subject=subject, messages=parked, by=by, now=self.now())

        outcome = await self.executor.run(replace(order, tenant=SHARED), make)
        await self.parking.replay(group=group, subject=subject)
        return outcome

    async def discard(self, order: Order, place: Place, *, by: str) -> Outcome:
        """Proposes to give a message up, or agrees to it. Raises NotFound, AlreadySettled, SamePerson."""

        async def make(_: Peek) -> DiscardParked:
            if (await self.parking.find(place)).state in FINISHED:
                raise AlreadySettled
            return DiscardParked(place=place, by=by, now=self.now())

        outcome = await self.executor.run(replace(order, tenant=SHARED), make)
        await self.parking.note_discard(place, outcome.answer["proposed_by"], outcome.answer["discarded_by"])
        return outcome

"""Makes a system whole again whose logs were restored from a backup: new epochs, read models anew, what is lost named.

What other services did because of an event that the restored log no longer holds stays done: it is in their logs. It is
listed, so that people can enter again what was lost, or take back what followed from it.

A system of one process is made whole at once; of services on machines of their own each makes itself whole, and needs
nothing of the others but their logs.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any

from chassis.epoch import EpochBegun, LogBehind, begin
from chassis.event import frozen
from chassis.execution import Order
from chassis.service import Service
from chassis.store.port import EventStore
from chassis.transport.port import COMMAND_RECORDED, Lost, Message, event_name

PAGE = 1_000


@frozen
class Orphan:
    """Something that a service did because of an event which is in no log any more."""

    service: str
    position: int
    command_type: str
    streams: tuple[str, ...]
    causation_id: str

    def line(self) -> str:
        """One line for a person."""
        where = ", ".join(self.streams) or "nothing written"
        return f"{self.service} {self.position}: {self.command_type} on {where}, because of {self.causation_id}"


@frozen
class Made:
    """What was done for one service: the epoch that began, what was lost of its log, what is to be filled anew."""

    service: str
    begun: EpochBegun | None
    lost: Lost
    anew: Sequence[str]
    orphans: Sequence[Orphan]

    def lines(self) -> Iterator[str]:
        """What a person is told, the figures last."""
        if self.begun:
            yield begun_line(self.service, self.begun)
        yield from lost_lines(self.service, self.lost)
        yield from (f"rests on what is lost: {orphan.line()}" for orphan in self.orphans)
        yield from (f"{self.service}: {model} is filled anew at the next start" for model in self.anew)
        epoch = f"epoch {self.begun.epoch} begins" if self.begun else "no epoch begins"
        yield (
            f"{self.service}: {epoch}, {self.lost.count} public events are lost, {len(self.anew)} read models are filled "
            f"anew, {len(self.orphans)} commands rest on what is lost"
        )


def begun_line(service: str, one: EpochBegun) -> str:
    """One line for a person."""
    return f"{service}: the log ends at {one.ended_at} and was read up to {one.read_to}: epoch {one.epoch} begins"


def lost_lines(service: str, lost: Lost) -> Iterator[str]:
    """One line an event of which its topic alone still told."""
    yield from (f"lost: {service} {_told(message)}" for message in lost.messages)
    if more := lost.count - len(lost.messages):
        yield f"lost: {service} and {more} more, up to {lost.read_to}"


def _told(message: Message) -> str:
    return f"{message.position}: {event_name(message.type)} on {message.stream} at {message.time:%Y-%m-%dT%H:%M:%SZ}"


async def make_whole(
    service: Service, others: Mapping[str, EventStore], order: Order, by: str, *, restored: bool = False
) -> Made:
    """Makes one service whole that is open and not at work; `others` are the logs of those that it hears.

    `restored` says that its log comes from a backup, whether anybody has read further or not. Again is harmless.
    """
    lost = await behind(service, restored=restored)
    logs = {**others, service.name: service.store}
    anew = [
        one.name
        for one in service.projections
        if lost is not None or await _holds_what_is_lost(service, one.name, logs)
    ]
    for name in anew:
        await service.runner.begin_again(name)
    # Last, because by the epoch it is seen what is left to do.
    begun = None if lost is None else await begin_epoch(service, lost, order, by)
    return Made(
        service=service.name,
        begun=begun,
        lost=lost or Lost(),
        anew=anew,
        orphans=await orphans(logs, {service.name}),
    )


async def behind(service: Service, *, restored: bool = False) -> Lost | None:
    """What is known to be lost of a log that ends before what was read of it; None where nobody has read further."""
    lost = await service.world.transport.lost(service.outlet)
    try:
        await service.must_hold_what_was_read()
    except LogBehind:
        return lost
    return lost if restored or lost.count else None


async def begin_epoch(service: Service, lost: Lost, order: Order, by: str) -> EpochBegun:
    """Begins a new epoch of a log that is behind. Its topic is emptied: all is told again, and nothing that is lost."""
    await service.world.transport.empty(service.outlet.topic)
    read = [lost.read_to, await service.store.head(), *(await service.read_so_far()).values()]
    return await begin(service.application.executor, order, by, read, service.world.clock.now())


async def _holds_what_is_lost(service: Service, name: str, logs: Mapping[str, EventStore]) -> bool:
    """Whether a read model has applied what is in no log any more."""
    for source, log in logs.items():
        for position in service.runner.applied(name, source):
            if not await _holds(log, position):
                return True
    return False


async def _holds(log: EventStore, position: int) -> bool:
    found = await log.feed(position - 1, 1)
    return bool(found) and found[0].position == position


async def orphans(logs: Mapping[str, EventStore], of: Collection[str]) -> list[Orphan]:
    """All commands in the logs `of` some services that rest on events which no log holds, in the order of these logs."""
    missing = {cause for name in of async for cause in _causes(logs[name])}
    for log in logs.values():
        async for event in every_event(log):
            missing.discard(event.id)
    return [orphan for name in of if missing async for orphan in _resting(name, logs[name], missing)]


async def _causes(log: EventStore) -> AsyncIterator[str]:
    async for event in every_event(log):
        if event.type == COMMAND_RECORDED and event.causation_id:
            yield event.causation_id


async def _resting(service: str, log: EventStore, causes: Collection[str]) -> AsyncIterator[Orphan]:
    async for event in every_event(log):
        if event.type == COMMAND_RECORDED and event.causation_id in causes:
            yield Orphan(
                service=service,
                position=event.position,
                command_type=event.event.command_type,
                streams=tuple(at.stream for at in event.event.guarded),
                causation_id=event.causation_id,
            )


async def every_event(log: EventStore) -> AsyncIterator[Any]:
    """All that a log holds, in order."""
    page: Sequence[Any] = await log.feed(0, PAGE)
    while page:
        for event in page:
            yield event
        page = await log.feed(page[-1].position, PAGE)


def concerned(services: Mapping[str, Service], begun: Mapping[str, EpochBegun]) -> Iterator[tuple[Service, str]]:
    """The read models that may hold what is lost: those of a restored service, and those that hear it."""
    for name, service in services.items():
        for projection in service.projections:
            if name in begun or projection.heard & begun.keys():
                yield service, projection.name

"""Makes a system whole again whose log was restored from an older backup: new epochs, read models anew, what is lost named.

What other services did because of an event that the restored log no longer holds stays done: it is in their logs. It is
listed, so that people can enter again what was lost, or take back what followed from it.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.epoch import EpochBegun, LogBehind, begin
from chassis.execution import Order
from chassis.record import CommandRecorded
from chassis.service import Service

PAGE = 1_000


@dataclass(frozen=True, kw_only=True)
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


async def begin_epochs(services: Mapping[str, Service], order: Order, by: str) -> dict[str, EpochBegun]:
    """Begins a new epoch of every log that ends before what was read of it. The services are open and not at work."""
    begun: dict[str, EpochBegun] = {}
    for name, service in services.items():
        try:
            await service.must_hold_what_was_read()
        except LogBehind:
            read = (await service.read_so_far()).values()
            now = service.world.clock.now()
            begun[name] = await begin(service.application.executor, order, by, read, now)
    return begun


async def orphans(services: Mapping[str, Service]) -> list[Orphan]:
    """Everything that rests on events which no log holds, service by service in the order of their logs."""
    held = {event.id for service in services.values() async for event in every_event(service)}
    return [
        Orphan(
            service=name,
            position=event.position,
            command_type=event.event.command_type,
            streams=tuple(at.stream for at in event.event.guarded),
            causation_id=event.causation_id,
        )
        for name, service in services.items()
        async for event in every_event(service)
        if event.causation_id and event.causation_id not in held and isinstance(event.event, CommandRecorded)
    ]


async def every_event(service: Service) -> AsyncIterator[Any]:
    """All that a service recorded, in order."""
    page: Sequence[Any] = await service.store.feed(0, PAGE)
    while page:
        for event in page:
            yield event
        page = await service.store.feed(page[-1].position, PAGE)


def concerned(services: Mapping[str, Service], begun: Mapping[str, EpochBegun]) -> Iterator[tuple[Service, str]]:
    """The read models that may hold what is lost: those of a restored service, and those that hear it."""
    for name, service in services.items():
        for projection in service.projections:
            if name in begun or projection.heard & begun.keys():
                yield service, projection.name

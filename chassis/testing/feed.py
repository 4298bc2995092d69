"""A service's feed in memory: what a relay and the transports read, without a database."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from chassis.event import Actor, PublicEvent, Seen, encode, event, public_event, stable_id
from chassis.store.port import Recorded
from chassis.transport.port import Outlet

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@event("testing.Counted.v1")
class Counted:
    """A private fact of the stream `counter-<name>`."""

    number: int
    public: bool = True


@public_event("entente.testing.CountTold.v1", audience="vendor")
class CountTold(PublicEvent):
    """What others hear of `Counted`."""

    number: int


def publish(seen: Seen) -> PublicEvent | None:
    """Tells what is public of a count."""
    return CountTold(number=seen.event.number) if seen.event.public else None


class MemoryFeed:
    """Recorded events in one list; position is the place in it, from 1."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = epoch
        self.recorded: list[Recorded] = []
        self._versions: dict[str, int] = {}
        self._news = asyncio.Condition()
        self.leases: dict[str, str] = {}

    async def commit(self, *numbers: int, tenant: str = "acme", counter: str = "a", public: bool = True) -> None:
        """Records counts in the order given and wakes who waits."""
        for number in numbers:
            self._record(f"{tenant}:counter-{counter}", tenant, Counted(number=number, public=public))
        async with self._news:
            self._news.notify_all()

    def _record(self, stream: str, tenant: str, fact: Counted) -> None:
        position = len(self.recorded) + 1
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        data = encode(fact)
        self.recorded.append(
            Recorded(
                id=stable_id(stream, version),
                type="testing.Counted.v1",
                stream=stream,
                version=version,
                position=position,
                recorded_at=BEGIN + timedelta(seconds=position),
                tenant=tenant,
                actor=Actor(kind="vendor", subject="ada"),
                command_id=f"command-{position}",
                causation_id=f"cause-{position}",
                correlation_id=f"correlation-{position}",
                traceparent=f"00-{position:032x}-{position:016x}-01",
                evaluator=1,
                data=msgspec.Raw(data),
                stored=data,
            )
        )

    async def feed(self, after: int, limit: int) -> Sequence[Recorded]:
        return self.recorded[after : after + limit]

    async def head(self) -> int:
        return len(self.recorded)

    async def wait_beyond(self, position: int, timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds), self._news:
                await self._news.wait_for(lambda: len(self.recorded) > position)
        except TimeoutError:
            return

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        return self.leases.setdefault(name, holder) == holder

    async def release_lease(self, name: str, holder: str) -> None:
        if self.leases.get(name) == holder:
            del self.leases[name]


def outlet(feed: MemoryFeed, service: str = "testing") -> Outlet:
    """The feed as a service publishes it."""
    return Outlet(service, feed, publish)

"""A log that ends before what its readers have seen of it: it was restored from an older backup, and begins a new epoch.

Whoever read the log keeps how far: the witness, the relay, read models of this and of other services; and its topic shows
it. Positions that they know would be given out again for other events, which they would take for repeats. So a service
with such a log does not start; `reconcile` begins a new epoch, whose positions lie above all that were ever given, and
records that it did.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from chassis.decider import Decider
from chassis.event import SHARED, command, event, frozen
from chassis.execution import Executor, Handles, Order
from chassis.supervision import Final


class LogBehind(Final):
    """A log ends before what was read of it. The message names who read how far, and what to do."""

    def __init__(self, service: str, head: int, read: Mapping[str, int]) -> None:
        readers = ", ".join(f"{who} to {position}" for who, position in read.items())
        super().__init__(
            f"{service}: the log ends at {head} and was read further ({readers}): it was restored from an older backup. "
            "Stop all services, then run `reconcile`: of `services`, or of each service where they stand alone"
        )


class Log(Protocol):
    """The part of an event store that this needs; see `chassis.store.port.EventStore`."""

    async def head(self) -> int: ...


async def must_hold(service: str, log: Log, read: Mapping[str, int]) -> None:
    """Raises LogBehind when one of the readers is beyond the end. `read` was looked up before: they may go on."""
    head = await log.head()
    if beyond := {who: position for who, position in read.items() if position > head}:
        raise LogBehind(service, head, beyond)


@event("chassis.EpochBegun.v1")
class EpochBegun:
    """The log was restored and goes on in a new epoch: it ended at `ended_at`, and had been read up to `read_to`."""

    epoch: int
    ended_at: int
    read_to: int
    begun_by: str
    begun_at: datetime


@command("chassis.BeginEpoch.v1")
class BeginEpoch:
    epoch: int
    ended_at: int
    read_to: int
    by: str
    now: datetime


@frozen
class Epoch:
    """Whether an epoch was begun."""

    begun: bool = False


def begin_epoch(wish: BeginEpoch, so_far: Epoch) -> list[EpochBegun]:
    """Once for each epoch."""
    if so_far.begun:
        return []
    return [
        EpochBegun(epoch=wish.epoch, ended_at=wish.ended_at, read_to=wish.read_to, begun_by=wish.by, begun_at=wish.now)
    ]


def _begun(so_far: Epoch, _: EpochBegun) -> Epoch:
    return replace(so_far, begun=True)


Epochs = Decider[Epoch, EpochBegun](kind="epoch", initial=Epoch(), evolve=_begun)
HANDLES = (Handles(BeginEpoch, begin_epoch, streams=lambda wish: (Epochs.at(str(wish.epoch)),)),)
"""What every service offers for its log."""


async def begin(executor: Executor, order: Order, by: str, read: Iterable[int], now: datetime) -> EpochBegun:
    """Begins a new epoch of a store that nobody else works on, and records it there as its first event."""
    ended_at, read_to = await executor.store.head(), max(read)
    epoch = await executor.store.raise_epoch(read_to)
    wish = BeginEpoch(epoch=epoch, ended_at=ended_at, read_to=read_to, by=by, now=now)

    async def make(_: Any) -> BeginEpoch:
        return wish

    await executor.run(replace(order, tenant=SHARED), make)
    [begun] = begin_epoch(wish, Epoch())
    return begun

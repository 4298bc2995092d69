"""What a service remembers besides its log, whichever database keeps it.

That is how far its readers have come, the messages that it has given up on, why its read models stand, the shadow runs
that it was asked for, and what its witness keeps. Every change is durable when it returns, and seen by all processes of
the service.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from chassis.leaves.port import Leaves
from chassis.parking import Parking
from chassis.shadow_runs import KeptRuns
from chassis.stops import Stops
from chassis.transport.port import Positions
from chassis.witness_key import Seeds


class Desk(Protocol):
    """The small operational state of one service. It lies where its log lies. Belongs to the event loop that opened it."""

    @property
    def positions(self) -> Positions: ...

    @property
    def parking(self) -> Parking: ...

    @property
    def stops(self) -> Stops: ...

    @property
    def runs(self) -> KeptRuns: ...

    def leaves(self, epoch: int) -> Leaves:
        """What the witness keeps of an epoch of the log; asked for when the desk is open, closed with it."""
        ...

    @property
    def seeds(self) -> Seeds | None:
        """Where the witness's key is kept sealed; None where the processes share a folder, in which it is a file."""
        ...

    async def newest_epoch(self) -> int:
        """The newest epoch of which leaves are kept; 0 for none. A log that was restored may know nothing of it."""
        ...

    async def migrate(self) -> None:
        """Makes the tables, once, before the first `open`; again is harmless."""

    def at_work(self, *, alone: bool) -> AbstractAsyncContextManager[None]:
        """Keeps the service for this process, with others or alone, wherever they are. Raises InUse."""
        ...

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Finishes what is being written and lets go of everything."""

"""What a service remembers besides its log, whichever database keeps it.

That is how far its readers have come, the messages that it has given up on, why its read models stand, and the shadow
runs that it was asked for. Every change is durable when it returns, and seen by all processes of the service.
"""

from typing import Protocol

from chassis.parking import Parking
from chassis.shadow_runs import KeptRuns
from chassis.stops import Stops
from chassis.transport.port import Positions


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

    async def migrate(self) -> None:
        """Makes the tables, once, before the first `open`; again is harmless."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Finishes what is being written and lets go of everything."""

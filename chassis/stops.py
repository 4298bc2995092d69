"""Why read models stand, remembered for the processes of the service that do not run them, and over restarts."""

from collections.abc import Mapping
from typing import Protocol

from chassis.event import frozen


@frozen
class Stop:
    """A bug that one version of a model met in a lane, and where it left the tenants for whom it had something to do.

    It is over as soon as the model has gone on from there: nobody has to take it back.
    """

    model: str
    reason: str
    lane: str
    left_at: Mapping[str, int]


class Stops(Protocol):
    """The last stop of each version of a model."""

    async def note(self, stop: Stop) -> None:
        """Remembers it in place of an earlier one of the same version; it is durable when this returns."""

    async def noted(self) -> dict[str, Stop]:
        """Every stop by its model, whether it is over or not."""
        ...

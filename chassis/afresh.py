"""What was looked up before a command was made, looked up again in a shadow run, as it was when the command came.

A command comes prepared: with what its service found in memory and in streams that the command does not guard. Recorded
runs take all that as it is in the log; a full one prepares the command anew, from what the other world held by then.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from chassis.event import frozen
from chassis.execution import Glimpse

Mode = Literal["recorded", "full"]
RECORDED: Mode = "recorded"
FULL: Mode = "full"


@frozen
class Remade:
    """A command prepared anew. `remarks` are codes of what was looked up otherwise than it had been, and why."""

    wish: Any
    remarks: tuple[str, ...] = ()


class Afresh(Protocol):
    """What a service looks up in memory, kept as of each position of a log that is run again."""

    @property
    def reads(self) -> frozenset[str]:
        """The stored types of the events that it learns from."""
        ...

    def learn(self, happened: Any, position: int) -> None:
        """Learns from an event; positions never fall."""
        ...

    async def prepare(self, wish: Any, glimpse: Glimpse) -> Remade:
        """The command as it would have been made in the other world. Raises nothing."""
        ...


MakeAfresh = Callable[[], Afresh]
"""Makes it empty, for the run of one tenant."""

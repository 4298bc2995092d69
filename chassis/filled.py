"""Which read models have once been at the present: from then on, what holds one up takes nothing else away."""

from chassis.projecting import ProjectionLag
from chassis.transport.port import Positions

BEHIND_MAX = 1_000
"""A read model that is filled is at the present when it is no more events behind than this."""


class Filled:
    """Remembers, for all processes on the same files and over restarts, where each read model was first at the present.

    A model that stands before that place is being filled anew, such as after a read store was lost.
    """

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._beyond: dict[str, int] = {}

    async def look(self, lag: ProjectionLag, head: int) -> bool:
        """Whether its answers are whole, if perhaps late: it is live, and was at the present at this place or before.

        `head` is where the log ends: whoever has only begun to run does not know it yet.
        """
        if not lag.live or lag.filling:
            return False
        at_present = lag.stopped is None and lag.behind + max(0, head - lag.head) <= BEHIND_MAX
        beyond = await self._remembered(lag.model)
        if at_present and not beyond:
            await self._remember(lag.model, lag.position + 1)
        return at_present or 0 < beyond <= lag.position + 1

    async def _remembered(self, model: str) -> int:
        """The place after that at which it was first at the present; 0: it never was."""
        if not self._beyond.get(model):
            self._beyond[model] = await self._positions.get(f"filled {model}")
        return self._beyond[model]

    async def _remember(self, model: str, beyond: int) -> None:
        self._beyond[model] = beyond
        await self._positions.set(f"filled {model}", beyond)

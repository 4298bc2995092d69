"""Transports that are as unkind as a broker may be: everything twice, sources in any order, some of it unreadable."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from chassis.transport.in_process import InProcessTransport, Settings
from chassis.transport.port import Message

CALM_SECONDS = 0.002
PICKS_PER_ORDER = 25
PIECE_MAX = 8


@dataclass
class Waiting:
    """A group that stands in line with messages."""

    turn: "asyncio.Future[None]"
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Unkind(InProcessTransport):
    """Delivers in small pieces, one group at a time in an order drawn from `seed`, and every piece twice.

    Within one source a group meets each message for the first time in order; what it had before comes again at whim. A
    group that is low in the order of the moment waits until all the others have nothing, so sources overtake each other.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(Settings(linger_seconds=0.0))
        self.delivered = self.repeated = 0
        self._chance = random.Random(seed)
        self._line: dict[str, Waiting] = {}
        self._before: dict[str, list[Message]] = {}
        self._order: dict[str, float] = {}

    async def start(self) -> None:
        await super().start()
        self.tasks.start("turns", self._turns)

    async def _turns(self) -> None:
        picks = 0
        while True:
            await asyncio.sleep(CALM_SECONDS)
            if not self._line:
                continue
            if picks % PICKS_PER_ORDER == 0:
                self._order = {key: self._chance.random() for key in sorted(self._groups)}
            picks += 1
            key = max(self._line, key=lambda key: self._order[key])
            waiting = self._line.pop(key)
            waiting.turn.set_result(None)
            await waiting.done

    async def _hand_over(self, group: Any, messages: list[Message]) -> bool:
        while messages:
            cut = self._chance.randint(1, min(PIECE_MAX, len(messages)))
            piece, messages = messages[:cut], messages[cut:]
            waiting = self._line[group.key] = Waiting(asyncio.get_running_loop().create_future())
            await waiting.turn
            try:
                if not await self._twice(group, piece):
                    return False
            finally:
                waiting.done.set_result(None)
        return True

    async def _twice(self, group: Any, piece: list[Message]) -> bool:
        before = self._before.setdefault(group.key, [])
        start = self._chance.randint(0, len(before))
        stale = before[start : start + PIECE_MAX]
        before += piece
        self.delivered += len(piece)
        self.repeated += len(piece) + len(stale)
        # As from two relays at once: what is older comes behind what is newer, and nothing may listen to it.
        return await super()._hand_over(group, piece) and await super()._hand_over(group, [*piece, *stale])

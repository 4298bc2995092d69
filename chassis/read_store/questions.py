"""Short questions that are asked at once, and go to the database together, in one journey."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chassis.decider import Busy
from chassis.supervision import bounded_stop

STOP_SECONDS = 10.0
Rows = list[tuple[Any, ...]]
Question = tuple[bytes, Sequence[Any]]
"""A statement, and the values that it is asked with."""
Together = Callable[[list[Question]], Awaitable[Sequence[Rows]]]
Alone = Callable[[Question], Awaitable[Rows]]
Waiting = tuple[Question, "asyncio.Future[Rows]"]


class Questions:
    """Asks all questions that are waiting, up to `max_batch`, `together`; where that fails, each `alone`, at once.

    What is asked while `lanes_max` journeys are under way waits for the first that comes back. A question that is asked
    alone holds up no other one: it may wait for a lock, or be wrong.
    """

    def __init__(self, together: Together, alone: Alone, *, lanes_max: int, max_batch: int, queue_max: int) -> None:
        self._together, self._alone = together, alone
        self._lanes_max, self._max_batch, self._queue_max = lanes_max, max_batch, queue_max
        self._waiting: list[Waiting] = []
        self._lanes: set[asyncio.Task[None]] = set()
        self._by_themselves: set[asyncio.Task[None]] = set()
        self._setting_out = False

    async def rows(self, statement: bytes, values: Sequence[Any]) -> Rows:
        """The rows that answer the statement. Raises its failure, and Busy when `queue_max` are waiting."""
        if len(self._waiting) + len(self._by_themselves) >= self._queue_max:
            raise Busy("too many questions are waiting for the read store")
        answered: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._waiting.append(((statement, values), answered))
        if not self._setting_out and len(self._lanes) < self._lanes_max:
            self._setting_out = True
            self._lanes.add(asyncio.create_task(self._lane(), name="read store questions"))
        return await answered

    async def stop(self) -> None:
        """Lets what is under way come back; bounded, whatever state the engine is in."""
        if going := self._lanes | self._by_themselves:
            await bounded_stop(going, STOP_SECONDS)

    async def _lane(self) -> None:
        self._setting_out = False
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
                await self._travel(batch)
        finally:
            # Now, not in a callback: whoever asks before that would count this lane, and wait for nobody.
            self._lanes.discard(asyncio.current_task())

    async def _travel(self, batch: list[Waiting]) -> None:
        try:
            answers = await self._together([question for question, _ in batch])
        except Exception:  # noqa: BLE001  whosever failure it is, each has its own answer
            for one in batch:
                task = asyncio.create_task(self._by_itself(*one), name="read store question")
                self._by_themselves.add(task)
                task.add_done_callback(self._by_themselves.discard)
        except BaseException:
            for _, answered in batch:
                answered.cancel()
            raise
        else:
            for (_, answered), rows in zip(batch, answers, strict=True):
                if not answered.done():  # else who asked was cancelled
                    answered.set_result(rows)

    async def _by_itself(self, question: Question, answered: "asyncio.Future[Rows]") -> None:
        try:
            rows = await self._alone(question)
        except Exception as failure:  # noqa: BLE001  the answer to this question alone
            if not answered.done():
                answered.set_exception(failure)
        except BaseException:
            answered.cancel()
            raise
        else:
            if not answered.done():
                answered.set_result(rows)

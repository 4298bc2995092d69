"""Short questions that are asked at once, and go to the database together, in one journey."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chassis.supervision import bounded_stop

STOP_SECONDS = 10.0
Rows = list[tuple[Any, ...]]
Question = tuple[bytes, Sequence[Any]]
"""A statement, and the values that it is asked with."""
Ask = Callable[[list[Question]], Awaitable[Sequence[Rows | Exception]]]
Waiting = tuple[Question, "asyncio.Future[Rows]"]


class Questions:
    """Hands all questions that are waiting, up to `max_batch`, to `ask`, which answers each with its rows or its failure.

    What is asked while `lanes_max` journeys are under way waits for the first that comes back. What `ask` raises is the
    answer to all of its batch.
    """

    def __init__(self, ask: Ask, *, lanes_max: int, max_batch: int) -> None:
        self._ask, self._lanes_max, self._max_batch = ask, lanes_max, max_batch
        self._waiting: list[Waiting] = []
        self._lanes: set[asyncio.Task[None]] = set()
        self._setting_out = False

    async def rows(self, statement: bytes, values: Sequence[Any]) -> Rows:
        """The rows that answer the statement. Raises its failure."""
        answered: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._waiting.append(((statement, values), answered))
        if not self._setting_out and len(self._lanes) < self._lanes_max:
            self._setting_out = True
            lane = asyncio.create_task(self._lane(), name="read store questions")
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return await answered

    async def stop(self) -> None:
        """Lets what is under way come back; bounded, whatever state the engine is in."""
        if self._lanes:
            await bounded_stop(self._lanes, STOP_SECONDS)

    async def _lane(self) -> None:
        self._setting_out = False
        while self._waiting:
            batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
            _answer(batch, await self._answers([question for question, _ in batch]))

    async def _answers(self, questions: list[Question]) -> Sequence[Rows | Exception]:
        try:
            return await self._ask(questions)
        except Exception as failure:  # noqa: BLE001  the answer to each of those who asked
            return [failure] * len(questions)


def _answer(batch: list[Waiting], answers: Sequence[Rows | Exception]) -> None:
    for (_, answered), answer in zip(batch, answers, strict=True):
        if answered.done():  # who asked was cancelled
            continue
        if isinstance(answer, Exception):
            answered.set_exception(answer)
        else:
            answered.set_result(answer)

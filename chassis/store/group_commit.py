"""One thread that does together what waits together, so that many commits share one flush."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from chassis.decider import Busy
from chassis.store.port import StoreSettings

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

Work = Callable[[list[I]], Sequence[O | Exception]]
Waiting = tuple[I, asyncio.Future[O]]


class Batches(Generic[I, O]):
    """Hands everything that is waiting, up to `max_batch`, to `work` in an own thread and answers each on the loop.

    `work` answers one result or exception an item, in order; an exception it raises is the answer to the whole batch.
    `before_answers` runs on the loop with the items and the results before anybody is woken.
    """

    def __init__(
        self,
        name: str,
        work: Work[I, O],
        settings: StoreSettings,
        before_answers: Callable[[Sequence[I], Sequence[O | Exception]], None] | None = None,
    ) -> None:
        self._name = name
        self._work = work
        self._settings = settings
        self._before_answers = before_answers or (lambda items, results: None)
        self._queue: SimpleQueue[list[Waiting[I, O]] | None] = SimpleQueue()
        self._gathered: list[Waiting[I, O]] = []
        self._unanswered = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    async def do(self, item: I, sent: Callable[[I], None] | None = None) -> O:
        """The result for the item. Raises Busy at once when `queue_max` are waiting, or the thread has ended.

        `sent` is told when the item is on its way, and will come back whoever still waits for it.
        """
        if self._thread is None:
            raise Busy(f"The {self._name} is closed.", retry_after_seconds=self._settings.retry_after_seconds)
        if self._unanswered >= self._settings.queue_max:
            raise Busy(retry_after_seconds=self._settings.retry_after_seconds)
        future: asyncio.Future[O] = self._loop.create_future()
        self._unanswered += 1
        self._gathered.append((item, future))
        if sent:
            sent(item)
        if len(self._gathered) == 1:  # the thread wakes once for all that this turn of the loop brings
            self._loop.call_soon(self._hand_over)
        return await future

    async def stop(self) -> None:
        """Finishes what is waiting, then ends the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._hand_over()
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._queue.put(gathered)

    def _run(self) -> None:
        last = False
        while not last:
            waiting, last = self._next()
            for first in range(0, len(waiting), self._settings.max_batch):
                batch = waiting[first : first + self._settings.max_batch]
                self._loop.call_soon_threadsafe(self._answer, batch, self._results([item for item, _ in batch]))

    def _next(self) -> tuple[list[Waiting[I, O]], bool]:
        """All that is waiting, of one turn of the loop at least, and whether it is the last."""
        waiting: list[Waiting[I, O]] = []
        gathered = self._queue.get()
        while gathered is not None:
            waiting += gathered
            try:
                gathered = self._queue.get_nowait()
            except Empty:
                return waiting, False
        return waiting, True

    def _results(self, items: list[I]) -> Sequence[O | Exception]:
        try:
            return self._work(items)
        except Exception as problem:  # noqa: BLE001  whatever it is, those who wait must hear of it
            return [problem] * len(items)

    def _answer(self, batch: list[Waiting[I, O]], results: Sequence[O | Exception]) -> None:
        self._unanswered -= len(batch)
        self._before_answers([item for item, _ in batch], results)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # its caller was cancelled; what was recorded stays recorded
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

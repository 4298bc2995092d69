"""One task that does together what waits together, so that changes of many models share a transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from chassis.decider import Busy
from chassis.read_store.port import Change
from chassis.supervision import bounded_stop

STOP_SECONDS = 10.0
Write = Callable[[list[Change]], Awaitable[Sequence[Exception | None]]]
Waiting = tuple[Change, "asyncio.Future[None]"]


class Together:
    """Hands all changes that are waiting, up to `max_batch`, to `write`, which answers each with None or its failure.

    What `write` raises is the answer to the whole batch. Belongs to the event loop that started it.
    """

    def __init__(self, write: Write, *, max_batch: int, queue_max: int) -> None:
        self._write, self._max_batch, self._queue_max = write, max_batch, queue_max
        self._queue: asyncio.Queue[Waiting | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="read store changes")

    async def do(self, change: Change) -> None:
        """Returns once the change is written. Raises its failure, or Busy at once when too many wait or it is closed."""
        if self._task is None:
            raise Busy("The read store is closed.")
        if self._queue.qsize() >= self._queue_max:
            raise Busy("The read store has too much to write.")
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((change, written))
        await written

    async def stop(self) -> None:
        """Finishes what is waiting, then ends the task; bounded, whatever state the engine is in."""
        task, self._task = self._task, None
        if task is not None:
            self._queue.put_nowait(None)
            await bounded_stop({task}, STOP_SECONDS)

    async def _run(self) -> None:
        while (first := await self._queue.get()) is not None:
            batch = [first]
            while len(batch) < self._max_batch and not self._queue.empty():
                if (waiting := self._queue.get_nowait()) is None:
                    self._queue.put_nowait(None)  # met again as the first of the next batch
                    break
                batch.append(waiting)
            self._answer(batch, await self._results([change for change, _ in batch]))

    async def _results(self, changes: list[Change]) -> Sequence[Exception | None]:
        writing = asyncio.ensure_future(self._write(changes))
        try:
            await asyncio.wait({writing})
        finally:
            writing.cancel()  # of no effect on one that is done
        # One that a driver cancelled from inside would end this task past every `except Exception`.
        failure = Busy("A write was given up.") if writing.cancelled() else writing.exception()
        if failure is None:
            return writing.result()
        if not isinstance(failure, Exception):
            raise failure
        return [failure] * len(changes)

    def _answer(self, batch: list[Waiting], results: Sequence[Exception | None]) -> None:
        for (_, written), failure in zip(batch, results, strict=True):
            if written.done():  # its caller was cancelled; what was written stays written
                continue
            if failure is None:
                written.set_result(None)
            else:
                written.set_exception(failure)

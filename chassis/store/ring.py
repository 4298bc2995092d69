"""The last committed events in memory, and waking those who wait for the next, so that followers need not poll."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from chassis.store.port import Recorded


class Ring:
    """The last `capacity` events of the store, without a gap between them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._events: list[Recorded] = []

    def add(self, events: Sequence[Recorded]) -> None:
        """Takes what was just committed. After a gap (another process's commits) it starts anew behind it."""
        if self._events and events[0].position != self._events[-1].position + 1:
            self._events.clear()
        self._events.extend(events)
        del self._events[: -self._capacity]

    @property
    def newest(self) -> int:
        """The position of the last event; 0 for none."""
        return self._events[-1].position if self._events else 0

    def after(self, position: int, limit: int) -> list[Recorded] | None:
        """The events behind the position; None when the ring cannot answer and the database has to."""
        if not self._events or not self._events[0].position - 1 <= position < self._events[-1].position:
            return None
        start = position + 1 - self._events[0].position
        return self._events[start : start + limit]

    def recent(self, position: int) -> list[Recorded]:
        """The events behind the position that are still here: where some are gone, or never were, the first one shows it."""
        if not self._events:
            return []
        return self._events[max(0, position + 1 - self._events[0].position) :]


class Head:
    """The highest committed position known here, and the followers who wait for a higher one.

    `look` reads the position from the database. While somebody waits it is asked every `poll_seconds`, for the commits
    of other processes; this process's own commits wake at once.
    """

    def __init__(self, look: Callable[[], Awaitable[int]], poll_seconds: float) -> None:
        self.position = 0
        self._look = look
        self._poll_seconds = poll_seconds
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._poller: asyncio.Task[None] | None = None

    def rise(self, position: int) -> None:
        """Tells all who wait below the position."""
        self.position = max(self.position, position)
        for waiter in [waiter for waiter, below in self._waiting.items() if below < self.position]:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_beyond(self, position: int, timeout: float) -> None:
        """Returns when a higher position is known, or when the time is over."""
        if self.position > position:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = position
        self._start_polling()
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            pass
        finally:
            del self._waiting[waiter]

    def _start_polling(self) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="store head")

    async def _poll(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._poll_seconds)
            # A database that is away is met, and reported, by whoever reads next; here it only means no news.
            with contextlib.suppress(Exception):
                self.rise(await self._look())

    async def stop(self) -> None:
        """Ends the looking; who still waits comes back when its time is over."""
        if self._poller is not None:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller

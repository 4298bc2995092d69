"""The live hub: public events of this process, handed to the streams that are open. A slow stream is cut, not waited for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from chassis.event import Seen

UNSENT_MAX = 256


class Hub:
    """Open live streams by tenant."""

    def __init__(self) -> None:
        self._open: dict[str, set[asyncio.Queue[Seen | None]]] = {}
        self.told: dict[str, int] = {}
        """The highest position told, by source."""
        self._closed = False

    @property
    def streams(self) -> int:
        """How many are open."""
        return sum(map(len, self._open.values()))

    def tell(self, seen: Seen) -> None:
        """Hands an event to the tenant's streams; one that is `UNSENT_MAX` behind gets None, its end."""
        self.told[seen.source] = max(seen.position, self.told.get(seen.source, 0))
        for queue in tuple(self._open.get(seen.tenant, ())):
            if queue.qsize() < UNSENT_MAX:
                queue.put_nowait(seen)
            elif queue.qsize() == UNSENT_MAX:
                queue.put_nowait(None)

    @contextmanager
    def listening(self, tenant: str) -> Iterator["asyncio.Queue[Seen | None]"]:
        """A queue of what happens from now on."""
        queue: asyncio.Queue[Seen | None] = asyncio.Queue()
        self._open.setdefault(tenant, set()).add(queue)
        if self._closed:
            queue.put_nowait(None)
        try:
            yield queue
        finally:
            self._open[tenant].discard(queue)

    def close(self) -> None:
        """Ends all streams, also those that still come, for an orderly stop."""
        self._closed = True
        for queues in self._open.values():
            for queue in queues:
                queue.put_nowait(None)

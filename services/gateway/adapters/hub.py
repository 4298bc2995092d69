"""The live hub: public events of this process, handed to the streams that are open. A slow stream is cut, not waited for."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from chassis.decider import Problem
from chassis.event import Seen

UNSENT_MAX = 256
Queue = asyncio.Queue[Seen | None]


class TooManyStreams(Problem):
    """As many live streams as may be are open: close one, or try again later."""

    status = 429
    slug = "too-many-streams"

    def __init__(self, detail: str = "", **fields: object) -> None:
        super().__init__(detail, **{"retry_after_seconds": 5, **fields})


class Hub:
    """Open live streams by tenant: `streams_max` of all, `streams_each_max` of one subject."""

    def __init__(self, *, streams_max: int, streams_each_max: int) -> None:
        self._streams_max, self._each_max = streams_max, streams_each_max
        self._open: dict[str, set[Queue]] = {}
        self._of: Counter[tuple[str, str]] = Counter()
        self._closed = False
        self._told: dict[str, dict[str, int]] = {}

    def told(self, tenant: str) -> dict[str, int]:
        """How far each service's events of a tenant were told: who comes now hears only of what is beyond."""
        return dict(self._told.get(tenant, {}))

    @property
    def streams(self) -> int:
        """How many are open."""
        return self._of.total()

    def check_room(self, tenant: str, subject: str) -> None:
        """Raises TooManyStreams."""
        if self.streams >= self._streams_max:
            raise TooManyStreams
        if self._of[tenant, subject] >= self._each_max:
            raise TooManyStreams(f"you have {self._each_max} live streams open: close one")

    def tell(self, seen: Seen) -> None:
        """Hands an event to the tenant's streams; one that is `UNSENT_MAX` behind gets None, its end."""
        places = self._told.setdefault(seen.tenant, {})
        places[seen.source] = max(seen.position, places.get(seen.source, 0))
        for queue in tuple(self._open.get(seen.tenant, ())):
            if queue.qsize() < UNSENT_MAX:
                queue.put_nowait(seen)
            elif queue.qsize() == UNSENT_MAX:
                queue.put_nowait(None)

    @contextmanager
    def listening(self, tenant: str, subject: str) -> Iterator[Queue]:
        """A queue of what happens from now on. Raises TooManyStreams."""
        self.check_room(tenant, subject)
        queue: Queue = asyncio.Queue()
        self._open.setdefault(tenant, set()).add(queue)
        self._of[tenant, subject] += 1
        if self._closed:
            queue.put_nowait(None)
        try:
            yield queue
        finally:
            self._leave(tenant, subject, queue)

    def _leave(self, tenant: str, subject: str, queue: Queue) -> None:
        self._open[tenant].discard(queue)
        if not self._open[tenant]:
            del self._open[tenant]
        self._of[tenant, subject] -= 1
        if not self._of[tenant, subject]:
            del self._of[tenant, subject]

    def close(self) -> None:
        """Ends all streams, also those that still come, for an orderly stop."""
        self._closed = True
        for queues in self._open.values():
            for queue in queues:
                queue.put_nowait(None)

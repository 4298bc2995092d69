"""The transport of the embedded mode: groups read the publishing services' feeds themselves, in one event loop.

The source of truth is the feed; nothing is copied into a queue. The newest messages are translated once and kept in a
window that all groups share; a group further behind reads the feed on its own until it has caught up.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import field
from operator import attrgetter
from uuid import uuid4

from chassis.event import frozen
from chassis.positions import MemoryPositions
from chassis.supervision import Backoff, Tasks, log
from chassis.transport.port import Lag, Lost, Message, OnBatch, Outlet, Positions, Relaying, sending, translated

_position = attrgetter("position")


@frozen
class Settings:
    """The limits of the in-process transport."""

    batch_messages: int = 500
    window_messages: int = 2_000
    linger_seconds: float = 0.005
    poll_seconds: float = 1.0
    save_seconds: float = 0.2
    stop_seconds: float = 8.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.05, most_seconds=5.0))


class _Window:
    """The newest messages of one outlet: `messages` holds what is public above `floor` and up to `reached`."""

    def __init__(self, outlet: Outlet, settings: Settings) -> None:
        self.outlet, self._settings = outlet, settings
        self.messages: list[Message] = []
        self.floor = self.reached = 0
        self.waiting: set[asyncio.Event] = set()

    async def follow(self) -> None:
        """Translates what is committed, as it is committed. Starts at the head: who is behind reads the feed."""
        store = self.outlet.store
        if not self.reached:
            self.floor = self.reached = await store.head()
            self._wake()
        while True:
            await store.wait_beyond(self.reached, self._settings.poll_seconds)
            recorded = await store.feed(self.reached, self._settings.batch_messages)
            if recorded:
                with sending(self.outlet.tracer, translated(self.outlet, recorded)) as messages:
                    self.messages += messages
                self.reached = recorded[-1].position
                self._trim()
                self._wake()

    def _trim(self) -> None:
        spare = len(self.messages) - self._settings.window_messages
        if spare > self._settings.batch_messages:
            self.floor = self.messages[spare - 1].position
            del self.messages[:spare]

    def _wake(self) -> None:
        for event in self.waiting:
            event.set()

    async def after(self, position: int) -> tuple[list[Message], int]:
        """The next messages beyond a position, and the position that is finished with them."""
        if position < self.floor:
            return await self._from_feed(position)
        start = bisect_right(self.messages, position, key=_position)
        found = self.messages[start : start + self._settings.batch_messages]
        more = start + len(found) < len(self.messages)
        return found, found[-1].position if more else self.reached

    async def _from_feed(self, position: int) -> tuple[list[Message], int]:
        recorded = await self.outlet.store.feed(position, self._settings.batch_messages)
        reached = recorded[-1].position if recorded else self.floor
        return translated(self.outlet, recorded), reached


class _Group:
    """One subscriber: takes the next batch when the last one is done, and remembers how far it came."""

    def __init__(self, topic: str, name: str, on_batch: OnBatch, positions: Positions) -> None:
        self.topic, self.name, self.on_batch, self.positions = topic, name, on_batch, positions
        self.finished = self.saved = 0
        self.failures = 0
        self.from_now = False
        self.wake = asyncio.Event()

    @property
    def key(self) -> str:
        return f"{self.topic}>{self.name}"

    def finished_name(self, epoch: int) -> str:
        """Under which its position is kept. A restored store counts anew, in a higher epoch, and so do its readers."""
        return f"{self.topic}/{epoch}>{self.name}"


class InProcessTransport:
    """Carries feeds to groups inside one process. A killed process goes on from the groups' saved positions."""

    relays: Sequence[Relaying] = ()

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.tasks = Tasks(self.settings.backoff)
        self._windows: dict[str, _Window] = {}
        self._groups: dict[str, _Group] = {}

    async def migrate(self, topics: Sequence[str]) -> None:
        """Has nothing to make: a topic is its service's feed."""

    def offer(self, outlet: Outlet, positions: Positions) -> None:
        """Makes a service's feed readable. No relay runs, so `positions` stay untouched."""
        self._windows[outlet.topic] = _Window(outlet, self.settings)

    def subscribe(self, topic: str, group: str, on_batch: OnBatch, positions: Positions) -> None:
        """Adds a group of a topic; its position is kept in `positions`."""
        added = _Group(topic, group, on_batch, positions)
        if added.key in self._groups:
            raise ValueError(f"group {group!r} already reads {topic!r}")
        self._groups[added.key] = added

    def listen(self, topic: str, on_batch: OnBatch) -> None:
        """Adds a group that begins where the feed ends and is forgotten with the process."""
        added = _Group(topic, f"listening {uuid4()}", on_batch, MemoryPositions())
        added.from_now = True
        self._groups[added.key] = added

    async def told_to(self, outlet: Outlet) -> int:
        """Nothing beyond the log: a topic is its service's feed."""
        return 0

    async def lost(self, outlet: Outlet) -> Lost:
        """Nothing: a topic is its service's feed."""
        return Lost()

    async def empty(self, topic: str) -> None:
        """Has nothing to remove."""

    async def start(self) -> None:
        """Starts all windows and groups. A group whose topic nobody offers here waits for nothing."""
        for topic, window in self._windows.items():
            self.tasks.start(f"follow {topic}", window.follow)
        for group in self._groups.values():
            if window_of := self._windows.get(group.topic):
                self._start_group(group, window_of)
        self.tasks.start("save positions", self._save_always)

    def _start_group(self, group: _Group, window: _Window) -> None:
        async def run() -> None:
            await self._consume(group, window)

        window.waiting.add(group.wake)
        self.tasks.start(group.key, run, finishes=True)

    async def _consume(self, group: _Group, window: _Window) -> None:
        if not group.finished:
            name = group.finished_name(window.outlet.store.epoch)
            head = await window.outlet.store.head() if group.from_now else 0
            group.finished = group.saved = max(head, await group.positions.get(name))
        while not self.tasks.stopping.is_set():
            group.wake.clear()
            if group.finished < max(window.reached, window.floor):
                await self._next_batch(group, window)
            else:
                await group.wake.wait()

    async def _next_batch(self, group: _Group, window: _Window) -> None:
        messages, reached = await window.after(group.finished)
        if messages and not await self._hand_over(group, messages):
            return
        group.finished = reached
        if messages and len(messages) < self.settings.batch_messages and self.settings.linger_seconds:
            # Lingering after a batch, not before it: the first event of a quiet time goes at once, a rush gathers.
            await asyncio.sleep(self.settings.linger_seconds)

    async def _hand_over(self, group: _Group, messages: list[Message]) -> bool:
        try:
            await group.on_batch(messages)
        except Exception as error:  # noqa: BLE001 - a long-lived loop: held, logged, counted, tried again
            group.failures += 1
            log.warning("batch_held", group=group.key, failures=group.failures, exc_info=error)
            await self.tasks.pause(self.settings.backoff.pause_seconds(group.failures))
            return False
        group.failures = 0
        return True

    async def _save_always(self) -> None:
        while True:
            await asyncio.sleep(self.settings.save_seconds)
            await self.save()

    async def save(self) -> None:
        """Writes the positions that moved since the last time, one write for each database."""
        moved: dict[int, list[_Group]] = {}
        for group in self._groups.values():
            if group.finished > group.saved:
                moved.setdefault(id(group.positions), []).append(group)
        for groups in moved.values():
            finished = [(group, group.finished) for group in groups]
            await groups[0].positions.set_many({self._name(group): position for group, position in finished})
            for group, position in finished:
                group.saved = position

    def _name(self, group: _Group) -> str:
        return group.finished_name(self._windows[group.topic].outlet.store.epoch)

    async def stop(self) -> None:
        """Lets the batches in hand finish, then saves the positions."""
        self.tasks.stopping.set()
        for group in self._groups.values():
            group.wake.set()
        await self.tasks.stop(self.settings.stop_seconds)
        await self.save()

    def lag(self) -> list[Lag]:
        """How far each group is behind what its source has committed."""
        return [
            Lag(topic=group.topic, group=group.name, finished=group.finished, head=window.reached)
            for group in self._groups.values()
            if (window := self._windows.get(group.topic))
        ]

    async def caught_up(self, timeout_seconds: float = 5.0) -> None:
        """Waits until all groups have finished all commits, reactions to reactions included. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while await self._behind():  # noqa: ASYNC110 - several stores and groups, none of which tells the other
                await asyncio.sleep(0.002)

    async def _behind(self) -> bool:
        # The groups first, the heads after: a group that finishes in between may have committed to another store.
        finished = [(group.topic, group.finished) for group in self._groups.values()]
        heads = {topic: await window.outlet.store.head() for topic, window in self._windows.items()}
        return any(position < heads.get(topic, 0) for topic, position in finished)

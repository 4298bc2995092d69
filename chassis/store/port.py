"""What a service asks of its event store, whichever database keeps it.

A commit is all the events of one command, of one or several streams, and is recorded whole or not at all. Positions
number all events of a store in the order of their commits, so a reader that remembers the last one misses nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from chassis.event import Actor, Seen, decode, frozen

EPOCH_POSITIONS = 10**12
"""An epoch's positions lie above its number times this: what an older epoch gave out is never given again."""


@frozen
class StoreSettings:
    """The limits of one store. What passes a queue's limit is answered with `Busy`, never kept waiting."""

    max_batch: int = 256
    """Commits that share one flush."""
    queue_max: int = 4096
    """Commits that may wait for their flush; loads that may wait for theirs."""
    retry_after_seconds: int = 1
    """When a caller may come again after `Busy`."""
    ring_events: int = 2_000
    """Last committed events kept in memory for followers in this process."""
    feed_max_events: int = 10_000
    """Largest page of the feed."""
    attempts_max: int = 3
    """Tries of one batch when the database does not answer."""
    attempt_pause_seconds: float = 0.1
    """Pause between those tries."""
    poll_seconds: float = 0.05
    """How often a store with other writers looks for their commits, while somebody waits."""
    busy_timeout_seconds: float = 5.0
    """How long SQLite waits for another process's write."""
    connect_timeout_seconds: int = 5
    """PostgreSQL: how long a connection may take."""
    statement_timeout_seconds: float = 5.0
    """PostgreSQL: how long one statement may take."""
    lock_timeout_seconds: float = 2.0
    """PostgreSQL: how long a batch waits for the store's lock."""
    idle_in_transaction_timeout_seconds: float = 5.0
    """PostgreSQL: after this the server ends a transaction whose client has gone, and so frees its lock."""
    tcp_user_timeout_seconds: float = 5.0
    """PostgreSQL: how long sent bytes may stay unacknowledged."""


class Conflict(Exception):
    """Somebody else recorded this version of the stream first. Nothing of the commit is recorded."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"another commit came first on stream {stream!r}: load it again and decide anew")
        self.stream = stream


class NotMigrated(RuntimeError):
    """The store has no tables yet: run `migrate` once before opening it."""


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """One event to record: `version` counts from 1 in its stream, `data` is the JSON of the event."""

    stream: str
    version: int
    id: str
    type: str
    data: bytes


@frozen
class Commit:
    """The events of one command, and the circumstances they share."""

    tenant: str
    actor: Actor
    command_id: str | None
    causation_id: str | None
    correlation_id: str | None
    traceparent: str | None
    evaluator: int
    recorded_at: datetime
    events: tuple[NewEvent, ...]


class Recorded(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One event as it stands in the log.

    `data` is the JSON of the event, readable whether or not this release knows the type; `stored` are the exact bytes
    that the database keeps, over which proofs are computed.
    """

    id: str
    type: str
    stream: str
    version: int
    position: int
    recorded_at: datetime
    tenant: str
    actor: Actor
    command_id: str | None
    causation_id: str | None
    correlation_id: str | None
    traceparent: str | None
    evaluator: int
    data: msgspec.Raw
    stored: bytes
    decoded: Any = None

    def __eq__(self, other: object) -> bool:
        """Whether both are the same row of the same log: all else follows from it."""
        return isinstance(other, Recorded) and self._row() == other._row()

    def __hash__(self) -> int:
        return hash(self._row())

    def _row(self) -> tuple[int, str, int, str, bytes]:
        return self.position, self.stream, self.version, self.type, self.stored

    @property
    def event(self) -> Any:
        """The event itself, decoded once. Raises UnknownType for a type that this release does not know."""
        if self.decoded is None:
            msgspec.structs.force_setattr(self, "decoded", decode(self.type, self.data))
        return self.decoded

    def seen(self, source: str) -> Seen:
        """The event and its circumstances, as a reader of the service `source` meets them."""
        return Seen(
            id=self.id,
            type=self.type,
            source=source,
            tenant=self.tenant,
            stream=self.stream,
            version=self.version,
            position=self.position,
            recorded_at=self.recorded_at,
            actor=self.actor,
            command_id=self.command_id,
            causation_id=self.causation_id,
            correlation_id=self.correlation_id,
            event=self.event,
            traceparent=self.traceparent,
        )


class EventStore(Protocol):
    """The log of one service. Belongs to the event loop that opened it."""

    epoch: int
    """Rises when the store is restored from a backup, so that old positions are never mistaken for new ones."""

    async def migrate(self) -> None:
        """Makes the tables, once, before the first `open`; does nothing when they are there."""

    async def open(self) -> None:
        """Starts the store. Raises NotMigrated when it has no tables."""

    async def close(self) -> None:
        """Finishes the commits in hand and lets go of everything."""

    async def append(self, commit: Commit) -> list[Recorded]:
        """Records the commit and answers once it is flushed.

        Raises Conflict when a (stream, version) is taken, Busy when too much is waiting or the database is away. After
        Busy the same commit may have been recorded: its ids settle that on the next try.
        """

    async def load(self, stream: str, after: int = 0) -> list[Recorded]:
        """The events of the stream with a version above `after`, in order."""

    async def load_many(self, after: Mapping[str, int]) -> Mapping[str, list[Recorded]]:
        """The events of each stream with a version above the one named, in one go; an empty list for none."""

    async def feed(self, after: int, limit: int) -> Sequence[Recorded]:
        """Up to `limit` events of all streams with a position above `after`, in position order; empty only at the end.

        A page may be shorter than `limit` although more is there.
        """

    async def head(self) -> int:
        """The position of the last committed event; 0 for an empty store."""

    @property
    def known(self) -> int:
        """The highest position that this process has heard of, without asking: its own commits' at least."""
        ...

    def others(self) -> int | None:
        """How often somebody else than this process was seen to record; None where only the log can tell.

        As long as it stays the same, the log holds what it held before and what this process has recorded since.
        """
        ...

    def on_the_way(self, stream: str) -> bool:
        """Whether a commit of this process is on its way to the stream: the log may hold it, and `recent` does not yet."""
        ...

    def recent(self, after: int) -> Sequence[Recorded]:
        """What this process recorded behind the position, from memory: a first one further on shows that some is gone."""
        ...

    async def wait_beyond(self, position: int, timeout: float) -> None:
        """Returns as soon as the head is above `position`, or when the time is over."""

    async def raise_epoch(self, read_to: int = 0) -> int:
        """Begins a new epoch, after a restore from a backup, and answers it: positions go on above all older ones.

        Above `read_to` too: the backup may be older than an epoch that was begun since.
        """

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Whether the lease is now the holder's for so many seconds: it was free, run out, or already its own."""

    async def release_lease(self, name: str, holder: str) -> None:
        """Frees the lease if the holder has it."""

"""The witness: an append-only Merkle log over what a store holds, and signed checkpoints of it.

It follows the store's feed. Leaf number n is the n-th stored event in position
order, framed as `chassis.proof` says. Leaves, nodes and checkpoints live in a SQLite file of their own. A log
belongs to one origin, `entente/<service>/<epoch>`: a store restored from a backup begins a new one.
"""

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import Any

from chassis.clock import Clock
from chassis.decider import NotFound
from chassis.event import iso
from chassis.merkle import Frontier, consistency_proof, inclusion_proof, leaf_hash, node_hash, root, split
from chassis.note import Checkpoint, NoteSigner
from chassis.proof import leaf_bytes
from chassis.sqlite_file import insert, open_flushed
from chassis.store.port import EPOCH_POSITIONS, EventStore, Recorded

SCHEMA = """
CREATE TABLE IF NOT EXISTS leaf (number INTEGER PRIMARY KEY, position INTEGER NOT NULL UNIQUE, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS node (
    level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (size INTEGER PRIMARY KEY, signed_at TEXT NOT NULL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS origin (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class WitnessSettings:
    """How the witness works."""

    batch_events: int = 1_000
    follow_seconds: float = 1.0
    """Pause between two rounds, so that a flush here serves many commits there."""
    checkpoint_seconds: float = 60.0
    """How often a checkpoint is signed while there is news."""
    proof_events_max: int = 1_000
    """Events of one stream that one proof covers; a longer stream is refused."""


class ProofTooLong(NotFound):
    """Too long a stream for one proof."""

    slug = "proof-too-long"


def _raw(stored: bytes | str) -> bytes:
    """The stored bytes, also where somebody's hand has made text of them."""
    return stored.encode() if isinstance(stored, str) else stored


def leaf_of(recorded: Recorded) -> bytes:
    """The leaf hash of a recorded event."""
    return leaf_hash(
        leaf_bytes(recorded.position, recorded.version, recorded.type, recorded.stream, _raw(recorded.stored))
    )


@dataclass(frozen=True)
class Leaf:
    """One leaf as it was kept: its place in the tree, the event's position, its hash."""

    number: int
    position: int
    hash: bytes


class Leaves:
    """The kept leaves, nodes and checkpoints of one log. Safe between threads and between processes on one file."""

    def __init__(self, path: Path, origin: str) -> None:
        self.origin = origin
        self._lock = RLock()
        self._database = open_flushed(path, SCHEMA)
        self._claim()

    def _claim(self) -> None:
        self._database.execute("INSERT INTO origin VALUES (1, ?) ON CONFLICT DO NOTHING", (self.origin,))
        owner = self._one("SELECT name FROM origin")[0]
        if owner != self.origin:
            raise ValueError(f"these leaves belong to {owner}, not to {self.origin}: keep a file for each origin")

    def close(self) -> None:
        # A cancelled follower may have left its thread in the middle of a batch.
        with self._lock:
            self._database.close()

    @property
    def size(self) -> int:
        """How many leaves there are."""
        found: int = self._one("SELECT coalesce(max(number), -1) + 1 FROM leaf")[0]
        return found

    @property
    def last_position(self) -> int:
        """The position of the last leaf's event; 0 when there is none."""
        found: int = self._one("SELECT coalesce(max(position), 0) FROM leaf")[0]
        return found

    def append(self, events: Sequence[tuple[int, bytes]]) -> int:
        """Adds (position, leaf hash) in order, all or none; positions that are there already are passed over.

        How many were added.
        """
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                added = self._append(events)
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            return added

    def _append(self, events: Sequence[tuple[int, bytes]]) -> int:
        size, last = self.size, self.last_position
        frontier = Frontier(size, self.node)
        new = [event for event in events if event[0] > last]
        nodes = [node for _, found in new for node in frontier.add(found)]
        rows = [(size + place, position, found) for place, (position, found) in enumerate(new)]
        insert(self._database, "leaf", rows)
        insert(self._database, "node", nodes)
        return len(new)

    def node(self, level: int, number: int) -> bytes:
        """The hash of a complete node; level 0 are the leaves."""
        if level == 0:
            row = self._one("SELECT hash FROM leaf WHERE number = ?", number)
        else:
            row = self._one("SELECT hash FROM node WHERE level = ? AND number = ?", level, number)
        return bytes(row[0])

    def subtree(self, start: int, stop: int) -> bytes:
        """The hash over a range of leaves that begins where a complete subtree of its size would."""
        count = stop - start
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self.node(level, start >> level)
        middle = start + split(count)
        return node_hash(self.subtree(start, middle), self.subtree(middle, stop))

    def number_at(self, position: int) -> int:
        """The leaf of the event at that position. Raises LookupError."""
        found: int = self._one("SELECT number FROM leaf WHERE position = ?", position)[0]
        return found

    def after(self, number: int, limit: int) -> list[Leaf]:
        """Up to `limit` leaves from that number on."""
        rows = self._all(
            "SELECT number, position, hash FROM leaf WHERE number >= ? ORDER BY number LIMIT ?", number, limit
        )
        return [Leaf(number, position, bytes(found)) for number, position, found in rows]

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """All kept nodes above the leaves, in no useful order."""
        return (
            (level, number, bytes(found))
            for level, number, found in self._all("SELECT level, number, hash FROM node ORDER BY level, number")
        )

    def keep_checkpoint(self, size: int, signed_at: str, note: str) -> None:
        """Keeps a checkpoint; the first of a size stays."""
        with self._lock:
            self._database.execute(
                "INSERT INTO checkpoint VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (size, signed_at, note)
            )

    def checkpoints(self) -> list[str]:
        """All signed checkpoints, the smallest first."""
        return [note for (note,) in self._all("SELECT note FROM checkpoint ORDER BY size")]

    def latest(self) -> tuple[int, str] | None:
        """The size and text of the newest checkpoint."""
        rows = self._all("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def _one(self, statement: str, *values: Any) -> Any:
        rows = self._all(statement, *values)
        if not rows:
            raise LookupError(f"the leaves of {self.origin} hold nothing for {values}")
        return rows[0]

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()


def witnessed_since(service: str, directory: Path, epoch: int) -> int:
    """The first position of the newest epoch above `epoch` whose leaves are kept there; 0 where there is none.

    A log that was restored from a backup of before that epoch knows nothing of it.
    """
    kept = (path.stem.rpartition("-")[2] for path in directory.glob(f"{service}-witness-*.db"))
    newest = max((int(number) for number in kept if number.isdecimal()), default=0)
    return newest * EPOCH_POSITIONS + 1 if newest > epoch else 0


class Witness:
    """Follows one store. Two at once are harmless: leaves are numbered in one file, and a repeat is passed over."""

    def __init__(
        self,
        store: EventStore,
        leaves: Leaves,
        signer: NoteSigner,
        clock: Clock,
        settings: WitnessSettings = WitnessSettings(),
    ) -> None:
        self.store, self.leaves, self.signer = store, leaves, signer
        self._clock, self._settings = clock, settings

    @classmethod
    def beside(
        cls,
        service: str,
        store: EventStore,
        directory: Path,
        clock: Clock,
        settings: WitnessSettings = WitnessSettings(),
    ) -> "Witness":
        """The witness of an open store, with its leaves and its key in that directory."""
        origin = f"entente/{service}/{store.epoch}"
        leaves = Leaves(directory / f"{service}-witness-{store.epoch}.db", origin)
        return cls(store, leaves, NoteSigner.in_file(origin, directory / f"{service}-witness.key"), clock, settings)

    def close(self) -> None:
        self.leaves.close()

    async def run(self) -> None:
        """Follows until it is cancelled, and signs a checkpoint at most once a minute while there is news.

        When it is cancelled it signs a last one, so that what stood in the store at an orderly stop is witnessed.
        """
        try:
            await self._follow()
        except asyncio.CancelledError:
            await self.checkpoint()
            raise

    async def _follow(self) -> None:
        due = monotonic()
        while True:
            await self.store.wait_beyond(self.leaves.last_position, self._settings.checkpoint_seconds)
            await self.catch_up()
            if monotonic() >= due:
                await self.checkpoint()
                due = monotonic() + self._settings.checkpoint_seconds
            await asyncio.sleep(self._settings.follow_seconds)

    async def catch_up(self) -> int:
        """Adds a leaf for every event that has none yet; how many there were."""
        added = 0
        while events := await self.store.feed(self.leaves.last_position, self._settings.batch_events):
            added += await asyncio.to_thread(self._add, events)
        return added

    def _add(self, events: Sequence[Recorded]) -> int:
        return self.leaves.append([(event.position, leaf_of(event)) for event in events])

    async def checkpoint(self) -> str | None:
        """The newest signed checkpoint, signed now if there is news; None while the store is empty."""
        newest = await self._newest()
        return newest[1] if newest else None

    async def _newest(self) -> tuple[int, str] | None:
        await self.catch_up()
        size, latest = self.leaves.size, self.leaves.latest()
        if size == (latest[0] if latest else 0):
            return latest
        note = self.signer.sign(Checkpoint(self.leaves.origin, size, root(self.leaves.subtree, size)).text())
        self.leaves.keep_checkpoint(size, iso(self._clock.now()), note)
        return size, note

    async def proof(self, stream: str) -> dict[str, Any]:
        """The events of a stream, each with the proof that the newest checkpoint covers it; see `chassis.proof`.

        Raises NotFound for a stream without events, ProofTooLong.
        """
        events = await self.store.load(stream)
        if len(events) > self._settings.proof_events_max:
            raise ProofTooLong
        return {"stream": stream, **await self.covering(events)}

    async def covering(self, events: Sequence[Recorded]) -> dict[str, Any]:
        """The newest checkpoint, and each of the events with the path to its root; see `chassis.proof`.

        Raises NotFound for no events.
        """
        newest = await self._newest()
        if not events or newest is None:
            raise NotFound
        proven = [self._proven(event, newest[0]) for event in events]
        return {"key": self.signer.verifier.vkey, "checkpoint": newest[1], "events": proven}

    def _proven(self, event: Recorded, size: int) -> dict[str, Any]:
        number = self.leaves.number_at(event.position)
        path = inclusion_proof(self.leaves.subtree, number, size)
        return {
            "position": event.position,
            "version": event.version,
            "type": event.type,
            "stream": event.stream,
            "state": b64encode(event.stored).decode(),
            "leaf": number,
            "proof": [b64encode(step).decode() for step in path],
        }

    async def consistency(self, old: int) -> dict[str, Any]:
        """Shows to the holder of a checkpoint of `old` leaves that the newest one only added to it. Raises NotFound."""
        newest = await self._newest()
        if newest is None or not 0 < old <= newest[0]:
            raise NotFound
        path = consistency_proof(self.leaves.subtree, old, newest[0])
        proof = [b64encode(step).decode() for step in path]
        return {"key": self.signer.verifier.vkey, "old_size": old, "checkpoint": newest[1], "proof": proof}

"""What a witness keeps of one epoch of a log: leaves, the nodes over them, signed checkpoints. All is only ever added."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Place = tuple[int, int]
"""A complete node: its level (0 is a leaf), and its number on that level."""
Hashed = tuple[int, bytes]
"""The position of an event, and its leaf hash."""


@dataclass(frozen=True)
class Leaf:
    """One leaf as it was kept: its place in the tree, the event's position, its hash."""

    number: int
    position: int
    hash: bytes


@dataclass(frozen=True)
class End:
    """How many leaves there are, and the position of the last one's event; 0 when there is none."""

    size: int = 0
    last_position: int = 0


class Leaves(Protocol):
    """The tree of one origin, `entente/<service>/<epoch>`. Several processes may add to it at once."""

    @property
    def origin(self) -> str: ...

    async def end(self) -> End: ...

    async def append(self, events: Sequence[Hashed]) -> int:
        """Adds leaves in order, all or none, flushed; positions that are there already are passed over.

        How many were added.
        """
        ...

    async def hashes(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        """The hashes of complete nodes, all in one go. Raises LookupError."""
        ...

    async def numbers_at(self, positions: Collection[int]) -> Mapping[int, int]:
        """The leaves of the events at those positions. Raises LookupError."""
        ...

    async def after(self, number: int, limit: int) -> list[Leaf]:
        """Up to `limit` leaves from that number on."""
        ...

    async def nodes(self) -> dict[Place, bytes]:
        """All kept nodes above the leaves."""
        ...

    async def keep_checkpoint(self, size: int, signed_at: str, note: str) -> None:
        """Keeps a checkpoint; the first of a size stays."""

    async def checkpoints(self) -> list[str]:
        """All signed checkpoints, the smallest first."""
        ...

    async def latest(self) -> tuple[int, str] | None:
        """The size and text of the newest checkpoint."""
        ...


def found_all(wanted: Collection[object], found: Collection[object], origin: str) -> None:
    """Raises LookupError where something that was asked for is not kept."""
    if missing := set(wanted) - set(found):
        raise LookupError(f"the leaves of {origin} hold nothing for {sorted(map(str, missing))[:5]}")

"""Merkle trees as RFC 9162 section 2 defines them: hashes, roots, and proofs of inclusion and of consistency.

Trees are given by `Subtree`, which names the hash over a range of leaves; so one code proves over a list in memory and
over a table on disk. Everything here is pure, and needs nothing but the standard library.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

LEAF, NODE = b"\x00", b"\x01"
EMPTY_ROOT = sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""The hash over the leaves from the first index up to, not including, the second."""


def leaf_hash(body: bytes) -> bytes:
    """The hash of one leaf's bytes."""
    return sha256(LEAF + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return sha256(NODE + left + right).digest()


def split(size: int) -> int:
    """How many leaves stand left of the root of a tree of that size: the largest power of two below it."""
    return 1 << (size - 1).bit_length() - 1


def over(leaves: Sequence[bytes]) -> Subtree:
    """The tree over leaf hashes in memory."""

    def subtree(start: int, stop: int) -> bytes:
        if stop - start == 1:
            return leaves[start]
        middle = start + split(stop - start)
        return node_hash(subtree(start, middle), subtree(middle, stop))

    return subtree


def root(subtree: Subtree, size: int) -> bytes:
    """The root of the tree over the first `size` leaves."""
    return subtree(0, size) if size else EMPTY_ROOT


def inclusion_proof(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """The path from leaf `index` to the root of `size` leaves, lowest first (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + split(stop - start)
        if index < middle:
            path.append(subtree(middle, stop))
            stop = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency_proof(subtree: Subtree, old: int, new: int) -> list[bytes]:
    """What shows that the tree of `old` leaves is the beginning of that of `new` (RFC 9162, 2.1.4.1)."""
    if not 0 < old <= new:
        raise IndexError(f"a tree of {old} is not the beginning of one of {new}")
    path: list[bytes] = []
    start, stop = 0, new
    while old != stop:
        middle = start + split(stop - start)
        if old <= middle:
            path.append(subtree(middle, stop))
            stop = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return [*([subtree(start, stop)] if start else []), *path[::-1]]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from the leaf's hash at `index` to the root of `size` leaves (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(step, found)
            place, last = _climb_left(place, last)
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def _climb_left(place: int, last: int) -> tuple[int, int]:
    """Skips the levels on which a node at the right edge has no sibling."""
    while not place & 1 and place:
        place, last = place >> 1, last >> 1
    return place, last


def consistent(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the proof shows that the old tree is the beginning of the new one (RFC 9162, 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if not 0 < old < new or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    return _walk(old - 1, new - 1, path) == (old_root, new_root)


def _walk(place: int, last: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    while place & 1:
        place, last = place >> 1, last >> 1
    older = newer = path[0]
    for step in path[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            older, newer = node_hash(step, older), node_hash(step, newer)
            place, last = _climb_left(place, last)
        else:
            newer = node_hash(newer, step)
        place, last = place >> 1, last >> 1
    return (older, newer) if last == 0 else None


Node = tuple[int, int, bytes]
"""A complete node: its level (0 is a leaf), its number on that level, its hash."""


class Frontier:
    """A growing tree of which only the right edge is kept: one hash for each power of two in its size."""

    def __init__(self, size: int = 0, complete: Callable[[int, int], bytes] | None = None) -> None:
        """Goes on from a tree of `size` leaves whose complete nodes `complete(level, number)` gives."""
        self.size = size
        self._edge: dict[int, bytes] = {}
        for level in (level for level in range(size.bit_length()) if size >> level & 1):
            assert complete is not None
            self._edge[level] = complete(level, (size >> level) - 1)

    def add(self, leaf: bytes) -> list[Node]:
        """Takes the next leaf's hash; the nodes that it completes, upwards from level 1."""
        made: list[Node] = []
        level, number, found = 0, self.size, leaf
        while number & 1:
            found = node_hash(self._edge.pop(level), found)
            level, number = level + 1, number >> 1
            made.append((level, number, found))
        self._edge[level] = found
        self.size += 1
        return made

    def root(self) -> bytes:
        """The root over all leaves so far."""
        found: bytes | None = None
        for level in sorted(self._edge):
            found = self._edge[level] if found is None else node_hash(self._edge[level], found)
        return EMPTY_ROOT if found is None else found

"""Roots and proofs over kept leaves: what a computation asks of the tree is looked up at once, not node by node."""

from collections.abc import Callable
from typing import TypeVar

from chassis.leaves.port import Leaves, Place
from chassis.merkle import Subtree, node_hash, split

T = TypeVar("T")
NOTHING = bytes(32)


async def computed(leaves: Leaves, compute: Callable[[Subtree], T]) -> T:
    """What `compute` makes of the tree. It is run twice: which nodes it needs does not depend on what is in them."""
    wanted: dict[Place, bytes] = {}

    def noted(place: Place) -> bytes:
        return wanted.setdefault(place, NOTHING)

    compute(_over(noted))
    kept = await leaves.hashes(wanted)
    return compute(_over(lambda place: kept[place]))


def _over(node: Callable[[Place], bytes]) -> Subtree:
    def subtree(start: int, stop: int) -> bytes:
        """The hash over a range of leaves that begins where a complete subtree of its size would."""
        count = stop - start
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return node((level, start >> level))
        middle = start + split(count)
        return node_hash(subtree(start, middle), subtree(middle, stop))

    return subtree

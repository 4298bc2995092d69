"""What every desk owes its service's witness: inherit the suite beside `DeskConformance`, which makes the desks."""

import asyncio
from hashlib import sha256

import pytest

from chassis.desk.port import Desk
from chassis.leaves.port import End, Hashed, Leaf, Leaves
from chassis.leaves.tree import computed
from chassis.merkle import over, root

MANY, SECOND = 23, 2


def some_leaves(count: int) -> list[Hashed]:
    """The leaves of so many events, at every tenth position."""
    return [(10 * number, sha256(b"%d" % number).digest()) for number in range(1, count + 1)]


async def root_of(leaves: Leaves, size: int) -> bytes:
    """The root over what is kept."""
    return await computed(leaves, lambda tree: root(tree, size))


def root_over(count: int) -> bytes:
    return root(over([found for _, found in some_leaves(count)]), count)


class LeavesConformance:
    """Inherit it beside `DeskConformance`, whose fixtures `desk` and `another` it takes."""

    async def test_leaves_are_numbered_in_order_and_a_repeat_is_passed_over(self, desk: Desk) -> None:
        leaves, events = desk.leaves(1), some_leaves(3)
        assert await leaves.end() == End(0, 0)
        assert [await leaves.append(part) for part in (events[:2], events[1:], events, [])] == [2, 1, 0, 0]
        assert await leaves.end() == End(3, 30)
        assert await leaves.after(1, 5) == [Leaf(1, 20, events[1][1]), Leaf(2, 30, events[2][1])]
        assert await leaves.after(0, 1) == [Leaf(0, 10, events[0][1])]

    @pytest.mark.parametrize("batch", [1, 2, 7, MANY])
    async def test_batches_of_any_size_lead_to_one_tree(self, desk: Desk, another: Desk, batch: int) -> None:
        leaves, events = desk.leaves(1), some_leaves(MANY)
        for first in range(0, MANY, batch):
            await leaves.append(events[first : first + batch])
        kept = another.leaves(1)
        for size in range(1, MANY + 1):
            assert await root_of(kept, size) == root_over(size)
        # Twenty-three leaves complete 11 nodes of two, 5 of four, 2 of eight, 1 of sixteen.
        assert sorted(level for level, _ in await kept.nodes()) == [1] * 11 + [2] * 5 + [3] * 2 + [4]

    async def test_two_processes_that_add_at_once_make_one_tree(self, desk: Desk, another: Desk) -> None:
        events = some_leaves(MANY)
        parts = [events[first : first + 4] for first in range(0, MANY, 4)]
        one, other = desk.leaves(1), another.leaves(1)
        for part in parts:
            await asyncio.gather(one.append(part), other.append(part))
        assert await one.end() == End(MANY, 10 * MANY)
        assert await root_of(other, MANY) == root_over(MANY)

    async def test_leaves_are_found_by_position_and_what_is_not_kept_is_said(self, desk: Desk) -> None:
        leaves = desk.leaves(1)
        await leaves.append(some_leaves(3))
        assert await leaves.numbers_at([30, 10]) == {30: 2, 10: 0}
        assert await leaves.numbers_at([]) == {}
        with pytest.raises(LookupError, match="entente/lighting/1"):
            await leaves.numbers_at([10, 15])
        with pytest.raises(LookupError, match="entente/lighting/1"):
            await leaves.hashes([(0, 2), (1, 1)])

    async def test_the_first_checkpoint_of_a_size_stays(self, desk: Desk, another: Desk) -> None:
        leaves = desk.leaves(1)
        assert (await leaves.latest(), await leaves.checkpoints()) == (None, [])
        for size, note in ((2, "two"), (1, "one"), (2, "another two")):
            await leaves.keep_checkpoint(size, "2026-03-02T10:00:00Z", note)
        assert await another.leaves(1).checkpoints() == ["one", "two"]
        assert await leaves.latest() == (2, "two")

    async def test_each_epoch_has_a_tree_of_its_own(self, desk: Desk) -> None:
        assert await desk.newest_epoch() == 0
        first, second = desk.leaves(1), desk.leaves(SECOND)
        await first.append(some_leaves(5))
        await second.append(some_leaves(2))
        assert [await one.end() for one in (first, second)] == [End(5, 50), End(2, 20)]
        assert (first.origin, second.origin) == ("entente/lighting/1", "entente/lighting/2")
        assert await desk.newest_epoch() == SECOND

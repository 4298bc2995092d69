"""What waits together is done together."""

import asyncio
import sqlite3

import pytest

from chassis.away import is_away
from chassis.decider import Busy
from chassis.sqlite_file import insert
from chassis.store.group_commit import Batches
from chassis.store.port import StoreSettings


async def test_all_that_one_turn_of_the_loop_brings_is_done_at_once() -> None:
    done: list[list[int]] = []

    def work(items: list[int]) -> list[int]:
        done.append(items)
        return [item * 2 for item in items]

    batches: Batches[int, int] = Batches("doubling", work, StoreSettings(max_batch=40))
    batches.start()
    assert await asyncio.gather(*(batches.do(number) for number in range(100))) == [n * 2 for n in range(100)]
    assert [len(items) for items in done] == [40, 40, 20]
    await batches.stop()


async def test_what_is_waiting_when_it_stops_is_done_first() -> None:
    batches: Batches[int, int] = Batches("counting", lambda items: items, StoreSettings())
    batches.start()
    waiting = [asyncio.ensure_future(batches.do(number)) for number in range(3)]
    await asyncio.sleep(0)
    await batches.stop()
    assert await asyncio.gather(*waiting) == [0, 1, 2]
    with pytest.raises(Busy, match="closed") as told:
        await batches.do(1)
    assert is_away(told.value), "a message whose reaction meets it comes again: it is not to be parked"


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 149])
def test_rows_are_inserted_in_order_however_many_there_are(count: int) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE numbers (place INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER UNIQUE)")
    rows = [(number,) for number in range(count)]
    insert(database, "numbers (number)", rows)
    insert(database, "numbers (number)", rows, "ON CONFLICT DO NOTHING")
    assert database.execute("SELECT number FROM numbers ORDER BY place").fetchall() == rows

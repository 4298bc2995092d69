"""What a process keeps in memory of its log is as good as the log, whoever else writes to the same file meanwhile."""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest

from chassis.decider import Busy
from chassis.read_store.sqlite import SqliteReadStore
from chassis.store.batch import Append
from chassis.store.mapping import to_stored
from chassis.store.port import Conflict
from chassis.store.sqlite import SqliteEventStore
from chassis.testing.read_store_conformance import TENANT, filled
from chassis.testing.store_conformance import commit, lamp
from chassis.wal_index import WalIndex
from tests.chassis.test_segments import Walk
from tests.chassis.trust import opened


class Counted(SqliteEventStore):
    """Counts how often the log itself was asked."""

    asked = 0

    async def load_many(self, after):
        self.asked += 1
        return await super().load_many(after)


async def test_the_count_of_a_file_rises_with_every_commit_of_anybody(tmp_path: Path) -> None:
    here, there = (sqlite3.connect(tmp_path / "x.db", isolation_level=None) for _ in range(2))
    here.execute("PRAGMA journal_mode=WAL")
    here.execute("CREATE TABLE t (n)")
    index = WalIndex(tmp_path / "x.db")
    for connection in (here, there, here):
        before = index.changes()
        connection.execute("SELECT count(*) FROM t").fetchone()
        assert index.changes() == before
        connection.execute("INSERT INTO t VALUES (1)")
        assert index.changes() == before + 1
    there.execute("BEGIN IMMEDIATE")
    there.execute("INSERT INTO t VALUES (1)")
    there.execute("ROLLBACK")
    here.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert index.changes() == before + 1
    there.execute("INSERT INTO t VALUES (1)")
    assert index.changes() == before + 2
    index.close()
    here.close()
    there.close()


async def test_others_are_counted_and_own_commits_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db") as one, opened(tmp_path / "s.db") as other:
        alone = one.others()
        assert alone is not None
        for version in (1, 2, 3):
            await one.append(commit(lamp("acme:lamp-1", version)))
            assert one.others() == alone
        with pytest.raises(Conflict):
            await one.append(commit(lamp("acme:lamp-1", 3)))
        assert one.others() == alone
        await other.append(commit(lamp("acme:lamp-2", 1)))
        assert one.others() is None
        await one.append(commit(lamp("acme:lamp-1", 4)))
        assert one.others() == alone + 1
        await one.save_checkpoint("relay", 1)
        assert one.others() != alone + 1


async def test_memory_is_not_believed_while_the_file_holds_a_commit_that_the_loop_was_not_told_of(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "s.db") as store:
        alone = store.others()
        mine = commit(lamp("acme:lamp-1", 1))
        recorded = await asyncio.to_thread(store._append, [Append(mine, to_stored(mine))])
        assert (await store.feed(0, 10))[-1].version == 1
        assert store.others() is None
        store._committed(recorded)
        assert store.others() == alone


async def test_a_stream_that_only_this_process_writes_is_read_once(tmp_path: Path) -> None:
    store = Counted(tmp_path / "s.db")
    await store.migrate()
    await store.open()
    walk = Walk(store)
    assert (await walk.step()).answer == {"walked": 1}
    first = store.asked
    for turn in range(30):
        assert (await walk.step()).answer == {"walked": turn + 2}
        assert await walk.walked() == (turn + 2, turn + 2)
    assert store.asked == first
    await store.close()


async def test_a_position_that_is_known_before_its_commit_is_answered_hides_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db") as store:
        walk = Walk(store)
        await walk.step()
        for turn in range(10):
            store._head.rise(store.known + 7)
            assert (await walk.step()).answer == {"walked": turn + 2}


@pytest.mark.parametrize("seed", range(4))
async def test_processes_that_take_turns_at_random_decide_on_what_all_have_done(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with opened(tmp_path / "s.db") as a, opened(tmp_path / "s.db") as b:
        walks = [Walk(a), Walk(b), Walk(a)]
        walked = 0
        for turn in range(150):
            who = chance.randrange(3)
            if chance.random() < 0.2:
                walks[who].executor._tails = Walk(a if who != 1 else b).executor._tails
            together = [walks[n].step(key=f"{turn}-{n}") for n in ({who, chance.randrange(3)})]
            found = await asyncio.gather(*together, return_exceptions=True)
            assert [one for one in found if isinstance(one, Exception) and not isinstance(one, Busy)] == []
            walked += sum(not isinstance(one, Exception) for one in found)
            assert (await walks[chance.randrange(3)].walked())[0] == walked
        assert (await Walk(b).walked())[0] == walked


async def test_a_document_changed_by_another_process_is_seen_at_once(tmp_path: Path) -> None:
    here, there = SqliteReadStore(tmp_path / "read.db"), SqliteReadStore(tmp_path / "read.db")
    await here.open()
    await there.open()
    await filled(there, {"a": {"n": 1}})
    for number in range(2, 6):
        assert (await here.get("board", TENANT, "a")) == {"n": number - 1}
        (await here.get("board", TENANT, "a"))["n"] = 99
        assert (await here.get("board", TENANT, "a")) == {"n": number - 1}
        await filled(there, {"a": {"n": number}})
    await here.close()
    await there.close()

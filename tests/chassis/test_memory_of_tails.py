"""What a process keeps in memory of its log is as good as the log, whoever else writes to the same file meanwhile."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.decider import Busy
from chassis.read_store.sqlite import SqliteReadStore
from chassis.store.port import Conflict
from chassis.store.sqlite import HEAD, SqliteEventStore
from chassis.testing.read_store_conformance import TENANT, filled, put
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


def stand_still_until(done: Callable[[], bool]) -> None:
    """Waits without giving the loop a turn: nothing is told meanwhile."""
    while not done():
        time.sleep(0.001)


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
        assert await one.take_lease("relay", "a", 30)
        assert one.others() != alone + 1


async def test_nobody_believes_memory_while_it_is_counted_anew(tmp_path: Path) -> None:
    """Whoever asked then, and had what another one committed meanwhile taken for seen, would go on without it."""
    async with opened(tmp_path / "s.db") as one, opened(tmp_path / "s.db") as other:
        others = one._others
        assert others.seen() is not None
        asked: list[int | None] = []

        class Interrupted(WalIndex):
            def changes(self) -> int | None:
                if not asked:
                    asked.append(None)
                    asked.append(others.seen())
                return super().changes()

        others._index.close()
        others._index = Interrupted(tmp_path / "s.db")
        others.start_anew()
        assert asked == [None, None]
        assert others.seen() is not None
        await other.append(commit(lamp("acme:lamp-1", 1)))
        assert others.seen() is None


async def test_memory_of_a_stream_is_not_believed_while_a_commit_to_it_is_on_its_way(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db") as store:
        alone = store.others()
        mine = asyncio.create_task(store.append(commit(lamp("acme:lamp-1", 1))))
        while not store.on_the_way("acme:lamp-1"):
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # now the writer has it
        stand_still_until(lambda: store._one(HEAD) == 1 and store.others() is not None)
        assert (await store.load("acme:lamp-1"))[-1].version == 1
        assert store.on_the_way("acme:lamp-1")
        assert not store.on_the_way("acme:lamp-2")
        assert store.others() == alone
        await mine
        assert not store.on_the_way("acme:lamp-1")


async def test_a_commit_whose_caller_is_gone_is_on_its_way_until_it_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db") as store:
        mine = asyncio.create_task(store.append(commit(lamp("acme:lamp-1", 1))))
        while not store.on_the_way("acme:lamp-1"):
            await asyncio.sleep(0)
        mine.cancel()
        with pytest.raises(asyncio.CancelledError):
            await mine
        await store.append(commit(lamp("acme:lamp-2", 1)))
        assert not store.on_the_way("acme:lamp-1")
        assert [one.stream for one in store.recent(0)] == ["acme:lamp-1", "acme:lamp-2"]


async def test_who_is_turned_away_has_nothing_on_its_way(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db") as store:
        await store.append(commit(lamp("acme:lamp-1", 1)))
        with pytest.raises(Conflict):
            await store.append(commit(lamp("acme:lamp-1", 1)))
        store._writer._unanswered = store.settings.queue_max
        with pytest.raises(Busy):
            await store.append(commit(lamp("acme:lamp-1", 2)))
        store._writer._unanswered = 0
        assert not store.on_the_way("acme:lamp-1")


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


@pytest.fixture
async def reading(tmp_path: Path):
    store = SqliteReadStore(tmp_path / "read.db")
    await store.open()
    yield store
    await store.close()


async def test_a_short_answer_is_kept_until_its_own_model_is_written(reading: SqliteReadStore) -> None:
    board, notes = [(await reading.prepare(name, 1, ())).model for name in ("board", "notes")]
    await reading.change(put(board, {"a": {"n": 1}}))
    assert await reading.get("board", TENANT, "a") == {"n": 1}
    asked: list[str] = []
    reading._reader.set_trace_callback(asked.append)
    await reading.change(put(notes, {"a": {"n": 7}}))
    assert await reading.get("board", TENANT, "a") == {"n": 1}
    assert asked == []
    await reading.change(put(board, {"a": {"n": 2}}))
    assert await reading.get("board", TENANT, "a") == {"n": 2}


async def test_a_model_that_took_the_place_of_another_answers_at_once(reading: SqliteReadStore) -> None:
    await filled(reading, {"a": {"n": 1}})
    assert await reading.get("board", TENANT, "a") == {"n": 1}
    following = (await reading.prepare("board", 2, ())).model
    await reading.change(put(following, {"a": {"n": 5}}))
    await reading.go_live(following)
    assert await reading.get("board", TENANT, "a") == {"n": 5}


async def test_what_another_process_wrote_is_seen_after_a_change_of_ours_that_changed_nothing(
    reading: SqliteReadStore, tmp_path: Path
) -> None:
    board = (await filled(reading, {"a": {"n": 1}})).model
    assert await reading.get("board", TENANT, "a") == {"n": 1}
    await reading.set_behind(board, "x", behind=False)
    other = SqliteReadStore(tmp_path / "read.db")
    await other.open()
    await other.change(put(board, {"a": {"n": 2}}))
    assert await reading.get("board", TENANT, "a") == {"n": 2}
    await other.close()

"""What is forgotten stays forgotten: after a stop in between, and with keys or a log from a backup."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chassis.event import Actor, Sealed, encode, event
from chassis.forgetting import Forgetting
from chassis.keys import Keys
from chassis.store.port import Commit, NewEvent
from chassis.store.sqlite import SqliteEventStore
from tests.chassis.test_health import AT


@event("testing.LeftForGood.v1")
class LeftForGood:
    who: str


@asynccontextmanager
async def a_log(path: Path) -> AsyncIterator[SqliteEventStore]:
    store = SqliteEventStore(path)
    await store.migrate()
    await store.open()
    yield store
    await store.close()


async def leaves(store: SqliteEventStore, who: str, time: int = 1) -> None:
    new = NewEvent(
        f"acme:person-{who}", time, f"e-{who}-{time}", "testing.LeftForGood.v1", encode(LeftForGood(who=who))
    )
    commit = Commit(
        tenant="acme",
        actor=Actor(kind="service", subject="testing"),
        command_id=None,
        causation_id=None,
        correlation_id=None,
        traceparent=None,
        evaluator=1,
        recorded_at=AT,
        events=(new,),
    )
    await store.append(commit)


def forgetting(store: SqliteEventStore, keys: Keys) -> Forgetting:
    return Forgetting(store, keys, {LeftForGood: lambda it: it.who})


def names(keys: Keys, boxes: dict[str, Sealed]) -> dict[str, str | None]:
    return {who: keys.open("acme", box) for who, box in boxes.items()}


async def test_what_was_recorded_is_forgotten_though_the_process_stopped_before_it_was_done(tmp_path: Path) -> None:
    keys = Keys.in_directory(tmp_path)
    boxes = {who: keys.seal("acme", who, who.title()) for who in ("anna", "bela")}
    async with a_log(tmp_path / "events.db") as store:
        await leaves(store, "anna")
        assert await forgetting(store, keys).catch_up() == 1
        assert {"anna": None, "bela": "Bela"} == names(keys, boxes)
        assert await forgetting(store, keys).catch_up() == 0
    keys.close()


async def test_keys_from_a_backup_forget_again_what_was_forgotten_since(tmp_path: Path) -> None:
    keys = Keys.in_directory(tmp_path)
    boxes = {who: keys.seal("acme", who, who.title()) for who in ("anna", "bela", "cora")}
    async with a_log(tmp_path / "events.db") as store:
        await leaves(store, "anna")
        await forgetting(store, keys).catch_up()
        keys.close()
        shutil.copy(tmp_path / "keys.db", tmp_path / "backup.db")
        keys = Keys.in_directory(tmp_path)
        await leaves(store, "bela")
        await forgetting(store, keys).catch_up()
        keys.close()

        restored = tmp_path / "restored"
        shutil.copytree(tmp_path, restored, ignore=shutil.ignore_patterns("keys.db*", "events.db*"))
        (restored / "backup.db").rename(restored / "keys.db")
        keys = Keys.in_directory(restored)
        assert {"anna": None, "bela": "Bela", "cora": "Cora"} == names(keys, boxes)
        assert await forgetting(store, keys).catch_up() == 1
        assert {"anna": None, "bela": None, "cora": "Cora"} == names(keys, boxes)
    keys.close()


async def test_who_was_named_anew_keeps_the_new_key_however_often_the_log_tells_of_the_old_one(tmp_path: Path) -> None:
    keys = Keys.in_directory(tmp_path)
    before = keys.seal("acme", "anna", "Anna")
    async with a_log(tmp_path / "events.db") as store:
        await leaves(store, "anna")
        [told] = await store.feed(0, 10)
        keys.forget("acme", "anna", told.id)  # at once, by whoever was asked to
        again = keys.seal("acme", "anna", "Anna again")
        await forgetting(store, keys).catch_up()
        assert {"anna": "Anna again"} == names(keys, {"anna": again})
        keys.follow(500)  # the log is an older copy now, and is read from its beginning
        await forgetting(store, keys).catch_up()
        assert {"anna": "Anna again"} == names(keys, {"anna": again})
        await leaves(store, "anna", 2)
        await forgetting(store, keys).catch_up()
    assert [None, None] == [keys.open("acme", box) for box in (before, again)]
    keys.close()


async def test_a_log_from_a_backup_is_followed_from_its_beginning(tmp_path: Path) -> None:
    keys = Keys.in_directory(tmp_path)
    box = keys.seal("acme", "anna", "Anna")
    keys.follow(500)
    async with a_log(tmp_path / "events.db") as store:
        await leaves(store, "anna")
        assert await forgetting(store, keys).catch_up() == 1
    assert keys.open("acme", box) is None
    keys.close()

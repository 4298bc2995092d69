"""The read store's conformance suite over every adapter, and what only SQLite promises."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.read_store import query
from chassis.read_store.sqlite import SqliteReadStore
from chassis.testing.read_store_conformance import TENANT, ReadStoreConformance, filled, put


class TestSqliteReadStore(ReadStoreConformance):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteReadStore]:
        store = SqliteReadStore(tmp_path / "read.db")
        await store.open()
        yield store
        await store.close()

    async def test_documents_and_checkpoints_survive_a_restart(self, store: SqliteReadStore, tmp_path: Path) -> None:
        await filled(store, {"a": {"n": 1}})

        again = SqliteReadStore(tmp_path / "read.db")
        await again.open()
        (model,) = await again.models()

        assert await again.get("board", TENANT, "a") == {"n": 1}
        assert model.checkpoints == {"own": {"": 1}}
        await again.close()

    async def test_changes_of_several_models_share_a_commit(self, store: SqliteReadStore) -> None:
        models = [await store.prepare(f"board_{n}", 1, ()) for n in range(8)]

        await asyncio.gather(*(store.change(put(model.model, {"a": {"n": 1}})) for model in models))

        assert [await store.get(f"board_{n}", TENANT, "a") for n in range(8)] == [{"n": 1}] * 8

    @pytest.mark.parametrize(
        ("where", "sort", "index"),
        [
            ({"stage": "new"}, "-amount", "board__v1__by_stage_amount"),
            ({}, "amount", "board__v1__by_amount"),
            ({"account.country": "DE"}, "id", "board__v1__by_account_country"),
        ],
    )
    async def test_a_query_is_answered_from_its_index(
        self, store: SqliteReadStore, where: dict[str, str], sort: str, index: str
    ) -> None:
        model = await filled(store, {str(n): {"stage": "new", "amount": n} for n in range(100)})
        condition, values = query.conditions(model.model, TENANT, where, ("amount",))
        field, direction = query.order(sort, ("amount",))
        sql = f'SELECT body FROM "{model.model}" WHERE {condition} {query.ordered(field, direction)}'

        plan = " ".join(row[3] for row in store._reader.execute(f"EXPLAIN QUERY PLAN {sql}", values))

        assert index in plan
        assert "TEMP B-TREE" not in plan

    async def test_the_due_look_up_reads_only_what_is_outstanding(self, store: SqliteReadStore) -> None:
        await filled(store, {"a": {"due_at": "2026-03-01T00:00:00Z"}})
        statements: list[str] = []
        store._reader.set_trace_callback(statements.append)
        await store.due("board", "2026-04-01T00:00:00Z", 10)
        store._reader.set_trace_callback(None)

        sql = next(statement for statement in statements if "due_at" in statement)
        plan = " ".join(row[3] for row in store._reader.execute(f"EXPLAIN QUERY PLAN {sql}"))

        assert "board__v1__due" in plan
        assert "TEMP B-TREE" not in plan

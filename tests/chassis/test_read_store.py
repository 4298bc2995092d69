"""The read store's conformance suite over every adapter, and what only one of them promises."""

import asyncio
import re
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from chassis.decider import Busy
from chassis.read_store import postgres as postgres_read
from chassis.read_store import query, sqlite
from chassis.read_store.mongo import MongoReadStore
from chassis.read_store.port import Change, Contains, Fold, Kept
from chassis.read_store.postgres import PostgresReadStore
from chassis.read_store.sqlite import SqliteReadStore
from chassis.store.port import StoreSettings
from chassis.store.postgres import PostgresEventStore, lock_key
from chassis.testing.read_store_conformance import INDEXES, TENANT, ReadStoreConformance, filled, put
from tests.architecture.tree import ROOT
from tests.chassis.counted import once_more
from tests.engines.mongo import url_at
from tests.faults.wire import Wire, wire

PREPARED_AT = 5
"""After so many times the driver has a statement prepared."""
UNSEEN = b"DO $$ BEGIN DEALLOCATE ALL; END $$"
"""The driver looks at what a statement was, and would forget too."""
AS_BEFORE_TURNS = """
DROP INDEX "board__v1__outstanding";
CREATE INDEX "board__v1__due" ON "board__v1" (tenant, id);
"""


class TestSqliteReadStore(ReadStoreConformance):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteReadStore]:
        store = SqliteReadStore(tmp_path / "read.db")
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    async def another(self, store: SqliteReadStore, tmp_path: Path) -> AsyncIterator[SqliteReadStore]:
        another = SqliteReadStore(tmp_path / "read.db")
        await another.open()
        yield another
        await another.close()

    async def test_documents_and_checkpoints_survive_a_restart(self, store: SqliteReadStore, tmp_path: Path) -> None:
        await filled(store, {"a": {"n": 1}})

        again = SqliteReadStore(tmp_path / "read.db")
        await again.open()
        (model,) = await again.models()

        assert await again.get("board", TENANT, "a") == {"n": 1}
        assert model.checkpoints == {"own": {"": 1}}
        await again.close()

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
        condition, values = query.conditions(sqlite.SQL, model.model, TENANT, where, ("amount",))
        order = query.ordered(sqlite.SQL, *query.order(sqlite.SQL, sort, ("amount",)))
        sql = f'SELECT body FROM "{model.model}" WHERE {condition} {order}'

        plan = " ".join(row[3] for row in store._reader.execute(f"EXPLAIN QUERY PLAN {sql}", values))

        assert index in plan
        assert "TEMP B-TREE" not in plan

    async def test_a_model_that_is_older_than_turns_gets_the_index_of_its_due_look_up(
        self, store: SqliteReadStore, tmp_path: Path
    ) -> None:
        await filled(store, {"a": {"due_at": "2026-03-01T00:00:00Z"}})
        with closing(sqlite3.connect(tmp_path / "read.db")) as before:
            before.executescript(AS_BEFORE_TURNS)

        await store.prepare("board", 1, INDEXES)

        made = store._reader.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
        assert ("board__v1__outstanding",) in made
        assert ("board__v1__due",) not in made

    async def test_the_due_look_up_reads_only_what_is_outstanding(self, store: SqliteReadStore) -> None:
        await filled(store, {"a": {"due_at": "2026-03-01T00:00:00Z"}})
        statements: list[str] = []
        store._reader.set_trace_callback(statements.append)
        await store.due("board", "2026-04-01T00:00:00Z", 10)
        store._reader.set_trace_callback(None)

        sql = next(statement for statement in statements if "due_at" in statement)
        plan = " ".join(row[3] for row in store._reader.execute(f"EXPLAIN QUERY PLAN {sql}"))

        assert "board__v1__outstanding" in plan
        assert "TEMP B-TREE" not in plan


@asynccontextmanager
async def on_postgres(dsn: str, schema: str) -> AsyncIterator[PostgresReadStore]:
    store = PostgresReadStore(dsn, schema=schema, settings=StoreSettings(connect_timeout_seconds=2))
    await store.open()
    yield store
    await store.close()


MODELS = 40


async def asked_for_models(store: MongoReadStore | PostgresReadStore, between: Wire) -> int:
    """How often something went over the wire while all of many models were looked up."""
    for number in range(MODELS):
        await store.prepare(f"model_{number}", 1, ())
    before = between.passed
    assert len(await store.models()) == MODELS
    return between.passed - before


class TestPostgresReadStore(ReadStoreConformance):
    @pytest.fixture
    def schema(self, postgres_server: str) -> Iterator[str]:
        """A schema of the test's own: cheaper than a database."""
        schema = f"read_{uuid.uuid4().hex}"
        yield schema
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())

    @pytest.fixture
    async def store(self, postgres_server: str, schema: str) -> AsyncIterator[PostgresReadStore]:
        async with on_postgres(postgres_server, schema) as store:
            yield store

    @pytest.fixture
    async def another(self, store: PostgresReadStore, postgres_server: str) -> AsyncIterator[PostgresReadStore]:
        async with on_postgres(postgres_server, store.schema) as another:
            yield another

    async def test_many_models_are_looked_up_with_few_questions(self, postgres_server: str, schema: str) -> None:
        there = urlsplit(postgres_server)
        async with wire(there.port or 0) as between:
            through = there._replace(netloc=there.netloc.replace(f":{there.port}", f":{between.front}"))
            async with on_postgres(through.geturl(), schema) as store:
                assert await asked_for_models(store, between) < MODELS

    async def test_what_was_made_by_hand_needs_the_rights_that_the_page_tells_and_no_other(self, postgres: str) -> None:
        role = f"reader_{postgres.rpartition('_')[2]}"
        granted = re.findall("^GRANT .*;$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
        assert len(granted) == 4
        log = PostgresEventStore(postgres, schema="registration")
        by_hand = PostgresReadStore(postgres, schema="registration_read")
        with psycopg.connect(postgres) as connection:
            for statement in (*log.statements(), *by_hand.statements()):
                connection.execute(statement.encode())
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
            for statement in granted:
                connection.execute(statement.replace("TO entente", f"TO {role}").encode())
        dsn = postgres.replace("entente:entente@", f"{role}@")

        for _ in range(2):
            async with on_postgres(dsn, "registration_read") as store:
                await filled(store, {"a": {"n": 1}})
                again = await store.prepare("board", 1, INDEXES, birth="again")
                await store.change(put(again.model, {"a": {"n": 2}}, position=1))
                await store.go_live(again.model)
                assert await store.get("board", TENANT, "a") == {"n": 2}
        of_the_role = PostgresEventStore(dsn, schema="registration")
        await of_the_role.migrate()
        await of_the_role.open()
        await of_the_role.close()
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())

    async def test_it_goes_on_after_its_connections_were_cut(self, postgres: str) -> None:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"
        async with on_postgres(postgres, "lighting_read") as store:
            model = await filled(store, {"a": {"n": 1}})
            with psycopg.connect(postgres, autocommit=True) as connection:
                connection.execute(cut, (postgres.rpartition("/")[2],))

            await store.change(put(model.model, {"a": {"n": 2}}, position=2))

            assert await store.get("board", TENANT, "a") == {"n": 2}

    async def test_a_model_that_is_older_than_turns_gets_the_index_of_its_due_look_up(
        self, store: PostgresReadStore, postgres_server: str
    ) -> None:
        await filled(store, {"a": {"due_at": "2026-03-01T00:00:00Z"}})
        with psycopg.connect(postgres_server, autocommit=True) as before:
            before.execute(f"SET search_path TO {store.schema}".encode())
            before.execute(AS_BEFORE_TURNS.encode())

            await store.prepare("board", 1, INDEXES)

            found = before.execute("SELECT indexname FROM pg_indexes WHERE schemaname = %s", (store.schema,)).fetchall()
        assert ("board__v1__outstanding",) in found
        assert ("board__v1__due",) not in found

    @pytest.mark.parametrize(
        ("document", "twice"),
        [
            ({"id": "a", "of": "5f2c7e31-4e00-7e1a-9e3b-0.0e1", "rate": 2.5, "from": -0.25, "on": [0.0, 17]}, False),
            ({"id": "a", "rate": 1e16}, True),
            ({"id": "a", "rates": [0.5, -2.5e-7]}, True),
            ({"id": "a", "rate": -0.0}, True),
            ({"id": "a", "text": "nul \0"}, True),
        ],
    )
    async def test_only_what_jsonb_would_spell_otherwise_is_kept_twice(
        self, store: PostgresReadStore, document: dict[str, Any], *, twice: bool
    ) -> None:
        model = await filled(store, {"a": document})

        async with store._connections.one() as connection:
            asked = f'SELECT exact IS NOT NULL FROM "{model.model}"'.encode()
            rows = await (await connection.execute(asked)).fetchall()

        assert rows == [(twice,)]

    async def test_of_questions_on_one_journey_each_has_its_own_answer(self, store: PostgresReadStore) -> None:
        documents = {str(n): {"n": n} for n in range(100)}
        await filled(store, documents)
        await store.get("board", TENANT, "0")  # from here on the model is known
        wrong = store._questions.rows(b"SELECT 1 / %s", (0,))

        asked = (store.get("board", TENANT, name) for name in (*documents, "nobody"))
        *found, broken = await asyncio.gather(*asked, wrong, return_exceptions=True)

        assert found == [*documents.values(), None]
        assert isinstance(broken, psycopg.errors.DivisionByZero)

    async def test_a_question_that_was_to_be_prepared_on_a_journey_that_failed_is_answered_from_then_on(
        self, store: PostgresReadStore
    ) -> None:
        await filled(store, {"a": {"n": 1}})
        await store.get("board", TENANT, "a")  # from here on the model is known

        for _ in range(4 * PREPARED_AT):
            wrong = store._questions.rows(b"SELECT 1 / %s", (0,))
            broken, found = await asyncio.gather(wrong, store.get("board", TENANT, "a"), return_exceptions=True)
            assert (type(broken), found) == (psycopg.errors.DivisionByZero, {"n": 1})

    async def test_a_model_that_is_replaced_between_being_looked_up_and_being_asked_is_looked_up_again(
        self, store: PostgresReadStore, another: PostgresReadStore
    ) -> None:
        await filled(store, {"a": {"n": 1}})
        again = await another.prepare("board", 1, INDEXES, birth="again")
        await another.change(put(again.model, {"a": {"n": 2}}))
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'board__v1'::regclass"
        async with another._connections.one() as db, db.transaction():
            await postgres_read._go_live(db, again.model)

            asked = asyncio.create_task(store.get("board", TENANT, "a"))

            async with store._connections.one() as looking, asyncio.timeout(10):
                while not await (await looking.execute(waits.encode())).fetchall():
                    await asyncio.sleep(0.01)
        assert await asked == {"n": 2}

    async def test_a_model_is_made_however_long_another_process_makes_one(
        self, store: PostgresReadStore, another: PostgresReadStore
    ) -> None:
        await filled(store, {"a": {"n": 1}})
        store._connections._answer_seconds = 0.1
        async with another._connections.one() as db, db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key(store.schema),))

            made = asyncio.create_task(store.prepare("board", 1, INDEXES, birth="again"))

            _, waiting = await asyncio.wait({made}, timeout=2)
            assert waiting == {made}
        assert (await made).generation == 2

    async def test_documents_are_written_however_long_another_process_has_their_model(
        self, store: PostgresReadStore, another: PostgresReadStore
    ) -> None:
        model = await filled(store, {"a": {"n": 1}})
        store._connections._answer_seconds = 0.1
        async with another._connections.one() as db, db.transaction():
            await db.execute("SELECT FROM models FOR UPDATE")

            written = asyncio.create_task(store.change(put(model.model, {"a": {"n": 2}}, position=2)))

            _, waiting = await asyncio.wait({written}, timeout=1)
            assert waiting == {written}
        await written
        assert await another.get("board", TENANT, "a") == {"n": 2}

    async def test_it_goes_on_after_the_server_forgot_what_was_prepared(self, store: PostgresReadStore) -> None:
        """As behind a pooler that gives a session to whoever asks next."""
        model = await filled(store, {"a": {"n": 0}})
        for position in range(2, 4 * PREPARED_AT):
            async with store._connections.one() as connection:
                await connection.execute(UNSEEN, prepare=False)

            await store.change(put(model.model, {"a": {"n": position}}, position=position))

            found = [store.get("board", TENANT, "a"), store.get("board", TENANT, "b")]
            assert await asyncio.gather(*found) == [{"n": position}, None]
            assert await store.count("board", TENANT) == 1

    async def test_a_database_that_does_not_answer_is_busy(self, store: PostgresReadStore) -> None:
        await filled(store, {})
        store._connections._pool.kwargs = {**store._connections._pool.kwargs, "host": "127.0.0.1", "port": 1}  # type: ignore[dict-item]
        store._connections._settings = StoreSettings(attempts_max=1)
        await store._connections._pool.drain()

        with pytest.raises(Busy):
            await store.get("board", TENANT, "a")

    async def test_a_role_that_may_make_no_schema_uses_the_one_it_was_given(self, postgres: str) -> None:
        name = f"reader_{postgres.rpartition('_')[2]}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN")
            connection.execute(f"CREATE SCHEMA heating_read AUTHORIZATION {name}")
        store = PostgresReadStore(postgres.replace("entente:entente@", f"{name}@"), schema="heating_read")

        await store.open()
        await filled(store, {"a": {"n": 1}})

        assert await store.get("board", TENANT, "a") == {"n": 1}
        await store.close()
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")

    @pytest.mark.parametrize(
        ("where", "sort", "index"),
        [
            ({"stage": "new"}, "-amount", "board__v1__by_stage_amount"),
            ({}, "amount", "board__v1__by_amount"),
            ({"account.country": "DE"}, "id", "board__v1__by_account_country"),
            ({"partner_ids": Contains("p-1")}, "id", "board__v1__by_partner_ids"),
        ],
    )
    async def test_a_query_is_answered_from_its_index(
        self, store: PostgresReadStore, where: dict[str, Any], sort: str, index: str
    ) -> None:
        documents = {str(n): {"stage": f"s-{n % 50}", "amount": n, "partner_ids": [f"p-{n}"]} for n in range(2_000)}
        model = await filled(store, documents | {"x": {"account": {"country": "DE"}}})
        condition, values = query.conditions(postgres_read.SQL, model.model, TENANT, where, ("amount",))
        order = query.ordered(postgres_read.SQL, *query.order(postgres_read.SQL, sort, ("amount",)))
        statement = f'EXPLAIN SELECT body FROM "{model.model}" WHERE {condition} {order} LIMIT 20'

        async with store._connections.one() as connection:
            await connection.execute(f'ANALYZE "{model.model}"'.encode())
            plan = " ".join(row[0] for row in await (await connection.execute(statement.encode(), values)).fetchall())

        assert f"{index} " in plan

    async def test_the_due_look_up_reads_only_what_is_outstanding(self, store: PostgresReadStore) -> None:
        model = await filled(store, {str(n): {"due_at": f"2026-03-01T00:00:{n:05}Z"} for n in range(2_000)})
        statement = "EXPLAIN " + postgres_read.SELECT_DUE.format(model=model.model)

        async with store._connections.one() as connection:
            await connection.execute(f'ANALYZE "{model.model}"'.encode())
            behind = ("2026-03-01T00:00:00100Z", "t-1", "100")
            found = await connection.execute(statement.encode(), (behind[0], "2026-04-01T00:00:00Z", *behind, 10))
            plan = " ".join(row[0] for row in await found.fetchall())

        assert "board__v1__outstanding" in plan
        assert "Sort" not in plan


@asynccontextmanager
async def on_mongo(url: str, database: str) -> AsyncIterator[MongoReadStore]:
    store = MongoReadStore(url, database=database)
    await store.open()
    yield store
    await store.close()


class TestMongoReadStore(ReadStoreConformance):
    @pytest.fixture
    async def store(self, mongo: str) -> AsyncIterator[MongoReadStore]:
        async with on_mongo(mongo, f"read_{uuid.uuid4().hex}") as store:
            yield store
            await store._client.drop_database(store.database)

    @pytest.fixture
    async def another(self, store: MongoReadStore, mongo: str) -> AsyncIterator[MongoReadStore]:
        async with on_mongo(mongo, store.database) as another:
            yield another

    async def test_many_models_are_looked_up_with_few_questions(self, mongo: str) -> None:
        async with (
            wire(urlsplit(mongo).port or 0) as between,
            on_mongo(url_at(between.front), f"read_{uuid.uuid4().hex}") as store,
        ):
            assert await asked_for_models(store, between) < MODELS
            await store._client.drop_database(store.database)

    async def test_what_is_asked_for_in_vain_is_asked_for_once_however_many_models_are_asked(self, mongo: str) -> None:
        """As whatever is due is looked for: three questions of each model, five times a second, kept a server busy."""
        async with (
            wire(urlsplit(mongo).port or 0) as between,
            on_mongo(url_at(between.front), f"read_{uuid.uuid4().hex}") as store,
        ):
            for number in range(MODELS):
                await store.prepare(f"model_{number}", 1, ())
            for _ in range(2):  # the first time connections are made too, and models looked up
                before = between.passed
                asked = (store.get(f"model_{number}", TENANT, "nobody") for number in range(MODELS))
                assert await asyncio.gather(*asked) == [None] * MODELS
            assert between.passed - before < 5 * MODELS, "a question and a look, there and back, is 4"
            await store._client.drop_database(store.database)

    async def test_models_that_a_batch_has_nothing_for_are_written_together(self, mongo: str) -> None:
        async with (
            wire(urlsplit(mongo).port or 0) as between,
            on_mongo(url_at(between.front), f"read_{uuid.uuid4().hex}") as store,
        ):
            models = [(await store.prepare(f"model_{number}", 1, ())).model for number in range(MODELS)]
            before = between.passed
            await asyncio.gather(*(store.change(put(model, {}, position=7)) for model in models))
            assert between.passed - before < MODELS
            assert [one.checkpoints for one in await store.models()] == [{"own": {"": 7}}] * MODELS
            await store._client.drop_database(store.database)

    async def test_it_makes_the_indexes_that_a_projection_declares(self, store: MongoReadStore) -> None:
        model = await filled(store, {})

        made = await store._documents(model.model).index_information()

        assert {" ".join(name for name, _ in index["key"]) for index in made.values()} == {
            "_id",
            "tenant id",
            "tenant body.stage id",
            "tenant body.amount id",
            "tenant body.account.country id",
            "tenant body.stage body.amount id",
            "tenant body.partner_ids",
            "tenant body.due_at id",
            "due tenant id",
        }

    async def test_a_change_that_died_before_its_checkpoint_is_applied_once(self, store: MongoReadStore) -> None:
        """Documents stand without their checkpoint; the same facts come again and are dropped by the guards."""
        model = await store.prepare("board", 1, ())
        await store._put(put(model.model, {"gone": {"n": 0}}, position=1), {})
        await store._put(put(model.model, {"gone": None}, position=2), {})
        await store._put(once_more(model.model, 3), {})

        await store.change(once_more(model.model, 3))

        assert await store.get("board", TENANT, "gone") is None
        assert await store.get("board", TENANT, "counted") == {"times": 1}
        assert [kept.checkpoints for kept in await store.models()] == [{"own": {"": 3}}]

    async def test_the_guards_of_a_document_that_is_gone_are_kept(self, store: MongoReadStore) -> None:
        model = await filled(store, {"a": {"n": 1}})
        await store.change(put(model.model, {"a": None}, position=2))
        met: list[Any] = []
        key = (TENANT, "a")
        fold: Fold = lambda kept, _: met.append(kept[key]) or {}  # type: ignore[func-returns-value]  # noqa: E731

        await store.change(Change(model=model.model, lane="own", keys=[key], fold=fold, reached={}))

        assert met == [Kept(None, {"own": 2})]
        assert await store.export(model.model) == []

    async def test_what_a_replaced_version_left_behind_is_dropped_at_the_next_start(
        self, store: MongoReadStore, mongo: str
    ) -> None:
        model = await filled(store, {"a": {"n": 1}})
        await store._documents("board__v0").insert_one({"_id": "left"})
        await store._rise([put("notes__v0", {}, position=9)])

        async with on_mongo(mongo, store.database):
            pass

        assert await store.get("board", TENANT, "a") == {"n": 1}
        assert [name for name in await store._db.list_collection_names() if name.startswith("documents")] == [
            f"documents__{model.model}"
        ]
        assert {row["model"] for row in await store._db["checkpoints"].find().to_list(None)} == {model.model}

    async def test_what_was_issued_is_marked_once(self, store: MongoReadStore) -> None:
        model = await filled(store, {"a": {"due_at": "2031-03-03T09:00:00Z"}})
        found = await store.due("board", "2031-03-04T00:00:00Z", 10)

        await store.mark_issued("board", found)

        assert [one.id for one in found] == ["a"]
        assert await store.due("board", "2031-03-04T00:00:00Z", 10) == []
        [row] = await store._documents(model.model).find().to_list(None)
        assert row["revision"] == 2, "it was written once, and marked once"

    async def test_a_server_that_does_not_answer_is_busy(self) -> None:
        settings = StoreSettings(connect_timeout_seconds=1, statement_timeout_seconds=1, attempts_max=1)
        nowhere = MongoReadStore("mongodb://127.0.0.1:1", database="nowhere", settings=settings)

        with pytest.raises(Busy):
            await nowhere.open()
        await nowhere.close()

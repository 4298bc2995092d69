"""The read store in PostgreSQL: a table of JSONB documents a model version, expression and GIN indexes, one schema.

Changes that wait together share a transaction, short questions that are asked at once a journey. Each change locks the
row of its model first, so that several processes change one model one after the other, and a version that is replaced
waits for the changes in hand. Text is sorted as the database's own collation does; `C` gives the order that the other
engines have.
"""

# ruff: noqa: S608  table names come from projections and field names are checked; values are always bound

import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg import AsyncCursor, sql
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads

from chassis import text_array
from chassis.decider import Busy
from chassis.read_store import query
from chassis.read_store.port import (
    ASIDE_MAX,
    FIRST,
    PAGE_MAX,
    Aside,
    Birth,
    Change,
    Document,
    DocumentKey,
    Due,
    DuePlace,
    Kept,
    Model,
    NoSuchModel,
    NotIndexed,
    Page,
    ProjectionFailed,
    Retired,
    Where,
    canonical,
    canonical_of,
    check_ids,
    check_page,
    lane_model,
)
from chassis.read_store.questions import Question, Questions, Rows
from chassis.read_store.together import Together
from chassis.store.connections import Connection, Connections
from chassis.store.port import StoreSettings
from chassis.store.postgres import SCHEMA_NAME, lock_key
from chassis.text_array import Texts

Indexes = tuple[str, ...]
T = TypeVar("T")
U = TypeVar("U")

CONNECTIONS_MAX = 6
QUESTION_LANES_MAX, QUESTIONS_MAX = 2, 64
"""A question that takes its time holds up those that travel with it, so that only short ones do."""
SHORT_PAGE_MAX = 10
NAME_MAX = 63
"""PostgreSQL cuts longer names of indexes off, silently."""

TABLES = (
    (
        "CREATE TABLE IF NOT EXISTS models ("
        "model text PRIMARY KEY, name text NOT NULL, version int NOT NULL, generation int NOT NULL, live boolean NOT NULL, "
        "incomplete boolean NOT NULL DEFAULT false, indexes text[] NOT NULL DEFAULT '{}', wanted text[] NOT NULL DEFAULT '{}')"
    ),
    "CREATE UNIQUE INDEX IF NOT EXISTS one_live ON models (name) WHERE live",
    (
        "CREATE TABLE IF NOT EXISTS checkpoints ("
        "model text, lane text, tenant text, position bigint NOT NULL, PRIMARY KEY (model, lane, tenant))"
    ),
    "CREATE TABLE IF NOT EXISTS behind (model text, lane text, PRIMARY KEY (model, lane))",
    (
        "CREATE TABLE IF NOT EXISTS asides ("
        "model text, source text, position bigint, id text, tenant text NOT NULL, type text NOT NULL, reason text NOT NULL, "
        "body bytea NOT NULL, PRIMARY KEY (model, source, position, id))"
    ),
)
MADE = ("models", "one_live", "checkpoints", "behind", "asides")
"""What these make, in the schema. Each model has a table of its own besides, made when it is born."""
DOCUMENTS = (
    'CREATE TABLE "{model}" (tenant text COLLATE "C", id text COLLATE "C", body jsonb NOT NULL, exact text, '
    "guards jsonb NOT NULL, issued text, PRIMARY KEY (tenant, id)) WITH (fillfactor = 50)"
)
"""Half of each page is left for the next version of its documents, which then needs no other page and no place in the key."""
DUE_AT = "(body ->> 'due_at') COLLATE \"C\""
OUTSTANDING = f"{DUE_AT} IS NOT NULL AND issued IS DISTINCT FROM (body ->> 'due_at') || COALESCE(body ->> 'turn', '')"
DUE_INDEX = (
    f'CREATE INDEX IF NOT EXISTS "{{model}}__outstanding" ON "{{model}}" (({DUE_AT}), tenant, id) WHERE {OUTSTANDING}'
)
NO_DUE_INDEX = "SELECT 1 WHERE to_regclass(%s) IS NULL"
"""Asked first: making it locks the table, also where it is there."""
BODY = "COALESCE(exact, body::text)"
SELECT_DUE = (
    f'SELECT tenant, id, {DUE_AT}, {BODY} FROM "{{model}}" '
    f"WHERE {OUTSTANDING} AND {DUE_AT} BETWEEN %s AND %s AND ({DUE_AT}, tenant, id) > (%s, %s, %s) "
    f"ORDER BY {DUE_AT}, tenant, id LIMIT %s"
)
SELECT_ONE = f'SELECT {BODY} FROM "{{model}}" WHERE tenant = %s AND id = %s'
LOCK_MODELS = "SELECT model, indexes FROM models WHERE model = ANY(%s) ORDER BY model FOR NO KEY UPDATE"
CHECKPOINTS = (
    "SELECT model, lane, tenant, position FROM checkpoints "
    "WHERE (model, lane) IN (SELECT * FROM unnest(%b::text[], %b::text[]))"
)
# `OFFSET 0` keeps the planner to one look into the index a document, whatever it believes of a table being filled.
KEPT = (
    f"SELECT '{{model}}', tenant, id, body, guards FROM unnest(%b::text[], %b::text[]) AS wanted (t, i) CROSS JOIN LATERAL "
    f'(SELECT tenant, id, {BODY} AS body, guards::text FROM "{{model}}" WHERE tenant = t AND id = i OFFSET 0) AS found'
)
UPSERT = (
    'INSERT INTO "{model}" (tenant, id, body, exact, guards) '
    "SELECT t, i, b::jsonb, e, g::jsonb FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[]) "
    "AS changed (t, i, b, e, g) "
    "ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body, exact = excluded.exact, guards = excluded.guards"
)
REMOVE = 'DELETE FROM "{model}" WHERE (tenant, id) IN (SELECT * FROM unnest(%b::text[], %b::text[]))'
RISE = (
    "INSERT INTO checkpoints SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bigint[]) "
    "ON CONFLICT (model, lane, tenant) DO UPDATE SET position = greatest(checkpoints.position, excluded.position)"
)
KEEP_ASIDE = (
    "INSERT INTO asides (model, source, position, id, tenant, type, reason, body) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
MARK_ISSUED = (
    'UPDATE "{model}" SET issued = mark FROM unnest(%b::text[], %b::text[], %b::text[]) AS seen (t, i, mark) '
    "WHERE tenant = t AND id = i"
)
SET_BEHIND = "INSERT INTO behind VALUES (%s, %s) ON CONFLICT DO NOTHING"
FORGET_BEHIND = "DELETE FROM behind WHERE model = %s AND lane = %s"

ROWS_A_STATEMENT = 1_000
"""Documents that are read or written with one statement: the server is at work on it while the next is made."""
ODD_NUMBER = re.compile(rb"[:,[](?:-?[0-9.]+[eE]|-0\.0)")
"""What JSONB would spell or keep differently: numbers with an exponent, minus zero. May match within a text too."""
OF_NUMBERS = b"0123456789.-"
NUL_TEXT = rb"\u0000"
NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
REPLACEMENT = "\ufffd"


def _plain(value: Any) -> Any:
    """The value without NUL, for which PostgreSQL has no place."""
    return value.replace("\0", REPLACEMENT) if isinstance(value, str) else value


def _member(model: str, tenant: str, name: str, values: list[Any], indexes: Sequence[str]) -> query.Sql:
    field = _path(query.checked(name))
    return f"({' OR '.join([f'{field} @> %s'] * len(values))})", [Jsonb([_plain(value)]) for value in values]


def _path(name: str) -> str:
    return f"NULLIF(body #> '{{{name.replace('.', ',')}}}', 'null')"


SQL = query.Dialect(
    mark="%s",
    path=_path,
    member=_member,
    bound=lambda value: Jsonb(_plain(value)),
    absent={"ASC": " NULLS FIRST", "DESC": " NULLS LAST"},
)


class PostgresReadStore:
    """See `chassis.read_store.port.ReadStore`. Belongs to the event loop that opened it."""

    def __init__(self, dsn: str, *, schema: str, settings: StoreSettings | None = None) -> None:
        if not SCHEMA_NAME.fullmatch(schema):
            raise ValueError(f"{schema!r} is no plain schema name")
        self.schema = schema
        self.settings = settings or StoreSettings()
        self._connections = Connections(dsn, schema, self.settings, called="read store", most=CONNECTIONS_MAX)
        self._persist = self._connections.persist  # again is harmless: what a change has applied is dropped by its fold
        self._live: dict[str, tuple[str, Indexes]] = {}
        self._together = Together(self._write, max_batch=self.settings.max_batch, queue_max=self.settings.queue_max)
        self._questions = Questions(
            self._in_one_journey,
            self._by_itself,
            lanes_max=QUESTION_LANES_MAX,
            max_batch=QUESTIONS_MAX,
            queue_max=self.settings.queue_max,
        )

    def statements(self) -> list[str]:
        """The SQL that makes schema and tables, for whoever makes them by hand. Asks no database."""
        schema = sql.Identifier(self.schema)
        return [
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema).as_string(),
            sql.SQL("SET LOCAL search_path TO {}").format(schema).as_string(),
            *TABLES,
        ]

    async def open(self) -> None:
        """Connects, and makes schema and tables where they are missing."""
        await self._connections.open(_configure)
        await self._alone(self._make_tables)
        self._together.start()

    async def close(self) -> None:
        await self._together.stop()
        await self._questions.stop()
        await self._connections.close()

    # Writing

    async def prepare(
        self, name: str, version: int, indexes: Sequence[str], *, behind: Sequence[str] = (), birth: Birth = "first"
    ) -> Model:
        async def work(db: Connection) -> Model:
            model = await _newest(db, name, version)
            if model is None or birth == "again":
                model = await _bear(db, name, version, 1 if model is None else model.generation + 1, behind)
            await db.execute("UPDATE models SET wanted = %s WHERE model = %s", (list(indexes), model.model))
            if model.live:
                await _index(db, model.model)
            return await _model(db, model.model)

        found = await self._alone(work)
        self._live.pop(name, None)
        return found

    async def change(self, change: Change) -> None:
        await self._together.do(change)

    async def go_live(self, model: str) -> None:
        await self._alone(lambda db: _go_live(db, model))

    async def set_behind(self, model: str, lane: str, *, behind: bool) -> None:
        statement = SET_BEHIND if behind else FORGET_BEHIND
        await self._persist(lambda db: db.execute(statement, (model, lane)))

    async def mark_issued(self, name: str, due: Sequence[Due]) -> None:
        columns = ([one.tenant for one in due], [one.id for one in due], [one.mark for one in due])

        async def ask(db: Connection, model: str, _: Indexes) -> None:
            await db.execute(_sql(MARK_ISSUED.format(model=model)), columns)

        await self._asked(name, ask)

    async def _write(self, changes: list[Change]) -> list[Exception | None]:
        # Many documents are many statements, and nobody waits for them.
        return await self._persist(lambda db: _apply(db, changes), patient=True)

    # Reading

    async def models(self) -> list[Model]:
        async def work(db: Connection) -> list[Model]:
            async with db.transaction():
                await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                return await _models(db, [name for (name,) in await _rows(db, "SELECT model FROM models")])

        return await self._persist(work)

    async def get(self, name: str, tenant: str, document_id: str) -> Document | None:
        check_ids((document_id,))

        def question(model: str, _: Indexes) -> Question:
            return _sql(SELECT_ONE.format(model=model)), (tenant, _plain(document_id))

        rows = await self._answered(name, question)
        return orjson.loads(rows[0][0]) if rows else None

    async def get_many(self, name: str, tenant: str, document_ids: Sequence[str]) -> dict[str, Document]:
        check_ids(document_ids)

        def question(model: str, _: Indexes) -> Question:
            statement = f'SELECT id, {BODY} FROM "{model}" WHERE tenant = %s AND id = ANY(%s)'
            return _sql(statement), (tenant, list(map(_plain, document_ids)))

        rows = await self._answered(name, question)
        return {document_id: orjson.loads(body) for document_id, body in rows}

    async def find(
        self,
        name: str,
        tenant: str,
        where: Where | None = None,
        sort: str = "id",
        after: Sequence[Any] | None = None,
        limit: int = 50,
    ) -> Page:
        check_page(limit)

        def question(model: str, indexes: Indexes) -> Question:
            condition, values = query.conditions(SQL, model, tenant, where, indexes)
            field, direction = query.order(SQL, sort, indexes)
            further, cursor = query.beyond(SQL, field, direction, after)
            statement = (
                f'SELECT {SQL.expression(field)}, id, {BODY} FROM "{model}" WHERE {condition} AND {further} '
                f"{query.ordered(SQL, field, direction)} LIMIT %s"
            )
            return _sql(statement), (*values, *cursor, limit + 1)

        rows = await self._answered(name, question, short=limit <= SHORT_PAGE_MAX)
        items = [orjson.loads(body) for _, _, body in rows[:limit]]
        return Page(items, (rows[limit - 1][0], rows[limit - 1][1]) if len(rows) > limit else None)

    async def count(self, name: str, tenant: str, where: Where | None = None) -> int:
        async def ask(db: Connection, model: str, indexes: Indexes) -> int:
            condition, values = query.conditions(SQL, model, tenant, where, indexes)
            [(counted,)] = await _rows(db, f'SELECT count(*) FROM "{model}" WHERE {condition}', *values)
            return int(counted)

        return await self._asked(name, ask)

    async def due(self, name: str, until: str, limit: int, after: DuePlace = FIRST) -> list[Due]:
        def question(model: str, _: Indexes) -> Question:
            return _sql(SELECT_DUE.format(model=model)), (after[0], until, *after, min(limit, PAGE_MAX))

        rows = await self._answered(name, question)
        return [Due(tenant, document_id, due_at, orjson.loads(body)) for tenant, document_id, due_at, body in rows]

    async def asides(self, model: str) -> list[Aside]:
        columns = "source, tenant, position, type, id, reason, body"
        statement = f"SELECT {columns} FROM asides WHERE model = %s ORDER BY source, position, id"
        rows = await self._persist(lambda db: _rows(db, statement, model))
        names = columns.split(", ")
        return [Aside(**dict(zip(names, row, strict=True))) for row in rows]

    async def export(
        self, model: str, after: DocumentKey = ("", ""), limit: int = PAGE_MAX
    ) -> list[tuple[DocumentKey, bytes]]:
        statement = (
            f'SELECT tenant, id, {BODY} FROM "{model}" WHERE (tenant, id) > (%s, %s) ORDER BY tenant, id LIMIT %s'
        )
        rows = await self._persist(lambda db: _rows(db, statement, *after, limit))
        return [((tenant, document_id), canonical(orjson.loads(body))) for tenant, document_id, body in rows]

    # Asking the database

    async def _answered(self, name: str, question: Callable[[str, Indexes], Question], *, short: bool = True) -> Rows:
        """The rows of the live model that answer a question, on one journey with others where it is a short one."""
        if short and (known := self._live.get(name)):
            with contextlib.suppress(psycopg.errors.UndefinedTable, NotIndexed):
                return await self._questions.rows(*question(*known))
            self._live.pop(name, None)

        async def ask(db: Connection, model: str, indexes: Indexes) -> Rows:
            statement, values = question(model, indexes)
            return await _rows(db, statement, *values)

        return await self._asked(name, ask)

    async def _in_one_journey(self, questions: list[Question]) -> list[Rows]:
        async with self._connections.one() as db:
            if len(questions) == 1:
                return [await _answer(db, questions[0])]
            async with db.pipeline() as pipeline:
                asked = [await db.cursor(row_factory=tuple_row).execute(*question) for question in questions]
                await pipeline.sync()
                return [await cursor.fetchall() for cursor in asked]

    async def _by_itself(self, question: Question) -> Rows:
        return await self._persist(lambda db: _answer(db, question))

    async def _asked(self, name: str, ask: Callable[[Connection, str, Indexes], Awaitable[T]]) -> T:
        """What the live model answers to one statement.

        The model is remembered, which saves a statement of two. The commit that replaces it also drops its table, so
        one that is remembered answers rightly or not at all, and is then looked up again; so are its indexes.
        """

        async def anew(db: Connection) -> T:
            async with db.transaction():
                known = self._live[name] = await _live(db, name)
                return await ask(db, *known)

        if known := self._live.get(name):
            try:
                return await self._persist(lambda db: ask(db, *known))
            except (psycopg.errors.UndefinedTable, NotIndexed):
                self._live.pop(name, None)
        for _ in range(self.settings.attempts_max):
            with contextlib.suppress(psycopg.errors.UndefinedTable):  # replaced between the two statements
                return await self._persist(anew)
        raise Busy("The read model is being replaced.", retry_after_seconds=self.settings.retry_after_seconds)

    async def _alone(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` answers, in one transaction, while no other process makes or replaces a model."""

        async def locked(db: Connection) -> T:
            async with db.transaction():
                await db.execute("SET LOCAL statement_timeout = 0")  # an index over a large model takes its time
                await db.execute("SET LOCAL lock_timeout = 0")
                await db.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key(self.schema),))
                return await work(db)

        return await self._persist(locked, patient=True)

    async def _make_tables(self, db: Connection) -> None:
        # Looked up first: making what is there still asks for the right to make it, and for an index to be its table's owner.
        names = [f"{self.schema}.{name}" for name in MADE]
        [(whole,)] = await _rows(
            db, "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS t (name)", names
        )
        if whole:
            return
        [(there,)] = await _rows(db, "SELECT to_regnamespace(%s) IS NOT NULL", self.schema)
        for statement in TABLES if there else self.statements():
            await db.execute(_sql(statement))


async def _configure(connection: Connection) -> None:
    set_json_loads(orjson.loads, connection)
    set_json_dumps(orjson.dumps, connection)
    text_array.register(connection)


def _sql(text: str) -> bytes:
    return text.encode()


async def _rows(db: Connection, statement: str | bytes, *values: Any) -> Rows:
    return await (await _asks(db, statement, *values)).fetchall()


async def _asks(db: Connection, statement: str | bytes, *values: Any) -> AsyncCursor[tuple[Any, ...]]:
    """The cursor of a statement, whose rows may still be on their way."""
    told = statement if isinstance(statement, bytes) else _sql(statement)
    return await db.cursor(row_factory=tuple_row).execute(told, values)


async def _answer(db: Connection, question: Question) -> Rows:
    statement, values = question
    return await _rows(db, statement, *values)


async def _live(db: Connection, name: str) -> tuple[str, Indexes]:
    rows = await _rows(db, "SELECT model, indexes FROM models WHERE name = %s AND live", name)
    if not rows:
        raise NoSuchModel(f"no read model is called {name!r}")
    return rows[0][0], tuple(rows[0][1])


async def _newest(db: Connection, name: str, version: int) -> Model | None:
    """The model of this version that is still being filled, or else the live one."""
    statement = "SELECT model FROM models WHERE name = %s AND version = %s ORDER BY generation DESC LIMIT 1"
    rows = await _rows(db, statement, name, version)
    return await _model(db, rows[0][0]) if rows else None


async def _model(db: Connection, model: str) -> Model:
    found = await _models(db, [model])
    if not found:
        raise Retired(f"{model} has been replaced")
    return found[0]


async def _models(db: Connection, names: list[str]) -> list[Model]:
    """However many there are, in three questions: whoever waits for one looks at all of them, again and again."""
    columns, wanted = ("model", "name", "version", "generation", "live", "incomplete"), "WHERE model = ANY(%s)"
    rows = await _rows(db, f"SELECT {', '.join(columns)} FROM models {wanted} ORDER BY model", names)
    checkpoints: dict[str, dict[str, dict[str, int]]] = {name: {} for name in names}
    for name, lane, tenant, position in await _rows(
        db, f"SELECT model, lane, tenant, position FROM checkpoints {wanted}", names
    ):
        checkpoints[name].setdefault(lane, {})[tenant] = position
    behind: dict[str, set[str]] = {name: set() for name in names}
    for name, lane in await _rows(db, f"SELECT model, lane FROM behind {wanted}", names):
        behind[name].add(lane)
    return [
        Model(**dict(zip(columns, row, strict=True)), behind=frozenset(behind[row[0]]), checkpoints=checkpoints[row[0]])
        for row in rows
    ]


async def _bear(db: Connection, name: str, version: int, generation: int, behind: Iterable[str]) -> Model:
    model = lane_model(name, version, generation)
    await _forget(db, model)
    await db.execute(
        "INSERT INTO models (model, name, version, generation, live) "
        "SELECT %s, %s, %s, %s, NOT EXISTS (SELECT 1 FROM models WHERE name = %s AND live)",
        (model, name, version, generation, name),
    )
    for lane in behind:
        await db.execute(SET_BEHIND, (model, lane))
    await db.execute(_sql(DOCUMENTS.format(model=model)))
    return await _model(db, model)


async def _index(db: Connection, model: str) -> None:
    """Makes the wanted indexes that are missing.

    A model that is still being filled has none: one pass at the end costs a fraction of keeping them on the way.
    """
    [(known, wanted)] = await _rows(db, "SELECT indexes, wanted FROM models WHERE model = %s", model)
    for index in sorted(set(wanted) - set(known)):
        await db.execute(_sql(_index_statement(model, index)))
    # Also where `due_at` is known: until turns were told apart, its index had another condition, and none uses it now.
    if "due_at" in wanted and await _rows(db, NO_DUE_INDEX, f'"{model}__outstanding"'):
        await db.execute(_sql(f'DROP INDEX IF EXISTS "{model}__due"'))
        await db.execute(_sql(DUE_INDEX.format(model=model)))
    await db.execute("UPDATE models SET indexes = wanted WHERE model = %s", (model,))


def _index_statement(model: str, index: str) -> str:
    made = f'CREATE INDEX IF NOT EXISTS "{_index_name(model, index)}" ON "{model}"'
    if index.endswith("[]"):
        return f"{made} USING gin (({_path(query.checked(index.removesuffix('[]')))}) jsonb_path_ops)"
    fields = [name for name in query.columns_of(index) if name != "id"]
    columns = "".join(f"({SQL.expression(name)}) NULLS FIRST, " for name in fields)
    return f"{made} (tenant, {columns}id)"


def _index_name(model: str, index: str) -> str:
    name = f"{model}__by_{query.label_of(index)}"
    if len(name) <= NAME_MAX:
        return name
    return f"{name[: NAME_MAX - 9]}_{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


async def _go_live(db: Connection, model: str) -> None:
    name = (await _model(db, model)).name
    others = await _rows(db, "SELECT model FROM models WHERE name = %s AND model <> %s FOR UPDATE", name, model)
    await _index(db, model)  # before the other ones are gone: whoever reads them would wait for it
    for (other,) in others:
        await _forget(db, other)
    await db.execute("UPDATE models SET live = true WHERE model = %s", (model,))


async def _forget(db: Connection, model: str) -> None:
    await db.execute(_sql(f'DROP TABLE IF EXISTS "{model}"'))
    for table in ("models", "checkpoints", "behind", "asides"):
        await db.execute(_sql(f"DELETE FROM {table} WHERE model = %s"), (model,))


# Changes


class _Fault(Exception):
    """What keeps one change from being written. It begins the transaction anew, without that change."""

    def __init__(self, place: int, failure: Exception) -> None:
        super().__init__(failure)
        self.place, self.failure = place, failure


async def _apply(db: Connection, changes: list[Change]) -> list[Exception | None]:
    """Writes all changes in one transaction. One that fails by its own fault leaves the others in."""
    faults: dict[int, Exception] = {}
    while len(faults) < len(changes):
        try:
            await _write(db, {place: change for place, change in enumerate(changes) if place not in faults})
            break
        except _Fault as fault:
            faults[fault.place] = fault.failure
        except psycopg.errors.UndefinedTable:  # of a model that was replaced
            there = {model for (model,) in await _rows(db, "SELECT model FROM models")}
            gone = {place: _retired(one) for place, one in enumerate(changes) if one.model not in there}
            if gone.keys() <= faults.keys():
                raise
            faults |= gone
    return [faults.get(place) for place in range(len(changes))]


def _retired(change: Change) -> Retired:
    return Retired(f"{change.model} has been replaced")


async def _write(db: Connection, changes: Mapping[int, Change]) -> None:
    """Writes the changes in two journeys to the database, of few statements: one that asks, and one that writes.

    Each is folded over what the ones before it have made. Many documents set out while others are still folded.
    """
    async with _transaction(db):
        locked = await _asks(db, LOCK_MODELS, sorted({change.model for change in changes.values()}))
        standing = await _standing(db, list(changes.values()))
        there = {model for model, _ in await locked.fetchall()}
        made: Made = {}
        for place, change in changes.items():
            try:
                for key, now, body in standing.after(change, there):
                    made[change.model, key] = now, body
                    if len(made) >= ROWS_A_STATEMENT:
                        await _put(db, made)
                        made = {}
            except (ProjectionFailed, Retired) as failure:
                raise _Fault(place, failure) from failure
        await _put(db, made)
        await _rise(db, changes.values())
        for change in changes.values():
            await _keep_aside(db, change.model, change.asides)


@contextlib.asynccontextmanager
async def _transaction(db: Connection) -> AsyncIterator[None]:
    """A transaction whose beginning travels with its first statement, and its end with its last."""
    try:
        async with db.pipeline(), db.transaction():
            yield
    finally:
        if db.info.transaction_status is psycopg.pq.TransactionStatus.INERROR:
            await db.rollback()  # the one in the pipeline is passed over, as everything there after an error


Stored = tuple[str, str, bytes, bytes | None, bytes]
Made = dict[tuple[str, DocumentKey], tuple[Kept, bytes]]
"""Documents by model and key, each as it is written."""


@dataclass(frozen=True)
class _Standing:
    """What changes are folded over: a model's documents, and the checkpoints of its lanes."""

    kept: Mapping[str, dict[DocumentKey, Kept]]
    checkpoints: Mapping[tuple[str, str], dict[str, int]]

    def after(self, change: Change, there: Container[str]) -> Iterator[tuple[DocumentKey, Kept, bytes]]:
        """The documents that the change makes; they stand from then on. Raises ProjectionFailed or Retired."""
        if change.model not in there:
            raise _retired(change)
        kept, reached = self.kept[change.model], self.checkpoints[change.model, change.lane]
        changed = change.fold(kept, reached)
        yield from canonical_of(change, changed)
        kept.update(changed)
        for tenant, position in change.reached.items():
            reached[tenant] = max(position, reached.get(tenant, 0))


async def _standing(db: Connection, changes: Sequence[Change]) -> _Standing:
    keys: dict[str, dict[DocumentKey, None]] = {change.model: {} for change in changes}
    for change in changes:
        keys[change.model].update(dict.fromkeys(change.keys))
    lanes = list(dict.fromkeys((change.model, change.lane) for change in changes))
    parts = ((model, part) for model, wanted in keys.items() for part in _parts(list(wanted)))
    asked = [await _asks(db, *_wanted(some)) for some in _packed(parts)]
    reached = await _asks(db, CHECKPOINTS, *map(list, zip(*lanes, strict=True)))
    standing = _Standing({model: {} for model in keys}, {lane: {} for lane in lanes})
    for rows in asked:
        for model, tenant, one, body, guards in await rows.fetchall():
            standing.kept[model][tenant, one] = Kept(orjson.loads(body), orjson.loads(guards))
    for model, lane, tenant, position in await reached.fetchall():
        standing.checkpoints[model, lane][tenant] = position
    return standing


def _wanted(parts: Sequence[tuple[str, Sequence[DocumentKey]]]) -> tuple[str, *tuple[Texts, ...]]:
    """One statement for the documents of several models, and what is bound to it."""
    statement = " UNION ALL ".join(KEPT.format(model=model) for model, _ in parts)
    return statement, *chain.from_iterable(_columns(keys) for _, keys in parts)


def _packed(parts: Iterable[tuple[str, Sequence[T]]]) -> Iterator[list[tuple[str, Sequence[T]]]]:
    """Parts of several models as one statement takes them: together no more rows than one part may have."""
    pack: list[tuple[str, Sequence[T]]] = []
    size = 0
    for model, part in parts:
        size += len(part)
        if pack and size > ROWS_A_STATEMENT:
            yield pack
            pack, size = [], len(part)
        pack.append((model, part))
    if pack:
        yield pack


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[first : first + ROWS_A_STATEMENT] for first in range(0, len(rows), ROWS_A_STATEMENT))


def _columns(keys: Sequence[DocumentKey]) -> tuple[Texts, Texts]:
    return Texts(tenant for tenant, _ in keys), Texts(document_id for _, document_id in keys)


async def _rise(db: Connection, changes: Iterable[Change]) -> None:
    highest: dict[tuple[str, str, str], int] = {}
    for change in changes:
        for tenant, position in change.reached.items():
            lane = (change.model, change.lane, tenant)
            highest[lane] = max(position, highest.get(lane, 0))
    if highest:
        columns = [list(column) for column in zip(*highest, strict=True)]
        await db.execute(_sql(RISE), [*columns, list(highest.values())])


async def _put(db: Connection, made: Made) -> None:
    """Writes documents, no more than one statement takes."""
    gone: dict[str, list[DocumentKey]] = {}
    present: dict[str, list[Stored]] = {}
    for (model, key), (kept, body) in made.items():
        if kept.document is None:
            gone.setdefault(model, []).append(key)
        else:
            present.setdefault(model, []).append((*key, *_stored(body), orjson.dumps(dict(kept.guards))))
    for model, keys in gone.items():
        await db.execute(_sql(REMOVE.format(model=model)), _columns(keys))
    if present:
        columns = [Texts(column) for rows in present.values() for column in zip(*rows, strict=True)]
        await db.execute(_sql(_at_once([UPSERT.format(model=model) for model in present])), columns)


def _at_once(statements: Sequence[str]) -> str:
    """One statement that does what all of them do, each to a table of its own."""
    *others, last = statements
    first = ", ".join(f"_{place} AS ({one})" for place, one in enumerate(others))
    return f"WITH {first} {last}" if others else last


def _stored(body: bytes) -> tuple[bytes, bytes | None]:
    """A document as JSONB takes it, and its exact spelling where that would be another."""
    if NUL_TEXT not in body and not _has_odd_number(body):
        return body, None
    return NUL.sub(rb"\1" + REPLACEMENT.encode(), body), body


def _has_odd_number(body: bytes) -> bool:
    """Most documents hold nothing that could be one, which is found out faster than by reading their numbers."""
    without = body.translate(None, OF_NUMBERS)
    suspected = b":e" in without or b",e" in without or b"[e" in without or b"-0.0" in body
    return suspected and ODD_NUMBER.search(body) is not None


async def _keep_aside(db: Connection, model: str, asides: Sequence[Aside]) -> None:
    if not asides:
        return
    await db.execute("UPDATE models SET incomplete = true WHERE model = %s", (model,))
    [(count,)] = await _rows(db, "SELECT count(*) FROM asides WHERE model = %s", model)
    columns = ("source", "position", "id", "tenant", "type", "reason", "body")
    for aside in asides[: max(0, ASIDE_MAX - count)]:
        values = [_plain(getattr(aside, name)) for name in columns]
        await db.execute(_sql(KEEP_ASIDE), (model, *values))

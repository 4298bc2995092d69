"""The read store in one SQLite file: a table of JSON documents a model version, expression indexes, one writer thread.

WAL with `synchronous=NORMAL`: after a power cut the last moments may be missing, documents and checkpoints alike,
because they share each commit; the projection then goes on from the older checkpoint. No truth is kept here alone.
"""

# ruff: noqa: S608  table names come from projections and field names are checked; values are always bound

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson

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
    Page,
    ProjectionFailed,
    Retired,
    Where,
    canonical_of,
    check_ids,
    check_page,
    lane_model,
)
from chassis.sqlite_file import insert
from chassis.store.group_commit import Batches
from chassis.store.port import StoreSettings
from chassis.wal_index import Others

BUSY_TIMEOUT_MS = 5_000
WRITER_CACHE_KIB = 32_768
READER_CACHE_KIB = 8_192
WAL_PAGES = 4_000
"""Pages before SQLite copies the log into the file; a rebuild writes many pages more than once."""

TABLES = """
CREATE TABLE IF NOT EXISTS models (
  model TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, generation INTEGER NOT NULL,
  live INTEGER NOT NULL, incomplete INTEGER NOT NULL DEFAULT 0, indexes TEXT NOT NULL, wanted TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS one_live ON models (name) WHERE live;
CREATE TABLE IF NOT EXISTS checkpoints (
  model TEXT NOT NULL, lane TEXT NOT NULL, tenant TEXT NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY (model, lane, tenant)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS behind (model TEXT NOT NULL, lane TEXT NOT NULL, PRIMARY KEY (model, lane)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asides (
  model TEXT NOT NULL, source TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, tenant TEXT NOT NULL,
  type TEXT NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (model, source, position, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL);
"""
COUNT_COMMIT = "INSERT INTO commits VALUES (1, 1) ON CONFLICT DO UPDATE SET count = count + 1"
"""A commit that changes nothing is none in the file: with this each one of the writer is (see `chassis.wal_index.Others`)."""

DOCUMENTS = """
CREATE TABLE IF NOT EXISTS "{model}" (
  tenant TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, guards TEXT NOT NULL, issued TEXT,
  PRIMARY KEY (tenant, id)
);
CREATE TABLE IF NOT EXISTS "{model}__members" (
  tenant TEXT NOT NULL, field TEXT NOT NULL, value NOT NULL, id TEXT NOT NULL, PRIMARY KEY (tenant, field, value, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "{model}__members_of" ON "{model}__members" (tenant, id);
"""

DUE_AT = "json_extract(body, '$.due_at')"
OUTSTANDING = f"{DUE_AT} IS NOT NULL AND issued IS NOT {DUE_AT} || ifnull(json_extract(body, '$.turn'), '')"
DUE_INDEX = (
    f'CREATE INDEX IF NOT EXISTS "{{model}}__outstanding" ON "{{model}}" ({DUE_AT}, tenant, id) WHERE {OUTSTANDING}'
)
SELECT_DUE = (
    f'SELECT tenant, id, {DUE_AT}, body FROM "{{model}}" '
    f"WHERE {OUTSTANDING} AND {DUE_AT} BETWEEN ? AND ? AND ({DUE_AT}, tenant, id) > (?, ?, ?) "
    f"ORDER BY {DUE_AT}, tenant, id LIMIT ?"
)
OVER_THE_OLD = "ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body, guards = excluded.guards"
SELECT_MANY = (
    "SELECT '[' || group_concat('[' || wanted.key || ',' || kept.body || ',' || kept.guards || ']') || ']' "
    "FROM json_each(?) AS wanted "
    'CROSS JOIN "{model}" AS kept ON kept.tenant = ? AND kept.id = wanted.value'
)
"""All documents as one JSON text, each behind its place among the ids asked for: a row each would cost a turn each."""
ASKED_AT_ONCE = 500
RISE = (
    "INSERT INTO checkpoints VALUES (?, ?, ?, ?) "
    "ON CONFLICT (model, lane, tenant) DO UPDATE SET position = max(position, excluded.position)"
)
REACH = (
    "INSERT INTO checkpoints SELECT model, ?, ?, ? FROM models WHERE model = ? "
    "ON CONFLICT (model, lane, tenant) DO UPDATE SET position = max(position, excluded.position)"
)

ANSWERS_MAX = 512
ANSWER_ROWS_MAX = 4

FORGET_BEHIND = "DELETE FROM behind WHERE model = ? AND lane = ?"


def _member(model: str, tenant: str, name: str, values: list[Any], indexes: Sequence[str]) -> query.Sql:
    fits = f"value IN ({SQL.marks(len(values))})"
    if name in query.lists_of(indexes):
        members = f'SELECT id FROM "{model}__members" WHERE tenant = ? AND field = ? AND {fits}'
        return f"id IN ({members})", [tenant, name, *values]
    held = f"SELECT 1 FROM json_each(body, '$.{query.checked(name)}') AS member WHERE member.{fits}"
    return f"(json_type(body, '$.{name}') = 'array' AND EXISTS ({held}))", values


SQL = query.Dialect(
    mark="?", path=lambda name: f"json_extract(body, '$.{name}')", member=_member, absent={"ASC": "", "DESC": ""}
)

Work = Callable[[sqlite3.Connection], Any]


class Write(NamedTuple):
    """A piece of work of the writer, and the model whose documents it changes: "" for none, None for any."""

    work: Work
    model: str | None


Indexes = tuple[str, ...]
T = TypeVar("T")


class Answers:
    """The rows that short questions were answered with, as long as nobody has written to the model since.

    The same few documents are asked for by request after request, and a statement costs more than all the rest of it.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, tuple[Any, ...]], tuple[Any, list[Any]]] = {}
        self._writes: Counter[str] = Counter()
        self._being_written: Collection[str | None] = ()

    def open(self, path: str, reader: sqlite3.Connection) -> None:
        reader.execute("SELECT count(*) FROM models").fetchone()
        self._reader, self._others = reader, Others(path)

    def close(self) -> None:
        self._others.close()

    @contextmanager
    def writing(self, models: Collection[str | None]) -> Iterator[None]:
        """Around the commit of the writer, which holds the file for itself: from then on these models answer anew."""
        self._being_written = models
        try:
            with self._others:
                yield
        finally:
            if None in models:
                self._others.start_anew()
            self._writes.update(model for model in models if model)
            self._being_written = ()

    def of(self, model: str, sql: str, values: tuple[Any, ...]) -> list[Any]:
        """The rows that the statement answers now."""
        state = self._state(model)
        known, rows = self._rows.get((sql, values), (None, []))
        if state is None or known != state:
            rows = self._reader.execute(sql, values).fetchall()
            self._keep(model, state, sql, values, rows)
        return rows

    def _state(self, model: str) -> tuple[int, int] | None:
        """Whatever is written to the model changes it; None where it cannot be told."""
        others, written = self._others.seen(), self._being_written
        return None if others is None or model in written or None in written else (others, self._writes[model])

    def _keep(
        self, model: str, state: tuple[int, int] | None, sql: str, values: tuple[Any, ...], rows: list[Any]
    ) -> None:
        """Keeps what was read, unless something was written in the meantime: the writer is another thread."""
        if state is None or state != self._state(model) or len(rows) > ANSWER_ROWS_MAX:
            return
        if len(self._rows) >= ANSWERS_MAX:
            self._rows.clear()
        self._rows[sql, values] = state, rows


class SqliteReadStore:
    """See `chassis.read_store.port.ReadStore`. Belongs to the event loop that opened it."""

    def __init__(self, path: str | Path, *, settings: StoreSettings | None = None) -> None:
        self._path = str(path)
        self._batches: Batches[Write, Any] = Batches("read store writer", self._write, settings or StoreSettings())
        self._connections: list[sqlite3.Connection] = []
        self._live: dict[str, tuple[str, Indexes]] = {}
        self._answers = Answers()

    async def open(self) -> None:
        self._writer = self._connect(WRITER_CACHE_KIB)
        self._writer.executescript(TABLES)
        self._reader = self._connect(READER_CACHE_KIB)
        self._reader.execute("PRAGMA query_only=ON")
        self._answers.open(self._path, self._reader)
        self._batches.start()

    async def close(self) -> None:
        await self._batches.stop()
        while self._connections:
            self._connections.pop().close()
        self._answers.close()

    def _connect(self, cache_kib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=512)
        self._connections.append(connection)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{cache_kib}")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        return connection

    # Writing, in the writer's thread

    def _write(self, writes: list[Write]) -> list[Any]:
        """Does all that is waiting in one commit. A piece that fails by its own fault leaves the others in."""
        with _transaction(self._writer, self._answers.writing({write.model for write in writes})):
            return [_attempt(write.work, self._writer) for write in writes]

    async def prepare(
        self, name: str, version: int, indexes: Sequence[str], *, behind: Sequence[str] = (), birth: Birth = "first"
    ) -> Model:
        def work(db: sqlite3.Connection) -> Model:
            db.execute("PRAGMA shrink_memory")  # what the models before left in the cache: 60 KiB each
            model = _newest(db, name, version)
            if model is None or birth == "again":
                model = _bear(db, name, version, 1 if model is None else model.generation + 1, behind)
            db.execute("UPDATE models SET wanted = ? WHERE model = ?", (orjson.dumps(indexes).decode(), model.model))
            if model.live:
                _index(db, model.model)
            return _model(db, model.model)

        found: Model = await self._batches.do(Write(work, None))
        self._live.pop(name, None)
        return found

    async def change(self, change: Change) -> None:
        model = change.model if change.keys else ""
        await self._batches.do(Write(lambda db: _change(db, change), model))

    async def go_live(self, model: str) -> None:
        await self._batches.do(Write(lambda db: _go_live(db, model), None))

    async def set_behind(self, model: str, lane: str, *, behind: bool) -> None:
        sql = "INSERT OR IGNORE INTO behind VALUES (?, ?)" if behind else FORGET_BEHIND
        await self._batches.do(Write(lambda db: db.execute(sql, (model, lane)).rowcount, ""))

    async def mark_issued(self, name: str, due: Sequence[Due]) -> None:
        def work(db: sqlite3.Connection) -> None:
            sql = f'UPDATE "{_live(db, name)[0]}" SET issued = ? WHERE tenant = ? AND id = ?'
            db.executemany(sql, [(item.mark, item.tenant, item.id) for item in due])

        await self._batches.do(Write(work, ""))

    # Reading, on the loop: a look-up takes microseconds, a hop to a thread takes longer

    async def models(self) -> list[Model]:
        rows = self._reader.execute("SELECT model FROM models ORDER BY model").fetchall()
        return [_model(self._reader, model) for (model,) in rows]

    async def get(self, name: str, tenant: str, document_id: str) -> Document | None:
        return (await self.get_many(name, tenant, (document_id,))).get(document_id)

    async def get_many(self, name: str, tenant: str, document_ids: Sequence[str]) -> dict[str, Document]:
        check_ids(document_ids)
        marks = SQL.marks(len(document_ids))

        def ask(model: str, _: Indexes) -> dict[str, Document]:
            sql = f'SELECT id, body FROM "{model}" WHERE tenant = ? AND id IN ({marks})'
            rows = self._answers.of(model, sql, (tenant, *document_ids))
            return {document_id: orjson.loads(body) for document_id, body in rows}

        return self._asked(name, ask)

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

        def ask(model: str, indexes: Indexes) -> list[Any]:
            condition, values = query.conditions(SQL, model, tenant, where, indexes)
            name, direction = query.order(SQL, sort, indexes)
            further, cursor = query.beyond(SQL, name, direction, after)
            sql = (
                f'SELECT {SQL.expression(name)}, id, body FROM "{model}" WHERE {condition} AND {further} '
                f"{query.ordered(SQL, name, direction)} LIMIT ?"
            )
            return self._answers.of(model, sql, (*values, *cursor, limit + 1))

        rows = self._asked(name, ask)
        items = [orjson.loads(body) for _, _, body in rows[:limit]]
        return Page(items, (rows[limit - 1][0], rows[limit - 1][1]) if len(rows) > limit else None)

    async def count(self, name: str, tenant: str, where: Where | None = None) -> int:
        def ask(model: str, indexes: Indexes) -> int:
            condition, values = query.conditions(SQL, model, tenant, where, indexes)
            sql = f'SELECT count(*) FROM "{model}" WHERE {condition}'
            counted: int = self._reader.execute(sql, values).fetchone()[0]
            return counted

        return self._asked(name, ask)

    async def due(self, name: str, until: str, limit: int, after: DuePlace = FIRST) -> list[Due]:
        def ask(model: str, _: Indexes) -> list[Any]:
            return self._reader.execute(
                SELECT_DUE.format(model=model), (after[0], until, *after, min(limit, PAGE_MAX))
            ).fetchall()

        rows = self._asked(name, ask)
        return [Due(tenant, document_id, due_at, orjson.loads(body)) for tenant, document_id, due_at, body in rows]

    def _asked(self, name: str, ask: Callable[[str, Indexes], T]) -> T:
        """What the live model answers to one statement.

        The model is remembered, which saves three statements of four. The commit that replaces it also drops its
        table, so one that is remembered answers rightly or not at all, and is then looked up again.
        """
        try:
            if known := self._live.get(name):
                return ask(*known)
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
        with _snapshot(self._reader) as db:
            known = self._live[name] = _live(db, name)
            return ask(*known)

    async def asides(self, model: str) -> list[Aside]:
        columns = "source, tenant, position, type, id, reason, body"
        sql = f"SELECT {columns} FROM asides WHERE model = ? ORDER BY source, position, id"
        names = columns.split(", ")
        return [Aside(**dict(zip(names, row, strict=True))) for row in self._reader.execute(sql, (model,))]

    async def export(
        self, model: str, after: DocumentKey = ("", ""), limit: int = PAGE_MAX
    ) -> list[tuple[DocumentKey, bytes]]:
        sql = f'SELECT tenant, id, body FROM "{model}" WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?'
        rows = self._reader.execute(sql, (*after, limit))
        return [((tenant, document_id), body.encode()) for tenant, document_id, body in rows]


@contextmanager
def _transaction(db: sqlite3.Connection, committing: AbstractContextManager[None]) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute(COUNT_COMMIT)
        with committing:
            db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One view for looking up the live model and reading it, so that a swap in between is not met."""
    db.execute("BEGIN")
    try:
        yield db
    finally:
        db.execute("COMMIT")


def _attempt(work: Work, db: sqlite3.Connection) -> Any:
    """The work's result, or its own failure, which happens before it has written anything."""
    try:
        return work(db)
    except (ProjectionFailed, Retired, NoSuchModel) as failure:
        return failure


def _live(db: sqlite3.Connection, name: str) -> tuple[str, Indexes]:
    row = db.execute("SELECT model, indexes FROM models WHERE name = ? AND live", (name,)).fetchone()
    if row is None:
        raise NoSuchModel(f"no read model is called {name!r}")
    return row[0], tuple(orjson.loads(row[1]))


def _newest(db: sqlite3.Connection, name: str, version: int) -> Model | None:
    """The model of this version that is still being filled, or else the live one."""
    sql = "SELECT model FROM models WHERE name = ? AND version = ? ORDER BY generation DESC LIMIT 1"
    row = db.execute(sql, (name, version)).fetchone()
    return _model(db, row[0]) if row else None


def _model(db: sqlite3.Connection, model: str) -> Model:
    columns = "name, version, generation, live, incomplete"
    row = db.execute(f"SELECT {columns} FROM models WHERE model = ?", (model,)).fetchone()
    if row is None:
        raise Retired(f"{model} has been replaced")
    checkpoints: dict[str, dict[str, int]] = {}
    rows = db.execute("SELECT lane, tenant, position FROM checkpoints WHERE model = ?", (model,))
    for lane, tenant, position in rows:
        checkpoints.setdefault(lane, {})[tenant] = position
    behind = frozenset(lane for (lane,) in db.execute("SELECT lane FROM behind WHERE model = ?", (model,)))
    name, version, generation, live, incomplete = row
    return Model(
        model=model,
        name=name,
        version=version,
        generation=generation,
        live=bool(live),
        incomplete=bool(incomplete),
        behind=behind,
        checkpoints=checkpoints,
    )


def _bear(db: sqlite3.Connection, name: str, version: int, generation: int, behind: Iterable[str]) -> Model:
    model = lane_model(name, version, generation)
    _forget(db, model)
    live = db.execute("SELECT 1 FROM models WHERE name = ? AND live", (name,)).fetchone() is None
    db.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?, 0, '[]', '[]')", (model, name, version, generation, live))
    db.executemany("INSERT OR IGNORE INTO behind VALUES (?, ?)", [(model, lane) for lane in behind])
    for statement in DOCUMENTS.format(model=model).split(";"):
        db.execute(statement)
    return _model(db, model)


def _index(db: sqlite3.Connection, model: str) -> None:
    """Makes the wanted indexes that are missing, and fills the members of lists that are newly indexed.

    A model that is still being filled has none: one pass at the end costs a fraction of keeping them on the way.
    """
    known, wanted = db.execute("SELECT indexes, wanted FROM models WHERE model = ?", (model,)).fetchone()
    for index in sorted(set(orjson.loads(wanted)) - set(orjson.loads(known))):
        if index.endswith("[]"):
            _fill_members(db, model, index.removesuffix("[]"))
        else:
            columns = [SQL.expression(name) for name in query.columns_of(index)]
            name, columns_text = f"{model}__by_{query.label_of(index)}", ", ".join(columns)
            db.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON "{model}" (tenant, {columns_text}, id)')
    if "due_at" in orjson.loads(wanted):
        # Also where `due_at` is known: until turns were told apart, its index had another condition, and none uses it now.
        db.execute(f'DROP INDEX IF EXISTS "{model}__due"')
        db.execute(DUE_INDEX.format(model=model))
    db.execute("UPDATE models SET indexes = wanted WHERE model = ?", (model,))


def _fill_members(db: sqlite3.Connection, model: str, field: str) -> None:
    query.checked(field)
    db.execute(
        f'INSERT OR IGNORE INTO "{model}__members" SELECT tenant, ?, member.value, "{model}".id '
        f"FROM \"{model}\", json_each(body, '$.{field}') AS member WHERE json_type(body, '$.{field}') = 'array'",
        (field,),
    )


def _go_live(db: sqlite3.Connection, model: str) -> None:
    name = _model(db, model).name
    others = db.execute("SELECT model FROM models WHERE name = ? AND model <> ?", (name, model)).fetchall()
    for (other,) in others:
        _forget(db, other)
    _index(db, model)
    db.execute("UPDATE models SET live = 1 WHERE model = ?", (model,))


def _forget(db: sqlite3.Connection, model: str) -> None:
    for table in (model, f"{model}__members"):
        db.execute(f'DROP TABLE IF EXISTS "{table}"')
    for table in ("models", "checkpoints", "behind", "asides"):
        db.execute(f"DELETE FROM {table} WHERE model = ?", (model,))


def _change(db: sqlite3.Connection, change: Change) -> None:
    if change.reached and not change.keys and not change.asides:
        _reach(db, change)
    else:
        _fold_in(db, change)


def _reach(db: sqlite3.Connection, change: Change) -> None:
    """The change of a model that the facts do not concern, as most of a commit's are: one statement."""
    rows = [(change.lane, tenant, at, change.model) for tenant, at in change.reached.items()]
    if not db.executemany(REACH, rows).rowcount:
        raise Retired(f"{change.model} has been replaced")


def _fold_in(db: sqlite3.Connection, change: Change) -> None:
    row = db.execute("SELECT indexes FROM models WHERE model = ?", (change.model,)).fetchone()
    if row is None:
        raise Retired(f"{change.model} has been replaced")
    kept = _load(db, change.model, change.keys)
    sql = "SELECT tenant, position FROM checkpoints WHERE model = ? AND lane = ?"
    checkpoints = dict(db.execute(sql, (change.model, change.lane)).fetchall())
    rows = _rows(change, change.fold(kept, checkpoints))
    _put(db, change.model, rows, query.lists_of(orjson.loads(row[0])))
    db.executemany(RISE, [(change.model, change.lane, tenant, at) for tenant, at in change.reached.items()])
    _keep_aside(db, change.model, change.asides)


def _load(db: sqlite3.Connection, model: str, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Kept]:
    asked: dict[str, list[DocumentKey]] = {}
    for key in keys:
        asked.setdefault(key[0], []).append(key)
    kept: dict[DocumentKey, Kept] = {}
    for tenant, of_tenant in asked.items():
        for first in range(0, len(of_tenant), ASKED_AT_ONCE):
            some = of_tenant[first : first + ASKED_AT_ONCE]
            ids = orjson.dumps([document_id for _, document_id in some]).decode()
            (found,) = db.execute(SELECT_MANY.format(model=model), (ids, tenant)).fetchone()
            kept.update((some[place], Kept(body, guards)) for place, body, guards in orjson.loads(found or "[]"))
    return kept


Row = tuple[str, str, Document | None, str, str]


def _rows(change: Change, changed: Mapping[DocumentKey, Kept]) -> list[Row]:
    return [
        (tenant, document_id, kept.document, body.decode(), orjson.dumps(dict(kept.guards)).decode())
        for (tenant, document_id), kept, body in canonical_of(change, changed)
    ]


def _put(db: sqlite3.Connection, model: str, rows: list[Row], lists: Sequence[str]) -> None:
    gone = [(tenant, one) for tenant, one, document, _, _ in rows if document is None]
    present = [(tenant, one, body, guards) for tenant, one, document, body, guards in rows if document is not None]
    db.executemany(f'DELETE FROM "{model}" WHERE tenant = ? AND id = ?', gone)
    insert(db, f'"{model}" (tenant, id, body, guards)', present, OVER_THE_OLD)
    if lists:
        members = f'"{model}__members"'
        db.executemany(f"DELETE FROM {members} WHERE tenant = ? AND id = ?", [(row[0], row[1]) for row in rows])
        insert(db, members, list(_members(rows, lists)), "ON CONFLICT DO NOTHING")


def _members(rows: list[Row], lists: Sequence[str]) -> Iterator[tuple[str, str, Any, str]]:
    for tenant, document_id, document, _, _ in rows:
        for field in lists:
            for value in _values(document, field):
                yield tenant, field, value, document_id


def _values(document: Document | None, field: str) -> list[Any]:
    value: Any = document
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return [member for member in value if isinstance(member, str | int)] if isinstance(value, list | tuple) else []


def _keep_aside(db: sqlite3.Connection, model: str, asides: Sequence[Aside]) -> None:
    if not asides:
        return
    db.execute("UPDATE models SET incomplete = 1 WHERE model = ?", (model,))
    (count,) = db.execute("SELECT count(*) FROM asides WHERE model = ?", (model,)).fetchone()
    columns = "source, position, id, tenant, type, reason, body"
    rows = [[model, *(getattr(aside, name) for name in columns.split(", "))] for aside in asides]
    sql = f"INSERT OR IGNORE INTO asides (model, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    db.executemany(sql, rows[: max(0, ASIDE_MAX - count)])

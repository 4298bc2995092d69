"""The read store in MongoDB: a collection of documents a model version, one database a service.

No transaction is needed, so a server without a replica set will do. Each document is replaced only in the revision that
was read, with its guards inside; a lost race reads and folds again. Checkpoints are written after the documents. What
dies in between is applied again from the checkpoint, and the guards drop what was written already; a document that is
gone leaves its guards behind for that.
"""

import asyncio
import random
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, TypeVar

import orjson
import pymongo
from bson.errors import InvalidDocument
from pymongo import AsyncMongoClient, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure, DuplicateKeyError, PyMongoError

from chassis.decider import Busy
from chassis.read_store.port import (
    ASIDE_MAX,
    FIRST,
    PAGE_MAX,
    TURN,
    Aside,
    Birth,
    Change,
    Contains,
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
    Range,
    Retired,
    Where,
    canonical,
    canonical_of,
    check_ids,
    check_page,
    lane_model,
)
from chassis.read_store.query import checked, columns_of, label_of, sorted_by, wanted_values
from chassis.read_store.together import Together
from chassis.store.port import StoreSettings

Row = Mapping[str, Any]
Checkpoints = dict[str, dict[str, int]]
"""The position that a model has come to, by lane and tenant."""
Indexes = tuple[str, ...]
T = TypeVar("T")

DOCUMENTS = "documents__"
"""What the names of collections of documents begin with."""
RACES_MAX = 20
"""How often a batch is folded again because another process changed one of its documents."""
RACE_PAUSE_SECONDS = 0.01
DUPLICATE_KEY = 11_000


class MongoReadStore:
    """See `chassis.read_store.port.ReadStore`. Belongs to the event loop that opened it."""

    def __init__(self, url: str, *, database: str, settings: StoreSettings | None = None) -> None:
        self.database = database
        self.settings = settings or StoreSettings()
        self._url = url
        self._live: dict[str, tuple[str, Indexes]] = {}
        self._looking = asyncio.Lock()
        self._next_look: asyncio.Future[dict[str, str]] | None = None
        self._together = Together(self._write, max_batch=self.settings.max_batch, queue_max=self.settings.queue_max)

    async def open(self) -> None:
        """Connects, and drops what a replaced version may have left behind."""
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            self._url,
            w="majority",
            appname=f"entente {self.database}",
            timeoutMS=round(self.settings.statement_timeout_seconds * 1000),
            serverSelectionTimeoutMS=round(self.settings.connect_timeout_seconds * 1000),
            connectTimeoutMS=round(self.settings.connect_timeout_seconds * 1000),
        )
        self._db = self._client[self.database]
        await self._persist(self._sweep)
        self._together.start()

    async def close(self) -> None:
        await self._together.stop()
        await self._client.close()

    # Writing

    async def prepare(
        self, name: str, version: int, indexes: Sequence[str], *, behind: Sequence[str] = (), birth: Birth = "first"
    ) -> Model:
        async def work() -> Model:
            model = await self._newest(name, version)
            if model is None or birth == "again":
                generation = 1 if model is None else model.generation + 1
                await self._bear(lane_model(name, version, generation), name, version, generation, behind)
                model = await self._newest(name, version)
            if model is None:
                raise Retired(f"version {version} of {name} has been replaced")
            await self._set(model.model, {"wanted": list(indexes)})
            if model.live:
                await self._index(model.model)
            return model

        found = await self._persist(lambda: _not_replaced(work))
        self._live.pop(name, None)
        return found

    async def change(self, change: Change) -> None:
        await self._together.do(change)

    async def go_live(self, model: str) -> None:
        async def work() -> None:
            name = (await self._model(model)).name
            await self._index(model)
            await self._db["names"].update_one({"_id": name}, {"$set": {"live": model}})
            for other in await self._db["models"].find({"name": name, "_id": {"$ne": model}}).to_list(None):
                await self._forget(other["_id"])

        await self._persist(work)

    async def set_behind(self, model: str, lane: str, *, behind: bool) -> None:
        change = {"$addToSet" if behind else "$pull": {"behind": lane}}
        await self._persist(lambda: self._db["models"].update_one({"_id": model}, change))

    async def mark_issued(self, name: str, due: Sequence[Due]) -> None:
        async def ask(model: str, _: Indexes) -> int:
            """How many of them are there: none in a model that was replaced."""
            documents, found = self._documents(model), 0
            for one in due:
                at = {"_id": _key(one.tenant, one.id)}
                issued = {"$set": {"issued": one.mark}, "$inc": {"revision": 1}}
                same = {**at, "due": one.due_at, f"body.{TURN}": one.document.get(TURN)}
                settled = await documents.update_one(same, {**issued, "$unset": {"due": ""}})
                if not settled.matched_count:  # it is due at another date, or in another turn, by now
                    settled = await documents.update_one(at, issued)
                found += settled.matched_count
            return found

        await self._asked(name, ask)

    async def _write(self, changes: list[Change]) -> list[Exception | None]:
        """Writes the changes, those of different models side by side. One that fails leaves the others in."""
        results: list[Exception | None] = [None] * len(changes)
        for places in _rounds(changes):
            outcome = await self._round([changes[place] for place in places])
            for place, failure in zip(places, outcome, strict=True):
                results[place] = failure
        return results

    async def _round(self, changes: Sequence[Change]) -> list[Exception | None]:
        """Writes one change of each of some models, of which most have nothing to write but how far they have come.

        So that is asked and written for all of them at once.
        """
        models = [change.model for change in changes]
        there = await self._persist(lambda: self._there(models))
        known = await self._persist(lambda: self._checkpoints([one.model for one in changes if one.keys]))
        outcome = await asyncio.gather(*(self._settled(one, there, known.get(one.model, {})) for one in changes))
        written = [one for one, failure in zip(changes, outcome, strict=True) if failure is None]
        await self._persist(lambda: self._rise(written))
        return outcome

    async def _there(self, models: Sequence[str]) -> set[str]:
        found = await self._db["models"].find({"_id": {"$in": models}}, {"_id": 1}).to_list(None)
        return {row["_id"] for row in found}

    async def _settled(self, change: Change, there: Container[str], known: Checkpoints) -> Exception | None:
        if change.model not in there:
            return Retired(f"{change.model} has been replaced")
        try:
            await self._persist(lambda: self._apply(change, known))
        except (ProjectionFailed, Busy) as failure:
            return failure
        return None

    async def _apply(self, change: Change, known: Checkpoints) -> None:
        for _ in range(RACES_MAX):
            if await self._put(change, known):
                await self._keep_aside(change.model, change.asides)
                return
            await asyncio.sleep(random.uniform(0, RACE_PAUSE_SECONDS))  # noqa: S311 - jitter, not a secret
            known = (await self._checkpoints([change.model])).get(change.model, {})
        raise Busy("Other processes change the same documents.")

    async def _put(self, change: Change, known: Checkpoints) -> bool:
        """Whether all documents that the change makes of the present ones were written over just these."""
        rows = await self._rows(change.model, change.keys)
        kept = {key: Kept(_plain(row["body"]), row["guards"]) for key, row in rows.items() if "body" in row}
        guards = {key: Kept(None, row["guards"]) for key, row in rows.items()}
        changed = canonical_of(change, change.fold({**guards, **kept}, known.get(change.lane, {})))
        writes = [_write_of(key, now, body, rows.get(key)) for key, now, body in changed]
        if not writes:
            return True
        try:
            done = await self._documents(change.model).bulk_write(writes, ordered=False)
        except InvalidDocument as error:
            raise ProjectionFailed(f"{change.model}: a document has no place in MongoDB: {error}") from error
        except BulkWriteError as error:
            if any(one["code"] != DUPLICATE_KEY for one in error.details["writeErrors"]):
                raise
            return False
        return bool(done.matched_count + done.inserted_count == len(writes))

    async def _rows(self, model: str, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Row]:
        by_id = {_key(*key): key for key in keys}
        found = await self._documents(model).find({"_id": {"$in": list(by_id)}}).to_list(None) if by_id else []
        return {by_id[row["_id"]]: row for row in found}

    async def _checkpoints(self, models: Sequence[str]) -> dict[str, Checkpoints]:
        """How far each of these models has come; none of one that has not begun."""
        found: dict[str, Checkpoints] = {}
        if models:
            for row in await self._db["checkpoints"].find({"model": {"$in": models}}).to_list(None):
                lanes = found.setdefault(row["model"], {})
                lanes.setdefault(row["lane"], {})[row["tenant"]] = int(row["position"])
        return found

    async def _rise(self, changes: Sequence[Change]) -> None:
        risen = [
            UpdateOne(
                {"_id": f"{change.model} {change.lane} {tenant}"},
                {
                    "$max": {"position": position},
                    "$setOnInsert": {"model": change.model, "lane": change.lane, "tenant": tenant},
                },
                upsert=True,
            )
            for change in changes
            for tenant, position in change.reached.items()
        ]
        if risen:
            await self._db["checkpoints"].bulk_write(risen, ordered=False)

    async def _keep_aside(self, model: str, asides: Sequence[Aside]) -> None:
        if not asides:
            return
        await self._set(model, {"incomplete": True})
        there = await self._db["asides"].count_documents({"model": model})
        for aside in asides[: max(0, ASIDE_MAX - there)]:
            row = {**asdict(aside), "body": b64encode(aside.body).decode()}
            key = f"{model} {aside.source} {aside.position} {aside.id}"
            await self._db["asides"].replace_one({"_id": key}, {"_id": key, "model": model, **row}, upsert=True)

    # Models

    async def _newest(self, name: str, version: int) -> Model | None:
        """The model of this version that is still being filled, or else the live one."""
        wanted = {"name": name, "version": version}
        found = await self._db["models"].find(wanted, sort=[("generation", -1)], limit=1).to_list(None)
        if not found:
            return None
        await self._see_to_a_live_one(name, found[0]["_id"])
        return await self._model(found[0]["_id"])

    async def _bear(self, model: str, name: str, version: int, generation: int, behind: Iterable[str]) -> None:
        row = {"_id": model, "name": name, "version": version, "generation": generation, "behind": list(behind)}
        try:
            await self._db["models"].insert_one({**row, "incomplete": False, "indexes": [], "wanted": []})
        except DuplicateKeyError:
            return  # another process made it at the same time
        await self._documents(model).create_index([("tenant", 1), ("id", 1)], name="by_id")

    async def _see_to_a_live_one(self, name: str, model: str) -> None:
        """The first model of a name is live at once. Of several at the same time, one is."""
        await self._db["names"].update_one({"_id": name}, {"$setOnInsert": {"live": model}}, upsert=True)

    async def _model(self, model: str) -> Model:
        found = await self._models({"_id": model})
        if not found:
            raise Retired(f"{model} has been replaced")
        return found[0]

    async def _models(self, wanted: Mapping[str, Any]) -> list[Model]:
        """However many there are, in three questions: whoever waits for a model looks at all of them, again and again."""
        rows = await self._db["models"].find(wanted, sort=[("_id", 1)]).to_list(None)
        names = [row["_id"] for row in rows]
        live = {one["live"] for one in await self._db["names"].find({"live": {"$in": names}}).to_list(None)}
        checkpoints = await self._checkpoints(names)
        return [
            Model(
                model=row["_id"],
                name=row["name"],
                version=row["version"],
                generation=row["generation"],
                live=row["_id"] in live,
                incomplete=row["incomplete"],
                behind=frozenset(row["behind"]),
                checkpoints=checkpoints.get(row["_id"], {}),
            )
            for row in rows
        ]

    async def _index(self, model: str) -> None:
        """Makes the wanted indexes that are missing.

        A model that is still being filled has none: one pass at the end costs a fraction of keeping them on the way.
        """
        row = await self._db["models"].find_one({"_id": model})
        if row is None:
            raise Retired(f"{model} has been replaced")
        with pymongo.timeout(None):  # an index over a large model takes its time
            for index in sorted(set(row["wanted"]) - set(row["indexes"])):
                await self._documents(model).create_index(_index_keys(index), name=f"by_{label_of(index)}")
                if index == "due_at":
                    keys = [("due", 1), ("tenant", 1), ("id", 1)]
                    await self._documents(model).create_index(keys, name="due", sparse=True)
        await self._set(model, {"indexes": row["wanted"]})

    async def _set(self, model: str, values: Mapping[str, Any]) -> None:
        await self._db["models"].update_one({"_id": model}, {"$set": dict(values)})

    async def _forget(self, model: str) -> None:
        await self._db["models"].delete_one({"_id": model})
        await self._documents(model).drop()
        for collection in ("checkpoints", "asides"):
            await self._db[collection].delete_many({"model": model})

    async def _sweep(self) -> None:
        """Drops what is left of models that are no more.

        Who replaced them may have died before it did, and who wrote to them may have come after it.
        """
        collections = await self._db.list_collection_names()
        left = {name.removeprefix(DOCUMENTS) for name in collections if name.startswith(DOCUMENTS)}
        left |= {row["model"] for row in await self._db["checkpoints"].find({}, {"model": 1}).to_list(None)}
        models = {row["_id"] for row in await self._db["models"].find().to_list(None)}
        for model in left - models:
            await self._forget(model)

    def _documents(self, model: str) -> Any:
        return self._db[f"{DOCUMENTS}{model}"]

    # Reading

    async def models(self) -> list[Model]:
        return await self._persist(lambda: self._models({}))

    async def get(self, name: str, tenant: str, document_id: str) -> Document | None:
        return (await self.get_many(name, tenant, (document_id,))).get(document_id)

    async def get_many(self, name: str, tenant: str, document_ids: Sequence[str]) -> dict[str, Document]:
        check_ids(document_ids)

        async def ask(model: str, _: Indexes) -> dict[str, Document]:
            rows = await self._rows(model, [(tenant, one) for one in document_ids])
            return {key[1]: _plain(row["body"]) for key, row in rows.items() if "body" in row}

        return await self._asked(name, ask)

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

        async def ask(model: str, indexes: Indexes) -> list[Row]:
            field, descending = sorted_by(sort, indexes)
            order = {_path(field): -1 if descending else 1, "id": -1 if descending else 1}
            wanted = {**_conditions(tenant, where), **_beyond(_path(field), after, descending=descending)}
            found = self._documents(model).find(wanted, sort=list(order.items()), limit=limit + 1)
            rows: list[Row] = await found.to_list(None)
            return rows

        rows = await self._asked(name, ask)
        items = [_plain(row["body"]) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(items)
        return Page(items, (_value(items[-1], sort.removeprefix("-"), rows[limit - 1]["id"]), rows[limit - 1]["id"]))

    async def count(self, name: str, tenant: str, where: Where | None = None) -> int:
        async def ask(model: str, _: Indexes) -> int:
            return int(await self._documents(model).count_documents(_conditions(tenant, where)))

        return await self._asked(name, ask)

    async def due(self, name: str, until: str, limit: int, after: DuePlace = FIRST) -> list[Due]:
        async def ask(model: str, _: Indexes) -> list[Row]:
            order = [("due", 1), ("tenant", 1), ("id", 1)]
            due_at, tenant, document_id = after
            beyond = [
                {"due": {"$gt": due_at}},
                {"due": due_at, "tenant": {"$gt": tenant}},
                {"due": due_at, "tenant": tenant, "id": {"$gt": document_id}},
            ]
            wanted = {"due": {"$gte": due_at, "$lte": until}, "$or": beyond}
            rows: list[Row] = (
                await self._documents(model).find(wanted, sort=order, limit=min(limit, PAGE_MAX)).to_list(None)
            )
            return rows

        rows = await self._asked(name, ask)
        return [Due(row["tenant"], row["id"], row["due"], _plain(row["body"])) for row in rows]

    async def asides(self, model: str) -> list[Aside]:
        order = [("source", 1), ("position", 1), ("id", 1)]
        rows = await self._persist(lambda: self._db["asides"].find({"model": model}, sort=order).to_list(None))
        return [Aside(**{**_aside(row), "body": b64decode(row["body"])}) for row in rows]

    async def export(
        self, model: str, after: DocumentKey = ("", ""), limit: int = PAGE_MAX
    ) -> list[tuple[DocumentKey, bytes]]:
        tenant, document_id = after
        beyond = {"$or": [{"tenant": {"$gt": tenant}}, {"tenant": tenant, "id": {"$gt": document_id}}]}
        order = [("tenant", 1), ("id", 1)]
        found = await self._persist(lambda: self._documents(model).find(beyond, sort=order, limit=limit).to_list(None))
        return [((row["tenant"], row["id"]), canonical(_plain(row["body"]))) for row in found]

    async def _asked(self, name: str, ask: Callable[[str, Indexes], Awaitable[T]]) -> T:
        """What the live model answers.

        The model is remembered, which saves a question of two. A model that was replaced is dropped and so answers
        nothing: then it is asked whether it is live, and only if not, or when an index is missing, looked up again.
        """
        known = self._live.get(name)
        answer = await self._tried(known, ask) if known else None
        if answer or (known and answer is not None and await self._is_live(name, known[0])):
            return answer
        self._live[name] = live = await self._persist(lambda: self._look_up(name))
        return await self._persist(lambda: ask(*live))

    async def _is_live(self, name: str, model: str) -> bool:
        """Whether it answers for the name, by a look begun after this call: whoever asks until it begins shares it.

        A service looks for what is due in a score of models five times a second, mostly for nothing.
        """
        if self._next_look is None:
            self._next_look = asyncio.ensure_future(self._look())
        return (await asyncio.shield(self._next_look)).get(name) == model

    async def _look(self) -> dict[str, str]:
        """The live models by name. One look at a time: who comes meanwhile waits for the next."""
        async with self._looking:
            self._next_look = None
            rows = await self._persist(lambda: self._db["names"].find().to_list(None))
            return {row["_id"]: row["live"] for row in rows}

    async def _tried(self, known: tuple[str, Indexes], ask: Callable[[str, Indexes], Awaitable[T]]) -> T | None:
        try:
            return await self._persist(lambda: ask(*known))
        except NotIndexed:
            return None

    async def _look_up(self, name: str) -> tuple[str, Indexes]:
        live = await self._db["names"].find_one({"_id": name})
        row = await self._db["models"].find_one({"_id": live["live"]}) if live else None
        if row is None:
            raise NoSuchModel(f"no read model is called {name!r}")
        return row["_id"], tuple(row["indexes"])

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` answers, tried again when the server went away. Raises Busy when it stays away.

        Again is harmless: what a change has written is dropped by its fold.
        """
        lost: Exception | None = None
        for _ in range(self.settings.attempts_max):
            try:
                return await work()
            except ConnectionFailure as problem:
                lost = problem
            except PyMongoError as problem:
                if not (problem.timeout or _is_race(problem)):
                    raise
                lost = problem
            await asyncio.sleep(self.settings.attempt_pause_seconds)
        raise Busy("The read store does not answer.", retry_after_seconds=self.settings.retry_after_seconds) from lost


async def _not_replaced(work: Callable[[], Awaitable[Model]]) -> Model:
    """What `work` makes or finds, from the beginning if another process replaces it meanwhile."""
    for _ in range(RACES_MAX):
        with suppress(Retired):
            return await work()
    raise Busy("The read model is being replaced.")


def _is_race(problem: PyMongoError) -> bool:
    """Whether two upserts of one key met: the one that lost finds it there the next time."""
    if isinstance(problem, BulkWriteError):
        return all(one["code"] == DUPLICATE_KEY for one in problem.details["writeErrors"])
    return isinstance(problem, DuplicateKeyError)


def _aside(row: Row) -> dict[str, Any]:
    return {field.name: row[field.name] for field in fields(Aside)}


def _key(tenant: str, document_id: str) -> str:
    return f"{tenant}:{document_id}"


def _path(name: str) -> str:
    return "id" if name == "id" else f"body.{checked(name)}"


def _plain(body: Any) -> Document:
    """The document in plain types: large numbers come back as a type of the driver's own."""
    plain: Document = orjson.loads(orjson.dumps(body))
    return plain


def _value(document: Document, name: str, document_id: str) -> Any:
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return document_id if name == "id" else value


def _write_of(key: DocumentKey, kept: Kept, body: bytes, row: Row | None) -> Any:
    """The write of one document: over the row that was read, or as the first of its key."""
    now: dict[str, Any] = {"_id": _key(*key), "guards": dict(kept.guards)}
    now["revision"] = row["revision"] + 1 if row else 1
    if kept.document is not None:
        issued = row.get("issued") if row else None
        due, turn = kept.document.get("due_at"), kept.document.get(TURN) or ""
        now |= {"tenant": key[0], "id": key[1], "body": orjson.loads(body)}
        now |= {"issued": issued} if issued else {}
        now |= {"due": due} if isinstance(due, str) and due + turn != issued else {}
    return ReplaceOne({"_id": now["_id"], "revision": row["revision"]}, now) if row else InsertOne(now)


def _index_keys(index: str) -> list[tuple[str, int]]:
    if index.endswith("[]"):
        return [("tenant", 1), (_path(index.removesuffix("[]")), 1)]
    paths = [_path(name) for name in columns_of(index) if name != "id"]
    return [("tenant", 1), *((path, 1) for path in paths), ("id", 1)]


def _conditions(tenant: str, where: Where | None) -> dict[str, Any]:
    return {"tenant": tenant} | {_path(name): _condition(wanted) for name, wanted in (where or {}).items()}


def _condition(wanted: Any) -> Any:
    if isinstance(wanted, Contains):
        return {"$elemMatch": {"$in": wanted.values}}
    if isinstance(wanted, Range):
        bounds = {"$gte": wanted.at_least, "$lt": wanted.below}
        return {sign: value for sign, value in bounds.items() if value is not None}
    if isinstance(wanted, tuple | list | set | frozenset):
        present, also_absent = wanted_values(wanted)
        return {"$in": [*present, None] if also_absent else present}
    return wanted


def _beyond(path: str, after: Sequence[Any] | None, *, descending: bool) -> dict[str, Any]:
    """What comes after a cursor, in an order where absent values stand first (last when descending)."""
    if after is None:
        return {}
    value, last_id = after
    sign = "$lt" if descending else "$gt"
    if path == "id":
        return {"$or": [{"id": {sign: last_id}}]}
    # `$eq` also where it could be left out: nx-27017 knows null within `$or` only so.
    same = {path: {"$eq": value}, "id": {sign: last_id}}
    if value is None:
        return {"$or": [same] if descending else [same, {path: {"$ne": None}}]}
    return {"$or": [{path: {sign: value}}, same, *([{path: {"$eq": None}}] if descending else [])]}


def _rounds(changes: Sequence[Change]) -> Iterator[list[int]]:
    """The changes by their places, in rounds in which no model occurs twice: the second of a model sees the first's."""
    waiting = list(range(len(changes)))
    while waiting:
        first = {changes[place].model: place for place in reversed(waiting)}
        chosen = sorted(first.values())
        yield chosen
        waiting = [place for place in waiting if place not in chosen]

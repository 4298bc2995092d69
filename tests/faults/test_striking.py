"""What the faults recognise on the wires is what the drivers really send: a change of documents, in both read stores."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from chassis.read_store.mongo import MongoReadStore
from chassis.read_store.port import ReadStore
from chassis.read_store.postgres import PostgresReadStore
from chassis.sqlite_file import open_flushed
from chassis.testing.read_store_conformance import TENANT
from tests.chassis.counted import once_more
from tests.faults.striking import changes, writes
from tests.faults.wire import SWALLOWED, UNANSWERED, Wire, nothing, wire
from tests.patience import PATIENCE_SECONDS

CHANGES = 8
"""More than after which the driver sends a statement by its number alone."""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.engine) for name in ("postgres", "mongo")])
def engine(request: pytest.FixtureRequest) -> str:
    """The URL of an engine."""
    url: str = request.getfixturevalue(request.param)
    return url


@asynccontextmanager
async def behind_a_wire(engine: str) -> AsyncIterator[tuple[Wire, ReadStore]]:
    name = f"read_{uuid.uuid4().hex}"
    host, _, rest = engine.rpartition(":")
    port, _, database = rest.partition("/")
    async with wire(int(port)) as between:
        url = f"{host}:{between.front}/{database}"
        store = (
            PostgresReadStore(url, schema=name) if engine.startswith("postgres") else MongoReadStore(url, database=name)
        )
        await store.open()
        try:
            yield between, store
        finally:
            await store.close()


@pytest.mark.parametrize(("step", "struck_at"), [(SWALLOWED, CHANGES - 1), (UNANSWERED, CHANGES)])
async def test_a_change_is_struck_before_or_after_its_documents_are_there(
    engine: str, step: str, struck_at: int
) -> None:
    struck: list[int] = []
    async with behind_a_wire(engine) as (between, store):
        model = (await store.prepare("cards", 1, ())).model

        async def times() -> int:
            found = await store.get("cards", TENANT, "counted")
            return int(found["times"]) if found else 0

        async def strike() -> None:
            struck.append(await times())

        for position in range(1, CHANGES):
            await store.change(once_more(model, position))
        tapped = asyncio.create_task(between.tapped(changes(model), step, strike, PATIENCE_SECONDS, times))
        await asyncio.sleep(0)
        await store.change(once_more(model, CHANGES))
        await tapped
        assert struck == [struck_at]
        assert await times() == CHANGES


async def test_questions_are_no_changes(engine: str) -> None:
    async with behind_a_wire(engine) as (between, store):
        model = (await store.prepare("cards", 1, ())).model
        await store.change(once_more(model, 1))
        tapped = asyncio.create_task(between.tapped(changes(model), SWALLOWED, nothing, PATIENCE_SECONDS))
        await asyncio.sleep(0)
        for _ in range(CHANGES):
            assert await store.get("cards", TENANT, "counted") == {"times": 1}
            assert (await store.find("cards", TENANT)).items == [{"times": 1}]
            assert await store.count("cards", TENANT) == 1
        assert (len(between.taps), between.cuts) == (1, 0)
        await store.change(once_more(model, 2))
        await tapped


def test_who_has_a_file_for_its_own_writing_is_known_until_it_has_written(tmp_path: Path) -> None:
    with closing(open_flushed(tmp_path / "desk.db", "CREATE TABLE counted (number INTEGER)")) as database:
        found = [writes(os.getpid())]
        database.execute("BEGIN IMMEDIATE")
        found.append(writes(os.getpid()))
        database.execute("INSERT INTO counted VALUES (1)")
        database.execute("COMMIT")
        found.append(writes(os.getpid()))

    assert found == [False, True, False]

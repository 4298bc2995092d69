"""A database that only reads for a while: commands are told to come again, reads go on, and nobody restarts anything."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
from psycopg import sql

from chassis.asgi import Answer, Api
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done, running_system, until

WISH = deal("Contoso GmbH", "www.contoso.de")
Switch = Callable[[bool], Awaitable[None]]


async def test_a_file_that_cannot_be_written_is_told_of_and_heals(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:

        async def switch(read_only: bool) -> None:
            it.services["registration"].store._writing.execute(f"PRAGMA query_only = {read_only}")

        await told_of_and_heals(it, switch)


async def test_a_postgres_that_became_a_replica_is_told_of_and_heals(tmp_path: Path, postgres: str) -> None:
    async with running_system(tmp_path, postgres=postgres) as it:

        async def switch(read_only: bool) -> None:
            await become(postgres, read_only)

        await told_of_and_heals(it, switch)


async def told_of_and_heals(it: System, switch: Switch) -> None:
    north = await it.who("northwind")
    hasty = Api(north._app, north._token)  # it does not come again by itself
    await switch(True)
    for _ in range(3):
        answer = await hasty.post(DEALS, WISH, key="deal")
        assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json"), answer.body
        assert answer.headers["retry-after"] == "1"
    assert done(await north.get(DEALS))["items"] == []
    await switch(False)
    made = await until(lambda: once_it_goes(it, "deal"))
    assert made.status == 201, made.body
    await it.settle()
    assert len(done(await north.get(DEALS))["items"]) == 1


async def once_it_goes(it: System, key: str) -> Answer | None:
    answer = await (await it.who("northwind")).post(DEALS, WISH, key=key)
    return None if answer.status == 503 else answer


async def become(dsn: str, read_only: bool) -> None:
    """Lets every new session of the database read only, or write too, and ends the sessions that there are."""
    name = dsn.rpartition("/")[2]
    setting = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    value = sql.Literal("on" if read_only else "off")
    server = dsn.rpartition("/")[0] + "/postgres"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        await connection.execute(setting.format(sql.Identifier(name), value))
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

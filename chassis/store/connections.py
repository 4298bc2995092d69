"""Connections to one schema of a PostgreSQL database, for what asks it on the event loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from chassis.decider import Busy
from chassis.store.port import StoreSettings
from chassis.store.postgres import FORGOTTEN, WENT_AWAY, connection_options

Connection = AsyncConnection[tuple[Any, ...]]
Configure = Callable[[Connection], Awaitable[None]]
T = TypeVar("T")


class Connections:
    """A few connections that commit each statement by itself, and what heals them. `called` names whose they are."""

    def __init__(self, dsn: str, schema: str, settings: StoreSettings, *, called: str, most: int) -> None:
        self._dsn, self._schema, self._settings = dsn, schema, settings
        self._called, self._most = called, most
        # A frozen server ends nothing by itself, and its network still answers.
        self._answer_seconds = settings.connect_timeout_seconds + settings.statement_timeout_seconds + 1

    async def open(self, configure: Configure | None = None) -> None:
        """Connects, with `configure` for each connection."""
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            kwargs={**connection_options(self._dsn, self._schema, self._settings), "autocommit": True},
            min_size=1,
            max_size=self._most,
            timeout=self._settings.connect_timeout_seconds,
            configure=configure,
            open=False,
        )
        await self._pool.open(wait=True, timeout=self._settings.connect_timeout_seconds)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        """A connection for the block. Nothing is tried again."""
        async with self._pool.connection() as connection:
            try:
                yield connection
            except FORGOTTEN:
                await connection.close()
                raise

    async def persist(self, work: Callable[[Connection], Awaitable[T]], *, patient: bool = False) -> T:
        """What `work` answers, tried again on another connection when the database went away.

        Raises Busy when it stays away. For work that may be done twice. One that is `patient` may take its time.
        """
        lost: Exception | None = None
        for _ in range(self._settings.attempts_max):
            try:
                async with asyncio.timeout(None if patient else self._answer_seconds), self.one() as connection:
                    return await work(connection)
            except (*WENT_AWAY, PoolTimeout, TimeoutError) as problem:
                lost = problem
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._answer_seconds):
                        await self._pool.check()  # the others of the pool have probably gone too
                await asyncio.sleep(self._settings.attempt_pause_seconds)
        after = self._settings.retry_after_seconds
        raise Busy(f"The {self._called} does not answer.", retry_after_seconds=after) from lost

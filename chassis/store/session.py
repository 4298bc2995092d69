"""Who works with a schema of PostgreSQL: several processes together, or one alone, on whichever machines they are.

It is a lock of a session, which lasts as long as its process and its connection: a killed process lets go by itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection

from chassis.presence import InUse
from chassis.store.postgres import WENT_AWAY
from chassis.supervision import log

LOOK_SECONDS = 5.0
TOGETHER, ALONE = "SELECT pg_try_advisory_lock_shared(%s)", "SELECT pg_try_advisory_lock(%s)"
GONE = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""After so long the server lets go of what a machine held that is no more."""


@asynccontextmanager
async def at_work(options: dict[str, Any], key: int, what: str, *, alone: bool) -> AsyncIterator[None]:
    """Keeps the lock for this process, with others or alone. Raises InUse, which calls it `what`."""
    session = _Session({**options, "options": f"{options['options']} {GONE}"}, key, ALONE if alone else TOGETHER)
    if not await session.take():
        raise InUse(f"another process works with {what}: stop it first, then try again")
    keeping = asyncio.create_task(session.keep(what), name=f"at work with {what}")
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await session.close()


class _Session:
    def __init__(self, options: dict[str, Any], key: int, lock: str) -> None:
        self._options, self._key, self._lock = options, key, lock
        self._connection: AsyncConnection[Any] | None = None

    async def take(self) -> bool:
        """Connects anew and takes the lock; whether it was to be had."""
        await self.close()
        self._connection = await AsyncConnection.connect(**self._options, autocommit=True)
        row = await (await self._connection.execute(self._lock.encode(), (self._key,))).fetchone()
        return row is not None and bool(row[0])

    async def keep(self, what: str) -> None:
        """Looks again and again whether the connection, and with it the lock, is still there, and takes it again if not."""
        held = True
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                held = (held and await self._answers()) or await self.take()
            except WENT_AWAY:
                held = False
            else:
                if not held:
                    log.error("another_process_works_alone", on=what, then="stop this one until that is done")

    async def _answers(self) -> bool:
        assert self._connection is not None
        try:
            await self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

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
from chassis.store.postgres import EPOCH, WENT_AWAY
from chassis.supervision import end_process

LOOK_SECONDS, ANSWER_SECONDS = 5.0, 30.0
TOGETHER, ALONE = "SELECT pg_advisory_lock_shared(%s)", "SELECT pg_advisory_lock(%s)"
GONE = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""After so long the server lets go of what a machine held that is no more."""
PATIENT = "-c lock_timeout=2s"
"""It lets go of what a process held a moment after that has stopped."""


@asynccontextmanager
async def at_work(options: dict[str, Any], key: int, what: str, *, alone: bool) -> AsyncIterator[None]:
    """Keeps the lock for this process, with others or alone. Raises InUse, which calls it `what`."""
    session = _Session(
        {**options, "options": f"{options['options']} {GONE} {PATIENT}"}, key, ALONE if alone else TOGETHER
    )
    if not await session.take():
        await session.close()
        raise InUse(f"another process works with {what}: stop it first, then try again")
    keeping = asyncio.create_task(session.keep(what), name=f"at work with {what}")
    try:
        yield
    finally:
        keeping.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await keeping
        finally:
            await session.close()


class _Session:
    def __init__(self, options: dict[str, Any], key: int, lock: str) -> None:
        self._options, self._key, self._lock = options, key, lock
        self._connection: AsyncConnection[Any] | None = None
        self._epoch: int | None = None

    async def take(self) -> bool:
        """Connects anew and takes the lock; whether it was to be had."""
        await self.close()
        self._connection = await AsyncConnection.connect(**self._options, autocommit=True)
        try:
            await self._number(self._lock, self._key)
        except psycopg.errors.LockNotAvailable:
            return False
        self._epoch = await self._epoch_now()
        return True

    async def keep(self, what: str) -> None:
        """Looks again and again whether the connection, and with it the lock, is still there, and takes it again if not.

        Where somebody else works alone by then, or has begun an epoch meanwhile, what this process knows of the log is
        not so any more: it ends.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    held = await self._answers() or await self._take_again()
            except (TimeoutError, *WENT_AWAY):
                continue
            if not held:
                end_process("another_process_worked_alone", on=what)
                return

    async def _take_again(self) -> bool:
        before = self._epoch
        return await self.take() and self._epoch == before

    async def _answers(self) -> bool:
        try:
            await self._number("SELECT 1")
        except psycopg.Error:
            return False
        return True

    async def _epoch_now(self) -> int | None:
        """The epoch of the log beside it; None where there is no log yet."""
        try:
            return await self._number(EPOCH)
        except psycopg.errors.UndefinedTable:
            return None

    async def _number(self, query: str, *values: int) -> int | None:
        assert self._connection is not None
        row = await (await self._connection.execute(query.encode(), values)).fetchone()
        return row[0] if row else None

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

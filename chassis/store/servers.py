"""Whether databases lie on one PostgreSQL server, whatever names their addresses give it."""

import psycopg
from psycopg import AsyncConnection

from chassis.store.port import StoreSettings
from chassis.store.postgres import connection_options

SERVER = "SELECT system_identifier FROM pg_control_system()"


async def of_one_server(*dsns: str) -> bool:
    """Whether all of them do, so that one backup of the server holds them; False where one does not say."""
    servers = {await _server(dsn) for dsn in dsns}
    return len(servers) == 1 and None not in servers


async def _server(dsn: str) -> int | None:
    """What the server was called when it was made, as its copies and its standbys are; None where it does not say."""
    try:
        async with await AsyncConnection.connect(**connection_options(dsn, "public", StoreSettings())) as db:
            row = await (await db.execute(SERVER)).fetchone()
    except psycopg.Error:
        return None
    return row[0] if row else None

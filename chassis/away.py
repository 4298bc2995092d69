"""Telling what is away for now (a neighbour, a database, room on the disk) from what is wrong with a message or the code."""

import errno
import sqlite3
from http import HTTPStatus

from chassis.decider import Problem
from chassis.event import UnknownType

AWAY: tuple[type[Exception], ...] = (ConnectionError, TimeoutError, sqlite3.OperationalError, UnknownType)
"""Raised while something is away: a neighbour, a database, the release that knows a type of our own stream."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""A disk that takes no more: somebody has to make room, and then the same works."""

AWAY_BY_NAME = frozenset(
    {
        "psycopg.OperationalError",
        "psycopg.ReadOnlySqlTransaction",
        "psycopg_pool.PoolTimeout",
        "psycopg_pool.PoolClosed",
        "eventsourcing.OperationalError",
        "eventsourcing.InterfaceError",
        "aiohttp.ClientConnectionError",
        "pymongo.ConnectionFailure",
    }
)
"""The same of libraries that this module need not import: the top package and the class."""


def is_away(error: BaseException) -> bool:
    """Whether trying again later can help: nothing is wrong with the message or the code."""
    if isinstance(error, AWAY) or (isinstance(error, Problem) and error.status == HTTPStatus.SERVICE_UNAVAILABLE):
        return True
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return True
    names = (f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in type(error).__mro__)
    return any(name in AWAY_BY_NAME for name in names)

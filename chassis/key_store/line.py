"""One connection to PostgreSQL for callers who wait where they stand, the event loop with them, and never for long."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, TypeVar

import psycopg

from chassis.decider import Busy
from chassis.store.postgres import WENT_AWAY

ANSWER_SECONDS = 1.0
"""The longest that a caller stands still. Whoever comes while the database is known to be away does not wait at all."""
RETRY_AFTER_SECONDS = 1
TRIES = 2
"""One on a connection that may have been cut since, one on a new connection."""
PAUSE_SECONDS = 0.25
"""Between two looks for a database that went away."""

T = TypeVar("T")
Connection = psycopg.Connection[Any]


class Line:
    """Does what it is asked on one connection, one after the other, in a thread of its own.

    When the database does not answer in time, callers hear Busy at once until the thread has reached it again. What was
    asked may still be carried out then, so everything asked here has to be harmless when it comes late or twice.
    """

    def __init__(self, name: str, connect: Callable[[], Connection]) -> None:
        self._name, self._connect = name, connect
        self._connection: Connection | None = None
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._starting = Lock()
        self._away, self._closed = Event(), Event()

    def ask(self, work: Callable[[Connection], T], seconds: float = ANSWER_SECONDS) -> T:
        """What `work` answers. Raises Busy where the database does not answer within that time."""
        try:
            return self._asked(work).result(seconds)
        except (TimeoutError, *WENT_AWAY) as no:
            self._is_away()
            raise _busy() from no

    def answers(self) -> bool:
        """Whether the database answers now. For one slow look nobody is turned away: the next who asks finds out."""
        try:
            self._asked(_look).result(ANSWER_SECONDS)
        except WENT_AWAY:
            self._is_away()
            return False
        except (TimeoutError, Busy):
            return False
        return True

    def _asked(self, work: Callable[[Connection], T]) -> "Future[T]":
        """What will be the answer. Raises Busy where the database is known to be away."""
        if self._away.is_set() or self._closed.is_set():
            raise _busy()
        self._start()
        answer: Future[T] = Future()
        self._queue.put(lambda: self._do(work, answer))
        return answer

    def _is_away(self) -> None:
        if not self._away.is_set():
            self._away.set()
            self._queue.put(self._come_back)

    def close(self) -> None:
        """Finishes what is asked, if it can be finished soon."""
        self._closed.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(ANSWER_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            asked()
        self._hang_up()

    def _do(self, work: Callable[[Connection], T], answer: Future[T]) -> None:
        try:
            answer.set_result(self._persist(work))
        except Exception as problem:  # noqa: BLE001  whatever it is, who waits must hear of it
            answer.set_exception(problem)

    def _persist(self, work: Callable[[Connection], T]) -> T:
        for more in reversed(range(TRIES)):
            try:
                return work(self._connected())
            except WENT_AWAY:
                self._hang_up()
                if not more:
                    raise
        raise AssertionError("the last try answers or raises")

    def _come_back(self) -> None:
        while not self._closed.is_set():
            try:
                _look(self._connected())
            except WENT_AWAY:
                self._hang_up()
                self._closed.wait(PAUSE_SECONDS)
            else:
                self._away.clear()
                return

    def _connected(self) -> Connection:
        """Raises WENT_AWAY for whatever the database says: it may be there again before its tables or our rights are."""
        if self._connection is None:
            try:
                self._connection = self._connect()
            except WENT_AWAY:
                raise
            except psycopg.Error as no:
                raise psycopg.OperationalError(str(no)) from no
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _look(connection: Connection) -> None:
    connection.execute("SELECT 1")


def _busy() -> Busy:
    return Busy("The key store does not answer.", retry_after_seconds=RETRY_AFTER_SECONDS)

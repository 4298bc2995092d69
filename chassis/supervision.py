"""Long-lived tasks that do not end unnoticed: one that ends is logged, counted and started again after a pause."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from chassis.event import frozen

log = structlog.get_logger()
Run = Callable[[], Awaitable[None]]
FORGOTTEN_SECONDS = 60.0
"""After so long without a failure the next pause is a first one again."""


class Final(Exception):
    """What no task makes better by beginning again: somebody has to do something, and the message says what."""


def end_process(why: str, **told: Any) -> None:
    """Ends this process in order, as SIGTERM does, and says why."""
    log.error(why, **told, then="this process ends")
    os.kill(os.getpid(), signal.SIGTERM)


@frozen
class Backoff:
    """Pauses that double from `first_seconds` to `most_seconds`, each shortened at random by up to a half."""

    first_seconds: float = 0.5
    most_seconds: float = 5.0

    def pause_seconds(self, failures: int) -> float:
        """The pause after so many failures in a row, from 1."""
        full = min(self.most_seconds, self.first_seconds * float(1 << min(failures - 1, 16)))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret


async def bounded_stop(tasks: set["asyncio.Task[Any]"], seconds: float, cancel_seconds: float = 2.0) -> None:
    """Waits for the tasks, then cancels those still going and waits once more; never longer than both times."""
    if tasks:
        _, going = await asyncio.wait(tasks, timeout=seconds)
        for task in going:
            task.cancel()
        if going:
            await asyncio.wait(going, timeout=cancel_seconds)


class Tasks:
    """A set of named long-lived tasks. `failures` counts by name how often each ended though it should not have.

    One that raises Final is not begun again: the process ends with it.
    """

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.stopping = asyncio.Event()
        self.failures: dict[str, int] = {}
        self._backoff = backoff or Backoff()
        self._last_failure: dict[str, tuple[float, int]] = {}
        self._running: dict[str, tuple[asyncio.Task[None], bool]] = {}

    def start(self, name: str, run: Run, *, finishes: bool = False) -> None:
        """Runs `run` until `stop`. With `finishes`, it watches `stopping` itself and ends when its hands are empty."""
        task: asyncio.Task[None] = asyncio.ensure_future(self._run(run))
        self._running[name] = (task, finishes)
        # A done-callback, not a try: a cancelled future inside `run` ends a task past every `except Exception`.
        task.add_done_callback(lambda ended: self._ended(name, run, ended, finishes=finishes))

    async def _run(self, run: Run) -> None:
        await run()

    def _ended(self, name: str, run: Run, task: "asyncio.Task[None]", *, finishes: bool) -> None:
        error = None if task.cancelled() else task.exception()
        if self.stopping.is_set():
            return
        failures = self.failures[name] = self.failures.get(name, 0) + 1
        if isinstance(error, Final):
            end_process("task_cannot_go_on", task=name, told=str(error))
            return
        pause = self._backoff.pause_seconds(self._in_a_row(name))
        log.error("task_ended", task=name, failures=failures, restarts_in_seconds=round(pause, 2), exc_info=error)
        asyncio.get_running_loop().call_later(pause, partial(self._again, name, run, finishes=finishes))

    def _in_a_row(self, name: str) -> int:
        now = asyncio.get_running_loop().time()
        at, row = self._last_failure.get(name, (-FORGOTTEN_SECONDS, 0))
        row = 1 if now - at > FORGOTTEN_SECONDS else row + 1
        self._last_failure[name] = now, row
        return row

    def _again(self, name: str, run: Run, *, finishes: bool) -> None:
        if not self.stopping.is_set():
            self.start(name, run, finishes=finishes)

    async def pause(self, seconds: float) -> None:
        """Sleeps, but not past the stop."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    async def stop(self, seconds: float = 8.0) -> None:
        """Cancels the tasks with empty hands, lets the others finish for at most `seconds`, then cancels these too."""
        self.stopping.set()
        for task, finishes in self._running.values():
            if not finishes:
                task.cancel()
        await bounded_stop({task for task, _ in self._running.values()}, seconds)
        self._running.clear()

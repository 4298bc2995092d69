"""Where `now` comes from: the one place that asks the machine for the time. All that is handed out is aware and UTC."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Protocol

from chassis import secret_file
from chassis.decider import Invalid, Refused
from chassis.event import iso, utc

FRESH_SECONDS = 0.001
"""How long what a development clock saw in its file is believed: each look lets another thread in, several times a command."""
LOOK_SECONDS = 0.25
"""How soon who waits hears that another process has moved a development clock."""
AHEAD_LIMIT_DAYS = 36_525
"""How far a development clock may be set ahead of the machine: a century, so no sum of dates leaves the calendar."""


class ClockBackwards(Refused):
    """A clock only goes forward: name an instant after `now`."""

    slug = "clock-backwards"


class ClockTooFar(Invalid):
    """A clock can be set a hundred years ahead at most."""

    slug = "clock-too-far"


class Clock(Protocol):
    """Tells the time, and waits in a way that a moved clock ends."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    async def wait(self, seconds: float) -> None:
        """Returns after that many seconds of machine time, or as soon as the clock is moved."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Moves:
    """Those who wait for a clock to be moved; they may live in different event loops."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    async def wait(self, seconds: float) -> bool:
        """Whether the clock was moved within so many seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            done, _ = await asyncio.wait((future,), timeout=seconds)
            return bool(done)
        finally:
            self._waiting.discard(future)

    def tell(self) -> None:
        for future in tuple(self._waiting):
            future.get_loop().call_soon_threadsafe(_finish, future)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class FixedClock:
    """A clock that stands still until a test sets it."""

    def __init__(self, at: datetime) -> None:
        self._at = utc(at)
        self._moves = Moves()

    def now(self) -> datetime:
        return self._at

    def set(self, at: datetime) -> None:
        """Moves to any instant, backwards too."""
        self._at = utc(at)
        self._moves.tell()

    def forward(self, by: timedelta) -> None:
        """Moves by a span."""
        self.set(self._at + by)

    async def wait(self, seconds: float) -> None:
        await self._moves.wait(seconds)


class DevClock:
    """The machine's clock set ahead: it goes on running from the instant it was set to, also after a restart.

    The file holds how far ahead it is. One process moves it; all services that know the file follow.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = str(path)
        self._moves = Moves()
        self._fresh_until = 0.0
        self._written_at = _written_at(self._file)
        self._ahead = _read_ahead(path)

    def now(self) -> datetime:
        self._follow()
        return datetime.now(UTC) + self._ahead

    def _follow(self) -> bool:
        """Whether another process has moved the clock: then this one is moved too."""
        looked_at = monotonic()
        if looked_at < self._fresh_until:
            return False
        self._fresh_until = looked_at + FRESH_SECONDS
        written_at = _written_at(self._file)
        if written_at == self._written_at:
            return False
        self._written_at, self._ahead = written_at, _read_ahead(self._path)
        self._moves.tell()
        return True

    def advance(self, to: datetime) -> datetime:
        """Sets the clock to a later instant, durably, and wakes all who wait. Raises ClockBackwards, ClockTooFar."""
        now, to = self.now(), _aware(to)
        if to < now:
            raise ClockBackwards(now=iso(now), to=iso(to))
        ahead = self._ahead + (to - now)
        if ahead > timedelta(days=AHEAD_LIMIT_DAYS):
            raise ClockTooFar(to=iso(to))
        _write_ahead(self._path, ahead)
        self._written_at, self._ahead = _written_at(self._file), ahead
        self._moves.tell()
        return self.now()

    async def wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._follow() and (left := end - loop.time()) > 0:
            slice_seconds = min(left, LOOK_SECONDS)
            if await self._moves.wait(slice_seconds):
                return


def _written_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  half the price of the path's own, at every command
    except FileNotFoundError:
        return 0


def _aware(value: datetime) -> datetime:
    try:
        return utc(value)
    except (ValueError, OverflowError):
        raise Invalid("Give an instant with its zone, such as 2026-03-03T10:00:00Z.") from None


def _read_ahead(path: Path) -> timedelta:
    if not path.exists():
        return timedelta()
    return timedelta(seconds=float(json.loads(path.read_text())["ahead_seconds"]))


def _write_ahead(path: Path, ahead: timedelta) -> None:
    secret_file.replace(path, json.dumps({"ahead_seconds": ahead.total_seconds()}).encode())

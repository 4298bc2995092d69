"""Leases: of several processes that could do a piece of work, one does it, and another takes over when it dies.

A lease saves work, it does not make anything safe: two holders for a moment are harmless where it is used.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from chassis.decider import Busy
from chassis.event import frozen


class Leases(Protocol):
    """The part of an event store that leases need."""

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool: ...

    async def release_lease(self, name: str, holder: str) -> None: ...


@frozen
class LeaseSettings:
    """How long a lease lasts without its holder, and how often it is asked for."""

    lease_seconds: float = 15.0
    renew_seconds: float = 5.0
    wait_seconds: float = 1.0


@dataclass
class Held:
    """A lease in the hand. `lost` is set when it could not be renewed in time: stop what it was for."""

    lost: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ours(self) -> bool:
        return not self.lost.is_set()


class Lease:
    """The lease of one name in a store, for one holder."""

    def __init__(self, leases: Leases, name: str, settings: LeaseSettings = LeaseSettings()) -> None:
        self._leases = leases
        self._settings = settings
        self.name = name
        self.holder = str(uuid4())

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[Held]:
        """Waits until the lease is free, keeps it while the block runs, and then frees it."""
        while not await self._take():  # noqa: ASYNC110  the holder is another process, which sets no event here
            await asyncio.sleep(self._settings.wait_seconds)
        held = Held()
        renewing = asyncio.create_task(self._renew(held), name=f"lease {self.name}")
        try:
            yield held
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            with contextlib.suppress(Busy):  # then it runs out by itself
                await self._leases.release_lease(self.name, self.holder)

    async def _renew(self, held: Held) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.lease_seconds
        while held.ours:
            await asyncio.sleep(self._settings.renew_seconds)
            asked = loop.time()
            if await self._take():
                end = asked + self._settings.lease_seconds
            elif loop.time() + self._settings.renew_seconds >= end:
                held.lost.set()

    async def _take(self) -> bool:
        try:
            return await self._leases.take_lease(self.name, self.holder, self._settings.lease_seconds)
        except Busy:
            return False

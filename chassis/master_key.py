"""The master key of a service that a KMS keeps: wrapped beside the keys, and in memory only while the KMS agrees.

The KMS is asked at the start, and then at each check: never while a command waits, and never under a lock. Away, it
stops nothing that is unlocked; refusing it again and again, it locks the keys, until it agrees again.
"""

import asyncio
import os
from pathlib import Path
from typing import Any, Protocol

import structlog

from chassis.keys import KEY_BYTES, FileKeyWrapper, Keys, MasterKeyMissing, PlainKeyWrapper
from chassis.supervision import Backoff

log = structlog.get_logger()
REFUSALS_MAX = 3
"""So often in a row the KMS refuses before the keys are locked: a token that is being renewed is no withdrawal."""


class KmsAway(Exception):
    """The KMS did not answer, or said that it cannot now: the same may work later."""


class KmsRefused(Exception):
    """The KMS refused: the token, its rights or the key are not good for this."""


class Kms(Protocol):
    """Keeps a key that never leaves it, and wraps others with it. Each call is bounded; KmsAway and KmsRefused are raised."""

    async def wrap(self, key: bytes) -> str:
        """The key in a form that only `unwrap` opens, printable."""
        ...

    async def unwrap(self, wrapped: str) -> bytes:
        """The key that was wrapped."""
        ...

    async def rewrap(self, wrapped: str) -> str:
        """The same under the newest version of the KMS's own key; nobody sees what is inside."""
        ...


class MasterKey:
    """Unlocks the keys of one service by a KMS. `plain` is the file of a master key that was there before, if it is."""

    def __init__(self, keys: Keys, kms: Kms, *, plain: Path, check_seconds: float) -> None:
        self.keys = keys
        self.said: str | None = None
        """What the KMS, or the way to it, has against the last question; None where it answered."""
        self._kms = kms
        self._plain = plain
        self._check_seconds = check_seconds
        self._backoff = Backoff()
        self._refusals = self._failures = 0

    @property
    def locked(self) -> bool:
        return self.keys.locked

    async def unlock(self) -> None:
        """Asks the KMS for the master key, which is made at the first start.

        Raises KmsAway, KmsRefused, and MasterKeyMissing where keys are there that no master key is kept for.
        """
        key = await self._kms.unwrap(self.keys.master or await self._kept())
        if len(key) != KEY_BYTES:
            raise KmsRefused("the KMS unwraps something that is no master key")
        self.keys.unlock(PlainKeyWrapper(key))

    async def check(self) -> bool:
        """Asks again, and notes what comes of it; True where the KMS agreed."""
        try:
            await self.unlock()
        except KmsRefused as no:
            self._refusals += 1
            if self._refusals >= REFUSALS_MAX:
                self.keys.lock()
            self._note(no)
        except KmsAway as no:
            self._note(no)
        else:
            self.said, self._refusals, self._failures = None, 0, 0
        return self.said is None

    async def watch(self) -> None:
        """Checks for ever: often while the keys are locked, else each `check_seconds`."""
        while True:
            await asyncio.sleep(self._backoff.pause_seconds(self._failures) if self.locked else self._check_seconds)
            await self.check()

    async def rewrap(self) -> None:
        """Has the master key wrapped by the KMS's newest key. Others may go on working with it."""
        old = self.keys.master or await self._kept()
        self.keys.replace_master(old, await self._kms.rewrap(old))

    async def renew(self) -> int:
        """Makes another master key and wraps every key by it; answers how many. Nobody else may hold the old one."""
        await self.unlock()
        new = os.urandom(KEY_BYTES)
        return self.keys.renew(PlainKeyWrapper(new), await self._kms.wrap(new))

    async def _kept(self) -> str:
        """The wrapped master key, kept from now on: the one of the file, else a new one. Two that start agree on one."""
        return self.keys.keep_master(await self._kms.wrap(self._first()))

    def _first(self) -> bytes:
        if self._plain.exists() and self.keys.fit(FileKeyWrapper(self._plain)):
            log.warning("master_key_taken_over", path=str(self._plain), then="remove the file: the KMS keeps it now")
            return self._plain.read_bytes()
        if not self.keys.empty:
            raise MasterKeyMissing(f"keys are kept that {self._plain} does not open: bring the file that does")
        return os.urandom(KEY_BYTES)

    def _note(self, no: Exception) -> None:
        self.said = str(no)
        self._failures += 1
        log.error("kms_failed", error=repr(no), locked=self.locked, failures=self._failures)

    def state(self) -> dict[str, Any]:
        """What readiness tells of it."""
        return {"locked": self.locked, "kms": self.said or "agrees"}

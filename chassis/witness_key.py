"""The key that signs a log's checkpoints, where processes share no folder: kept sealed beside the leaves.

What opens it lies with the keys of personal text. So whoever can write to the log's database cannot sign a checkpoint of
what he made of it, and each process of the service signs with the same key.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from chassis.event import SHARED, Sealed
from chassis.keys import Keys
from chassis.note import SEED_BYTES, NoteSigner
from chassis.supervision import log

SUBJECT = "witness"
Signing = Callable[[], Awaitable[NoteSigner]]
"""The signer of a witness. Raises KeysLocked where its key cannot be had now."""


class Seeds(Protocol):
    """Where the sealed key is kept; durable when it returns."""

    async def kept(self) -> Sealed | None: ...

    async def keep(self, seed: Sealed, instead_of: Sealed | None) -> Sealed:
        """Keeps it in the place of another, or where there is none; answers the one that is kept then."""
        ...


def held(signer: NoteSigner) -> Signing:
    """A signer that is at hand."""

    async def signing() -> NoteSigner:
        return signer

    return signing


class SealedSigning:
    """A signer whose key is kept sealed. It is made at first use, or taken over from the file of an older release."""

    def __init__(self, origin: str, seeds: Seeds, keys: Keys, file: Path) -> None:
        self._origin, self._seeds, self._keys, self._file = origin, seeds, keys, file
        self._signer: NoteSigner | None = None

    async def __call__(self) -> NoteSigner:
        if self._signer is None:
            self._signer = NoteSigner(self._origin, await self._seed())
        return self._signer

    async def _seed(self) -> bytes:
        sealed = await self._seeds.kept()
        seed = self._opened(sealed) if sealed else None
        if seed is not None:
            return seed
        if sealed is not None:
            # Keys were brought back from a copy of before it was made. What was signed stays signed by the old key.
            log.error("witness_key_lost", origin=self._origin, then="tell who holds checkpoints of the new key")
        made = self._keys.seal(SHARED, SUBJECT, b64encode(self._first(sealed)).decode())
        kept = self._opened(await self._seeds.keep(made, sealed))
        if kept is None:
            raise LookupError("the key of the witness was lost while it was made")
        return kept

    def _first(self, lost: Sealed | None) -> bytes:
        """The seed of an older release's file, else a new one."""
        if lost is not None or not self._file.exists():
            return os.urandom(SEED_BYTES)
        log.info("witness_key_taken_over", file=str(self._file), then="remove the file and what copies of it there are")
        return self._file.read_bytes()

    def _opened(self, sealed: Sealed) -> bytes | None:
        text = self._keys.open(SHARED, sealed)
        return b64decode(text) if text is not None else None

"""The key that signs a log's checkpoints, where processes share no folder: kept sealed beside the leaves.

What opens it lies with the keys of personal text. So whoever can write to the log's database cannot sign a checkpoint of
what he made of it, and each process of the service signs with the same key.

Who comes with other keys, such as those of a store that was set wrongly, finds a box that they do not open. It is no
leave to make another one: checkpoints of one log would be signed by two keys, and nobody would know why.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from chassis.event import SHARED, Sealed
from chassis.keys import Keys
from chassis.note import SEED_BYTES, NoteSigner
from chassis.supervision import Final, log

SUBJECT = "witness"
Signing = Callable[[], Awaitable[NoteSigner]]
"""The signer of a witness. Raises KeysLocked where its key cannot be had now, and WitnessKeyClosed."""


class WitnessKeyClosed(Final):
    """A key of the witness is kept sealed, and the keys that are at hand do not open it."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"the key of the witness of {origin} is kept, and the keys that are here do not open it: see that "
            "ENTENTE_KEY_STORE names the store with this service's keys, or bring a newer copy of them back (`keys restore`). "
            "Where they are lost for good, `keys witness-anew` makes another one"
        )


class Seeds(Protocol):
    """Where the sealed keys are kept, the newest last; they are only ever added. Durable when it returns."""

    async def kept(self) -> list[Sealed]: ...

    async def add(self, seed: Sealed, before: int) -> Sealed:
        """Adds one behind `before` others, unless somebody has meanwhile; answers the newest one."""
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
        kept = await self._seeds.kept()
        seed = self._opened(kept[-1]) if kept else await self._add(self._first(), 0)
        if seed is None:
            raise WitnessKeyClosed(self._origin)
        return seed

    async def anew(self) -> NoteSigner | None:
        """Makes another key where the one that is kept can never be opened again; None where it can, or there is none.

        What was signed stays signed by the old one. Raises KeysLocked.
        """
        kept = await self._seeds.kept()
        if not kept or self._opened(kept[-1]) is not None:
            return None
        await self._add(os.urandom(SEED_BYTES), len(kept))
        return await self()

    async def _add(self, seed: bytes, before: int) -> bytes | None:
        made = self._keys.seal(SHARED, SUBJECT, b64encode(seed).decode())
        return self._opened(await self._seeds.add(made, before))

    def _first(self) -> bytes:
        """The seed of an older release's file, else a new one."""
        if not self._file.exists():
            return os.urandom(SEED_BYTES)
        log.info("witness_key_taken_over", file=str(self._file), then="remove the file and what copies of it there are")
        return self._file.read_bytes()

    def _opened(self, sealed: Sealed) -> bytes | None:
        text = self._keys.open(SHARED, sealed)
        return b64decode(text) if text is not None else None

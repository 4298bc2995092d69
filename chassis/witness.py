"""The witness: an append-only Merkle log over what a store holds, and signed checkpoints of it.

It follows the store's feed. Leaf number n is the n-th stored event in position
order, framed as `chassis.proof` says. Leaves, nodes and checkpoints are kept at the service's desk (`chassis.leaves`). A
log belongs to one origin, `entente/<service>/<epoch>`: a store restored from a backup begins a new one.
"""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from chassis.clock import Clock
from chassis.decider import NotFound
from chassis.event import frozen, iso
from chassis.keys import KeysLocked
from chassis.leaves.port import Hashed, Leaves
from chassis.leaves.tree import computed
from chassis.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from chassis.note import Checkpoint
from chassis.proof import leaf_bytes
from chassis.store.port import EventStore, Recorded
from chassis.witness_key import Signing


@frozen
class WitnessSettings:
    """How the witness works."""

    batch_events: int = 1_000
    follow_seconds: float = 1.0
    """Pause between two rounds, so that a flush here serves many commits there."""
    checkpoint_seconds: float = 60.0
    """How often a checkpoint is signed while there is news."""
    proof_events_max: int = 1_000
    """Events of one stream that one proof covers; a longer stream is refused."""


class ProofTooLong(NotFound):
    """Too long a stream for one proof."""

    slug = "proof-too-long"


def _raw(stored: bytes | str) -> bytes:
    """The stored bytes, also where somebody's hand has made text of them."""
    return stored.encode() if isinstance(stored, str) else stored


def leaf_of(recorded: Recorded) -> bytes:
    """The leaf hash of a recorded event."""
    return leaf_hash(
        leaf_bytes(recorded.position, recorded.version, recorded.type, recorded.stream, _raw(recorded.stored))
    )


class Witness:
    """Follows one store. Two at once are harmless: leaves are numbered one after the other, and a repeat is passed over."""

    def __init__(
        self,
        store: EventStore,
        leaves: Leaves,
        signing: Signing,
        clock: Clock,
        settings: WitnessSettings = WitnessSettings(),
    ) -> None:
        self.store, self.leaves, self.signer = store, leaves, signing
        self._clock, self._settings = clock, settings

    async def run(self) -> None:
        """Follows until it is cancelled, and signs a checkpoint at most once a minute while there is news.

        When it is cancelled it signs a last one, so that what stood in the store at an orderly stop is witnessed.
        """
        try:
            await self._follow()
        except asyncio.CancelledError:
            await self._sign()
            raise

    async def _follow(self) -> None:
        due = monotonic()
        while True:
            last = (await self.leaves.end()).last_position
            await self.store.wait_beyond(last, self._settings.checkpoint_seconds)
            await self.catch_up()
            if monotonic() >= due:
                await self._sign()
                due = monotonic() + self._settings.checkpoint_seconds
            await asyncio.sleep(self._settings.follow_seconds)

    async def _sign(self) -> None:
        with suppress(KeysLocked):  # later, then: what is kept stays kept
            await self.checkpoint()

    async def catch_up(self) -> int:
        """Adds a leaf for every event that has none yet; how many there were."""
        added, last = 0, (await self.leaves.end()).last_position
        while events := await self.store.feed(last, self._settings.batch_events):
            added += await self.leaves.append(await asyncio.to_thread(_hashed, events))
            last = events[-1].position
        return added

    async def checkpoint(self) -> str | None:
        """The newest signed checkpoint, signed now if there is news; None while the store is empty."""
        newest = await self._newest()
        return newest[1] if newest else None

    async def _newest(self) -> tuple[int, str] | None:
        await self.catch_up()
        size, latest = (await self.leaves.end()).size, await self.leaves.latest()
        if size == (latest[0] if latest else 0):
            return latest
        over = await computed(self.leaves, lambda tree: root(tree, size))
        note = (await self.signer()).sign(Checkpoint(self.leaves.origin, size, over).text())
        await self.leaves.keep_checkpoint(size, iso(self._clock.now()), note)
        return size, note

    async def proof(self, stream: str) -> dict[str, Any]:
        """The events of a stream, each with the proof that the newest checkpoint covers it; see `chassis.proof`.

        Raises NotFound for a stream without events, ProofTooLong.
        """
        events = await self.store.load(stream)
        if len(events) > self._settings.proof_events_max:
            raise ProofTooLong
        return {"stream": stream, **await self.covering(events)}

    async def covering(self, events: Sequence[Recorded]) -> dict[str, Any]:
        """The newest checkpoint, and each of the events with the path to its root; see `chassis.proof`.

        Raises NotFound for no events.
        """
        newest = await self._newest()
        if not events or newest is None:
            raise NotFound
        numbers = await self.leaves.numbers_at([event.position for event in events])
        places = [numbers[event.position] for event in events]
        paths = await computed(self.leaves, lambda tree: [inclusion_proof(tree, one, newest[0]) for one in places])
        proven = [_proven(*one) for one in zip(events, places, paths, strict=True)]
        return {"key": await self._key(), "checkpoint": newest[1], "events": proven}

    async def _key(self) -> str:
        return (await self.signer()).verifier.vkey

    async def consistency(self, old: int) -> dict[str, Any]:
        """Shows to the holder of a checkpoint of `old` leaves that the newest one only added to it. Raises NotFound."""
        newest = await self._newest()
        if newest is None or not 0 < old <= newest[0]:
            raise NotFound
        path = await computed(self.leaves, lambda tree: consistency_proof(tree, old, newest[0]))
        return {"key": await self._key(), "old_size": old, "checkpoint": newest[1], "proof": _steps(path)}


def _hashed(events: Sequence[Recorded]) -> list[Hashed]:
    return [(event.position, leaf_of(event)) for event in events]


def _proven(event: Recorded, number: int, path: Sequence[bytes]) -> dict[str, Any]:
    return {
        "position": event.position,
        "version": event.version,
        "type": event.type,
        "stream": event.stream,
        "state": b64encode(event.stored).decode(),
        "leaf": number,
        "proof": _steps(path),
    }


def _steps(path: Sequence[bytes]) -> list[str]:
    return [b64encode(step).decode() for step in path]

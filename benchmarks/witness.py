"""The witness's Merkle log against plain SHA-256 of the same bytes, and how fast a proof is made and checked.

Both work on the same 740-byte events in memory. Ours frames them, hashes leaves and nodes, and keeps all flushed in
batches of a thousand, in a file and in PostgreSQL; plain SHA-256 only hashes. Rounds alternate, and the medians are compared.
"""

import asyncio
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec
import uvloop

from benchmarks._figures import Figure, at_least, at_most, skipped
from chassis.clock import SystemClock
from chassis.desk.postgres import PostgresDesk
from chassis.event import Actor
from chassis.leaves.port import Leaves
from chassis.leaves.sqlite import SqliteLeaves
from chassis.leaves.tree import computed
from chassis.merkle import includes, inclusion_proof, root
from chassis.proof import leaf_bytes
from chassis.store.port import Recorded
from chassis.witness import WitnessSettings, leaf_of
from tests.engines import postgres

EVENTS = 50_000
ROUNDS = 5
PROOFS = 500
STATE = b'{"data":"' + b"x" * 729 + b'"}'
BATCH = WitnessSettings().batch_events
# The rebuild's pace: the witness must keep up with anything that a store or a reader can do.
TARGET_PER_SECOND = 40_000
PROOF_MS = 5.0


def run() -> Iterable[Figure]:
    yield from uvloop.run(_in_files())
    yield from on_postgres()


async def _in_files() -> list[Figure]:
    events = [_event(position) for position in range(1, EVENTS + 1)]
    with TemporaryDirectory() as name:
        rounds = [SqliteLeaves(Path(name) / f"{number}.db", "entente/bench/1") for number in range(ROUNDS)]
        figures = [await _leaves("witness.leaves", rounds, events)]
        return [*figures, await _proofs("witness.proof_made_and_checked", rounds[-1], events)]


def on_postgres(missing: Callable[[], str | None] = postgres.missing) -> Iterable[Figure]:
    """The same in PostgreSQL; skipped where it is not installed."""
    if reason := missing():
        yield skipped("witness.postgres", reason)
        return
    with postgres.running_postgres() as dsn:
        yield from uvloop.run(_in_postgres(dsn))


async def _in_postgres(dsn: str) -> list[Figure]:
    events = [_event(position) for position in range(1, EVENTS + 1)]
    desk = PostgresDesk(dsn, schema="bench", clock=SystemClock())
    await desk.migrate()
    await desk.open()
    rounds = [desk.leaves(epoch) for epoch in range(1, ROUNDS + 1)]
    figures = [await _leaves("witness.postgres.leaves", rounds, events)]
    figures += [await _proofs("witness.postgres.proof_made_and_checked", rounds[-1], events)]
    await desk.close()
    return figures


async def _leaves(name: str, rounds: Sequence[Leaves], events: list[Recorded]) -> Figure:
    """Each round keeps all events in a tree of its own."""
    plain, kept = [], []
    for leaves in rounds:
        plain.append(EVENTS / _seconds(partial(_hash, events)))
        started = perf_counter()
        await _keep(leaves, events)
        kept.append(EVENTS / (perf_counter() - started))
    peer = ("plain SHA-256 of the same bytes, hashes/s", statistics.median(plain))
    return at_least(name, statistics.median(kept), "leaves/s", TARGET_PER_SECOND, peer)


async def _proofs(name: str, leaves: Leaves, events: list[Recorded]) -> Figure:
    top = await computed(leaves, lambda tree: root(tree, EVENTS))
    started = perf_counter()
    for number in range(0, EVENTS, EVENTS // PROOFS):
        path = await computed(leaves, partial(inclusion_proof, index=number, size=EVENTS))
        assert includes(leaf_of(events[number]), number, EVENTS, path, top)
    return at_most(name, (perf_counter() - started) / PROOFS * 1_000, "ms", PROOF_MS)


def _event(position: int) -> Recorded:
    return Recorded(
        id=f"{position}",
        type="benchmarks.Noted.v1",
        stream=f"acme:note-{position // 5}",
        version=position % 5 + 1,
        position=position,
        recorded_at=datetime(2026, 3, 3, tzinfo=UTC),
        tenant="acme",
        actor=Actor(kind="vendor", subject="anna"),
        command_id=None,
        causation_id=None,
        correlation_id=None,
        traceparent=None,
        evaluator=1,
        data=msgspec.Raw(b"{}"),
        stored=STATE,
    )


def _hash(events: list[Recorded]) -> None:
    for one in events:
        sha256(leaf_bytes(one.position, one.version, one.type, one.stream, one.stored)).digest()


async def _keep(leaves: Leaves, events: list[Recorded]) -> None:
    for start in range(0, EVENTS, BATCH):
        batch = events[start : start + BATCH]
        await leaves.append(await asyncio.to_thread(lambda: [(one.position, leaf_of(one)) for one in batch]))  # noqa: B023


def _seconds(work: Callable[[], None]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started

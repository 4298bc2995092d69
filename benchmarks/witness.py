"""The witness's Merkle log against plain SHA-256 of the same bytes, and how fast a proof is made and checked.

Both work on the same 740-byte events in memory. Ours frames them, hashes leaves and nodes, and keeps all flushed in
batches of a thousand; plain SHA-256 only hashes. Rounds alternate, and the medians are compared.
"""

import statistics
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec

from benchmarks._figures import Figure, at_least, at_most
from chassis.event import Actor
from chassis.merkle import includes, inclusion_proof, root
from chassis.proof import leaf_bytes
from chassis.store.port import Recorded
from chassis.witness import Leaves, WitnessSettings, leaf_of

EVENTS = 50_000
ROUNDS = 5
PROOFS = 500
STATE = b'{"data":"' + b"x" * 729 + b'"}'
BATCH = WitnessSettings().batch_events
# The rebuild's pace: the witness must keep up with anything that a store or a reader can do.
TARGET_PER_SECOND = 40_000
PROOF_MS = 5.0


def run() -> Iterable[Figure]:
    events = [_event(position) for position in range(1, EVENTS + 1)]
    plain, kept = [], []
    with TemporaryDirectory() as name:
        rounds = [Leaves(Path(name) / f"{number}.db", "entente/bench/1") for number in range(ROUNDS)]
        for leaves in rounds:
            plain.append(EVENTS / _seconds(partial(_hash, events)))
            kept.append(EVENTS / _seconds(partial(_keep, leaves, events)))
        rate, against = statistics.median(kept), statistics.median(plain)
        peer = ("plain SHA-256 of the same bytes, hashes/s", against)
        yield at_least("witness.leaves", rate, "leaves/s", TARGET_PER_SECOND, peer)
        yield _proofs(rounds[-1], events)


def _proofs(leaves: Leaves, events: list[Recorded]) -> Figure:
    top = root(leaves.subtree, EVENTS)
    numbers = [place * (EVENTS // PROOFS) for place in range(PROOFS)]

    def prove() -> None:
        for number in numbers:
            path = inclusion_proof(leaves.subtree, number, EVENTS)
            assert includes(leaf_of(events[number]), number, EVENTS, path, top)

    milliseconds = _seconds(prove) / PROOFS * 1_000
    return at_most("witness.proof_made_and_checked", milliseconds, "ms", PROOF_MS)


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


def _keep(leaves: Leaves, events: list[Recorded]) -> None:
    for start in range(0, EVENTS, BATCH):
        leaves.append([(one.position, leaf_of(one)) for one in events[start : start + BATCH]])


def _seconds(work: Callable[[], None]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started

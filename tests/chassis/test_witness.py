"""The witness: leaves in position order, signed checkpoints, and proofs that hold without it."""

import asyncio
import base64
import copy
import json
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import merkle, proof
from chassis.clock import FixedClock
from chassis.decider import NotFound
from chassis.leaves.sqlite import SqliteLeaves
from chassis.leaves.tree import computed
from chassis.note import BadNote, Checkpoint, NoteSigner, NoteVerifier
from chassis.witness import Witness, WitnessSettings, leaf_of
from tests.chassis.trust import AT, MoveAll, Work, beside, witnessed

SEED = bytes(range(32))

# The example of C2SP's signed-note page.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_published_note_is_opened_by_the_published_key() -> None:
    assert PETER_NOTE.rpartition("\n\n")[0] + "\n" == NoteVerifier.of(PETER_KEY).open(PETER_NOTE)
    assert NoteVerifier.of(PETER_KEY).vkey == PETER_KEY


def test_a_changed_note_is_not_opened() -> None:
    for place in range(0, len(PETER_NOTE) - 4, 3):
        other = "A" if PETER_NOTE[place] != "A" else "B"
        with pytest.raises(BadNote):
            NoteVerifier.of(PETER_KEY).open(PETER_NOTE[:place] + other + PETER_NOTE[place + 1 :])


def test_signatures_of_others_are_passed_over() -> None:
    ours, theirs = NoteSigner("entente/x/1", SEED), NoteSigner("elsewhere", SEED[::-1])
    both = ours.sign("text\n") + theirs.sign("text\n").rpartition("\n\n")[2]
    assert "text\n" == ours.verifier.open(both) == theirs.verifier.open(both)


def test_a_checkpoint_has_the_published_form() -> None:
    note = NoteSigner("entente/x/1", SEED).sign(Checkpoint("entente/x/1", 3, sha256(b"").digest()).text())
    body, _, signatures = note.partition("\n\n")
    assert body.split("\n") == ["entente/x/1", "3", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
    assert signatures.startswith("\u2014 entente/x/1 ")
    assert signatures.endswith("\n")


@pytest.mark.parametrize("text", ["", "x\n", "x\nthree\nAAAA\n", "x\n03\nAAAA\n", "x\n3\n????\n", "x\n-3\nAAA\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.of(text)


@pytest.mark.parametrize(
    "vkey", ["a+00000000+AQ==", PETER_KEY.replace("c74f", "c74e"), PETER_KEY.replace("Peter", "Meter")]
)
def test_a_key_whose_parts_do_not_belong_together_is_refused(vkey: str) -> None:
    with pytest.raises(ValueError, match="verifier key"):
        NoteVerifier.of(vkey)


def test_leaf_bytes_are_framed_as_documented() -> None:
    body = proof.leaf_bytes(7, 3, "t.É.v1", "acme:box-a", b"{}")
    assert struct.pack(">QQIIQ", 7, 3, 7, 10, 2) + "t.É.v1acme:box-a{}".encode() == body


fields = st.tuples(
    st.integers(0, 9), st.integers(0, 9), st.text("ab", max_size=3), st.text("ab", max_size=3), st.binary(max_size=3)
)


@given(one=fields, other=fields)
def test_different_events_never_share_their_bytes(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (one == other) == (proof.leaf_bytes(*one) == proof.leaf_bytes(*other))


async def test_leaves_follow_the_store_in_position_order(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (store, witness):
        await Work(store).fill(1, 2, 3)
        assert await witness.catch_up() == 6
        assert await witness.catch_up() == 0
        events = await store.feed(0, 100)
        kept = await witness.leaves.after(0, 100)
        assert [(n, e.position, leaf_of(e)) for n, e in enumerate(events)] == [
            (k.number, k.position, k.hash) for k in kept
        ]


async def test_a_checkpoint_is_signed_only_for_news(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (store, witness):
        assert await witness.checkpoint() is None
        work = Work(store)
        await work.fill(1)
        first = await witness.checkpoint()
        assert first == await witness.checkpoint()
        await work.fill(1)
        second = await witness.checkpoint()
        assert [first, second] == await witness.leaves.checkpoints()
        checkpoint = Checkpoint.of((await witness.signer()).verifier.open(second))
        leaves = [leaf_of(event) for event in await store.feed(0, 100)]
        assert Checkpoint("entente/trust/1", 4, merkle.root(merkle.over(leaves), 4)) == checkpoint


async def test_batches_restarts_and_a_second_witness_lead_to_the_same_root(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (store, witness):
        small = Witness(store, witness.leaves, witness.signer, FixedClock(AT), WitnessSettings(batch_events=2))
        async with beside(store, tmp_path) as other:
            work = Work(store)
            for count in range(5):
                await work.fill(1, 1, box_id=f"b-{count}")
                await asyncio.gather(small.catch_up(), other.catch_up(), witness.catch_up())
            leaves = [leaf_of(event) for event in await store.feed(0, 100)]
            assert 20 == len(leaves) == (await witness.leaves.end()).size
            kept = await computed(other.leaves, lambda tree: merkle.root(tree, 20))
            assert merkle.root(merkle.over(leaves), 20) == kept


async def test_it_follows_by_itself(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (store, other):
        settings = WitnessSettings(checkpoint_seconds=0.01, follow_seconds=0.001)
        witness = Witness(store, other.leaves, other.signer, FixedClock(AT), settings)
        running = asyncio.create_task(witness.run())
        await Work(store).fill(1, 2)
        async with asyncio.timeout(30):
            while (await witness.leaves.latest() or (0, ""))[0] < 4:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_stands_in_the_store_at_an_orderly_stop_is_witnessed(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (store, witness):
        running = asyncio.create_task(witness.run())
        await asyncio.sleep(0)
        await Work(store).fill(1, 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        latest = await witness.leaves.latest()
        assert latest is not None
        assert latest[0] == 4


def test_the_leaves_of_another_origin_are_not_mixed_in(tmp_path: Path) -> None:
    SqliteLeaves(tmp_path / "leaves.db", "entente/trust/1").close()
    with pytest.raises(ValueError, match="belong to entente/trust/1"):
        SqliteLeaves(tmp_path / "leaves.db", "entente/trust/2")


async def proof_of_a_box(directory: Path):
    async with witnessed(directory) as (store, witness):
        work = Work(store)
        await work.fill(1, 2)
        await work.fill(3, box_id="b")
        await work.do(MoveAll(source_id="b", target_id="a"))
        return json.loads(json.dumps(await witness.proof("acme:box-a")))


async def test_a_proof_holds_offline(tmp_path: Path) -> None:
    found = await proof_of_a_box(tmp_path)
    verdict = proof.check(found, found["key"])
    assert verdict.wrong == ()
    assert [event["version"] for event in found["events"]] == [1, 2, 3]
    state = json.loads(base64.b64decode(found["events"][2]["state"]))
    assert state["data"] == {"box_id": "a", "count": 3}


async def test_the_command_line_checks_a_proof(tmp_path: Path) -> None:
    found = await proof_of_a_box(tmp_path)
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(found))
    status, lines = proof.verify_proof([str(file), "--key", found["key"]])
    assert (status, lines[-1]) == (0, "holds")
    found["events"][1]["version"] = 9
    file.write_text(json.dumps(found))
    status, lines = proof.verify_proof([str(file)])
    assert (status, lines[-1]) == (1, "does not hold")
    assert proof.verify_proof([])[0] == 2


async def test_whatever_is_changed_in_a_proof_it_does_not_hold(tmp_path: Path) -> None:
    found = await proof_of_a_box(tmp_path)
    changes = [
        lambda p: p["events"][0].update(state=base64.b64encode(b"{}").decode()),
        lambda p: p["events"][0].update(type="trust_test.Other.v1"),
        lambda p: p["events"][0].update(position=2),
        lambda p: p["events"][0].update(leaf=1),
        lambda p: p["events"][0].update(stream="acme:box-c"),
        lambda p: p["events"][0]["proof"].reverse(),
        lambda p: p["events"][0]["proof"].pop(),
        lambda p: p["events"].pop(0),
        lambda p: p["events"].reverse(),
        lambda p: p.update(stream="acme:box-c"),
        lambda p: p.update(checkpoint=p["checkpoint"].replace("/1\n", "/2\n", 1)),
        lambda p: p.update(key=NoteSigner("entente/trust/1", SEED).verifier.vkey),
        lambda p: p.clear(),
        lambda p: p["events"][0].update(proof=["?"]),
        lambda p: p["events"][0].update(version=-1),
    ]
    for apply in changes:
        changed = copy.deepcopy(found)
        apply(changed)
        assert not proof.check(changed).holds


async def test_a_held_checkpoint_is_shown_to_be_the_beginning_of_a_later_one(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (store, witness):
        work = Work(store)
        await work.fill(1, 1, 1)
        held = await witness.checkpoint()
        await work.fill(1, 1)
        found = await witness.consistency(6)
        key = (await witness.signer()).verifier.vkey
        assert proof.check_consistency(found, held, key).holds
        other = (await witness.signer()).sign(Checkpoint("entente/trust/1", 6, sha256(b"other").digest()).text())
        assert not proof.check_consistency(found, other, key).holds
        for size in (0, 11, -1):
            with pytest.raises(NotFound):
                await witness.consistency(size)


async def test_what_is_not_there_has_no_proof(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (store, witness):
        with pytest.raises(NotFound):
            await witness.proof("acme:box-a")
        await Work(store).fill(1, 1)
        with pytest.raises(NotFound):
            await witness.proof("acme:box-z")
        short = Witness(store, witness.leaves, witness.signer, FixedClock(AT), WitnessSettings(proof_events_max=1))
        with pytest.raises(NotFound, match="proof-too-long"):
            await short.proof("acme:box-a")

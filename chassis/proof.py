"""Checks a proof offline: a signed checkpoint covers every event of a stream; one checkpoint only adds to another.

What is checked needs no service and no database: the JSON that `GET /proofs/{stream}` answered, and the witness's key,
which the holder should have got earlier and elsewhere. The bytes of a leaf, over which RFC 9162 hashing runs, are

    position, version          8 bytes each, big-endian
    len(type), len(stream)     4 bytes each, big-endian
    len(state)                 8 bytes, big-endian
    type, stream, state        UTF-8, UTF-8, the stored bytes untouched

so that no two different events share their bytes.
"""

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from chassis.merkle import consistent, includes, leaf_hash
from chassis.note import BadNote, Checkpoint, NoteVerifier

HEADER = struct.Struct(">QQIIQ")


def leaf_bytes(position: int, version: int, type_name: str, stream: str, state: bytes) -> bytes:
    """The bytes of one leaf; their layout is in this module's docstring."""
    kind, name = type_name.encode(), stream.encode()
    return HEADER.pack(position, version, len(kind), len(name), len(state)) + kind + name + state


class ProvenEvent(TypedDict):
    """`state` are its stored bytes in base 64, for a partner null with `leaf_hash` in its place."""

    position: int
    version: int
    type: str
    stream: str
    state: str | None
    leaf_hash: NotRequired[str]
    leaf: int
    proof: list[str]


class StreamProof(TypedDict):
    """The events of a stream, the newest signed checkpoint, and for each event the path that leads to its root."""

    stream: str
    key: str
    checkpoint: str
    events: list[ProvenEvent]


@dataclass(frozen=True)
class Verdict:
    """What a proof shows, line by line, and what speaks against it."""

    shown: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.wrong

    def lines(self) -> list[str]:
        """The verdict for people, its outcome last."""
        return [*self.shown, *(f"WRONG: {what}" for what in self.wrong), "holds" if self.holds else "does not hold"]


def check(proof: dict[str, Any], key: str | None = None) -> Verdict:
    """Whether the checkpoint in the proof is signed, and covers each of its events as they stand there.

    Without `key` the one in the proof is believed, which shows only that the proof fits together.
    """
    try:
        checkpoint = _checkpoint(proof, key)
        wrong = [what for event in proof["events"] for what in _check_event(event, checkpoint)]
        wrong += _check_versions(proof)
        return Verdict(tuple(_shown(proof, checkpoint, key)), tuple(wrong))
    except BadNote as error:
        return Verdict((), (str(error),))
    except (KeyError, TypeError, ValueError, struct.error) as error:
        return Verdict((), (f"this is not a proof: {error!r}",))


def _checkpoint(proof: dict[str, Any], key: str | None) -> Checkpoint:
    return Checkpoint.of(NoteVerifier.of(key or proof["key"]).open(proof["checkpoint"]))


def unsigned(proof: dict[str, Any], key: str) -> list[str]:
    """What speaks against the checkpoint of a proof being signed with the key; nothing where it is."""
    try:
        _checkpoint(proof, key)
    except (KeyError, TypeError, ValueError) as error:
        return [f"the checkpoint: {error}"]
    return []


def without_states(proof: dict[str, Any]) -> dict[str, Any]:
    """The same proof with each event's leaf hash in place of its bytes: it shows that they stand, not what they say."""
    return {
        **proof,
        "events": [{**event, "state": None, "leaf_hash": _text(_leaf_hash(event))} for event in proof["events"]],
    }


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _leaf_hash(event: dict[str, Any]) -> bytes:
    if event["state"] is None:
        return _bytes(event["leaf_hash"])
    return leaf_hash(
        leaf_bytes(event["position"], event["version"], event["type"], event["stream"], _bytes(event["state"]))
    )


def _check_event(event: dict[str, Any], checkpoint: Checkpoint) -> list[str]:
    if includes(
        _leaf_hash(event), event["leaf"], checkpoint.size, [_bytes(step) for step in event["proof"]], checkpoint.root
    ):
        return []
    return [f"position {event['position']} is not in the tree of {checkpoint.size} leaves as it stands here"]


def _check_versions(proof: dict[str, Any]) -> list[str]:
    """A stream has every version from 1 on, in the order of positions; a missing one may have been kept back.

    A later segment (`…~2`) goes on from a version that the one before it ends with.
    """
    events = proof["events"]
    wrong = [f"position {one['position']} is of {one['stream']}" for one in events if one["stream"] != proof["stream"]]
    first = events[0]["version"] if events and "~" in proof["stream"] else 1
    if [one["version"] for one in events] != list(range(first, first + len(events))):
        wrong.append("versions are missing or out of order")
    positions = [one["position"] for one in events]
    if positions != sorted(set(positions)):
        wrong.append("positions are out of order")
    return wrong


def _shown(proof: dict[str, Any], checkpoint: Checkpoint, key: str | None) -> list[str]:
    source = "the given key" if key else "the key in the proof itself: give the one you hold with --key"
    lines = [f"checkpoint of {checkpoint.origin}: {checkpoint.size} leaves, signature checked with {source}"]
    return lines + [
        f"{proof['stream']} version {one['version']} at {one['position']}: {one['type']}" for one in proof["events"]
    ]


def check_consistency(proof: dict[str, Any], held: str, key: str) -> Verdict:
    """Whether the checkpoint in the proof only adds to the one that was held."""
    try:
        old, new = Checkpoint.of(NoteVerifier.of(key).open(held)), _checkpoint(proof, key)
        path = [_bytes(step) for step in proof["proof"]]
    except (KeyError, TypeError, ValueError) as error:
        return Verdict((), (f"this is not a proof: {error}",))
    if old.origin == new.origin and consistent(old.size, new.size, path, old.root, new.root):
        return Verdict((f"{new.size} leaves begin with the {old.size} that were held",), ())
    return Verdict((), (f"the {new.size} leaves do not begin with the {old.size} that were held",))


def verify_proof(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """`verify-proof FILE [--key KEY]`: the exit status and the lines to print."""
    match list(arguments):
        case [file]:
            verdict = check(_read(file))
        case [file, "--key", key]:
            verdict = check(_read(file), key)
        case _:
            return 2, ["usage: verify-proof FILE [--key KEY]"]
    return (0 if verdict.holds else 1), verdict.lines()


def _read(file: str) -> dict[str, Any]:
    found = json.loads(Path(file).read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)

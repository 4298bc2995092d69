"""An independent check of a downloaded statement: standard library only, another way of reckoning than the service's.

It takes the text of a statement's proof and answers what does not hold, a sentence each, naming the line. Whoever holds
a file, this module and those that begin with its name needs nothing else: amounts are recomputed from the exported events
and the plans' own words.
"""

import base64
import hashlib
import json
import struct
from fractions import Fraction
from typing import Any

from services.incentives.domain.verifying_balances import in_balance, is_recomputed, tells_worth
from services.incentives.domain.verifying_books import BOOKED, in_books, is_booked
from services.incentives.domain.verifying_claims import OF_CLAIMS, PUBLISHED, claims
from services.incentives.domain.verifying_lines import (
    CALCULATED,
    REVERSED_EVENT,
    Found,
    Plans,
    calculated,
    lives,
    reversal,
)
from services.incentives.domain.verifying_numbers import number, sha256, text_of
from services.incentives.domain.verifying_payments import APPROVED, TAXED, approved, taxed, withholdings
from services.incentives.domain.verifying_windows import TRUED_UP, releases, trued_up, windows

FORMAT, WITHOUT_BALANCES = "entente-statement-6", "entente-statement-5"
WITHOUT_RATES, OF_LIVES_ALONE = "entente-statement-4", "entente-statement-3"
OF_LINES, WITHOUT_LOG = "entente-statement-2", "entente-statement-1"
"""The newest format; the fifth, which has not all that moves a balance in the books; the fourth, which says not by which
rates anything was booked; the third, nor what claims and withholding follow from; the second, which has not all that became
of a line; the first, without the events' places in the log."""
WITHOUT_LIVES = (OF_LINES, WITHOUT_LOG)
UNREADABLE = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError, struct.error)
"""What comes of a file in which something is missing, or is of another kind than it should be."""


def verify(text: str) -> Found:
    """Everything that does not hold in a statement's proof; nothing for a sound one."""
    try:
        proof = json.loads(text)
        if proof["format"] not in (FORMAT, WITHOUT_BALANCES, WITHOUT_RATES, OF_LIVES_ALONE, *WITHOUT_LIVES):
            return [f"this is not a proof of the format {FORMAT}"]
        events = {event["id"]: event for event in proof["events"]}
        checks = (_events(proof), _lines(proof, events), _plans(proof), earnings(proof))
        logged = _log(proof) if proof["format"] != WITHOUT_LOG else []
        return [*_statement(proof["statement"]), *(text for found in checks for text in found), *logged]
    except UNREADABLE as missing:
        return [f"the file cannot be read: {type(missing).__name__} {missing}"]


def kept_back(text: str) -> int:
    """How many of the events of a sound proof are told by their hashes alone: parts of other partners' sales."""
    return sum(event["data"] is None for event in json.loads(text)["events"])


def as_recorded(text: str) -> list[str]:
    """What of a sound proof was not recomputed, a sentence each.

    Older formats do not say what it follows from; nor does a statement that does not say what it opens with in the books,
    or one of what came from another account.
    """
    proof = json.loads(text)
    told = proof["format"] in (FORMAT, WITHOUT_BALANCES, WITHOUT_RATES)
    kinds = [event["type"] for event in proof["events"]]
    claimed, paid = (0, 0) if told else (sum(kind in OF_CLAIMS for kind in kinds), kinds.count(APPROVED))
    booked = sum(is_booked(one["data"]) and not _is_recomputed(proof, one) for one in proof["events"] if one["data"])
    counts = {
        "claims: what was approved of them": claimed,
        "payments: what was withheld of them": paid,
        "journals: what they stand for in the books": booked,
    }
    return [f"{count} {text}" for text, count in counts.items() if count]


def _is_recomputed(proof: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether what an event's journal stands for in the books follows from the file."""
    if event["type"] in BOOKED:
        return proof["format"] in (FORMAT, WITHOUT_BALANCES)
    tells = proof["format"] == FORMAT and tells_worth(proof["statement"], proof["events"])
    return tells and is_recomputed(proof["statement"], event)


# The statement itself


def _statement(statement: dict[str, Any]) -> Found:
    found = []
    lines = sum((number(line["amount"]["amount"]) for line in statement["lines"]), Fraction(0))
    closing = number(statement["opening"]["amount"]) + lines
    if closing != number(statement["closing"]["amount"]):
        found.append(
            f"opening and lines make {text_of(closing)}, the statement closes with {statement['closing']['amount']}"
        )
    content = {name: value for name, value in statement.items() if name != "sha256"}
    if sha256(content) != statement["sha256"]:
        found.append("the statement's content does not have the SHA-256 that it names")
    return found


def _lines(proof: dict[str, Any], events: dict[str, Any]) -> Found:
    """Each line is what its event's journal adds to what is payable to the payee."""
    found = []
    for line in proof["statement"]["lines"]:
        event = events.get(line["event_id"])
        named = f"line {line['event_id']} ({line['kind']} {line['amount']['amount']})"
        if event is None:
            found.append(f"{named}: its event is not in the file")
        elif event["data"] is not None:
            found += [f"{named}: {text}" for text in _journal(line, event["data"]["journal"]["entries"])]
    return found


def _journal(line: dict[str, Any], entries: list[dict[str, Any]]) -> Found:
    found = []
    if sum((number(entry["amount"]["amount"]) for entry in entries), Fraction(0)):
        found.append("the event's journal does not sum to nothing")
    payable = -sum((number(e["amount"]["amount"]) for e in entries if e["account"] == "payable"), Fraction(0))
    if payable != number(line["amount"]["amount"]):
        found.append(f"the event's journal moves {text_of(payable)}")
    return found


def _events(proof: dict[str, Any]) -> Found:
    """Each event's body has the SHA-256 of the bytes that were stored."""
    return [
        f"event {event['id']} ({event['type']}) does not have its SHA-256"
        for event in proof["events"]
        if event["data"] is not None and hashlib.sha256(_compact(event["data"]).encode()).hexdigest() != event["sha256"]
    ]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _plans(proof: dict[str, Any]) -> Found:
    return [
        f"plan {plan['rulebook_id']} version {plan['version']} does not have its SHA-256"
        for plan in proof["plans"]
        if sha256(plan["body"]) != plan["sha256"]
    ]


# The log: RFC 9162 hashing over the stored bytes, framed as the documentation of proofs says

FRAME = struct.Struct(">QQIIQ")
Node = bytes


def _log(proof: dict[str, Any]) -> Found:
    """Every event, the statement's own too, stands in the log whose root the checkpoint names, and says what it says here."""
    issued, (_, size, root, *_rest) = proof["issued"], proof["checkpoint"].split("\n")
    found = [text for event in (issued, *proof["events"]) for text in _logged(event, int(size), base64.b64decode(root))]
    if issued["data"] != proof["statement"]:
        found.append("the statement is not what its own event says")
    return found


def _logged(event: dict[str, Any], size: int, root: Node) -> Found:
    path = [base64.b64decode(step) for step in event["proof"]]
    named, found = f"event {event['id']} ({event['type']})", []
    if _root(_leaf(event), event["leaf"], size, path) != root:
        found.append(f"{named} is not in the log that the checkpoint covers")
    if event["state"] is not None and json.loads(base64.b64decode(event["state"]))["data"] != event["data"]:
        found.append(f"{named} does not say what the log has")
    return found


def _leaf(event: dict[str, Any]) -> Node:
    """The hash of an event's stored bytes; what is kept back is told by that alone."""
    if event["state"] is None:
        return base64.b64decode(event["leaf_hash"])
    state, kind, stream = base64.b64decode(event["state"]), event["type"].encode(), event["stream"].encode()
    head = FRAME.pack(event["position"], event["version"], len(kind), len(stream), len(state))
    return hashlib.sha256(b"\0" + head + kind + stream + state).digest()


def _root(leaf: Node, place: int, size: int, path: list[Node]) -> Node | None:
    """The root of a tree of so many leaves, from one of them and its path: RFC 9162, 2.1.3.1, backwards."""
    if size == 1:
        return leaf if (place, path) == (0, []) else None
    if not path:
        return None
    left, (*below, sibling) = 1 << (size - 1).bit_length() - 1, path
    under = _root(leaf, place, left, below) if place < left else _root(leaf, place - left, size - left, below)
    if under is None:
        return None
    pair = under + sibling if place < left else sibling + under
    return hashlib.sha256(b"\1" + pair).digest()


# What was earned and what was taken back


def earnings(proof: dict[str, Any]) -> Found:
    """Every line and window of the file: since the third format from its beginning, before event by event.

    Since the fourth what claims and withholding follow from is there too, since the fifth the rates of the books, and since
    the sixth what moves a balance in them.
    """
    plans = {(plan["rulebook_id"], plan["version"]): plan for plan in proof["plans"]}
    events = [event for event in proof["events"] if event["data"] is not None]
    found = [f"{one['type']} {one['id']}: {text}" for one in events for text in _alone(proof, one, plans)]
    if proof["format"] in WITHOUT_LIVES:
        return [*found, *releases(events)]
    found += [*lives(events, proof["kept_back"]), *windows(events, plans)]
    if proof["format"] == OF_LIVES_ALONE:
        return found
    found += [*_rules(events), *claims(events), *withholdings(events)]
    if proof["format"] == WITHOUT_RATES:
        return found
    found += in_books(events, proof["kept_back"])
    return found if proof["format"] == WITHOUT_BALANCES else [*found, *in_balance(proof.get("statement"), events)]


def _rules(events: list[dict[str, Any]]) -> Found:
    return [
        f"{one['type']} {one['id']}: its rules do not have their SHA-256"
        for one in events
        if one["type"] == PUBLISHED and sha256(one["data"]["body"]) != one["data"]["sha256"]
    ]


def _alone(proof: dict[str, Any], event: dict[str, Any], plans: Plans) -> Found:
    """What one event says of itself."""
    check = CHECKS.get(event["type"])
    if event["type"] in OF_LIVES and proof["format"] not in WITHOUT_LIVES:
        return []
    return check(event["data"], plans) if check else []


CHECKS = {
    CALCULATED: calculated,
    REVERSED_EVENT: reversal,
    TRUED_UP: trued_up,
    TAXED: taxed,
    APPROVED: approved,
}
OF_LIVES = (REVERSED_EVENT, TRUED_UP)
"""What is checked with all that was before it, where that is in the file."""

"""A partner recomputes its statement alone: every digit that is altered is found, by another way of reckoning."""

import ast
import asyncio
import base64
import hashlib
import json
import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from chassis.note import NoteSigner
from contracts.values import money
from services.incentives.domain import verifying
from services.incentives.domain.verifying import verify
from tests.incentives.facts import plan
from tests.incentives.test_service import FINANCE, P1, P2, activated, credited, incentives, refunded, won

__all__ = ["incentives"]
GOLD = {"field": "role", "is_one_of": ["source"]}
BODY = plan(
    {"up_to": "500", "percent": "10.5"},
    {"percent": "20.25"},
    hold_days=0,
    modifiers=[{"modifier_id": "m", "when": GOLD, "add_points": "1.5"}],
    line_cap="120",
)


@pytest.fixture
async def proof(incentives):
    """Two sales under a plan with modifier and cap, a refund, and the month's statement."""
    await incentives.publish_plan(BODY)
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 21, tzinfo=UTC))
    for name, amount in (("o1", "777.77"), ("o2", "499.99")):
        await incentives.hear(won(name, amount))
        await incentives.hear(credited(("p1", "66.67"), opportunity_id=name))
    await incentives.hear(refunded("x", "123.45"))
    incentives.clock.set(datetime(2026, 4, 2, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-03", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", body)).json()
    path = f"/statements/{statement['statement_id']}/proof"
    assert await incentives.get(P2, path) == 404
    return await incentives.get(P1, path)


async def test_a_statement_follows_from_its_events_to_the_cent(proof):
    assert verify(json.dumps(proof)) == []
    assert {event["type"] for event in proof["events"]} == {
        "incentives.PayoutCalculated.v1",
        "incentives.PayoutReversed.v1",
    }


def numbers(value, path=()):
    """Where in a document a decimal number stands as text."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from numbers(inner, (*path, place))
    elif isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value):
        yield path


def put(document, path, value):
    """The document with something else in one place."""
    changed = deepcopy(document)
    inner = reduce(getitem, path[:-1], changed)
    inner[path[-1]] = value
    return json.dumps(changed)


def altered(document, path):
    text = reduce(getitem, path, document)
    return put(document, path, text[:-1] + str((int(text[-1]) + 1) % 10))


async def test_done_when_8_one_altered_digit_of_any_amount_is_found_and_named(proof):
    places = list(numbers(proof))
    assert len(places) > 40
    assert [] == [path for path in places if not verify(altered(proof, path))]
    line = proof["statement"]["lines"][0]
    found = verify(altered(proof, ("statement", "lines", 0, "amount", "amount")))
    assert any(line["event_id"] in finding for finding in found)


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_what_was_recorded_wrongly_is_found_even_where_every_hash_was_made_anew(proof):
    """The reckoning itself is checked, not only that nothing was altered since."""
    for path in (("derivation", "share_percent"), ("derivation", "rounded_after", "amount"), ("amount", "amount")):
        wrong = json.loads(altered(proof, ("events", 0, "data", *path)))
        body = json.dumps(wrong["events"][0]["data"], separators=(",", ":"), ensure_ascii=False)
        wrong["events"][0]["sha256"] = hashlib.sha256(body.encode()).hexdigest()
        [finding, *_] = verify(json.dumps(wrong))
        assert wrong["events"][0]["id"] in finding


async def test_both_exchanges_of_a_line_are_recomputed_from_the_rates_as_they_were_recorded(incentives):
    """A sale in dollars under a plan in euros that pays in dollars; what is recorded is how many dollars a euro is."""
    await incentives.publish_plan(plan(hold_days=0, payout_currency="USD"))
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 21, tzinfo=UTC))
    rates = {"source": "ecb", "on": "2026-03-16", "pairs": {"EUR/USD": "1.2"}}
    assert (await incentives.post(FINANCE, "/rates", rates)).status_code == 201
    await incentives.hear(replace(won(), amount=money("1000.00", "USD")))
    await incentives.hear(credited(("p1", "100.00")))
    incentives.clock.set(datetime(2026, 4, 2, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-03", "currency": "USD"}
    statement = (await incentives.post(FINANCE, "/statements", body)).json()
    document = await incentives.get(P1, f"/statements/{statement['statement_id']}/proof")
    assert statement["closing"] == {"amount": "100.00", "currency": "USD"}
    assert verify(json.dumps(document)) == []
    data = document["events"][0]["data"]
    assert data["derivation"]["exchange"]["result"] == {"amount": "833.33", "currency": "EUR"}
    assert data["exchange"]["result"] == {"amount": "100.00", "currency": "USD"}
    wrong = deepcopy(document)
    wrong["events"][0]["data"]["exchange"]["rate"]["rate"] = "1.3"
    assert any("exchange of its payout does not follow" in finding for finding in verify(json.dumps(wrong)))
    wrong = deepcopy(document)
    wrong["events"][0]["data"]["derivation"]["exchange"]["rate"]["per"] = "1.3"
    assert any("exchange does not follow from its rate" in finding for finding in verify(json.dumps(wrong)))


async def test_what_was_recorded_otherwise_is_found_though_statement_events_and_hashes_fit_each_other(proof):
    """Whoever rewrites everything in the file still has the root against it that the witness signed."""
    forged = deepcopy(proof)
    for event in (forged["issued"], *forged["events"]):
        state = json.loads(base64.b64decode(event["state"]))
        state["actor"] = {**state["actor"], "subject": "somebody else"}
        event["state"] = base64.b64encode(json.dumps(state).encode()).decode()
    found = verify(json.dumps(forged))
    assert len(found) == 1 + len(proof["events"])
    assert all(text.endswith("is not in the log that the checkpoint covers") for text in found)


async def test_an_event_of_another_place_in_the_log_or_from_no_log_is_found(proof):
    for changed in ({"leaf": proof["events"][0]["leaf"] + 1}, {"proof": []}, {"proof": ["AAAA"] * 70}, {"version": 9}):
        moved = deepcopy(proof)
        moved["events"][0] |= changed
        [finding] = verify(json.dumps(moved))
        assert finding.endswith("is not in the log that the checkpoint covers")


async def test_a_proof_of_an_earlier_format_is_checked_as_it_was(proof):
    old = {**proof, "format": "entente-statement-1"}
    assert verify(json.dumps({name: old[name] for name in ("format", "statement", "events", "plans")})) == []
    second = {name: value for name, value in proof.items() if name != "kept_back"} | {"format": "entente-statement-2"}
    assert verify(json.dumps(second)) == []


async def test_the_command_and_the_route_say_the_same(proof, incentives, tmp_path):
    file = tmp_path / "statement.json"
    wrong = tmp_path / "wrong.json"
    file.write_text(json.dumps(proof))
    wrong.write_text(altered(proof, ("statement", "closing", "amount")))
    command = [sys.executable, "-m", "services.incentives", "verify-statement"]
    sound = await asyncio.to_thread(run, [*command, str(file)])
    follows = "the statement follows from its events, to the cent\n"
    assert (sound.returncode, sound.stdout.removeprefix(follows)) == (
        0,
        "give the key that you hold with --key to check the log's\n",
    )
    signed = await asyncio.to_thread(run, [*command, str(file), "--key", proof["key"]])
    assert (signed.returncode, signed.stdout) == (0, f"{follows}its log is the one that this key signed\n")
    another = NoteSigner("entente/incentives/1", bytes(32)).verifier.vkey
    unsigned = await asyncio.to_thread(run, [*command, str(file), "--key", another])
    assert (unsigned.returncode, unsigned.stdout.startswith("the checkpoint: ")) == (1, True)
    bad = await asyncio.to_thread(run, [*command, str(wrong)])
    assert bad.returncode == 1
    assert "the statement closes with" in bad.stdout
    answer = await incentives.post(P1, "/statements/verify", proof)
    assert answer.json() == {"holds": True, "findings": [], "as_recorded": []}


def test_the_verifier_stands_on_the_standard_library_alone():
    own = sorted(Path(verifying.__file__).parent.glob("verifying*.py"))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
        for module in own
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    others = imported - {f"services.incentives.domain.{module.stem}" for module in own}
    assert len(own) > 1
    assert {name.partition(".")[0] for name in others} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, "{}", '{"format": "other"}', '{"format": "entente-statement-1"}']
)
def test_what_is_no_proof_is_said_to_be_none(text):
    assert len(verify(text)) == 1


def places(value, path=()):
    """Every place in a document below its top."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


async def test_what_is_of_another_kind_than_it_should_be_is_a_finding_wherever_it_stands(proof):
    """Whatever stands in a statement or an event; of the rest it is enough that it is read."""
    for path in places(proof):
        for other in (None, 5, "x", [], {}):
            found = verify(put(proof, path, other))
            assert found or path[0] not in {"statement", "events"} or reduce(getitem, path, proof) == other, path

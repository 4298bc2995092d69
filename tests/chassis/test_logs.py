"""What reaches a log, and what never does."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chassis import error_text, logs
from tests.chassis.logged import logged

Lines = Callable[[], list[dict[str, Any]]]
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines logged so far, as JSON; the configuration before it is put back."""
    with logged() as stream:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_line_carries_the_correlation_the_trace_and_the_tenant(lines: Lines) -> None:
    with logs.correlated(correlation_id="c-1", tenant="acme", traceparent=TRACEPARENT):
        logs.logger("registration").info("deal_registered", deal_id="d-1")
    logs.logger("registration").info("idle")
    inside, outside = lines()
    assert {**inside, "timestamp": ""} == {
        "event": "deal_registered",
        "deal_id": "d-1",
        "correlation_id": "c-1",
        "tenant": "acme",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "level": "info",
        "logger": "registration",
        "timestamp": "",
    }
    assert "correlation_id" not in outside


async def test_a_task_keeps_the_correlation_it_was_started_in(lines: Lines) -> None:
    async def work(name: str):
        with logs.correlated(correlation_id=name):
            await asyncio.sleep(0)
            logs.logger("x").info("worked", name=name)

    await asyncio.gather(work("a"), work("b"))
    assert [(line["name"], line["correlation_id"]) for line in lines()] == [("a", "a"), ("b", "b")]


def test_personal_fields_and_bodies_are_dropped_however_deep(lines: Lines) -> None:
    logs.logger("x").warning(
        "odd",
        email="a@b.example",
        body="{}",
        deal={"id": "d-1", "contact": {"n": 1}, "parts": [{"Phone": "1", "kept": 2}]},
    )
    line = lines()[0]
    assert line["deal"] == {"id": "d-1", "parts": [{"kept": 2}]}
    assert not {"email", "body"} & set(line)


def test_an_endless_value_is_cut(lines: Lines) -> None:
    logs.logger("x").info("long", sql="x" * 5_000)
    assert len(lines()[0]["sql"]) == 2_001


def test_a_library_writes_in_the_same_form(lines: Lines) -> None:
    logging.getLogger("aiokafka").warning("broker %s is away", "b-1")
    line = lines()[0]
    assert (line["event"], line["level"], line["logger"]) == ("broker b-1 is away", "warning", "aiokafka")


def test_what_the_client_of_a_broker_says_again_and_again_is_written_seldom(lines: Lines) -> None:
    now = 100.0
    seldom = logs.Seldom("aiokafka", lambda: now)

    def said(logger: str, message: str, *values: object) -> str | None:
        record = logging.LogRecord(logger, logging.ERROR, "", 0, message, values, None)
        return record.getMessage() if seldom.filter(record) else None

    away, unread = "Unable connect to node with id %s", "Unable to read from %s"
    assert said("aiokafka.conn", away, 1) == "Unable connect to node with id 1"
    assert [said("aiokafka.conn", away, node) for node in (1, 2)] == [None, None]
    assert said("aiokafka.conn", unread, 1) == "Unable to read from 1"
    assert [said("services.gateway", away, 1) for _ in range(2)] == ["Unable connect to node with id 1"] * 2
    now += logs.REPEATED_SECONDS
    again = "Unable connect to node with id 1 (said 2 times more since it was written here)"
    assert [said("aiokafka.conn", away, 1) for _ in range(2)] == [again, None]

    for number in range(2 * logs.SAYINGS_MAX):
        for _ in range(2):
            said("aiokafka.conn", f"odd {number}")
    assert max(len(seldom._said), len(seldom._left_out)) <= logs.SAYINGS_MAX

    for _ in range(3):
        logging.getLogger("aiokafka.conn").error(away, 1)
    assert len(lines()) == 1


def test_a_request_line_with_its_address_is_hushed(lines: Lines) -> None:
    logging.getLogger("uvicorn.access").info("127.0.0.1 - GET /deals?email=a@b.example")
    assert lines() == []


def test_an_error_brings_its_traceback_without_the_frames_values(lines: Lines) -> None:
    secret = "Annas phone".upper()
    try:
        int(secret[:0])
    except ValueError:
        logs.logger("x").exception("failed")
    line = lines()[0]
    assert "ValueError: invalid literal" in line["exception"]
    assert "ANNAS" not in json.dumps(line)


def written_to(addresses: dict[str, str], name: str) -> str:
    try:
        return addresses[name]
    except KeyError as error:
        raise ValueError(f'no "{name}" can be written to at <erika@vanishing.example>') from error


def test_an_error_names_nobody_whom_it_stumbled_over(lines: Lines) -> None:
    try:
        written_to({"Bert": "bert@staying.example"}, "Erika Vanishing")
    except ValueError:
        logs.logger("x").exception("failed")
    found = lines()[0]["exception"]
    assert 'ValueError: no "…" can be written to at <…>' in found
    assert "KeyError: '…'" in found
    assert 'File "' + __file__ in found
    assert "rika" not in found


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("invalid literal for int() with base 10: 'Erika'", "invalid literal for int() with base 10: '…'"),
        ("it can't be that nobody's there", "it can't be that nobody's there"),
        (r"'O\'Neill' is not known", "'…' is not known"),
        ("Expected `str`, got `int` - at `$.name`", "Expected `str`, got `int` - at `$.name`"),
        ("mail=erika.m+x@vanishing.example, retried", "mail=…, retried"),
        ("„Erika“ fehlt", "„…“ fehlt"),
    ],
)
def test_what_an_error_quotes_is_left_out(text: str, left: str) -> None:
    assert error_text.without_values(text) == left


@pytest.mark.parametrize("text", [None, "", "x", "00-zz-b7-01", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_what_is_no_trace_has_no_id(text: str) -> None:
    assert logs.trace_id(text) is None

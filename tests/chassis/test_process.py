"""Where a process listens: probes and figures have a port of their own where the settings say so."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import aiohttp
import pytest
from fastapi import APIRouter, Request, Response
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from chassis import process
from chassis.access import Access
from chassis.asgi import Answer, request_scope
from chassis.decider import Forbidden
from chassis.epoch import LogBehind
from chassis.http import DROPPED_SECONDS, BodyLimit
from chassis.process import PortTaken, listening, make_world, running
from chassis.service import Blueprint, assemble
from chassis.settings import ServiceSettings
from chassis.transport.in_process import InProcessTransport
from chassis.transport.port import Outlet
from tests.engines import free_port

ROOMS = APIRouter()


@ROOMS.post("/rooms")
async def read_all(request: Request) -> Response:
    return Response(str(len(await request.body())))


@ROOMS.post("/locked")
async def refuse(_: Request) -> Response:
    raise Forbidden


BLUEPRINT = Blueprint(name="testing", handles=(), access=Access({}), routers=(ROOMS,), publish=lambda seen: None)


async def statuses(settings: ServiceSettings, *paths: str) -> list[int]:
    """What a service answers to each path; `internal` in front of one asks the internal port."""
    world = make_world(settings)
    service = assemble(BLUEPRINT, settings, world)
    async with (
        running([service], world),
        listening(service.api, settings, world) as (address, _),
        aiohttp.ClientSession() as client,
    ):
        inside = f"http://127.0.0.1:{settings.internal_port}"
        found = []
        for path in paths:
            url = inside + path.removeprefix("internal") if path.startswith("internal") else address + path
            async with client.get(url) as answer:
                found.append(answer.status)
        return found


TEN_MEGABYTES = b"x" * 10_000_000
IN_ONE_CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(TEN_MEGABYTES), TEN_MEGABYTES)
SENT = {
    "too much": (b"POST /rooms HTTP/1.1\r\ncontent-length: 10000000\r\n", TEN_MEGABYTES, b"413"),
    "too much of unknown length": (b"POST /rooms HTTP/1.1\r\ntransfer-encoding: chunked\r\n", IN_ONE_CHUNK, b"413"),
    "what nobody reads": (b"POST /nowhere HTTP/1.1\r\ntransfer-encoding: chunked\r\n", IN_ONE_CHUNK, b"404"),
}


@pytest.mark.parametrize("what", SENT)
async def test_who_sends_a_body_to_its_end_and_only_then_listens_hears_the_answer(tmp_path: Path, what: str) -> None:
    head, body, status = SENT[what]
    settings = ServiceSettings(data=tmp_path, port=0)
    world = make_world(settings)
    service = assemble(BLUEPRINT, settings, world)
    async with running([service], world), listening(service.api, settings, world) as (address, _):
        sent = head + b"host: 127.0.0.1\r\nconnection: close\r\n\r\n" + body
        answer = await asyncio.to_thread(told, urlsplit(address).port or 0, sent)
        assert answer.split(b" ")[1] == status


class Slow(InProcessTransport):
    """Answers how far topics go when all who start have asked."""

    def __init__(self, all_of_them: asyncio.Barrier) -> None:
        super().__init__()
        self._all_of_them = all_of_them

    async def told_to(self, outlet: Outlet) -> int:
        async with asyncio.timeout(10):
            await self._all_of_them.wait()
        return {"one": 0, "two": 7}[outlet.service]


async def test_services_that_start_together_ask_the_broker_together_and_one_that_may_not_start_says_so(
    tmp_path: Path,
) -> None:
    settings = ServiceSettings(data=tmp_path, port=0)
    world = make_world(settings, Slow(asyncio.Barrier(2)))
    services = [assemble(replace(BLUEPRINT, name=name), settings, world) for name in ("one", "two")]
    with pytest.raises(LogBehind, match="two: the log ends at 0 and was read further"):
        async with running(services, world):
            pass


async def test_who_hangs_up_while_sending_is_no_bug_of_ours(tmp_path: Path) -> None:
    sent = iter(({"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}))

    async def half_of_it() -> Message:
        return next(sent)

    settings, answer = ServiceSettings(data=tmp_path, port=0), Answer()
    service = assemble(BLUEPRINT, settings, make_world(settings))
    with capture_logs() as lines:
        await service.api(request_scope("POST", "/rooms", "", {}), half_of_it, answer.take)

    assert (answer.status, lines) == (400, [])


async def refusing(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send({"type": "http.response.body", "body": b""})


POST: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}


async def test_a_body_that_nobody_reads_and_the_door_finds_too_large_is_refused_by_the_door(tmp_path: Path) -> None:
    async def ever_more() -> Message:
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    settings, answer = ServiceSettings(data=tmp_path, port=0), Answer()
    service = assemble(BLUEPRINT, settings, make_world(settings))
    began = perf_counter()
    await BodyLimit(service.api, 1_000)(request_scope("POST", "/locked", "", {}), ever_more, answer.take)

    assert perf_counter() - began < 2 * DROPPED_SECONDS
    assert (answer.status, answer.json()["slug"]) == (413, "too-large")


async def test_who_sends_nothing_of_its_body_is_answered_soon_also_behind_the_door() -> None:
    async def nothing() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    answer = Answer()
    async with asyncio.timeout(DROPPED_SECONDS):
        await BodyLimit(BodyLimit(refusing, 1_000), 1_000)(POST, nothing, answer.take)

    assert answer.status == 403


def told(port: int, sent: bytes) -> bytes:
    """The answer to a client that does one thing after the other, as the plainest do."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        return connection.recv(1_000)


def test_a_port_found_for_one_process_is_given_to_no_other_before_it_is_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = free_port()
    monkeypatch.setattr(process, "SERVED_PORTS", range(found, found + 1))
    monkeypatch.setattr(process, "PORTS_TRIED", 1)
    with pytest.raises(PortTaken):
        free_port()
    with socket.create_server(("127.0.0.1", found)):
        pass  # whoever it was found for may listen there


async def test_figures_stand_on_the_internal_port_alone(tmp_path: Path) -> None:
    settings = ServiceSettings(data=tmp_path, port=0, internal_port=free_port())
    asked = ("internal/livez", "internal/readyz", "internal/metrics", "internal/events", "/livez", "/metrics")
    assert [200, 200, 200, 404, 200, 404] == await statuses(settings, *asked)


@pytest.mark.parametrize(("environment", "status"), [("development", 200), ("production", 404)])
async def test_without_an_internal_port_only_development_shows_figures(
    environment: str, status: int, tmp_path: Path
) -> None:
    settings = ServiceSettings(data=tmp_path, port=0, environment=environment)
    assert [status] == await statuses(settings, "/metrics")

"""A service that the gateway reaches over HTTP: a connection that ends under a request costs the caller nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Scope
from structlog.testing import capture_logs

from chassis.asgi import Answer, Api, body_of, request_scope
from services.gateway.adapters.upstreams import OverHttp

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Ending:
    """A service whose first connections end when they are asked."""

    ends: int
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"content-length: 7" in head.lower():
            self.asked.append(await reader.readexactly(7))
        if len(self.asked) > self.ends:
            writer.write(ANSWER)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def over_http(service: Ending) -> AsyncIterator[Api]:
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    upstreams = OverHttp({"onboarding": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    try:
        async with server:
            yield Api(upstreams.of("onboarding"))
            await upstreams.close()
    finally:
        await upstreams.close()


async def test_a_command_whose_connection_ended_is_sent_again_with_its_body() -> None:
    service = Ending(ends=1)
    async with over_http(service) as api:
        assert (await api.post("/partners", {"a": 1}, key="one")).status == 200
    assert service.asked == [b'{"a":1}'] * 2


async def test_a_service_that_ends_every_connection_is_said_to_be_away() -> None:
    service = Ending(ends=100)
    async with over_http(service) as api:
        answer = await api.post("/partners", {"a": 1}, key="one")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert len(service.asked) == 2


async def test_that_a_service_is_away_is_said_once_an_outage_and_that_it_is_back_once_too() -> None:
    service = Ending(ends=6)  # each request is sent twice: three that are not answered
    async with over_http(service) as api:
        with capture_logs() as lines:
            statuses = [(await api.post("/partners", {"a": 1}, key=f"{n}")).status for n in range(5)]
            service.asked.clear()
            statuses.append((await api.post("/partners", {"a": 1}, key="again")).status)
    assert statuses == [503, 503, 503, 200, 200, 503]
    assert [(line["event"], line["service"], line["log_level"]) for line in lines] == [
        ("service_not_reached", "onboarding", "warning"),
        ("service_reached_again", "onboarding", "info"),
        ("service_not_reached", "onboarding", "warning"),
    ]


async def test_who_hangs_up_while_sending_is_no_bug_of_ours_and_asks_nothing_of_a_service() -> None:
    sent = iter(({"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}))

    async def half_of_it() -> Message:
        return next(sent)

    upstreams, answer = OverHttp({"onboarding": "http://127.0.0.1:1"}), Answer()
    with capture_logs() as lines:
        await upstreams.forward("onboarding", request_scope("POST", "/partners", "", {}), half_of_it, answer.take)
    await upstreams.close()

    assert (answer.status, lines) == (400, [])


async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers what it was asked: the first line, headers by name, the body."""
    head, _, _ = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
    body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
    said = json.dumps({"first": first, "headers": headers, "body": body.decode()}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said))
    await writer.drain()
    writer.close()


async def asked(scope: Scope, body: bytes = b"") -> Any:
    """What a service is asked when this request goes on to it, twice: what it was asked the second time."""
    server = await asyncio.start_server(told, "127.0.0.1", 0)
    upstreams = OverHttp({"onboarding": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    try:
        async with server:
            await upstreams.forward("onboarding", scope, body_of(body), Answer().take)
            await upstreams.forward("onboarding", scope, body_of(body), (answer := Answer()).take)
            await upstreams.close()
            return answer.json()
    finally:
        await upstreams.close()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/x/../metrics", "GET /x/../metrics HTTP/1.1"),
        ("/x/./..//metrics", "GET /x/./..//metrics HTTP/1.1"),
        ("/partners/a b\r\nc?ü", "GET /partners/a%20b%0D%0Ac%3F%C3%BC HTTP/1.1"),
    ],
)
async def test_the_service_is_asked_for_the_path_that_the_door_let_pass(path: str, line: str) -> None:
    assert (await asked(request_scope("GET", path, "", {})))["first"] == line


async def test_a_query_goes_on_as_it_was_asked() -> None:
    scope = request_scope("GET", "/partners", "", {})
    scope["query_string"] = "after=%41+b&name=a%2Bb&x=ü#y".encode()
    assert (await asked(scope))["first"] == "GET /partners?after=%41+b&name=a%2Bb&x=%C3%BC%23y HTTP/1.1"


async def test_a_body_that_came_in_pieces_goes_on_in_one() -> None:
    given = {"transfer-encoding": "chunked", "connection": "close", "expect": "100-continue", "x-own": "kept"}
    found = await asked(request_scope("POST", "/partners", "", given), b'{"a":1}')
    assert found["body"] == '{"a":1}'
    assert [name for name, _ in found["headers"] if name != "connection"] == ["host", "x-own", "content-length"]


async def test_no_header_of_one_answer_comes_back_with_the_request_of_another() -> None:
    found = await asked(request_scope("GET", "/partners", "", {}))
    assert [name for name, _ in found["headers"] if name != "connection"] == ["host", "content-length"]

"""A service that the gateway reaches over HTTP: a connection that ends under a request costs the caller nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chassis.asgi import Api
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

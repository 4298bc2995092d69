"""Raw requests to the gateway, as any client on the network might send them: cookies, forged headers, cut streams."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from starlette.types import ASGIApp

from chassis.asgi import request_scope
from tests.patience import PATIENCE_SECONDS

HOST = "127.0.0.1:8080"
SPACES = re.compile(r"\s+")


class Pages(httpx.ASGITransport):
    """Their spaces come as a browser shows them: where a template breaks its lines is for those who read it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            return answer
        shown = SPACES.sub(" ", (await answer.aread()).decode())
        headers = [(name, value) for name, value in answer.headers.multi_items() if name != "content-length"]
        return httpx.Response(answer.status_code, headers=headers, text=shown)


def browser(app: ASGIApp, **options: Any) -> httpx.AsyncClient:
    """A client with cookies of its own. A fault inside the app is answered with 500, as on the network."""
    transport = Pages(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", **options)


@dataclass(frozen=True)
class Told:
    """One server-sent event."""

    id: str
    type: str
    item: dict[str, Any]


@dataclass
class Stream:
    """A live stream that is open: its status, and what it told."""

    status: int = 0
    told: list[Told] = field(default_factory=list)
    ended: bool = False
    _rest: bytes = b""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        *blocks, self._rest = (self._rest + message.get("body", b"")).split(b"\n\n")
        self.told += [one for one in map(_told, blocks) if one]
        self._news.set()

    async def until(self, enough: Any) -> None:
        """Waits until `enough(self)` holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not enough(self):
                self._news.clear()
                await self._news.wait()

    def end(self, _: Any = None) -> None:
        self.ended = True
        self._news.set()


def _told(block: bytes) -> Told | None:
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
    if b"data" not in fields:
        return None
    return Told(fields[b"id"].decode(), fields[b"event"].decode(), orjson.loads(fields[b"data"]))


@asynccontextmanager
async def streaming(app: ASGIApp, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
    """The live stream as it is once it has begun to answer; on leaving the client goes away."""
    stream, gone = Stream(), asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(app(request_scope("GET", "/v1/stream", "", headers), receive, stream.take))  # type: ignore[arg-type]
    task.add_done_callback(stream.end)
    try:
        await stream.until(lambda it: it.status or it.ended)
        yield stream
    finally:
        gone.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

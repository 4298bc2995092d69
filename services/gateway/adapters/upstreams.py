"""The services behind the door: in this process as ASGI, or at their addresses over HTTP. Both answer an ASGI request."""

from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http import Unavailable, problem

TIMEOUT_SECONDS = 10.0
ENDED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""A kept connection ends with the release behind it, perhaps at the very moment it is used; a new one leads to the next."""
CONNECTIONS_MAX = 256
HOP_HEADERS = frozenset({"transfer-encoding", "connection", "content-length", "content-encoding"})


class Upstreams(Protocol):
    """Where requests for a service go."""

    def knows(self, service: str) -> bool: ...

    async def forward(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request by the service; 503 when it cannot be reached."""
        ...

    async def close(self) -> None:
        """Closes the connections."""


class InProcess:
    """The services of this process. `apis` is looked up at each call: services may be made later."""

    def __init__(self, neighbours: Mapping[str, Any]) -> None:
        self._neighbours = neighbours

    def knows(self, service: str) -> bool:
        return service in self._neighbours

    async def forward(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        api: ASGIApp = self._neighbours[service].api
        await api(scope, receive, send)

    async def close(self) -> None:
        """There is none to close."""


class OverHttp:
    """Services at addresses: `{"registration": "http://registration:8080"}`. All share one pool of kept connections."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = dict(urls)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def knows(self, service: str) -> bool:
        return service in self._urls

    def of(self, service: str) -> ASGIApp:
        """The service as an ASGI app, which whoever has one in this process is asked by too."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self.forward(service, scope, receive, send)

        return app

    def _client(self, *, anew: bool) -> aiohttp.ClientSession:
        """The session with kept connections, or the one that makes a new connection each time."""
        if anew not in self._sessions:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, force_close=anew)
            self._sessions[anew] = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self._sessions[anew]

    async def forward(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._asked(service, Request(scope, receive), send)
        except (aiohttp.ClientError, TimeoutError):
            await problem(Unavailable(f"{service} cannot be reached"))(scope, receive, send)

    async def _asked(self, service: str, request: Request, send: Send) -> None:
        """Asking again is safe: whatever changes something carries a key, under which it is done once."""
        body = await request.body()
        try:
            await self._ask(service, request, body, send, anew=False)
        except ENDED:
            await self._ask(service, request, body, send, anew=True)

    async def _ask(self, service: str, request: Request, body: bytes, send: Send, *, anew: bool) -> None:
        url = URL(self._urls[service]).replace(path=request.scope["path"], query=request.scope["query_string"].decode())
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        async with self._client(anew=anew).request(
            request.method, str(url), headers=headers, data=body, allow_redirects=False
        ) as answer:
            await _relay(answer, send)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()


async def _relay(answer: aiohttp.ClientResponse, send: Send) -> None:
    body = await answer.read()
    kept = [(k.lower().encode(), v.encode()) for k, v in answer.headers.items() if k.lower() not in HOP_HEADERS]
    headers = [*kept, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""The services behind the door: in this process as ASGI, or at their addresses over HTTP. Both answer an ASGI request."""

from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http import Unavailable, problem

TIMEOUT_SECONDS = 10.0
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
    """Services at addresses: `{"registration": "http://registration:8080"}`. One connection pool for all."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = dict(urls)
        self._session: aiohttp.ClientSession | None = None

    def knows(self, service: str) -> bool:
        return service in self._urls

    def of(self, service: str) -> ASGIApp:
        """The service as an ASGI app, which whoever has one in this process is asked by too."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self.forward(service, scope, receive, send)

        return app

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX), timeout=timeout, auto_decompress=False
            )
        return self._session

    async def forward(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        url = URL(self._urls[service]).replace(path=scope["path"], query=scope["query_string"].decode())
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        try:
            async with self._client().request(
                request.method, str(url), headers=headers, data=await request.body(), allow_redirects=False
            ) as answer:
                await _relay(answer, send)
        except (aiohttp.ClientError, TimeoutError):
            await problem(Unavailable(f"{service} cannot be reached"))(scope, receive, send)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _relay(answer: aiohttp.ClientResponse, send: Send) -> None:
    body = await answer.read()
    kept = [(k.lower().encode(), v.encode()) for k, v in answer.headers.items() if k.lower() not in HOP_HEADERS]
    headers = [*kept, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

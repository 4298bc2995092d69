"""The services behind the door: in this process as ASGI, or at their addresses over HTTP. Both answer an ASGI request."""

from collections.abc import Mapping
from string import ascii_letters, digits, punctuation
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from yarl import URL

from chassis.http import HungUp, Unavailable, problem

log = structlog.get_logger()
TIMEOUT_SECONDS = 10.0
ENDED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""A kept connection ends with the release behind it, perhaps at the very moment it is used; a new one leads to the next."""
CONNECTIONS_MAX = 256
HOP_HEADERS = frozenset({b"transfer-encoding", b"connection", b"content-length", b"content-encoding"})
ONE_WAY = frozenset(
    {b"transfer-encoding", b"connection", b"content-length", b"host", b"keep-alive", b"te", b"upgrade", b"expect"}
)
"""Headers of a request that are about the caller's own connection: the body goes on in one piece."""
NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
QUERY = (ascii_letters + digits + punctuation).replace("#", "")


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
        self._away: set[str] = set()

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
            self._sessions[anew] = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._sessions[anew]

    async def forward(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._asked(service, Request(scope, receive), send)
        except ClientDisconnect:
            await problem(HungUp())(scope, receive, send)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._missed(service, error)
            await problem(Unavailable(f"{service} cannot be reached"))(scope, receive, send)
        else:
            self._met(service)

    def _missed(self, service: str, error: Exception) -> None:
        """Says so once an outage: each request of it would say the same."""
        if service not in self._away:
            self._away.add(service)
            log.warning("service_not_reached", service=service, error=repr(error))

    def _met(self, service: str) -> None:
        if service in self._away:
            self._away.remove(service)
            log.info("service_reached_again", service=service)

    async def _asked(self, service: str, request: Request, send: Send) -> None:
        """Asking again is safe: whatever changes something carries a key, under which it is done once."""
        body = await request.body()
        try:
            await self._ask(service, request, body, send, anew=False)
        except ENDED:
            await self._ask(service, request, body, send, anew=True)

    async def _ask(self, service: str, request: Request, body: bytes, send: Send, *, anew: bool) -> None:
        async with self._client(anew=anew).request(
            request.method,
            _url(self._urls[service], request.scope),
            headers=_headers(request.scope),
            data=body,
            allow_redirects=False,
            skip_auto_headers=NOT_ADDED,
        ) as answer:
            await _relay(answer, send)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()


def _url(base: str, scope: Scope) -> URL:
    """The path as it was asked for: a URL that is put together anew would leave out its dots, which the door let pass."""
    path, query = quote(scope["path"]), quote(scope["query_string"], safe=QUERY)
    return URL(f"{base}{path}?{query}" if query else f"{base}{path}", encoded=True)


def _headers(scope: Scope) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in scope["headers"] if name not in ONE_WAY]
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in kept]


async def _relay(answer: aiohttp.ClientResponse, send: Send) -> None:
    body = await answer.read()
    named = [(name.lower(), value) for name, value in answer.raw_headers]
    headers = [(name, value) for name, value in named if name not in HOP_HEADERS]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

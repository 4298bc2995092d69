"""Calls of an ASGI app in the same process, as if they came over the network."""

from collections.abc import Mapping
from typing import Any, Self

import orjson
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope


class Answer:
    """What a service answered to a call of our own: status, headers by lower-case name, JSON."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")

    @property
    def ok(self) -> bool:
        return self.status // 100 == 2  # noqa: PLR2004  the class of success

    def json(self) -> Any:
        """The body as JSON; {} for none."""
        return orjson.loads(self.body) if self.body else {}


def header(request: HTTPConnection, name: bytes) -> str | None:
    """A header by its lower-case name, None for none; the framework's own look-up costs several times as much."""
    for key, value in request.scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def request_scope(method: str, path: str, query: str, headers: Mapping[str, str]) -> Scope:
    """The ASGI scope of a call that the gateway makes itself."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": None,
        "state": {},
    }


def body_of(content: bytes) -> Receive:
    """An ASGI receive channel that holds this body."""
    sent = False

    async def receive() -> Any:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": content, "more_body": False}

    return receive


class Api:
    """A small client of one ASGI app: JSON in, JSON out, one bearer token."""

    def __init__(self, app: ASGIApp, token: str = "") -> None:
        self._app, self._token = app, token

    def signed_in(self, token: str) -> Self:
        """The same app, as somebody else."""
        return type(self)(self._app, token)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, b"", headers)

    async def post(self, path: str, body: Any = None, *, key: str = "", **headers: str) -> Answer:
        """Posts JSON under an Idempotency-Key."""
        content = orjson.dumps(body) if body is not None else b""
        return await self.send("POST", path, content, {"idempotency-key": key, **headers})

    async def send(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Sends any request; underscores in header names are hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items() if value}
        given |= {"content-type": "application/json", "content-length": str(len(content))}
        if self._token:
            given["authorization"] = f"Bearer {self._token}"
        answer = Answer()
        route, _, query = path.partition("?")
        await self._app(request_scope(method, route, query, given), body_of(content), answer.take)
        return answer

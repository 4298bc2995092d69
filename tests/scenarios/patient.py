"""Callers who come again under the same key where they are told to, as a program should."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.asgi import Answer, Api, body_of
from chassis.decider import Busy
from tests.patience import PATIENCE_SECONDS

LOOK_SECONDS, AGAIN_SECONDS = 0.02, 0.2
BUSY = b'"slug":"busy"'


class Patient(Api):
    """A client of an app in the same process."""

    async def send(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _is_busy((answer := await super().send(method, path, content, headers)).status, answer.body):
                await asyncio.sleep(float(answer.headers["retry-after"]))
        return answer


class PatientTransport(httpx.ASGITransport):
    """The same for a client of httpx."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _is_busy((answer := await super().handle_async_request(request)).status_code, await answer.aread()):
                await asyncio.sleep(float(answer.headers["retry-after"]))
        return answer


def _is_busy(status: int, body: bytes) -> bool:
    return status == HTTPStatus.SERVICE_UNAVAILABLE and BUSY in body


async def reacted(react: Callable[[], Awaitable[Any]]) -> None:
    """Reacts to an event, and again while the service is busy, as the consumer does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(Busy):
                await react()
                return
            await asyncio.sleep(LOOK_SECONDS)


def coming_again(app: ASGIApp, seconds: float = PATIENCE_SECONDS) -> ASGIApp:
    """The app, asked once more as long as it says when to come again. Raises TimeoutError when it goes on to."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        async with asyncio.timeout(seconds):
            while b"retry-after" in dict((answer := await _answer(app, scope, body))[0]["headers"]):
                await asyncio.sleep(AGAIN_SECONDS)
        for message in answer:
            await send(message)

    return asked


async def _answer(app: ASGIApp, scope: Scope, body: bytes) -> list[Message]:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, body_of(body), keep)
    return messages

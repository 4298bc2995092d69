"""A small transit engine on loopback that can fail on purpose: the routes that `chassis.transit` uses, and no more.

What it answers, and how it refuses, was taken from OpenBao 2.7: `test_transit.py` asks both the same.
"""

import asyncio
import contextlib
import os
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "a-token-of-nobody"
NONCE_BYTES = 12
PIECE_PAUSE_SECONDS = 0.02
"""So that what reads meets one piece after the other; what reads all of them does not depend on it."""


class TransitEngine:
    """Keys by name, each with its versions. `status` answers every call with that status; `silent` never answers.

    `text` is sent in so many `pieces`, each when the one before is on its way.
    """

    def __init__(self) -> None:
        self.token = TOKEN
        self.status: int | None = None
        self.silent = False
        self.calls = 0
        self.text: str | None = None
        self.pieces = 1
        self._versions: dict[str, list[bytes]] = {}

    def rotate(self, name: str) -> None:
        """Gives a key its next version, the first one to a new key."""
        self._versions.setdefault(name, []).append(os.urandom(32))

    def destroy(self, name: str) -> None:
        del self._versions[name]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The engine's URL for a while."""
        app = web.Application()
        app.router.add_post("/v1/transit/{what}/{name}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/transit"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.text is not None:
            return await self._in_pieces(request, self.text.encode())
        if self.status:
            return _no(self.status, "Vault is sealed")
        if request.headers.get("X-Vault-Token") != self.token:
            return _no(403, "permission denied")
        versions = self._versions.get(request.match_info["name"])
        if versions is None:
            return _no(400, "encryption key not found")
        try:
            return web.json_response({"data": _done(versions, request.match_info["what"], await request.json())})
        except (InvalidTag, ValueError, IndexError):
            return _no(400, "invalid ciphertext: no match")

    async def _in_pieces(self, request: web.Request, text: bytes) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status or 200)
        await response.prepare(request)
        size = -(-len(text) // self.pieces)
        with contextlib.suppress(ConnectionError):  # whoever has enough of it goes away
            for first in range(0, len(text), size):
                await response.write(text[first : first + size])
                await asyncio.sleep(PIECE_PAUSE_SECONDS)
            await response.write_eof()
        return response


def _no(status: int, why: str) -> web.Response:
    return web.json_response({"errors": [why]}, status=status)


def _done(versions: list[bytes], what: str, asked: dict[str, Any]) -> dict[str, Any]:
    if what == "encrypt":
        return {"ciphertext": _boxed(versions, b64decode(asked["plaintext"])), "key_version": len(versions)}
    text = _opened(versions, asked["ciphertext"])
    if what == "decrypt":
        return {"plaintext": b64encode(text).decode()}
    return {"ciphertext": _boxed(versions, text), "key_version": len(versions)}


def _boxed(versions: list[bytes], text: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    box = nonce + AESGCM(versions[-1]).encrypt(nonce, text, None)
    return f"vault:v{len(versions)}:{b64encode(box).decode()}"


def _opened(versions: list[bytes], ciphertext: str) -> bytes:
    _, version, text = ciphertext.split(":")
    box = b64decode(text)
    return AESGCM(versions[int(version.removeprefix("v")) - 1]).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], None)

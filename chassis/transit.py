"""The transit engine of HashiCorp Vault and OpenBao as a KMS: one key of that engine a service, every call bounded."""

import asyncio
import ssl
from base64 import b64decode, b64encode
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from chassis.master_key import KmsAway, KmsRefused
from chassis.settings import ServiceSettings, WrongSetting
from chassis.supervision import Backoff

CALL_SECONDS = 3.0
TRIES = 3
ANSWER_BYTES_MAX = 1 << 16
COME_AGAIN = frozenset({HTTPStatus.PRECONDITION_FAILED, HTTPStatus.TOO_MANY_REQUESTS})
"""A replica that has not caught up says 412."""


class InsecureKms(WrongSetting):
    """Outside development the KMS is asked over TLS, or by an agent on this machine: `ENTENTE_KMS=https://…`."""


class Transit:
    """One key of a transit engine. `token` is a file, read at each call: whoever renews the token replaces it."""

    def __init__(self, url: str, key: str, *, token: Path | None = None, ca: Path | None = None) -> None:
        self._url, self._key, self._token = url.rstrip("/"), key, token
        self._tls = ssl.create_default_context(cafile=ca) if url.startswith("https://") else True
        self._backoff = Backoff()

    @classmethod
    def of(cls, settings: ServiceSettings, service: str) -> "Transit":
        """The key `entente-<service>` at the settings' URL. Raises InsecureKms."""
        assert settings.kms is not None
        if not (settings.development or settings.kms.startswith("https://") or _on_this_machine(settings.kms)):
            raise InsecureKms(InsecureKms.__doc__)
        return cls(settings.kms, f"entente-{service}", token=settings.kms_token, ca=settings.kms_ca)

    async def wrap(self, key: bytes) -> str:
        return str(await self._ask("encrypt", "ciphertext", plaintext=b64encode(key).decode()))

    async def unwrap(self, wrapped: str) -> bytes:
        told = str(await self._ask("decrypt", "plaintext", ciphertext=wrapped))
        try:
            return b64decode(told, validate=True)
        except ValueError as problem:
            raise KmsAway(f"{self._url} answers what is no base64") from problem

    async def rewrap(self, wrapped: str) -> str:
        return str(await self._ask("rewrap", "ciphertext", ciphertext=wrapped))

    async def _ask(self, what: str, wanted: str, **body: str) -> Any:
        """The field of the answer, in `TRIES` tries while the engine is away."""
        for failures in range(1, TRIES):
            try:
                return await self._once(what, wanted, body)
            except KmsAway:
                await asyncio.sleep(self._backoff.pause_seconds(failures))
        return await self._once(what, wanted, body)

    async def _once(self, what: str, wanted: str, body: dict[str, str]) -> Any:
        url, headers = f"{self._url}/{what}/{self._key}", self._headers()
        try:
            # A connection of its own: the engine is asked once a minute, from whatever loop there is.
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)) as http,
                http.post(url, json=body, headers=headers, ssl=self._tls, allow_redirects=False) as answer,
            ):
                return _read(answer.status, await _bounded(answer.content), wanted, url)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise KmsAway(f"{url} does not answer: {problem!r}") from problem

    def _headers(self) -> dict[str, str]:
        if self._token is None:
            return {}
        try:
            return {"X-Vault-Token": self._token.read_text().strip()}
        except OSError as problem:
            raise KmsRefused(f"there is no token for the KMS: {problem}") from problem


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """All of an answer, in however many pieces it comes. Raises KmsAway for more than an engine ever says."""
    text = b""
    async for piece in content.iter_chunked(ANSWER_BYTES_MAX):
        text += piece
        if len(text) > ANSWER_BYTES_MAX:
            raise KmsAway(f"an answer of more than {ANSWER_BYTES_MAX} bytes is no word of an engine for keys")
    return text


def _read(status: int, text: bytes, wanted: str, url: str) -> Any:
    """The wanted field; what the engine holds against the question is raised in its own words."""
    try:
        told = orjson.loads(text)
        if status == HTTPStatus.OK:
            return told["data"][wanted]
        why = "; ".join(told["errors"])
    except (ValueError, KeyError, TypeError):
        why = "no word of an engine for keys"
    away = status < HTTPStatus.BAD_REQUEST or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in COME_AGAIN
    raise (KmsAway if away else KmsRefused)(f"{url} answers {status}: {why}")


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

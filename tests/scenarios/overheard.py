"""Every byte that somebody was answered, in every form in which it may hide something, and what was asked for it."""

import base64
import gzip
import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from chassis.asgi import Answer, Api

WRAPPINGS_MAX = 3
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
ESCAPED = re.compile(rb"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Heard:
    """One answer: what was asked, how it was answered, and all that came."""

    asked: str
    status: int
    content: bytes

    def holds(self, needles: Iterable[str]) -> list[str]:
        """Which of them it gives away: in plain text, packed or coded, in any case; not what was asked for by name."""
        known = self.asked.casefold()
        wanted = [needle for needle in needles if needle.casefold() not in known]
        seen = [part.lower() for part in unfolded(self.content)]
        return [needle for needle in wanted if any(needle.lower().encode() in part for part in seen)]


def unfolded(content: bytes, depth: int = WRAPPINGS_MAX) -> Iterator[bytes]:
    """The bytes themselves, and what comes out when each wrapping that they may have is taken off."""
    yield content
    if not depth:
        return
    for inner in {*_unpacked(content), *_decoded(content)} - {content}:
        yield from unfolded(inner, depth - 1)


def _unpacked(content: bytes) -> Iterator[bytes]:
    with suppress(OSError, EOFError, zlib.error):
        yield gzip.decompress(content)
    if content.startswith(b"PK"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    for packed in STREAM.findall(content):
        with suppress(zlib.error):
            yield zlib.decompress(packed)


def _decoded(content: bytes) -> Iterator[bytes]:
    text = content.decode("utf-8", "replace")
    if "%" in text:
        yield unquote_plus(text).encode()
    if "&" in text:
        yield html.unescape(text).encode()
    if b"\\u" in content:
        yield ESCAPED.sub(lambda hit: chr(int(hit[1], 16)).encode("utf-8", "replace"), content)
    for hit in BASE64.finditer(content):
        with suppress(ValueError):
            coded = hit[0].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
            yield base64.b64decode(coded + b"=" * (-len(coded) % 4))


@dataclass
class Log:
    """What one side was answered, from the first word on."""

    heard: list[Heard] = field(default_factory=list)

    def add(self, asked: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        told = "\n".join(f"{name}: {value}" for name, value in headers.items())
        self.heard += [Heard(asked, status, told.encode()), Heard(asked, status, body)]

    def leaks(self, needles: Iterable[str]) -> list[tuple[str, list[str]]]:
        """Each answer that holds one of them, with those that it holds."""
        wanted = [*needles]
        found = [(f"{one.status} {one.asked[:300]}", one.holds(wanted)) for one in self.heard]
        return [one for one in found if one[1]]


class Overheard(Api):
    """Somebody at the door, all of whose answers are kept."""

    def __init__(self, api: Api, log: Log) -> None:
        super().__init__(api._app, api._token)
        self.log = log

    async def send(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        answer = await super().send(method, path, content, headers)
        self.log.add(f"{method} {path} {content.decode()}", answer.status, answer.headers, answer.body)
        return answer

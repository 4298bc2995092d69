"""Texts as PostgreSQL takes an array of them in binary, packed in one go: the driver asks a dumper about each.

In its textual form the driver looks into each text for what to escape, which costs more still.
"""

import struct
from collections.abc import Iterable

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

_head = struct.Struct("!iiIii").pack
"""Dimensions, whether a text may be missing, the type of the elements, how many there are, and the number of the first."""
_length = struct.Struct("!i").pack
_MISSING = _length(-1)
_TEXT = types["text"]


class Texts:
    """An array of texts to bind with `%b`: UTF-8 where they are bytes, `None` where one is missing."""

    def __init__(self, texts: Iterable[str | bytes | None]) -> None:
        self.encoded = [text.encode() if isinstance(text, str) else text for text in texts]


class TextsDumper(Dumper):
    """https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES, and `array_recv` of the server."""

    format = Format.BINARY
    oid = _TEXT.array_oid

    def dump(self, obj: Texts) -> bytes:
        head = _head(1, 1, _TEXT.oid, len(obj.encoded), 1) if obj.encoded else _head(0, 0, _TEXT.oid, 0, 0)[:12]
        return head + b"".join([_MISSING if one is None else _length(len(one)) + one for one in obj.encoded])


def register(context: AdaptContext) -> None:
    """Lets the connection take `Texts`."""
    context.adapters.register_dumper(Texts, TextsDumper)

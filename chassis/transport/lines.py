"""A message as a line of JSON: CloudEvents 1.0 in structured mode, with the same attributes as its headers in Kafka."""

import msgspec
import orjson

from chassis.transport.headers import CONTENT_TYPE, message_of, written
from chassis.transport.port import Message, topic_of

PREFIX = "ce_"
BARE = "traceparent"
"""The header that is no attribute of CloudEvents, and so has no prefix."""
DATA = "data"
_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


def line_of(message: Message) -> bytes:
    """The message with its envelope, as one line."""
    attributes = {
        name.removeprefix(PREFIX): value.decode() for name, value in written(message) if name != CONTENT_TYPE[0]
    }
    return orjson.dumps({**attributes, DATA: orjson.Fragment(message.body)}, option=orjson.OPT_APPEND_NEWLINE)


def message_in(line: bytes, service: str, position: int = 0) -> Message:
    """The message that a service told in a line, as its topic would have brought it. Raises ValueError for no such line."""
    try:
        parts = _LINE.decode(line)
        body = bytes(parts.pop(DATA))
        headers = [(_header(name), _TEXT.decode(value).encode()) for name, value in parts.items()]
    except (msgspec.MsgspecError, KeyError) as error:
        raise ValueError(f"a line of the feed of {service} cannot be read") from error
    return message_of([*headers, CONTENT_TYPE], body, topic=topic_of(service), partition=0, offset=position)


def _header(attribute: str) -> str:
    return attribute if attribute == BARE else f"{PREFIX}{attribute}"

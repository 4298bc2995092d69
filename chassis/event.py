"""Facts and wishes as frozen values with written-out type names, and their one JSON form.

An event, a command or a public event is a frozen, keyword-only dataclass that carries the name it is stored under.
The name is written out, never computed from the class, because stored names are for ever.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, dataclass_transform

import msgspec
import uuid_utils

from chassis.frozen import frozen as frozen  # noqa: PLC0414  what is made with it imports this module alone

NAMESPACE = uuid_utils.UUID("5c0a5b4e-9a53-5c0f-8f0e-6a1f2f1d7a10")
"""The one namespace of every `stable_id`; changing it would rename the past."""

SHARED = "shared"
"""The reserved tenant that holds what spans vendors: sign-ins, and what operators order."""

LEFT_OUT = msgspec.UNSET
LeftOut: TypeAlias = msgspec.UnsetType
"""The default of a field that came later, of the type `T | LeftOut`: left out, what is stored stays as it was."""

T = TypeVar("T")
JSON = Any


class Light(msgspec.Struct, frozen=True, gc=False):
    """An immutable value at a seventh of the price of a `frozen` one, for what each command makes by the dozen.

    It is stored as such a one is, but is no dataclass: neither `fields` nor `replace` know it. No cycle leads through it.
    """


class Event:
    """A recorded fact of one stream. Unknown fields of a stored form are ignored, so later releases may add some."""

    type: ClassVar[str] = ""


class Command:
    """A wish that a rule may refuse. It already holds `now`, new ids, and all that a library computed."""

    type: ClassVar[str] = ""


class PublicEvent:
    """A fact that other services hear: versioned, without personal data, for the audience that its class names."""

    type: ClassVar[str] = ""
    audience: ClassVar[str] = "vendor"

    def partners(self) -> tuple[str, ...]:
        """The partners that this fact is about."""
        partner_id = getattr(self, "partner_id", None)
        return (partner_id,) if partner_id else ()

    def for_partner(self, partner_id: str) -> "PublicEvent | None":
        """What one partner may read of this fact; None when it may not know of it."""
        if self.audience == "all":
            return self
        return self if self.audience in ("partner", "both") and partner_id in self.partners() else None

    def for_any(self, partner_ids: Iterable[str]) -> "PublicEvent | None":
        """What may be read by who acts for these partners: as the first of them that may know of it."""
        return next((view for one in partner_ids if (view := self.for_partner(one)) is not None), None)


class UnknownType(LookupError):
    """A stored type that this release does not know. A stream or projection that needs it stops; nothing skips it."""

    def __init__(self, type_name: str) -> None:
        super().__init__(f"type {type_name!r} is not known to this release: deploy the release that wrote it")
        self.type_name = type_name


Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class Types:
    """The table from stored names to classes, with one decoder a name."""

    def __init__(self) -> None:
        self.classes: dict[str, type[Any]] = {}
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        self._upcasts: dict[str, Upcast] = {}

    def add(self, name: str, cls: type[Any]) -> None:
        if self.classes.get(name, cls).__qualname__ != cls.__qualname__:
            raise ValueError(f"two classes claim the type {name!r}")
        self.classes[name] = cls

    def upcast(self, name: str, change: Upcast) -> None:
        """Reads older stored forms of `name`: `change` receives the raw dictionary and returns the current form."""
        self._upcasts[name] = change

    def decode(self, name: str, body: bytes | msgspec.Raw) -> Any:
        """The value stored under `name`. Raises UnknownType, or msgspec.ValidationError when the body breaks its contract."""
        if name in self._upcasts:
            return msgspec.convert(self._upcasts[name](msgspec.json.decode(body)), self.classes[name], strict=True)
        decoder = self._decoders.get(name)
        if decoder is None:
            decoder = self._decoders[name] = msgspec.json.Decoder(self._class(name))
        return decoder.decode(body)

    def _class(self, name: str) -> type[Any]:
        try:
            return self.classes[name]
        except KeyError:
            raise UnknownType(name) from None


TYPES = Types()

_encode = msgspec.json.Encoder().encode
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode


def encode(value: Any) -> bytes:
    """The JSON bytes of a value: Decimal and datetime as strings, fields in the order they are declared."""
    return _encode(value)


def decode(name: str, body: bytes | msgspec.Raw) -> Any:
    """The value whose JSON bytes are stored under the type `name`; see `Types.decode`."""
    return TYPES.decode(name, body)


def plain(value: Any) -> Any:
    """The value as JSON-ready builtins, exactly as `encode` would write it."""
    return msgspec.to_builtins(value)


def as_stored(value: Any) -> Any:
    """The value as it comes back from its stored form: as `plain`, with lists for all sequences."""
    return msgspec.json.decode(_encode(value))


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def event(name: str) -> Callable[[type[T]], type[T]]:
    """Makes a frozen, keyword-only value of the class and registers it under `name`, e.g. `registration.DealRegistered.v1`."""

    def register(cls: type[T]) -> type[T]:
        made = frozen(cls)
        made.type = name  # type: ignore[attr-defined]
        TYPES.add(name, made)
        return made

    return register


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def command(name: str) -> Callable[[type[T]], type[T]]:
    """Commands are stored too, so they are made and named as events are."""
    return event(name)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def public_event(name: str, *, audience: str) -> Callable[[type[T]], type[T]]:
    """Registers a public event. Audience: vendor, partner (the partners it names), both, or all (every partner of the tenant)."""

    def register(cls: type[T]) -> type[T]:
        made = event(name)(cls)
        made.audience = audience  # type: ignore[attr-defined]
        return made

    return register


def canonical_json(value: JSON) -> bytes:
    """One spelling for equal values: sorted keys, no spaces, UTF-8."""
    return _canonical(value).encode()


@lru_cache(maxsize=10_000, typed=True)
def stable_id(*parts: str | int | None) -> str:
    """The same parts give the same id, for ever: UUIDv5 over the canonical JSON of the parts (design §2.4).

    One request asks for the same id several times, so the last ones are remembered.
    """
    return str(uuid_utils.uuid5(NAMESPACE, _canonical(parts)))


def sha256(body: bytes) -> str:
    """The SHA-256 of the bytes as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def human_number(prefix: str, identity: str, length: int = 8) -> str:
    """A number people can read out: the prefix and the first Crockford characters of the id's SHA-256, e.g. `R-7Q2M4K9X`."""
    digest = int.from_bytes(hashlib.sha256(identity.encode()).digest(), "big")
    return f"{prefix}-" + "".join(CROCKFORD[(digest >> (251 - 5 * place)) & 31] for place in range(length))


@frozen
class Sealed:
    """Personal text that only its subject's key opens. Everything that is stored holds this form, never the text."""

    subject: str
    box: str


@frozen
class Actor:
    """On whose behalf something was recorded."""

    kind: str
    subject: str
    partner_id: str | None = None
    view_as: str | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One recorded or public event as a reader meets it: the fact and its circumstances.

    `source` is the service that recorded it, `position` its place in that service's total order.
    """

    id: str
    type: str
    source: str
    tenant: str
    stream: str
    version: int
    position: int
    recorded_at: datetime
    actor: Actor | None
    command_id: str | None
    causation_id: str | None
    correlation_id: str | None
    event: Any
    traceparent: str | None = None


def utc(value: datetime) -> datetime:
    """The instant in UTC. Raises ValueError for a time without a zone."""
    if value.tzinfo is None:
        raise ValueError("a time needs a zone")
    return value.astimezone(UTC)


def iso(value: datetime | date) -> str:
    """The one text form of instants and dates in documents: `2026-03-03T10:00:00Z`, `2026-03-03`."""
    if isinstance(value, datetime):
        return utc(value).isoformat().replace("+00:00", "Z")
    return value.isoformat()


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414  the checker knows what it may be given
else:

    def replace(value: T, /, **changes: Any) -> T:
        """As the library's, for the states that `evolve` makes by the thousand: it copies fields, at a sixth of the price.

        Nothing runs that a class does when one of it is made; what it has remembered about itself is copied too.
        """
        made = object.__new__(type(value))
        made.__dict__.update(value.__dict__)
        made.__dict__.update(changes)
        return made


def fields_of(value: Any) -> Mapping[str, Any]:
    """The fields of a value by name, values untouched."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}

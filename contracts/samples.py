"""Golden samples: a stored form of every type, and the public form of every recorded event that others hear.

A sample is written once and never edited: what it holds must load for ever. A pair holds a recorded event and the public
event that `publish` made of it; the same recorded event must give the same public bytes for ever. The list of types may
only grow. Values are made from the types of the fields, so that the same class gives the same sample on every machine.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from chassis.event import LEFT_OUT, TYPES, Actor, PublicEvent, Seen, decode, encode, frozen, sha256, stable_id
from contracts.catalogue import SERVICES
from contracts.values import Money

FOLDER = Path(__file__).with_name("samples")
TYPE_LIST = "types.txt"
STORED_BY_THE_CHASSIS = (
    "chassis.bulk",
    "chassis.epoch",
    "chassis.parked",
    "chassis.record",
    "chassis.rulebook",
    "chassis.segments",
)
AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)

TEXTS = {
    "country": "AT",
    "currency": "EUR",
    "email": "ada@example.com",
    "from_month": "2026-03",
    "locale": "de-AT",
    "period": "2026-03",
    "status": "confirmed",
    "until_month": "2026-09",
    "zone": "Europe/Vienna",
}
"""What a text field of that name holds; any other text is the field's name."""
BALANCED = ("entries",)
"""Fields whose amounts must sum to zero: they hold one value and its opposite."""


@frozen
class Pair:
    """A recorded event and what the others hear of it.

    `form` is full (every field filled), bare (only what must be), or grown-n, filled with the n fields that came later.
    """

    service: str
    form: str
    recorded_type: str
    recorded: bytes
    public_type: str
    public: bytes

    @property
    def file(self) -> str:
        return f"pairs/{self.service}/{self.recorded_type}.{self.form}.json"


# Which types are stored


@cache
def stored_types() -> Mapping[str, type[Any]]:
    """Every type that a store or a topic may hold, by its name: of the contracts, of the chassis, and of each service."""
    for module in (*STORED_BY_THE_CHASSIS, *_domain_modules()):
        importlib.import_module(module)
    return {name: cls for name, cls in sorted(TYPES.classes.items()) if _of_ours(cls)}


def _of_ours(cls: type[Any]) -> bool:
    top, _, rest = cls.__module__.partition(".")
    return top in ("contracts", "services") or (top == "chassis" and not rest.startswith("testing"))


def _domain_modules() -> Iterator[str]:
    """The modules of every domain that stands beside the contracts; a service that was copied out has only its own."""
    services = Path(__file__).parents[1] / "services"
    for service in SERVICES:
        found = pkgutil.walk_packages([str(services / service / "domain")], f"services.{service}.domain.")
        yield from (module.name for module in found)


# Values by type


class Maker:
    """JSON values for the types of fields. A bare one leaves out what has a default, and what may be None is None."""

    def __init__(self, *, full: bool) -> None:
        self.full = full
        self._inside: list[type[Any]] = []

    def value(self, name: str, kind: inspect.Type) -> Any:
        return _MAKE[type(kind)](self, name, kind)

    def mapping(self, name: str, kind: Any) -> dict[str, Any]:
        """The fields of a dataclass. A class inside itself is not filled again; money is told by the field that holds it."""
        if kind.cls is Money:
            return {"amount": _amount(name), "currency": TEXTS["currency"]}
        again = kind.cls in self._inside
        self._inside.append(kind.cls)
        wanted = [field for field in kind.fields if field.required or (self.full and not again)]
        made = {field.encode_name: self.value(field.encode_name, field.type) for field in wanted}
        self._inside.pop()
        return made

    def many(self, name: str, kind: Any) -> list[Any]:
        if getattr(kind.item_type, "cls", None) in self._inside:
            return []
        item = self.value(name.removesuffix("s"), kind.item_type)
        return [item, _opposite(item)] if name in BALANCED else [item]

    def one_of(self, name: str, kind: Any) -> Any:
        nullable = any(isinstance(option, inspect.NoneType) for option in kind.types)
        if nullable and not self.full:
            return None
        return self.value(name, next(option for option in kind.types if not isinstance(option, inspect.NoneType)))

    def table(self, name: str, kind: Any) -> dict[str, Any]:
        return {self.value("name", kind.key_type): self.value(name, kind.value_type)}


def _opposite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _opposite(inner) for name, inner in value.items()}
    return f"-{value}" if _is_amount(value) else value


def _is_amount(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9]{3}\.00", value) is not None


def _amount(name: str) -> str:
    """Another one for each name, so that a pair shows when two fields are mixed up."""
    return f"{100 + _of_name(name, 900)}.00"


def _day(name: str) -> str:
    return f"2026-03-{1 + _of_name(name, 28):02}"


def _instant(name: str) -> str:
    return f"{_day(name)}T10:{_of_name(name, 60):02}:00Z"


def _of_name(name: str, below: int) -> int:
    return int(sha256(name.encode())[:8], 16) % below


def _text(maker: Maker, name: str, kind: Any) -> str:
    if name.endswith("sha256"):
        return sha256(name.encode())
    if name.endswith("_id"):
        return stable_id("sample", name)
    return TEXTS.get(name, name)


_MAKE: dict[type[inspect.Type], Callable[[Maker, str, Any], Any]] = {
    inspect.AnyType: lambda maker, name, kind: name,
    inspect.BoolType: lambda maker, name, kind: maker.full,
    inspect.DataclassType: Maker.mapping,
    inspect.DateTimeType: lambda maker, name, kind: _instant(name),
    inspect.DateType: lambda maker, name, kind: _day(name),
    inspect.DecimalType: lambda maker, name, kind: _amount(name),
    inspect.DictType: Maker.table,
    inspect.EnumType: lambda maker, name, kind: next(iter(kind.cls)).value,
    inspect.FloatType: lambda maker, name, kind: 1.5,
    inspect.FrozenSetType: Maker.many,
    inspect.IntType: lambda maker, name, kind: 1 + _of_name(name, 9),
    inspect.ListType: Maker.many,
    inspect.LiteralType: lambda maker, name, kind: kind.values[0],
    inspect.NamedTupleType: lambda maker, name, kind: [maker.value(field.name, field.type) for field in kind.fields],
    inspect.NoneType: lambda maker, name, kind: None,
    inspect.RawType: lambda maker, name, kind: {"name": "value"},
    inspect.StrType: _text,
    inspect.StructType: Maker.mapping,
    inspect.TupleType: lambda maker, name, kind: [maker.value(name, item) for item in kind.item_types],
    inspect.UnionType: Maker.one_of,
    inspect.VarTupleType: Maker.many,
}


def sample(name: str, *, full: bool = True) -> bytes:
    """The stored form of a value of the type `name`: always the same for the same class."""
    kind = inspect.type_info(stored_types()[name])
    return encode(decode(name, msgspec.json.encode(Maker(full=full).value("", kind))))


# Recorded and public


def published(service: str, recorded_type: str, recorded: bytes) -> PublicEvent | None:
    """What `service` tells the others of a recorded event."""
    publishing = importlib.import_module(f"services.{service}.publishing")
    told: PublicEvent | None = publishing.publish(_seen(service, recorded_type, recorded))
    return told


def _seen(service: str, recorded_type: str, recorded: bytes) -> Seen:
    return Seen(
        id=stable_id("sample", recorded_type),
        type=recorded_type,
        source=service,
        tenant="acme",
        stream="acme:sample-1",
        version=1,
        position=1,
        recorded_at=AT,
        actor=Actor(kind="vendor", subject="ada"),
        command_id=stable_id("sample", "command"),
        causation_id=None,
        correlation_id=stable_id("sample", "correlation"),
        event=decode(recorded_type, recorded),
    )


def pairs() -> Iterator[Pair]:
    """Every recorded event that a service publishes; the bare form too, where the event has fields to leave out."""
    for service in SERVICES:
        for name in stored_types():
            if name.startswith((f"{service}.", "chassis.Rules")):
                yield from _pairs_of(service, name)


def _pairs_of(service: str, name: str) -> Iterator[Pair]:
    forms = {"full": sample(name), "bare": sample(name, full=False)}
    if later := _came_later(stored_types()[name]):
        forms[f"grown-{later}"] = forms["full"]
    for form, recorded in forms.items():
        told = published(service, name, recorded)
        if told is not None and (form != "bare" or recorded != forms["full"]):
            yield Pair(
                service=service,
                form=form,
                recorded_type=name,
                recorded=recorded,
                public_type=told.type,
                public=encode(told),
            )


def _came_later(cls: type[Any]) -> int:
    """How many fields are left out by what was stored before they came."""
    return sum(field.default is LEFT_OUT for field in fields(cls))


# Files


def write(folder: Path = FOLDER) -> list[str]:
    """Writes the samples and pairs that are not there yet, and adds new types to the list. Answers what it wrote."""
    names = stored_types()
    wanted = {f"{name}.json": sample(name) for name in names} | {pair.file: _pair_body(pair) for pair in pairs()}
    new = [file for file in wanted if not (folder / file).exists()]
    for file in new:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_for_people(wanted[file]))
    _list(folder, names)
    return new


def _pair_body(pair: Pair) -> bytes:
    return msgspec.json.encode(
        {
            "recorded": {"type": pair.recorded_type, "data": msgspec.Raw(pair.recorded)},
            "public": {"type": pair.public_type, "data": msgspec.Raw(pair.public)},
        }
    )


def _for_people(body: bytes) -> bytes:
    """The same JSON, one field a line; `as_stored` gives its bytes back."""
    return msgspec.json.format(body, indent=2) + b"\n"


def as_stored(text: bytes) -> bytes:
    """The bytes that a store holds, from a sample's text."""
    return msgspec.json.format(text, indent=-1).strip()


def _list(folder: Path, names: Iterable[str]) -> None:
    listed = folder / TYPE_LIST
    known = set(listed.read_text().split()) if listed.exists() else set()
    listed.write_text("".join(f"{name}\n" for name in sorted(known.union(names))))

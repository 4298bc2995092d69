"""JSON Schemas of the types that answers are made of, each named one once: for documents that people generate from.

A type says what is sent, as JSON: TypedDicts and dataclasses are objects that always have all their fields (but those
that are NotRequired or may be left out), `Annotated[dict[str, Any], Customer]` is the plain form of a `Customer`, sealed
text is the text. A text named `…_at` is an instant, one named `…_on` a day.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from chassis.event import LeftOut, Sealed

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/"
FORMATS = {"_at": "date-time", "_on": "date"}
ANYTHING: Schema = {}
SHARED = "shared."
NOBODY_S = ("chassis.", "contracts.")
PLAIN: Mapping[Any, Schema] = {
    Any: ANYTHING,
    object: ANYTHING,
    NoneType: {"type": "null"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "string", "format": "decimal"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    Sealed: {"type": ["string", "null"], "description": "Personal text; null once its person is forgotten."},
}


class SameName(TypeError):
    """Two types of one document have one name: a reader would take one for the other."""


class Schemas:
    """Makes schemas of types. `named` are those of the classes met so far, by the name that references use."""

    def __init__(self) -> None:
        self.named: dict[str, Schema] = {}
        self._kinds: dict[str, Any] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a type, a reference where it has a name. Raises TypeError for what has no form in JSON."""
        make = _MAKERS.get(get_origin(kind) or kind) or self._maker(kind)
        return make(self, kind)

    def _maker(self, kind: Any) -> Callable[["Schemas", Any], Schema]:
        if isinstance(kind, NewType):
            return lambda it, one: it.of(one.__supertype__)
        if _is_object(kind):
            return Schemas._named
        if isinstance(kind, type) and issubclass(kind, Enum):
            return lambda _, one: {"enum": [member.value for member in one]}
        raise TypeError(f"{kind!r} has no form in JSON")

    def _named(self, kind: Any) -> Schema:
        name = name_of(kind)
        if self._kinds.setdefault(name, kind) != kind:
            raise SameName(f"{self._kinds[name]!r} and {kind!r} are both {name}")
        if name not in self.named:
            self.named[name] = {}  # so that a type may hold itself
            self.named[name].update(self._object(kind))
        return {"$ref": f"{REFERENCE}{name}"}

    def _object(self, kind: Any) -> Schema:
        cls = get_origin(kind) or kind
        given = dict(zip(getattr(cls, "__parameters__", ()), get_args(kind), strict=True))
        hints = get_type_hints(cls, include_extras=True)
        properties = {name: _timed(name, self.of(_filled(hints[name], given))) for name in _fields(cls)}
        always = [name for name in properties if LeftOut not in get_args(hints[name])]
        required = [name for name in always if name in getattr(cls, "__required_keys__", properties)]
        return {"type": "object", **_told(cls), "properties": properties, "required": required}


def _either(it: Schemas, kind: Any) -> Schema:
    made = [it.of(one) for one in get_args(kind) if one is not LeftOut]
    unlike = [one for place, one in enumerate(made) if one not in made[:place]]
    return {"anyOf": unlike} if len(unlike) > 1 else unlike[0]


def _list(it: Schemas, kind: Any) -> Schema:
    return {"type": "array", "items": it.of(get_args(kind)[0])}


def _map(it: Schemas, kind: Any) -> Schema:
    within = it.of(get_args(kind)[1]) if get_args(kind) else ANYTHING
    return {"type": "object", "additionalProperties": within} if within else {"type": "object"}


def name_of(kind: Any) -> str:
    """The name of a type in a document: `Deal` for DealDocument, `DealPage` for a page of them.

    What is no service's own is `shared.Why`, so that all of them together need it once.
    """
    classes = [*_classes(kind)]
    own = "".join(one.__name__.removesuffix("Document") for one in classes)
    return f"{SHARED}{own}" if all(one.__module__.startswith(NOBODY_S) for one in classes) else own


def _classes(kind: Any) -> Iterator[type[Any]]:
    for part in get_args(kind):
        yield from _classes(part)
    yield get_origin(kind) or kind


def _fields(cls: Any) -> Sequence[str]:
    return [field.name for field in fields(cls)] if is_dataclass(cls) else list(cls.__annotations__)


def _is_object(kind: Any) -> bool:
    cls = get_origin(kind) or kind
    return is_typeddict(cls) or (isinstance(cls, type) and is_dataclass(cls))


def _filled(hint: Any, given: Mapping[Any, Any]) -> Any:
    """The type of a field, with what its class was given in place of its type variables."""
    if isinstance(hint, TypeVar):
        return given[hint]
    return hint[tuple(given[one] for one in hint.__parameters__)] if getattr(hint, "__parameters__", ()) else hint


def _told(cls: type[Any]) -> Schema:
    """What its docstring says, where a person wrote one."""
    text = " ".join((cls.__doc__ or "").split())
    return {} if not text or text.startswith(f"{cls.__name__}(") else {"description": text}


def _timed(name: str, schema: Schema) -> Schema:
    """Says what kind of time a text is, which its name tells."""
    told = FORMATS.get(name[-len("_at") :])
    if told is None:
        return schema
    parts = [{**one, "format": told} if one == PLAIN[str] else one for one in schema.get("anyOf", [schema])]
    return {"anyOf": parts} if "anyOf" in schema else parts[0]


_MAKERS: dict[Any, Callable[[Schemas, Any], Schema]] = {
    Annotated: lambda it, kind: it.of(get_args(kind)[1]),
    NotRequired: lambda it, kind: it.of(get_args(kind)[0]),
    Union: _either,
    UnionType: _either,
    Literal: lambda _, kind: {"enum": list(get_args(kind))},
    **dict.fromkeys((list, tuple, Sequence), _list),
    **dict.fromkeys((dict, Mapping), _map),
    **{kind: lambda _, one: {**PLAIN[one]} for kind in PLAIN},
}

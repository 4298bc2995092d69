"""Immutable values: what `dataclasses.dataclass(frozen=True, kw_only=True)` makes, at a fraction of its price.

The library compiles six methods for every class, and its `__init__` asks `object.__setattr__` for every field. A service
makes some seven hundred such classes before it is ready, and values of them by the thousand
(docs/adr/0047-frozen-values-compile-one-method.md). Here one method is compiled a class and the others are shared. What
the library and others ask of a dataclass holds: `fields`, `asdict`, its own `replace`, pickling, keyword-only signatures.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Makes the class an immutable one whose fields are given by name; a base that has fields is to be made so too.

    Values of one class are equal, and hash alike, when their fields do. Who sets or deletes one meets FrozenInstanceError.
    """
    made: Any = dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)
    compared = [one.name for one in fields(made) if one.compare]
    made.__compared__ = staticmethod(attrgetter(*compared) if compared else _nothing)
    made.__init__ = _init(made)
    made.__setattr__ = made.__delattr__ = _refuse
    made.__repr__, made.__eq__, made.__hash__ = _repr, _equal, _hash
    return cls


def _init(cls: Any) -> Callable[..., None]:
    """`__init__`, which writes the fields where Python keeps them, as setting them is refused."""
    known: dict[str, Any] = {"MISSING": MISSING}
    lines = ["own = self.__dict__", *(_written(one, known) for one in fields(cls))]
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    given = ", ".join(_given(one) for one in fields(cls) if one.init)
    exec(f"def __init__(self{', *, ' if given else ''}{given}):\n " + "\n ".join(lines), known)  # noqa: S102  names alone
    init = known.pop("__init__")
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    init.__annotations__ = {one.name: one.type for one in fields(cls) if one.init}
    return init  # type: ignore[no-any-return]


def _given(one: Field[Any]) -> str:
    """The field among the parameters."""
    if one.default is not MISSING:
        return f"{one.name}=default_of_{one.name}"
    return one.name if one.default_factory is MISSING else f"{one.name}=MISSING"


def _written(one: Field[Any], known: dict[str, Any]) -> str:
    """The line that writes the field; what it or its parameter refers to is added to `known`."""
    known[f"default_of_{one.name}"] = one.default
    value = one.name if one.init else f"default_of_{one.name}"
    if one.default_factory is not MISSING:
        known[f"made_{one.name}"] = one.default_factory
        value = f"made_{one.name}() if {value} is MISSING else {value}"
    return f"own['{one.name}'] = {value}"


def _nothing(_: Any) -> tuple[()]:
    return ()


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise FrozenInstanceError(f"{type(self).__qualname__} is immutable: {name!r} stays as it is")


def _repr(self: Any) -> str:
    told = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({told})"


def _equal(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return bool(self.__compared__(self) == self.__compared__(other))


def _hash(self: Any) -> int:
    return hash(self.__compared__(self))

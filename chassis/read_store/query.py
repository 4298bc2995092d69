"""A query of the port as SQL: conditions over JSON fields, the order, and what lies beyond a cursor.

Field names become JSON paths and so part of the SQL text; they are checked, values are always bound. What SQLite and
PostgreSQL spell differently is their `Dialect`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from chassis.event import frozen
from chassis.read_store.port import VALUES_MAX, Contains, NotIndexed, Range, Where

FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
FIELDS_KNOWN = 1_000
Sql = tuple[str, list[Any]]
Member = Callable[[str, str, str, list[Any], Sequence[str]], Sql]
"""Model, tenant, name of the list, the values of which it must hold one, the indexes: the condition."""


@frozen
class Dialect:
    """How one engine spells it: a bound value's `mark`, a `path` into a document, a list's `member`."""

    mark: str
    path: Callable[[str], str]
    member: Member
    bound: Callable[[Any], Any] = lambda value: value
    absent: Mapping[str, str]
    """What puts absent values first in each direction's order, where the engine does not by itself."""

    def expression(self, name: str) -> str:
        """The SQL of one field. It must be spelled alike in an index and in a query, or the index is not used."""
        return "id" if name == "id" else self.path(checked(name))

    def value(self, name: str, value: Any) -> Any:
        """The value as it is bound beside the field's expression."""
        return value if name == "id" else self.bound(value)

    def marks(self, count: int) -> str:
        return ", ".join([self.mark] * count)


@lru_cache(maxsize=FIELDS_KNOWN)
def checked(name: str) -> str:
    """The name of a field. Raises ValueError for one that could carry anything else into the SQL."""
    if not FIELD.fullmatch(name):
        raise ValueError(f"{name!r} is not a field of a document")
    return name


def lists_of(indexes: Sequence[str]) -> tuple[str, ...]:
    """The fields whose members are indexed: `partner_ids[]` names the list `partner_ids`."""
    return tuple(index.removesuffix("[]") for index in indexes if index.endswith("[]"))


def columns_of(index: str) -> list[str]:
    """The fields of one index: `stage,due_at` names two."""
    return [name.strip() for name in index.split(",")]


def label_of(index: str) -> str:
    """The index in the name that the engine gives it."""
    return index.replace(".", "_").replace(",", "_").replace(" ", "").removesuffix("[]")


def wanted_values(values: Any) -> tuple[list[Any], bool]:
    """The values of a filter that takes one of several, and whether none at all will do. Raises ValueError."""
    values = list(values)
    if len(values) > VALUES_MAX:
        raise ValueError(f"a filter takes at most {VALUES_MAX} values, not {len(values)}")
    present = [value for value in values if value is not None]
    return present, len(present) < len(values)


def sorted_by(sort: str, indexes: Sequence[str]) -> tuple[str, bool]:
    """The sorted field and whether it descends. Raises NotIndexed for a field that no index covers."""
    name = sort.removeprefix("-")
    if name != "id" and not any(name in columns_of(index) for index in indexes):
        raise NotIndexed(f"sort by {name!r} needs the field in the projection's indexes {tuple(indexes)}")
    return name, sort.startswith("-")


def conditions(dialect: Dialect, model: str, tenant: str, where: Where | None, indexes: Sequence[str]) -> Sql:
    """The WHERE clause for one tenant and all the filters."""
    parts, values = [f"tenant = {dialect.mark}"], [tenant]
    for name, wanted in (where or {}).items():
        part, bound = _condition(dialect, model, tenant, name, wanted, indexes)
        parts.append(part)
        values.extend(bound)
    return " AND ".join(parts), values


def _condition(dialect: Dialect, model: str, tenant: str, name: str, wanted: Any, indexes: Sequence[str]) -> Sql:
    field = dialect.expression(name)
    if isinstance(wanted, str):
        return f"{field} = {dialect.mark}", [dialect.value(name, wanted)]
    if wanted is None:
        return f"{field} IS NULL", []
    if isinstance(wanted, Contains):
        return dialect.member(model, tenant, name, wanted.values, indexes)
    if isinstance(wanted, Range):
        return _range(dialect, name, wanted)
    if isinstance(wanted, tuple | list | set | frozenset):
        return _one_of(dialect, name, wanted)
    return f"{field} = {dialect.mark}", [dialect.value(name, wanted)]


def _one_of(dialect: Dialect, name: str, values: Any) -> Sql:
    present, also_absent = wanted_values(values)
    field = dialect.expression(name)
    absent = f"{field} IS NULL" if also_absent else "FALSE"
    if not present:
        return absent, []
    fits = f"{field} IN ({dialect.marks(len(present))})"
    bound = [dialect.value(name, value) for value in present]
    return (f"({fits} OR {absent})" if also_absent else fits), bound


def _range(dialect: Dialect, name: str, wanted: Range) -> Sql:
    field = dialect.expression(name)
    bounds = [(f"{field} >= {dialect.mark}", wanted.at_least), (f"{field} < {dialect.mark}", wanted.below)]
    parts = [(part, dialect.value(name, value)) for part, value in bounds if value is not None]
    return " AND ".join(part for part, _ in parts) or "TRUE", [value for _, value in parts]


def order(dialect: Dialect, sort: str, indexes: Sequence[str]) -> tuple[str, str]:
    """The sorted field and the direction. Raises NotIndexed for a field that no index covers."""
    name, descending = sorted_by(sort, indexes)
    dialect.expression(name)
    return name, "DESC" if descending else "ASC"


def ordered(dialect: Dialect, name: str, direction: str) -> str:
    """The ORDER BY clause: the field, then the id, in one direction, so that an index gives it either way round."""
    if name == "id":
        return f"ORDER BY id {direction}"
    return f"ORDER BY {dialect.expression(name)} {direction}{dialect.absent[direction]}, id {direction}"


def beyond(dialect: Dialect, name: str, direction: str, after: Sequence[Any] | None) -> Sql:
    """What comes after a cursor, in an order where absent values stand first (last when descending)."""
    if after is None:
        return "TRUE", []
    value, last_id = after
    sign = ">" if direction == "ASC" else "<"
    field, mark = dialect.expression(name), dialect.mark
    if name == "id":
        return f"id {sign} {mark}", [last_id]
    if value is None:
        rest = f" OR {field} IS NOT NULL" if direction == "ASC" else ""
        return f"(({field} IS NULL AND id {sign} {mark}){rest})", [last_id]
    rest = f" OR {field} IS NULL" if direction == "DESC" else ""
    return f"(({field}, id) {sign} ({mark}, {mark}){rest})", [dialect.value(name, value), last_id]

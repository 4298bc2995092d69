"""A query of the port as SQLite's SQL: conditions over JSON fields, the order, and what lies beyond a cursor.

Field names become JSON paths and so part of the SQL text; they are checked, values are always bound.
"""

# ruff: noqa: S608  table names come from projections and field names are checked; values are always bound

import re
from collections.abc import Sequence
from typing import Any

from chassis.read_store.port import VALUES_MAX, Contains, NotIndexed, Range, Where

FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
Sql = tuple[str, list[Any]]


def expression(name: str) -> str:
    """The SQL of one field. It must be spelled alike in an index and in a query, or the index is not used."""
    if name == "id":
        return "id"
    if not FIELD.fullmatch(name):
        raise ValueError(f"{name!r} is not a field of a document")
    return f"json_extract(body, '$.{name}')"


def lists_of(indexes: Sequence[str]) -> tuple[str, ...]:
    """The fields whose members are indexed: `partner_ids[]` names the list `partner_ids`."""
    return tuple(index.removesuffix("[]") for index in indexes if index.endswith("[]"))


def columns_of(index: str) -> list[str]:
    """The fields of one index: `stage,due_at` names two."""
    return [name.strip() for name in index.split(",")]


def conditions(model: str, tenant: str, where: Where | None, indexes: Sequence[str]) -> Sql:
    """The WHERE clause for one tenant and all the filters."""
    parts, values = ["tenant = ?"], [tenant]
    for name, wanted in (where or {}).items():
        part, bound = _condition(model, tenant, name, wanted, indexes)
        parts.append(part)
        values.extend(bound)
    return " AND ".join(parts), values


def _condition(model: str, tenant: str, name: str, wanted: Any, indexes: Sequence[str]) -> Sql:
    field = expression(name)
    if wanted is None:
        return f"{field} IS NULL", []
    if isinstance(wanted, Contains):
        return _contains(model, tenant, name, wanted, indexes)
    if isinstance(wanted, Range):
        return _range(field, wanted)
    if isinstance(wanted, tuple | list | set | frozenset):
        return _one_of(field, list(wanted))
    return f"{field} = ?", [wanted]


def _one_of(field: str, values: list[Any]) -> Sql:
    if len(values) > VALUES_MAX:
        raise ValueError(f"a filter takes at most {VALUES_MAX} values, not {len(values)}")
    present = [value for value in values if value is not None]
    absent = f" OR {field} IS NULL" if len(present) < len(values) else ""
    return f"({field} IN ({', '.join('?' * len(present))}){absent})", present


def _range(field: str, wanted: Range) -> Sql:
    bounds = [(f"{field} >= ?", wanted.at_least), (f"{field} < ?", wanted.below)]
    parts = [(part, value) for part, value in bounds if value is not None]
    return " AND ".join(part for part, _ in parts) or "1", [value for _, value in parts]


def _contains(model: str, tenant: str, name: str, wanted: Contains, indexes: Sequence[str]) -> Sql:
    values = [wanted.value] if wanted.alternative is None else [wanted.value, wanted.alternative]
    fits = f"value IN ({', '.join('?' * len(values))})"
    if name in lists_of(indexes):
        members = f'SELECT id FROM "{model}__members" WHERE tenant = ? AND field = ? AND {fits}'
        return f"id IN ({members})", [tenant, name, *values]
    expression(name)
    return f"EXISTS (SELECT 1 FROM json_each(body, '$.{name}') AS member WHERE member.{fits})", values


def order(sort: str, indexes: Sequence[str]) -> tuple[str, str]:
    """The sorted field's SQL and the direction. Raises NotIndexed for a field that no index covers."""
    name = sort.removeprefix("-")
    if name != "id" and not any(name in columns_of(index) for index in indexes):
        raise NotIndexed(f"sort by {name!r} needs the field in the projection's indexes {tuple(indexes)}")
    return expression(name), "DESC" if sort.startswith("-") else "ASC"


def ordered(field: str, direction: str) -> str:
    """The ORDER BY clause: the field, then the id, in one direction, so that an index gives it either way round."""
    return f"ORDER BY id {direction}" if field == "id" else f"ORDER BY {field} {direction}, id {direction}"


def beyond(field: str, direction: str, after: Sequence[Any] | None) -> Sql:
    """What comes after a cursor, in an order where absent values stand first (last when descending)."""
    if after is None:
        return "1", []
    value, last_id = after
    sign = ">" if direction == "ASC" else "<"
    if field == "id":
        return f"id {sign} ?", [last_id]
    if value is None:
        rest = f" OR {field} IS NOT NULL" if direction == "ASC" else ""
        return f"(({field} IS NULL AND id {sign} ?){rest})", [last_id]
    rest = f" OR {field} IS NULL" if direction == "DESC" else ""
    return f"(({field}, id) {sign} (?, ?){rest})", [value, last_id]

"""What two JSON bodies differ in, as a list that a person can read: path, before, after."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chassis.event import frozen


@frozen
class Difference:
    """One place: `schedule.bands[1].percent` was `before` and is `after`; None where there was or is nothing."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Every place where the two differ, in the order of the paths. What moved within a list differs place by place."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif _is_list(before) and _is_list(after):
        for place in range(max(len(before), len(after))):
            yield from differences(_at(before, place), _at(after, place), f"{path}[{place}]")
    elif before != after:
        yield Difference(path=path, before=before, after=after)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _at(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else None

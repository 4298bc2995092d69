"""Conditions of modifiers: typed comparisons joined by and/or, at most four levels deep. They are data, never code."""

from collections.abc import Iterable
from typing import Literal

from chassis.event import frozen

DEPTH_MAX = 4
VALUES_MAX = 200
Field = Literal["tier", "certification", "product", "deal_type", "role", "region"]


@frozen
class Condition:
    """Exactly one of: a field that has one of some values, all of some conditions, any of some conditions."""

    field: Field | None = None
    is_one_of: tuple[str, ...] = ()
    all_of: tuple["Condition", ...] = ()
    any_of: tuple["Condition", ...] = ()


@frozen
class Circumstances:
    """What conditions look at: who is credited in what deal, as it stood on the day that the plan names."""

    tier: str | None = None
    certifications: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    deal_type: str = ""
    role: str = ""
    region: str | None = None

    def of(self, field: Field) -> tuple[str, ...]:
        """The values of one field; none where nothing is known."""
        single = {"tier": self.tier, "deal_type": self.deal_type, "role": self.role, "region": self.region}
        if field in single:
            known = single[field]
            return (known,) if known else ()
        return self.certifications if field == "certification" else self.products


def holds(condition: Condition, at: Circumstances) -> bool:
    """Whether the condition is met. What is not known meets nothing."""
    if condition.field is not None:
        return not set(condition.is_one_of).isdisjoint(at.of(condition.field))
    if condition.all_of:
        return all(holds(part, at) for part in condition.all_of)
    return any(holds(part, at) for part in condition.any_of)


def text_of_condition(condition: Condition) -> str:
    """The condition as people say it: `tier is gold and (role is resell or region is DE)`."""
    if condition.field is not None:
        return f"{condition.field.replace('_', ' ')} is {' or '.join(condition.is_one_of)}"
    joint, parts = (" and ", condition.all_of) if condition.all_of else (" or ", condition.any_of)
    return joint.join(
        f"({text_of_condition(part)})" if part.field is None else text_of_condition(part) for part in parts
    )


def condition_faults(condition: Condition) -> list[str]:
    """What is wrong with a condition, in sentences; nothing for a sound one."""
    if _depth(condition) > DEPTH_MAX:
        return [f"a condition is at most {DEPTH_MAX} levels deep"]
    return [text for part in _every(condition) for text in _own_faults(part)]


def _own_faults(condition: Condition) -> list[str]:
    said = [condition.field is not None, bool(condition.all_of), bool(condition.any_of)]
    if sum(said) != 1:
        return ["a condition has exactly one of field, all_of and any_of"]
    if (condition.field is not None) != bool(condition.is_one_of):
        return ["a field goes with the values that it is one of"]
    listed = max(len(condition.is_one_of), len(condition.all_of), len(condition.any_of))
    return [f"a condition lists at most {VALUES_MAX}"] if listed > VALUES_MAX else []


def _parts(condition: Condition) -> tuple[Condition, ...]:
    return (*condition.all_of, *condition.any_of)


def _every(condition: Condition) -> Iterable[Condition]:
    yield condition
    for part in _parts(condition):
        yield from _every(part)


def _depth(condition: Condition) -> int:
    return 1 + max((_depth(part) for part in _parts(condition)), default=0)

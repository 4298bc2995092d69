"""What the public form of an event says since a later evaluator. What was recorded before says what it said."""

from collections.abc import Callable
from dataclasses import is_dataclass, replace
from functools import wraps
from typing import Any

from chassis.event import LEFT_OUT

TOLD_LATER = ("tells_withheld", "tells_criteria")
"""The fields by which a recorded event says that its public form tells it."""


def untold(decide: Callable[..., Any]) -> Callable[..., Any]:
    """The decision as it was before its events told that."""

    @wraps(decide)
    def decided(*states: Any) -> Any:
        return _untold(decide(*states))

    return decided


def _untold(happened: Any) -> Any:
    if isinstance(happened, list | tuple):
        return type(happened)(_untold(one) for one in happened)
    if not is_dataclass(happened) or isinstance(happened, type):
        return happened
    names = [name for name in TOLD_LATER if hasattr(happened, name)]
    return replace(happened, **dict.fromkeys(names, LEFT_OUT)) if names else happened

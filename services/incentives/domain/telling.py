"""What the public form of an event says since a later evaluator. What was recorded before says what it said."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial, wraps
from typing import Any

from chassis.event import LEFT_OUT

BACK_TOLD = ("withheld",)
"""What of a payment that is blocked, fails or is declined was withheld: where it came later it is left out by default."""
LOWERED = ("lowered",)
"""That an override set a tier below where it was, so that it can be appealed."""
TOLD_LATER = ("tells_withheld", "tells_criteria", *BACK_TOLD, *LOWERED)
"""The fields by which a recorded event says that its public form tells something."""


def without(names: tuple[str, ...], decide: Callable[..., Any]) -> Callable[..., Any]:
    """The decision as it was before its events told that."""

    @wraps(decide)
    def decided(*states: Any) -> Any:
        return _without(names, decide(*states))

    return decided


untold = partial(without, TOLD_LATER)
back_untold = partial(without, BACK_TOLD)
lowered_untold = partial(without, LOWERED)


def _without(names: tuple[str, ...], happened: Any) -> Any:
    if isinstance(happened, list | tuple):
        return type(happened)(_without(names, one) for one in happened)
    if not is_dataclass(happened) or isinstance(happened, type):
        return happened
    later = [field.name for field in fields(happened) if field.name in names and field.default is LEFT_OUT]
    return replace(happened, **dict.fromkeys(later, LEFT_OUT)) if later else happened

"""Imports the frameworks without what they bring along for others: a sixth of a service's start, and 7 MiB of it.

Whoever starts a process imports it before anything that imports them.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

ABSENT: Any = None
"""What the table of modules holds for one that is not installed."""


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Inside, a module that nobody has imported yet counts as not installed."""
    hidden = sys.modules.setdefault(module, ABSENT) is ABSENT
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


@contextmanager
def _models_compiled_when_used() -> Iterator[None]:
    """Models declared inside are compiled at their first use."""
    before = BaseModel.model_config
    BaseModel.model_config = {**before, "defer_build": True}
    try:
        yield
    finally:
        BaseModel.model_config = before


with _without("rich"):  # it would colour tracebacks that are written without it
    import structlog  # noqa: F401

with _models_compiled_when_used():  # those of an OpenAPI document, which is seldom asked for
    import fastapi  # noqa: F401

# FastAPI asks it, of everything that a route takes, whether it is one of its models, and takes no for an answer.
sys.modules.setdefault("pydantic.v1", ABSENT)

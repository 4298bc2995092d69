"""How the services stand, as every page says it: what is behind, what was set aside, and which figures are not whole."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from chassis.application import Application
from chassis.event import frozen
from chassis.identity import Principal
from services.gateway.api.door import call

BEHIND_SHOWN = 100
NAMED_MAX = 6
ASK_SECONDS = 1.0
KEPT_SECONDS = 10.0


@frozen
class Models:
    """Read models by their service, and how many more there are than a page names."""

    named: tuple[tuple[str, tuple[str, ...]], ...] = ()
    more: int = 0

    @property
    def count(self) -> int:
        return sum(len(names) for _, names in self.named) + self.more


@frozen
class Standing:
    """How far figures are behind, how much was set aside, and whose figures a bug or an unreadable message has spoilt."""

    ready: bool
    behind: int
    parked: int
    stopped: Models
    incomplete: Models

    @property
    def whole(self) -> bool:
        """No figures are known to miss anything but what is on its way."""
        return not (self.stopped.count or self.incomplete.count)


def standing_of(states: Mapping[str, Any]) -> Standing:
    """What the states of services, as they tell their readiness, come to. Few events behind are not worth a word."""
    models = [(name, model, told) for name, state in states.items() for model, told in state["models"].items()]
    behind = max((told["behind"] for _, _, told in models if told["stopped"] is None), default=0)
    return Standing(
        ready=all(state["ready"] for state in states.values()),
        behind=behind if behind >= BEHIND_SHOWN else 0,
        parked=sum(state["parked"] for state in states.values()),
        stopped=_named((name, model) for name, model, told in models if told["stopped"] is not None),
        incomplete=_named((name, model) for name, model, told in models if told["incomplete"]),
    )


def _named(found: Iterable[tuple[str, str]]) -> Models:
    every = sorted(found)
    by_service = groupby(every[:NAMED_MAX], key=itemgetter(0))
    named = tuple((service, tuple(model for _, model in pairs)) for service, pairs in by_service)
    return Models(named=named, more=len(every[NAMED_MAX:]))


class FarStates:
    """What services in other processes told of themselves last: asked for at most every few seconds."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, dict[str, Any]]] = {}

    async def of(self, app: Application, who: Principal, services: Iterable[str]) -> dict[str, Any]:
        """The states of these services. One that does not answer soon is left out: each panel says so of its own."""
        now = asyncio.get_running_loop().time()
        old = [name for name in services if self._told.get(name, (now - KEPT_SECONDS,))[0] <= now - KEPT_SECONDS]
        for name, state in zip(old, await asyncio.gather(*(_asked(app, who, name) for name in old)), strict=True):
            self._told[name] = now, state
        return dict(self._each(services))

    def _each(self, services: Iterable[str]) -> Iterator[tuple[str, Any]]:
        for name in services:
            yield from self._told[name][1].items()


async def _asked(app: Application, who: Principal, service: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            answer = await call(app, who, "GET", service, "/readyz")
            told = answer.json()
    except (TimeoutError, ValueError):
        return {}
    found: dict[str, Any] = told.get("services", {})
    return {service: found[service]} if service in found else {}

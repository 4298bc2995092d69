"""A later release of a service for a rollout: `python -m tests.scenarios.next_release onboarding 1 serve …`.

Its read models (of `gateway/members`: that one) have a version that is so much higher, so that it has to fill its own
beside those of the release that is at work.
"""

import importlib
import sys
from dataclasses import replace
from typing import Any

from chassis.cli import command_line
from chassis.projection import Projection
from chassis.service import Service, World


def main(which: str, later: int) -> None:
    name, _, model = which.partition("/")
    app = importlib.import_module(f"services.{name}.app")

    def build(settings: Any, world: World) -> Service:
        service: Service = app.build(settings, world)
        models = tuple(_later(one, later) if model in ("", one.name) else one for one in service.blueprint.projections)
        service.blueprint = replace(service.blueprint, projections=models)
        return service

    command_line(name, app.Settings, build)()


def _later(one: Projection, later: int) -> Projection:
    return replace(one, version=one.version + later)


if __name__ == "__main__":
    main(sys.argv.pop(1), int(sys.argv.pop(1)))

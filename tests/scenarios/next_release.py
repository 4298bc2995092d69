"""A later release of onboarding for a rollout: `python -m tests.scenarios.next_release 1 serve …`.

Its read models have a version that is so much higher, so that it has to fill its own beside those of the release that is
at work.
"""

import sys
from dataclasses import replace

from chassis.cli import command_line
from chassis.service import Service, World, assemble
from services.onboarding.app import BLUEPRINT, Settings


def main(later: int) -> None:
    models = tuple(replace(one, version=one.version + later) for one in BLUEPRINT.projections)

    def build(settings: Settings, world: World) -> Service:
        return assemble(replace(BLUEPRINT, projections=models), settings, world)

    command_line("onboarding", Settings, build)()


if __name__ == "__main__":
    main(int(sys.argv.pop(1)))

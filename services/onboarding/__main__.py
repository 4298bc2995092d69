"""The command line of onboarding: serve, migrate, rebuild, verify, parked."""

from chassis.cli import command_line
from services.onboarding.app import Settings, build

if __name__ == "__main__":
    command_line("onboarding", Settings, build)()

"""The command line of incentives: serve, migrate, rebuild, verify, parked."""

from chassis.cli import command_line
from services.incentives.app import Settings, build

if __name__ == "__main__":
    command_line("incentives", Settings, build)()

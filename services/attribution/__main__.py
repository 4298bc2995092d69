"""The command line of attribution: serve, migrate, rebuild, verify, parked."""

from chassis.cli import command_line
from services.attribution.app import Settings, build

if __name__ == "__main__":
    command_line("attribution", Settings, build)()

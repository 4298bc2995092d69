"""The command line of registration: serve, migrate, rebuild, verify, parked."""

from chassis.cli import command_line
from services.registration.app import Settings, build

if __name__ == "__main__":
    command_line("registration", Settings, build)()

"""The command line of the gateway: serve, migrate, rebuild, verify, parked."""

from chassis.cli import command_line
from services.gateway.app import Settings, build

if __name__ == "__main__":
    command_line("gateway", Settings, build)()

"""The command line of incentives: that of every service, and the offline check of a statement."""

from pathlib import Path

import typer

from chassis.cli import command_line
from services.incentives.app import Settings, build
from services.incentives.domain.verifying import verify

cli = command_line("incentives", Settings, build)


@cli.command("verify-statement")
def verify_statement(file: Path) -> None:
    """Recomputes a downloaded statement from its events, offline. Exit 1 names the lines that do not hold."""
    findings = verify(file.read_text(encoding="utf-8"))
    for finding in findings:
        print(finding)
    if findings:
        raise typer.Exit(1)
    print("the statement follows from its events, to the cent")


if __name__ == "__main__":
    cli()

"""The command line of incentives: that of every service, and the offline check of a statement."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from chassis.cli import DATA, command_line, decide_again
from chassis.process import run
from chassis.proof import unsigned
from services.incentives.app import Settings, build
from services.incentives.domain.verifying import as_recorded, kept_back, verify

cli = command_line("incentives", Settings, build)


DAY = ["%Y-%m-%d"]


@cli.command()
def recalculate(
    since: Annotated[datetime, typer.Option("--from", formats=DAY, help="The first day.")],
    until: Annotated[datetime, typer.Option("--to", formats=DAY, help="The last day.")],
    data: DATA = Path("./data"),
) -> None:
    """Rates and posts again whatever was recorded on these days, and compares it with the log bit by bit.

    Exit 1 names what differs. Stop the service first.
    """
    span = (since.replace(tzinfo=UTC), until.replace(tzinfo=UTC) + timedelta(days=1))
    run(decide_again(Settings.read(data=data), build, span))


@cli.command("verify-statement")
def verify_statement(
    file: Path,
    key: Annotated[str | None, typer.Option(help="The witness's key, which you got earlier and elsewhere.")] = None,
) -> None:
    """Recomputes a downloaded statement from its events, offline. Exit 1 names the lines that do not hold."""
    text = file.read_text(encoding="utf-8")
    findings = verify(text) or (unsigned(json.loads(text), key) if key else [])
    for finding in findings:
        print(finding)
    if findings:
        raise typer.Exit(1)
    print("the statement follows from its events, to the cent")
    for told in as_recorded(text):
        print(f"{told} is taken as it was recorded: this file is of a format that does not say what it follows from")
    if hidden := kept_back(text):
        print(
            f"{hidden} of them are parts of other partners' sales: they stand in the log, how they were earned is not told"
        )
    print(
        "its log is the one that this key signed" if key else "give the key that you hold with --key to check the log's"
    )


if __name__ == "__main__":
    cli()

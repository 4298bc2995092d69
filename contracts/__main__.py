"""Writes what follows from the classes of the contracts: `python -m contracts samples` and `python -m contracts schemas`."""

import typer
from rich.console import Console

from contracts import samples, schemas

console = Console()
cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Golden samples and schemas of the stored types.")


@cli.command("samples")
def samples_command() -> None:
    """Writes the golden samples and pairs that are not there yet; those that are there are never changed."""
    _told(samples.write(), "golden samples written, the others stand")


@cli.command("schemas")
def schemas_command() -> None:
    """Writes the JSON Schema of each public event and the AsyncAPI document under docs/."""
    _told(schemas.write(), "documents changed")


def _told(files: list[str], what: str) -> None:
    for file in files:
        console.print(f"  {file}", highlight=False)
    console.print(f"{len(files)} {what}", highlight=False)


if __name__ == "__main__":
    cli()

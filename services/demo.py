"""A believable quarter of one vendor, loaded through the public API."""

from dataclasses import dataclass

from rich.console import Console

from chassis.asgi import Api


@dataclass(frozen=True)
class Size:
    """How much to load."""

    partners: int
    deals: int
    seed: int


async def load(api: Api, crm_url: str, size: Size, console: Console) -> None:
    """Loads the quarter with a progress bar."""

"""How far readers have come, by name, for as long as a process lives; else a desk remembers it (`chassis.desk`)."""

from collections.abc import Mapping


class MemoryPositions:
    """Positions that last as long as the object."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}

    async def get(self, name: str) -> int:
        return self.by_name.get(name, 0)

    async def set(self, name: str, position: int) -> None:
        self.by_name[name] = position

    async def set_many(self, positions: Mapping[str, int]) -> None:
        self.by_name.update(positions)

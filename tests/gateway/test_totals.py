"""Sums of what was earned are those of every line, or none are shown."""

from dataclasses import dataclass
from typing import Any

import pytest

from services.gateway.api.portal.money import earned_by
from services.gateway.api.portal.visit import Part

LINE = {
    "currency": "EUR",
    "state": "payable",
    "remaining": {"amount": "80.00"},
    "reversed": {"amount": "20.00"},
}


@dataclass(frozen=True)
class Reader:
    """A visitor who reads earnings and no ledger; `cursor` is where the lines go on."""

    cursor: str | None

    def may(self, action: str) -> bool:
        return action == "incentives.read earnings"

    async def ask_all(self, service: str, path: str, **query: Any) -> Part:
        return Part(status=200, body={"items": [LINE, LINE], "next_cursor": self.cursor})


@pytest.mark.parametrize(
    ("cursor", "sums"),
    [
        (None, [{"currency": "EUR", "held": "0", "payable": "160.00", "paid": "0", "reversed": "40.00"}]),
        ("there are more", []),
    ],
)
async def test_lines_that_are_too_many_to_read_are_not_added_up(cursor: str | None, sums: list[dict[str, str]]) -> None:
    here: Any = Reader(cursor)
    found = await earned_by(here)
    assert (found.items, found.next_cursor) == (sums, cursor)

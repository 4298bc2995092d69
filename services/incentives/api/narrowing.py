"""How lists are narrowed and ordered, alike for all of them."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from services.incentives.projections.amounts import AMOUNT

Filter = Annotated[str | None, Query(max_length=64)]
Currency = Annotated[str | None, Query(pattern="^[A-Z]{3}$")]
Month = Annotated[str | None, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
Sort = Annotated[Literal["date", "-date", "amount", "-amount"], Query()]
"""By the list's own day, or by its amount; with a minus from the last, or the largest, on."""
ByDay = Annotated[Literal["date", "-date"], Query()]
"""By the list's own day alone, where nothing in it is an amount."""


async def stated_filter(
    partner_id: Filter = None, state: Filter = None, currency: Currency = None
) -> dict[str, str | None]:
    """Narrows a list by partner, state and currency."""
    return {"partner_id": partner_id, "state": state, "amount.currency": currency}


StatedFilter = Annotated[dict[str, str | None], Depends(stated_filter)]


def sorted_by(sort: str, day: str) -> str:
    """The field that a list is ordered by; `day` is that of its date."""
    sign, wanted = sort[: sort.startswith("-")], sort.removeprefix("-")
    return sign + (AMOUNT if wanted == "amount" else day)

"""What does each statement say, and what became of its payment?"""

from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.account import StatementIssued
from services.incentives.projections.amounts import sorts


class WorthDocument(TypedDict):
    """One side of what is payable, above zero in the payee's favour, and what it stands for in the books."""

    side: str
    amount: Annotated[dict[str, str], Money]
    books: Annotated[dict[str, str], Money]


class ListedStatement(TypedDict):
    """A statement without its lines. `amount_sorts` is what it closes with, as a text that sorts as the number does.

    `opening_worth` and `closing_worth` are there where the books are in another currency.
    """

    statement_id: str
    account_id: str
    payee_id: str
    partner_id: str
    number: int
    period: str
    opening: Annotated[dict[str, str], Money]
    closing: Annotated[dict[str, str], Money]
    amount_sorts: str
    from_position: int
    to_position: int
    previous_sha256: str | None
    sha256: str
    issued_by: str
    issued_at: str
    event_id: str
    position: int
    opening_worth: NotRequired[list[WorthDocument]]
    closing_worth: NotRequired[list[WorthDocument]]


class StatementDocument(ListedStatement):
    """A statement as it was issued. It never changes; `sha256` covers all of it and the one before."""

    lines: list[dict[str, Any]]


def evolve(document: StatementDocument | None, seen: Seen) -> StatementDocument:
    issued: StatementIssued = seen.event
    said: StatementDocument = plain(issued)
    told = {"issued_at": iso(issued.issued_at), "event_id": seen.id, "position": seen.position}
    return {**said, **told, "amount_sorts": sorts(issued.closing)}  # type: ignore[typeddict-item]


STATEMENTS = Projection(
    name="statements",
    version=2,
    keys={StatementIssued: lambda seen: str(seen.event.statement_id)},
    evolve=evolve,
    indexes=("issued_at", "partner_id,issued_at", "period", "amount_sorts", "partner_id,amount_sorts"),
)

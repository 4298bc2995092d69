"""What does each statement say, and what became of its payment?"""

from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.account import StatementIssued


class ListedStatement(TypedDict):
    """A statement without its lines."""

    statement_id: str
    account_id: str
    payee_id: str
    partner_id: str
    number: int
    period: str
    opening: Annotated[dict[str, str], Money]
    closing: Annotated[dict[str, str], Money]
    from_position: int
    to_position: int
    previous_sha256: str | None
    sha256: str
    issued_by: str
    issued_at: str
    event_id: str
    position: int


class StatementDocument(ListedStatement):
    """A statement as it was issued. It never changes; `sha256` covers all of it and the one before."""

    lines: list[dict[str, Any]]


def evolve(document: StatementDocument | None, seen: Seen) -> StatementDocument:
    issued: StatementIssued = seen.event
    said: StatementDocument = plain(issued)
    return {**said, "issued_at": iso(issued.issued_at), "event_id": seen.id, "position": seen.position}


STATEMENTS = Projection(
    name="statements",
    version=1,
    keys={StatementIssued: lambda seen: str(seen.event.statement_id)},
    evolve=evolve,
    indexes=("issued_at", "partner_id,issued_at", "period"),
)

"""At which customers was a partner named as who had sold there before? It need have no deal there. One document a customer."""

from typing import TypedDict

from chassis.decider import stream_parts
from chassis.event import Seen
from chassis.projection import Projection
from services.registration.domain.claim import NOBODY
from services.registration.domain.claims import IncumbentTold

MODEL = "incumbents"


class IncumbentsDocument(TypedDict):
    """All that were ever named there. What is said by now stands in the customer's line, also where that has moved."""

    account_id: str
    partner_ids: list[str]


def _line(seen: Seen) -> str | None:
    it: IncumbentTold = seen.event
    return stream_parts(seen.stream)[2] if it.incumbent.partner_id != NOBODY else None


def evolve(document: IncumbentsDocument | None, seen: Seen) -> IncumbentsDocument:
    it: IncumbentTold = seen.event
    before = document["partner_ids"] if document else []
    return {
        "account_id": stream_parts(seen.stream)[2],
        "partner_ids": sorted({*before, it.incumbent.partner_id}),
    }


INCUMBENTS = Projection(
    name=MODEL,
    version=1,
    keys={IncumbentTold: _line},
    evolve=evolve,
    indexes=("partner_ids[]",),
)

"""How the vendor handles leads, for everybody to see: how many came, were held back, released, accepted in time."""

from collections.abc import Mapping
from typing import Any, TypedDict

from chassis.event import Seen
from chassis.projection import Projection
from services.registration.domain.lead import (
    NO_ANSWER,
    LeadAccepted,
    LeadConverted,
    LeadDeclined,
    LeadReleased,
    LeadSubmitted,
)

ALL = "all"


class FiguresDocument(TypedDict):
    """Counts of all leads of a tenant. `lapsed` are offers that nobody answered in time."""

    submitted: int
    quarantined: int
    released: int
    duplicates: int
    accepted: int
    declined: int
    lapsed: int
    converted: int


class LeadFigures(FiguresDocument):
    """The counts, with the part of what was held back that a person let go; null where nothing was."""

    released_percent: str | None


NONE_YET = FiguresDocument(
    submitted=0, quarantined=0, released=0, duplicates=0, accepted=0, declined=0, lapsed=0, converted=0
)


def evolve(document: FiguresDocument | None, seen: Seen) -> FiguresDocument:
    before = document or NONE_YET
    more = {name: before[name] + 1 for name in _counted(seen.event)}  # type: ignore[literal-required]
    return {**before, **more}  # type: ignore[typeddict-item]


def _counted(happened: object) -> tuple[str, ...]:
    match happened:
        case LeadSubmitted(held=held, first=first):
            return ("submitted", *(("duplicates",) if first else ("quarantined",) if held else ()))
        case LeadReleased():
            return ("released",)
        case LeadAccepted():
            return ("accepted",)
        case LeadDeclined(reason_code=code):
            return ("lapsed" if code == NO_ANSWER else "declined",)
        case _:
            return ("converted",)


def with_parts(document: Mapping[str, Any]) -> dict[str, Any]:
    """The counts, with the part of what was held back that a person let go."""
    held = document["quarantined"]
    return {**document, "released_percent": f"{100 * document['released'] / held:.2f}" if held else None}


LEAD_FIGURES = Projection(
    name="lead_figures",
    version=1,
    keys=dict.fromkeys((LeadSubmitted, LeadReleased, LeadAccepted, LeadDeclined, LeadConverted), lambda seen: ALL),
    evolve=evolve,
)

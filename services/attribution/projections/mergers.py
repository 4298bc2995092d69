"""Which partners are one now? One document a partner that was ever absorbed."""

from typing import TypedDict

from chassis.application import Application
from chassis.event import Seen, iso
from chassis.projection import Projection
from chassis.read_store.port import PAGE_MAX
from services.attribution.domain.merger import PartnerMerged, PartnerUnmerged


class MergerDocument(TypedDict):
    """With whom a partner is one; `survivor_id` is null where it stands for itself again."""

    partner_id: str
    survivor_id: str | None
    effective_on: str | None


def evolve(document: MergerDocument | None, seen: Seen) -> MergerDocument:
    it: PartnerMerged | PartnerUnmerged = seen.event
    if isinstance(it, PartnerMerged):
        return {"partner_id": it.partner_id, "survivor_id": it.survivor_id, "effective_on": iso(it.effective_on)}
    return {"partner_id": it.partner_id, "survivor_id": None, "effective_on": None}


async def one_with(app: Application, tenant: str, partner_id: str) -> tuple[str, ...]:
    """The partner, and all that are one with it now because it goes on for them."""
    found, wanted = [partner_id], [partner_id]
    while wanted:
        mergers = await app.read.find("mergers", tenant, where={"survivor_id": tuple(wanted)}, limit=PAGE_MAX)
        wanted = [one["partner_id"] for one in mergers.items if one["partner_id"] not in found]
        found += wanted
    return tuple(found)


MERGERS = Projection(
    name="mergers",
    version=1,
    keys=dict.fromkeys((PartnerMerged, PartnerUnmerged), lambda seen: str(seen.event.partner_id)),
    evolve=evolve,
    indexes=("survivor_id",),
)

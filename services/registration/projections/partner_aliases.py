"""Which partners are one now? One document a partner that was ever absorbed."""

from typing import TypedDict

from chassis.application import Application
from chassis.event import LEFT_OUT, Seen
from chassis.projection import Projection
from chassis.read_store.port import PAGE_MAX
from services.registration.domain.partner_facts import PartnerFactsRecorded

MODEL = "partner_aliases"


class AliasDocument(TypedDict):
    """With whom a partner is one; `survivor_id` is null where it stands for itself again."""

    partner_id: str
    survivor_id: str | None


def _absorbed(seen: Seen) -> str | None:
    it: PartnerFactsRecorded = seen.event
    return None if it.survivor_id is LEFT_OUT else it.partner_id


def evolve(_: AliasDocument | None, seen: Seen) -> AliasDocument:
    it: PartnerFactsRecorded = seen.event
    return {"partner_id": it.partner_id, "survivor_id": it.survivor_id or None}


async def one_with(app: Application, tenant: str, partner_id: str) -> tuple[str, ...]:
    """The partner, and all that are one with it now because it goes on for them."""
    found, wanted = [partner_id], [partner_id]
    while wanted:
        aliases = await app.read.find(MODEL, tenant, where={"survivor_id": tuple(wanted)}, limit=PAGE_MAX)
        wanted = [one["partner_id"] for one in aliases.items if one["partner_id"] not in found]
        found += wanted
    return tuple(found)


async def counted_as(app: Application, tenant: str, partner_id: str) -> str | None:
    """The partner that goes on for this one, at the end of the chain; None where it stands for itself."""
    passed, last = [partner_id], partner_id
    while (known := await app.read.get(MODEL, tenant, last)) and known["survivor_id"]:
        last = known["survivor_id"]
        if last in passed:
            break
        passed.append(last)
    return last if last != partner_id else None


PARTNER_ALIASES = Projection(
    name=MODEL,
    version=1,
    keys={PartnerFactsRecorded: _absorbed},
    evolve=evolve,
    indexes=("survivor_id",),
)

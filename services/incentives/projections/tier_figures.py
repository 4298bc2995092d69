"""Which sales are to be counted for tiers anew? Those of which another system told than attribution.

What attribution tells is counted as it is heard, so of credit and reversals a minute later: what is counted by then is no
command any more.
"""

from datetime import datetime, timedelta
from typing import Any

from chassis.application import Application, NothingToDo, Prepared
from chassis.deadlines import Deadline
from chassis.event import Seen, iso, stable_id
from chassis.execution import Peek
from chassis.read_store.port import TURN
from services.incentives.application.measuring import figures_now
from services.incentives.domain.sale import ADDED
from services.incentives.domain.sale_events import BasisRecorded, CreditRecorded, ReversalRecorded
from services.incentives.domain.tier import RecordTierMetric, Tier, Tiers, tier_id

SOURCE = "incentives"
HEARD_WITHIN = timedelta(minutes=1)


def evolve(_: dict[str, Any] | None, seen: Seen) -> dict[str, Any]:
    """What was added is due at once, what attribution may have told once that was heard; again with each fact."""
    wait = timedelta(0) if isinstance(seen.event, BasisRecorded) else HEARD_WITHIN
    return {"opportunity_id": seen.event.opportunity_id, "due_at": iso(seen.recorded_at + wait), TURN: seen.id}


def _sale(seen: Seen) -> str | None:
    """What is billed or ordered counts for no tier."""
    happened = seen.event
    return None if isinstance(happened, BasisRecorded) and happened.kind != ADDED else str(happened.opportunity_id)


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """Counts the sale in every tier where it counts otherwise than before: a command for each."""

    async def make(app: Application, tenant: str, peek: Peek) -> RecordTierMetric:
        wishes = []
        for programme, partner_id, fact in await figures_now(app, tenant, document["opportunity_id"]):
            tier: Tier = await peek(Tiers.at(tier_id(programme, partner_id)))
            if tier.facts.get((fact.metric, fact.ref)) != fact:
                wishes.append(
                    RecordTierMetric(programme=programme, partner_id=partner_id, fact=fact, source=SOURCE, now=now)
                )
        for wish in wishes:
            named = (wish.programme, wish.partner_id, wish.fact.metric, wish.fact.ref)
            await app.issue(tenant, stable_id("tier-figure", document[TURN], *named), wish)
        raise NothingToDo

    return Prepared(make)


TIER_FIGURES = Deadline(
    name="tier_figures",
    version=1,
    keys=dict.fromkeys((BasisRecorded, CreditRecorded, ReversalRecorded), _sale),
    evolve=evolve,
    issue=issue,
)

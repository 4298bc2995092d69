"""What a sale adds to the figures of tiers now, as the rules in force count it."""

from chassis.application import Application
from chassis.rulebook import Rules
from services.incentives.application.sales import rates_about, rules_of_kind
from services.incentives.domain.measuring import figures_of
from services.incentives.domain.sale import Sale, Sales
from services.incentives.domain.tier_rules import REVENUE, TIER, TIERS, Metric, MetricFact

OF_SALES = (REVENUE, "deals_won")

Figure = tuple[str, str, MetricFact]
"""A programme, a partner, and what counts there."""


async def metrics_of(app: Application, tenant: str, *sources: str) -> list[tuple[str, Metric]]:
    """The programmes' metrics of some sources, under the rules in force."""
    peek, found = app.executor.peek(tenant), []
    for programme in await rules_of_kind(app, tenant, TIER):
        version = (await peek(Rules.at(programme))).in_force(app.clock.now())
        metrics = TIERS.read(version.body).metrics if version else ()
        found += [(programme, metric) for metric in metrics if metric.source in sources]
    return found


async def figures_now(app: Application, tenant: str, opportunity_id: str) -> list[Figure]:
    """What the sale is worth now to each partner that was ever credited with it."""
    metrics = await metrics_of(app, tenant, *OF_SALES)
    if not metrics:
        return []
    peek = app.executor.peek(tenant)
    sale: Sale = await peek(Sales.at(opportunity_id))
    days = [*(win.credited_on for win in sale.wins.values()), *(one.happened_on for one in sale.bases.values())]
    rates = await rates_about(peek, days)
    return [(programme, *figure) for programme, metric in metrics for figure in figures_of(sale, metric, rates)]

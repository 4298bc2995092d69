"""Fridays: salespeople move deals on in the CRM, win them, lose them and give money back."""

from decimal import Decimal
from typing import Any

from contracts.values import round_half_up
from services import first_run
from services.demo.calendar import DEALS, Quarter
from services.demo.office import until
from services.demo.story import WEEKS, Deal, Fate

OPPORTUNITY, REGISTRATION, REFUNDED = "entente_opportunity_id", "entente_registration_id", "entente_refunded_amount"
CLOSED_STAGES = ("closedwon", "closedlost")
STAGES = ("qualifiedtobuy", "presentationscheduled", "decisionmakerboughtin", "contractsent")
REFUND_AFTER_WEEKS = 2
LOSSES = ("price", "no-budget", "competitor", "no-decision")
SHARED_PERCENT = ("70", "30")


async def sales_day(quarter: Quarter, week: int) -> None:
    """Salespeople move deals on in the CRM, win them, lose them and give money back; then all have heard of it."""
    rows = await _in_crm(quarter)
    acts = [act for row in rows if (act := _act(quarter, week, row))]
    await quarter.office.side_by_side(quarter.office.crm.act(row["id"], verb, **said) for row, verb, said in acts)
    await quarter.office.read_crm()
    await quarter.office.quiet()
    await quarter.office.side_by_side(_heard(quarter, row["properties"], verb) for row, verb, _ in acts)
    await _share_credit(quarter, [row["properties"] for row, verb, _ in acts if verb == "win"])
    await quarter.office.quiet()


async def _in_crm(quarter: Quarter) -> list[dict[str, Any]]:
    """The deals in the CRM, once all that are approved are there."""
    approved = {row["registration_id"] for row in await quarter.office.rows("ada", f"{DEALS}?status=approved")}
    rows: list[dict[str, Any]] = []

    async def there() -> bool:
        rows[:] = await quarter.office.crm.deals()
        return approved <= {row["properties"].get(REGISTRATION) for row in rows}

    await until(there)
    return rows


Act = tuple[dict[str, Any], str, dict[str, str]]


def _act(quarter: Quarter, week: int, row: dict[str, Any]) -> Act | None:
    """What a salesperson does to a deal this week; None for nothing."""
    said = row["properties"]
    deal = quarter.known.get(said.get(REGISTRATION, ""))
    if deal is None or deal.fate in (Fate.FORGOTTEN, Fate.REJECTED):
        return None
    if said["dealstage"] in CLOSED_STAGES:
        return _refund(deal, week, row)
    if deal.fate is not Fate.OPEN and deal.closes <= min(week, WEEKS):
        lost = {"reason": LOSSES[deal.number % len(LOSSES)]}
        return (row, "lose", lost) if deal.fate is Fate.LOST else (row, "win", {})
    return _move(deal, week, row)


def _refund(deal: Deal, week: int, row: dict[str, Any]) -> Act | None:
    said = row["properties"]
    due = said["dealstage"] == "closedwon" and deal.refund_percent and week >= deal.closes + REFUND_AFTER_WEEKS
    if not due or said.get(REFUNDED):
        return None
    amount = round_half_up(Decimal(said["amount"]) * deal.refund_percent / 100, first_run.CURRENCY)
    return row, "refund", {"amount": str(amount.amount)}


def _move(deal: Deal, week: int, row: dict[str, Any]) -> Act | None:
    """Half way to its end a deal has moved on, some further than others."""
    stage = STAGES[deal.number % len(STAGES)]
    half_way = week * 2 >= deal.week + deal.closes
    return (row, "move", {"stage": stage}) if half_way and row["properties"]["dealstage"] != stage else None


async def _heard(quarter: Quarter, said: dict[str, Any], verb: str) -> None:
    """Waits until registration has closed the deal, and its payouts are made or taken back."""
    office = quarter.office

    async def closed() -> bool:
        deal = await office.read("ada", f"{DEALS}/{said[REGISTRATION]}")
        return bool(deal["board"]["status"] == "closed")

    async def paid() -> bool:
        lines = (await office.read("ada", f"/v1/incentives/lines?opportunity_id={said[OPPORTUNITY]}"))["items"]
        return any(verb == "win" or Decimal(line["reversed"]["amount"]) for line in lines)

    if verb in ("win", "lose"):
        await until(closed)
    if verb in ("win", "refund"):
        await until(paid)


async def _share_credit(quarter: Quarter, won: list[dict[str, Any]]) -> None:
    """Where two partners worked on a sale, its credit is divided by hand."""
    sellers = quarter.story.sellers
    for said in won:
        deal = quarter.known[said[REGISTRATION]]
        if not deal.split:
            continue
        other = sellers[(sellers.index(deal.partner) + 1) % len(sellers)]
        both = (quarter.ids[deal.partner.name], quarter.ids[other.name])
        shares = [
            {"partner_id": one, "role": "source", "percent": percent}
            for one, percent in zip(both, SHARED_PERCENT, strict=True)
        ]
        body = {"shares": shares, "reason_code": "split", "reason": "Both partners brought the customer to us."}
        path = f"/v1/attribution/opportunities/{said[OPPORTUNITY]}/credit/sourced/revise"
        await quarter.office.do("finn", path, body, key=f"split-{deal.number}")

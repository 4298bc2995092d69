"""The main job, told through the public API alone: a deal from its registration through a conflict to its payment."""

from dataclasses import dataclass, field
from typing import Any

from chassis.asgi import Api
from tests.scenarios.system import System, done, until

DEALS = "/v1/registration/deals"
PAYMENTS = "/v1/incentives/payments"
PERIOD = "2031-04"
AFTER_THE_PERIOD = "2031-05-02T08:00:00Z"


@dataclass
class Story:
    """What came of the job: ids, and answers worth a look, by name."""

    deal_id: str = ""
    rival_id: str = ""
    partner_id: str = ""
    payment_id: str = ""
    seen: dict[str, Any] = field(default_factory=dict)


def deal(customer: str, website: str, **changes: Any) -> dict[str, Any]:
    """The five fields that a registration needs."""
    return {
        "customer": {"name": customer, "country": "DE", "website": website},
        "products": [{"family": "platform", "quantity": 10}],
        "amount": {"amount": "15000.00", "currency": "EUR"},
        "close_on": "2031-04-20",
        **changes,
    }


async def main_job(it: System) -> Story:
    """From registration to payment."""
    story = Story()
    for chapter in (colliding, approving, winning, refunding, releasing, paying):
        await chapter(it, story)
        await it.settle()
    return story


async def colliding(it: System, story: Story) -> None:
    """Two partners want the same customer: the second waits, and learns why before and after."""
    north, south = await it.who("northwind"), await it.who("southbridge")
    mine = done(await north.post(DEALS, deal("Contoso GmbH", "www.contoso.de"), key="north-1"), 201)
    story.deal_id, story.partner_id = mine["registration_id"], mine["partner_id"]
    rival = deal("Contoso", "https://contoso.de/")
    story.seen["preview"] = done(await south.post(f"{DEALS}/preview", rival), 200)
    story.seen["waiting"] = done(await south.post(DEALS, rival, key="south-1"), 201)
    story.rival_id = story.seen["waiting"]["registration_id"]


async def approving(it: System, story: Story) -> None:
    """A customer of the same name turns up before the desk approves: the desk has to see it first."""
    dora, south = await it.who("dora"), await it.who("southbridge")
    done(await south.post(DEALS, deal("Contoso GmbH", "contoso-handel.de"), key="south-2"), 201)
    story.seen["both claims"] = done(await dora.get(f"{DEALS}/{story.rival_id}/conflicts"))
    first = await dora.post(f"{DEALS}/{story.deal_id}/approve", key="approve-1")
    story.seen["first approval"] = first.status, first.json()
    await it.settle()
    await _decide_findings(it, dora, story)
    story.seen["approved"] = done(await dora.post(f"{DEALS}/{story.deal_id}/approve", key="approve-2"))


async def _decide_findings(it: System, dora: Api, story: Story) -> None:
    found = done(await dora.get(f"{DEALS}/{story.deal_id}/conflicts"))["findings"]
    for number, one in enumerate(found):
        body = {"account_id": one["candidate"]["account_id"], "verdict": "different", "reason": "Another company."}
        done(await dora.post(f"{DEALS}/{story.deal_id}/decide-finding", body, key=f"finding-{number}"))


async def winning(it: System, story: Story) -> None:
    """The approved deal stands in the CRM; there it is won."""
    in_crm = await until(lambda: _in_crm(it, story))
    await it.crm(f"/sim/deals/{in_crm['id']}/win", {})
    await _poll(it)


async def _in_crm(it: System, story: Story) -> Any:
    found = (await it.crm("/sim/deals"))["results"]
    mine = [one for one in found if one["properties"].get("entente_registration_id") == story.deal_id]
    return mine[0] if mine else None


async def _poll(it: System) -> None:
    dora = await it.who("dora")
    done(await dora.post(f"/v1/attribution/connections/{it.connection_id}/poll"))


async def refunding(it: System, story: Story) -> None:
    """The customer gets a third of its money back."""
    in_crm = await _in_crm(it, story)
    await it.crm(f"/sim/deals/{in_crm['id']}/refund", {"amount": "5000.00"})
    await _poll(it)


async def releasing(it: System, story: Story) -> None:
    """The hold ends by the clock."""
    await it.clock(AFTER_THE_PERIOD)
    north = await it.who("northwind")

    async def payable() -> bool:
        lines = done(await north.get("/v1/incentives/lines"))["items"]
        return [line["state"] for line in lines] == ["payable"]

    await until(payable)


async def paying(it: System, story: Story) -> None:
    """Finance prepares, another person approves, the provider pays."""
    finn, faye = await it.who("finn"), await it.who("faye")
    period = {"partner_id": story.partner_id, "period": PERIOD, "currency": "EUR"}
    statement = done(await finn.post("/v1/incentives/statements", period, key="statement-1"), 201)
    # What came after the period opens the next one by itself, sooner or later than a payment goes out.
    await it.settle()
    wish = {"statement_id": statement["statement_id"]}
    story.payment_id = done(await finn.post(PAYMENTS, wish, key="propose-1"), 201)["payment_id"]
    mine = f"{PAYMENTS}/{story.payment_id}"
    story.seen["approved alone"] = (await finn.post(f"{mine}/approve", key="alone")).status
    story.seen["submitted early"] = (await finn.post(f"{mine}/submit", key="early")).status
    done(await faye.post(f"{mine}/approve", key="agree"))
    done(await finn.post(f"{mine}/submit", key="submit"))

    async def paid() -> Any:
        found = (await finn.get(mine)).json()
        return found if found.get("state") == "paid" else None

    story.seen["statement"], story.seen["paid"] = statement, await until(paid)

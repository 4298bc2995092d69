"""A SPIFF in the hands of people, without JavaScript: a partner claims a won deal, the vendor asks why, and it is paid."""

from pathlib import Path
from typing import Any

import orjson

from services.incentives.domain.plan import Plan
from tests.scenarios.main_job import Story, approving, colliding, winning
from tests.scenarios.system import System, done, running_system, until
from tests.scenarios.test_money_pages import portal_of, sent, shows

SPIFF = {
    "kind": "spiff",
    "name": "Spring bonus",
    "currency": "EUR",
    "component": "spiff",
    "schedule": {"semantics": "marginal", "bands": [{"flat": "50"}]},
    "claimed": True,
}


async def published(it: System) -> None:
    ada, faye = await it.who("ada"), await it.who("faye")
    draft = {"rulebook_id": "spring", "kind": "plan", "body": SPIFF, "examples": []}
    done(await ada.post("/v1/incentives/rulebooks", draft, key="spring"), 201)
    done(await faye.post("/v1/incentives/rulebooks/spring/publish", {"version": 1}, key="spring-1"))


async def test_a_won_deal_is_claimed_for_a_spiff_disputed_and_awarded_in_the_portal(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        story = Story()
        await colliding(it, story)
        await it.settle()
        await approving(it, story)
        await it.settle()
        await published(it)
        await winning(it, story)
        await it.settle()
        faye, nora = [await it.who(name) for name in ("faye", "northwind")]
        async with portal_of(it, nora) as partner, portal_of(it, faye) as manager:
            offered = await shows(partner, "/awards", f'value="{story.deal_id}"')
            assert all(
                one in offered for one in ("Spring bonus", f'"Days to claim" class="right number">{Plan.claim_days}<')
            )
            row = {"sku_1": "PL-1", "quantity_1": "10", "sold_on_1": "2031-04-20", "invoice_1": "17", "amount_1": "50"}
            claim = {"of_id": "spring", "registration_id": story.deal_id, **row}
            wrong = await sent(partner, "/awards", "/awards", **{**claim, "amount_1": "0"})
            assert (wrong.status_code, 'value="PL-1"' in wrong.text) == (422, True)
            made = await sent(partner, "/awards", "/awards", **claim)
            assert "Your claim was sent." in made.text
            path = await written_anew(nora, partner, manager, made.url.path)
            asked = await sent(manager, path, f"{path}/decide", outcome="approved", reason="")
            assert "10 PL-1 do not fit: the sale has no such product" in asked.text
            assert "10 PL-1 do not fit" in await explained(partner, path)
            paid = await sent(manager, path, f"{path}/decide", outcome="approved", reason="The order names it.")
            assert "under version 1 of spring" in paid.text
            assert "held, stated and taken back like any other" in paid.text
            assert "€50.00" in await shows(partner, "/awards", "Approved")
            assert "under version 1 of spring" in await explained(partner, path)
        found = await until(lambda: award(nora, story))
        assert [(line["amount"]["amount"], line["state"]) for line in found] == [("50.00", "held")]


async def written_anew(nora: Any, partner: Any, manager: Any, path: str) -> str:
    """The claim, returned twice: its form holds what was claimed, and more rows than that has fields for as a table."""
    await sent(manager, path, f"{path}/decide", outcome="returned", reason="which invoice?")
    anew = await shows(partner, path, f'href="{path}/rewrite"')
    assert "which invoice?" in anew
    form = (await partner.get(f"{path}/rewrite")).text
    assert all(said in form for said in ('value="PL-1"', 'value="2031-04-20"', "Expected", "which invoice?"))
    assert "Tax charged" not in form
    again = await sent(partner, f"{path}/rewrite", f"{path}/rewrite", **fields_of(invoice="18"))
    assert "Your claim was sent." in again.text
    await sent(manager, path, f"{path}/decide", outcome="returned", reason="every invoice, please")
    await shows(partner, path, "every invoice, please")
    sold = {"sku": "PL-1", "quantity": 10, "sold_on": "2031-04-20"}
    money = {"amount": "50.00", "currency": "EUR"}
    items = [{"text": "10 PL-1", "amount": money, "sold": {**sold, "invoice": str(n)}} for n in range(1, 27)]
    body = {"kind": "spiff", "of_id": "spring", "items": items}
    done(await nora.send("PUT", f"/v1/incentives{path}", orjson.dumps(body), {"idempotency-key": "anew"}))
    table = await shows(partner, f"{path}/rewrite", "PL-1;10;2031-04-20;;26;50.00")
    assert "26 rows, 500 at most" in table
    wrong = await sent(partner, f"{path}/rewrite", f"{path}/rewrite", table="PL-1;ten;2031-04-20;;17;50")
    assert (wrong.status_code, "PL-1;ten;2031-04-20;;17;50" in wrong.text) == (422, True)
    last = await sent(partner, f"{path}/rewrite", f"{path}/rewrite", table="PL-1;10;2031-04-20;;17;50")
    assert "Your claim was sent." in last.text
    assert "Claim of €50.00" in await shows(manager, path, "Claim of €50.00")
    return path


def fields_of(invoice: str) -> dict[str, str]:
    """The one row of the claim, with an invoice."""
    return {"sku_1": "PL-1", "quantity_1": "10", "sold_on_1": "2031-04-20", "invoice_1": invoice, "amount_1": "50"}


async def explained(browser: Any, path: str) -> str:
    """The page behind the “Why?” of a claim that was decided."""
    shown = await shows(browser, path, 'class="why"')
    link = shown.partition('class="why" href="')[2].partition('"')[0]
    return await shows(browser, link, "PL-1")


async def award(nora: Any, story: Story) -> list[Any]:
    lines = done(await nora.get("/v1/incentives/lines", registration_id=story.deal_id))["items"]
    return [line for line in lines if line["kind"] == "spiff"]

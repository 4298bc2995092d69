"""A partnership ends: the owner says when, what is left runs off, and once nothing is owed the partner has left."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from chassis.asgi import Api
from tests.scenarios.main_job import DEALS, Story, deal, winning
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_money_pages import portal_of, sent


async def test_a_partner_leaves_is_settled_and_registers_nothing_more(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        nora, ada = await it.who("northwind"), await it.who("ada")
        partner_id = (await nora.get("/v1/me")).json()["partner_id"]
        page, today = f"/partners/{partner_id}", it.world.clock.now().date()
        terms = {"reason_code": "strategy", "last_business_day": today.isoformat(), "run_off_days": "10"}
        async with portal_of(it, nora) as owner, portal_of(it, ada) as admin:
            past = {**terms, "last_business_day": "2020-01-01"}
            refused = await sent(owner, page, f"{page}/offboard", **past)
            assert "name a later day" in refused.text
            proposed = await sent(admin, page, f"{page}/offboard", **terms)
            assert "Another administrator has to confirm it" in proposed.text
            assert "The partner stays." in (await sent(admin, page, f"{page}/stay")).text
            assert "Runs off until" in (await sent(owner, page, f"{page}/offboard", **terms)).text
            await it.settle()
        refused = await nora.post("/v1/registration/deals", DEAL, key="late")
        assert refused.json()["status"] == "rejected"
        await it.clock((it.world.clock.now() + timedelta(days=11)).isoformat())
        await it.settle()
        ada = await it.who("ada")
        found = (await ada.get(f"/v1/onboarding/partners/{partner_id}")).json()
        assert found["status"] == "offboarded"
        settled = (await ada.get(f"/v1/incentives/settlements/{partner_id}")).json()
        assert (settled["state"], settled["open"]) == ("settled", [])
        people = (await ada.get(f"/v1/onboarding/partners/{partner_id}/people")).json()["items"]
        assert {one["status"] for one in people} == {"ended"}
        assert (await nora.get("/v1/me")).status in (401, 403)
        async with portal_of(it, ada) as admin:
            assert "nothing is owed either way" in (await admin.get(page)).text


async def test_two_of_finance_settle_a_partner_by_hand_and_the_page_names_what_still_stands(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        partner_id = await left_with_a_held_line(it)
        page, today = f"/partners/{partner_id}", it.world.clock.now().date().isoformat()
        shown = {"settled_on": today, "evidence_sha256": "a" * 64, "reason": "set off"}
        async with portal_of(it, await it.who("finn")) as first, portal_of(it, await it.who("faye")) as second:
            proposed = await sent(first, page, f"{page}/settle", **shown)
            assert "Another one of finance has to confirm it by" in proposed.text
            assert "Not settled yet." in proposed.text
            assert "A second one of finance confirms the same evidence by" in (await second.get(page)).text
        await it.clock((it.world.clock.now() + timedelta(days=15)).isoformat())
        async with portal_of(it, await it.who("finn")) as first, portal_of(it, await it.who("faye")) as second:
            late = await second.get(page)
            assert "It was not confirmed within 14 days, so it has lapsed: propose it anew." in late.text
            again = await sent(second, page, f"{page}/settle", **shown)
            assert "Another one of finance has to confirm it by" in again.text
            ended = await sent(first, page, f"{page}/settle", **shown)
            assert "Two people of finance settled it by hand" in ended.text
            await it.settle()
            assert "Pay, reverse or write off what still stands" in (await first.get(page)).text
        found = done(await (await it.who("finn")).get(f"/v1/incentives/settlements/{partner_id}"))
        assert (found["state"], [one["account"] for one in found["open"]]) == ("settled_by_hand", ["held"])


async def left_with_a_held_line(it: System) -> str:
    """A partner whose run-off is over while a line of it is held; its id."""
    nora = await it.who("northwind")
    partner_id: str = done(await nora.get("/v1/me"))["partner_id"]
    page = f"/partners/{partner_id}"
    await won_by(it, nora)
    today = it.world.clock.now().date().isoformat()
    async with portal_of(it, nora) as owner:
        terms = {"reason_code": "strategy", "last_business_day": today, "run_off_days": "0"}
        assert "Runs off until" in (await sent(owner, page, f"{page}/offboard", **terms)).text
    await it.clock((it.world.clock.now() + timedelta(days=1)).isoformat())
    await it.settle()
    return partner_id


async def won_by(it: System, partner: Api) -> None:
    """A deal of this partner is won, and its line is held."""
    wanted = deal("Contoso GmbH", "www.contoso.de")
    story = Story(deal_id=done(await partner.post(DEALS, wanted, key="north-1"), 201)["registration_id"])
    done(await (await it.who("dora")).post(f"{DEALS}/{story.deal_id}/approve", key="approve-1"))
    await it.settle()
    await winning(it, story)
    await it.settle()


DEAL = {
    "customer": {"name": "Late Ltd", "country": "GB", "website": "late.co.uk"},
    "products": [{"family": "platform"}],
    "amount": {"amount": "1000.00", "currency": "EUR"},
    "close_on": "2031-12-01",
}


async def second_administrator(it: System) -> Api:
    ada = await it.who("ada")
    wish = {"handle": "amir", "name": "Amir", "mail": "amir@acme.example", "roles": ["admin"]}
    done(await ada.post("/v1/staff", wish, key="amir"), 201)
    await it.settle()
    return await it.who("amir")


async def lines_of(it: System, partner_id: str) -> list[tuple[str, str]]:
    """State and amount of a partner's lines, as the vendor reads them."""
    finn = await it.who("finn")
    found = done(await finn.get(f"/v1/incentives/lines?partner_id={partner_id}"))["items"]
    return sorted((one["state"], one["amount"]["amount"]) for one in found)


async def test_a_sale_won_under_a_merger_is_credited_and_paid_to_who_goes_on_and_all_of_it_comes_back(
    tmp_path: Path,
) -> None:
    async with running_system(tmp_path) as it:
        north, south, ada, dora = [await it.who(name) for name in ("northwind", "southbridge", "ada", "dora")]
        amir = await second_administrator(it)
        mine, theirs = [done(await one.get("/v1/me"))["partner_id"] for one in (north, south)]
        wanted = deal("Contoso GmbH", "www.contoso.de")
        story = Story(deal_id=done(await north.post(DEALS, wanted, key="north-1"), 201)["registration_id"])
        done(await dora.post(f"{DEALS}/{story.deal_id}/approve", key="approve-1"))
        await it.settle()
        terms = {"into": theirs, "effective_on": it.world.clock.now().date().isoformat()}
        for number, admin in enumerate((ada, amir)):
            done(await admin.post(f"/v1/onboarding/partners/{mine}/merge", terms, key=f"merge-{number}"))
        await it.settle()
        await winning(it, story)
        await it.settle()
        (sale,) = done(await south.get("/v1/attribution/opportunities"))["items"]
        assert (sale["status"], sale["partner_id"]) == ("won", mine)
        assert await credited_to(it, sale["opportunity_id"]) == [(theirs, "100.00", "model", "final")]
        assert [await lines_of(it, one) for one in (mine, theirs)] == [[], [("held", "2000.00")]]

        done(await ada.post(f"/v1/onboarding/partners/{mine}/unmerge", {"into": theirs}, key="unmerge"))
        await it.settle()
        assert await credited_to(it, sale["opportunity_id"]) == [(mine, "100.00", "merge", "final")]
        assert [await lines_of(it, one) for one in (mine, theirs)] == [[("held", "2000.00")], [("reversed", "2000.00")]]
        assert done(await south.get("/v1/attribution/opportunities"))["items"] == []


async def credited_to(it: System, opportunity_id: str) -> list[tuple[Any, ...]]:
    ada = await it.who("ada")
    found = done(await ada.get(f"/v1/attribution/opportunities/{opportunity_id}/credit/sourced"))["current"]
    return [(s["partner_id"], s["percent"], found["reason_code"], found["status"]) for s in found["shares"]]


async def test_two_administrators_make_two_partners_one_and_two_again_on_a_page(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        nora, ada = await it.who("northwind"), await it.who("ada")
        amir = await second_administrator(it)
        partners = (await ada.get("/v1/onboarding/partners")).json()["items"]
        mine = (await nora.get("/v1/me")).json()["partner_id"]
        survivor = next(
            one["partner_id"] for one in partners if one["partner_id"] != mine and one["status"] == "active"
        )
        page, today = f"/partners/{mine}", it.world.clock.now().date()
        terms = {"into": survivor, "effective_on": today.isoformat()}
        async with portal_of(it, ada) as first, portal_of(it, amir) as second, portal_of(it, nora) as owner:
            proposed = await sent(first, page, f"{page}/merge", **terms)
            assert "Another administrator has to confirm it" in proposed.text
            assert "One with another partner" not in (await owner.get(page)).text
            assert "this partner is one with" in (await sent(second, page, f"{page}/merge", **terms)).text
            await it.settle()
            found = (await ada.get(f"/v1/incentives/mergers/{mine}")).json()
            assert (found["survivor_id"], found["state"]) == (survivor, "merged")
            as_one = await nora.post("/v1/registration/deals", DEAL, key="merged")
            await it.settle()
            of_survivor = await ada.get("/v1/registration/deals", partner_id=survivor)
            assert as_one.json()["registration_id"] in [one["registration_id"] for one in of_survivor.json()["items"]]
            assert "They are two again." in (await sent(first, page, f"{page}/unmerge", into=survivor)).text
            await it.settle()
            taken = await nora.post("/v1/registration/deals", DEAL, key="two-again")
            assert taken.json()["status"] != "rejected"
            assert "One with another partner" not in (await owner.get(page)).text

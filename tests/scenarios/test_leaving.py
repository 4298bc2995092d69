"""A partnership ends: the owner says when, what is left runs off, and once nothing is owed the partner has left."""

from datetime import timedelta
from pathlib import Path

from tests.scenarios.system import done, running_system
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


DEAL = {
    "customer": {"name": "Late Ltd", "country": "GB", "website": "late.co.uk"},
    "products": [{"family": "platform"}],
    "amount": {"amount": "1000.00", "currency": "EUR"},
    "close_on": "2031-12-01",
}


async def test_two_administrators_make_two_partners_one_and_two_again_on_a_page(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        nora, ada = await it.who("northwind"), await it.who("ada")
        second_admin = {"handle": "amir", "name": "Amir", "mail": "amir@acme.example", "roles": ["admin"]}
        done(await ada.post("/v1/staff", second_admin, key="amir"), 201)
        await it.settle()
        amir = await it.who("amir")
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
            refused = await nora.post("/v1/registration/deals", DEAL, key="merged")
            assert refused.json()["status"] == "rejected"
            assert "They are two again." in (await sent(first, page, f"{page}/unmerge", into=survivor)).text
            await it.settle()
            taken = await nora.post("/v1/registration/deals", DEAL, key="two-again")
            assert taken.json()["status"] != "rejected"
            assert "One with another partner" not in (await owner.get(page)).text

"""Who falls below its tier, and whose bank details were changed, is told by somebody's worklist until that is over."""

from datetime import UTC, datetime
from typing import Any

from chassis.identity import Principal
from contracts.shared import AttentionCleared, AttentionRaised
from services.incentives.publishing import publish
from tests.incentives.test_service import APPROVER, P1, TENANT, activated, started
from tests.incentives.test_tier_service import CM, PATH, below_silver

COLLEAGUE = Principal(tenant=TENANT, subject="per-2", kind="partner", partner_id="p1", roles=("finance",))
BANK = {"iban": "DE89370400440532013000", "holder": "Northwind"}
OTHER_BANK = {"iban": "GB29NWBK60161331926819", "holder": "Mallory"}


async def told_of(it: Any, topic: str) -> list[tuple[str, str, tuple[str, ...], str]]:
    """What was asked of whom, and cleared again, in its order."""
    await it.rest()
    public = [publish(seen) for seen in await it.service.store.feed(0, 1000)]
    mine = [one for one in public if isinstance(one, AttentionRaised | AttentionCleared) and one.topic == topic]
    return [(type(one).__name__, one.side, getattr(one, "roles", ()), getattr(one, "severity", "")) for one in mine]


async def test_changed_bank_details_are_shown_to_both_sides_until_another_person_has_verified_them(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        path = "/payees/p1/bank"
        first = (await it.put(P1, path, BANK)).json()
        asked = [("AttentionRaised", "partner", ("owner", "finance"), "normal")]
        asked += [("AttentionRaised", "vendor", ("approver",), "normal")]
        assert await told_of(it, "bank-to-verify") == asked
        assert (await it.post(P1, f"{path}/verify", {"bank_id": first["bank_id"]})).json()["slug"] == "four-eyes"
        assert (await it.post(COLLEAGUE, f"{path}/verify", {"bank_id": first["bank_id"]})).status_code == 200
        settled = [("AttentionCleared", side, (), "") for side in ("partner", "vendor")]
        assert await told_of(it, "bank-to-verify") == [*asked, *settled]
        changed = (await it.put(P1, path, OTHER_BANK)).json()
        again = [(kind, side, roles, "high") for kind, side, roles, _ in asked]
        assert await told_of(it, "bank-to-verify") == [*asked, *settled, *again]
        assert (await it.post(APPROVER, f"{path}/verify", {"bank_id": first["bank_id"]})).status_code == 404
        assert (await it.post(APPROVER, f"{path}/verify", {"bank_id": changed["bank_id"]})).status_code == 200
        assert await told_of(it, "bank-to-verify") == [*asked, *settled, *again, *settled]


async def test_a_partner_is_told_of_a_review_until_it_is_over(tmp_path):
    async with started(tmp_path) as it:
        await below_silver(it, grace_days=90)
        [raised] = await told_of(it, "tier-review")
        assert raised == ("AttentionRaised", "partner", ("owner",), "high")
        public = [publish(seen) for seen in await it.service.store.feed(0, 1000)]
        [due] = [one.due_at for one in public if isinstance(one, AttentionRaised) and one.topic == "tier-review"]
        assert due == datetime(2026, 6, 1, tzinfo=UTC)
        fact = {"metric": "revenue", "ref": "q1", "value": "50000", "on": "2026-03-01"}
        assert (await it.post(CM, f"{PATH}/metrics", fact)).status_code == 201
        assert [kind for kind, *_ in await told_of(it, "tier-review")] == ["AttentionRaised", "AttentionCleared"]


async def test_a_partner_whose_grace_is_over_is_asked_for_nothing_more(tmp_path):
    async with started(tmp_path) as it:
        await below_silver(it, grace_days=90)
        assert len(await told_of(it, "tier-review")) == 1
        it.clock.set(datetime(2026, 6, 1, 0, 1, tzinfo=UTC))
        await it.until(CM, PATH, lambda tier: tier["escalated"])
        assert [kind for kind, *_ in await told_of(it, "tier-review")] == ["AttentionRaised", "AttentionCleared"]
        assert [kind for kind, *_ in await told_of(it, "tier-review-undecided")] == ["AttentionRaised"]

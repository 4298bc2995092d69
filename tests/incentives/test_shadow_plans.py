"""A plan in the shadow pays nothing, and says of each live sale what it would have paid beside what was paid."""

from datetime import timedelta

from tests.incentives.facts import plan
from tests.incentives.test_backtest import in_dollars
from tests.incentives.test_service import APPROVER, FINANCE, P1, credited, incentives, refunded, won

__all__ = ["incentives"]
BANDS = ({"up_to": "700", "percent": "5"}, {"percent": "30"})


async def sold(asked, name, *shares):
    await asked.hear(won(name))
    await asked.hear(credited(*shares, opportunity_id=name))


async def report_of(asked, plan_id="next"):
    begun = await asked.get(FINANCE, f"/shadow/{plan_id}")
    await asked.service.shadow_runs.finished(begun["run_id"])
    return (await asked.get(FINANCE, f"/shadow/{plan_id}"))["report"]


def later(asked, **time):
    asked.clock.set(asked.clock.now() + timedelta(**time))


async def test_a_plan_in_the_shadow_posts_nothing_and_names_winners_losers_and_the_step_that_decides(incentives):
    await incentives.publish_plan(plan())
    await incentives.publish_plan(plan({"percent": "50"}, component="extra"), "extra")
    await incentives.publish_plan(plan(*BANDS, name="Next year"), "next", mode="shadow")
    later(incentives, days=20)
    await sold(incentives, "o1", ("p1", "60.00"), ("p2", "40.00"))
    await sold(incentives, "o2", ("p1", "100.00"))
    lines = (await incentives.get(FINANCE, "/lines"))["items"]
    assert {line["plan_id"] for line in lines} == {"commission", "extra"}
    [listed] = (await incentives.get(FINANCE, "/shadow"))["items"]
    assert (listed["plan_id"], listed["name"], listed["since"]) == ("next", "Next year", "2026-03-02")
    head = await incentives.service.store.head()
    report = await report_of(incentives)
    assert [(row["partner_id"], row["old"], row["new"], row["delta"]) for row in report["partners"]] == [
        ("p2", "40", "20", "-20"),
        ("p1", "160", "155", "-5"),
    ]
    assert (report["winners"], report["losers"]) == ([], ["p2", "p1"])
    assert report["lines"][1] == {
        "opportunity_id": "o2",
        "old": [{"partner_id": "p1", "amount": "100.00", "step": "band-1"}],
        "new": [{"partner_id": "p1", "amount": "125.00", "step": "band-2"}],
    }
    assert await incentives.service.store.head() == head


async def test_a_sale_in_another_currency_counts_in_the_shadow_too(incentives):
    await incentives.publish_plan(plan({"percent": "20"}), "next", mode="shadow")
    await in_dollars(incentives)
    report = await report_of(incentives)
    assert (report["total"]["old"], report["total"]["new"], report["quarantined"]) == ("90", "180", 0)


async def test_a_version_in_the_shadow_of_its_own_plan_stands_beside_it_and_follows_what_happens(incentives):
    await incentives.publish_plan(plan())
    await incentives.publish_plan(plan({"percent": "20"}), version=2, mode="shadow")
    later(incentives, days=20)
    await sold(incentives, "o1", ("p1", "100.00"))
    assert (await report_of(incentives, "commission"))["total"]["delta"] == "100"
    await incentives.hear(refunded("x", "500.00"))
    assert (await report_of(incentives, "commission"))["total"]["delta"] == "100"
    later(incentives, minutes=6)
    assert (await report_of(incentives, "commission"))["total"] == {
        "partner_id": "",
        "old": "50",
        "new": "100",
        "delta": "50",
    }
    again = await incentives.get(FINANCE, "/shadow/commission")
    later(incentives, minutes=6)
    assert await incentives.get(FINANCE, "/shadow/commission") == again


async def test_a_plan_in_the_shadow_gives_no_more_than_the_budget_that_it_shares_has(incentives):
    live = plan({"flat": "300"}, kind="spiff", component="spiff", budget_id="pot")
    await incentives.publish_plan(live, "live")
    richer = plan({"flat": "400"}, kind="spiff", component="spiff", budget_id="pot")
    await incentives.publish_plan(richer, "next", mode="shadow")
    pot = {"ref": "first", "amount": "700.00", "currency": "EUR"}
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", pot)).status_code == 201
    later(incentives, days=20)
    for name in ("o1", "o2"):
        await sold(incentives, name, ("p1", "100.00"))
    report = await report_of(incentives)
    assert report["budget"] == {"budget_id": "pot", "had": "700", "used": "700", "short": 1}
    assert (report["total"]["old"], report["total"]["new"]) == ("600", "700")


async def test_what_is_not_in_the_shadow_is_not_found_and_partners_see_nothing_of_it(incentives):
    await incentives.publish_plan(plan())
    await incentives.publish_plan(plan(), "next", mode="shadow")
    assert await incentives.get(FINANCE, "/shadow/commission") == 404
    assert await incentives.get(FINANCE, "/shadow/nowhere") == 404
    assert await incentives.get(P1, "/shadow") == 403
    assert await incentives.get(P1, "/shadow/next") == 403

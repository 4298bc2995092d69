"""The demo's quarter in small: it holds every kind of deal, adds up, is loaded once, and is the same for a seed."""

from collections import Counter
from decimal import Decimal
from io import StringIO
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from publicsuffixlist import PublicSuffixList
from rich.console import Console

from services.demo import quarter
from services.demo.leading import A_WEEK
from services.demo.names import COUNTRIES, Names
from services.demo.story import FATES, WEEKS, WEEKS_AFTER, Fate, Size, Tie, told
from services.registration.adapters.names import likeness, normal_names
from tests.scenarios.system import System, running_system

SMALL = Size(partners=4, deals=40, seed=3)
"""A quarter at whose end somebody still waits; in most that are so small nobody does."""
FULL = Size(partners=60, deals=2_000, seed=1)
STATUSES = {
    *("in_review", "action_required", "waiting", "approved"),
    *("rejected", "expired", "closed", "withdrawn"),
}


# Names


def test_a_seed_gives_the_same_names() -> None:
    assert fifty(7) == fifty(7)
    assert not set(fifty(7)) & set(fifty(8))


def fifty(seed: int) -> list[str]:
    names = Names(Random(seed))
    return [names.company(COUNTRIES[place % len(COUNTRIES)]).name for place in range(50)]


def test_no_two_companies_share_a_word_or_a_domain() -> None:
    names = Names(Random(1))
    made = [names.company(COUNTRIES[place % len(COUNTRIES)]) for place in range(20_000)]
    assert len({one.word for one in made}) == len({one.domain for one in made}) == 20_000


def test_every_domain_is_one_that_registration_takes_and_nobody_has() -> None:
    suffixes = PublicSuffixList(accept_unknown=False)
    customers = [deal.customer for deal in told(FULL).deals]
    assert [one.domain for one in customers] == [suffixes.privatesuffix(one.domain) for one in customers]
    assert all(one.domain.endswith(f"-demo.{one.country.suffix}") for one in customers)


def test_a_legal_form_is_one_that_the_comparison_of_names_leaves_out() -> None:
    names = Names(Random(3))
    for country in COUNTRIES:
        for one in islice(iter(lambda c=country: names.company(c), None), 20):
            assert normal_names((one.name,)) == (f"{one.word} {one.trade.lower()}",)


def test_strangers_rarely_resemble_each_other() -> None:
    normal = [(deal, normal_names((deal.customer.name,))) for deal in told(SMALL).deals]
    strangers = [(deal, name) for deal, name in normal if deal.tie is Tie.NONE]
    alike = [
        (one.customer.name, other.customer.name)
        for place, (one, name) in enumerate(strangers)
        for other, second in strangers[:place]
        if likeness(name, second).token_set_percent >= 85
    ]
    assert len(alike) <= 1


# The story


def test_a_story_is_told_alike_every_time() -> None:
    assert told(SMALL) == told(SMALL)
    assert told(SMALL) != told(Size(partners=4, deals=40, seed=2))


def test_the_story_holds_what_was_asked_for() -> None:
    story = told(FULL)
    assert (len(story.partners), len(story.deals)) == (60, 2_000)
    assert {deal.fate for deal in story.deals} == set(Fate)
    assert {deal.tie for deal in story.deals} == set(Tie)
    assert {deal.week for deal in story.deals} == set(range(1, WEEKS + 1))
    assert Counter(deal.fate for deal in story.deals)[Fate.WON] == 50 * sum(kind.fate is Fate.WON for kind in FATES)


@pytest.mark.parametrize("tie", [tie for tie in Tie if tie is not Tie.NONE])
def test_who_resembles_comes_a_week_later_from_another_partner(tie: Tie) -> None:
    deals = {deal.number: deal for deal in told(FULL).deals}
    later = [deal for deal in deals.values() if deal.tie is tie]
    assert later
    for deal in later:
        first = deals[deal.number - 6]
        assert (deal.week, deal.family, deal.role) == (first.week + 1, first.family, first.role)
        assert deal.partner != first.partner
        assert deal.customer.word == first.customer.word
        assert (deal.customer.domain == first.customer.domain) is (tie is Tie.SAME)
        assert (deal.customer.country == first.customer.country) is (tie is not Tie.ABROAD)


# The quarter


@pytest.mark.timeout(600)
async def test_a_small_quarter_holds_every_status_adds_up_is_loaded_once_and_comes_out_the_same(tmp_path: Path) -> None:
    async with running_system(tmp_path / "one") as it:
        said = await loaded(it)
        story = await what_came_of(it)
        heads = await heads_of(it)
        states = {lead["status"] for lead in await rows(it, "registration", "leads")}
        again = await loaded(it)
        assert (await what_came_of(it), await heads_of(it)) == (story, heads)
        assert await it.parked() == 0
    holds_everything(story)
    assert {"accepted", "closed"} <= states
    assert "40/40" in said
    assert "sum 0.00" in said
    assert said.splitlines()[-1] == again.splitlines()[-1]
    async with running_system(tmp_path / "other") as it:
        await loaded(it)
        assert await what_came_of(it) == story


def holds_everything(story: dict[str, Any]) -> None:
    assert {deal[2] for deal in story["deals"]} == STATUSES
    assert len(story["deals"]) == 40
    assert story["trial balance"] == [("EUR", Decimal(0))]
    assert story["states of lines"] == ["held", "paid", "payable", "reversed"]
    assert story["statements"]
    assert story["statements of nothing"] == []
    assert "paid" in story["payments"]
    assert len(story["leads"]) == A_WEEK * (WEEKS + WEEKS_AFTER)


async def loaded(it: System) -> str:
    """Loads the small quarter; what the terminal shows."""
    shown = StringIO()
    await quarter.load(it.front, it.crm_url, it.connection_id, SMALL, Console(file=shown, width=120))
    await it.settle()
    return shown.getvalue()


async def heads_of(it: System) -> dict[str, int]:
    """How much each service has recorded; the gateway records every sign-in too."""
    return {name: await service.store.head() for name, service in it.services.items() if name != "gateway"}


async def what_came_of(it: System) -> dict[str, Any]:
    """The quarter's end as people would compare it, without ids and instants.

    Which of a partner's sales of one day reaches the higher band of the quarter is chance; what all of them earn is not.
    """
    deals = await rows(it, "registration", "deal_board")
    sales = await rows(it, "attribution", "opportunity_board")
    lines = await rows(it, "incentives", "earnings")
    statements = await rows(it, "incentives", "statements")
    payments = await rows(it, "incentives", "payments")
    trial = await rows(it, "incentives", "trial_balance")
    leads = await rows(it, "registration", "leads")
    commission = [line for line in lines if line["component"] == "commission"]
    bonus = [line for line in lines if line["component"] != "commission"]
    return {
        "deals": sorted((d["customer"], d["country"], d["status"], d["amount"], d["submitted_at"][:10]) for d in deals),
        "sales": sorted((s["customer"], s["stage"], str(s["amount"]), str(s["closed_on"])) for s in sales),
        "lines": sorted((str(e["amount"]), e["state"], e["earned_on"], str(e["remaining"])) for e in commission),
        "states of lines": sorted({line["state"] for line in lines}),
        "bonus": sum(Decimal(line["amount"]["amount"]) for line in bonus),
        "statements": sorted((s["period"], s["number"]) for s in statements),
        "statements of nothing": [s["period"] for s in statements if not s["lines"]],
        "payments": sorted(p["state"] for p in payments),
        "leads": sorted(lead["company"]["name"] for lead in leads),
        "trial balance": [(t["currency"], Decimal(t["total"])) for t in trial],
    }


async def rows(it: System, service: str, model: str) -> list[dict[str, Any]]:
    read = it.services[service].application.read
    return (await read.find(model, "acme", limit=1_000)).items

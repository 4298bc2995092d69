"""Who sold to a customer before, as attribution tells it: what the running service makes of that."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.application import Application
from chassis.event import Seen
from chassis.execution import Make, Outcome, Peek
from chassis.testing.projections import told
from chassis.verify import verify_decisions
from contracts.attribution import IncumbentChanged
from contracts.values import AccountId, PartnerId
from services.registration.application.on_leads import AskedOfLead, assigning
from services.registration.domain.routing import Taker
from services.registration.reactions import on_incumbent
from tests.registration.service import DESK, START, TENANT, Running, activated, started
from tests.registration.test_leads import brought, offered_to, route_by
from tests.registration.test_partner_mergers import approve, merged, unmerged
from tests.registration.test_service import won


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2", "p3"):
            await asked.hear(activated(partner))
        await asked.publish_rules(priority=["incumbent_on_renewal", "first_to_register"])
        yield asked


def incumbent(account_id: str, partner: str | None) -> IncumbentChanged:
    who = PartnerId(partner) if partner else None
    day = START.date()
    return IncumbentChanged(account_id=AccountId(account_id), product_family="cloud", partner_id=who, from_on=day)


async def shown(registration: Running, account_id: str) -> list[tuple[Any, ...]]:
    found = (await registration.get(DESK, f"/accounts/{account_id}")).json()["incumbents"]
    return [(one["partner_id"], one.get("counts_as"), one["reach"]["products"][0]["family"]) for one in found]


async def test_the_incumbent_that_waits_moves_up_as_soon_as_it_is_told_of(registration: Running) -> None:
    first = await registration.register("p1", deal_type="renewal")
    second = await registration.register("p2", deal_type="renewal")
    assert (first["status"], second["status"]) == ("in_review", "waiting")

    await registration.hear(incumbent(first["account_id"], "p2"))

    await registration.until(second["registration_id"], "in_review")
    assert await shown(registration, first["account_id"]) == [("p2", None, "cloud")]
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_what_is_told_of_a_customer_that_was_merged_counts_for_the_one_that_it_goes_on_as(
    registration: Running,
) -> None:
    kept = await registration.register("p1")
    other = {"name": "Contoso Deutschland", "country": "DE", "website": "www.contoso-deutschland.de"}
    gone = await registration.register("p3", customer=other)
    joined = {"absorbed": gone["account_id"], "reason": "The same house."}
    answer = await registration.post(DESK, f"/accounts/{kept['account_id']}/merge", joined)
    assert answer.status_code == 200, answer.text

    await registration.hear(incumbent(gone["account_id"], "p2"))

    assert await shown(registration, kept["account_id"]) == [("p2", None, "cloud")]


class Overtaken:
    """The application, in which something comes in between once a reaction's command is made, and before it is decided."""

    def __init__(self, app: Application, comes: Callable[[], Awaitable[httpx.Response]]) -> None:
        self._app, self._comes = app, comes
        self.answers: list[httpx.Response] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def react(self, seen: Seen, reaction: str, make: Make) -> Outcome | None:
        async def overtaken(peek: Peek) -> Any:
            wish = await make(peek)
            if not self.answers:
                self.answers.append(await self._comes())
            return wish

        return await self._app.react(seen, reaction, overtaken)


async def two_customers(registration: Running) -> tuple[str, str]:
    kept = await registration.register("p1")
    other = {"name": "Contoso Deutschland", "country": "DE", "website": "www.contoso-deutschland.de"}
    gone = await registration.register("p3", customer=other)
    return kept["account_id"], gone["account_id"]


async def test_a_merger_between_the_making_of_the_command_and_its_decision_leads_to_the_customer_that_goes_on(
    registration: Running,
) -> None:
    kept, gone = await two_customers(registration)
    joined = {"absorbed": gone, "reason": "The same house."}
    between = Overtaken(
        registration.service.application, lambda: registration.post(DESK, f"/accounts/{kept}/merge", joined)
    )

    [seen] = told(incumbent(gone, "p2"), tenant=TENANT)
    await on_incumbent(seen, between)  # type: ignore[arg-type]
    await registration.settle()

    assert [answer.status_code for answer in between.answers] == [200]
    assert await shown(registration, kept) == [("p2", None, "cloud")]
    assert await shown(registration, gone) == []
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_a_split_between_the_making_of_the_command_and_its_decision_leads_to_the_customer_that_was_told_of(
    registration: Running,
) -> None:
    kept, gone = await two_customers(registration)
    joined = {"absorbed": gone, "reason": "The same house."}
    merged_as = (await registration.post(DESK, f"/accounts/{kept}/merge", joined)).json()["merge_id"]
    apart = {"merge_id": merged_as}
    between = Overtaken(
        registration.service.application, lambda: registration.post(DESK, f"/accounts/{kept}/split", apart)
    )

    [seen] = told(incumbent(gone, "p2"), tenant=TENANT)
    await on_incumbent(seen, between)  # type: ignore[arg-type]
    await registration.settle()

    assert [answer.status_code for answer in between.answers] == [200], between.answers[0].text
    assert await shown(registration, gone) == [("p2", None, "cloud")]
    assert await shown(registration, kept) == []
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_of_who_was_absorbed_the_partner_that_goes_on_is_the_incumbent(registration: Running) -> None:
    first = await registration.register("p1", deal_type="renewal")
    await registration.hear(merged("p3", "p2"))
    second = await registration.register("p2", deal_type="renewal")

    await registration.hear(incumbent(first["account_id"], "p3"))

    await registration.until(second["registration_id"], "in_review")
    assert await shown(registration, first["account_id"]) == [("p3", "p2", "cloud")]


async def test_a_lead_goes_to_the_incumbent_that_was_told_of_or_to_who_goes_on_for_it(registration: Running) -> None:
    await route_by(registration, incumbent_first=True)
    first = await registration.register("p1")
    await registration.hear(merged("p3", "p2"))
    await registration.hear(incumbent(first["account_id"], "p3"))

    company = {"name": "Contoso GmbH", "country": "DE", "website": "www.contoso.com"}
    lead_id = await brought(registration, company=company)

    await offered_to(registration, lead_id, "p2")


async def test_a_lead_goes_round_as_any_other_once_the_vendor_said_that_nobody_is_the_incumbent(
    registration: Running,
) -> None:
    await route_by(registration, incumbent_first=True)
    first = await registration.register("p1")
    await registration.hear(incumbent(first["account_id"], "p2"))
    await registration.hear(incumbent(first["account_id"], None))

    company = {"name": "Contoso GmbH", "country": "DE", "website": "www.contoso.com"}
    lead_id = await brought(registration, company=company)

    await offered_to(registration, lead_id, "p1")


async def test_who_is_named_after_nobody_was_comes_first_again(registration: Running) -> None:
    await route_by(registration, incumbent_first=True)
    first = await registration.register("p1")
    for named in ("p2", None, "p3"):
        await registration.hear(incumbent(first["account_id"], named))

    company = {"name": "Contoso GmbH", "country": "DE", "website": "www.contoso.com"}
    lead_id = await brought(registration, company=company)

    await offered_to(registration, lead_id, "p3")


async def test_that_nobody_is_the_incumbent_of_one_family_leaves_who_sold_another_one_as_well(
    registration: Running,
) -> None:
    await route_by(registration, incumbent_first=True)
    both = await registration.register("p2", products=[{"family": "cloud"}, {"family": "storage"}])
    await approve(registration, both)
    await registration.hear(won(both["registration_id"]))
    await registration.until(both["registration_id"], "closed")
    await registration.hear(incumbent(both["account_id"], None))

    company = {"name": "Contoso GmbH", "country": "DE", "website": "www.contoso.com"}
    lead_id = await brought(registration, company=company)

    await offered_to(registration, lead_id, "p2")


async def test_an_incumbent_is_looked_at_however_many_others_had_their_last_lead_longer_ago(
    registration: Running,
) -> None:
    await route_by(registration, incumbent_first=True)
    first = await registration.register("p1")
    await registration.hear(incumbent(first["account_id"], "p3"))
    company = {"name": "Contoso GmbH", "country": "DE", "website": "www.contoso.com"}
    lead_id = await brought(registration, company=company)
    await offered_to(registration, lead_id, "p3")

    async def others_first(_: str, listed: Iterable[str]) -> tuple[Taker, ...]:
        return tuple(Taker(partner_id=PartnerId(one)) for one in tuple(listed) or ("p1", "p2"))

    peek = registration.service.application.executor.peek(TENANT)
    asked = AskedOfLead(lead_id=lead_id, by="registration", now=registration.clock.now())
    wish = await assigning(asked, others_first)(peek)
    named = await assigning(asked, others_first, PartnerId("p2"))(peek)

    assert ([one.partner_id for one in wish.takers], wish.incumbents) == (["p1", "p2", "p3"], ("p3",))
    assert [one.partner_id for one in named.takers] == ["p2"]


async def test_the_incumbent_of_a_customer_at_which_it_has_no_deal_counts_as_who_absorbs_it_later(
    registration: Running,
) -> None:
    first = await registration.register("p1", deal_type="renewal")
    second = await registration.register("p2", deal_type="renewal")
    await registration.hear(incumbent(first["account_id"], "p3"))
    assert second["status"] == "waiting"

    await registration.hear(merged("p3", "p2"))

    await registration.until(second["registration_id"], "in_review")
    assert await shown(registration, first["account_id"]) == [("p3", "p2", "cloud")]

    await registration.hear(unmerged("p3", "p2"))

    assert await shown(registration, first["account_id"]) == [("p3", None, "cloud")]


async def test_an_incumbent_that_is_absorbed_is_found_also_where_its_customer_was_merged(registration: Running) -> None:
    kept = await registration.register("p1")
    other = {"name": "Contoso Deutschland", "country": "DE", "website": "www.contoso-deutschland.de"}
    gone = await registration.register("p1", customer=other)
    await registration.hear(incumbent(gone["account_id"], "p3"))
    joined = {"absorbed": gone["account_id"], "reason": "The same house."}
    answer = await registration.post(DESK, f"/accounts/{kept['account_id']}/merge", joined)
    assert answer.status_code == 200, answer.text

    await registration.hear(merged("p3", "p2"))

    assert await shown(registration, kept["account_id"]) == [("p3", "p2", "cloud")]


async def test_a_customer_that_is_not_known_here_has_no_incumbent(registration: Running) -> None:
    await registration.hear(incumbent("never-was", "p2"))
    assert (await registration.get(DESK, "/accounts/never-was")).status_code == 404

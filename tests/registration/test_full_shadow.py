"""Shadow runs that look customers up again: as the index was when each deal was submitted, under the rules that are tried."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chassis.afresh import FULL, Remade
from chassis.execution import Glimpse
from chassis.shadow import Report, run
from chassis.shadow_api import ShadowBody, asked_for
from contracts.values import AccountId
from services.registration.adapters.account_index import METHOD
from services.registration.adapters.past_index import PastIndex
from services.registration.application.looking_again import LookUps
from services.registration.application.ports import AccountIndex, Near
from services.registration.domain.customer import Customer
from services.registration.domain.matching import IndexSeen
from tests.registration.service import ADMIN, DESK, TENANT, Running, activated, deal, seller, started

PARTNERS = ("north", "south", "east")
LIMIT = [{"amount": "100000.00", "currency": "EUR"}]
AUTO: dict[str, Any] = {"watch_for": [], "auto_approval": {"on": True, "limits": LIMIT}}


@asynccontextmanager
async def opened(folder: Path, **rules: Any) -> AsyncIterator[Running]:
    async with started(folder) as asked:
        await asked.publish_rules(**rules)
        for partner in PARTNERS:
            await asked.hear(activated(partner))
        yield asked


async def shadow(asked: Running, **body: Any) -> dict[str, Any]:
    answer = await asked.post(DESK, "/shadow-runs", {"rulebook_id": "default", **body})
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    await asked.service.shadow_runs.finished(run_id)
    found = dict((await asked.get(DESK, f"/shadow-runs/{run_id}")).json())
    assert found["status"] == "ready", found
    return found


def changes(run: dict[str, Any]) -> list[tuple[str, str, str, list[str]]]:
    """The commands that came out differently: which, as it was, as it would be, and why."""
    rows = run["report"]["rows"]
    return [
        (row["command"].split(".")[1], row["old"]["outcome"], row["new"]["outcome"], row["new"]["reasons"])
        for row in rows
    ]


def customer(name: str, website: str, country: str = "DE") -> dict[str, Any]:
    return {"name": name, "country": country, "website": website}


# The same rules on whatever happened


NAMES = ("Siemens AG", "Siemens Energy AG", "Siemens Healthineers", "Contoso GmbH", "Contoso Energy", "Fabrikam SE")
PEOPLE, PHONES = ("ida@contoso.com", "otto@fabrikam.com"), ("+49421555017", "+49421555018")
WEBSITES = ("siemens.com", "siemens-energy.com", "contoso.com", "contoso.de", "fabrikam.com", "gmail.com", "gmx.de")


@dataclass
class History:
    """People who do whatever comes into their heads, some of it at the same time."""

    asked: Running
    random: Random
    deals: list[tuple[str, str, str]] = field(default_factory=list)
    merges: list[tuple[str, str]] = field(default_factory=list)

    async def make(self, acts: int) -> None:
        for _ in range(acts):
            act = self.random.choice(
                (
                    *(self.register, self.register, self.register, self.approve, self.decide, self.resubmit),
                    *(self.end, self.merge, self.belong, self.queue, self.forget),
                )
            )
            if act == self.register or self.deals:
                await act()
        await self.asked.settle()

    async def register(self) -> None:
        """One to four deals at once."""
        partners = self.random.choices(PARTNERS, k=self.random.randint(1, 4))
        await asyncio.gather(*(self._register(partner, self._wish()) for partner in partners))

    def _wish(self) -> dict[str, Any]:
        wanted = customer(self.random.choice(NAMES), self.random.choice(WEBSITES))
        scope = self.random.choice(("entity", "entity", "group"))
        person = {"name": "Ida", "email": self.random.choice(PEOPLE), "phone": self.random.choice(PHONES)}
        products = [{"family": "cloud", "sku": self.random.choice("12")}]
        return deal(customer=wanted, scope=scope, products=products, contacts=[person])

    async def _register(self, partner: str, wish: dict[str, Any]) -> None:
        answer = await self.asked.send(seller(partner), "/deals", wish)
        if answer.status_code == 201:
            found = answer.json()
            self.deals.append((partner, found["registration_id"], found["account_id"]))

    def _any(self) -> tuple[str, str, str]:
        return self.random.choice(self.deals)

    async def approve(self) -> None:
        deals = {self._any()[1] for _ in range(3)}
        await asyncio.gather(*(self.asked.send(DESK, f"/deals/{one}/approve") for one in deals))

    async def decide(self) -> None:
        _, one, _ = self._any()
        verdict = self.random.choice(("same", "different", "related"))
        for _, _, account in self.random.sample(self.deals, min(3, len(self.deals))):
            body = {"account_id": account, "verdict": verdict, "reason": "We asked them."}
            await self.asked.send(DESK, f"/deals/{one}/decide-finding", body)

    async def resubmit(self) -> None:
        partner, one, _ = self._any()
        await self.asked.send(DESK, f"/deals/{one}/return", {"fields": ["amount"], "message": "How much?"})
        body = {"amount": {"amount": "12000.00", "currency": "EUR"}}
        await self.asked.send(seller(partner), f"/deals/{one}/resubmit", body)

    async def end(self) -> None:
        partner, one, _ = self._any()
        if self.random.random() < 0.5:
            await self.asked.post(seller(partner), f"/deals/{one}/withdraw")
        else:
            await self.asked.post(DESK, f"/deals/{one}/reject", {"reason_code": "no-fit"})

    async def forget(self) -> None:
        """The telephone numbers that were measured then can be opened no more."""
        await self.asked.post(ADMIN, "/people/forget", {"email": self.random.choice(PEOPLE)})

    async def queue(self) -> None:
        await self.asked.send(DESK, f"/deals/{self._any()[1]}/queue")

    async def merge(self) -> None:
        if self.merges and self.random.random() < 0.5:
            account, merge_id = self.merges.pop()
            await self.asked.send(DESK, f"/accounts/{account}/split", {"merge_id": merge_id})
            return
        (_, _, one), (_, _, other) = self._any(), self._any()
        answer = await self.asked.send(
            DESK, f"/accounts/{one}/merge", {"absorbed": other, "reason": "One and the same."}
        )
        if answer.status_code == 200:
            self.merges.append((one, answer.json()["merge_id"]))

    async def belong(self) -> None:
        (_, _, one), (_, _, other) = self._any(), self._any()
        await self.asked.send(
            DESK, f"/accounts/{one}/link-parent", {"parent": other, "reason": "Their report says so."}
        )


class Compared(LookUps):
    """Notes which commands would have been made otherwise than they were."""

    def __init__(self) -> None:
        super().__init__(PastIndex())
        self.prepared, self.otherwise = 0, list[tuple[Any, Remade]]()

    async def prepare(self, wish: Any, glimpse: Glimpse) -> Remade:
        remade = await super().prepare(wish, glimpse)
        self.prepared += 1
        if remade != Remade(wish=wish):
            self.otherwise.append((wish, remade))
        return remade


async def looked_up(asked: Running, **body: Any) -> tuple[Report, Compared]:
    """The report of a full run, and what it prepared."""
    wanted = await asked_for(asked.service.application, TENANT, ShadowBody(rulebook_id="default", **body), "compared")
    handles, compared = asked.service.application.executor.every_handles, Compared()
    eyes = asked.service.shadow_runs._eyes
    given = asked.service.store, handles, eyes, wanted.candidate, wanted.window
    return await run(*given, afresh=lambda: compared), compared


@settings(
    max_examples=3,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a history is a service's life: a smaller one tells no more
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(0, 1 << 32), auto=st.booleans())
async def test_under_the_rules_that_held_every_command_is_made_again_as_it_was(seed: int, auto: bool) -> None:
    with TemporaryDirectory() as folder:
        async with opened(Path(folder), **(AUTO if auto else {})) as asked:
            await History(asked, Random(seed)).make(25)
            full, compared = await looked_up(asked, version=1, mode="full")
            recorded = await shadow(asked, version=1)

    assert compared.otherwise == []
    assert compared.prepared > 10
    assert full.changed == 0
    assert orjson.loads(orjson.dumps(full.as_json())) == recorded["report"]


async def test_two_full_runs_have_one_digest_and_a_process_of_its_own_reports_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path, **AUTO) as asked:
        await History(asked, Random(7)).make(30)
        wish = {"mode": "full", "body": {**AUTO, "matching": {"possible_percent": 70, "shared_domains": []}}}
        one, two = [await shadow(asked, **wish) for _ in range(2)]
        service = asked.service
        wanted = await asked_for(service.application, TENANT, ShadowBody(rulebook_id="default", **wish), "apart")
        told: list[tuple[int, int]] = []
        apart = await asked.spread().run(wanted.candidate, wanted.window, lambda *done: told.append(done), FULL)

    assert one["mode"] == "full"
    assert one["report"]["changed"] > 0
    assert one["report"] == two["report"] == orjson.loads(orjson.dumps(apart.as_json()))
    assert told[-1] == (wanted.window.until, wanted.window.until)


# Other rules, other customers


async def test_a_domain_that_the_tried_rules_call_a_customers_own_brings_the_rival_that_holds_it(
    tmp_path: Path,
) -> None:
    """Under the rules that held it said nothing of who somebody is, so nobody had asked whose it was."""
    shared: dict[str, Any] = {"matching": {"shared_domains": ["portal.example.com", "example.com"]}}
    async with opened(tmp_path, **shared) as asked:
        await asked.register("north", customer=customer("Alpine Tools", "example.com"))
        second = await asked.register("south", customer=customer("Baltic Foods", "example.com"))
        await asked.post(seller("south"), f"/deals/{second['registration_id']}/withdraw")
        tried = {"body": {"matching": {"shared_domains": []}}}
        recorded = await shadow(asked, **tried)
        full = await shadow(asked, **tried, mode="full")

    assert ("RegisterDeal", "review", "queue") not in [one[:3] for one in changes(recorded)]
    assert [one for one in changes(full) if one[2] == "queue"] == [
        ("RegisterDeal", "review", "queue", ["rival-ahead", "review-required"])
    ]
    assert "other-streams" not in [one[2] for one in changes(full)]


@dataclass
class Narrow:
    """The index as an older release had it: it named only customers whose names were nearly the same."""

    index: AccountIndex

    async def near(self, tenant: str, of: Customer, accounts: Iterable[AccountId]) -> Near:
        found = await self.index.near(tenant, of, accounts)
        kept = tuple(one for one in found.candidates if one.token_set_percent >= 85 or one.link)
        return Near(candidates=kept, index=IndexSeen(version=METHOD - 1, position=found.index.position))


async def test_a_lower_threshold_finds_the_rival_that_an_older_index_had_not_named(tmp_path: Path) -> None:
    async with opened(tmp_path, **AUTO) as asked:
        ports = asked.service.application.ports
        asked.service.application.ports = replace(ports, accounts=Narrow(ports.accounts))
        first = await asked.register("north", customer=customer("Nordwind Logistik", "nordwind.de"))
        second = await asked.register("east", customer=customer("Nordwint Lagistics", "nordwint.com"))
        assert [first["status"], second["status"]] == ["approved", "approved"]
        lower = {"body": {**AUTO, "matching": {"possible_percent": 70}}}
        recorded = await shadow(asked, **lower)
        full = await shadow(asked, **lower, mode="full")

    assert changes(recorded) == []
    assert changes(full) == [
        ("RegisterDeal", "approve", "review", ["similar-customer", "other-index-method"]),
    ]


async def test_a_full_run_over_a_part_of_the_log_knows_the_customers_of_before(tmp_path: Path) -> None:
    async with opened(tmp_path, **AUTO) as asked:
        ports = asked.service.application.ports
        asked.service.application.ports = replace(ports, accounts=Narrow(ports.accounts))
        await asked.register("north", customer=customer("Nordwind Logistik", "nordwind.de"))
        wanted = await asked_for(asked.service.application, TENANT, ShadowBody(rulebook_id="default", version=1), "x")
        await asked.register("east", customer=customer("Nordwint Lagistics", "nordwint.com"))
        lower = {"body": {**AUTO, "matching": {"possible_percent": 70}}, "mode": "full"}
        whole = await asked_for(asked.service.application, TENANT, ShadowBody(rulebook_id="default", **lower), "y")
        window = replace(whole.window, after=wanted.window.until)
        report = await asked.service.shadow_runs.report(replace(whole, window=window), lambda *_: None)

    assert (report.decided, report.changed) == (1, 1)


async def test_who_another_world_never_registered_is_not_found_there(tmp_path: Path) -> None:
    """South's own customer is refused as its second under the tried rules, so East resembles nobody."""
    shared: dict[str, Any] = {**AUTO, "matching": {"shared_domains": ["example.com"]}}
    async with opened(tmp_path, **shared) as asked:
        await asked.register("south", customer=customer("Alpine Tools", "example.com"))
        await asked.register("south", customer=customer("Baltic Foods", "example.com"))
        await asked.register("east", customer=customer("Baltic Foods East", "baltic.example.org"))
        full = await shadow(asked, body={**AUTO, "matching": {"shared_domains": []}}, mode="full")

    assert [one[:3] for one in changes(full)][-2:] == [
        ("RegisterDeal", "review", "already-registered"),
        ("RegisterDeal", "review", "approve"),
    ]


async def test_rules_of_a_kind_that_looks_nothing_up_are_not_tried_in_full(tmp_path: Path) -> None:
    async with opened(tmp_path) as asked:
        kinds = (await asked.get(DESK, "/kinds")).json()["items"]
        draft = {"rulebook_id": "routing", "kind": "lead_rules", "body": {}}
        assert (await asked.post(ADMIN, "/rulebooks", draft)).status_code == 201
        refused = await asked.post(DESK, "/shadow-runs", {"rulebook_id": "routing", "mode": "full"})
        unknown = await asked.post(DESK, "/shadow-runs", {"rulebook_id": "default", "version": 1, "mode": "half"})

    assert {one["kind"]: one["modes"] for one in kinds} == {
        "deal_rules": ["recorded", "full"],
        "lead_rules": ["recorded"],
    }
    assert (refused.status_code, refused.json()["slug"]) == (422, "nothing-looked-up")
    assert unknown.status_code == 422


async def test_the_list_of_runs_says_in_which_mode_each_of_them_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as asked:
        await shadow(asked, version=1, mode="full")
        await shadow(asked, version=1)
        listed = (await asked.get(DESK, "/shadow-runs")).json()["items"]

    assert sorted(one["mode"] for one in listed) == ["full", "recorded"]

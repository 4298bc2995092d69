"""Customers over HTTP: merged, split, with shared keys, and as they were known at an earlier time."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.event import iso
from tests.registration.service import DESK, START, Running, activated, seller, started

FABRIKAM = {"name": "Fabrikam Analytics", "country": "DE", "website": "fabrikam.com"}


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules()
        yield asked


async def held(registration: Running) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two deals that hold one customer, each under a name of its own."""
    first = await registration.register("p1")
    second = await registration.register("p2", customer=FABRIKAM)
    for one in (first, second):
        await registration.post(DESK, f"/deals/{one['registration_id']}/approve")
    return first, second


async def claims_of(registration: Running, account_id: str, **query: str) -> dict[str, str]:
    answer = await registration.get(DESK, f"/accounts/{account_id}/claims", **query)
    assert answer.status_code == 200, answer.text
    return {claim["registration_id"]: claim["state"] for claim in answer.json()["items"]}


async def test_two_customers_become_one_and_two_again(registration: Running) -> None:
    first, second = await held(registration)
    here, there = first["account_id"], second["account_id"]
    body = {"absorbed": there, "reason": "Fabrikam trades as Contoso."}
    merged = (await registration.post(DESK, f"/accounts/{here}/merge", body)).json()
    contested = dict.fromkeys((first["registration_id"], second["registration_id"]), "contested")

    assert contested == await claims_of(registration, here)
    shown = (await registration.get(DESK, f"/accounts/{here}")).json()
    assert contested == {claim["registration_id"]: claim["state"] for claim in shown["claims"]}
    assert there == shown["merges"][0]["account_id"]
    dispute = (await registration.get(DESK, f"/disputes/{second['registration_id']}")).json()
    assert ("wrong_match", "opened") == (dispute["kind"], dispute["stage"])
    mine = (await registration.get(seller("p2"), f"/deals/{second['registration_id']}")).text
    assert first["registration_id"] not in mine

    split = await registration.post(DESK, f"/accounts/{here}/split", {"merge_id": merged["merge_id"]})
    assert 200 == split.status_code
    assert {first["registration_id"]: "held"} == await claims_of(registration, here)
    assert {second["registration_id"]: "held"} == await claims_of(registration, there)


async def test_who_held_it_is_told_for_then_and_as_it_was_known_then(registration: Running) -> None:
    first = await registration.register("p1")
    deal, account = first["registration_id"], first["account_id"]
    registration.clock.set(START + timedelta(days=2))
    await registration.post(DESK, f"/deals/{deal}/approve")
    before, after = iso(START + timedelta(days=1)), iso(START + timedelta(days=3))

    assert {deal: "held"} == await claims_of(registration, account)
    assert {deal: "pending"} == await claims_of(registration, account, at=before)
    assert {deal: "pending"} == await claims_of(registration, account, at=after, known_at=before)
    assert {} == await claims_of(registration, account, at=iso(START + timedelta(days=400)))


async def test_a_number_that_cannot_be_checked_is_no_key(registration: Running) -> None:
    first = await registration.register("p1")
    key = {"scheme": "vat", "value": "]", "country": "LY"}
    refused = await registration.post(DESK, f"/accounts/{first['account_id']}/add-key", key)
    [fault] = refused.json()["errors"]
    assert (422, "value", "unchecked-identifier") == (refused.status_code, fault["path"], fault["code"])


async def test_a_shared_domain_relates_customers_and_tells_them_not_apart(registration: Running) -> None:
    first, second = await held(registration)
    key = {"scheme": "domain", "value": "https://www.contoso.com"}
    taken = await registration.post(DESK, f"/accounts/{second['account_id']}/add-key", key)
    assert (409, "key-taken") == (taken.status_code, taken.json()["type"].rsplit("/")[-1].rsplit(":")[-1])
    shared = await registration.post(DESK, f"/accounts/{second['account_id']}/add-key", {**key, "share": True})
    assert [first["account_id"], second["account_id"]] == shared.json()["accounts"]

    third = await registration.register(
        "p2", customer={**FABRIKAM, "name": "Contoso Pension", "website": "contoso.com"}
    )

    assert third["account_id"] not in (first["account_id"], second["account_id"])
    found = (await registration.get(DESK, f"/deals/{third['registration_id']}/conflicts")).json()["findings"]
    links = {one["candidate"]["account_id"]: one["candidate"]["link"] for one in found}
    assert dict.fromkeys((first["account_id"], second["account_id"]), "shared_key") == links


async def test_a_group_claim_reaches_who_joins_and_leaves_who_is_cut_out(registration: Running) -> None:
    first = await registration.register("p1", scope="group")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    second = await registration.register("p2", customer=FABRIKAM)
    head, child = first["account_id"], second["account_id"]

    body = {"parent": head, "reason": "Contoso bought it."}
    linked = (await registration.post(DESK, f"/accounts/{child}/link-parent", body)).json()
    shown = [(await registration.get(DESK, f"/accounts/{one}")).json() for one in (head, child)]
    waiting = await registration.until(second["registration_id"], "waiting")

    assert (linked["root_id"], linked["contested"]) == (head, [])
    assert (shown[0]["members"], shown[1]["parent"]["account_id"]) == ([child], head)
    assert await claims_of(registration, child) == {
        first["registration_id"]: "held",
        second["registration_id"]: "waiting",
    }
    assert waiting["board"]["place"] == 1
    again = await registration.post(DESK, f"/accounts/{head}/link-parent", {"parent": child, "reason": "Round about."})
    assert (again.status_code, again.json()["type"].rpartition("/")[2]) == (422, "edge-loop")

    cut = await registration.post(DESK, f"/accounts/{child}/cut-parent")
    assert cut.status_code == 200, cut.text
    await registration.until(second["registration_id"], "in_review")
    assert await claims_of(registration, child) == {second["registration_id"]: "pending"}
    assert await claims_of(registration, head) == {first["registration_id"]: "held"}


async def test_the_desk_opens_a_customer_that_a_later_registration_of_its_domain_enters(registration: Running) -> None:
    vat = {"scheme": "vat", "value": "DE136695976"}
    body = {**FABRIKAM, "identifiers": [vat], "trade_names": ["Fabrikam Labs"]}
    first, again = [await registration.post(DESK, "/accounts", body, key="open-1") for _ in range(2)]
    account_id = first.json()["account_id"]
    shown = (await registration.get(DESK, f"/accounts/{account_id}")).json()

    deal = await registration.register("p1", customer=FABRIKAM)
    taken = await registration.post(DESK, "/accounts", {"name": "Other", "country": "DE", "website": "fabrikam.com"})

    assert (first.status_code, first.content) == (201, again.content)
    assert first.headers["Location"] == f"/accounts/{account_id}"
    assert deal["account_id"] == account_id
    assert (shown["name"], shown["domain"]) == ("Fabrikam Analytics", "fabrikam.com")
    assert [(one["scheme"], one["value"]) for one in shown["keys"]] == [
        ("vat", "DE:136695976"),
        ("domain", "fabrikam.com"),
    ]
    assert (taken.status_code, taken.json()["slug"], taken.json()["account_id"]) == (409, "key-taken", account_id)
    assert (await registration.post(seller("p1"), "/accounts", body)).status_code == 403


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"website": None}, "known_by"),
        ({"website": "www.gmail.com"}, "known_by"),
        ({"website": "co.uk"}, "website"),
        ({"natural_person": True}, "body.natural_person"),
    ],
)
async def test_a_customer_that_nothing_tells_apart_is_not_opened(
    registration: Running, changes: dict[str, Any], path: str
) -> None:
    answer = await registration.post(DESK, "/accounts", {**FABRIKAM, **changes})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)
    assert (await registration.get(DESK, "/accounts")).json()["items"] == []


def numbered(name: str, country: str, scheme: str, value: str) -> dict[str, Any]:
    return {"name": name, "country": country, "identifiers": [{"scheme": scheme, "value": value}]}


async def test_a_number_that_nobody_can_check_asks_a_person_whether_two_are_one(registration: Running) -> None:
    first = await registration.register("p1", customer=numbered("Alder Mills", "IE", "registry", "12345"))
    second = await registration.register("p2", customer=numbered("Birch Works", "IE", "registry", "12345"))

    refused = await registration.post(DESK, f"/deals/{second['registration_id']}/approve")

    assert first["account_id"] != second["account_id"]
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "finding-undecided")
    assert refused.json()["accounts"] == [first["account_id"]]


async def test_a_swiss_number_is_one_whatever_tax_is_named_behind_it(registration: Running) -> None:
    german = await registration.register("p1", customer=numbered("Alder AG", "CH", "vat", "CHE-107.787.577 MWST"))
    italian = await registration.register("p2", customer=numbered("Alder SA", "CH", "vat", "CHE-107.787.577 IVA"))

    assert (german["account_id"], "waiting") == (italian["account_id"], italian["status"])


async def test_a_customer_is_found_by_a_word_of_its_name_or_all_of_it(registration: Running) -> None:
    first = await registration.register("p1", customer={**FABRIKAM, "trade_names": ["Blue Mill"]})
    await registration.register("p2")

    async def found(name: str) -> list[str]:
        answer = await registration.get(DESK, "/accounts", name=name)
        assert answer.status_code == 200, answer.text
        return [one["account_id"] for one in answer.json()["items"]]

    for name in ("fabrikam", "ANALYTICS", "Fabrikam Analytics GmbH", "mill"):
        assert await found(name) == [first["account_id"]], name
    assert await found("fabri") == []
    assert await found("…") == []


ALDER, BIRCH = (numbered(name, "IE", "registry", "12345") for name in ("Alder Mills", "Birch Works"))


async def word(registration: Running, deal: dict[str, Any], account_id: str, verdict: str = "same") -> dict[str, Any]:
    body = {"account_id": account_id, "verdict": verdict, "reason": "We asked them."}
    answer = await registration.post(DESK, f"/deals/{deal['registration_id']}/decide-finding", body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_similar_customer_that_is_the_same_is_merged_in_the_commit_that_says_so(registration: Running) -> None:
    first = await registration.register("p1", customer=ALDER)
    await registration.post(DESK, f"/accounts/{first['account_id']}/confirm")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    second = await registration.register("p2", customer=BIRCH)
    here, there = first["account_id"], second["account_id"]

    await word(registration, second, here)

    line = {first["registration_id"]: "held", second["registration_id"]: "waiting"}
    await registration.until(second["registration_id"], "waiting")
    assert await claims_of(registration, here) == line
    assert await claims_of(registration, there) == {}
    [merge] = (await registration.get(DESK, f"/accounts/{here}")).json()["merges"]
    assert merge["account_id"] == there
    shown = (await registration.get(DESK, f"/deals/{second['registration_id']}")).json()
    assert shown["board"]["account_id"] == here
    recorded = await registration.service.store.feed(0, 1_000)
    names = {type(one.event).__name__: one.command_id for one in recorded}
    assert names["FindingDecided"] == names["AccountsMerged"] == names["DealMoved"] == names["ClaimsJoined"]

    split = await registration.post(DESK, f"/accounts/{here}/split", {"merge_id": merge["merge_id"]})

    assert split.status_code == 200, split.text
    await registration.until(second["registration_id"], "in_review")
    assert await claims_of(registration, there) == {second["registration_id"]: "pending"}


async def test_the_same_word_on_a_finding_twice_merges_once_and_another_account_is_no_finding(
    registration: Running,
) -> None:
    first = await registration.register("p1", customer=ALDER)
    second = await registration.register("p2", customer=BIRCH)
    for _ in range(2):
        await word(registration, second, first["account_id"])

    body = {"account_id": "nobody", "verdict": "same", "reason": "We asked them."}
    unknown = await registration.post(DESK, f"/deals/{second['registration_id']}/decide-finding", body)

    assert len((await registration.get(DESK, f"/accounts/{first['account_id']}")).json()["merges"]) == 1
    assert (unknown.status_code, unknown.json()["slug"]) == (422, "no-such-finding")


async def test_two_holds_that_become_one_customer_s_by_a_finding_are_contested(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    alike = {"name": "Contoso GmbH", "country": "DE", "website": "contoso-labs.de"}
    second = await registration.register("p2", customer=alike)
    await word(registration, second, first["account_id"], "related")
    approved = await registration.post(DESK, f"/deals/{second['registration_id']}/approve")
    assert approved.json()["status"] == "approved", approved.text
    third = await registration.register("p2", customer=alike, role="referral")
    assert third["account_id"] == second["account_id"]

    await word(registration, third, first["account_id"])

    assert await claims_of(registration, first["account_id"]) == {
        first["registration_id"]: "contested",
        second["registration_id"]: "contested",
        third["registration_id"]: "pending",
    }
    dispute = (await registration.get(DESK, f"/disputes/{second['registration_id']}")).json()
    assert ("wrong_match", "opened") == (dispute["kind"], dispute["stage"])


async def test_where_a_group_is_in_the_way_the_claim_enters_both_customers(registration: Running) -> None:
    first = await registration.register("p1", customer=ALDER)
    second = await registration.register("p2", customer=BIRCH)
    other = await registration.register("p2", customer=FABRIKAM)
    edge = {"parent": other["account_id"], "reason": "Fabrikam bought it."}
    assert (await registration.post(DESK, f"/accounts/{second['account_id']}/link-parent", edge)).status_code == 200

    await word(registration, second, first["account_id"])

    assert (await registration.get(DESK, f"/accounts/{first['account_id']}")).json()["merges"] == []
    assert second["registration_id"] in await claims_of(registration, first["account_id"])
    assert second["registration_id"] in await claims_of(registration, second["account_id"])

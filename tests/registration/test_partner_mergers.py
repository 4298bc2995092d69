"""Partners that become one, as onboarding tells it: what the running service makes of it, and of a chain and its end."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.verify import verify_decisions
from contracts.onboarding import PartnersMerged, PartnersUnmerged
from contracts.registration import DisputeDecided, DisputeOpened
from contracts.values import PartnerId
from tests.registration.service import DESK, START, Running, activated, deal, seller, started
from tests.registration.test_leads import brought, offered_to, route_by
from tests.registration.test_service import won

ARBITER = replace(DESK, subject="arbiter-1", roles=("channel_manager",), duties=("arbiter",))


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2", "p3"):
            await asked.hear(activated(partner))
        await asked.publish_rules()
        yield asked


def merged(absorbed: str, survivor: str, revision: int = 2) -> PartnersMerged:
    return PartnersMerged(
        partner_id=PartnerId(absorbed),
        survivor_id=PartnerId(survivor),
        absorbed_id=PartnerId(absorbed),
        revision=revision,
        effective_on=START.date(),
        merged_at=START,
    )


def unmerged(absorbed: str, survivor: str, revision: int = 3) -> PartnersUnmerged:
    return PartnersUnmerged(
        partner_id=PartnerId(absorbed),
        survivor_id=PartnerId(survivor),
        absorbed_id=PartnerId(absorbed),
        revision=revision,
        unmerged_at=START,
    )


async def approve(registration: Running, found: dict[str, Any]) -> None:
    await registration.post(DESK, f"/accounts/{found['account_id']}/confirm")
    answer = await registration.post(DESK, f"/deals/{found['registration_id']}/approve")
    assert answer.json()["status"] == "approved", answer.text


async def claims(registration: Running, account_id: str) -> dict[str, tuple[str, str | None]]:
    rows = (await registration.get(DESK, f"/accounts/{account_id}")).json()["claims"]
    return {one["registration_id"]: (one["state"], one.get("counts_as")) for one in rows}


async def test_the_deals_of_partners_that_became_one_are_no_rivals_until_they_are_two_again(
    registration: Running,
) -> None:
    first = await registration.register("p1")
    await approve(registration, first)
    second = await registration.register("p2")
    a, b, account = first["registration_id"], second["registration_id"], first["account_id"]
    assert second["status"] == "waiting"

    await registration.hear(merged("p1", "p2"))

    await registration.until(b, "in_review")
    answer = await registration.post(DESK, f"/deals/{b}/approve")
    assert answer.json()["status"] == "approved", answer.text
    assert await claims(registration, account) == {a: ("held", "p2"), b: ("held", None)}
    again = await registration.send(seller("p2"), "/deals", deal())
    assert (again.status_code, again.json()["slug"]) == (409, "already-registered")
    rival = await registration.register("p3")
    assert (rival["status"], [one["code"] for one in rival["reasons"]]) == ("waiting", ["rival-ahead"])

    await registration.hear(unmerged("p1", "p2"))

    assert await claims(registration, account) == {
        a: ("contested", None),
        b: ("contested", None),
        rival["registration_id"]: ("waiting", None),
    }
    [opened] = await registration.told(DisputeOpened)
    assert (opened.registration_id, opened.partner_id) == (b, "p2")


async def withdraw(registration: Running, found: dict[str, Any], partner: str) -> None:
    path = f"/deals/{found['registration_id']}/withdraw"
    answer = await registration.post(seller(partner), path, {"reason_code": "lost-interest"})
    assert answer.json()["status"] == "withdrawn", answer.text


async def test_who_took_its_deal_back_while_it_was_one_with_another_one_is_its_rival_afterwards(
    registration: Running,
) -> None:
    first = await registration.register("p1")
    await approve(registration, first)
    await registration.hear(merged("p1", "p2"))
    await withdraw(registration, first, "p1")
    await registration.hear(unmerged("p1", "p2"))

    held = await registration.register("p2")
    await approve(registration, held)

    late = await registration.register("p1")
    assert (late["status"], [one["code"] for one in late["reasons"]]) == ("waiting", ["rival-ahead"])
    line = (await registration.get(DESK, f"/accounts/{held['account_id']}/claims")).json()["items"]
    assert {one["registration_id"]: (one["state"], one.get("counts_as")) for one in line} == {
        held["registration_id"]: ("held", None),
        late["registration_id"]: ("waiting", None),
    }


async def test_who_is_by_itself_again_is_not_told_what_the_other_one_has_registered(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.hear(merged("p1", "p2"))
    await withdraw(registration, first, "p1")
    await registration.hear(unmerged("p1", "p2"))
    await registration.register("p1")

    answer = await registration.send(seller("p2"), "/deals", deal())

    assert (answer.status_code, answer.json()["status"]) == (201, "waiting")


async def test_what_a_participant_won_counts_as_that_of_whoever_goes_on_for_it(registration: Running) -> None:
    found = await registration.register("p1")
    await approve(registration, found)
    to = {"registration_id": found["registration_id"], "partner_id": "p3", "role": "distribute", "message": "Will you?"}
    named = (await registration.post(seller("p1"), "/invitations", to)).json()["invitation_id"]
    await registration.post(seller("p3"), f"/invitations/{named}/accept")
    await registration.hear(won(found["registration_id"]))

    async def incumbents() -> dict[str, str | None]:
        shown = (await registration.get(DESK, f"/accounts/{found['account_id']}")).json()
        return {one["partner_id"]: one.get("counts_as") for one in shown["incumbents"]}

    await registration.hear(merged("p3", "p2"))
    assert await incumbents() == {"p1": None, "p3": "p2"}

    await registration.hear(unmerged("p3", "p2"))
    assert await incumbents() == {"p1": None, "p3": None}


async def test_two_that_became_one_with_the_same_partner_both_count_as_it(registration: Running) -> None:
    first = await registration.register("p1")
    await approve(registration, first)
    second = await registration.register("p3")
    await registration.hear(merged("p1", "p2"))

    await registration.hear(merged("p3", "p2"))

    shown = (await registration.get(DESK, f"/accounts/{first['account_id']}")).json()
    assert {one["registration_id"]: one.get("counts_as") for one in shown["claims"]} == {
        first["registration_id"]: "p2",
        second["registration_id"]: "p2",
    }
    assert {one["partner_id"]: one["counts_as"] for one in shown["aliases"]} == {"p1": "p2", "p3": "p2"}


async def test_whoever_is_absorbed_by_one_that_is_absorbed_counts_as_the_last_one(registration: Running) -> None:
    first = await registration.register("p1")
    await approve(registration, first)
    await registration.hear(merged("p1", "p2"))

    await registration.hear(merged("p2", "p3"))
    assert await claims(registration, first["account_id"]) == {first["registration_id"]: ("held", "p3")}

    await registration.hear(unmerged("p2", "p3"))
    assert await claims(registration, first["account_id"]) == {first["registration_id"]: ("held", "p2")}

    await registration.hear(unmerged("p1", "p2"))
    assert await claims(registration, first["account_id"]) == {first["registration_id"]: ("held", None)}


async def test_what_the_absorbed_partner_asked_for_can_be_approved_and_nothing_new_be_asked_for(
    registration: Running,
) -> None:
    first = await registration.register("p1")
    await registration.hear(merged("p1", "p2"))

    await approve(registration, first)

    late = await registration.register("p1", products=[{"family": "cloud", "sku": "200"}])
    assert (late["status"], [one["code"] for one in late["reasons"]]) == ("rejected", ["partner-not-active"])


async def test_what_a_merger_did_is_decided_again_as_it_was(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.hear(merged("p1", "p2"))

    assert await claims(registration, first["account_id"]) == {first["registration_id"]: ("pending", "p2")}
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_a_dispute_that_is_won_while_the_partner_counts_as_another_takes_nothing_from_that_one(
    registration: Running,
) -> None:
    """Its claim was gone when the two became one, so that the customer's line could not know of it."""
    mine = await registration.register("p1")
    await registration.post(DESK, f"/deals/{mine['registration_id']}/reject", {"reason_code": "no-fit"})
    theirs = await registration.register("p3")
    await approve(registration, theirs)
    filed = {"registration_id": mine["registration_id"], "kind": "earlier_work", "statement": "We came first."}
    assert (await registration.post(seller("p1"), "/disputes", filed)).status_code == 201
    await registration.hear(merged("p1", "p2"))
    await registration.hear(merged("p2", "p3", revision=3))

    verdict = {"outcome": "overturned", "reason": "It did."}
    decided = await registration.post(ARBITER, f"/disputes/{mine['registration_id']}/decide", verdict)
    assert decided.status_code == 200, decided.text
    registration.clock.set(START + timedelta(days=40))
    await registration.until_heard(DisputeDecided, final=True)
    await registration.settle()

    assert await claims(registration, mine["account_id"]) == {
        theirs["registration_id"]: ("held", None),
        mine["registration_id"]: ("held", "p3"),
    }
    shown = (await registration.get(DESK, f"/deals/{theirs['registration_id']}")).json()
    assert shown["board"]["status"] == "approved"
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


# Who goes on for another one, and its people: the gateway names both in the signed principal

BOTH = replace(seller("p2"), absorbed=("p1",))
"""A seller of the partner that absorbed another one, or of the one that was absorbed."""
RIVAL = seller("p3")
AMOUNT = {"amount": "10000.00", "currency": "EUR"}


async def test_who_goes_on_for_a_partner_works_on_its_leads_and_makes_deals_of_its_own_of_them(
    registration: Running,
) -> None:
    await route_by(registration, partners=[{"partner_id": "p1"}])
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1")
    await registration.post(seller("p1"), f"/leads/{lead_id}/accept")
    await registration.hear(merged("p1", "p2"))

    reported = await registration.post(BOTH, f"/leads/{lead_id}/report", {"step": "contacted"})
    assert reported.status_code == 200, reported.text
    assert (await registration.get(BOTH, f"/leads/{lead_id}")).json()["contact"]["name"] == "Petra Prospect"
    assert [one["lead_id"] for one in (await registration.get(BOTH, "/leads")).json()["items"]] == [lead_id]
    for who in (RIVAL, seller("p2")):
        assert (await registration.post(who, f"/leads/{lead_id}/report", {"step": "meeting"})).status_code == 404
        assert (await registration.get(who, "/leads")).json()["items"] == []

    wish = {"products": [{"family": "cloud"}], "amount": AMOUNT}
    answers = [await registration.post(BOTH, f"/leads/{lead_id}/convert", wish, key="once") for _ in range(2)]
    assert [one.json()["status"] for one in answers] == ["converted", "converted"]
    [made] = (await registration.get(seller("p2"), "/deals")).json()["items"]
    assert (made["partner_id"], made["customer"]) == ("p2", "Fabrikam AG")
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_who_goes_on_for_a_partner_works_on_its_deals_and_drafts_and_what_is_new_is_its_own(
    registration: Running,
) -> None:
    first = await registration.register("p1")
    await approve(registration, first)
    path = f"/deals/{first['registration_id']}"
    draft = (await registration.post(seller("p1"), "/drafts", {"amount": AMOUNT})).json()["registration_id"]
    await registration.hear(merged("p1", "p2"))

    assert (await registration.post(BOTH, f"{path}/amend", {"amount": {**AMOUNT, "amount": "11000.00"}})).is_success
    assert [one["registration_id"] for one in (await registration.get(BOTH, "/drafts")).json()["items"]] == [draft]
    other = {name: deal()[name] for name in ("products", "amount")}
    customer = {"name": "Fabrikam AG", "country": "DE", "website": "www.fabrikam.com"}
    kept = await registration.patch(BOTH, f"/deals/{draft}", {**other, "customer": customer, "partner_id": "p1"})
    assert kept.is_success, kept.text
    assert [one["partner_id"] for one in (await registration.get(BOTH, "/drafts")).json()["items"]] == ["p1"]
    registered = await registration.post(BOTH, f"/deals/{draft}/register")
    replaced = await registration.post(BOTH, f"{path}/replace", {"products": [{"family": "storage"}]})

    assert [one.json()["partner_id"] for one in (registered, replaced)] == ["p2", "p2"]
    shown = {
        one["registration_id"]: one["partner_id"] for one in (await registration.get(BOTH, "/deals")).json()["items"]
    }
    successor = replaced.json()["registration_id"]
    assert shown == {first["registration_id"]: "p1", draft: "p2", successor: "p2"}
    await registration.post(DESK, f"/deals/{successor}/approve")
    assert (await registration.until(first["registration_id"], "withdrawn"))["board"]["partner_id"] == "p1"
    for who in (RIVAL, seller("p1")):
        assert (await registration.get(who, f"/deals/{successor}")).status_code == 404
    assert (await registration.post(RIVAL, f"{path}/replace", {"products": [{"family": "x"}]})).status_code == 404
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_who_goes_on_for_a_partner_takes_back_what_it_had_imported(registration: Running) -> None:
    file = b"customer,country,website,products,amount,currency\nContoso,DE,www.contoso.com,cloud,10000.00,EUR\n"
    batch_id = (await registration.upload(seller("p1"), file)).json()["batch_id"]
    await registration.until_batch(seller("p1"), batch_id, "dry_run")
    await registration.post(seller("p1"), f"/batches/{batch_id}/apply")
    await registration.until_batch(seller("p1"), batch_id, "applied")
    await registration.hear(merged("p1", "p2"))

    assert (await registration.get(RIVAL, f"/batches/{batch_id}")).status_code == 404
    assert [one["batch_id"] for one in (await registration.get(BOTH, "/batches")).json()["items"]] == [batch_id]
    await registration.post(BOTH, f"/batches/{batch_id}/undo")
    undone = await registration.until_batch(BOTH, batch_id, "undone")

    assert undone["counts"]["undone"] == 1

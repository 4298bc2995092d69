"""Over HTTP: drafts, notes, attempts, evidence, orders, and the numbers that lead to a deal."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.registration.service import DESK, FINANCE, Running, activated, deal, seller, started


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules(zone="Europe/London")
        yield asked


async def test_a_draft_grows_and_is_submitted(registration: Running) -> None:
    p1 = seller("p1")
    begun = (await registration.post(p1, "/drafts", {"customer": deal()["customer"]})).json()
    path = f"/deals/{begun['registration_id']}"

    early = await registration.post(p1, f"{path}/register")
    changed = await registration.patch(p1, path, {k: v for k, v in deal().items() if k != "customer"})
    mine = (await registration.get(p1, "/drafts")).json()["items"]
    submitted = await registration.post(p1, f"{path}/register")

    assert begun["status"] == "draft"
    assert (early.status_code, {one["path"] for one in early.json()["errors"]}) == (422, {"products", "amount"})
    assert changed.status_code == 200
    assert mine[0]["body"]["customer"]["name"] == "Contoso GmbH"
    assert (submitted.status_code, submitted.json()["status"]) == (201, "in_review")
    assert submitted.json()["registration_id"] == begun["registration_id"]
    assert (await registration.get(p1, "/drafts")).json()["items"] == []


async def test_a_draft_is_its_partners_alone(registration: Running) -> None:
    begun = (await registration.post(seller("p1"), "/drafts", {"amount": deal()["amount"]})).json()
    path = begun["registration_id"]

    assert (await registration.get(DESK, f"/drafts/{path}")).status_code == 403
    assert (await registration.get(DESK, f"/deals/{path}")).status_code == 404
    assert (await registration.get(seller("p2"), f"/drafts/{path}")).status_code == 404
    assert (await registration.patch(seller("p2"), f"/deals/{path}", {})).status_code == 404
    assert (await registration.patch(seller("p1"), f"/deals/{path}", {"surprise": 1})).status_code == 422
    discarded = await registration.post(seller("p1"), f"/deals/{path}/withdraw")
    assert (discarded.status_code, discarded.json()["status"]) == (200, "withdrawn")


async def test_internal_notes_stay_on_their_side(registration: Running) -> None:
    registered = await registration.register("p1")
    path = f"/deals/{registered['registration_id']}/notes"
    for who in (DESK, seller("p1")):
        for audience in ("shared", "internal"):
            note = {"text": f"{who.kind} {audience}", "audience": audience}
            assert (await registration.post(who, path, note)).status_code == 201

    by_desk = [note["text"] for note in (await registration.get(DESK, path)).json()["items"]]
    by_partner = [note["text"] for note in (await registration.get(seller("p1"), path)).json()["items"]]

    assert by_desk == ["vendor shared", "vendor internal", "partner shared"]
    assert by_partner == ["vendor shared", "partner shared", "partner internal"]
    assert (await registration.get(FINANCE, path)).status_code == 403
    assert (await registration.post(seller("p2"), path, {"text": "who is it?"})).status_code == 404
    stored = [one.stored for one in await registration.service.store.feed(0, 1000)]
    assert not any(b"vendor internal" in body for body in stored)


async def test_a_deals_notes_are_its_own_in_the_order_in_which_they_were_written(registration: Running) -> None:
    one = (await registration.register("p1"))["registration_id"]
    elsewhere = {"name": "Fabrikam AG", "country": "CH", "website": "https://www.fabrikam.com"}
    other = (await registration.register("p1", customer=elsewhere))["registration_id"]
    for number in range(3):
        for deal_id in (one, other):
            note = {"text": f"{deal_id} {number}"}
            assert (await registration.post(seller("p1"), f"/deals/{deal_id}/notes", note)).status_code == 201

    for deal_id in (one, other):
        found = (await registration.get(DESK, f"/deals/{deal_id}/notes")).json()["items"]
        assert [note["text"] for note in found] == [f"{deal_id} {number}" for number in range(3)]


async def test_done_when_4_refusals_stand_in_attempts_and_a_partner_sees_its_own(registration: Running) -> None:
    registered = await registration.register("p1")
    path = f"/deals/{registered['registration_id']}"

    assert (await registration.post(seller("p1"), f"{path}/amend", {"crm_reference": "C"})).status_code == 409
    assert (await registration.post(DESK, f"{path}/queue")).status_code == 409
    everyone = (await registration.get(DESK, f"{path}/attempts")).json()["items"]
    own = (await registration.get(seller("p1"), f"{path}/attempts")).json()["items"]

    assert [(one["by"], one["slug"]) for one in everyone] == [("partner", "wrong-state"), ("vendor", "not-blocked")]
    assert [(one["by"], one["slug"]) for one in own] == [("partner", "wrong-state")]


async def test_fifty_attempts_a_day_are_kept_and_the_rest_counted(registration: Running) -> None:
    registered = await registration.register("p1")
    path = f"/deals/{registered['registration_id']}"
    for _ in range(51):
        await registration.send(DESK, f"{path}/queue")
    await registration.settle()

    found = (await registration.get(DESK, f"{path}/attempts")).json()
    own = (await registration.get(seller("p1"), f"{path}/attempts")).json()

    assert len(found["items"]) == 50
    assert found["days"] == [{"day": "2026-03-03", "count": 51}]
    assert own == {"items": [], "next_cursor": None}


async def test_evidence_and_orders_stand_on_the_deal(registration: Running) -> None:
    registered = await registration.register("p1", role="distribute")
    path = f"/deals/{registered['registration_id']}"
    proof = {"kind": "letter", "dated_on": "2026-03-01", "sha256": "a" * 64, "size_bytes": 10}
    order = {"order_ref": "SO-1", "amount": {"amount": "10.00", "currency": "EUR"}, "ordered_on": "2026-03-03"}

    assert (await registration.post(seller("p1"), f"{path}/add-evidence", {"evidence": [proof]})).status_code == 200
    big = {"evidence": [{**proof, "size_bytes": (25 << 20) + 1}]}
    assert (await registration.post(seller("p1"), f"{path}/add-evidence", big)).status_code == 422
    await registration.post(DESK, f"{path}/approve")
    assert (await registration.post(seller("p1"), f"{path}/record-order", order)).status_code == 200
    shown = (await registration.get(seller("p1"), path)).json()

    assert shown["details"]["evidence"] == [proof]
    assert shown["orders"] == [order]


async def test_both_numbers_of_a_merged_deal_lead_to_the_one_that_goes_on(registration: Running) -> None:
    first = await registration.register("p1")
    second = await registration.register("p1", products=[{"sku": "200"}])

    merged = await registration.post(
        DESK, f"/deals/{second['registration_id']}/merge", {"into": first["registration_id"]}
    )

    assert (merged.status_code, merged.json()["status"]) == (200, "withdrawn")
    for number in (first["number"], second["number"]):
        found = (await registration.get(seller("p1"), "/deals", number=number)).json()["items"]
        assert [item["registration_id"] for item in found] == [first["registration_id"]]


async def test_the_board_is_narrowed_by_product_and_day_and_sorted_by_amount(registration: Running) -> None:
    small = await registration.register("p1", amount={"amount": "900.00", "currency": "EUR"})
    large = await registration.register("p2", products=[{"family": "data"}])

    by_product = (await registration.get(DESK, "/deals", product="data")).json()["items"]
    by_amount = (await registration.get(DESK, "/deals", sort="amount")).json()["items"]
    assert by_amount == (await registration.get(DESK, "/deals", sort="amount_sorts")).json()["items"]
    later = (await registration.get(DESK, "/deals", submitted_from="2026-03-04")).json()["items"]

    by_sku = (await registration.get(DESK, "/deals", product="100")).json()["items"]
    as_typed = (await registration.get(DESK, "/deals", product="Data")).json()["items"]

    assert [item["registration_id"] for item in by_product] == [large["registration_id"]]
    assert [item["registration_id"] for item in by_sku] == [small["registration_id"]]
    assert as_typed == by_product
    assert [item["registration_id"] for item in by_amount] == [small["registration_id"], large["registration_id"]]
    assert later == []


async def test_a_deal_that_its_partner_takes_back_is_due_no_more(registration: Running) -> None:
    taken_back = await registration.register("p1")
    path = f"/deals/{taken_back['registration_id']}"
    await registration.post(DESK, f"{path}/return", {"fields": ["amount"], "message": "How much is it?"})
    returned = (await registration.get(DESK, path)).json()["board"]
    await registration.post(seller("p1"), f"{path}/withdraw")

    withdrawn = (await registration.get(DESK, path)).json()["board"]

    assert (returned["due_at"], withdrawn["due_at"]) == ("2026-03-24T10:00:00Z", None)


async def test_a_natural_person_is_named_to_who_may_know_and_nowhere_in_the_open(registration: Running) -> None:
    person = {"name": "Erika Mustermann", "country": "DE", "natural_person": True, "street": "Hauptweg 7"}
    number = {"scheme": "tax", "value": "36574261809"}
    registered = await registration.register("p1", customer={**person, "identifiers": [number]})
    path = f"/deals/{registered['registration_id']}"

    again = await registration.register("p2", customer={**person, "identifiers": [number]})
    shown = await registration.get(seller("p1"), path)

    assert "Erika Mustermann" in shown.json()["customer"]["private"]
    assert again["status"] == "waiting", "the hashed number still tells that it is the same person"
    stored = b"".join(one.stored for one in await registration.service.store.feed(0, 1000))
    assert not any(word in stored for word in (b"Erika", b"Hauptweg", b"36574261809"))
    assert b"Erika" not in (await registration.get(FINANCE, path)).content


async def test_replacing_a_deal_registers_a_linked_one_and_the_old_one_holds_until_it_is_approved(
    registration: Running,
) -> None:
    p1 = seller("p1")
    contact = {"name": "Ida Berg", "email": "ida@contoso.com"}
    old = await registration.register("p1", contacts=[contact], partner_reference="PO-1", deal_type="expansion")
    path = f"/deals/{old['registration_id']}"
    await registration.post(DESK, f"{path}/approve")

    answer = await registration.post(p1, f"{path}/replace", {"products": [{"family": "storage"}]}, key="once")
    again = await registration.post(p1, f"{path}/replace", {"products": [{"family": "storage"}]}, key="once")
    new = f"/deals/{answer.json()['registration_id']}"
    shown = (await registration.get(p1, new)).json()
    before = (await registration.get(p1, path)).json()["board"]["status"]
    await registration.post(DESK, f"{new}/approve")
    after = (await registration.get(p1, path)).json()

    assert (answer.status_code, answer.json()["status"], answer.headers["location"]) == (201, "in_review", new)
    assert again.json() == answer.json()
    assert shown["replaces"] == old["registration_id"]
    assert (shown["products"], shown["board"]["deal_type"]) == (
        [{"family": "storage", "sku": None, "quantity": 1}],
        "expansion",
    )
    assert "Ida Berg" in shown["details"]["contacts"][0]
    assert shown["details"]["partner_reference"] is None
    assert (before, after["board"]["status"]) == ("approved", "withdrawn")
    assert (await registration.get(p1, new)).json()["board"]["status"] == "approved"


WESERGLAS = {"name": "Weserglas Handel GmbH", "country": "DE", "website": "weserglas.de"}
IDA = {"name": "Ida Berg", "email": "ida@weserglas.de", "phone": "+49421555017"}
OTHER_NUMBER = {**IDA, "phone": "+49421555018"}


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({"customer": WESERGLAS, "scope": "group"}, ["probable"]),
        ({"scope": "group"}, ["probable"]),
        ({"customer": WESERGLAS, "contacts": [IDA]}, ["probable"]),
        ({"customer": WESERGLAS, "contacts": [OTHER_NUMBER]}, ["possible"]),
        ({"contacts": [OTHER_NUMBER]}, ["possible"]),
        ({"contacts": []}, ["possible"]),
        ({"customer": {**WESERGLAS, "natural_person": True}}, []),
    ],
)
async def test_a_successor_is_found_by_the_telephone_numbers_of_whom_it_names(
    registration: Running, wish: dict[str, Any], found: list[str]
) -> None:
    alike = {"name": "Weserglas Handel s GmbH", "country": "DE", "website": "weserglas-s.de"}
    await registration.register("p2", customer=alike, contacts=[{"name": "Otto", "phone": IDA["phone"]}])
    old = await registration.register("p1", customer=WESERGLAS, contacts=[IDA])
    path = f"/deals/{old['registration_id']}/replace"

    unchanged = await registration.post(seller("p1"), path, {"customer": WESERGLAS})
    new = (await registration.post(seller("p1"), path, wish)).json()["registration_id"]

    assert (unchanged.status_code, unchanged.json()["slug"]) == (422, "nothing-to-replace")
    findings = (await registration.get(DESK, f"/deals/{new}/conflicts")).json()["findings"]
    assert [one["match"] for one in findings] == found


async def test_only_who_may_register_for_a_partner_replaces_its_deal_and_only_while_it_is_one(
    registration: Running,
) -> None:
    old = await registration.register("p1")
    path = f"/deals/{old['registration_id']}"
    unnamed = {"customer": {"name": "Contoso Sites GmbH", "country": "DE"}}

    assert (await registration.post(seller("p2"), f"{path}/replace", {"scope": "group"})).status_code == 404
    assert (await registration.post(FINANCE, f"{path}/replace", {"scope": "group"})).status_code == 403
    nameless = await registration.post(seller("p1"), f"{path}/replace", unnamed)
    assert (nameless.status_code, nameless.json()["errors"][0]["path"]) == (422, "customer")
    shown = (await registration.get(seller("p1"), path)).json()
    same_customer = {name: shown["customer"][name] for name in ("name", "country")}
    same_customer["website"] = shown["customer"]["domain"]
    for nothing in ({}, {"scope": "entity"}, {"customer": same_customer, "products": shown["products"]}):
        refused = await registration.post(seller("p1"), f"{path}/replace", nothing)
        assert (refused.status_code, refused.json()["slug"]) == (422, "nothing-to-replace"), nothing
    assert (await registration.post(DESK, f"{path}/replace", {"scope": "group"})).status_code == 201
    await registration.post(seller("p1"), f"{path}/withdraw")
    late = await registration.post(seller("p1"), f"{path}/replace", {"scope": "site"})
    assert (late.status_code, late.json()["state"]) == (409, "withdrawn")

"""What a program is told: where a thing that it made is found, and what to do when it asked wrongly."""

import pytest

from services.gateway.api.portal.leads import partners_of
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_place_of_a_new_deal_is_where_it_is_read(it: System) -> None:
    north = await it.who("northwind")
    made = await north.post(DEALS, deal("Ortsmann Karten AG", "ortsmann-karten.de"), key="place")
    identity = done(made, 201)["registration_id"]
    assert made.headers["location"] == f"{DEALS}/{identity}"
    await it.settle()
    assert done(await north.get(made.headers["location"]))["board"]["registration_id"] == identity


async def test_a_body_that_breaks_off_is_a_bad_request_that_says_where(it: System) -> None:
    answer = await (await it.who("northwind")).send("POST", DEALS, b'{"customer":', {"idempotency-key": "broken"})
    assert (answer.status, answer.json()["slug"]) == (400, "bad-request")
    assert answer.json()["detail"] == "the body is not JSON: Expecting value at character 12"


async def test_an_address_or_a_method_that_is_none_says_where_to_look(it: System) -> None:
    north = await it.who("northwind")
    nowhere = await north.get("/v1/registration/nothing")
    assert nowhere.json()["detail"] == "There is no such address: the OpenAPI document lists those that there are."
    other = await north.send("DELETE", DEALS, b"", {})
    assert other.status == 405
    assert other.json()["detail"].startswith("This address does not take that method")
    both = await north.send("DELETE", "/v1/clients", b"", {})
    assert (both.status, both.headers["allow"]) == (405, "GET, POST")


async def test_everybody_whom_a_lead_was_offered_to_has_a_name_on_its_page(it: System) -> None:
    lead = {"partner_id": "p-1", "source_partner_id": None, "offers": [{"partner_id": "p-2"}]}
    assert partners_of([{**lead, "history": [{"partner_id": "p-3"}]}]) == {None, "p-1", "p-2", "p-3"}
    assert partners_of([{"partner_id": "p-1", "history": [{"event": "LeadAssigned"}]}]) == {None, "p-1"}, "a partner's"
